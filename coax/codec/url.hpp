// The target of a request (RFC 3986, RFC 9112 section 3.2.1): a path and a query, decoded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax {

struct Target {
  // Starts with '/'. Decoded once, without empty segments and dot segments, which never lead above the root; ends with
  // '/' if the target's path does. An encoded '/' is part of its segment: it is a NUL here, which nothing else can be.
  std::string path;
  // In their order, as forms encode them: '+' is a space, a name without '=' has an empty value.
  std::vector<std::pair<std::string, std::string>> query;
};

// "/a%20b/../c?x=1&y=2" -> "/c", {x, 1}, {y, 2}. Nothing when it does not start with '/', has a malformed
// percent-encoding, a fragment, a NUL, or a segment of dots and encoded slashes, which would mislead its users.
std::optional<Target> parse_target(std::string_view target);

// The host and the path with query of a target in absolute form (RFC 9112, section 3.2.2): "http://a.example:80/x?y" ->
// {"a.example:80", "/x?y"}. Nothing for any other form, or when the authority is not is_host_and_port(), such as with
// userinfo.
struct AbsoluteTarget {
  std::string_view authority;
  std::string_view rest;  // starts with '/' or '?', or is empty
};
std::optional<AbsoluteTarget> parse_absolute_target(std::string_view target) noexcept;

// uri-host [ ":" port ] (RFC 9110, section 7.2; RFC 3986, section 3.2.2), with a host that is not empty: "a.example",
// "a.example:", "[::1]:80". False for a port above 65535, and for an address in brackets that is not IPv6.
bool is_host_and_port(std::string_view text) noexcept;

// For one segment of a path, or a name or value of a query: all but letters, digits, "-", ".", "_" and "~" becomes %XX
// (RFC 3986, section 2.3).
std::string percent_encode(std::string_view text);

// For a whole URL: only what no URL may have becomes %XX (RFC 3986, section 2): spaces, control characters, bytes above
// ASCII, quotes, backslashes, braces, "<", ">", "^", "|", and a "%" that is not part of a %XX. The others, such as "/",
// "?" and "&", have their meaning.
std::string encode_url(std::string_view url);

// Whether the target is a path without a query that needs no decoding and no change. Most are.
bool is_plain_path(std::string_view target) noexcept;

}  // namespace coax

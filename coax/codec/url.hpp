// What the target of a request says (RFC 3986, RFC 9112 section 3.2.1): a path and a query, decoded.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "coax/base/compiler.hpp"

namespace coax {

struct Target {
  // Starts with '/'. Decoded once, without empty segments and without "." and "..", which do not lead above the root;
  // ends with '/' where the target's path does. An encoded '/' belongs to its segment: it is a NUL here, which
  // nothing else can be.
  std::string path;
  // As they stand, as forms write them: '+' is a space, a name without '=' has an empty value.
  std::vector<std::pair<std::string, std::string>> query;
};

// "/a%20b/../c?x=1&y=2" -> "/c", {x, 1}, {y, 2}. Nothing when it does not start with '/', has a malformed percent, a
// fragment, or what would mislead those who use the result: a NUL, or a segment of dots and encoded slashes.
std::optional<Target> parse_target(std::string_view target);

// The host and the rest of a target in absolute form (RFC 9112, section 3.2.2): "http://a.example:80/x?y" ->
// {"a.example:80", "/x?y"}. Nothing of any other form, or when the authority is empty or names a user.
struct AbsoluteTarget {
  std::string_view authority;
  std::string_view rest;  // starts with '/' or '?', or is empty
};
std::optional<AbsoluteTarget> parse_absolute_target(std::string_view target) noexcept;

// The target is a path as it stands, without a query: nothing is decoded or left out. Most are.
bool is_plain_path(std::string_view target) noexcept;

}  // namespace coax

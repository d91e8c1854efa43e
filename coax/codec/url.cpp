// Segments are decoded before dots are handled, so that %2e%2e cannot bypass the check.
#include "coax/codec/url.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"

namespace coax {

namespace {

// Nothing for a malformed percent-encoding or an encoded NUL.
std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (std::size_t index = 0; index < text.size(); ++index) {
    if (text[index] != '%') {
      out.push_back(plus_is_space && text[index] == '+' ? ' ' : text[index]);
      continue;
    }
    const std::string_view digits = text.substr(index + 1, 2);
    unsigned char byte = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
    if (digits.size() < 2 || error != std::errc{} || end != digits.data() + 2 || byte == 0) return std::nullopt;
    out.push_back(static_cast<char>(byte));
    index += 2;
  }
  return out;
}

// Calls f(part) for each part between separators; stops and returns false when f does.
template <class F>
bool for_each_part(std::string_view text, char separator, F&& f) {
  for (;;) {
    const std::size_t end = text.find(separator);
    if (!f(text.substr(0, end))) return false;
    if (end == std::string_view::npos) return true;
    text.remove_prefix(end + 1);
  }
}

// In a decoded segment every '/' was encoded. False: dot segments between encoded slashes, which some readers would
// follow.
bool mark_encoded_slashes(std::string& segment) {
  if (!segment.contains('/')) return true;
  const bool good = for_each_part(segment, '/', [](std::string_view part) { return part != "." && part != ".."; });
  std::ranges::replace(segment, '/', '\0');
  return good;
}

std::optional<std::string> parse_path(std::string_view text) {
  std::string path = "/";  // ends with '/' as long as segments follow
  const bool good = for_each_part(text.substr(1), '/', [&](std::string_view part) {
    auto segment = decode(part, false);
    if (!segment || !mark_encoded_slashes(*segment)) return false;
    if (path.back() != '/') path.push_back('/');
    if (*segment == "..") {
      path.erase(path.rfind('/', std::max<std::size_t>(path.size(), 2) - 2) + 1);
    } else if (*segment != ".") {
      path.append(*segment);
    }
    return true;
  });
  if (!good) return std::nullopt;
  return path;
}

// Characters with a meaning of their own.
constexpr auto is_special = [] {
  std::array<bool, 256> table{};
  for (const unsigned char c : {'\0', '#', '%', '?', '/'}) table[c] = true;
  return table;
}();

}  // namespace

bool is_plain_path(std::string_view target) noexcept {
  if (!target.starts_with('/')) return false;
  for (const char *at = target.data(), *const end = at + target.size(); at != end; ++at) {
    if (!is_special[static_cast<unsigned char>(*at)]) continue;
    if (*at != '/' || (at + 1 != end && (at[1] == '/' || at[1] == '.'))) return false;
  }
  return true;
}

namespace {

constexpr http1::WordChars is_unreserved_char("-._~");
constexpr http1::WordChars is_url_char("-._~:/?#[]@!$&'()*+,;=");
constexpr http1::WordChars is_name_char("-._~!$&'()*+,;=%");

constexpr bool is_hexadecimal(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

void append_encoded(std::string& out, char c) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  out += {'%', digits[byte >> 4U], digits[byte & 0xFU]};
}

}  // namespace

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) is_unreserved_char(c) ? out.push_back(c) : append_encoded(out, c);
  return out;
}

std::string encode_url(std::string_view url) {
  std::string out;
  for (std::size_t at = 0; at < url.size(); ++at) {
    const bool is_encoded =
        url[at] == '%' && url.size() - at > 2 && is_hexadecimal(url[at + 1]) && is_hexadecimal(url[at + 2]);
    is_encoded || is_url_char(url[at]) ? out.push_back(url[at]) : append_encoded(out, url[at]);
  }
  return out;
}

namespace {

bool is_name(std::string_view text) noexcept {
  if (text.empty() || !std::ranges::all_of(text, is_name_char)) return false;
  for (std::size_t at = text.find('%'); at != std::string_view::npos; at = text.find('%', at + 1)) {
    if (text.size() - at < 3 || !is_hexadecimal(text[at + 1]) || !is_hexadecimal(text[at + 2])) return false;
  }
  return true;
}

bool is_ipv6(std::string_view text) noexcept {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.contains('\0')) return false;
  std::ranges::copy(text, terminated.begin());
  in6_addr address{};
  return ::inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

bool is_port(std::string_view digits) noexcept {
  std::uint16_t port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, port);
  return digits.empty() || (error == std::errc{} && at == end);
}

}  // namespace

bool is_host_and_port(std::string_view text) noexcept {
  const bool is_address = text.starts_with('[');
  const std::size_t end = std::min(is_address ? text.find(']') : text.find(':'), text.size());
  if (is_address && end == text.size()) return false;
  const std::string_view rest = text.substr(is_address ? end + 1 : end);
  const bool is_host = is_address ? is_ipv6(text.substr(1, end - 1)) : is_name(text.substr(0, end));
  return is_host && (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1))));
}

std::optional<AbsoluteTarget> parse_absolute_target(std::string_view target) noexcept {
  const std::size_t colon = target.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = target.substr(0, colon);
  if (!equal_ignoring_case(scheme, "http") && !equal_ignoring_case(scheme, "https")) return std::nullopt;
  const std::string_view after = target.substr(colon + 3);
  const std::size_t end = std::min(after.find_first_of("/?#"), after.size());
  const std::string_view authority = after.substr(0, end);
  if (!is_host_and_port(authority)) return std::nullopt;
  return AbsoluteTarget{.authority = authority, .rest = after.substr(end)};
}

std::optional<Target> parse_target(std::string_view target) {
  if (!target.starts_with('/') || target.contains('#') || target.contains('\0')) return std::nullopt;
  const std::size_t question = std::min(target.find('?'), target.size());
  auto path = parse_path(target.substr(0, question));
  if (!path) return std::nullopt;
  Target result{.path = std::move(*path), .query = {}};
  const bool good =
      for_each_part(target.substr(std::min(question + 1, target.size())), '&', [&](std::string_view part) {
        const std::size_t equals = std::min(part.find('='), part.size());
        auto name = decode(part.substr(0, equals), true);
        auto value = decode(part.substr(std::min(equals + 1, part.size())), true);
        if (!name || !value) return false;
        if (!part.empty()) result.query.emplace_back(std::move(*name), std::move(*value));
        return true;
      });
  if (!good) return std::nullopt;
  return result;
}

}  // namespace coax

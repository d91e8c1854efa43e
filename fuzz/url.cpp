// Invariant: an accepted path starts with '/' and has no dot segments and no empty ones, not between encoded slashes
// (NUL) either. With its special characters encoded, it is a target of the same path. A plain path is parsed as itself.
#include "coax/codec/url.hpp"

#include <algorithm>

#include "fuzz/input.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using coax::fuzz::require;
  const std::string_view text = coax::fuzz::text_of(data, size);
  const auto target = coax::parse_target(text);
  if (coax::is_plain_path(text)) require(target && target->path == text && target->query.empty());
  if (!target) return 0;
  const std::string closed = target->path + (target->path.ends_with('/') ? "" : "/");
  require(closed.starts_with('/'));
  std::string slashed = closed;
  std::ranges::replace(slashed, '\0', '/');
  require(!slashed.contains("/./") && !slashed.contains("/../"));
  require(!closed.contains("//") && !closed.contains("/./") && !closed.contains("/../"));
  std::string encoded;
  for (const char c : target->path) {
    static constexpr std::string_view digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    if (c == '/')
      encoded += c;
    else if (c == '\0')
      encoded += "%2F";
    else
      encoded.append("%").append(1, digits[byte >> 4]).append(1, digits[byte & 15]);
  }
  require(coax::parse_target(encoded).value().path == target->path);
  for (const auto& [name, value] : target->query) require(!name.contains('\0') && !value.contains('\0'));
  return 0;
}

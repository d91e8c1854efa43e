// The common part of messages of all versions of HTTP: fields, and the names of the pseudo-fields for method, target
// and status.
#pragma once

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "coax/base/text.hpp"
#include "coax/codec/token.hpp"

namespace coax::http {

struct Field {
  std::string_view name;   // as received; compared without regard to case
  std::string_view value;  // without white space at both ends
};

// The fields of a message, in their order. A view. Lifetime: that of the message.
class Fields {
 public:
  constexpr Fields() noexcept = default;
  constexpr Fields(std::span<const Field> fields) noexcept : fields_(fields) {}

  // Returns: the value of the first field of that name.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept {
    const auto found = std::ranges::find_if(fields_, [name](const Field& field) { return is(field, name); });
    return found == fields_.end() ? std::nullopt : std::optional(found->value);
  }
  // Returns: the value of the only field of that name; nothing when there are none or several.
  [[nodiscard]] std::optional<std::string_view> find_only(std::string_view name) const noexcept {
    return count(name) == 1 ? find(name) : std::nullopt;
  }
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept {
    return static_cast<std::size_t>(
        std::ranges::count_if(fields_, [name](const Field& field) { return is(field, name); }));
  }
  // Whether a field of that name has the token in its comma-separated list: ("Connection", "upgrade").
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const {
    bool found = false;
    for (const Field& field : fields_) {
      if (!is(field, name)) continue;
      http1::for_each_word(field.value,
                           [&](std::string_view word) { found = found || equal_ignoring_case(word, token); });
    }
    return found;
  }
  [[nodiscard]] auto begin() const noexcept { return fields_.begin(); }
  [[nodiscard]] auto end() const noexcept { return fields_.end(); }
  [[nodiscard]] std::size_t size() const noexcept { return fields_.size(); }

 private:
  static bool is(const Field& field, std::string_view name) noexcept {
    return field.name.size() == name.size() && equal_ignoring_case(field.name, name);
  }
  std::span<const Field> fields_;
};

}  // namespace coax::http

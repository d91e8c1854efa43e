// What copies of a Value share.
#pragma once

#include "coax/http/value.hpp"

namespace coax::http {

// Known of each list and object without a walk, so that a walk can be refused before it begins: shared lists can stand
// for far more elements than there is memory.
struct ValueExtent {
  static constexpr std::uint64_t cost_max = std::uint64_t{1} << 60;
  std::size_t depth = 1;
  std::uint64_t cost = 1;
};

struct Value::ListData {
  ValueExtent extent;
  List elements;
};

struct Value::ObjectData {
  [[nodiscard]] const Value* find(std::string_view name) const noexcept;
  void assign(std::vector<Member> given);
  void set(std::string_view name, Value value);
  void keep_last_of_each_name();
  void extend_by(std::span<const Member> added);

  ValueExtent extent;
  std::vector<Member> members;
  std::vector<std::uint32_t> order;  // by name; empty for a few members
};

// JSON of a value, appended. Throws: Error(invalid) for NaN and infinity.
void append_json(std::string& text, const Value& value, bool for_script);
// A string as in JSON, without its quotes.
void append_json_string(std::string& text, std::string_view string, bool for_script);

}  // namespace coax::http

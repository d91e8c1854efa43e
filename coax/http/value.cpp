// Value: its kinds, and lists and objects that copies share.
#include "coax/http/value.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "coax/http/value_private.hpp"

namespace coax::http {

using namespace std::string_view_literals;

namespace {

// Above: members are found by binary search, not one after the other.
constexpr std::size_t unsorted_members_max = 8;

[[noreturn]] void refuse(std::string_view what, std::string_view reason) {
  throw Error(ErrorKind::invalid, "use", what, reason);
}

void include(ValueExtent& extent, const Value& value) {
  const std::size_t depth = value.depth() + 1;
  if (depth > Value::depth_max)
    refuse("a value", "lists and objects are nested more than " + std::to_string(Value::depth_max) + " levels deep");
  extent.depth = std::max(extent.depth, depth);
  extent.cost = std::min(extent.cost + value.cost(), ValueExtent::cost_max);
}

}  // namespace

// --- lists ---

Value Value::list(List elements) {
  auto data = std::make_shared<ListData>();
  for (const Value& element : elements) include(data->extent, element);
  data->elements = std::move(elements);
  Value result;
  result.data_ = std::shared_ptr<const ListData>(std::move(data));
  return result;
}

Value& Value::append(Value value) {
  if (is_null()) *this = list();
  if (kind() != Kind::list) refuse_kind("list");
  auto& shared = std::get<std::shared_ptr<const ListData>>(data_);
  if (shared.use_count() != 1) shared = std::make_shared<ListData>(*shared);
  // Made as ListData that is not const, and no other Value refers to it.
  auto& data = const_cast<ListData&>(*shared);
  include(data.extent, value);
  data.elements.push_back(std::move(value));
  return *this;
}

// --- objects ---

const Value* Value::ObjectData::find(std::string_view name) const noexcept {
  if (order.empty()) {
    const char first = name.empty() ? '\0' : name.front();
    for (const Member& member : members) {  // a name of one byte or more; of an empty one it is the NUL at its end
      if (member.name.size() == name.size() && member.name[0] == first && member.name == name) return &member.value;
    }
    return nullptr;
  }
  const auto name_of = [this](std::uint32_t index) -> std::string_view { return members[index].name; };
  const auto found = std::ranges::lower_bound(order, name, {}, name_of);
  return found == order.end() || members[*found].name != name ? nullptr : &members[*found].value;
}

// With the last member of each name, at the place of the first.
void Value::ObjectData::assign(std::vector<Member> given) {
  if (given.size() <= unsorted_members_max) {
    members = std::move(given);
    keep_last_of_each_name();
    return extend_by(members);
  }
  std::vector<std::uint32_t> by_name(given.size());
  for (std::uint32_t index = 0; index < by_name.size(); ++index) by_name[index] = index;
  std::ranges::sort(by_name, {}, [&](std::uint32_t index) {
    return std::pair<std::string_view, std::uint32_t>(given[index].name, index);
  });
  std::vector<bool> is_repeated(given.size());
  for (std::size_t first = 0; first < by_name.size();) {
    std::size_t end = first + 1;
    for (; end < by_name.size() && given[by_name[end]].name == given[by_name[first]].name; ++end)
      is_repeated[by_name[end]] = true;
    if (end != first + 1) given[by_name[first]].value = std::move(given[by_name[end - 1]].value);
    first = end;
  }
  if (std::ranges::count(is_repeated, true) != 0) {
    std::vector<Member> unique;
    for (std::size_t index = 0; index < given.size(); ++index) {
      if (!is_repeated[index]) unique.push_back(std::move(given[index]));
    }
    return assign(std::move(unique));
  }
  extend_by(given);
  members = std::move(given);
  if (members.size() > unsorted_members_max) order = std::move(by_name);
}

// Of a few members.
void Value::ObjectData::keep_last_of_each_name() {
  for (std::size_t index = 1; index < members.size();) {
    const auto earlier = std::ranges::find(members.begin(), members.begin() + static_cast<std::ptrdiff_t>(index),
                                           members[index].name, &Member::name);
    if (earlier == members.begin() + static_cast<std::ptrdiff_t>(index)) {
      ++index;
      continue;
    }
    earlier->value = std::move(members[index].value);
    members.erase(members.begin() + static_cast<std::ptrdiff_t>(index));
  }
}

void Value::ObjectData::extend_by(std::span<const Member> added) {
  for (const Member& member : added) {
    include(extent, member.value);
    extent.cost += 1 + member.name.size() / 64;
  }
}

void Value::ObjectData::set(std::string_view name, Value value) {
  include(extent, value);
  if (const Value* found = find(name)) {
    const_cast<Value&>(*found) = std::move(value);
    return;
  }
  extent.cost += 1 + name.size() / 64;
  members.push_back({std::string(name), std::move(value)});
  if (members.size() <= unsorted_members_max) return;
  const auto name_of = [this](std::uint32_t index) -> std::string_view { return members[index].name; };
  if (order.empty()) {
    for (std::uint32_t index = 0; index + 1 < members.size(); ++index) order.push_back(index);
    std::ranges::sort(order, {}, name_of);
  }
  order.insert(std::ranges::lower_bound(order, name, {}, name_of), static_cast<std::uint32_t>(members.size() - 1));
}

Value Value::object() { return object(std::vector<Member>()); }

Value Value::object(std::vector<Member> members) {
  auto data = std::make_shared<ObjectData>();
  data->assign(std::move(members));
  Value result;
  result.data_ = std::shared_ptr<const ObjectData>(std::move(data));
  return result;
}

Value::Value(std::initializer_list<detail::NewMember> given) {
  std::vector<Member> members;
  members.reserve(given.size());
  for (const detail::NewMember& member : given) members.push_back({std::move(member.name), std::move(member.value)});
  *this = object(std::move(members));
}

Value& Value::set(std::string_view name, Value value) {
  if (is_null()) *this = object();
  if (kind() != Kind::object) refuse_kind("object");
  auto& shared = std::get<std::shared_ptr<const ObjectData>>(data_);
  if (shared.use_count() != 1) shared = std::make_shared<ObjectData>(*shared);
  const_cast<ObjectData&>(*shared).set(name, std::move(value));  // as in append()
  return *this;
}

// --- what it is ---

std::string_view to_string(Value::Kind kind) noexcept {
  constexpr std::array<std::string_view, 7> names{"null", "boolean", "integer", "number", "string", "list", "object"};
  return names[static_cast<std::size_t>(kind)];
}

void Value::refuse_integer() { refuse("an integer", "it is above the largest integer, 9223372036854775807"); }

void Value::refuse_kind(std::string_view wanted) const {
  const std::string_view is = to_string(kind());
  const auto article = [](std::string_view noun) { return "aio"sv.contains(noun.front()) ? "an " : "a "; };
  refuse("a value", "it is " + (is_null() ? std::string(is) : article(is) + std::string(is)) + ", not " +
                        article(wanted) + std::string(wanted));
}

bool Value::as_bool() const {
  const auto* value = std::get_if<bool>(&data_);
  return value != nullptr ? *value : (refuse_kind("boolean"), false);
}

std::int64_t Value::as_integer() const {
  const auto* value = std::get_if<std::int64_t>(&data_);
  return value != nullptr ? *value : (refuse_kind("integer"), 0);
}

double Value::as_number() const {
  if (const auto* integer = std::get_if<std::int64_t>(&data_)) return static_cast<double>(*integer);
  const auto* value = std::get_if<double>(&data_);
  return value != nullptr ? *value : (refuse_kind("number"), 0);
}

const std::string& Value::as_string() const {
  const auto* value = std::get_if<std::string>(&data_);
  if (value == nullptr) refuse_kind("string");
  return *value;
}

std::span<const Value> Value::as_list() const {
  const auto* value = std::get_if<std::shared_ptr<const ListData>>(&data_);
  if (value == nullptr) refuse_kind("list");
  return (*value)->elements;
}

std::span<const Member> Value::as_object() const {
  const auto* value = std::get_if<std::shared_ptr<const ObjectData>>(&data_);
  if (value == nullptr) refuse_kind("object");
  return (*value)->members;
}

const Value* Value::find(std::string_view name) const noexcept {
  const auto* value = std::get_if<std::shared_ptr<const ObjectData>>(&data_);
  return value == nullptr ? nullptr : (*value)->find(name);
}

const Value& Value::operator[](std::string_view name) const {
  if (kind() != Kind::object) refuse_kind("object");
  const Value* value = find(name);
  if (value == nullptr) refuse("an object", "it has no member \"" + std::string(name) + "\"");
  return *value;
}

const Value& Value::operator[](std::size_t index) const {
  const std::span elements = as_list();
  if (index >= elements.size()) {
    refuse("a list",
           "it has " + std::to_string(elements.size()) + " elements, and no element " + std::to_string(index));
  }
  return elements[index];
}

std::size_t Value::size() const noexcept {
  switch (kind()) {
    case Kind::string: return std::get<std::string>(data_).size();
    case Kind::list: return std::get<std::shared_ptr<const ListData>>(data_)->elements.size();
    case Kind::object: return std::get<std::shared_ptr<const ObjectData>>(data_)->members.size();
    default: return 0;
  }
}

std::size_t Value::depth() const noexcept {
  if (const auto* list = std::get_if<std::shared_ptr<const ListData>>(&data_)) return (*list)->extent.depth;
  if (const auto* object = std::get_if<std::shared_ptr<const ObjectData>>(&data_)) return (*object)->extent.depth;
  return 0;
}

std::uint64_t Value::cost() const noexcept {
  if (const auto* text = std::get_if<std::string>(&data_)) return 1 + text->size() / 64;
  if (const auto* list = std::get_if<std::shared_ptr<const ListData>>(&data_)) return (*list)->extent.cost;
  if (const auto* object = std::get_if<std::shared_ptr<const ObjectData>>(&data_)) return (*object)->extent.cost;
  return 1;
}

bool operator==(const Value& left, const Value& right) {
  using Kind = Value::Kind;
  const auto is_number = [](const Value& value) {
    return value.kind() == Kind::integer || value.kind() == Kind::number;
  };
  if (left.kind() != right.kind()) return is_number(left) && is_number(right) && left.as_number() == right.as_number();
  if (left.kind() == Kind::list) return std::ranges::equal(left.as_list(), right.as_list());
  if (left.kind() != Kind::object) return left.data_ == right.data_;
  return left.size() == right.size() && std::ranges::all_of(left.as_object(), [&](const Member& member) {
           const Value* other = right.find(member.name);
           return other != nullptr && member.value == *other;
         });
}

std::string to_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  std::array<char, 32> buffer;  // "-1.7976931348623157e+308"
  const double size = std::abs(number);
  const bool is_plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                 is_plain ? std::chars_format::fixed : std::chars_format::scientific);
  std::string text(buffer.data(), end.ptr);
  if (is_plain && !text.contains('.')) text += ".0";
  return text;
}

}  // namespace coax::http

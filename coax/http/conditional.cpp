// A malformed precondition never matches, a malformed date or range is ignored: in doubt the client gets the whole.
#include <algorithm>
#include <charconv>
#include <limits>

#include "coax/base/text.hpp"
#include "coax/codec/http_date.hpp"
#include "coax/http/conditional_private.hpp"

namespace coax::http {

namespace {

using std::string_view;
using Time = std::chrono::sys_seconds;

// --- entity tags (section 8.8.3) ---

constexpr bool is_etag_char(char c) noexcept {
  const auto byte = static_cast<unsigned char>(c);
  return byte == 0x21 || (byte >= 0x23 && byte != 0x7F);
}

struct EntityTag {
  string_view opaque;  // with its quotes
  bool is_weak = false;
};

// The first tag of a list, which is removed from it with the comma after it. A comma within quotes belongs to the tag.
std::optional<EntityTag> pop_etag(string_view& list) {
  const bool is_weak = list.starts_with("W/");
  if (is_weak) list.remove_prefix(2);
  if (!list.starts_with('"')) return std::nullopt;
  std::size_t end = 1;
  while (end < list.size() && is_etag_char(list[end])) ++end;
  if (end == list.size() || list[end] != '"') return std::nullopt;
  const EntityTag tag{.opaque = list.substr(0, end + 1), .is_weak = is_weak};
  list = trim(list.substr(end + 1));
  if (!list.empty() && !list.starts_with(',')) return std::nullopt;
  return tag;
}

enum class Compare : std::uint8_t { strongly, weakly };

bool list_names(string_view list, string_view etag, Compare compare) {
  list = trim(list);
  if (list == "*") return true;
  while (!list.empty()) {
    if (list.starts_with(',')) {
      list = trim(list.substr(1));
      continue;
    }
    const auto tag = pop_etag(list);
    if (!tag) return false;
    if (tag->opaque == etag && (compare == Compare::weakly || !tag->is_weak)) return true;
  }
  return false;
}

// A list may be spread over several fields.
bool names_etag(const Fields& fields, string_view name, string_view etag, Compare compare) {
  return std::ranges::any_of(fields, [&](const Field& field) {
    return equal_ignoring_case(field.name, name) && list_names(field.value, etag, compare);
  });
}

// Of a field that is there once.
std::optional<Time> date_of(const Fields& fields, string_view name, Time now) {
  const auto text = fields.find_only(name);
  return text ? parse_date(*text, now) : std::nullopt;
}

// --- ranges ---

struct Spec {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;  // without a first one: the length of a suffix
};

// Nothing when it is not of digits alone. Saturates.
std::optional<std::uint64_t> parse_position(string_view digits) {
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  if (digits.empty() || !std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; })) return std::nullopt;
  const auto [at, error] = std::from_chars(digits.data(), end, value);
  return error == std::errc::result_out_of_range ? std::numeric_limits<std::uint64_t>::max() : value;
}

std::optional<Spec> parse_spec(string_view text) {
  const std::size_t dash = text.find('-');
  if (dash == string_view::npos) return std::nullopt;
  Spec spec{.first = parse_position(text.substr(0, dash)), .last = parse_position(text.substr(dash + 1))};
  if ((!spec.first && dash != 0) || (!spec.last && dash + 1 != text.size())) return std::nullopt;
  if (!spec.first && !spec.last) return std::nullopt;
  if (spec.first && spec.last && *spec.first > *spec.last) return std::nullopt;
  return spec;
}

// Nothing when it is not satisfiable. `size` is not 0.
std::optional<ByteRange> resolve(const Spec& spec, std::uint64_t size) {
  if (!spec.first) {
    const std::uint64_t suffix = std::min(*spec.last, size);
    return suffix != 0 ? std::optional(ByteRange{.offset = size - suffix, .size = suffix}) : std::nullopt;
  }
  if (*spec.first >= size) return std::nullopt;
  const std::uint64_t last = std::min(spec.last.value_or(size), size - 1);
  return ByteRange{.offset = *spec.first, .size = last - *spec.first + 1};
}

// Keeps the order of the client, unless some overlap or adjoin (section 15.3.7.2).
void coalesce(std::vector<ByteRange>& ranges) {
  std::vector<ByteRange> merged(ranges);
  std::ranges::sort(merged, {}, &ByteRange::offset);
  std::size_t count = 0;
  for (const ByteRange& range : merged) {
    if (count != 0 && range.offset <= merged[count - 1].offset + merged[count - 1].size) {
      ByteRange& before = merged[count - 1];
      before.size = std::max(before.offset + before.size, range.offset + range.size) - before.offset;
    } else {
      merged[count++] = range;
    }
  }
  merged.resize(count);
  if (count != ranges.size()) ranges = std::move(merged);
}

bool may_use_ranges(const Fields& fields, const Validators& validators, Time now) {
  if (fields.count("If-Range") == 0) return true;
  const string_view condition = fields.find_only("If-Range").value_or("");
  if (condition == validators.etag) return true;  // strong comparison
  // Section 8.8.2.2: a date is a strong validator when the file has not been changed again within its second.
  const auto date = parse_date(condition, now);
  return date && date == validators.last_modified && *date < now;
}

}  // namespace

Precondition check_preconditions(const Fields& fields, const Validators& validators, Time now) {
  if (fields.count("If-Match") != 0) {
    if (!names_etag(fields, "If-Match", validators.etag, Compare::strongly)) return Precondition::failed;
  } else if (const auto date = date_of(fields, "If-Unmodified-Since", now); date && validators.last_modified) {
    if (*validators.last_modified > *date) return Precondition::failed;
  }
  if (fields.count("If-None-Match") != 0) {
    const bool matches = names_etag(fields, "If-None-Match", validators.etag, Compare::weakly);
    return matches ? Precondition::not_modified : Precondition::proceed;
  }
  const auto date = date_of(fields, "If-Modified-Since", now);
  const bool is_known = date && validators.last_modified && *validators.last_modified <= *date;
  return is_known ? Precondition::not_modified : Precondition::proceed;
}

std::optional<std::vector<ByteRange>> parse_ranges(string_view field, std::uint64_t size) {
  const std::size_t equals = field.find('=');
  if (size == 0 || equals == string_view::npos || !equal_ignoring_case(field.substr(0, equals), "bytes")) {
    return std::nullopt;
  }
  std::vector<ByteRange> ranges;
  std::size_t count = 0;
  bool good = true;
  http1::for_each_word(field.substr(equals + 1), [&](string_view word) {
    const auto spec = good && ++count <= ranges_max ? parse_spec(word) : std::nullopt;
    good = spec.has_value();
    if (const auto range = good ? resolve(*spec, size) : std::nullopt) ranges.push_back(*range);
  });
  if (!good || count == 0) return std::nullopt;
  coalesce(ranges);
  return ranges;
}

std::optional<std::vector<ByteRange>> requested_ranges(const Fields& fields, const Validators& validators,
                                                       std::uint64_t size, Time now) {
  const auto field = fields.find_only("Range");
  if (!field || !may_use_ranges(fields, validators, now)) return std::nullopt;
  return parse_ranges(*field, size);
}

}  // namespace coax::http

// A field is parsed into its ranges; the most specific range that matches an offer gives its weight.
#include "coax/http/negotiate.hpp"

#include <algorithm>
#include <compare>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coax/base/text.hpp"
#include "coax/codec/parameters.hpp"
#include "coax/codec/token.hpp"

namespace coax::http {

namespace {

using Offers = std::initializer_list<std::string_view>;

struct Range {
  ParameterizedValue what;  // without q
  int weight = 1000;        // q, in thousandths
};

// "0", "0.5", "1.000" (RFC 9110, section 12.4.2).
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return std::nullopt;
  if (text.size() > 1 && text[1] != '.') return std::nullopt;
  int weight = (text[0] - '0') * 1000;
  int unit = 100;
  for (const char digit : text.substr(std::min<std::size_t>(text.size(), 2))) {
    if (digit < '0' || digit > '9') return std::nullopt;
    weight += (digit - '0') * unit;
    unit /= 10;
  }
  return weight <= 1000 ? std::optional(weight) : std::nullopt;
}

// The first element of a comma-separated list, in which commas within quotes are no separators; it is removed.
std::string_view pop_element(std::string_view& list) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < list.size() && (quoted || list[end] != ','); ++end) {
    if (quoted && list[end] == '\\')
      ++end;
    else if (list[end] == '"')
      quoted = !quoted;
  }
  end = std::min(end, list.size());
  const std::string_view element = trim(list.substr(0, end));
  list.remove_prefix(std::min(end + 1, list.size()));
  return element;
}

// Nothing when one is malformed. `is_value`: of the part before the parameters.
template <class IsValue>
std::optional<std::vector<Range>> parse_ranges(std::string_view list, IsValue is_value) {
  std::vector<Range> ranges;
  while (!list.empty()) {
    const std::string_view element = pop_element(list);
    if (element.empty()) continue;
    auto parsed = parse_parameters(element);
    if (!parsed || !is_value(parsed->value)) return std::nullopt;
    Range range{.what = std::move(*parsed)};
    auto& parameters = range.what.parameters;
    const auto q = std::ranges::find(parameters, "q", &std::pair<std::string, std::string>::first);
    if (q != parameters.end()) {
      const auto weight = parse_weight(q->second);
      if (!weight) return std::nullopt;
      range.weight = *weight;
      parameters.erase(q, parameters.end());  // with the obsolete accept-ext after it
    }
    ranges.push_back(std::move(range));
  }
  return ranges;
}

// What the field says about an offer. The larger, the better.
struct Preference {
  int weight = 0;       // 0: it is not acceptable
  int specificity = 0;  // of the range that matches; 0: none does
  friend auto operator<=>(const Preference&, const Preference&) = default;
};

// match(range, offer): 0 when it does not match, otherwise the larger, the more specific. `otherwise`: the weight of an
// offer without a range.
template <class Match>
Preference preference_for(std::string_view offer, const std::vector<Range>& ranges, int otherwise, Match match) {
  Preference result{.weight = otherwise};
  for (const Range& range : ranges) {
    const int specificity = match(range.what, offer);
    if (specificity > result.specificity) result = {.weight = range.weight, .specificity = specificity};
  }
  return result;
}

struct Best {
  std::string_view offer;  // empty: none is acceptable
  Preference preference;
};

template <class Weigh>
Best best_of(Offers offers, Weigh weigh) {
  Best best;
  for (const std::string_view offer : offers) {
    const Preference preference = weigh(offer);
    if (preference.weight != 0 && preference > best.preference) best = {.offer = offer, .preference = preference};
  }
  return best;
}

bool is_media_range(std::string_view range) {
  const std::size_t slash = std::min(range.find('/'), range.size());
  const std::string_view type = range.substr(0, slash);
  const std::string_view subtype = range.substr(std::min(slash + 1, range.size()));
  return http1::is_token(type) && http1::is_token(subtype) && (type != "*" || subtype == "*");
}

int match_media(const ParameterizedValue& range, std::string_view offer) {
  if (range.value == "*/*") return 1;
  const auto parsed = parse_parameters(offer);
  if (!parsed) return 0;
  if (range.value.ends_with("/*")) {
    const std::string_view type = std::string_view(range.value).substr(0, range.value.size() - 1);
    return parsed->value.starts_with(type) ? 2 : 0;
  }
  const bool has_parameters = std::ranges::all_of(range.parameters, [&](const auto& parameter) {
    const auto own = parsed->find(parameter.first);
    // JSON, among others, has no charset, and clients name one all the same.
    if (!own) return parameter.first == "charset";
    return equal_ignoring_case(*own, parameter.second);
  });
  return range.value == parsed->value && has_parameters ? 3 + static_cast<int>(range.parameters.size()) : 0;
}

int match_encoding(const ParameterizedValue& range, std::string_view offer) {
  if (range.value == "*") return 1;
  const std::string_view name = range.value.starts_with("x-") ? std::string_view(range.value).substr(2) : range.value;
  return equal_ignoring_case(range.value, offer) || equal_ignoring_case(name, offer) ? 2 : 0;
}

// Whether `tag` is `start`, or has it before a '-'.
bool starts_with_tag(std::string_view tag, std::string_view start) {
  return equal_ignoring_case(tag.substr(0, start.size()), start) &&
         (tag.size() == start.size() || tag[start.size()] == '-');
}

int match_language(const ParameterizedValue& range, std::string_view offer) {
  if (range.value == "*") return 1;
  return starts_with_tag(offer, range.value) ? 1 + static_cast<int>(range.value.size()) : 0;
}

// "de" is for "de-AT", when there is nothing better.
int match_shorter_language(const ParameterizedValue& range, std::string_view offer) {
  return starts_with_tag(range.value, offer) ? 1 : 0;
}

std::string_view first_of(Offers offers) { return offers.size() == 0 ? std::string_view() : *offers.begin(); }

}  // namespace

std::string_view preferred(std::string_view accept, Offers offers) {
  const auto ranges = parse_ranges(accept, is_media_range);
  if (!ranges || ranges->empty()) return first_of(offers);
  return best_of(offers, [&](std::string_view offer) { return preference_for(offer, *ranges, 0, match_media); }).offer;
}

std::string_view preferred_encoding(std::string_view accept_encoding, Offers offers) {
  static constexpr std::string_view identity = "identity";
  const auto ranges = parse_ranges(accept_encoding, http1::is_token);
  if (!ranges || ranges->empty()) return identity;
  const Best best =
      best_of(offers, [&](std::string_view offer) { return preference_for(offer, *ranges, 0, match_encoding); });
  // It is acceptable unless it is excluded, and without a weight of its own the last choice.
  const bool is_listed = std::ranges::any_of(*ranges, [](const Range& range) { return range.what.value == identity; });
  const int weight = preference_for(identity, *ranges, 1, match_encoding).weight;
  if (best.offer.empty()) return weight > 0 ? identity : std::string_view();
  return is_listed && weight > best.preference.weight ? identity : best.offer;
}

std::string_view preferred_language(std::string_view accept_language, Offers offers) {
  const auto ranges = parse_ranges(accept_language, http1::is_token);
  if (!ranges || ranges->empty()) return first_of(offers);
  const Best best =
      best_of(offers, [&](std::string_view offer) { return preference_for(offer, *ranges, 0, match_language); });
  if (!best.offer.empty()) return best.offer;
  return best_of(offers,
                 [&](std::string_view offer) {
                   const bool is_excluded = preference_for(offer, *ranges, 1, match_language).weight == 0;
                   return is_excluded ? Preference() : preference_for(offer, *ranges, 0, match_shorter_language);
                 })
      .offer;
}

}  // namespace coax::http

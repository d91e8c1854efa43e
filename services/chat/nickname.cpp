// Nicknames, on ICU: properties of characters, normalization, and the confusables of UTS 39.
#include "services/chat/nickname.hpp"

#include <fmt/core.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>

#include <algorithm>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "coax/base/text.hpp"

namespace coax::chat {

namespace {

using CodePoints = std::vector<UChar32>;

constexpr std::size_t nick_bytes_max = 1024;  // before normalization

template <class Value>
bool is_one_of(const auto& all, const Value& value) {
  return std::ranges::find(all, value) != std::ranges::end(all);
}

void check(UErrorCode code) {
  if (U_FAILURE(code)) throw std::runtime_error(fmt::format("ICU: {}", u_errorName(code)));
}

icu::UnicodeString from_utf8(std::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())));
}

std::string to_utf8(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

CodePoints code_points_of(const icu::UnicodeString& text) {
  CodePoints points;
  for (std::int32_t at = 0; at < text.length(); at = text.moveIndex32(at, 1)) points.push_back(text.char32At(at));
  return points;
}

const icu::Normalizer2& nfkc() {
  UErrorCode code = U_ZERO_ERROR;
  const icu::Normalizer2* const instance = icu::Normalizer2::getNFKCInstance(code);
  check(code);
  return *instance;
}

icu::UnicodeString normalized(const icu::UnicodeString& text) {
  UErrorCode code = U_ZERO_ERROR;
  icu::UnicodeString out = nfkc().normalize(text, code);
  check(code);
  return out;
}

// Shared by all threads: its methods are const.
const USpoofChecker& spoof_checker() {
  static const std::unique_ptr<USpoofChecker, decltype(&uspoof_close)> instance = [] {
    UErrorCode code = U_ZERO_ERROR;
    std::unique_ptr<USpoofChecker, decltype(&uspoof_close)> made(uspoof_open(&code), &uspoof_close);
    check(code);
    uspoof_setChecks(made.get(), USPOOF_INVISIBLE, &code);
    check(code);
    return made;
  }();
  return *instance;
}

icu::UnicodeString skeleton(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  UErrorCode code = U_ZERO_ERROR;
  uspoof_getSkeletonUnicodeString(&spoof_checker(), 0, text, out, &code);
  check(code);
  return out;
}

icu::UnicodeString folded(icu::UnicodeString text) { return text.foldCase(); }

// A skeleton has l for a capital I and its confusables, so the key of skeletons maps i to l as well.
NickKeys keys_of(const icu::UnicodeString& text) {
  return {to_utf8(skeleton(folded(text))), to_utf8(folded(skeleton(text)).findAndReplace("i", "l"))};
}

// --- RFC 8264 ---

bool has_category(UChar32 point, std::uint32_t mask) { return (U_GET_GC_MASK(point) & mask) != 0; }

// Section 9.6, for the FreeformClass: disallowed characters of allowed categories.
bool is_exception(UChar32 point) {
  constexpr std::array<UChar32, 5> disallowed{0x0640, 0x07FA, 0x302E, 0x302F, 0x303B};
  return is_one_of(disallowed, point) || (point >= 0x3031 && point <= 0x3035);
}

// RFC 5892, appendix A.1 and A.2: where a zero-width (non-)joiner changes how its neighbours are written.
bool may_join(std::span<const UChar32> points, std::size_t at) {
  constexpr int virama = 9;
  if (at > 0 && u_getCombiningClass(points[at - 1]) == virama) return true;
  if (points[at] == 0x200D) return false;
  const auto joining = [&](std::size_t index) { return u_getIntPropertyValue(points[index], UCHAR_JOINING_TYPE); };
  std::size_t before = at;
  while (before > 0 && joining(before - 1) == U_JT_TRANSPARENT) --before;
  std::size_t after = at + 1;
  while (after < points.size() && joining(after) == U_JT_TRANSPARENT) ++after;
  if (before == 0 || after == points.size()) return false;
  const auto left = joining(before - 1);
  const auto right = joining(after);
  return (left == U_JT_LEFT_JOINING || left == U_JT_DUAL_JOINING) &&
         (right == U_JT_RIGHT_JOINING || right == U_JT_DUAL_JOINING);
}

UScriptCode script_of(UChar32 point) {
  UErrorCode code = U_ZERO_ERROR;
  return uscript_getScript(point, &code);
}

bool is_of_japan(UChar32 point) {
  const UScriptCode script = script_of(point);
  return script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA || script == USCRIPT_HAN;
}

// Appendices A.3 to A.9.
bool fits_context(std::span<const UChar32> points, std::size_t at) {
  const UChar32 before = at > 0 ? points[at - 1] : 0;
  const UChar32 after = at + 1 < points.size() ? points[at + 1] : 0;
  const auto between = [](UChar32 first, UChar32 last) {
    return [first, last](UChar32 point) { return point >= first && point <= last; };
  };
  switch (const UChar32 point = points[at]) {
    case 0x200C:
    case 0x200D: return may_join(points, at);
    case 0x00B7: return before == 'l' && after == 'l';
    case 0x0375: return script_of(after) == USCRIPT_GREEK;
    case 0x05F3:
    case 0x05F4: return script_of(before) == USCRIPT_HEBREW;
    case 0x30FB: return std::ranges::any_of(points, is_of_japan);
    default:
      if (between(0x0660, 0x0669)(point)) return std::ranges::none_of(points, between(0x06F0, 0x06F9));
      return true;
  }
}

// Section 8, in its order.
bool is_freeform(std::span<const UChar32> points, std::size_t at) {
  const UChar32 point = points[at];
  if (is_exception(point) || !u_isdefined(point)) return false;
  if (!fits_context(points, at)) return false;
  if (point == 0x200C || point == 0x200D) return true;
  const auto syllable = u_getIntPropertyValue(point, UCHAR_HANGUL_SYLLABLE_TYPE);
  if (syllable == U_HST_LEADING_JAMO || syllable == U_HST_VOWEL_JAMO || syllable == U_HST_TRAILING_JAMO) return false;
  if (u_hasBinaryProperty(point, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) || U_IS_UNICODE_NONCHAR(point)) return false;
  return has_category(point, U_GC_L_MASK | U_GC_M_MASK | U_GC_N_MASK | U_GC_ZS_MASK | U_GC_S_MASK | U_GC_P_MASK);
}

// --- RFC 8266 ---

// Section 2.1, the additional mapping: one space for all blanks in a row, none at the ends.
icu::UnicodeString with_plain_spaces(const icu::UnicodeString& text) {
  icu::UnicodeString out;
  bool space = false;
  for (const UChar32 point : code_points_of(text)) {
    if (has_category(point, U_GC_ZS_MASK)) {
      space = !out.isEmpty();
      continue;
    }
    if (space) out.append(UChar32{' '});
    space = false;
    out.append(point);
  }
  return out;
}

// Normalization can make new spaces: section 2 asks for it again until nothing changes, up to three times.
icu::UnicodeString enforced(icu::UnicodeString text) {
  for (int times = 0; times < 4; ++times) {
    icu::UnicodeString next = normalized(with_plain_spaces(text));
    if (next == text) break;
    text = std::move(next);
  }
  return text;
}

// --- the rules of a room beyond these RFCs ---

bool is_visible(UChar32 point) {
  constexpr UChar32 braille_blank = 0x2800;  // a symbol, to Unicode
  return !has_category(point, U_GC_ZS_MASK | U_GC_M_MASK | U_GC_CF_MASK) && point != braille_blank;
}

// Marks above marks reach into the lines of others (UTS 39, section 5.4).
bool has_stacked_marks(std::span<const UChar32> points) {
  constexpr int marks_max = 4;
  int marks = 0;
  for (const UChar32 point : points) {
    marks = has_category(point, U_GC_MN_MASK | U_GC_ME_MASK) ? marks + 1 : 0;
    if (marks > marks_max) return true;
  }
  return false;
}

bool is_hidden_in_part(const icu::UnicodeString& text) {
  UErrorCode code = U_ZERO_ERROR;
  const auto found = uspoof_check2UnicodeString(&spoof_checker(), text, nullptr, &code);
  check(code);
  return (found & USPOOF_INVISIBLE) != 0;
}

// A visarga, a combining mark, looks like a colon and is accepted.
bool has_colon(std::span<const UChar32> points) {
  return std::ranges::any_of(points, [](UChar32 point) {
    if (has_category(point, U_GC_MN_MASK | U_GC_MC_MASK | U_GC_LO_MASK)) return false;
    return skeleton(icu::UnicodeString(point)).indexOf(UChar{':'}) >= 0;
  });
}

// As the lines of the hub, and those of other rooms.
bool begins_as_answer(std::span<const UChar32> points) {
  const icu::UnicodeString first = skeleton(icu::UnicodeString(points.front()));
  return first.startsWith(icu::UnicodeString(UChar{'*'})) || first.startsWith(icu::UnicodeString(UChar{'['}));
}

bool looks_reserved(const icu::UnicodeString& text) {
  static const auto reserved = keys_of(from_utf8("error"));
  const auto keys = keys_of(text);
  return std::ranges::any_of(keys, [](const std::string& key) { return is_one_of(reserved, key); });
}

}  // namespace

std::expected<std::string, Refusal> check_nick(BytesView nick) {
  const auto refuse = [](std::string text) { return std::unexpected(Refusal{"nick_invalid", std::move(text)}); };
  const auto too_long = fmt::format("a nickname has at most {} characters", nick_characters_max);
  if (!is_utf8(nick)) return refuse("a nickname must be UTF-8");
  const std::string_view trimmed = trim(nick);
  if (trimmed.empty()) return refuse("a nickname must not be empty");
  // Bounds the work; the limit of 32 characters is for the normalized nickname.
  if (trimmed.size() > nick_bytes_max) return refuse(too_long);
  if (has_control(trimmed)) return refuse("a nickname must not have control characters");
  const icu::UnicodeString given = from_utf8(trimmed);
  const icu::UnicodeString text = enforced(given);
  const CodePoints points = code_points_of(text);
  if (points.empty()) return refuse("a nickname must not be empty");
  if (points.size() > nick_characters_max) return refuse(too_long);
  for (const CodePoints& all : {code_points_of(given), points}) {
    for (std::size_t at = 0; at < all.size(); ++at) {
      if (!is_freeform(all, at)) return refuse(fmt::format("a nickname must not have the character U+{:04X}", all[at]));
    }
  }
  if (!std::ranges::any_of(points, is_visible)) return refuse("a nickname must be visible");
  if (is_one_of(points, 0x2800) || has_stacked_marks(points) || is_hidden_in_part(text)) {
    return refuse("all characters of a nickname must be visible");
  }
  // In the line protocol these would let a member forge lines of other members, or of the hub.
  if (has_colon(points)) return refuse("a nickname must not have a colon");
  if (begins_as_answer(points)) return refuse("a nickname must not begin with * or [");
  if (looks_reserved(text)) return refuse("that nickname is reserved");
  return to_utf8(text);
}

NickKeys nick_keys(const std::string& nick) { return keys_of(from_utf8(nick)); }

}  // namespace coax::chat

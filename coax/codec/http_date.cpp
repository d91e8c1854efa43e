// The forms have fixed columns, so that each is a pattern: a letter of it stands for a digit or a name.
#include "coax/codec/http_date.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>

namespace coax::http {

namespace {

using std::string_view;

constexpr std::array<string_view, 7> days{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};
constexpr std::array<string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

constexpr std::size_t date_bytes = std::string_view("Sun, 06 Nov 1994 08:49:37 GMT").size();

// Removes parts from the front of a text; the first mismatch is kept.
class Scan {
 public:
  explicit Scan(string_view text) noexcept : text_(text) {}
  [[nodiscard]] bool is_complete() const noexcept { return ok_ && text_.empty(); }

  void literal(string_view text) noexcept {
    ok_ = ok_ && text_.starts_with(text);
    if (ok_) text_.remove_prefix(text.size());
  }
  // `padding` may stand for leading zeros.
  int number(std::size_t digits, char padding = '0') noexcept {
    int value = 0;
    ok_ = ok_ && text_.size() >= digits;
    for (std::size_t at = 0; ok_ && at < digits; ++at) {
      const char c = text_[at] == padding && value == 0 && at + 1 < digits ? '0' : text_[at];
      ok_ = c >= '0' && c <= '9';
      value = value * 10 + (c - '0');
    }
    if (ok_) text_.remove_prefix(digits);
    return ok_ ? value : 0;
  }
  // The index of the name, of which the first `size` characters count.
  template <class Names>
  unsigned name(const Names& names, std::size_t size) noexcept {
    for (unsigned index = 0; ok_ && index < names.size(); ++index) {
      if (!text_.starts_with(names[index].substr(0, size))) continue;
      text_.remove_prefix(std::min(size, names[index].size()));
      return index;
    }
    ok_ = false;
    return 0;
  }

 private:
  string_view text_;
  bool ok_ = true;
};

struct Parts {
  unsigned weekday = 0;
  int year = 0;
  unsigned month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;

  void clock(Scan& scan) noexcept {
    hour = scan.number(2);
    scan.literal(":");
    minute = scan.number(2);
    scan.literal(":");
    second = scan.number(2);
  }
};

bool parse_imf(string_view text, Parts& parts) noexcept {
  Scan scan(text);
  parts.weekday = scan.name(days, 3);
  scan.literal(", ");
  parts.day = scan.number(2);
  scan.literal(" ");
  parts.month = scan.name(months, 3);
  scan.literal(" ");
  parts.year = scan.number(4);
  scan.literal(" ");
  parts.clock(scan);
  scan.literal(" GMT");
  return scan.is_complete();
}

bool parse_rfc850(string_view text, int this_year, Parts& parts) noexcept {
  Scan scan(text);
  parts.weekday = scan.name(days, string_view::npos);
  scan.literal(", ");
  parts.day = scan.number(2);
  scan.literal("-");
  parts.month = scan.name(months, 3);
  scan.literal("-");
  parts.year = this_year - this_year % 100 + scan.number(2);
  if (parts.year > this_year + 50) parts.year -= 100;
  scan.literal(" ");
  parts.clock(scan);
  scan.literal(" GMT");
  return scan.is_complete();
}

bool parse_asctime(string_view text, Parts& parts) noexcept {
  Scan scan(text);
  parts.weekday = scan.name(days, 3);
  scan.literal(" ");
  parts.month = scan.name(months, 3);
  scan.literal(" ");
  parts.day = scan.number(2, ' ');
  scan.literal(" ");
  parts.clock(scan);
  scan.literal(" ");
  parts.year = scan.number(4);
  return scan.is_complete();
}

std::chrono::year_month_day date_of(std::chrono::sys_seconds time) noexcept {
  return std::chrono::floor<std::chrono::days>(time);
}

}  // namespace

char* write_date(char* to, std::chrono::sys_seconds time) noexcept {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format_to_n(to, date_bytes, "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                          days[std::chrono::weekday(day).c_encoding()].substr(0, 3), static_cast<unsigned>(date.day()),
                          months[static_cast<unsigned>(date.month()) - 1], static_cast<int>(date.year()),
                          clock.hours().count(), clock.minutes().count(), clock.seconds().count())
      .out;
}

std::string format_date(std::chrono::sys_seconds time) {
  std::array<char, date_bytes> text{};
  return {text.data(), write_date(text.data(), time)};
}

std::optional<std::chrono::sys_seconds> parse_date(string_view text, std::chrono::sys_seconds now) {
  Parts parts;
  const int this_year = static_cast<int>(date_of(now).year());
  if (!parse_imf(text, parts) && !parse_rfc850(text, this_year, parts) && !parse_asctime(text, parts)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date(std::chrono::year(parts.year), std::chrono::month(parts.month + 1),
                                         std::chrono::day(static_cast<unsigned>(parts.day)));
  // A leap second is the second after it.
  if (!date.ok() || parts.hour > 23 || parts.minute > 59 || parts.second > 60) return std::nullopt;
  const std::chrono::sys_days day(date);
  if (std::chrono::weekday(day).c_encoding() != parts.weekday) return std::nullopt;
  return day + std::chrono::hours(parts.hour) + std::chrono::minutes(parts.minute) + std::chrono::seconds(parts.second);
}

}  // namespace coax::http

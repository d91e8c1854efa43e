// Escaping: what is not known to be harmless at a place is encoded or replaced.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "coax/base/text.hpp"
#include "coax/http/template_escape_private.hpp"
#include "coax/http/template_evaluate_private.hpp"
#include "coax/http/value_private.hpp"

namespace coax::http::templates {

namespace {

bool is_alphanumeric(char c) noexcept {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z' && static_cast<unsigned char>(c) < 0x80);
}

struct Replacements {
  constexpr void set(char c, std::string_view text) {
    texts[static_cast<unsigned char>(c)] = text;
    is_replaced[static_cast<unsigned char>(c)] = 1;
  }
  std::array<std::string_view, 256> texts{};
  std::array<std::uint8_t, 256> is_replaced{};
};

constexpr Replacements html = [] {
  Replacements table{};
  table.set('&', "&amp;");
  table.set('<', "&lt;");
  table.set('>', "&gt;");
  table.set('"', "&quot;");
  table.set('\'', "&#39;");
  table.set('\0', "\xef\xbf\xbd");
  return table;
}();

// What ends an attribute without quotes, or begins one.
constexpr Replacements unquoted = [] {
  Replacements table = html;
  table.set(' ', "&#32;");
  table.set('\t', "&#9;");
  table.set('\n', "&#10;");
  table.set('\f', "&#12;");
  table.set('\r', "&#13;");
  table.set('=', "&#61;");
  table.set('`', "&#96;");
  return table;
}();

void append_replaced(std::string& text, std::string_view value, const Replacements& table) {
  std::size_t done = 0;
  std::size_t at = 0;
  const auto is_replaced = [&](std::size_t index) {
    return table.is_replaced[static_cast<unsigned char>(value[index])];
  };
  while (at < value.size()) {
    // Most characters are harmless: four are looked at together.
    if (at + 4 <= value.size() &&
        (is_replaced(at) | is_replaced(at + 1) | is_replaced(at + 2) | is_replaced(at + 3)) == 0) {
      at += 4;
      continue;
    }
    if (is_replaced(at) != 0) {
      text.append(value, done, at - done).append(table.texts[static_cast<unsigned char>(value[at])]);
      done = at + 1;
    }
    ++at;
  }
  text.append(value, done);
}

void append_percent(std::string& text, std::string_view value, std::string_view kept) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : value) {
    if (is_alphanumeric(c) || kept.contains(c)) {
      text += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      text += '%';
      text += digits[byte >> 4];
      text += digits[byte & 0xf];
    }
  }
}

constexpr std::string_view unreserved = "-._~";
// RFC 3986, without quotes and parentheses, which end a url() of CSS, and with '%': what is encoded stays so.
constexpr std::string_view reserved = "-._~:/?#[]@!$&*+,;=%";

// What is before the first colon is a scheme, unless the address has become a path, query or fragment before it.
bool has_allowed_scheme(std::string_view address) {
  const std::size_t end = address.find_first_of(":/?#");
  if (end == std::string_view::npos || address[end] != ':') return true;
  constexpr std::array<std::string_view, 6> allowed{"http", "https", "mailto", "tel", "sms", "ftp"};
  return std::ranges::any_of(
      allowed, [&](std::string_view scheme) { return equal_ignoring_case(scheme, address.substr(0, end)); });
}

constexpr std::string_view refused_scheme = "#refused-scheme";

void append_address(std::string& text, std::string_view value, Escape::Inner where) {
  switch (where) {
    case Escape::Inner::url_start: {
      // Browsers drop these before they look for a scheme.
      std::string_view address = value;
      while (!address.empty() && static_cast<unsigned char>(address.front()) <= 0x20) address.remove_prefix(1);
      if (!has_allowed_scheme(address)) {
        text += refused_scheme;
        return;
      }
      return append_percent(text, address, reserved);
    }
    case Escape::Inner::url_unsure: {
      std::string kept(reserved);
      std::erase(kept, ':');
      std::erase(kept, ',');  // which could end an address of a list
      return append_percent(text, value, kept);
    }
    case Escape::Inner::url_list_path: {
      std::string kept(reserved);
      std::erase(kept, ',');
      return append_percent(text, value, kept);
    }
    case Escape::Inner::url_path: return append_percent(text, value, reserved);
    case Escape::Inner::url_query: return append_percent(text, value, unreserved);
    default: break;
  }
  // A list of addresses with sizes: "small.png 1x, large.png 2x".
  while (true) {
    const std::string_view candidate = trim(value.substr(0, value.find(',')));
    const std::size_t space = std::min(candidate.find_first_of(" \t\n\r\f"), candidate.size());
    append_address(text, candidate.substr(0, space), Escape::Inner::url_start);
    const std::string_view size = trim(candidate.substr(space));
    if (!size.empty() && std::ranges::all_of(size, [](char c) { return is_alphanumeric(c) || c == '.'; })) {
      text.append(" ").append(size);
    }
    if (!value.contains(',')) return;
    text += ", ";
    value.remove_prefix(value.find(',') + 1);
  }
}

// Harmless in every part of a style sheet: as a word, in a string, in url(), in a comment.
void append_style(std::string& text, std::string_view value) {
  constexpr std::string_view allowed = " #%.,+-_";
  const bool is_harmless =
      std::ranges::all_of(value, [&](char c) { return is_alphanumeric(c) || allowed.contains(c); });
  text += is_harmless ? value : "refused-value";
}

// Within a string of a script: also safe in one of the other kind of quotes, and in JSON.
void append_script_text(std::string& text, std::string_view value) {
  std::string escaped;
  append_json_string(escaped, value, true);
  for (std::size_t at = 0; at < escaped.size(); ++at) {
    if (escaped[at] == '\\' && escaped[at + 1] == '"') {
      text += "\\u0022";
      ++at;
    } else if (escaped[at] == '\\' && escaped[at + 1] == '\\') {
      text += "\\\\";
      ++at;
    } else if (escaped[at] == '`') {
      text += "\\u0060";
    } else {
      text += escaped[at];
    }
  }
}

void append_inner(std::string& text, const Value& value, Escape::Inner inner, Budget& budget) {
  if (inner == Escape::Inner::json) {
    budget.spend_text(value);
    append_json(text, value, true);
    return;
  }
  const std::string made = value.kind() == Value::Kind::string ? std::string() : text_of(value, budget);
  const std::string_view plain = value.kind() == Value::Kind::string ? std::string_view(value.as_string()) : made;
  budget.spend_steps(plain.size() / 64);
  switch (inner) {
    case Escape::Inner::none: text += plain; break;
    case Escape::Inner::script_text: append_script_text(text, plain); break;
    case Escape::Inner::style: append_style(text, plain); break;
    default: append_address(text, plain, inner);
  }
}

void append_integer(std::string& text, std::int64_t integer) {
  std::array<char, 24> digits;
  text.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), integer).ptr);
}

}  // namespace

void append_html(std::string& text, std::string_view value) { append_replaced(text, value, html); }

void append_form_encoded(std::string& text, std::string_view value) {
  for (const char c : value) {
    if (c == ' ') {
      text += '+';
    } else {
      append_percent(text, std::string_view(&c, 1), unreserved);
    }
  }
}

void append_escaped(std::string& text, const Value& value, Escape escape, Budget& budget, std::string& spare) {
  if ((escape.inner == Escape::Inner::none || escape.inner == Escape::Inner::url_path ||
       escape.inner == Escape::Inner::url_query || escape.inner == Escape::Inner::style) &&
      escape.outer != Escape::Outer::unquoted) {
    // Numbers and names of constants are harmless at all of these.
    if (value.kind() == Value::Kind::integer) return append_integer(text, value.as_integer());
  }
  if (escape.inner == Escape::Inner::none && escape.outer != Escape::Outer::unquoted) {
    // Most are these, and need no text of their own.
    if (value.kind() == Value::Kind::number) {
      text += to_text(value.as_number());
      return;
    }
    if (value.kind() == Value::Kind::string) {
      if (escape.outer == Escape::Outer::html) return append_html(text, value.as_string());
      text += value.as_string();
      return;
    }
  }
  if (escape.outer == Escape::Outer::none) return append_inner(text, value, escape.inner, budget);
  spare.clear();
  append_inner(spare, value, escape.inner, budget);
  if (escape.outer == Escape::Outer::html) return append_html(text, spare);
  // Empty, the attribute would take the next one as its value.
  append_replaced(text, spare.empty() ? " " : std::string_view(spare), unquoted);
}

}  // namespace coax::http::templates

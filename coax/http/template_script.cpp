// Follows JavaScript (ECMA-262, section 12) just far enough to tell code, strings, comments and regular expressions
// from each other. Whether a slash divides or begins a regular expression is decided by the token before it, which is
// right for code as people write it; where it is not known, the script counts as lost.
#include <algorithm>

#include "coax/http/template_context_private.hpp"

namespace coax::http::templates {

namespace {

bool is_word_character(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
         c == '.' || static_cast<unsigned char>(c) >= 0x80;
}

// A value may follow these, so that a slash after them begins a regular expression.
bool precedes_value(std::string_view word) noexcept {
  constexpr std::array<std::string_view, 15> words{"await",   "case", "delete",     "do",   "else",
                                                   "finally", "in",   "instanceof", "new",  "return",
                                                   "throw",   "try",  "typeof",     "void", "yield"};
  return std::ranges::find(words, word) != words.end();
}

}  // namespace

void Script::end_word() noexcept {
  if (word.size == 0) return;
  slash = precedes_value(word.text()) ? Slash::begins_pattern : Slash::divides;
  word.clear();
}

void Script::settle() noexcept {
  end_word();
  previous = '\0';
  if (!has_slash) return;
  has_slash = false;
  if (slash == Slash::begins_pattern) {
    state = State::expression_pattern;
  } else if (slash == Slash::unknown) {
    state = State::lost;
  } else {
    slash = Slash::begins_pattern;
  }
}

void Script::advance(char c) noexcept {
  switch (state) {
    case State::code: advance_code(c); break;
    case State::single_quoted: advance_quoted(c, '\''); break;
    case State::double_quoted: advance_quoted(c, '"'); break;
    case State::template_literal: advance_template(c); break;
    case State::expression_pattern:
    case State::pattern_class: advance_pattern(c); break;
    case State::line_comment:
      if (c == '\n' || c == '\r') state = State::code;
      break;
    case State::block_comment:
      if (c == '/' && previous == '*') state = State::code;
      previous = c;
      break;
    case State::lost: break;
  }
}

void Script::advance_code(char c) noexcept {
  if (has_slash) {
    if (c == '/' || c == '*') {
      has_slash = false;
      previous = '\0';
      state = c == '/' ? State::line_comment : State::block_comment;
      return;
    }
    settle();
    if (state != State::code) return advance(c);
  }
  if (is_word_character(c)) return word.add(c);
  end_word();
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return;
  advance_mark(c);
  previous = c;
}

void Script::advance_mark(char c) noexcept {
  switch (c) {
    case '/': has_slash = true; return;
    case '"': state = State::double_quoted; return;
    case '\'': state = State::single_quoted; return;
    case '`': state = ++level == levels_max ? State::lost : State::template_literal; return;
    case ')':
    case ']': slash = Slash::divides; return;
    case '+':
    case '-': slash = previous == c ? Slash::divides : Slash::begins_pattern; return;
    case '{':
      if (level != 0 && ++braces[level] == 0) state = State::lost;
      break;
    case '}':
      if (level != 0 && braces[level]-- == 0) {
        braces[level] = 0;
        state = State::template_literal;
      }
      break;
    default: break;
  }
  slash = Slash::begins_pattern;
}

void Script::advance_quoted(char c, char quote) noexcept {
  if (is_escaped) {
    is_escaped = false;
  } else if (c == '\\') {
    is_escaped = true;
  } else if (c == '\n') {
    state = State::lost;
  } else if (c == quote) {
    state = State::code;
    slash = Slash::divides;
  }
}

void Script::advance_template(char c) noexcept {
  const bool is_after_dollar = std::exchange(previous, c) == '$';
  if (is_escaped) {
    is_escaped = false;
    previous = '\0';
  } else if (c == '\\') {
    is_escaped = true;
  } else if (c == '{' && is_after_dollar) {
    state = State::code;
    slash = Slash::begins_pattern;
  } else if (c == '`') {
    --level;
    state = State::code;
    slash = Slash::divides;
  }
}

void Script::advance_pattern(char c) noexcept {
  if (is_escaped) {
    is_escaped = false;
  } else if (c == '\\') {
    is_escaped = true;
  } else if (c == '\n') {
    state = State::lost;
  } else if (c == '[') {
    state = State::pattern_class;
  } else if (c == ']') {
    state = State::expression_pattern;
  } else if (c == '/' && state == State::expression_pattern) {
    state = State::code;
    slash = Slash::divides;
  }
}

}  // namespace coax::http::templates

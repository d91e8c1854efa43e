// Control keys are those of readline's Emacs mode; sequences those of xterm, rxvt and the Linux console.
#include "app/console/keys.hpp"

#include <charconv>
#include <utility>

namespace coax::app {

namespace {

using namespace std::chrono_literals;

constexpr std::optional<Key> of(Key::Kind kind) { return Key{.kind = kind}; }

std::optional<Key> of_control(char byte) {
  switch (byte) {
    case 'A' - '@': return of(Key::Kind::home);
    case 'B' - '@': return of(Key::Kind::left);
    case 'D' - '@': return of(Key::Kind::end_of_input);
    case 'E' - '@': return of(Key::Kind::end);
    case 'F' - '@': return of(Key::Kind::right);
    case 'H' - '@':
    case 0x7F: return of(Key::Kind::backspace);
    case '\n':
    case '\r': return of(Key::Kind::enter);
    case 'K' - '@': return of(Key::Kind::kill_to_end);
    case 'L' - '@': return of(Key::Kind::redraw);
    case 'N' - '@': return of(Key::Kind::next);
    case 'P' - '@': return of(Key::Kind::previous);
    case 'T' - '@': return of(Key::Kind::transpose);
    case 'U' - '@': return of(Key::Kind::kill_to_start);
    case 'W' - '@': return of(Key::Kind::backspace_word);
    case 'Y' - '@': return of(Key::Kind::yank);
    default: return std::nullopt;
  }
}

std::optional<Key> of_alt(char byte) {
  switch (byte) {
    case 'b':
    case 'B': return of(Key::Kind::word_left);
    case 'f':
    case 'F': return of(Key::Kind::word_right);
    case 'd':
    case 'D': return of(Key::Kind::erase_word);
    case 'H' - '@':
    case 0x7F: return of(Key::Kind::backspace_word);
    default: return std::nullopt;
  }
}

// "1;5" of Ctrl-Left: the key and its modifiers (xterm: 1 and Shift 1, Alt 2, Ctrl 4).
struct Parameters {
  unsigned key = 0;
  unsigned modifiers = 0;
  [[nodiscard]] bool by_word() const { return (modifiers & 6U) != 0; }
};

Parameters parameters_of(const ControlSequences::Token& token) {
  Parameters parameters;
  const char* const end = token.text.data() + token.text.size();
  const auto first = std::from_chars(token.text.data(), end, parameters.key);
  unsigned modifier = 1;
  if (first.ptr != end && *first.ptr == ';') std::from_chars(first.ptr + 1, end, modifier);
  if (modifier > 1) parameters.modifiers = modifier - 1;
  if (token.meta) parameters.modifiers |= 2U;
  return parameters;
}

std::optional<Key> of_final(char final, bool by_word) {
  switch (final) {
    case 'A': return of(Key::Kind::previous);
    case 'B': return of(Key::Kind::next);
    case 'C': return of(by_word ? Key::Kind::word_right : Key::Kind::right);
    case 'D': return of(by_word ? Key::Kind::word_left : Key::Kind::left);
    case 'F': return of(Key::Kind::end);
    case 'H': return of(Key::Kind::home);
    case 'c': return of(Key::Kind::word_right);  // rxvt: Ctrl and an arrow
    case 'd': return of(Key::Kind::word_left);
    default: return std::nullopt;
  }
}

std::optional<Key> of_number(unsigned number, bool by_word) {
  switch (number) {
    case 1:
    case 7: return of(Key::Kind::home);
    case 3: return of(by_word ? Key::Kind::erase_word : Key::Kind::erase);
    case 4:
    case 8: return of(Key::Kind::end);
    default: return std::nullopt;
  }
}

std::optional<Key> of_csi(const ControlSequences::Token& token) {
  const bool is_private = !token.text.empty() && token.text.find_first_not_of("0123456789;") != std::string::npos;
  if (is_private) return std::nullopt;
  const Parameters parameters = parameters_of(token);
  if (token.final == '~') return of_number(parameters.key, parameters.by_word());
  if (token.final == '^') return of_number(parameters.key, true);  // rxvt: with Ctrl
  const bool is_arrow = token.final >= 'A' && token.final <= 'H';
  return is_arrow ? of_final(token.final, parameters.by_word()) : std::nullopt;
}

}  // namespace

std::optional<Key> Keys::next() {
  while (const auto token = sequences_.next()) {
    if (auto key = in_paste_ ? pasted(*token) : key_of(*token)) return key;
  }
  return std::nullopt;
}

std::optional<Duration> Keys::patience() const noexcept {
  // A paste contains no Escape key: the incomplete sequence is its end mark, the rest of which may arrive late.
  if (in_paste_ || !sequences_.is_incomplete()) return std::nullopt;
  return sequences_.is_escape_alone() ? 100ms : 1s;
}

std::optional<Key> Keys::key_of(const Token& token) {
  switch (token.kind) {
    case Token::Kind::character: return Key{.text = token.text};
    case Token::Kind::control: return of_control(token.final);
    case Token::Kind::escape: return token.text.empty() ? of_alt(token.final) : std::nullopt;
    case Token::Kind::ss3:
      if (token.final == 'M') return of(Key::Kind::enter);  // of the keypad
      return of_final(token.final, parameters_of(token).by_word());
    case Token::Kind::csi:
      if (token.final != '~' || token.text != "200") return of_csi(token);
      in_paste_ = true;
      after_cr_ = false;
      return std::nullopt;
    case Token::Kind::invalid:
    case Token::Kind::string: break;
  }
  return std::nullopt;
}

// Line ends and tabs are text here; other controls and sequences are dropped.
std::optional<Key> Keys::pasted(const Token& token) {
  const bool after_cr = std::exchange(after_cr_, false);
  if (token.kind == Token::Kind::character) return Key{.text = token.text};
  if (token.kind == Token::Kind::csi && token.final == '~' && token.text == "201") in_paste_ = false;
  if (token.kind != Token::Kind::control) return std::nullopt;
  after_cr_ = token.final == '\r';
  if (token.final == '\t') return Key{.text = "\t"};
  if (token.final == '\r' || (token.final == '\n' && !after_cr)) return Key{.text = "\n"};
  return std::nullopt;
}

}  // namespace coax::app

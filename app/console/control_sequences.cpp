// A state machine with a state for each place within a sequence, as in ECMA-48, sections 5.4 and 5.6. In UTF-8 the C1
// controls are two bytes (0xC2 0x80 to 0x9F) and mean the same as ESC and a letter.
#include "app/console/control_sequences.hpp"

#include <utility>

#include "coax/base/text.hpp"

namespace coax::app {

namespace {

constexpr char escape_byte = 0x1B;
constexpr char bell = 0x07;

constexpr bool is_control(char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; }
constexpr bool is_high(char byte) { return static_cast<unsigned char>(byte) >= 0x80; }
constexpr bool is_between(char byte, char first, char last) { return byte >= first && byte <= last; }
constexpr bool aborts(char byte) { return byte == 0x18 || byte == 0x1A; }  // CAN, SUB

}  // namespace

std::optional<ControlSequences::Token> ControlSequences::next() {
  while (read_ != input_.size()) {
    if (auto token = step(input_[read_++])) return token;
  }
  input_.clear();
  read_ = 0;
  return std::nullopt;
}

void ControlSequences::abandon() noexcept {
  state_ = State::ground;
  meta_ = false;
  collected_.clear();
  character_.clear();
}

void ControlSequences::begin(State state) noexcept {
  state_ = state;
  collected_.clear();
}

ControlSequences::Token ControlSequences::end(Token::Kind kind, char final) {
  state_ = State::ground;
  return {.kind = kind, .final = final, .meta = std::exchange(meta_, false), .text = std::exchange(collected_, {})};
}

// The byte is not part of the sequence: the sequence is dropped, and the byte is parsed again.
std::optional<ControlSequences::Token> ControlSequences::restart(char byte) {
  abandon();
  return step(byte);
}

std::optional<ControlSequences::Token> ControlSequences::step(char byte) {
  switch (state_) {
    case State::ground: return in_ground(byte);
    case State::escape: return in_escape(byte);
    case State::alt:
    case State::mouse: return in_ground(byte);
    case State::string:
    case State::string_escape: return in_string(byte);
    case State::intermediate:
    case State::csi:
    case State::console:
    case State::ss3: return in_sequence(byte);
  }
  return std::nullopt;
}

// A character: of the text, after Alt, or of a mouse report.
std::optional<ControlSequences::Token> ControlSequences::in_ground(char byte) {
  if (character_.empty() && !is_high(byte) && (state_ == State::ground || byte == escape_byte)) {
    if (byte == escape_byte) {
      abandon();
      begin(State::escape);
      return std::nullopt;
    }
    if (is_control(byte)) return end(Token::Kind::control, byte);
  }
  character_ += byte;
  Utf8Check check;
  if (!check.feed(character_)) {
    const bool is_of_next = character_.size() > 1;
    if (is_of_next) --read_;
    return complete_character(Token::Kind::invalid);
  }
  return check.complete() ? complete_character(Token::Kind::character) : std::nullopt;
}

std::optional<ControlSequences::Token> ControlSequences::complete_character(Token::Kind kind) {
  const std::string character = std::exchange(character_, {});
  if (state_ == State::mouse) return in_mouse();
  if (state_ == State::alt) return end(Token::Kind::escape, 0);
  const bool is_c1 = character.size() == 2 && character[0] == '\xC2' && is_between(character[1], '\x80', '\x9F');
  if (is_c1) {
    const char introducer = static_cast<char>(character[1] - 0x40);
    if (begin_by(introducer)) return std::nullopt;
    return end(Token::Kind::escape, introducer);
  }
  collected_ = character;
  return end(kind, 0);
}

std::optional<ControlSequences::Token> ControlSequences::in_mouse() {
  if (--mouse_characters_ != 0) return std::nullopt;
  return end(Token::Kind::csi, 'M');
}

bool ControlSequences::begin_by(char introducer) noexcept {
  switch (introducer) {
    case '[': begin(State::csi); return true;
    case 'O': begin(State::ss3); return true;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': begin(State::string); return true;
    default: return false;
  }
}

std::optional<ControlSequences::Token> ControlSequences::in_escape(char byte) {
  if (byte == escape_byte) {
    meta_ = true;
    return std::nullopt;
  }
  if (begin_by(byte)) return std::nullopt;
  if (is_between(byte, 0x20, 0x2F)) {
    begin(State::intermediate);
    collected_ = byte;
    return std::nullopt;
  }
  if (source_ == Source::output && (is_control(byte) || is_high(byte))) return restart(byte);
  if (!is_high(byte)) return end(Token::Kind::escape, byte);
  begin(State::alt);
  return in_ground(byte);
}

std::optional<ControlSequences::Token> ControlSequences::in_sequence(char byte) {
  const bool is_keyboard = source_ == Source::keyboard;
  const char first_final = state_ == State::intermediate ? 0x30 : 0x40;
  if (byte == escape_byte || is_control(byte) || is_high(byte) || collected_.size() == sequence_bytes_max) {
    if (!aborts(byte)) return restart(byte);
    abandon();
    return std::nullopt;
  }
  if (byte < first_final) {
    collected_ += byte;
    return std::nullopt;
  }
  if (state_ == State::intermediate) return end(Token::Kind::escape, byte);
  if (state_ == State::ss3) return end(Token::Kind::ss3, byte);
  if (is_keyboard && state_ == State::csi && collected_.empty()) {
    if (byte == '[') {
      begin(State::console);
      collected_ = byte;
      return std::nullopt;
    }
    if (byte == 'M') {
      begin(State::mouse);
      mouse_characters_ = 3;
      return std::nullopt;
    }
  }
  return end(Token::Kind::csi, byte);
}

std::optional<ControlSequences::Token> ControlSequences::in_string(char byte) {
  if (state_ == State::string_escape) {
    if (byte == '\\') return end(Token::Kind::string, 0);
    begin(State::escape);
    return in_escape(byte);
  }
  if (byte == escape_byte) {
    state_ = State::string_escape;
    return std::nullopt;
  }
  if (byte == bell) return end(Token::Kind::string, 0);
  const bool is_typed = source_ == Source::keyboard && is_control(byte);
  if (aborts(byte) || is_typed || collected_.size() == sequence_bytes_max) return restart(byte);
  collected_ += byte;
  return std::nullopt;
}

}  // namespace coax::app

// Tokenizes the bytes of a keyboard or of a program's output: characters, controls and control sequences (ECMA-48,
// ECMA-35). A sequence is one token, known or not, so that no part of it is read as text. Pure: no descriptor, no
// clock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"

namespace coax::app {

class ControlSequences {
 public:
  // A keyboard sends sequences that output never has: `ESC [ M` and three characters (mouse), `ESC [ [ A` (F1 of a
  // Linux console), and Alt with a character as ESC before it.
  enum class Source : std::uint8_t { keyboard, output };

  struct Token {
    enum class Kind : std::uint8_t {
      character,  // text: one in UTF-8
      invalid,    // a byte that is not UTF-8
      control,    // final: C0 or DEL
      csi,        // text: parameters and intermediates; final
      ss3,        // the same
      escape,     // ESC and `final`, or ESC and another character (final is 0)
      string,     // OSC, DCS, SOS, PM, APC with their content
    };
    Kind kind = Kind::character;
    char final = 0;
    bool meta = false;  // after another ESC: Alt
    std::string text = {};
  };

  explicit ControlSequences(Source source) noexcept : source_(source) {}

  void feed(BytesView bytes) { input_.append(bytes); }
  // Nothing: more bytes are needed.
  std::optional<Token> next();
  // A sequence or a character is incomplete.
  [[nodiscard]] bool is_incomplete() const noexcept { return state_ != State::ground || !character_.empty(); }
  // ESC alone, which may be the Escape key.
  [[nodiscard]] bool is_escape_alone() const noexcept { return state_ == State::escape; }
  // The end of the input: an incomplete token is dropped.
  void abandon() noexcept;

 private:
  enum class State : std::uint8_t {
    ground,
    escape,
    intermediate,
    alt,
    csi,
    console,
    ss3,
    string,
    string_escape,
    mouse
  };
  static constexpr std::size_t sequence_bytes_max = 4096;

  std::optional<Token> step(char byte);
  std::optional<Token> in_ground(char byte);
  std::optional<Token> in_escape(char byte);
  std::optional<Token> in_sequence(char byte);
  std::optional<Token> in_string(char byte);
  std::optional<Token> in_mouse();
  std::optional<Token> complete_character(Token::Kind kind);
  void begin(State state) noexcept;
  bool begin_by(char introducer) noexcept;
  Token end(Token::Kind kind, char final);
  std::optional<Token> restart(char byte);

  Source source_;
  State state_ = State::ground;
  bool meta_ = false;
  int mouse_characters_ = 0;
  std::string input_;
  std::size_t read_ = 0;   // in input_
  std::string collected_;  // of the sequence
  std::string character_;  // its first bytes
};

}  // namespace coax::app

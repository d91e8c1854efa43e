// Keys: decodes the terminal's input into key presses. Each sequence is a key of the editor, or ignored.
#pragma once

#include <optional>
#include <string>

#include "app/console/control_sequences.hpp"
#include "coax/base/units.hpp"

namespace coax::app {

struct Key {
  enum class Kind : std::uint8_t {
    text,  // typed or pasted; pasted text has tabs and line ends
    enter,
    end_of_input,  // Ctrl-D; on a line that is not empty it deletes to the right
    left,
    right,
    word_left,
    word_right,
    home,
    end,
    previous,  // of the history
    next,
    backspace,
    erase,  // Delete
    backspace_word,
    erase_word,
    kill_to_start,
    kill_to_end,
    yank,
    transpose,
    redraw,
  };
  Kind kind = Kind::text;
  std::string text = {};
  bool operator==(const Key&) const = default;
};

class Keys {
 public:
  void feed(BytesView bytes) { sequences_.feed(bytes); }
  // Nothing: more bytes are needed.
  std::optional<Key> next();
  // How long to wait for the rest of an incomplete sequence, before pause(); nothing: there is none.
  [[nodiscard]] std::optional<Duration> patience() const noexcept;
  // The wait is over: ESC alone, or an incomplete sequence, is dropped.
  void pause() noexcept { sequences_.abandon(); }

 private:
  using Token = ControlSequences::Token;
  std::optional<Key> key_of(const Token& token);
  std::optional<Key> pasted(const Token& token);

  ControlSequences sequences_{ControlSequences::Source::keyboard};
  bool in_paste_ = false;  // between `ESC [ 200 ~` and `ESC [ 201 ~` (bracketed paste)
  bool after_cr_ = false;  // in a paste: a LF belongs to it
};

}  // namespace coax::app

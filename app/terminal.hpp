// Terminal: the person at standard input and output, or a pipe or file in their place. Lines that come while somebody
// types never tear what is being typed.
//
// The loop waits for sockets only, so a thread waits for the keys: it reads one edited line each time the loop asks
// for one, and posts it. Between two keys the loop may print.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/standard_io.hpp"
#include "coax/codec/lines.hpp"
#include "coax/task/task.hpp"

namespace coax::app {

class Terminal {
 public:
  // On the current loop, one at a time. From here to the destructor nobody else may read standard input; the destructor
  // leaves the terminal as it was. Throws std::system_error.
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  // Somebody types and reads here: lines are edited, with a prompt and a history.
  [[nodiscard]] bool interactive() const noexcept { return editor_ != nullptr; }
  // Standard output shows colours: a terminal that is not dumb, and NO_COLOR is not set.
  [[nodiscard]] bool coloured() const noexcept { return coloured_; }

  // What becomes of a line that was typed: the answer to a question stays, a message vanishes, since its echo follows.
  enum class Typed : std::uint8_t { stays, vanishes };
  // The next line without its line end; nothing at the end of the input (Ctrl-D). The prompt is for an interactive one.
  // One call at a time. Throws Error(invalid) on a line above line_bytes_max. Cancelled: nothing is lost.
  Task<std::optional<std::string>> next_line(std::string prompt, Typed typed);
  // Whole lines, each with its line end.
  void print(std::string_view lines);

 private:
  static constexpr std::size_t line_bytes_max = 1 << 20;

  class Editor;
  class Reader;
  std::optional<std::string> next_piped_line();

  bool coloured_;
  std::unique_ptr<Editor> editor_;  // when interactive; used by the reader's thread, which ends before it
  std::unique_ptr<Reader> reader_;
  // Of a pipe.
  std::optional<StandardInput> input_;
  LineDecoder lines_{line_bytes_max};
};

}  // namespace coax::app

// Terminal: a person at standard input and output, or a pipe or file instead. Lines that arrive while the person types
// never break the line that is being typed.
//
// Nothing here blocks the loop. Printed lines are queued, and written by work(). A terminal that is not read (Ctrl-S, a
// stopped terminal program) costs output_bytes_max: further lines are counted and dropped, and the count is printed
// later. A pipe drops nothing: the caller of print() waits in has_room().
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "app/console/display.hpp"
#include "app/console/keys.hpp"
#include "app/console/line_editor.hpp"
#include "app/console/standard_io.hpp"
#include "coax/task/signals.hpp"
#include "coax/task/task.hpp"

namespace coax::app {

class Terminal {
 public:
  // On the current loop, one at a time. During its lifetime nothing else may read standard input. The destructor
  // restores the terminal, and writes what fits at once.
  Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;
  ~Terminal();

  // A person types and reads here: lines are edited, with a prompt and a history.
  [[nodiscard]] bool interactive() const noexcept { return modes_ != nullptr; }
  // Standard output shows colours: the terminal is not dumb, and NO_COLOR is not set.
  [[nodiscard]] bool coloured() const noexcept { return coloured_; }

  // Reads keys and writes printed lines, until it is cancelled. Throws: Error when standard input or output fails.
  Task<> work();

  // Whether a typed line is kept on the screen: an answer to a question is, a message is not, since its echo follows.
  enum class Typed : std::uint8_t { stays, vanishes };
  // One call at a time. The prompt is for an interactive terminal. Each line of a paste is returned by a call of its
  // own. A line of a pipe above line_bytes_max is returned in parts.
  // Returns: the next line without its line end; nothing at the end of the input (Ctrl-D).
  // Cancelled: no line is lost.
  Task<std::optional<std::string>> next_line(std::string prompt, Typed typed);

  // Complete lines, each with its line end.
  void print(std::string_view lines);
  // Waits until a pipe has accepted enough of the output. Returns at once for a terminal.
  Task<> has_room();
  [[nodiscard]] bool is_full() const noexcept { return printed_.size() > output_bytes_max; }
  // Waits until all output is written.
  Task<> flush();

 private:
  static constexpr std::size_t line_bytes_max = 1 << 20;
  static constexpr std::size_t output_bytes_max = 1 << 20;

  class Modes;

  Task<> read_keys();
  Task<> read_more_keys();
  Task<> watch_signals();
  Task<> write_output();
  void apply_keys();
  void enter_line();
  std::string next_frame();
  void erase_prompt(std::string& out);
  void draw_prompt(std::string& out);
  std::optional<std::string> next_piped_line();
  [[nodiscard]] Layout lay_out_prompt() const;

  bool coloured_;
  std::unique_ptr<Modes> modes_;  // when interactive
  StandardInput input_;
  StandardOutput output_;

  // Output that is not written yet.
  std::string printed_;
  std::size_t dropped_ = 0;  // lines
  bool is_writing_ = false;
  Event changed_;
  Event written_;

  // The line at the terminal.
  Keys keys_;
  LineEditor editor_;
  std::string prompt_;
  Typed typed_ = Typed::stays;
  bool asking_ = false;
  Event asked_;
  std::deque<std::string> entered_;
  bool ended_ = false;
  Event line_is_there_;
  std::optional<std::size_t> drawn_row_;  // of the cursor, below the prompt's first row; nothing: there is no prompt

  // Bytes of a pipe that were not returned yet, from piped_begin_ on; no line end is among the first searched_ bytes.
  std::string piped_;
  std::size_t piped_begin_ = 0;
  std::size_t searched_ = 0;
};

}  // namespace coax::app

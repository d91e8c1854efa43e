// Each frame erases the prompt with the typed line, prints the lines that arrived, and draws the prompt again; while
// one frame is written the next one collects. The typed line is drawn completely, row by row, so that a character whose
// width the terminal sees differently affects its row only. Bracketed paste is enabled while the terminal is ours.
#include "app/console/terminal.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "app/console/display.hpp"
#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax::app {

namespace {

constexpr std::string_view paste_on = "\x1b[?2004h";
constexpr std::string_view paste_off = "\x1b[?2004l";

bool is_dumb() {
  const char* const term = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): not changed here
  return term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
}

bool shows_colours() {
  const char* const no_colour = std::getenv("NO_COLOR");  // NOLINT(concurrency-mt-unsafe): not changed here
  return isatty(STDOUT_FILENO) == 1 && !is_dumb() && (no_colour == nullptr || *no_colour == '\0');
}

struct Size {
  int columns = 80;
  std::size_t rows = 24;
};

Size terminal_size() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {.columns = std::max<int>(size.ws_col, 2), .rows = size.ws_row};
}

// --- globals for the signal handlers ---

termios modes_before;

// The default action of a signal that stops or ends the process, with the terminal restored.
extern "C" void on_leaving_terminal(int number) {
  const int saved = errno;
  pollfd ready{STDOUT_FILENO, POLLOUT, 0};
  if (::poll(&ready, 1, 0) > 0) {
    [[maybe_unused]] const auto written = ::write(STDOUT_FILENO, paste_off.data(), paste_off.size());
  }
  tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
  struct sigaction ours{};
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  sigaction(number, &standard, &ours);
  sigset_t only_this;
  sigset_t before;
  sigemptyset(&only_this);
  sigaddset(&only_this, number);
  raise(number);
  pthread_sigmask(SIG_UNBLOCK, &only_this, &before);  // it stops here, and resumes when it is continued
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sigaction(number, &ours, nullptr);
  errno = saved;
}

}  // namespace

// --- the terminal's modes: keys one by one, without echo ---

class Terminal::Modes {
 public:
  Modes() {
    tcgetattr(STDIN_FILENO, &modes_before);
    apply();
    handle(SIGTSTP, stop_);
    handle(SIGQUIT, quit_);
  }
  Modes(const Modes&) = delete;
  Modes& operator=(const Modes&) = delete;
  ~Modes() {
    sigaction(SIGTSTP, &stop_, nullptr);
    sigaction(SIGQUIT, &quit_, nullptr);
    tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);  // TCSADRAIN would wait for a stopped terminal
  }

  // Signals by keys (Ctrl-C, Ctrl-Z) and flow control (Ctrl-S, Ctrl-Q) stay enabled.
  static void apply() {
    termios modes = modes_before;
    modes.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | IEXTEN);
    modes.c_iflag &= ~static_cast<tcflag_t>(ICRNL | INLCR | IGNCR | ISTRIP);
    modes.c_cc[VMIN] = 1;
    modes.c_cc[VTIME] = 0;
    tcsetattr(STDIN_FILENO, TCSANOW, &modes);
  }

 private:
  static void handle(int number, struct sigaction& before) {
    struct sigaction action{};
    action.sa_handler = on_leaving_terminal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, &before);
  }

  struct sigaction stop_{};
  struct sigaction quit_{};
};

Terminal::Terminal() : coloured_(shows_colours()) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 || is_dumb()) return;
  modes_ = std::make_unique<Modes>();
  output_.write_now(paste_on);
}

Terminal::~Terminal() {
  if (!modes_) return;
  asking_ = false;
  output_.write_now(next_frame() + std::string(paste_off));
}

Task<> Terminal::work() {
  if (!interactive()) co_return co_await write_output();
  co_await all(write_output(), read_keys(), watch_signals());
}

// --- output ---

void Terminal::print(std::string_view lines) {
  if (interactive() && printed_.size() + lines.size() > output_bytes_max) {
    dropped_ += static_cast<std::size_t>(std::ranges::count(lines, '\n'));
  } else {
    printed_ += lines;
  }
  changed_.set();
}

Task<> Terminal::has_room() {
  while (!interactive() && is_full()) {
    written_.clear();
    co_await written_.wait();
  }
}

Task<> Terminal::flush() {
  while (!printed_.empty() || is_writing_ || changed_.is_set()) {
    written_.clear();
    co_await written_.wait();
  }
}

Task<> Terminal::write_output() {
  while (true) {
    co_await changed_.wait();
    changed_.clear();
    is_writing_ = true;
    const std::string frame = next_frame();
    co_await output_.write(frame);
    is_writing_ = false;
    written_.set();
  }
}

std::string Terminal::next_frame() {
  std::string frame;
  erase_prompt(frame);
  frame += std::exchange(printed_, {});
  if (const std::size_t count = std::exchange(dropped_, 0); count != 0) {
    frame += fmt::format("[{} lines are missing here: the terminal took no more]\n", count);
  }
  if (asking_) draw_prompt(frame);
  return frame;
}

void Terminal::erase_prompt(std::string& out) {
  const auto row = std::exchange(drawn_row_, std::nullopt);
  if (!row) return;
  if (*row != 0) out += fmt::format("\x1b[{}A", *row);
  out += "\r\x1b[J";
}

// The part around the cursor, when the text does not fit on the screen.
Layout Terminal::lay_out_prompt() const {
  constexpr std::size_t shown_bytes_max = 32_KiB;
  const std::string& text = editor_.text();
  const std::size_t cursor = editor_.cursor();
  if (text.size() <= shown_bytes_max) {
    return lay_out(prompt_ + text, prompt_.size() + cursor, terminal_size().columns);
  }
  const std::size_t before = std::min(cursor, shown_bytes_max / 2);
  const std::size_t begin = previous_cluster(text, cursor - before);
  const std::size_t end = next_cluster(text, std::min(text.size(), cursor + shown_bytes_max / 2));
  const std::string shown = begin == 0 ? prompt_ : prompt_ + "... ";
  return lay_out(shown + text.substr(begin, end - begin), shown.size() + cursor - begin, terminal_size().columns);
}

// For a line that is higher than the screen, the rows around the cursor.
void Terminal::draw_prompt(std::string& out) {
  const Layout layout = lay_out_prompt();
  const std::size_t rows_max = terminal_size().rows;
  const std::size_t first = layout.cursor_row >= rows_max ? layout.cursor_row - rows_max + 1 : 0;
  const std::size_t last = std::min(layout.rows.size(), first + rows_max) - 1;
  for (std::size_t row = first; row <= last; ++row) {
    out += layout.rows[row];
    if (row != last) out += "\r\n";
  }
  if (layout.cursor_row != last) out += fmt::format("\x1b[{}A", last - layout.cursor_row);
  out += '\r';
  if (layout.cursor_column != 0) out += fmt::format("\x1b[{}C", layout.cursor_column);
  drawn_row_ = layout.cursor_row - first;
}

// --- keys ---

Task<> Terminal::read_keys() {
  while (true) {
    if (!asking_) {
      asked_.clear();
      co_await asked_.wait();
    }
    apply_keys();
    if (asking_) co_await read_more_keys();
  }
}

// Keys that are typed while there is no prompt wait for the next one.
void Terminal::apply_keys() {
  while (asking_) {
    const auto key = keys_.next();
    if (!key) return;
    changed_.set();
    const LineEditor::Result result = editor_.apply(*key);
    if (result == LineEditor::Result::entered) enter_line();
    if (result == LineEditor::Result::ended) ended_ = true;
    if (result == LineEditor::Result::edited) continue;
    asking_ = false;
    line_is_there_.set();
  }
}

void Terminal::enter_line() {
  if (typed_ == Typed::stays) print(prompt_ + editor_.text() + "\n");
  const std::string text = editor_.take();
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    entered_.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
}

Task<> Terminal::read_more_keys() {
  const auto patience = keys_.patience();
  bool paused = false;
  BytesView bytes;
  try {
    if (patience) {
      bytes = co_await timeout(*patience, input_.next());
    } else {
      bytes = co_await input_.next();
    }
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out) throw;
    paused = true;
  }
  if (paused) co_return keys_.pause();
  keys_.feed(bytes);
  if (!input_.ended()) co_return;
  ended_ = true;  // the terminal has hung up
  asking_ = false;
  line_is_there_.set();
}

// A new size; or another process used the terminal while we were stopped, and the cursor position is unknown.
Task<> Terminal::watch_signals() {
  Signals signals({SIGWINCH, SIGCONT});
  while (true) {
    const int number = co_await signals.next();
    if (number == SIGCONT) {
      Modes::apply();
      output_.write_now(paste_on);
      if (drawn_row_) drawn_row_ = 0;
    } else if (drawn_row_) {
      drawn_row_ = std::min(*drawn_row_, lay_out_prompt().cursor_row);
    }
    changed_.set();
  }
}

// --- lines ---

Task<std::optional<std::string>> Terminal::next_line(std::string prompt, Typed typed) {
  if (!interactive()) {
    while (true) {
      if (auto line = next_piped_line()) co_return line;
      if (input_.ended()) co_return std::nullopt;
      const BytesView bytes = co_await input_.next();
      piped_.append(bytes);
    }
  }
  while (entered_.empty() && !ended_) {
    prompt_ = prompt;
    typed_ = typed;
    asking_ = true;
    asked_.set();
    changed_.set();
    line_is_there_.clear();
    co_await line_is_there_.wait();
  }
  if (entered_.empty()) co_return std::nullopt;
  std::string line = std::move(entered_.front());
  entered_.pop_front();
  co_return line;
}

std::optional<std::string> Terminal::next_piped_line() {
  const std::string_view there = std::string_view(piped_).substr(piped_begin_);
  const std::size_t end = there.find('\n', searched_);
  const bool has_end = end != std::string_view::npos;
  const bool is_part = !has_end && there.size() > line_bytes_max;
  if (!has_end && !is_part && (!input_.ended() || there.empty())) {
    searched_ = there.size();
    piped_.erase(0, std::exchange(piped_begin_, 0));
    return std::nullopt;
  }
  const std::size_t size = has_end ? end : there.size() - (is_part ? cut_character_bytes(there) : 0);
  std::string line(there.substr(0, size));
  piped_begin_ += size + static_cast<std::size_t>(has_end);
  searched_ = 0;
  if (line.ends_with('\r')) line.pop_back();
  return line;
}

}  // namespace coax::app

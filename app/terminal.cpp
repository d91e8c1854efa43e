// Line editing is libedit's own interface, not its imitation of readline's callbacks: those read the rest of an escape
// sequence with a blocking read(2), so that a lone press of Esc would stop the loop until the next key. Here libedit
// runs on the thread of the Reader and holds a mutex while it works; it gives the mutex away while it waits for a key,
// and in such a moment the loop may erase the line that is being typed, print, and have it drawn again.
#include "app/terminal.hpp"

#include <fmt/core.h>
#include <histedit.h>
#include <langinfo.h>
#include <poll.h>
#include <pthread.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <clocale>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

namespace {

bool is_dumb() {
  const char* const term = std::getenv("TERM");
  return term == nullptr || *term == '\0' || std::string_view(term) == "dumb";
}

bool shows_colours() {
  const char* const no_colour = std::getenv("NO_COLOR");
  return isatty(STDOUT_FILENO) == 1 && !is_dumb() && (no_colour == nullptr || *no_colour == '\0');
}

// --- the terminal's modes and signals: what a signal handler needs is global ---

termios modes_before;
std::atomic<int> signal_wake = -1;
std::atomic<bool> was_continued = false;

extern "C" void on_terminal_change(int number) {
  const int saved = errno;
  if (number == SIGCONT) was_continued = true;
  Wake::set(signal_wake);
  errno = saved;
}

// The default action of a signal that stops or ends us, with the terminal as it was.
extern "C" void on_leaving_terminal(int number) {
  const int saved = errno;
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
  pthread_sigmask(SIG_UNBLOCK, &only_this, &before);  // here it stops, and goes on when it is continued
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  sigaction(number, &ours, nullptr);
  errno = saved;
}

// While it lives Ctrl-Z and Ctrl-\ leave the terminal as it was when this was made. (At the end libedit does.)
class TerminalSignals {
 public:
  explicit TerminalSignals(const Wake& wake) {
    tcgetattr(STDIN_FILENO, &modes_before);
    signal_wake = wake.descriptor();
    handle(SIGWINCH, on_terminal_change, window_);
    handle(SIGCONT, on_terminal_change, continue_);
    handle(SIGTSTP, on_leaving_terminal, stop_);
    handle(SIGQUIT, on_leaving_terminal, quit_);
  }
  TerminalSignals(const TerminalSignals&) = delete;
  TerminalSignals& operator=(const TerminalSignals&) = delete;
  ~TerminalSignals() {
    sigaction(SIGWINCH, &window_, nullptr);
    sigaction(SIGCONT, &continue_, nullptr);
    sigaction(SIGTSTP, &stop_, nullptr);
    sigaction(SIGQUIT, &quit_, nullptr);
  }

 private:
  static void handle(int number, void (*handler)(int), struct sigaction& before) {
    struct sigaction action{};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, &before);
  }

  struct sigaction window_{};
  struct sigaction continue_{};
  struct sigaction stop_{};
  struct sigaction quit_{};
};

std::wstring widen(const std::string& text) {
  std::wstring wide(text.size(), L'\0');
  const std::size_t length = std::mbstowcs(wide.data(), text.c_str(), wide.size());
  wide.resize(length == static_cast<std::size_t>(-1) ? 0 : length);
  return wide;
}

std::string narrow(std::wstring_view wide) {
  std::string text;
  std::mbstate_t state{};
  for (const wchar_t character : wide) {
    std::array<char, MB_LEN_MAX> bytes{};
    const std::size_t length = std::wcrtomb(bytes.data(), character, &state);
    if (length != static_cast<std::size_t>(-1)) text.append(bytes.data(), length);
  }
  return text;
}

// Where a cursor stands, counted from where the prompt began.
struct Place {
  int row = 0;
  int column = 0;

  // As libedit draws it: a wide character does not hang over the edge, a full row goes on in the next.
  void advance(std::wstring_view text, int columns) {
    for (const wchar_t character : text) {
      if (character == L'\n') {
        next_row();
        continue;
      }
      const int width = width_of(character);
      if (column + width > columns) next_row();
      column += width;
      if (column >= columns) next_row();
    }
  }

 private:
  void next_row() {
    ++row;
    column = 0;
  }
  [[nodiscard]] int width_of(wchar_t character) const {
    if (character == L'\t') return 8 - column % 8;
    if (character < L' ' || character == L'\x7F') return 2;  // ^X
    const int width = wcwidth(character);
    return width < 0 ? static_cast<int>(std::wstring_view(L"\\U+12345").size()) : width;
  }
};

}  // namespace

// --- a line, edited ---

class Terminal::Editor {
 public:
  // wait_for_key: blocks until standard input has something; false: it is time to end.
  Editor(const Wake& wake, std::function<bool()> wait_for_key);
  Editor(const Editor&) = delete;
  Editor& operator=(const Editor&) = delete;
  ~Editor();

  // On the reader's thread. Nothing: the end of the input.
  std::optional<std::string> read_line(const std::string& prompt, Typed typed);
  void redraw_if_changed();
  // Any thread.
  void print(std::string_view lines);

 private:
  static Editor& of(EditLine* line);
  static wchar_t* prompt_of(EditLine* line) { return of(line).prompt_.data(); }
  static int read_key(EditLine* line, wchar_t* key);
  [[nodiscard]] int columns() const;
  [[nodiscard]] Place cursor() const;
  static void erase(int rows_above);

  TerminalSignals signals_;
  std::function<bool()> wait_for_key_;
  std::mutex mutex_;  // of libedit and standard output; the reader's thread lets go of it while it waits for a key
  EditLine* line_;
  HistoryW* history_;
  std::wstring prompt_;
  bool reading_ = false;
};

Terminal::Editor::Editor(const Wake& wake, std::function<bool()> wait_for_key)
    : signals_(wake), wait_for_key_(std::move(wait_for_key)) {
  // libedit and wcwidth(3) take characters as the locale has them; ours are UTF-8.
  std::setlocale(LC_CTYPE, "");
  if (std::string_view(nl_langinfo(CODESET)) != "UTF-8") std::setlocale(LC_CTYPE, "C.UTF-8");
  line_ = el_init("coax", stdin, stdout, stderr);
  history_ = history_winit();
  if (line_ == nullptr || history_ == nullptr) throw std::bad_alloc();
  HistEventW event;
  history_w(history_, &event, H_SETSIZE, 500);
  history_w(history_, &event, H_SETUNIQUE, 1);
  el_wset(line_, EL_CLIENTDATA, this);
  el_wset(line_, EL_PROMPT, &prompt_of);
  el_wset(line_, EL_GETCFN, &read_key);
  el_wset(line_, EL_HIST, &history_w, history_);
  el_wset(line_, EL_EDITOR, L"emacs");
  el_wset(line_, EL_SIGNAL, 0);
  el_wset(line_, EL_SETTY, L"-x", L"-echo", nullptr);
  el_source(line_, nullptr);  // ~/.editrc
  // From now on, between two lines too: what is typed waits as it is, and shows with the next line.
  el_wset(line_, EL_PREP_TERM, 1);
}

Terminal::Editor::~Editor() {
  el_end(line_);
  history_wend(history_);
}

Terminal::Editor& Terminal::Editor::of(EditLine* line) {
  void* self = nullptr;
  el_wget(line, EL_CLIENTDATA, &self);
  return *static_cast<Editor*>(self);
}

std::optional<std::string> Terminal::Editor::read_line(const std::string& prompt, Typed typed) {
  const std::scoped_lock lock(mutex_);
  prompt_ = widen(prompt);
  reading_ = true;
  int length = 0;
  const wchar_t* const typed_line = el_wgets(line_, &length);
  el_wset(line_, EL_PREP_TERM, 1);
  reading_ = false;
  if (typed_line == nullptr || length <= 0 || typed_line[length - 1] != L'\n') {
    erase(cursor().row);
    return std::nullopt;
  }
  const std::wstring text(typed_line, static_cast<std::size_t>(length) - 1);
  if (typed == Typed::vanishes) {
    Place end;
    end.advance(prompt_ + text, columns());
    erase(end.row + 1);
  }
  HistEventW event;
  if (!text.empty()) history_w(history_, &event, H_ENTER, text.c_str());
  return narrow(text);
}

int Terminal::Editor::read_key(EditLine* line, wchar_t* key) {
  Editor& self = of(line);
  std::mbstate_t state{};
  while (true) {
    self.mutex_.unlock();
    const bool has_key = self.wait_for_key_();
    self.mutex_.lock();
    char byte = 0;
    const auto got = has_key ? ::read(STDIN_FILENO, &byte, 1) : 0;
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return 0;
    const std::size_t length = std::mbrtowc(key, &byte, 1, &state);
    if (length == static_cast<std::size_t>(-2)) continue;  // more bytes belong to it
    if (length != static_cast<std::size_t>(-1)) return 1;
    state = {};
  }
}

int Terminal::Editor::columns() const {
  int columns = 0;
  el_get(line_, EL_GETTC, "co", &columns);
  return columns > 0 ? columns : 80;
}

Place Terminal::Editor::cursor() const {
  const LineInfoW* const line = el_wline(line_);
  Place place;
  place.advance(prompt_, columns());
  place.advance({line->buffer, static_cast<std::size_t>(line->cursor - line->buffer)}, columns());
  return place;
}

// From the first column of so many rows above to the end of the screen.
void Terminal::Editor::erase(int rows_above) {
  if (rows_above > 0) fmt::print("\x1b[{}A", rows_above);
  fmt::print("\r\x1b[J");
  std::fflush(stdout);
}

void Terminal::Editor::print(std::string_view lines) {
  const std::scoped_lock lock(mutex_);
  if (reading_) erase(cursor().row);
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  if (reading_) el_wset(line_, EL_REFRESH);
  std::fflush(stdout);
}

// Another size, or the terminal was in other hands while we were stopped and the cursor is anywhere.
void Terminal::Editor::redraw_if_changed() {
  const std::scoped_lock lock(mutex_);
  int rows_above = cursor().row;
  el_resize(line_);
  rows_above = std::min(rows_above, cursor().row);
  if (was_continued.exchange(false)) {
    el_wset(line_, EL_PREP_TERM, 0);
    el_wset(line_, EL_PREP_TERM, 1);
    rows_above = 0;
  }
  erase(rows_above);
  el_wset(line_, EL_REFRESH);
}

// --- the thread that waits ---

class Terminal::Reader {
 public:
  Reader() = default;
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  ~Reader();

  [[nodiscard]] const Wake& wake() const noexcept { return wake_; }
  // The editor outlives the reader.
  void start(Editor& editor) {
    editor_ = &editor;
    thread_ = std::jthread([this] { work(); });
  }
  // The next line; nothing at the end of the input.
  Task<std::optional<std::string>> next(std::string prompt, Typed typed);
  // On the thread: until standard input has something; false: it is time to end.
  bool wait();

 private:
  struct Request {
    std::string prompt;
    Typed typed = Typed::stays;
  };
  // What the loop gets from the thread: it may still be on its way when the reader is gone.
  struct Mailbox {
    Event arrived;
    std::optional<std::string> line;
  };
  void work();
  std::optional<Request> next_request();

  Editor* editor_ = nullptr;
  Loop& loop_ = Loop::current();
  Wake wake_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  bool asked_ = false;  // of the loop: the thread owes a line

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Request> request_;
  std::atomic<bool> stopping_ = false;
  std::jthread thread_;
};

Terminal::Reader::~Reader() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  wake_.set();
}

Task<std::optional<std::string>> Terminal::Reader::next(std::string prompt, Typed typed) {
  if (!std::exchange(asked_, true)) {
    mailbox_->arrived.clear();
    const std::scoped_lock lock(mutex_);
    request_ = Request{std::move(prompt), typed};
    changed_.notify_one();
  }
  co_await mailbox_->arrived.wait();
  asked_ = false;
  co_return std::exchange(mailbox_->line, std::nullopt);
}

void Terminal::Reader::work() {
  while (const auto request = next_request()) {
    auto line = editor_->read_line(request->prompt, request->typed);
    loop_.post([mailbox = mailbox_, line = std::move(line)]() mutable {
      mailbox->line = std::move(line);
      mailbox->arrived.set();
    });
  }
}

std::optional<Terminal::Reader::Request> Terminal::Reader::next_request() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || request_; });
  return stopping_ ? std::nullopt : std::exchange(request_, std::nullopt);
}

bool Terminal::Reader::wait() {
  while (!stopping_) {
    std::array<pollfd, 2> watched{{{STDIN_FILENO, POLLIN, 0}, {wake_.descriptor(), POLLIN, 0}}};
    if (::poll(watched.data(), watched.size(), -1) < 0) continue;  // a signal
    if (watched[1].revents != 0) {
      wake_.clear();
      if (!stopping_) editor_->redraw_if_changed();
    } else if (watched[0].revents != 0) {
      return true;
    }
  }
  return false;
}

// --- Terminal ---

Terminal::Terminal() : coloured_(shows_colours()) {
  if (isatty(STDIN_FILENO) != 1 || isatty(STDOUT_FILENO) != 1 || is_dumb()) {
    input_.emplace();
    return;
  }
  reader_ = std::make_unique<Reader>();
  editor_ = std::make_unique<Editor>(reader_->wake(), [reader = reader_.get()] { return reader->wait(); });
  reader_->start(*editor_);
}

Terminal::~Terminal() = default;

Task<std::optional<std::string>> Terminal::next_line(std::string prompt, Typed typed) {
  if (interactive()) co_return co_await reader_->next(std::move(prompt), typed);
  while (true) {
    if (auto line = next_piped_line()) co_return line;
    if (input_->ended()) co_return std::nullopt;
    lines_.feed(co_await input_->next());
  }
}

std::optional<std::string> Terminal::next_piped_line() {
  auto event = lines_.next();
  if (!event && input_->ended()) event = lines_.rest();
  if (!event) return std::nullopt;
  if (event->kind == LineEvent::Kind::line) return event->bytes.string();
  throw Error(ErrorKind::invalid, "read a line from", "standard input",
              "it has more than " + format_size(line_bytes_max));
}

void Terminal::print(std::string_view lines) {
  if (editor_) return editor_->print(lines);
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  std::fflush(stdout);
}

}  // namespace coax::app

// While the echo is off, signals that would end or stop the process are held in a signalfd: they are delivered when the
// terminal is restored.
#include "coax/program/secret.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "coax/base/error.hpp"

namespace coax {

namespace {

class Quiet {
 public:
  explicit Quiet(int terminal) : terminal_(terminal) {
    sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP}) sigaddset(&set_, signal);
    signals_ = ::signalfd(-1, &set_, SFD_CLOEXEC);
    pthread_sigmask(SIG_BLOCK, &set_, &mask_);
    ::tcgetattr(terminal_, &modes_);
    termios quiet = modes_;
    quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(terminal_, TCSAFLUSH, &quiet);
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;
  ~Quiet() {
    ::tcsetattr(terminal_, TCSANOW, &modes_);
    ::close(signals_);
    pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
  }

  // False: a signal arrived first.
  bool wait() const noexcept {
    std::array<pollfd, 2> waiting{
        {{.fd = terminal_, .events = POLLIN, .revents = 0}, {.fd = signals_, .events = POLLIN, .revents = 0}}};
    while (::poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) continue;
    return waiting[1].revents == 0;
  }

 private:
  int terminal_;
  int signals_ = -1;
  sigset_t set_{};
  sigset_t mask_{};
  termios modes_{};
};

// Byte by byte: bytes after the line belong to other readers.
std::string read_line(int from) {
  std::string line;
  char byte = 0;
  while (line.size() <= 1024) {
    const auto count = ::read(from, &byte, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error(errno, "read a secret");
    if (count == 0 && line.empty()) throw Error(ErrorKind::disconnected, "read a secret", {}, "the input has ended");
    if (count == 0 || byte == '\n') return line;
    line += byte;
  }
  throw Error(ErrorKind::invalid, "read a secret", {}, "it is longer than 1 KiB");
}

}  // namespace

std::string read_secret(std::string_view prompt) {
  if (::isatty(STDIN_FILENO) == 0) return read_line(STDIN_FILENO);
  while (true) {
    const Quiet quiet(STDIN_FILENO);
    std::fprintf(stderr, "%.*s", static_cast<int>(prompt.size()), prompt.data());
    if (!quiet.wait()) continue;
    std::string line = read_line(STDIN_FILENO);
    std::fputc('\n', stderr);
    return line;
  }
}

}  // namespace coax

// The signal is blocked during the call, and dropped after EPIPE, unless one was pending before.
#include <signal.h>
#include <sys/sendfile.h>
#include <time.h>

#include <cerrno>

#include "coax/net/send_file_private.hpp"

namespace coax::detail {

ssize_t send_file(int socket, int file, off_t* offset, std::size_t count) noexcept {
  sigset_t pipe;
  sigset_t before;
  sigemptyset(&pipe);
  sigaddset(&pipe, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe, &before);
  const bool was_blocked = sigismember(&before, SIGPIPE) == 1;
  bool was_pending = false;
  if (was_blocked) {
    sigset_t pending;
    sigpending(&pending);
    was_pending = sigismember(&pending, SIGPIPE) == 1;
  }
  const ssize_t sent = ::sendfile(socket, file, offset, count);
  const int reason = errno;
  if (sent < 0 && reason == EPIPE && !was_pending) {
    const timespec at_once{};
    while (sigtimedwait(&pipe, nullptr, &at_once) == -1 && errno == EINTR) continue;
  }
  if (!was_blocked) pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = reason;
  return sent;
}

}  // namespace coax::detail

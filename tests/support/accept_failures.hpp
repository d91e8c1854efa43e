// Errors of accept(2) on demand, for a test program whose single source file includes this: its accept4 replaces that
// of the C library.
#pragma once

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace coax::test {

// The next `count` calls fail with that errno; those after them reach the kernel.
struct AcceptFailures {
  std::atomic<int> errno_value = 0;
  std::atomic<int> count = 0;
  void next(int reason, int times) {
    errno_value = reason;
    count = times;
  }
};
inline AcceptFailures accept_failures;

}  // namespace coax::test

extern "C" int accept4(int listener, sockaddr* address, socklen_t* size, int flags) {
  auto& failures = coax::test::accept_failures;
  for (int left = failures.count; left > 0;) {
    if (!failures.count.compare_exchange_weak(left, left - 1)) continue;
    errno = failures.errno_value;
    return -1;
  }
  return static_cast<int>(syscall(SYS_accept4, listener, address, size, flags));
}

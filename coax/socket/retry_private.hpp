// The retry loop around a system call that a signal or a wait may interrupt, shared by the files of Socket.
#pragma once

#include <sys/types.h>

#include <cerrno>

#include "coax/socket/socket.hpp"

namespace coax {

template <class Call>
std::size_t Socket::retry(Attempt& attempt, Call call) const {
  while (true) {
    const ssize_t count = call();
    if (count >= 0) return static_cast<std::size_t>(count);
    int reason = errno;
    if (reason == EINTR) continue;
    if (reason == EAGAIN && attempt.may_wait && timeout_.value_or(Duration::zero()) > Duration::zero()) {
      reason = wait(attempt);
      if (reason == 0) continue;
    }
    fail(reason, attempt.operation, attempt.to);
  }
}

}  // namespace coax

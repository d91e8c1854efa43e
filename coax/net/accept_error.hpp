// The reaction of an accept loop to an error of accept(2): one table for blocking listeners, epoll, io_uring, the
// simulation, and the loops of servers above them.
#pragma once

#include <cerrno>
#include <cstdint>

#include "coax/base/compiler.hpp"

namespace coax {

enum class AcceptError : std::uint8_t {
  retry,     // of the pending connection, which is lost: accept the next one, at once
  back_off,  // the system or the process has run out of a resource: the connection still waits; accept again later
  fatal,     // of the listener or the call
};

// After this many retries in a row, accept() reports the last error. Where the system refuses every call (EPERM of a
// sandbox, EOPNOTSUPP of a datagram socket), it must not loop forever. A server then backs off.
constexpr int accept_attempts_max = 64;

// Not for EAGAIN, which means that no connection is pending.
// Source: accept(2), "Error handling" and ERRORS; EPERM: "firewall rules forbid connection".
constexpr AcceptError classify_accept_error(int errno_value) noexcept {
  switch (errno_value) {
    case ECONNABORTED:
    case ECONNRESET:
    case EINTR:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
    case EPERM:
    case ETIMEDOUT:
    case ESOCKTNOSUPPORT:
    case EPROTONOSUPPORT: return AcceptError::retry;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case ENOSR: return AcceptError::back_off;
    default: return AcceptError::fatal;
  }
}

}  // namespace coax

// From errno values to reactions, and the text of an Error.
#include "coax/base/error.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "coax/base/text.hpp"

namespace coax {

namespace {

struct Kind {
  std::string_view name;
  int errno_value;  // for the code() of errors that no system call reported
};

// In the order of ErrorKind.
constexpr std::array<Kind, 14> kinds{{{"timed_out", ETIMEDOUT},
                                      {"refused", ECONNREFUSED},
                                      {"unreachable", EHOSTUNREACH},
                                      {"disconnected", ECONNRESET},
                                      {"overloaded", ENOBUFS},
                                      {"address", EADDRNOTAVAIL},
                                      {"permission", EACCES},
                                      {"protocol", EPROTO},
                                      {"invalid", EINVAL},
                                      {"unsupported", EOPNOTSUPP},
                                      {"would_block", EAGAIN},
                                      {"truncated", ENOLINK},
                                      {"certificate", EKEYREJECTED},
                                      {"other", EIO}}};

const Kind& row_of(ErrorKind kind) noexcept { return kinds[static_cast<std::size_t>(kind)]; }

// Names and reasons may come from peers, and what an Error says reaches terminals and logs.
std::string safe(std::string_view text) {
  constexpr std::size_t characters_max = 2000;
  return printable(text, characters_max);
}

std::string sentence(std::string_view operation, std::string_view peer, std::string_view reason,
                     std::string_view advice) {
  std::string text(operation);
  if (!peer.empty()) text.append(" ").append(peer);
  text.append(": ").append(reason);
  if (!advice.empty()) text.append("; ").append(advice);
  return text;
}

}  // namespace

std::string_view to_string(ErrorKind kind) noexcept { return row_of(kind).name; }

ErrorKind kind_of(int errno_value) noexcept {
  switch (errno_value) {
    case ETIMEDOUT: return ErrorKind::timed_out;
    case ECONNREFUSED: return ErrorKind::refused;
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN: return ErrorKind::unreachable;
    case ECONNRESET:
    case ECONNABORTED:
    case ENETRESET:
    case EPIPE: return ErrorKind::disconnected;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return ErrorKind::overloaded;
    case EADDRINUSE:
    case EADDRNOTAVAIL:
    case ENOENT:  // a unix socket that is not there
    case ENOTDIR: return ErrorKind::address;
    case EACCES:
    case EPERM:
    case EROFS: return ErrorKind::permission;
    case EPROTO:
    case EBADMSG: return ErrorKind::protocol;
    case EBADF:
    case EDESTADDRREQ:
    case EFAULT:
    case EINVAL:
    case EISCONN:
    case EMSGSIZE:
    case ENOTCONN:
    case ENOTSOCK: return ErrorKind::invalid;
    case EAFNOSUPPORT:
    case ENOPROTOOPT:
    case ENOSYS:
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
    case ESOCKTNOSUPPORT: return ErrorKind::unsupported;
    case EAGAIN:
    case EALREADY:
    case EINPROGRESS: return ErrorKind::would_block;
    case ENOLINK: return ErrorKind::truncated;
    case EKEYREJECTED: return ErrorKind::certificate;
    default: return ErrorKind::other;
  }
}

Error::Error(int errno_value, std::string_view operation, std::string_view peer, std::string_view advice)
    : std::system_error(errno_value, std::generic_category()),
      kind_(kind_of(errno_value)),
      operation_(safe(operation)),
      peer_(safe(peer)),
      text_(sentence(operation_, peer_, code().message(), safe(advice))) {}

Error::Error(ErrorKind kind, std::string_view operation, std::string_view peer, std::string_view reason)
    : std::system_error(row_of(kind).errno_value, std::generic_category()),
      kind_(kind),
      operation_(safe(operation)),
      peer_(safe(peer)),
      text_(sentence(operation_, peer_, safe(reason), {})) {}

IncompleteRead::IncompleteRead(std::string_view peer, std::string received, std::size_t wanted)
    : Error(ErrorKind::disconnected, "recv from", peer,
            "the stream ended after " + std::to_string(received.size()) + " of " + std::to_string(wanted) + " bytes"),
      received_(std::move(received)) {}

}  // namespace coax

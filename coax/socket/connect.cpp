// Connection setup: bind, listen, accept, connect, and Listener.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "coax/net/accept_error.hpp"
#include "coax/net/unix_path.hpp"
#include "coax/socket/retry_private.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

namespace {

std::string joined(const std::vector<Error>& errors) {
  std::string text;
  for (const Error& error : errors) text.append(text.empty() ? "" : "; ").append(error.what());
  return text;
}

// Of any family for which the name has addresses.
std::vector<Address> addresses_of(std::string_view where) {
  const auto target = parse_host_port(where);
  if (where.starts_with("unix:") || !target || !target->port || target->host == "<broadcast>") {
    return {Address::of(where, Family::v4)};
  }
  const bool here = target->host.empty() || target->host == "*";
  const auto endpoints = resolve(here ? "localhost" : target->host, *target->port);
  return {endpoints.begin(), endpoints.end()};
}

Socket connect_to_any(std::string_view where, std::span<const Address> addresses, const SocketConnectOptions& options) {
  std::vector<Error> errors;
  for (const Address& address : addresses) {
    try {
      return Socket::connect_to(address, options);
    } catch (const Error& error) {
      errors.push_back(error);
    }
  }
  if (errors.size() == 1) throw Error(errors.front());
  throw ConnectError(where, std::move(errors));
}

}  // namespace

// --- the listening side ---

void Socket::bind(const Address& at) {
  if (::bind(native(), at.get(), static_cast<socklen_t>(at.native().size())) == 0) return;
  const int reason = errno;
  throw Error(reason, "bind to", at.to_string(), listen_advice(reason, at));
}

void Socket::bind(std::string_view at) { bind(Address::of(at, family())); }

void Socket::listen(int backlog) {
  if (::listen(native(), std::max(backlog, 0)) == 0) return;
  const int reason = errno;
  const Address at = reason == EBADF ? Address() : local();
  throw Error(reason, "listen on", at.to_string(), listen_advice(reason, at));
}

Socket Socket::accept() {
  sockaddr_storage from{};
  socklen_t size = sizeof from;
  Attempt attempt{.operation = "accept on", .events = POLLIN};
  const std::size_t taken = retry(attempt, [&]() -> ssize_t {
    for (int failures = 1;; ++failures) {
      size = sizeof from;
      const int native_peer = ::accept4(native(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC);
      const bool again = native_peer < 0 && errno != EINTR && classify_accept_error(errno) == AcceptError::retry;
      if (!again || failures == accept_attempts_max) return native_peer;
    }
  });
  Socket peer(FileDescriptor(static_cast<int>(taken)), type_);
  peer.peer_ = Endpoint::from_native(reinterpret_cast<const sockaddr*>(&from));
  peer.apply_default_timeout();
  return peer;
}

// --- the connecting side ---

// connect(2) on a Unix socket waits for room in the backlog only in blocking mode: its time limit is SO_SNDTIMEO.
int Socket::connect_local(const Address& to) const noexcept {
  const bool limited = timeout_ && blocking();
  const int before = ::fcntl(native(), F_GETFL);
  if (limited) ::fcntl(native(), F_SETFL, before & ~O_NONBLOCK);
  const TimePoint now = Clock::now();
  const TimePoint until = !limited || *timeout_ > TimePoint::max() - now ? TimePoint::max() : now + *timeout_;
  int reason = EINTR;
  while (reason == EINTR) {
    timeval left{};
    if (limited) {
      const auto rest = std::max(std::chrono::ceil<std::chrono::microseconds>(until - Clock::now()),
                                 std::chrono::microseconds(1));  // 0 would mean no limit
      left.tv_sec = static_cast<time_t>(rest / std::chrono::seconds(1));
      left.tv_usec = static_cast<suseconds_t>((rest % std::chrono::seconds(1)).count());
      ::setsockopt(native(), SOL_SOCKET, SO_SNDTIMEO, &left, sizeof left);
    }
    const bool done = ::connect(native(), to.get(), static_cast<socklen_t>(to.native().size())) == 0;
    reason = done ? 0 : errno;
    if (reason == EINTR && limited && Clock::now() >= until) reason = EAGAIN;
  }
  if (!limited) return reason;
  const timeval none{};
  ::setsockopt(native(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
  ::fcntl(native(), F_SETFL, before);
  return reason == EAGAIN ? ETIMEDOUT : reason;
}

int Socket::start_connect(const Address& to) const noexcept {
  if (to.family() == Family::local) return connect_local(to);
  if (::connect(native(), to.get(), static_cast<socklen_t>(to.native().size())) == 0) return 0;
  const int reason = errno;  // after EINTR it continues in the background, as after EINPROGRESS
  if (reason != EINTR && reason != EINPROGRESS) return reason;
  if (!blocking()) return EINPROGRESS;
  Attempt attempt{.operation = "connect to", .events = POLLOUT};
  if (const int failure = wait(attempt); failure != 0) return failure;
  int result = 0;
  socklen_t size = sizeof result;
  if (::getsockopt(native(), SOL_SOCKET, SO_ERROR, &result, &size) != 0) return errno;
  // Until a second call, the kernel does not regard it as connected.
  if (result == 0) ::connect(native(), to.get(), static_cast<socklen_t>(to.native().size()));
  return result;
}

std::error_code Socket::try_connect(const Address& to) {
  const int reason = start_connect(to);
  if (reason == 0 || reason == EINPROGRESS) peer_ = to.endpoint();
  return reason == 0 ? std::error_code() : std::error_code(reason, std::generic_category());
}

std::error_code Socket::try_connect(std::string_view to) { return try_connect(Address::of(to, family())); }

void Socket::connect(const Address& to) {
  if (const auto failure = try_connect(to)) fail(failure.value(), "connect to", &to);
}

void Socket::connect(std::string_view to) { connect(Address::of(to, family())); }

Socket Socket::connect_to(const Address& where, const SocketConnectOptions& options) {
  Socket socket(where.family());
  if (options.timeout) socket.set_timeout(options.timeout);
  if (options.source) {
    // The port is then chosen when both ends are known, so that one port serves many peers.
    constexpr int bind_address_no_port = 24;
    if (where.family() != Family::local) socket.set(options::Number{{IPPROTO_IP, bind_address_no_port}}, 1);
    socket.bind(*options.source);
  }
  socket.connect(where);
  // TCP self-connect (RFC 9293, section 3.5): the kernel chose the destination port as the source port.
  if (where.family() != Family::local && socket.local() == where) socket.fail(ECONNREFUSED, "connect to", &where);
  return socket;
}

Socket Socket::connect_to(std::string_view where, const SocketConnectOptions& options) {
  return connect_to_any(where, addresses_of(where), options);
}

Socket Socket::connect_to(std::span<const Address> addresses, const SocketConnectOptions& options) {
  return connect_to_any({}, addresses, options);
}

ConnectError::ConnectError(std::string_view where, std::vector<Error> errors)
    : Error(errors.empty() ? ErrorKind::address : errors.back().kind(), "connect to", where,
            errors.empty() ? "it has no address" : joined(errors)),
      errors_(std::move(errors)) {}

// --- listeners ---

Listener::Listener(std::string_view at, const ListenOptions& options)
    : Listener(
          Address::of(at, at.starts_with(':') || at.starts_with('[') || at.starts_with('*') ? Family::v6 : Family::v4),
          options) {}

Listener::Listener(const Address& at, const ListenOptions& options) : Socket(at.family()) {
  using std::chrono::seconds;
  const bool is_ip = at.family() == Family::v4 || at.family() == Family::v6;
  if (at.family() == Family::v6) set(options::v6_only, !(options.dual_stack && at.endpoint().is_wildcard()));
  if (is_ip) set(options::reuse_address, options.reuse_address);
  // Accepted sockets inherit it.
  if (is_ip && options.keep_alive) set(options::keep_alive{.idle = seconds(60), .interval = seconds(15), .count = 4});
  if (options.reuse_port) set(options::reuse_port, true);
  const auto path = at.unix_name();
  try {
    bind(at);
    // Clients can connect only after listen(2).
    const BoundPath bound = path ? BoundPath(*path) : BoundPath();
    if (path && options.mode && ::chmod(path->text().c_str(), *options.mode) != 0)
      throw Error(errno, "set the mode of");
    listen(options.backlog);
    if (bound.is_some() && !bound.is_ours()) throw Error(EADDRINUSE, "listen on");  // replaced in that moment
  } catch (const Error& error) {
    const int reason = error.code().value();
    const bool is_dead = reason == EADDRINUSE && path && probe_path(*path) == PathState::stale_socket;
    throw Error(reason, "listen on", at.to_string(),
                is_dead ? "a socket without a listener exists at that path: remove it" : listen_advice(reason, at));
  }
}

}  // namespace coax

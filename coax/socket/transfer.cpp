// Sending, receiving, and the wait between two attempts.
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <memory>

#include "coax/net/packet_info.hpp"
#include "coax/net/send_file_private.hpp"
#include "coax/socket/retry_private.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

namespace {

constexpr std::size_t pieces_at_once = 64;

std::string_view advice_for(int reason, const Socket& socket) {
  if (reason == EACCES && socket.type() == SocketType::datagram) return "to broadcast, set options::broadcast first";
  if (reason == EDESTADDRREQ) return "name the receiver, or connect() first";
  if (reason != ENOTCONN) return {};
  int listens = 0;
  socklen_t size = sizeof listens;
  ::getsockopt(socket.native(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &size);
  return listens != 0 ? "this socket listens: receive on the socket that accept() returns" : "connect() first";
}

}  // namespace

void Socket::fail(int reason, const char* operation, const Address* to) const {
  const std::string_view advice = to != nullptr ? connect_advice(reason, *to) : std::string_view();
  throw Error(reason, operation, to != nullptr ? to->to_string() : peer_text(),
              advice.empty() ? advice_for(reason, *this) : advice);
}

std::string Socket::peer_text() const {
  if (peer_.family() != Endpoint::Family::none) return peer_.to_string();
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  if (::getpeername(native(), reinterpret_cast<sockaddr*>(&storage), &size) != 0) return {};
  const auto bytes = std::as_bytes(std::span(&storage, 1));
  return Address::from_native(bytes.first(std::min<std::size_t>(size, bytes.size()))).to_string();
}

int Socket::wait(Attempt& attempt) const noexcept {
  if (timeout_ && !attempt.until) {
    // A time limit beyond the range of the clock is no limit.
    const TimePoint now = Clock::now();
    attempt.until = *timeout_ > TimePoint::max() - now ? TimePoint::max() : now + *timeout_;
  }
  pollfd waiting{.fd = native(), .events = attempt.events, .revents = 0};
  while (true) {
    timespec left{};
    if (attempt.until) {
      const auto rest = std::max(*attempt.until - Clock::now(), Duration::zero());
      left.tv_sec = static_cast<time_t>(rest / std::chrono::seconds(1));
      left.tv_nsec = static_cast<long>((rest % std::chrono::seconds(1)).count());
    }
    const int ready = ::ppoll(&waiting, 1, attempt.until ? &left : nullptr, nullptr);
    if (ready > 0) return 0;
    if (ready == 0) return ETIMEDOUT;
    if (errno != EINTR) return errno;
  }
}

// --- receiving ---

std::size_t Socket::receive(const Attempt& as, std::span<char> into, int flags) {
  if (into.empty()) return 0;
  Attempt attempt = as;
  attempt.may_wait = (flags & MSG_DONTWAIT) == 0;
  return retry(attempt, [&] { return ::recv(native(), into.data(), into.size(), flags); });
}

std::span<char> Socket::lend(std::size_t bytes_max) {
  if (bytes_max > std::numeric_limits<std::ptrdiff_t>::max()) {
    throw Error(ErrorKind::invalid, "recv from", peer_text(), "a negative size was asked for");
  }
  if (!lent_ || lent_bytes_ < bytes_max) {
    lent_ = std::make_unique_for_overwrite<char[]>(bytes_max);
    lent_bytes_ = bytes_max;
  }
  return {lent_.get(), bytes_max};
}

BytesView Socket::recv(std::size_t bytes_max, int flags) {
  const std::span<char> into = lend(bytes_max);
  return BytesView(into).first(std::min(recv(into, flags), bytes_max));
}

std::size_t Socket::recv(std::span<char> into, int flags) {
  return receive({.operation = "recv from", .events = POLLIN}, into, flags);
}

BytesView Socket::recv_until(std::optional<TimePoint>& until) {
  Attempt attempt{.operation = "recv from", .events = POLLIN, .until = until};
  if (until && Clock::now() >= *until) fail(ETIMEDOUT, attempt.operation);
  const std::span<char> into = lend(64_KiB);
  const std::size_t count = retry(attempt, [&] { return ::recv(native(), into.data(), into.size(), 0); });
  until = attempt.until;
  return BytesView(into).first(count);
}

std::string Socket::recv_exactly(std::size_t count) {
  std::string bytes;
  Attempt attempt{.operation = "recv from", .events = POLLIN};
  for (std::size_t done = 0; done < count;) {
    if (done == bytes.size()) bytes.resize(grown_towards(count, done));
    const std::size_t more =
        retry(attempt, [&] { return ::recv(native(), bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL); });
    if (more == 0) {
      bytes.resize(done);
      throw IncompleteRead(peer_text(), std::move(bytes), count);
    }
    done += more;
  }
  return bytes;
}

std::size_t Socket::recv_native(::msghdr& message, int flags) {
  Attempt attempt{.operation = "recv from", .events = POLLIN, .may_wait = (flags & MSG_DONTWAIT) == 0};
  // Each attempt writes the received sizes into the message, even when it failed.
  const ::msghdr asked = message;
  return retry(attempt, [&] {
    message = asked;
    return ::recvmsg(native(), &message, flags);
  });
}

Datagram Socket::recv_from(std::size_t bytes_max, int flags) { return recv_from(lend(bytes_max), flags); }

Datagram Socket::recv_from(std::span<char> into, int flags) {
  sockaddr_storage from{};
  iovec piece{.iov_base = into.data(), .iov_len = into.size()};
  ::msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, packet_info::space> control;
  // Without room for control messages, a Unix socket passes no descriptors, which would never be closed.
  const bool is_ip = family() == Family::v4 || family() == Family::v6;
  if (is_ip && type_ == SocketType::datagram) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
  // On a stream this flag would discard the bytes.
  const std::size_t length = recv_native(message, type_ == SocketType::stream ? flags : flags | MSG_TRUNC);
  const auto name = std::as_bytes(std::span(&from, 1)).first(std::min<std::size_t>(message.msg_namelen, sizeof from));
  return {.bytes = BytesView(into.data(), std::min(length, into.size())),
          .from = Address::from_native(name),
          .length = length,
          .to = packet_info::read(message)};
}

// --- sending ---

std::size_t Socket::send_native(const ::msghdr& message, int flags) {
  Attempt attempt{.operation = "send to", .events = POLLOUT, .may_wait = (flags & MSG_DONTWAIT) == 0};
  return retry(attempt, [&] { return ::sendmsg(native(), &message, flags | MSG_NOSIGNAL); });
}

// One call for the bytes after the first `skip` bytes of the pieces.
std::size_t Socket::send_once(Attempt& attempt, std::span<const BytesView> pieces, std::size_t skip, int flags) {
  std::array<iovec, pieces_at_once> list;
  ::msghdr message{};
  message.msg_iov = list.data();
  for (const BytesView& piece : pieces) {
    if (message.msg_iovlen == list.size()) break;
    const std::size_t skipped = std::min(skip, piece.size());
    skip -= skipped;
    if (skipped == piece.size()) continue;
    const BytesView rest = piece.from(skipped);
    list[message.msg_iovlen++] = {.iov_base = const_cast<char*>(rest.data()), .iov_len = rest.size()};
  }
  attempt.may_wait = (flags & MSG_DONTWAIT) == 0;
  return retry(attempt, [&] { return ::sendmsg(native(), &message, flags | MSG_NOSIGNAL); });
}

void Socket::send(BytesView bytes, int flags) { send(std::span(&bytes, 1), flags); }

void Socket::send(std::span<const BytesView> pieces, int flags) {
  std::size_t total = 0;
  for (const BytesView& piece : pieces) total += piece.size();
  Attempt attempt{.operation = "send to", .events = POLLOUT};
  std::size_t sent = 0;
  do {  // once without bytes, too: an empty datagram is sent
    sent += send_once(attempt, pieces, sent, flags);
  } while (sent < total);
}

std::size_t Socket::send_some(BytesView bytes, int flags) { return send_some(std::span(&bytes, 1), flags); }

std::size_t Socket::send_some(std::span<const BytesView> pieces, int flags) {
  Attempt attempt{.operation = "send to", .events = POLLOUT};
  return send_once(attempt, pieces, 0, flags);
}

void Socket::send_to(BytesView datagram, const Address& to, int flags) {
  Attempt attempt{.operation = "send to", .events = POLLOUT, .may_wait = (flags & MSG_DONTWAIT) == 0, .to = &to};
  const auto size = static_cast<socklen_t>(to.native().size());
  retry(attempt,
        [&] { return ::sendto(native(), datagram.data(), datagram.size(), flags | MSG_NOSIGNAL, to.get(), size); });
}

void Socket::reply(const Datagram& received, BytesView datagram, int flags) {
  alignas(cmsghdr) std::array<char, packet_info::space> control;
  iovec piece{.iov_base = const_cast<char*>(datagram.data()), .iov_len = datagram.size()};
  const auto to = received.from.native();
  ::msghdr message{};
  message.msg_name = const_cast<std::byte*>(to.data());
  message.msg_namelen = static_cast<socklen_t>(to.size());
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_controllen = packet_info::write(control, received.to);
  message.msg_control = message.msg_controllen != 0 ? control.data() : nullptr;
  Attempt attempt{
      .operation = "send to", .events = POLLOUT, .may_wait = (flags & MSG_DONTWAIT) == 0, .to = &received.from};
  retry(attempt, [&] { return ::sendmsg(native(), &message, flags | MSG_NOSIGNAL); });
}

void Socket::send_to(BytesView datagram, std::string_view to, int flags) {
  send_to(datagram, Address::of(to, family()), flags);
}

// --- files ---

std::uint64_t Socket::send_file(int file) {
  const off_t from = ::lseek(file, 0, SEEK_CUR);
  if (from < 0) throw Error(errno, "send a file to", peer_text());
  return send_file_range(file, static_cast<std::uint64_t>(from), std::numeric_limits<std::uint64_t>::max());
}

std::uint64_t Socket::send_file(int file, std::uint64_t offset, std::uint64_t count) {
  if (count == 0) throw Error(ErrorKind::invalid, "send a file to", peer_text(), "0 bytes of it were asked for");
  return send_file_range(file, offset, count);
}

std::uint64_t Socket::send_file_range(int file, std::uint64_t offset, std::uint64_t count) {
  if (type_ != SocketType::stream || !blocking()) {
    throw Error(ErrorKind::invalid, "send a file to", peer_text(), "only a blocking stream can send files");
  }
  constexpr std::uint64_t at_once = 1U << 30U;
  Attempt attempt{.operation = "send a file to", .events = POLLOUT};
  auto position = static_cast<off_t>(offset);
  std::uint64_t sent = 0;
  try {
    while (sent < count) {
      const auto wanted = static_cast<std::size_t>(std::min(count - sent, at_once));
      const std::size_t more = retry(attempt, [&] { return detail::send_file(native(), file, &position, wanted); });
      if (more == 0) break;
      sent += more;
    }
  } catch (const Error&) {
    ::lseek(file, position, SEEK_SET);
    throw;
  }
  ::lseek(file, position, SEEK_SET);
  return sent;
}

}  // namespace coax

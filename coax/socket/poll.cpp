// select() over poll(2), which has no limit on descriptor numbers; Poller over epoll(7).
#include "coax/socket/poll.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <limits>
#include <utility>

#include "coax/base/error.hpp"

namespace coax {

static_assert(static_cast<unsigned>(Events::readable) == POLLIN && static_cast<unsigned>(Events::urgent) == POLLPRI &&
              static_cast<unsigned>(Events::writable) == POLLOUT && static_cast<unsigned>(Events::error) == POLLERR &&
              static_cast<unsigned>(Events::hung_up) == POLLHUP && static_cast<unsigned>(Events::not_open) == POLLNVAL);
static_assert(static_cast<unsigned>(Events::readable) == EPOLLIN &&
              static_cast<unsigned>(Events::writable) == EPOLLOUT &&
              static_cast<unsigned>(Events::peer_finished) == EPOLLRDHUP &&
              static_cast<unsigned>(Events::exclusive) == EPOLLEXCLUSIVE &&
              static_cast<unsigned>(Events::once) == EPOLLONESHOT &&
              static_cast<unsigned>(Events::edge_triggered) == unsigned{EPOLLET});

namespace {

// The remaining time of a limit, as a timespec.
class Limit {
 public:
  explicit Limit(std::optional<Duration> timeout) : timeout_(timeout) {
    if (timeout && *timeout < Duration::zero()) throw Error(ErrorKind::invalid, "wait", {}, "the timeout is negative");
    const TimePoint now = Clock::now();
    if (timeout) until_ = *timeout > TimePoint::max() - now ? TimePoint::max() : now + *timeout;
  }
  // Null: no limit. Valid until the next call.
  const timespec* left() noexcept {
    if (!timeout_) return nullptr;
    const Duration rest = std::max(until_ - Clock::now(), Duration::zero());
    left_.tv_sec = static_cast<time_t>(rest / std::chrono::seconds(1));
    left_.tv_nsec = static_cast<long>((rest % std::chrono::seconds(1)).count());
    return &left_;
  }

 private:
  std::optional<Duration> timeout_;
  TimePoint until_;
  timespec left_{};
};

void poll_all(std::vector<pollfd>& waiting, std::optional<Duration> timeout) {
  Limit limit(timeout);
  while (::ppoll(waiting.data(), waiting.size(), limit.left(), nullptr) < 0) {
    if (errno != EINTR) throw Error(errno, "wait for sockets");
  }
}

// Those of `sockets` that have one of these events; `begin` is their first entry in the result of poll(2).
std::vector<Socket*> those(const std::vector<Socket*>& sockets, const pollfd*& begin, int events) {
  std::vector<Socket*> ready;
  for (Socket* socket : sockets) {
    if ((begin->revents & POLLNVAL) != 0) throw Error(EBADF, "wait for sockets", {}, "one of them is closed");
    if ((begin++->revents & events) != 0) ready.push_back(socket);
  }
  return ready;
}

}  // namespace

Selected select(const std::vector<Socket*>& readable, const std::vector<Socket*>& writable,
                const std::vector<Socket*>& exceptional, std::optional<Duration> timeout) {
  std::vector<pollfd> waiting;
  waiting.reserve(readable.size() + writable.size() + exceptional.size());
  for (const auto& [sockets, events] : {std::pair(&readable, POLLIN), {&writable, POLLOUT}, {&exceptional, POLLPRI}}) {
    for (const Socket* socket : *sockets) {
      // poll(2) would ignore a negative descriptor.
      if (socket->is_closed()) throw Error(EBADF, "wait for sockets", {}, "one of them is closed");
      waiting.push_back({.fd = socket->native(), .events = static_cast<short>(events), .revents = 0});
    }
  }
  poll_all(waiting, timeout);
  const pollfd* next = waiting.data();
  Selected selected;
  selected.readable = those(readable, next, POLLIN | POLLHUP | POLLERR);
  selected.writable = those(writable, next, POLLOUT | POLLERR);
  selected.exceptional = those(exceptional, next, POLLPRI);
  return selected;
}

Events wait_for(const Socket& socket, Events wanted, std::optional<Duration> timeout) {
  if (socket.is_closed()) return Events::not_open;
  std::vector<pollfd> waiting{{.fd = socket.native(), .events = static_cast<short>(wanted), .revents = 0}};
  poll_all(waiting, timeout);
  return static_cast<Events>(waiting.front().revents);
}

// --- Poller ---

namespace {

int control(const FileDescriptor& epoll, int operation, int native, Events wanted) {
  epoll_event event{.events = static_cast<std::uint32_t>(wanted), .data = {.fd = native}};
  return ::epoll_ctl(epoll.native(), operation, native, &event) == 0 ? 0 : errno;
}

Error not_registered(const char* operation, int native) {
  return {ENOENT, operation, "descriptor " + std::to_string(native), "it was not added"};
}

}  // namespace

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw Error(errno, "make a poller");
}

const Poller::Key& Poller::add(int native, Events wanted, std::any data) {
  // A key whose descriptor was closed, and whose number is in use again, is stale.
  if (const int reason = control(epoll_, EPOLL_CTL_ADD, native, wanted); reason != 0) {
    throw Error(reason, "wait for", "descriptor " + std::to_string(native),
                reason == EEXIST ? "it was added already: modify() changes it" : "");
  }
  return keys_.insert_or_assign(native, Key{.native = native, .wanted = wanted, .data = std::move(data)}).first->second;
}

const Poller::Key& Poller::modify(int native, Events wanted, std::any data) {
  const auto key = keys_.find(native);
  if (key == keys_.end()) throw not_registered("change what to wait for on", native);
  if (const int reason = control(epoll_, EPOLL_CTL_MOD, native, wanted); reason != 0) {
    throw Error(reason, "change what to wait for on", "descriptor " + std::to_string(native));
  }
  key->second.wanted = wanted;
  key->second.data = std::move(data);
  return key->second;
}

void Poller::remove(int native) {
  if (keys_.erase(native) == 0) throw not_registered("stop waiting for", native);
  control(epoll_, EPOLL_CTL_DEL, native, Events::none);  // fails when it was closed, which removed it
}

const Poller::Key& Poller::at(int native) const {
  const auto key = keys_.find(native);
  if (key == keys_.end()) throw not_registered("find", native);
  return key->second;
}

std::vector<Poller::Ready> Poller::wait(std::optional<Duration> timeout) {
  constexpr std::size_t ready_max = 256;
  std::array<epoll_event, ready_max> events;
  Limit limit(timeout);
  int count = 0;
  // epoll_pwait2(2), which has a timespec, is not available everywhere: poll(2) waits on the epoll descriptor.
  while (true) {
    pollfd self{.fd = epoll_.native(), .events = POLLIN, .revents = 0};
    if (::ppoll(&self, 1, limit.left(), nullptr) < 0) {
      if (errno == EINTR) continue;
      throw Error(errno, "wait for sockets");
    }
    count = ::epoll_wait(epoll_.native(), events.data(), ready_max, 0);
    if (count >= 0) break;
    if (errno != EINTR) throw Error(errno, "wait for sockets");
  }
  std::vector<Ready> ready;
  for (const epoll_event& event : std::span(events).first(static_cast<std::size_t>(count))) {
    const auto key = keys_.find(event.data.fd);
    if (key != keys_.end()) ready.push_back({.key = &key->second, .events = static_cast<Events>(event.events)});
  }
  return ready;
}

}  // namespace coax

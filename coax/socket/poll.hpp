// Waiting for several sockets at once: select() for a few, Poller for many.
#pragma once

#include <any>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/net/file_descriptor.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

// The bits of epoll_ctl(2). error and hung_up are always reported.
enum class Events : std::uint32_t {
  none = 0,
  readable = 0x1,
  urgent = 0x2,
  writable = 0x4,
  error = 0x8,
  hung_up = 0x10,   // both directions have ended
  not_open = 0x20,  // wait_for() only: the descriptor was closed
  peer_finished = 0x2000,
  exclusive = 0x10000000,  // Poller only, like the next two: wake one of several Pollers (EPOLLEXCLUSIVE)
  once = 0x40000000,       // EPOLLONESHOT: modify() it before the next event
  edge_triggered = 0x80000000,
};
constexpr Events operator|(Events left, Events right) noexcept {
  return static_cast<Events>(static_cast<std::uint32_t>(left) | static_cast<std::uint32_t>(right));
}
constexpr bool has(Events all, Events some) noexcept {
  return (static_cast<std::uint32_t>(all) & static_cast<std::uint32_t>(some)) != 0;
}

struct Selected {
  std::vector<Socket*> readable;
  std::vector<Socket*> writable;
  std::vector<Socket*> exceptional;
};
// Waits until a socket is readable, writable or has urgent bytes. A listener with a pending connection is readable, and
// so is a socket that has ended or failed. Without a timeout it waits without limit; zero returns at once. A signal
// does not end the wait. There is no limit on descriptor numbers.
// Returns: those sockets, in their order; empty lists after the timeout.
// Throws: Error(EBADF) when one is closed.
Selected select(const std::vector<Socket*>& readable, const std::vector<Socket*>& writable = {},
                const std::vector<Socket*>& exceptional = {}, std::optional<Duration> timeout = {});

// Waits for one socket, whose descriptor may have been closed elsewhere. Events::none: the timeout has passed.
Events wait_for(const Socket& socket, Events wanted, std::optional<Duration> timeout = {});

// Many sockets or other descriptors, each with data of the caller (std::any). The cost depends on the number of ready
// ones, not of registered ones.
class Poller {
 public:
  struct Key {
    int native;
    Events wanted;
    std::any data;
  };
  struct Ready {
    const Key* key;  // valid until it is removed
    Events events;
  };

  Poller();
  // Throws: Error(EEXIST) when it was added already. Borrows the socket.
  const Key& add(int native, Events wanted, std::any data = {});
  const Key& add(const Socket& socket, Events wanted, std::any data = {}) {
    return add(socket.native(), wanted, std::move(data));
  }
  // Throws: Error(ENOENT) when it was not added. A descriptor that was closed meanwhile can be removed, too.
  const Key& modify(int native, Events wanted, std::any data = {});
  const Key& modify(const Socket& socket, Events wanted, std::any data = {}) {
    return modify(socket.native(), wanted, std::move(data));
  }
  void remove(int native);
  void remove(const Socket& socket) { remove(socket.native()); }
  [[nodiscard]] const Key& at(int native) const;
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

  // Waits as select() does.
  // Returns: the ready ones, at most 256 at a time; empty after the timeout.
  std::vector<Ready> wait(std::optional<Duration> timeout = {});

 private:
  FileDescriptor epoll_;
  std::unordered_map<int, Key> keys_;
};

}  // namespace coax

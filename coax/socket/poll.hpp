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

// The kernel's bits: epoll_ctl(2). error and hung_up are told without being asked for.
enum class Events : std::uint32_t {
  none = 0,
  readable = 0x1,
  urgent = 0x2,
  writable = 0x4,
  error = 0x8,
  hung_up = 0x10,   // both directions have ended
  not_open = 0x20,  // wait_for() only: the descriptor was closed
  peer_finished = 0x2000,
  exclusive = 0x10000000,  // Poller only, like the next two: wake one of several Pollers
  once = 0x40000000,       // then modify() it before the next
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
// Waits until one of these can be read from, written to or has urgent bytes, and gives those, in their order. After the
// timeout all lists are empty; without one it waits for as long as it takes; zero only looks. To accept() from, a
// listener is readable; so is what has ended or failed. Throws Error(EBADF) when one is closed. A signal does not end
// it. There is no limit on the descriptors' numbers.
Selected select(const std::vector<Socket*>& readable, const std::vector<Socket*>& writable = {},
                const std::vector<Socket*>& exceptional = {}, std::optional<Duration> timeout = {});

// Waits for one socket, which may have been closed behind its back. Events::none: the time has passed.
Events wait_for(const Socket& socket, Events wanted, std::optional<Duration> timeout = {});

// Many sockets or other descriptors, each with something of the caller's. Costs what is ready, not what is registered.
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
  // Throws Error(EEXIST) when it is there already. The socket is borrowed.
  const Key& add(int native, Events wanted, std::any data = {});
  const Key& add(const Socket& socket, Events wanted, std::any data = {}) {
    return add(socket.native(), wanted, std::move(data));
  }
  // What was added; throw Error(ENOENT) when it was not. A descriptor that was closed meanwhile can be removed, too.
  const Key& modify(int native, Events wanted, std::any data = {});
  const Key& modify(const Socket& socket, Events wanted, std::any data = {}) {
    return modify(socket.native(), wanted, std::move(data));
  }
  void remove(int native);
  void remove(const Socket& socket) { remove(socket.native()); }
  [[nodiscard]] const Key& at(int native) const;
  [[nodiscard]] std::size_t size() const noexcept { return keys_.size(); }

  // Those that are ready, at most 256 at a time; empty: the time has passed. As select() waits.
  std::vector<Ready> wait(std::optional<Duration> timeout = {});

 private:
  FileDescriptor epoll_;
  std::unordered_map<int, Key> keys_;
};

}  // namespace coax

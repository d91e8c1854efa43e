// The system calls on sockets that all kernel back-ends share: creation, addresses and shutdown.
#pragma once

#include <cstddef>
#include <expected>
#include <span>

#include "coax/loop/backend.hpp"

namespace coax {

// `flags` go to socket(2) beside SOCK_CLOEXEC. Failures are errno values.
std::expected<int, int> make_socket(Family family, int flags);
std::expected<int, int> make_listener(const Address& at, const ListenOptions& options, int flags);
// AF_INET and so on; or an errno value, ENOTSOCK when it is not a socket.
std::expected<int, int> family_of(int native) noexcept;
// See Backend::shutdown_send(), set_option(), get_option(), local() and peer().
int shut_down_sending(int native) noexcept;
int set_option_of(int native, const SocketOption& option) noexcept;
int get_option_of(int native, int level, int name, std::span<std::byte> value) noexcept;
Address local_of(int native) noexcept;
Address peer_of(int native) noexcept;

}  // namespace coax

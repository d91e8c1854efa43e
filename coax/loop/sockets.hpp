// The system calls around sockets that the back-ends share: made, named and ended the same way whoever waits for them.
#pragma once

#include <expected>

#include "coax/loop/backend.hpp"

namespace coax {

// `flags` go to socket(2) beside SOCK_CLOEXEC. Failures are errno values.
std::expected<int, int> make_socket(Family family, int flags);
std::expected<int, int> make_listener(const Address& at, const ListenOptions& options, int flags);
// As Backend::finish(), set_option(), local() and peer() have it.
int shut_down_sending(int native) noexcept;
int set_option_of(int native, const SocketOption& option) noexcept;
Address local_of(int native) noexcept;
Address peer_of(int native) noexcept;

}  // namespace coax

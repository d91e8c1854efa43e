// Target: where a command connects or listens, as people write it: "HOST:PORT", "HOST PORT", "PORT", "unix:/path"; the
// port by number, by the name of a service, or, where several make sense, as a range.
#pragma once

#include <string>
#include <vector>

#include "coax/net/address.hpp"
#include "coax/net/ports.hpp"

namespace coax::app {

struct Target {
  std::string unix_name;  // "unix:/path", "unix:@name"; empty: a host and a port
  std::string host;       // empty: every address of this machine, or, to connect to, this machine
  PortRange ports;

  [[nodiscard]] bool is_unix() const noexcept { return !unix_name.empty(); }
  // For connect() and serve().
  [[nodiscard]] std::string text() const { return text_with(ports.first); }
  [[nodiscard]] std::string text_with(std::uint16_t port) const;
};

// One word, or a host and a port. Without a host it is 127.0.0.1. Throws WrongUsage.
enum class Ports : std::uint8_t { one, one_or_any, range };
Target target_of(const std::vector<std::string>& words, Transport transport, Ports ports);

// Throws WrongUsage when a range of ports ends before it begins.
void refuse_reversed_range(const std::string& text);

// The addresses to listen on; blocks. Throws Error when the host has none.
std::vector<Address> addresses_to_listen_on(const Target& target);

}  // namespace coax::app

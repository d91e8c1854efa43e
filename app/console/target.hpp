// Target: the address to connect to or to listen on, as given on the command line: "HOST:PORT", "HOST PORT", "PORT",
// "unix:/path". The port is a number, the name of a service or, for some commands, a range.
#pragma once

#include <string>
#include <vector>

#include "coax/net/address.hpp"
#include "coax/net/ports.hpp"

namespace coax::app {

struct Target {
  std::string unix_name;  // "unix:/path", "unix:@name"; empty: a host and a port
  std::string host;       // empty: the wildcard or, to connect to, this machine
  PortRange ports;

  [[nodiscard]] bool is_unix() const noexcept { return !unix_name.empty(); }
  // For connect() and serve().
  [[nodiscard]] std::string text() const { return text_with(ports.first); }
  [[nodiscard]] std::string text_with(std::uint16_t port) const;
};

// Parses one argument, or a host and a port. Without a host it is 127.0.0.1. Throws: WrongUsage.
enum class Ports : std::uint8_t { one, one_or_any, range };
Target target_of(const std::vector<std::string>& words, Transport transport, Ports ports);

// Throws: WrongUsage for a descending range of ports.
void refuse_reversed_range(const std::string& text);

// The addresses to listen on; blocks. Throws: Error when the host has none.
std::vector<Address> addresses_to_listen_on(const Target& target);

}  // namespace coax::app

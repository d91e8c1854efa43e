// Ports: who may listen on one, whether it is free on this machine, and which process holds it. Linux shows the latter
// in /proc: a snapshot, which may be outdated when the call returns.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/net/endpoint.hpp"

namespace coax {

enum class Transport : std::uint8_t { tcp, udp };
std::string_view to_string(Transport transport) noexcept;

// Who may listen on a port, by its number (RFC 6335, section 6) and by the settings of this machine.
enum class PortClass : std::uint8_t {
  privileged,  // only root, or a process with CAP_NET_BIND_SERVICE
  well_known,  // a system port, up to 1023, which this machine allows to everybody
  registered,  // a user port, up to 49151: everybody; many are assigned to a service
  dynamic,     // from 49152 on: everybody, never assigned
};
std::string_view to_string(PortClass port_class) noexcept;
// net.ipv4.ip_unprivileged_port_start: the first port, of IPv6 too, that needs no privilege. 1024 when it is unknown.
unsigned unprivileged_port_start();
PortClass class_of_port(std::uint16_t port, unsigned unprivileged_from) noexcept;

// The range from which the kernel assigns ports: net.ipv4.ip_local_port_range.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept { return first <= port && port <= last; }
  friend bool operator==(const PortRange&, const PortRange&) noexcept = default;
};
PortRange ephemeral_ports();
// "8080" or "8000-8010"; nothing for any other text, port 0, and a descending range.
std::optional<PortRange> parse_port_range(std::string_view text) noexcept;

enum class PortState : std::uint8_t { free, held, not_permitted };
// Binds a socket there, as a listener would, and closes it; it never listens, so that it receives no connection or
// datagram of another program. The IPv6 wildcard includes IPv4. A port with connections in TIME_WAIT counts as free. A
// port for which this process lacks the privilege is not_permitted, held or not: holders_of_port() tells them apart.
// Throws: Error when this machine does not have the address.
PortState probe_port(Transport transport, const Endpoint& at);

// A line of /proc/net/{tcp,tcp6,udp,udp6}.
struct SocketRow {
  Endpoint local;
  Endpoint remote;
  unsigned state = 0;       // 10: a TCP listener; 6: TIME_WAIT
  uid_t user = 0;           // its owner
  std::uint64_t inode = 0;  // 0: no process has it (yet, or any more)
};
// Nothing: the line does not describe a socket, such as the table's header.
std::optional<SocketRow> parse_socket_row(std::string_view line) noexcept;
// The inode that a link in /proc/PID/fd names ("socket:[4711]"); nothing when it names no socket.
std::optional<std::uint64_t> parse_socket_link(std::string_view link) noexcept;

struct Process {
  pid_t id = 0;
  std::string name;  // of its program, at most 15 bytes; may contain any characters
  friend bool operator==(const Process&, const Process&) noexcept = default;
};
// A socket of this machine that has a port.
struct PortHolder {
  Transport transport = Transport::tcp;
  Endpoint local;
  Endpoint remote;         // without a port: not connected
  bool listening = false;  // TCP: it listens; UDP: it receives from any peer
  uid_t user = 0;
  std::string user_name;           // empty: the user has no name
  std::vector<Process> processes;  // empty: this process may not inspect those that have it
};
// The sockets for which wanted() is true, by port, TCP first; `processes` is not set yet when it is called. Inspects
// the descriptors of all processes only when there is such a socket.
std::vector<PortHolder> port_holders(const std::function<bool(const PortHolder&)>& wanted);
// All listeners; and all sockets with one of these ports, listening or connected.
std::vector<PortHolder> listeners();
std::vector<PortHolder> holders_of_ports(const PortRange& ports);

}  // namespace coax

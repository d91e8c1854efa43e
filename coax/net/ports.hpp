// Ports: who may use one, whether it is free on this machine, and who has it now. Linux tells the last in /proc; what
// is read there is the moment's, and may be different when the call returns.
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

// Who could listen on a port, by its number (RFC 6335, section 6) and by what this machine asks for.
enum class PortClass : std::uint8_t {
  privileged,  // only root, or who has CAP_NET_BIND_SERVICE
  well_known,  // a system port, up to 1023, which this machine lets everybody use
  registered,  // a user port, up to 49151: everybody; many are assigned to a service
  dynamic,     // from 49152 on: everybody, never assigned
};
std::string_view to_string(PortClass port_class) noexcept;
// net.ipv4.ip_unprivileged_port_start: the first port, of IPv6 too, that needs no rights. 1024 when nothing tells.
unsigned unprivileged_port_start();
PortClass class_of_port(std::uint16_t port, unsigned unprivileged_from) noexcept;

// The ports that the kernel gives to those who ask for any: net.ipv4.ip_local_port_range.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
  [[nodiscard]] bool contains(std::uint16_t port) const noexcept { return first <= port && port <= last; }
  friend bool operator==(const PortRange&, const PortRange&) noexcept = default;
};
PortRange ephemeral_ports();
// "8080" or "8000-8010"; anything else, port 0 and a range that runs backwards are nothing.
std::optional<PortRange> parse_port_range(std::string_view text) noexcept;

enum class PortState : std::uint8_t { free, held, not_permitted };
// Binds a socket there, as a listener would, and closes it; it never listens, so that nobody's connections or datagrams
// are taken. A wildcard of IPv6 stands for IPv4 as well. A port whose last connections still fade away is free. A port
// that needs rights which this process does not have is not_permitted, held or not: holders_of_port() tells more.
// Throws Error when the address is none of this machine.
PortState probe_port(Transport transport, const Endpoint& at);

// A line of /proc/net/{tcp,tcp6,udp,udp6}.
struct SocketRow {
  Endpoint local;
  Endpoint remote;
  unsigned state = 0;       // 10: a TCP listener; 6: a connection that fades away
  uid_t user = 0;           // who made it
  std::uint64_t inode = 0;  // 0: no process has it (yet, or any more)
};
// Nothing: the line is none of a socket, such as the table's head.
std::optional<SocketRow> parse_socket_row(std::string_view line) noexcept;
// The inode that a link in /proc/PID/fd names ("socket:[4711]"); nothing: it names no socket.
std::optional<std::uint64_t> parse_socket_link(std::string_view link) noexcept;

struct Process {
  pid_t id = 0;
  std::string name;  // of its program, at most 15 bytes; may have any characters inside
  friend bool operator==(const Process&, const Process&) noexcept = default;
};
// A socket of this machine that has a port.
struct PortHolder {
  Transport transport = Transport::tcp;
  Endpoint local;
  Endpoint remote;         // of no port: no connection
  bool listening = false;  // TCP: it listens; UDP: anybody may send to it
  uid_t user = 0;
  std::string user_name;           // empty: that number has no name
  std::vector<Process> processes;  // none: this process may not look into those that have it
};
// Those sockets for which wanted() is true, by port, TCP first; `processes` is not set yet when it is asked. Looks into
// the descriptors of all processes only when there is something to find.
std::vector<PortHolder> port_holders(const std::function<bool(const PortHolder&)>& wanted);
// All that listen; and all that have one of these ports, listening or connected.
std::vector<PortHolder> listeners();
std::vector<PortHolder> holders_of_ports(const PortRange& ports);

}  // namespace coax

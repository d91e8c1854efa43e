// Names of hosts, services, protocols and interfaces, and back: what netdb.h and net/if.h have, with results that are
// values. Calls that ask the resolver block for as long as it takes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/net/address.hpp"

namespace coax {

// What getaddrinfo(3) may be told; nothing: of any kind.
struct AddressHints {
  std::optional<Family> family = {};
  std::optional<SocketType> type = {};
  int protocol = 0;
  bool passive = false;       // without a host: the wildcard, to listen on, instead of loopback
  bool numeric_host = false;  // no name is looked up
  bool numeric_service = false;
  bool canonical_name = false;
  bool configured_only = false;  // families for which this machine has an address
};
struct AddressInfo {
  Family family;
  SocketType type;
  int protocol;
  std::string canonical_name;  // when it was asked for; of the first only
  Address address;
};
// In the order in which they should be tried (RFC 6724). The host may be international, or empty; the service is a name
// or a port. Throws ResolveError, or Error(address) for what can be no name.
std::vector<AddressInfo> address_info(std::string_view host, std::string_view service, const AddressHints& hints = {});

struct NameHints {
  bool numeric = false;        // no name is looked up
  bool name_required = false;  // throws when there is none, instead of giving numbers
  bool datagram = false;       // the service's name over UDP
};
struct NameInfo {
  std::string host;
  std::string service;
};
NameInfo name_info(const Address& address, const NameHints& hints = {});

// The older way, for IPv4: its name, its other names, its addresses. Throws ResolveError.
struct HostEntry {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<Endpoint> addresses;
};
HostEntry host_by_name(std::string_view name);
HostEntry host_by_address(const Endpoint& address);  // IPv6, too
std::string host_name();                             // of this machine
// The first of the names of a host that has a dot; else the name itself. Nothing: this machine.
std::string fully_qualified_name(std::string_view name = {});

// From /etc/services and /etc/protocols; an empty protocol is any. Throw Error(address) for what is not there.
std::uint16_t service_port(std::string_view name, std::string_view protocol = {});
std::string service_name(std::uint16_t port, std::string_view protocol = {});
int protocol_number(std::string_view name);

struct Interface {
  unsigned index;
  std::string name;
};
std::vector<Interface> interfaces();
// Throw Error when there is none.
unsigned interface_index(std::string_view name);
std::string interface_name(unsigned index);

// An IPv4 address in any form that inet_aton(3) takes: "127.1", "0x7f000001". Endpoint::from_ip() takes only the usual
// one. Anything else is nothing.
std::optional<Endpoint> loose_ipv4(std::string_view text, std::uint16_t port = 0);

}  // namespace coax

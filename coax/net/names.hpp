// Names of hosts, services, protocols and interfaces, and back: the calls of netdb.h and net/if.h, with values as
// results. Calls that use the resolver block until it answers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/net/address.hpp"

namespace coax {

// The hints of getaddrinfo(3); empty: any.
struct AddressHints {
  std::optional<Family> family = {};
  std::optional<SocketType> type = {};
  int protocol = 0;
  bool passive = false;       // without a host: the wildcard, for listening, instead of loopback
  bool numeric_host = false;  // no name resolution
  bool numeric_service = false;
  bool canonical_name = false;
  bool configured_only = false;  // only families of which this machine has an address
};
struct AddressInfo {
  Family family;
  SocketType type;
  int protocol;
  std::string canonical_name;  // if requested; of the first only
  Address address;
};
// Resolves a host and a service, in the order in which to try the addresses (RFC 6724). The host may be
// internationalized or empty; the service is a name or a port.
// Throws: ResolveError; Error(address) for an invalid name.
std::vector<AddressInfo> address_info(std::string_view host, std::string_view service, const AddressHints& hints = {});

struct NameHints {
  bool numeric = false;        // no name resolution
  bool name_required = false;  // throws when there is no name, instead of returning numbers
  bool datagram = false;       // the service's name over UDP
};
struct NameInfo {
  std::string host;
  std::string service;
};
NameInfo name_info(const Address& address, const NameHints& hints = {});

// The result of the older calls for IPv4: name, aliases, addresses. Throws: ResolveError.
struct HostEntry {
  std::string name;
  std::vector<std::string> aliases;
  std::vector<Endpoint> addresses;
};
HostEntry host_by_name(std::string_view name);
HostEntry host_by_address(const Endpoint& address);  // IPv6, too
std::string host_name();                             // of this machine
// The first of the names of a host that has a dot; otherwise the name itself. Empty: this machine.
std::string fully_qualified_name(std::string_view name = {});

// From /etc/services and /etc/protocols; an empty protocol means any. Throws: Error(address) when there is no entry.
std::uint16_t service_port(std::string_view name, std::string_view protocol = {});
std::string service_name(std::uint16_t port, std::string_view protocol = {});
int protocol_number(std::string_view name);

struct Interface {
  unsigned index;
  std::string name;
};
std::vector<Interface> interfaces();
// Throws: Error when there is none.
unsigned interface_index(std::string_view name);
std::string interface_name(unsigned index);

// Parses an IPv4 address in any form of inet_aton(3): "127.1", "0x7f000001". Endpoint::from_ip() accepts only the usual
// one. Nothing for any other text.
std::optional<Endpoint> loose_ipv4(std::string_view text, std::uint16_t port = 0);

}  // namespace coax

// The resolver and the system's tables, through their thread-safe calls.
#include "coax/net/names.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <netdb.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/net/idna.hpp"

namespace coax {

namespace {

[[noreturn]] void fail(int failure, const char* operation, std::string_view name) {
  if (failure == EAI_SYSTEM) throw Error(errno, operation, name);
  throw ResolveError(failure, operation, name);
}

// This file belongs to a package that may be missing.
constexpr const char* services_file = "/etc/services";
constexpr const char* protocols_file = "/etc/protocols";
std::string_view why_unknown(const char* table) {
  if (::access(table, R_OK) == 0) return "this system does not know it";
  return table == services_file ? "there is no /etc/services here: install the package netbase, or give the number"
                                : "there is no /etc/protocols here: install the package netbase, or give the number";
}

// glibc accepts any number, also "+80" and " 80", modulo 65536.
void check_service(std::string_view service) {
  if (service.empty() || parse_port(service)) return;
  const bool is_name = (service.front() | 0x20) >= 'a' && (service.front() | 0x20) <= 'z';
  const bool has_letter = std::ranges::any_of(service, [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; });
  if (is_name || (has_letter && service.front() >= '0' && service.front() <= '9')) return;  // "http", "3com-tsmux"
  throw ResolveError(EAI_SERVICE, "resolve the port", service, "a port is a number from 0 to 65535");
}

std::string without_nul(std::string_view text, const char* operation) {
  if (text.find('\0') != std::string_view::npos) {
    throw Error(ErrorKind::address, operation, {}, "there is a NUL byte inside");
  }
  return std::string(text);
}

addrinfo native_of(const AddressHints& hints) {
  addrinfo native{};
  native.ai_family = static_cast<int>(hints.family.value_or(Family::none));
  native.ai_socktype = hints.type ? static_cast<int>(*hints.type) : 0;
  native.ai_protocol = hints.protocol;
  native.ai_flags = (hints.passive ? AI_PASSIVE : 0) | (hints.numeric_host ? AI_NUMERICHOST : 0) |
                    (hints.numeric_service ? AI_NUMERICSERV : 0) | (hints.canonical_name ? AI_CANONNAME : 0) |
                    (hints.configured_only ? AI_ADDRCONFIG : 0);
  return native;
}

}  // namespace

namespace {

// The loopback addresses, whatever files and name servers say (RFC 6761, section 6.3).
std::vector<AddressInfo> loopback_info(std::string_view name, std::string_view service, AddressHints hints) {
  const std::string canonical(hints.canonical_name ? name : "");
  hints.canonical_name = false;
  std::vector<AddressInfo> all;
  const Family family = hints.family.value_or(Family::none);
  for (const auto& [address, of] : {std::pair("::1", Family::v6), std::pair("127.0.0.1", Family::v4)}) {
    if (family != Family::none && family != of) continue;
    for (AddressInfo& info : address_info(address, service, hints)) all.push_back(std::move(info));
  }
  if (!all.empty()) all.front().canonical_name = canonical;
  return all;
}

}  // namespace

std::vector<AddressInfo> address_info(std::string_view host, std::string_view service, const AddressHints& hints) {
  const std::string name = ascii_name(host);
  const std::string port = without_nul(service, "resolve the service");
  check_service(port);
  if (is_loopback_name(host) && !hints.numeric_host) return loopback_info(host, port, hints);
  if (is_invalid_name(host)) throw ResolveError(EAI_NONAME, "resolve", host);
  const addrinfo native = native_of(hints);
  addrinfo* found = nullptr;
  const int failure =
      ::getaddrinfo(name.empty() ? nullptr : name.c_str(), port.empty() ? nullptr : port.c_str(), &native, &found);
  if (failure == EAI_SERVICE) throw ResolveError(failure, "resolve the service", port, why_unknown(services_file));
  if (failure != 0) fail(failure, "resolve", host);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<AddressInfo> all;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    const auto* bytes = reinterpret_cast<const std::byte*>(entry->ai_addr);
    all.push_back({.family = static_cast<Family>(entry->ai_family),
                   .type = static_cast<SocketType>(entry->ai_socktype),
                   .protocol = entry->ai_protocol,
                   .canonical_name = entry->ai_canonname != nullptr ? entry->ai_canonname : "",
                   .address = Address::from_native(std::span(bytes, entry->ai_addrlen))});
  }
  return all;
}

NameInfo name_info(const Address& address, const NameHints& hints) {
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  const int flags = (hints.numeric ? NI_NUMERICHOST | NI_NUMERICSERV : 0) | (hints.name_required ? NI_NAMEREQD : 0) |
                    (hints.datagram ? NI_DGRAM : 0);
  const int failure = ::getnameinfo(address.get(), static_cast<socklen_t>(address.native().size()), host.data(),
                                    host.size(), service.data(), service.size(), flags);
  if (failure != 0) fail(failure, "find the name of", address.to_string());
  return {.host = host.data(), .service = service.data()};
}

// --- the older calls ---

namespace {

// Calls one of the functions that end in _r with a buffer that is large enough. False: there is no such entry.
template <class Entry, class Call>
bool look_up(Entry& entry, std::vector<char>& buffer, Call call) {
  constexpr std::size_t buffer_bytes_max = 1_MiB;
  for (std::size_t size = 1_KiB; size <= buffer_bytes_max; size *= 2) {
    buffer.resize(size);
    Entry* found = nullptr;
    const int reason = call(&entry, buffer, &found);
    if (reason != ERANGE) return reason == 0 && found != nullptr;
  }
  return false;
}

HostEntry host_entry_of(const hostent& entry) {
  HostEntry host{.name = entry.h_name};
  for (char** alias = entry.h_aliases; *alias != nullptr; ++alias) host.aliases.emplace_back(*alias);
  for (char** address = entry.h_addr_list; *address != nullptr; ++address) {
    const auto* octets = reinterpret_cast<const std::uint8_t*>(*address);
    host.addresses.push_back(Endpoint::from_address(std::span(octets, static_cast<std::size_t>(entry.h_length)), 0));
  }
  return host;
}

int reason_of(int host_error) {
  switch (host_error) {
    case HOST_NOT_FOUND: return EAI_NONAME;
    case TRY_AGAIN: return EAI_AGAIN;
    case NO_DATA: return EAI_NODATA;
    default: return EAI_FAIL;
  }
}

const char* text_or_null(const std::string& text) { return text.empty() ? nullptr : text.c_str(); }

}  // namespace

HostEntry host_by_name(std::string_view name) {
  const std::string ascii = ascii_name(name);
  if (is_loopback_name(name))
    return {.name = ascii, .aliases = {}, .addresses = resolve(ascii, 0, Endpoint::Family::v4)};
  if (is_invalid_name(name)) throw ResolveError(EAI_NONAME, "resolve", name);
  hostent entry{};
  std::vector<char> buffer;
  int error = 0;
  const bool found = look_up(entry, buffer, [&](hostent* into, std::vector<char>& room, hostent** result) {
    return ::gethostbyname2_r(ascii.c_str(), AF_INET, into, room.data(), room.size(), result, &error);
  });
  if (!found) throw ResolveError(reason_of(error), "resolve", name);
  return host_entry_of(entry);
}

HostEntry host_by_address(const Endpoint& address) {
  const auto octets = address.address();
  const int family = address.family() == Endpoint::Family::v6 ? AF_INET6 : AF_INET;
  hostent entry{};
  std::vector<char> buffer;
  int error = 0;
  const bool found = look_up(entry, buffer, [&](hostent* into, std::vector<char>& room, hostent** result) {
    return ::gethostbyaddr_r(octets.data(), static_cast<socklen_t>(octets.size()), family, into, room.data(),
                             room.size(), result, &error);
  });
  if (!found) throw ResolveError(reason_of(error), "find the name of", address.ip());
  return host_entry_of(entry);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) throw Error(errno, "find the name of this machine");
  return name.data();
}

std::string fully_qualified_name(std::string_view name) {
  std::string own = name.empty() ? host_name() : std::string(name);
  try {
    const Endpoint address = resolve(own, 0).at(0);
    const HostEntry host = host_by_address(address);
    if (host.name.find('.') != std::string::npos) return host.name;
    for (const std::string& alias : host.aliases) {
      if (alias.find('.') != std::string::npos) return alias;
    }
    return host.name;
  } catch (const Error&) {
    return own;
  }
}

std::uint16_t service_port(std::string_view name, std::string_view protocol) {
  const std::string service = without_nul(name, "find the service");
  const std::string over = without_nul(protocol, "find the service");
  servent entry{};
  std::vector<char> buffer;
  const bool found = look_up(entry, buffer, [&](servent* into, std::vector<char>& room, servent** result) {
    return ::getservbyname_r(service.c_str(), text_or_null(over), into, room.data(), room.size(), result);
  });
  if (!found) throw Error(ErrorKind::address, "find the service", name, why_unknown(services_file));
  return ntohs(static_cast<std::uint16_t>(entry.s_port));
}

std::string service_name(std::uint16_t port, std::string_view protocol) {
  const std::string over = without_nul(protocol, "find the service");
  servent entry{};
  std::vector<char> buffer;
  const bool found = look_up(entry, buffer, [&](servent* into, std::vector<char>& room, servent** result) {
    return ::getservbyport_r(htons(port), text_or_null(over), into, room.data(), room.size(), result);
  });
  if (!found) {
    throw Error(ErrorKind::address, "find the service of port", std::to_string(port), why_unknown(services_file));
  }
  return entry.s_name;
}

int protocol_number(std::string_view name) {
  const std::string protocol = without_nul(name, "find the protocol");
  protoent entry{};
  std::vector<char> buffer;
  const bool found = look_up(entry, buffer, [&](protoent* into, std::vector<char>& room, protoent** result) {
    return ::getprotobyname_r(protocol.c_str(), into, room.data(), room.size(), result);
  });
  if (!found) throw Error(ErrorKind::address, "find the protocol", name, why_unknown(protocols_file));
  return entry.p_proto;
}

// --- interfaces and literals ---

std::vector<Interface> interfaces() {
  const std::unique_ptr<struct if_nameindex, decltype(&if_freenameindex)> list(::if_nameindex(), if_freenameindex);
  if (!list) throw Error(errno, "list the interfaces");
  std::vector<Interface> all;
  for (const auto* entry = list.get(); entry->if_index != 0; ++entry) {
    all.push_back({.index = entry->if_index, .name = entry->if_name});
  }
  return all;
}

unsigned interface_index(std::string_view name) {
  const unsigned index = ::if_nametoindex(without_nul(name, "find the interface").c_str());
  if (index == 0) throw Error(errno, "find the interface", name);
  return index;
}

std::string interface_name(unsigned index) {
  std::array<char, IF_NAMESIZE> name{};
  if (::if_indextoname(index, name.data()) == nullptr) throw Error(errno, "find the interface", std::to_string(index));
  return name.data();
}

std::optional<Endpoint> loose_ipv4(std::string_view text, std::uint16_t port) {
  in_addr address{};
  // inet_aton(3) ignores everything after white space.
  if (text.find_first_of(std::string_view(" \t\n\v\f\r\0", 7)) != std::string_view::npos) return std::nullopt;
  if (::inet_aton(std::string(text).c_str(), &address) == 0) return std::nullopt;
  return Endpoint::from_address(std::span(reinterpret_cast<const std::uint8_t*>(&address), sizeof address), port);
}

}  // namespace coax

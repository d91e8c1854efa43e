// Conversion of endpoints from and to text and sockaddr; name resolution.
#include "coax/net/endpoint.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "coax/base/text.hpp"
#include "coax/net/idna.hpp"

namespace coax {

namespace {

// "invalid", "a.invalid.": the name itself or one below it.
bool is_at_or_below(std::string_view name, std::string_view domain) noexcept {
  if (name.ends_with('.')) name.remove_suffix(1);
  if (name.size() < domain.size() || !equal_ignoring_case(name.substr(name.size() - domain.size()), domain))
    return false;
  return name.size() == domain.size() || name[name.size() - domain.size() - 1] == '.';
}

std::vector<Endpoint> ask_resolver(const std::string& host, std::uint16_t port, Endpoint::Family family) {
  const std::string name = ascii_name(host);
  addrinfo hints{};
  if (family != Endpoint::Family::none) hints.ai_family = family == Endpoint::Family::v4 ? AF_INET : AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;  // and not AI_ADDRCONFIG, to which loopback addresses are none
  addrinfo* found = nullptr;
  const int failure = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (failure != 0) {
    if (failure == EAI_SYSTEM) throw Error(errno, "resolve", host);
    throw ResolveError(failure, "resolve", host);
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  std::vector<Endpoint> endpoints;
  for (const addrinfo* entry = found; entry != nullptr; entry = entry->ai_next) {
    endpoints.push_back(Endpoint::from_native(entry->ai_addr));
  }
  return endpoints;
}

// For IPv4 alone, glibc returns 127.0.0.1 for a name that /etc/hosts has only with ::1. For both families it does not.
void drop_what_only_stands_for_v6(std::vector<Endpoint>& addresses, const std::string& host, std::uint16_t port) {
  const Endpoint loopback = *Endpoint::from_ip("127.0.0.1", port);
  if (std::ranges::count(addresses, loopback) == 0) return;
  const std::vector<Endpoint> both = ask_resolver(host, port, Endpoint::Family::none);
  if (std::ranges::count(both, loopback) == 0) std::erase(addresses, loopback);
}

void check_zone(const std::string& host) {
  const std::size_t percent = host.find('%');
  if (percent == std::string::npos || !Endpoint::from_ip(host.substr(0, percent), 0)) return;
  throw Error(ErrorKind::address, "resolve", host,
              fmt::format("this machine has no interface {}", host.substr(percent + 1)));
}

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return port;
}

Endpoint Endpoint::from_native(const ::sockaddr* address) noexcept {
  Endpoint endpoint;
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    endpoint.family_ = Family::v4;
    endpoint.port_ = ntohs(in.sin_port);
    std::memcpy(endpoint.address_.data(), &in.sin_addr, 4);
  } else if (address->sa_family == AF_INET6) {
    sockaddr_in6 in{};
    std::memcpy(&in, address, sizeof in);
    endpoint.family_ = Family::v6;
    endpoint.port_ = ntohs(in.sin6_port);
    endpoint.scope_ = in.sin6_scope_id;
    std::memcpy(endpoint.address_.data(), &in.sin6_addr, 16);
  }
  return endpoint;
}

unsigned Endpoint::to_native(NativeAddress& out) const noexcept {
  if (family_ == Family::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(port_);
    std::memcpy(&in.sin_addr, address_.data(), 4);
    std::memcpy(out.bytes.data(), &in, sizeof in);
    return sizeof in;
  }
  sockaddr_in6 in{};
  in.sin6_family = AF_INET6;
  in.sin6_port = htons(port_);
  in.sin6_scope_id = scope_;
  std::memcpy(&in.sin6_addr, address_.data(), 16);
  std::memcpy(out.bytes.data(), &in, sizeof in);
  return sizeof in;
}

std::optional<Endpoint> Endpoint::from_ip(std::string_view address, std::uint16_t port) {
  if (address.size() >= 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  if (address.find('\0') != std::string_view::npos) return std::nullopt;
  Endpoint endpoint;
  endpoint.port_ = port;
  const std::size_t percent = address.find('%');
  const std::string ip(address.substr(0, percent));
  if (percent == std::string_view::npos && inet_pton(AF_INET, ip.c_str(), endpoint.address_.data()) == 1) {
    endpoint.family_ = Family::v4;
    return endpoint;
  }
  if (inet_pton(AF_INET6, ip.c_str(), endpoint.address_.data()) != 1) return std::nullopt;
  endpoint.family_ = Family::v6;
  if (percent != std::string_view::npos) {
    endpoint.scope_ = if_nametoindex(std::string(address.substr(percent + 1)).c_str());
    if (endpoint.scope_ == 0) return std::nullopt;
  }
  return endpoint;
}

std::optional<Endpoint> Endpoint::parse(std::string_view text) {
  const auto parts = parse_host_port(text);
  if (!parts || !parts->port) return std::nullopt;
  return from_ip(parts->host, *parts->port);
}

bool Endpoint::is_mapped_v4() const noexcept {
  static constexpr std::array<std::uint8_t, 12> prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  return family_ == Family::v6 && std::equal(prefix.begin(), prefix.end(), address_.begin());
}

bool Endpoint::is_loopback() const noexcept {
  if (family_ == Family::v4) return address_[0] == 127;
  if (is_mapped_v4()) return address_[12] == 127;
  static constexpr std::array<std::uint8_t, 16> one{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return family_ == Family::v6 && address_ == one;
}

Endpoint Endpoint::any(std::uint16_t port) {
  static const bool has_v6 = [] {
    const int probe = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return errno != EAFNOSUPPORT;
    ::close(probe);
    return true;
  }();
  return *from_ip(has_v6 ? "::" : "0.0.0.0", port);
}

bool Endpoint::is_wildcard() const noexcept {
  return family_ != Family::none && address_ == std::array<std::uint8_t, 16>{};
}

Endpoint Endpoint::from_address(std::span<const std::uint8_t> bytes, std::uint16_t port) noexcept {
  Endpoint endpoint;
  if (bytes.size() != 4 && bytes.size() != 16) return endpoint;
  std::ranges::copy(bytes, endpoint.address_.begin());
  endpoint.port_ = port;
  endpoint.family_ = bytes.size() == 4 ? Family::v4 : Family::v6;
  return endpoint;
}

Endpoint Endpoint::unmapped() const noexcept {
  return is_mapped_v4() ? from_address(std::span(address_).subspan(12), port_) : *this;
}

Endpoint Endpoint::host_key() const noexcept {
  Endpoint key = unmapped();
  key.port_ = 0;
  if (key.family_ == Family::v6 && !is_loopback()) {
    std::fill(key.address_.begin() + 8, key.address_.end(), std::uint8_t{0});
  }
  return key;
}

std::string Endpoint::ip() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family_ == Family::none) return "?";
  inet_ntop(family_ == Family::v4 ? AF_INET : AF_INET6, address_.data(), text.data(), text.size());
  std::string result = text.data();
  std::array<char, IF_NAMESIZE> name{};
  if (scope_ != 0 && if_indextoname(scope_, name.data()) != nullptr) result.append("%").append(name.data());
  return result;
}

std::string Endpoint::to_string() const {
  return family_ == Family::v6 ? fmt::format("[{}]:{}", ip(), port_) : fmt::format("{}:{}", ip(), port_);
}

std::optional<HostPort> parse_host_port(std::string_view text) {
  if (text.empty()) return std::nullopt;
  HostPort result;
  std::string_view rest = text;
  if (text.front() == '[') {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    result.host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
    if (rest.empty()) return result;
    if (rest.front() != ':') return std::nullopt;
  } else {
    const std::size_t colon = text.find(':');
    const bool bare_v6 = colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos;
    result.host = bare_v6 ? text : text.substr(0, colon);
    if (bare_v6 || colon == std::string_view::npos) return result;
    rest = text.substr(colon);
  }
  result.port = parse_port(rest.substr(1));
  if (!result.port) return std::nullopt;
  return result;
}

ResolveError::ResolveError(int reason, std::string_view operation, std::string_view name)
    : Error(ErrorKind::address, operation, name, gai_strerror(reason)), reason_(reason) {}

ResolveError::ResolveError(int reason, std::string_view operation, std::string_view name, std::string_view text)
    : Error(ErrorKind::address, operation, name, text), reason_(reason) {}

bool is_loopback_name(std::string_view host) noexcept { return is_at_or_below(host, "localhost"); }
bool is_invalid_name(std::string_view host) noexcept { return is_at_or_below(host, "invalid"); }

std::vector<Endpoint> loopback_addresses(std::uint16_t port, Endpoint::Family family) {
  std::vector<Endpoint> addresses;
  if (family != Endpoint::Family::v4) addresses.push_back(*Endpoint::from_ip("::1", port));
  if (family != Endpoint::Family::v6) addresses.push_back(*Endpoint::from_ip("127.0.0.1", port));
  return addresses;
}

std::vector<Endpoint> resolve(const std::string& host, std::uint16_t port, Endpoint::Family family) {
  if (host.empty() || host == "*") return {Endpoint::any(port)};
  if (auto numeric = Endpoint::from_ip(host, port)) return {*numeric};
  check_zone(host);
  if (is_loopback_name(host)) return loopback_addresses(port, family);
  if (is_invalid_name(host)) throw ResolveError(EAI_NONAME, "resolve", host);
  std::vector<Endpoint> addresses = ask_resolver(host, port, family);
  if (family == Endpoint::Family::v4) drop_what_only_stands_for_v6(addresses, host, port);
  if (addresses.empty()) throw ResolveError(EAI_NODATA, "resolve", host);
  return addresses;
}

std::vector<Endpoint> interleave_families(const std::vector<Endpoint>& addresses, Endpoint::Family first_family) {
  std::vector<Endpoint> first;
  std::vector<Endpoint> second;
  for (const Endpoint& address : addresses) {
    if (first_family == Endpoint::Family::none) first_family = address.family();
    (address.family() == first_family ? first : second).push_back(address);
  }
  std::vector<Endpoint> mixed;
  for (std::size_t index = 0; index < std::max(first.size(), second.size()); ++index) {
    if (index < first.size()) mixed.push_back(first[index]);
    if (index < second.size()) mixed.push_back(second[index]);
  }
  return mixed;
}

}  // namespace coax

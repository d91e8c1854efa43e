// Addresses on the command line are parsed strictly: an ambiguous text is refused, with the unambiguous forms.
#include "app/console/target.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "app/console/report.hpp"
#include "coax/base/error.hpp"
#include "coax/net/names.hpp"

namespace coax::app {

namespace {

PortRange ports_of(const std::string& text, Transport transport, Ports ports) {
  refuse_reversed_range(text);
  if (ports == Ports::one_or_any && text == "0") return {0, 0};
  const auto range = parse_port_range(text);
  if (range && (ports == Ports::range || range->first == range->last)) return *range;
  if (range) throw WrongUsage{fmt::format("\"{}\": one port is wanted here; --check takes several", text)};
  try {
    if (!text.empty() && text.find_first_not_of("0123456789-") != std::string::npos) {
      const std::uint16_t port = service_port(text, to_string(transport));
      return {port, port};
    }
  } catch (const Error&) {  // reported below
  }
  throw WrongUsage{fmt::format("\"{}\" is no port: give a number from {} to 65535, or a service of /etc/services", text,
                               ports == Ports::one_or_any ? 0 : 1)};
}

}  // namespace

void refuse_reversed_range(const std::string& text) {
  const std::size_t dash = text.find('-');
  if (dash == std::string::npos) return;
  const std::string turned = text.substr(dash + 1) + "-" + text.substr(0, dash);
  if (!parse_port_range(text) && parse_port_range(turned)) {
    throw WrongUsage{fmt::format("\"{}\" ends before it begins: write {}", text, turned)};
  }
}

std::string Target::text_with(std::uint16_t port) const {
  if (is_unix()) return unix_name;
  return host.contains(':') ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Target target_of(const std::vector<std::string>& words, Transport transport, Ports ports) {
  constexpr std::string_view forms =
      "give HOST:PORT (an IPv6 address as [ADDRESS]:PORT), HOST PORT, PORT for this machine, or unix:PATH";
  if (words.empty() || words.size() > 2) throw WrongUsage{std::string(forms)};
  const std::string& first = words.front();
  if (words.size() == 2) {
    std::string host = first;
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    return {.host = std::move(host), .ports = ports_of(words[1], transport, ports)};
  }
  if (first.starts_with("unix:")) {
    if (first.size() == 5) throw WrongUsage{"unix: needs a path, as in unix:/tmp/socket, or @name"};
    return {.unix_name = first};
  }
  if (first.contains("://")) throw WrongUsage{fmt::format("\"{}\" is a URL: {}", first, forms)};
  const std::size_t colon = first.rfind(':');
  if (colon == std::string::npos) {
    const bool is_host = first.contains('.') || first == "localhost";
    if (is_host) throw WrongUsage{fmt::format("\"{}\": which port? {}", first, forms)};
    return {.host = "127.0.0.1", .ports = ports_of(first, transport, ports)};
  }
  std::string host = first.substr(0, colon);
  const bool in_brackets = host.starts_with('[') && host.ends_with(']');
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (!in_brackets && host.contains(':')) {
    throw WrongUsage{fmt::format("\"{}\" could be an address with or without a port: {}", first, forms)};
  }
  return {.host = std::move(host), .ports = ports_of(first.substr(colon + 1), transport, ports)};
}

std::vector<Address> addresses_to_listen_on(const Target& target) {
  if (target.is_unix()) return {Address::of(target.unix_name, Family::local)};
  std::vector<Address> all;
  for (const Endpoint& endpoint : resolve(target.host, target.ports.first)) all.emplace_back(endpoint);
  return all;
}

}  // namespace coax::app

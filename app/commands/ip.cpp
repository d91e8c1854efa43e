// coax ip: the purpose and size of an address or a network, and the addresses of this machine.
#include <fmt/core.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <bit>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cerrno>
#include <map>
#include <memory>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "coax/net/network.hpp"

namespace coax::app {

namespace {

struct IpArguments {
  std::vector<std::string> what;
  std::vector<std::string> contains;
  bool json = false;
};

// The registries of special-purpose addresses (IANA, RFC 6890), the narrower block before the wider.
struct Use {
  std::string_view network;
  std::string_view text;
};
constexpr Use uses[] = {
    {"0.0.0.0/32", "unspecified: to listen on, all addresses of this machine"},
    {"0.0.0.0/8", "this network (RFC 791)"},
    {"10.0.0.0/8", "private (RFC 1918)"},
    {"100.64.0.0/10", "shared by customers of a provider (RFC 6598)"},
    {"127.0.0.0/8", "loopback: this machine itself (RFC 1122)"},
    {"169.254.0.0/16", "link-local: this link only (RFC 3927)"},
    {"172.16.0.0/12", "private (RFC 1918)"},
    {"192.0.0.0/24", "assigned to protocols (RFC 6890)"},
    {"192.0.2.0/24", "documentation (RFC 5737)"},
    {"192.168.0.0/16", "private (RFC 1918)"},
    {"198.18.0.0/15", "benchmarks of networks (RFC 2544)"},
    {"198.51.100.0/24", "documentation (RFC 5737)"},
    {"203.0.113.0/24", "documentation (RFC 5737)"},
    {"224.0.0.0/24", "multicast: this link only (RFC 5771)"},
    {"239.0.0.0/8", "multicast: within an organisation (RFC 2365)"},
    {"224.0.0.0/4", "multicast (RFC 5771)"},
    {"255.255.255.255/32", "broadcast: everybody on this link (RFC 919)"},
    {"240.0.0.0/4", "reserved (RFC 1112)"},
    {"::/128", "unspecified: to listen on, all addresses of this machine"},
    {"::1/128", "loopback: this machine itself (RFC 4291)"},
    {"::ffff:0.0.0.0/96", "an IPv4 address inside IPv6 (RFC 4291)"},
    {"64:ff9b::/96", "an IPv4 address behind a translator (RFC 6052)"},
    {"64:ff9b:1::/48", "an IPv4 address behind a local translator (RFC 8215)"},
    {"100::/64", "discarded (RFC 6666)"},
    {"2001::/32", "Teredo (RFC 4380)"},
    {"2001:db8::/32", "documentation (RFC 3849)"},
    {"2001::/23", "assigned to protocols (RFC 2928)"},
    {"2002::/16", "6to4 (RFC 3056)"},
    {"3fff::/20", "documentation (RFC 9637)"},
    {"fc00::/7", "private: unique local (RFC 4193)"},
    {"fe80::/10", "link-local: this link only (RFC 4291)"},
    {"ff01::/16", "multicast: this machine only (RFC 4291)"},
    {"ff02::/16", "multicast: this link only (RFC 4291)"},
    {"ff00::/8", "multicast (RFC 4291)"},
    {"2000::/3", "global unicast: reachable from everywhere (RFC 4291)"},
    {"0.0.0.0/0", "global unicast: reachable from everywhere"},
    {"::/0", "reserved (RFC 4291)"},
};

// The network of a single address.
Network only(const Endpoint& address) {
  return Network::around(address, address.family() == Endpoint::Family::v6 ? 128 : 32);
}

// A network has a purpose if all its addresses have it.
std::string_view use_of(const Network& network) {
  for (const Use& use : uses) {
    const Network block = Network::parse(use.network);
    if (block.contains(network)) return use.text;
    if (block.overlaps(network)) return "several uses";
  }
  return "";
}

// "1.0.0.127.in-addr.arpa" (RFC 1035, section 3.5), "....ip6.arpa" (RFC 3596, section 2.5).
std::string pointer_name(const Endpoint& address) {
  std::string name;
  const auto bytes = address.address();
  const bool is_v4 = address.family() == Endpoint::Family::v4;
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    name += is_v4 ? fmt::format("{}.", *byte) : fmt::format("{:x}.{:x}.", *byte & 0xF, *byte >> 4);
  }
  return name + (is_v4 ? "in-addr.arpa" : "ip6.arpa");
}

int version_of(Endpoint::Family family) { return family == Endpoint::Family::v6 ? 6 : 4; }

// 2^exponent in decimal digits, up to 2^128, which no integer type can hold.
std::string power_of_two(unsigned exponent) {
  std::string digits = "1";
  for (unsigned count = 0; count < exponent; ++count) {
    int carry = 0;
    for (auto digit = digits.rbegin(); digit != digits.rend(); ++digit) {
      const int doubled = 2 * (*digit - '0') + carry;
      *digit = static_cast<char>('0' + doubled % 10);
      carry = doubled / 10;
    }
    if (carry != 0) digits.insert(digits.begin(), '1');
  }
  return digits;
}

void tell_address(const Endpoint& address, bool json) {
  const Network alone = only(address);
  const Endpoint plain = address.unmapped();
  if (json) {
    boost::json::object object{{"address", address.ip()},
                               {"version", version_of(address.family())},
                               {"use", use_of(alone)},
                               {"global", address.is_global()},
                               {"private", address.is_private()},
                               {"loopback", address.is_loopback()},
                               {"link_local", address.is_link_local()},
                               {"multicast", address.is_multicast()},
                               {"pointer", pointer_name(address)}};
    if (plain != address) object["ipv4"] = plain.ip();
    print_json(object);
    return;
  }
  print("{}\n  IPv{}, {}\n", address.ip(), version_of(address.family()), use_of(alone));
  if (plain != address) {
    print("  IPv4     {}, {}\n", plain.ip(), use_of(only(plain)));
  }
  print("  pointer  {}\n", pointer_name(address));
}

void tell_network(const Network& network, bool json) {
  const bool is_v4 = network.family() == Endpoint::Family::v4;
  const unsigned free_bits = (is_v4 ? 32 : 128) - network.prefix_length();
  const std::string count = power_of_two(free_bits);
  const Endpoint all_ones = is_v4 ? *Endpoint::from_ip("255.255.255.255", 0)
                                  : *Endpoint::from_ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 0);
  const std::string mask = Network::around(all_ones, network.prefix_length()).first().ip();
  if (json) {
    print_json(boost::json::object{{"network", network.to_string()},
                                   {"version", version_of(network.family())},
                                   {"use", use_of(network)},
                                   {"first", network.first().ip()},
                                   {"last", network.last().ip()},
                                   {"mask", mask},
                                   {"count", count}});
    return;
  }
  print("{}\n  IPv{}, {}\n", network.to_string(), version_of(network.family()), use_of(network));
  print("  range    {} to {}\n  mask     {}\n", network.first().ip(), network.last().ip(), mask);
  const bool has_broadcast = is_v4 && free_bits >= 2;
  print("  count    {} {}{}\n", count, count == "1" ? "address" : "addresses",
        has_broadcast ? ", the first and the last of which are for no host" : "");
}

// Throws: Error(address) with the reason.
Network network_of(const std::string& text) {
  try {
    return Network::parse(text);
  } catch (const Error& error) {
    throw WrongUsage{error.what()};
  }
}

Endpoint ip_of(const std::string& text) {
  const auto address = Endpoint::from_ip(text, 0);
  if (!address) {
    throw WrongUsage{
        fmt::format("\"{}\" is no IP address, such as 127.0.0.1 or ::1; names are for: coax resolve", text)};
  }
  return *address;
}

// --- containment ---

int tell_contained(const IpArguments& options) {
  bool all = true;
  for (const std::string& each : options.what) {
    const Network network = network_of(each);
    for (const std::string& text : options.contains) {
      const Network part = network_of(text);
      const bool contained = network.contains(part);
      all = all && contained;
      if (options.json) {
        print_json(boost::json::object{{"network", network.to_string()}, {"part", text}, {"contained", contained}});
      } else {
        print("{} {} {}\n", network.to_string(), contained ? "contains" : "does not contain", text);
      }
    }
  }
  return all ? done : failed;
}

// --- this machine ---

struct Interface {
  unsigned flags = 0;
  std::vector<std::pair<Endpoint, unsigned>> addresses;  // with the length of the prefix
};

unsigned prefix_length(const Endpoint& mask) {
  unsigned length = 0;
  for (const std::uint8_t byte : mask.address()) length += static_cast<unsigned>(std::popcount(byte));
  return length;
}

std::map<std::string, Interface> interfaces_with_addresses() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) throw Error(errno, "list", "the interfaces");
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, freeifaddrs);
  std::map<std::string, Interface> all;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    Interface& interface = all[each->ifa_name];
    interface.flags = each->ifa_flags;
    if (each->ifa_addr == nullptr) continue;
    const Endpoint address = Endpoint::from_native(each->ifa_addr);
    if (address.family() == Endpoint::Family::none) continue;
    const Endpoint mask = each->ifa_netmask != nullptr ? Endpoint::from_native(each->ifa_netmask) : Endpoint();
    interface.addresses.emplace_back(address, prefix_length(mask));
  }
  return all;
}

int tell_interfaces(bool json) {
  boost::json::array list;
  for (const auto& [name, interface] : interfaces_with_addresses()) {
    const bool is_up = (interface.flags & IFF_UP) != 0;
    boost::json::array addresses;
    if (!json) print("{}{}\n", name, is_up ? "" : " (down)");
    for (const auto& [address, prefix] : interface.addresses) {
      const auto use = use_of(only(address));
      if (!json) print("  {:<28} {}\n", fmt::format("{}/{}", address.ip(), prefix), use);
      addresses.push_back(boost::json::object{{"address", address.ip()}, {"prefix", prefix}, {"use", use}});
    }
    list.push_back(boost::json::object{
        {"name", name}, {"index", ::if_nametoindex(name.c_str())}, {"up", is_up}, {"addresses", std::move(addresses)}});
  }
  if (json) print_json(boost::json::object{{"interfaces", std::move(list)}});
  return done;
}

int tell(const IpArguments& options) {
  if (!options.contains.empty()) {
    if (options.what.empty()) throw WrongUsage{"--contains: give the network, such as 10.0.0.0/8"};
    return tell_contained(options);
  }
  if (options.what.empty()) return tell_interfaces(options.json);
  for (const std::string& text : options.what) {
    if (text.contains('/')) {
      tell_network(network_of(text), options.json);
    } else {
      tell_address(ip_of(text), options.json);
    }
  }
  return done;
}

Run configure_ip(CLI::App& command) {
  auto options = std::make_shared<IpArguments>();
  command.add_option("what", options->what, "Addresses and networks; none: the interfaces of this machine")
      ->type_name("ADDRESS|NETWORK");
  command.add_option("--contains", options->contains, "Whether the networks contain these")
      ->type_name("ADDRESS|NETWORK");
  command.add_flag("--json", options->json, "For machines: one object on each line");
  return [options] { return reported("ip", failed, [&] { return tell(*options); }); };
}

}  // namespace

const Command ip_command{
    .name = "ip",
    .summary = "Purpose of an address or network; addresses of this machine",
    .details =
        "Exit codes: 0 shown, or contained; 1 --contains: not contained; 2 not an address or a network.\n"
        "\n",
    .examples =
        "  coax ip                                    the interfaces and addresses of this machine\n"
        "  coax ip 192.168.1.5 fe80::1                their purpose, and their names for reverse lookups\n"
        "  coax ip 10.0.0.0/22                        range, mask and count\n"
        "  coax ip 10.0.0.0/8 --contains 10.1.2.3",
    .configure = configure_ip,
};

}  // namespace coax::app

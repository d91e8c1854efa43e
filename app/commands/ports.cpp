// coax ports: the listeners of this machine; and whether a port is free, for which users, and which process holds it.
#include "coax/net/ports.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <optional>

#include "app/commands/commands.hpp"
#include "app/console/report.hpp"
#include "app/console/target.hpp"
#include "coax/net/names.hpp"
#include "coax/socket/socket.hpp"

namespace coax::app {

namespace {

struct PortsArguments {
  std::vector<std::string> ports;
  std::string address;
  std::string free_text;  // the value of --free; empty: not given
  unsigned free = 0;
  bool tcp = false;
  bool udp = false;
  bool json = false;

  // Without --tcp and --udp: both in the list, TCP for a single port.
  [[nodiscard]] bool wants(Transport transport) const {
    if (!tcp && !udp) return transport == Transport::tcp || (ports.empty() && free == 0);
    return transport == Transport::tcp ? tcp : udp;
  }
};

constexpr unsigned free_ports_max = 1000;

std::string service_of(Transport transport, std::uint16_t port) {
  try {
    return service_name(port, to_string(transport));
  } catch (const Error&) {  // the port has no name
    return {};
  }
}

std::string owner_of(const PortHolder& holder) {
  return holder.user_name.empty() ? std::to_string(holder.user) : holder.user_name;
}

std::string processes_of(const PortHolder& holder) {
  std::string text;
  for (const Process& process : holder.processes) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{} (pid {})", process.name, process.id);
  }
  return text.empty() ? "(process not visible: that needs more rights)" : text;
}

boost::json::object json_of(const PortHolder& holder, unsigned unprivileged_from) {
  const std::uint16_t port = holder.local.port();
  boost::json::array processes;
  for (const Process& process : holder.processes) {
    processes.push_back(boost::json::object{{"pid", process.id}, {"name", process.name}});
  }
  boost::json::object object{{"protocol", to_string(holder.transport)},
                             {"address", holder.local.ip()},
                             {"port", port},
                             {"class", to_string(class_of_port(port, unprivileged_from))},
                             {"listening", holder.listening},
                             {"user", owner_of(holder)},
                             {"processes", std::move(processes)}};
  if (const std::string service = service_of(holder.transport, port); !service.empty()) object["service"] = service;
  if (holder.remote.port() != 0) object["remote"] = holder.remote.to_string();
  return object;
}

// --- the list ---

int list(const PortsArguments& options) {
  const unsigned unprivileged_from = unprivileged_port_start();
  std::vector<PortHolder> all =
      port_holders([&](const PortHolder& holder) { return holder.listening && options.wants(holder.transport); });
  if (options.json) {
    boost::json::array listening;
    for (const PortHolder& holder : all) listening.push_back(json_of(holder, unprivileged_from));
    print_json(boost::json::object{{"listening", std::move(listening)}});
    return done;
  }
  if (all.empty()) print("nothing listens on this machine\n");
  std::size_t width = 7;
  for (const PortHolder& holder : all) width = std::max(width, holder.local.ip().size());
  if (!all.empty()) {
    print("{:<5} {:<{}} {:>5}  {:<15} {:<10}  {:<10} {}\n", "proto", "address", width, "port", "service", "class",
          "user", "process");
  }
  for (const PortHolder& holder : all) {
    const std::uint16_t port = holder.local.port();
    const std::string service = service_of(holder.transport, port);
    print("{:<5} {:<{}} {:>5}  {:<15} {:<10}  {:<10} {}\n", to_string(holder.transport), holder.local.ip(), width, port,
          service.empty() ? "-" : service, to_string(class_of_port(port, unprivileged_from)), owner_of(holder),
          processes_of(holder));
  }
  return done;
}

// --- the ports in question ---

// The address to try; by default all of this machine.
Endpoint address_of(const PortsArguments& options) {
  if (options.address.empty()) return Endpoint::any(0);
  const auto address = Endpoint::from_ip(options.address, 0);
  if (!address) {
    throw WrongUsage{fmt::format("--address \"{}\" is no IP address, such as 127.0.0.1 or ::1", options.address)};
  }
  return *address;
}

Endpoint with_port(const Endpoint& address, std::uint16_t port) { return *Endpoint::from_ip(address.ip(), port); }

PortRange range_of(const std::string& text) {
  refuse_reversed_range(text);
  if (const auto range = parse_port_range(text)) return *range;
  const bool is_name = !text.empty() && text.find_first_not_of("0123456789-") != std::string::npos;
  if (is_name && text.find('\0') == std::string::npos) {
    try {
      const std::uint16_t port = service_port(text);
      return {port, port};
    } catch (const Error&) {  // reported below
    }
  }
  throw WrongUsage{
      fmt::format("\"{}\" is no port (1 to 65535), no range such as 8000-8010, and no service of "
                  "/etc/services",
                  text)};
}

// Whether two sockets cannot share this port.
bool collide(const Endpoint& left, const Endpoint& right) {
  const auto takes_all = [](const Endpoint& at) { return at.is_wildcard() && at.family() == Endpoint::Family::v6; };
  if (takes_all(left) || takes_all(right)) return true;
  const Endpoint one = left.unmapped();
  const Endpoint other = right.unmapped();
  if (one.family() != other.family()) return false;
  return one.is_wildcard() || other.is_wildcard() || std::ranges::equal(one.address(), other.address());
}

std::string who_could(PortClass port_class, unsigned unprivileged_from) {
  if (port_class != PortClass::privileged) return "for everybody";
  return fmt::format("for root and CAP_NET_BIND_SERVICE (from {} on for everybody)", unprivileged_from);
}

struct PortAnswer {
  Transport transport;
  std::uint16_t port;
  PortState state;
  std::vector<PortHolder> holders;
};

std::string_view word_of(PortState state) {
  return state == PortState::free ? "free" : state == PortState::held ? "held" : "not permitted";
}

void print_answer(const PortAnswer& answer, unsigned unprivileged_from, bool json) {
  const PortClass port_class = class_of_port(answer.port, unprivileged_from);
  const std::string service = service_of(answer.transport, answer.port);
  if (json) {
    boost::json::array holders;
    for (const PortHolder& holder : answer.holders) holders.push_back(json_of(holder, unprivileged_from));
    boost::json::object object{{"protocol", to_string(answer.transport)},
                               {"port", answer.port},
                               {"state", word_of(answer.state)},
                               {"class", to_string(port_class)},
                               {"ephemeral", ephemeral_ports().contains(answer.port)},
                               {"holders", std::move(holders)}};
    if (!service.empty()) object["service"] = service;
    print_json(object);
    return;
  }
  print("{:>5}/{}  {:<13}  {}, {}{}\n", answer.port, to_string(answer.transport), word_of(answer.state),
        to_string(port_class), service.empty() ? "" : service + ", ", who_could(port_class, unprivileged_from));
  for (const PortHolder& holder : answer.holders) {
    print("           {} {}{}, {} of {}\n", holder.listening ? "at" : "connected from", holder.local.to_string(),
          holder.remote.port() != 0 ? " to " + holder.remote.to_string() : "", processes_of(holder), owner_of(holder));
  }
  if (answer.state == PortState::held && answer.holders.empty()) {
    print("           by a socket that the kernel does not list: bound, but neither listening nor connected\n");
  }
}

int check(const PortsArguments& options) {
  const Endpoint address = address_of(options);
  const unsigned unprivileged_from = unprivileged_port_start();
  std::vector<PortRange> ranges;
  for (const std::string& text : options.ports) ranges.push_back(range_of(text));
  const auto all = port_holders([&](const PortHolder& holder) {
    return options.wants(holder.transport) && collide(address, holder.local) &&
           std::ranges::any_of(ranges, [&](const PortRange& range) { return range.contains(holder.local.port()); });
  });
  bool all_free = true;
  for (const PortRange& range : ranges) {
    for (unsigned port = range.first; port <= range.last; ++port) {
      for (const Transport transport : {Transport::tcp, Transport::udp}) {
        if (!options.wants(transport)) continue;
        const auto number = static_cast<std::uint16_t>(port);
        PortAnswer answer{transport, number, probe_port(transport, with_port(address, number)), {}};
        std::ranges::copy_if(all, std::back_inserter(answer.holders), [&](const PortHolder& holder) {
          return answer.state != PortState::free && holder.transport == transport && holder.local.port() == number;
        });
        // Connections through a listener's port add nothing to the listener's line.
        if (std::ranges::any_of(answer.holders, &PortHolder::listening)) {
          std::erase_if(answer.holders, [](const PortHolder& holder) { return !holder.listening; });
        }
        all_free = all_free && answer.state == PortState::free;
        print_answer(answer, unprivileged_from, options.json);
      }
    }
  }
  return all_free ? done : failed;
}

// --- --free ---

// Ports that the kernel assigns, all held until the last is found, so that none is assigned twice.
std::vector<std::uint16_t> free_of_kernel(Transport transport, const Endpoint& address, unsigned count) {
  const bool is_v6 = address.family() == Endpoint::Family::v6;
  std::vector<Socket> sockets;
  std::vector<std::uint16_t> ports;
  while (ports.size() < count) {
    Socket& socket = sockets.emplace_back(is_v6 ? Family::v6 : Family::v4,
                                          transport == Transport::tcp ? SocketType::stream : SocketType::datagram);
    if (is_v6) socket.set(options::v6_only, !address.is_wildcard());
    socket.bind(address);
    ports.push_back(socket.local().endpoint().port());
  }
  return ports;
}

std::vector<std::uint16_t> free_in(const PortsArguments& options, const Endpoint& address) {
  std::vector<std::uint16_t> ports;
  const auto is_free = [&](std::uint16_t port) {
    return std::ranges::all_of(std::array{Transport::tcp, Transport::udp}, [&](Transport transport) {
      return !options.wants(transport) || probe_port(transport, with_port(address, port)) == PortState::free;
    });
  };
  for (const std::string& text : options.ports) {
    const PortRange range = range_of(text);
    for (unsigned port = range.first; port <= range.last && ports.size() < options.free; ++port) {
      const auto number = static_cast<std::uint16_t>(port);
      if (is_free(number) && std::ranges::find(ports, number) == ports.end()) ports.push_back(number);
    }
  }
  return ports;
}

int find_free(const PortsArguments& options) {
  if (options.tcp && options.udp && options.ports.empty()) {
    throw WrongUsage{"--free for --tcp and --udp at once needs a range to look in, such as 8000-8100"};
  }
  const Endpoint address = address_of(options);
  const Transport transport = options.wants(Transport::tcp) ? Transport::tcp : Transport::udp;
  const auto ports =
      options.ports.empty() ? free_of_kernel(transport, address, options.free) : free_in(options, address);
  if (options.json) {
    print_json(boost::json::object{{"free", boost::json::array(ports.begin(), ports.end())}});
  } else {
    for (const std::uint16_t port : ports) print("{}\n", port);
  }
  if (ports.size() == options.free) return done;
  complain("ports", fmt::format("{} of these ports are free, not {}", ports.size(), options.free));
  return failed;
}

Run configure_ports(CLI::App& command) {
  auto options = std::make_shared<PortsArguments>();
  command.add_option("ports", options->ports, "Ports to check: numbers, ranges, names of services; none: list")
      ->type_name("PORT|FIRST-LAST|SERVICE");
  command.add_option("--free", options->free_text, "Find N free ports: among the given ones, or any")->type_name("N");
  command.add_option("--address", options->address, "Check on this address of the machine [all of them]")
      ->type_name("ADDRESS");
  command.add_flag("--tcp", options->tcp, "TCP; the default when ports are given");
  command.add_flag("--udp", options->udp, "UDP; with --tcp both, which is the default of the list");
  command.add_flag("--json", options->json, "For machines: the list as one object, checks as one object each");
  return [options] {
    return reported("ports", unavailable, [&] {
      if (!options->free_text.empty()) {
        options->free = count_of("--free", options->free_text, free_ports_max);
        return find_free(*options);
      }
      return options->ports.empty() ? list(*options) : check(*options);
    });
  };
}

}  // namespace

const Command ports_command{
    .name = "ports",
    .summary = "Listeners on this machine; free ports, and who has the others",
    .details =
        "A port is checked by binding it for a moment, which does not disturb its owner. Classes (RFC 6335): "
        "privileged\n"
        "(the machine asks for rights), well-known (up to 1023), registered (up to 49151), dynamic (the rest).\n"
        "The process that has a port is shown for your own ones; root sees all.\n"
        "\n"
        "Exit codes: 0 listed, or all that were asked for are free; 1 one is held or not permitted, or fewer than "
        "--free\n"
        "were found; 2 wrong arguments; 3 the address is none of this machine.\n"
        "\n",
    .examples =
        "  coax ports                          what listens here (as: ss -tulpn)\n"
        "  coax ports 8080 8000-8010           free, or held by whom?\n"
        "  coax ports --udp 53 --address 127.0.0.1\n"
        "  port=$(coax ports --free 1)         one that is free\n"
        "  coax ports 8000-8100 --free 3 --json",
    .configure = configure_ports,
};

}  // namespace coax::app

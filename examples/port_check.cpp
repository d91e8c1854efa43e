// port_check HOST PORT[-LAST]: prints for each port whether it is open, closed or, without an answer for a second,
// filtered. Exits with 1 when no port is open.
#include "coax/coax.hpp"

std::string_view look(const coax::Address& at) try {
  coax::Socket::connect_to(at, {.timeout = std::chrono::seconds(1)});
  return "open";
} catch (const coax::Error& error) {
  return error.kind() == coax::ErrorKind::refused ? "closed" : "filtered";
}

int check(const coax::Arguments& given) {
  const std::string ports(given["PORT[-LAST]"]);
  const auto first = coax::parse_host_port(":" + ports.substr(0, ports.find('-')));
  const auto last = coax::parse_host_port(":" + ports.substr(ports.find('-') + 1));
  if (!first || !last || first->port > last->port) throw coax::UsageError("a port is a number, as in 80 or 20-25");
  const std::string ip = coax::resolve(std::string(given["HOST"]), 0).front().ip();
  bool any = false;
  for (std::uint32_t port = *first->port; port <= *last->port; ++port) {
    const std::string_view state = look(coax::Endpoint::from_ip(ip, static_cast<std::uint16_t>(port)).value());
    coax::print_line("{} {}", port, state);
    any = any || state == "open";
  }
  return any ? 0 : 1;
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT[-LAST]", check); }

// blocking_sender HOST PORT [SIZE]: one call that returns when the kernel has accepted all bytes.
#include "coax/coax.hpp"

void send(const coax::Arguments& given) {
  const std::string data(given.size("SIZE", 64 << 20), 'x');
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::minutes(1)});
  server.send(data);
  coax::print_line("Sent {} bytes", data.size());
  server.shutdown_send();
  coax::print_line("{}", coax::printable(server.recv()));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [SIZE]", send); }

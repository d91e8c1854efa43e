// nonblocking_sender HOST PORT [SIZE]: each call sends as many bytes as fit; select() waits for room.
#include "coax/coax.hpp"

void send(const coax::Arguments& given) {
  const std::string data(given.size("SIZE", 64 << 20), 'x');
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  server.set_blocking(false);
  for (coax::BytesView left = data; left;) {
    coax::select({}, {&server});
    left = left.from(server.send_some(left));
  }
  coax::print_line("Sent {} bytes", data.size());
  server.shutdown_send();
  coax::select({&server});
  coax::print_line("{}", coax::printable(server.recv()));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [SIZE]", send); }

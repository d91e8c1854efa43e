// echo_client HOST PORT [TEXT]: sends a text and prints the pieces of the echo.
#include <algorithm>

#include "coax/coax.hpp"

void say(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  const std::string_view text = given.get("TEXT", "This is the message. It will be repeated.");
  coax::print_line("sending \"{}\"", coax::printable(text));
  server.send(text);
  for (std::size_t left = text.size(); left > 0;) {
    const coax::BytesView piece = server.recv(std::min<std::size_t>(left, 16));
    if (!piece) throw std::runtime_error(fmt::format("{} bytes were not echoed", left));
    coax::print_line("received \"{}\"", coax::printable(piece));
    left -= piece.size();
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", say); }

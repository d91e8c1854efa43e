// echo_client HOST PORT [TEXT]: sends a text and prints the pieces in which it comes back.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  if (argc < 3) return fmt::print(stderr, "usage: echo_client HOST PORT [TEXT]\n"), 2;
  auto server = coax::Socket::connect_to(fmt::format("{}:{}", argv[1], argv[2]), {.timeout = 10s});
  const std::string text = argc > 3 ? argv[3] : "This is the message. It will be repeated.";
  fmt::print("sending \"{}\"\n", coax::printable(text));
  server.send(text);
  for (std::size_t left = text.size(); left > 0;) {
    const coax::Bytes piece = server.recv(std::min<std::size_t>(left, 16));
    if (!piece) return fmt::print(stderr, "echo_client: {} bytes did not come back\n", left), 1;
    fmt::print("received \"{}\"\n", coax::printable(piece));
    left -= piece.size();
  }
} catch (const coax::Error& error) {
  return fmt::print(stderr, "echo_client: {}\n", error.what()), 1;
}

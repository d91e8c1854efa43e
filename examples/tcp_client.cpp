// tcp_client HOST PORT [TEXT]: says something, finishes, and prints the whole answer.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

int main(int argc, char** argv) try {
  if (argc < 3) return fmt::print(stderr, "usage: tcp_client HOST PORT [TEXT]\n"), 2;
  auto server = coax::Socket::connect_to(fmt::format("{}:{}", argv[1], argv[2]), {.timeout = 10s});
  server.send(std::string(argc > 3 ? argv[3] : "Hello from the client!"));
  server.finish();
  std::string answer;
  while (auto bytes = server.recv()) answer += bytes.text();
  fmt::print("Received: {}\n", coax::printable(answer));
} catch (const coax::Error& error) {
  return fmt::print(stderr, "tcp_client: {}\n", error.what()), 1;
}

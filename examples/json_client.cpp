// json_client HOST PORT [JSON]: sends an object and prints the answer.
#include "coax/coax.hpp"

void ask(const coax::Arguments& given) {
  auto server = coax::Socket::connect_to(given.address(), {.timeout = std::chrono::seconds(10)});
  coax::SocketJsonMessages messages(server);
  messages.send(given.get("JSON", R"({"name": "Ada", "languages": ["C++", "Python"]})"));
  coax::print_line("Received dictionary: {}", coax::printable(messages.recv().value_or("nothing")));
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [JSON]", ask); }

// json_server PORT [HOST]: prints the JSON objects that come, one on each line, and says that it has them.
#include "coax/coax.hpp"

coax::Task<> receive(coax::Stream& client) {
  coax::JsonMessages messages(client);
  while (true) {
    std::string_view answer = R"({"error": "that is no JSON object"})";
    try {
      const auto message = co_await messages.recv();
      if (!message) co_return;
      if (coax::trim(*message).starts_with('{')) {
        coax::print_line("Received dictionary: {}", coax::printable(coax::trim(*message)));
        answer = R"({"status": "received"})";
      }
    } catch (const coax::Error& error) {
      if (error.kind() != coax::ErrorKind::protocol) throw;
    }
    co_await messages.send(answer);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.where()}, receive); });
}

// json_server PORT [HOST]: prints the received JSON objects, one on each line, and acknowledges them.
#include "coax/coax.hpp"
#include "coax/codec/json.hpp"

coax::Task<> receive(coax::Stream& client) {
  coax::Lines lines(client, {.line_bytes_max = 1 << 20});
  while (auto line = co_await lines.next()) {
    const bool good = coax::trim(*line).starts_with('{') && !coax::check_json(*line, 64);
    if (good) coax::print_line("Received dictionary: {}", coax::printable(coax::trim(*line)));
    const std::string_view answer = good ? R"({"status": "received"})" : R"({"error": "that is no JSON object"})";
    co_await coax::JsonMessages(client).send(answer);
  }
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, receive); });
}

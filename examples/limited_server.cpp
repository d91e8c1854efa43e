// limited_server PORT [HOST] [PATIENCE]: at most ten clients at a time, lines of at most 1024 bytes; a client that does
// not complete a line within the time (30s) is disconnected, even if it sends bytes slowly.
#include "coax/coax.hpp"

struct Place {
  const bool mine = taken++ < 10;
  ~Place() { --taken; }
  static inline int taken = 0;  // all clients are on one loop, thus on one thread
};

std::string answer(std::string_view line) {
  return coax::is_utf8(line) ? fmt::format("Processed: {:.100}\n", line) : "Error: Not UTF-8\n";
}

coax::Task<> process(coax::Stream& client, coax::Duration patience) {
  const Place place;
  if (!place.mine) co_return co_await client.send("Server busy. Try again later.\n");
  coax::Lines lines(client, {.line_bytes_max = 1024, .pause = std::chrono::milliseconds(200)});
  while (true) {
    std::string reply = "Error: Message too long\n";
    try {
      const auto line = co_await coax::timeout(patience, lines.next());
      if (!line) co_return;
      reply = answer(line->text());
    } catch (const coax::Error& error) {
      if (error.kind() != coax::ErrorKind::protocol) throw;
    }
    co_await client.send(reply);
  }
}

coax::Task<> serve(const coax::Arguments& given) {
  const coax::Duration patience = given.duration("PATIENCE", std::chrono::seconds(30));
  return coax::serve({.listen = given.address()}, [=](coax::Stream& client) { return process(client, patience); });
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST] [PATIENCE]", serve); }

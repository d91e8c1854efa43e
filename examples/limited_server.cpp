// limited_server PORT [HOST]: at most ten clients at a time, lines of at most 1024 bytes, half a minute of silence.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

int places = 10;

struct Place {
  const bool mine = places-- > 0;
  ~Place() { ++places; }
};

std::string answer(std::string_view line) {
  if (!coax::is_utf8(line)) return "Error: Not UTF-8\n";
  std::size_t end = 0;  // a character begins where no 10xxxxxx stands
  for (int count = 0; end < line.size() && (count += (line[end] & 0xC0) != 0x80) <= 100;) ++end;
  return fmt::format("Processed: {}\n", line.substr(0, end));
}

coax::Task<> process(coax::Stream& client) {
  const Place place;
  if (!place.mine) co_return co_await client.send("Server busy. Try again later.\n");
  coax::Lines lines(client, {.line_bytes_max = 1024, .pause = 200ms});
  while (true) {
    std::string reply = "Error: Message too long\n";
    try {
      const auto line = co_await lines.next();
      if (!line) co_return;
      reply = answer(line->text());
    } catch (const coax::Error& error) {
      if (error.kind() != coax::ErrorKind::protocol) throw;
    }
    co_await client.send(reply);
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: limited_server PORT [HOST]\n"), 2;
  return coax::run(coax::serve(
      {.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1]), .limits = {.idle = 30s}}, process));
}

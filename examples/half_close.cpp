// half_close PORT [HOST]: answers when the client has finished, who can still read then.
#include "coax/coax.hpp"

coax::Task<> count(coax::Stream& client) {
  std::size_t total = 0;
  while (auto bytes = co_await client.recv()) total += bytes.size();
  const std::string answer = fmt::format("Received {} bytes", total);
  co_await client.send(answer);
}

int main(int argc, char** argv) {
  if (argc < 2) return fmt::print(stderr, "usage: half_close PORT [HOST]\n"), 2;
  return coax::run(coax::serve({.listen = fmt::format("{}:{}", argc > 2 ? argv[2] : "127.0.0.1", argv[1])}, count));
}

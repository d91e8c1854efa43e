// half_close_server PORT [HOST]: answers when the client has half-closed, which can still receive then.
#include "coax/coax.hpp"

coax::Task<> count(coax::Stream& client) {
  std::size_t total = 0;
  while (auto bytes = co_await client.recv()) total += bytes.size();
  const std::string answer = fmt::format("Received {} bytes", total);
  co_await client.send(answer);
}

int main(int argc, char** argv) {
  return coax::program(argc, argv, "PORT [HOST]", [](auto a) { return coax::serve({.listen = a.address()}, count); });
}

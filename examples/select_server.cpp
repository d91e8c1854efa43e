// select_server PORT [HOST]: one thread waits for all clients, counts the bytes of each, and reports the count at its
// end.
#include <algorithm>
#include <list>

#include "coax/coax.hpp"

using namespace std::chrono_literals;

// True: it has half-closed and got an answer, or has disconnected.
bool has_ended(coax::Socket& client, std::size_t& total) try {
  const coax::BytesView bytes = client.recv();
  total += bytes.size();
  if (!bytes) client.send(fmt::format("Received {} bytes", total), coax::flags::dont_wait);
  return bytes.empty();
} catch (const coax::Error&) {
  return true;
}

void serve(const coax::Arguments& given) {
  coax::Listener listener(given.address());
  std::list<std::pair<coax::Socket, std::size_t>> clients;  // and how much each has sent
  bool pause = false;                                       // no descriptor is left: look again a little later
  while (true) {
    std::vector<coax::Socket*> watched;
    for (auto& client : clients) watched.push_back(&client.first);
    if (clients.size() < 1000 && !pause) watched.push_back(&listener);  // more wait in the kernel's backlog
    const auto ready =
        coax::select(watched, {}, {}, pause ? std::optional<coax::Duration>(100ms) : std::nullopt).readable;
    pause = false;
    clients.remove_if(
        [&](auto& c) { return std::ranges::count(ready, &c.first) != 0 && has_ended(c.first, c.second); });
    if (std::ranges::count(ready, &listener) == 0) continue;
    pause = !coax::attempt([&] { clients.emplace_back(listener.accept(), 0); });
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }

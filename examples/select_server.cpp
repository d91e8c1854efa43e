// select_server PORT [HOST]: one thread watches all clients, counts what each sends, and tells it when it has finished.
#include <algorithm>
#include <list>

#include "coax/coax.hpp"

struct Client {
  coax::Socket socket;
  std::size_t total = 0;
};

// True: it has finished, and was told, or is gone.
bool has_ended(Client& client) try {
  const coax::Bytes bytes = client.socket.recv();
  client.total += bytes.size();
  if (!bytes) client.socket.send(fmt::format("Received {} bytes", client.total), coax::flags::dont_wait);
  return bytes.empty();
} catch (const coax::Error&) {
  return true;
}

void serve(const coax::Arguments& given) {
  coax::Listener listener(given.where());
  std::list<Client> clients;
  while (true) {
    std::vector<coax::Socket*> watched;
    for (Client& client : clients) watched.push_back(&client.socket);
    if (clients.size() < 1000) watched.push_back(&listener);  // more wait in the kernel's backlog
    const std::vector<coax::Socket*> ready = coax::select(watched).readable;
    clients.remove_if(
        [&](Client& client) { return std::ranges::count(ready, &client.socket) != 0 && has_ended(client); });
    if (std::ranges::count(ready, &listener) != 0) coax::attempt([&] { clients.push_back({listener.accept()}); });
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }

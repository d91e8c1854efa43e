// sockets serve [WHERE] | sockets ask WHERE LINE...: blocking sockets, as in Python tutorials. WHERE is HOST:PORT or
// unix:PATH.
#include <list>

#include "coax/coax.hpp"

using namespace std::chrono_literals;

// False: it has shut down its side, or disconnected.
bool answer(coax::Socket& peer) try {
  const coax::BytesView bytes = peer.recv();
  if (bytes) peer.send(bytes);
  return !bytes.empty();
} catch (const coax::Error&) {
  return false;
}

// One thread for all clients: sends back all received bytes.
void serve(std::string_view where) {
  coax::Listener listener(where);
  fmt::print("listening on {}\n", listener.local().to_string());
  std::fflush(stdout);
  std::list<coax::Socket> clients;
  std::vector<coax::Socket*> watched{&listener};
  while (true) {
    for (coax::Socket* ready : coax::select(watched).readable) {
      if (ready == &listener) {
        clients.push_back(listener.accept());
        clients.back().set_timeout(10s);  // a client that does not read delays the others no longer
        watched.push_back(&clients.back());
      } else if (!answer(*ready)) {
        std::erase(watched, ready);
        clients.remove_if([&](const coax::Socket& client) { return &client == ready; });
      }
    }
  }
}

void ask(std::string_view where, std::span<char*> lines) {
  coax::Socket server = coax::Socket::connect_to(where, {.timeout = 10s});
  coax::LineReader answers(server);
  for (const std::string line : lines) {
    server.send(line + "\n");
    if (const auto answer = answers.next()) fmt::print("{}\n", answer->text());
  }
  server.shutdown_send();
}

int main(int argc, char** argv) try {
  const std::vector<std::string_view> words(argv, argv + argc);
  if (argc >= 2 && words[1] == "serve") return serve(argc > 2 ? words[2] : "127.0.0.1:0"), 0;
  if (argc >= 3 && words[1] == "ask") return ask(words[2], std::span(argv, argv + argc).subspan(3)), 0;
  return fmt::print(stderr, "usage: sockets serve [WHERE] | sockets ask WHERE LINE...\n"), 2;
} catch (const coax::Error& error) {
  return fmt::print(stderr, "sockets: {}\n", error.what()), 1;
}

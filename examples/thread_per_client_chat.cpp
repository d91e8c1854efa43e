// thread_per_client_chat PORT [HOST]: a thread for each client; each line of a client is sent to all others.
#include <mutex>
#include <set>

#include "coax/coax.hpp"

std::mutex mutex;  // of what is below, and of sending
std::set<coax::Socket*> clients;

// Waits for a slow reader, which slows the sender; after 5 s without progress the reader is disconnected.
void send_or_end(coax::Socket& client, std::string_view rest) try {
  while (!rest.empty() && !coax::select({}, {&client}, {}, std::chrono::seconds(5)).writable.empty()) {
    rest.remove_prefix(client.send_some(rest, coax::flags::dont_wait));
  }
  if (!rest.empty()) client.shutdown(coax::Shutdown::both);
} catch (const coax::Error&) {
  coax::attempt([&] { client.shutdown(coax::Shutdown::both); });
}

void chat(coax::Socket& client) {
  coax::LineReader lines(client, 4096);
  while (auto line = lines.next()) {
    const std::lock_guard lock(mutex);
    if (!coax::is_utf8(*line)) send_or_end(client, "Error: Not UTF-8\n");
    for (coax::Socket* other : clients) {
      if (other != &client && coax::is_utf8(*line)) send_or_end(*other, line->string() + "\n");
    }
  }
}

void join(coax::Socket& client) {
  std::unique_lock(mutex), clients.insert(&client);
  coax::attempt([&] { chat(client); });
  std::unique_lock(mutex), clients.erase(&client);
}

void serve(const coax::Arguments& given) {
  coax::serve_on_threads(given.address(), join, {.timeout = std::chrono::minutes(10)});
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }

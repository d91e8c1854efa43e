// poll_loop PORT [HOST]: an echo server in a loop of poll(2), which also waits for standard input: Enter ends it.
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "coax/coax.hpp"

coax::Task<> echo(coax::Stream& client) {
  while (const auto bytes = co_await client.recv()) co_await client.send(bytes);
}

void serve_until_enter(const coax::Arguments& words) {
  coax::Loop loop;  // declared first, since it is destroyed last
  coax::LoopTasks tasks(loop);
  bool is_over = false;
  tasks.start(coax::serve({.listen = words.address()}, echo));
  tasks.when_empty([&is_over] { is_over = true; });
  std::array<pollfd, 2> waiting{{{.fd = loop.poll_descriptor(), .events = POLLIN, .revents = 0},
                                 {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}}};
  while (!is_over) {
    const auto timeout = loop.poll_timeout();
    const auto limit = timeout ? std::chrono::ceil<std::chrono::milliseconds>(*timeout).count() : -1;
    ::poll(waiting.data(), waiting.size(), static_cast<int>(std::min<std::int64_t>(limit, 60'000)));
    if (waiting[1].revents != 0) {
      waiting[1].fd = -1;  // only once
      tasks.cancel();
    }
    loop.run_once();
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve_until_enter); }

// shout_server PORT [HOST]: answers each line in upper case, on every core of the machine.
#include <algorithm>
#include <cctype>

#include "coax/coax.hpp"

using namespace coax::literals;
using namespace std::chrono_literals;

coax::Task<> shout(coax::Connection& client) {
  coax::Lines lines(client.stream(), {.line_bytes_max = 4_KiB});
  while (const auto line = co_await lines.next()) {
    std::string answer = line->string() + "\n";
    std::ranges::transform(answer, answer.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    co_await client.stream().send(answer);
  }
}

void serve(const coax::Arguments& words) {
  coax::ServeOptions options{
      .listen = words.address(),
      .limits = {.connections_max = 1'000, .idle = 1min},
      .drain = 5s,
      .on_listen = [](const coax::Address& at) { coax::print_line("listening on {}", at.to_string()); },
  };
  coax::run_or_throw(coax::serve(std::move(options), shout), {.threads = std::nullopt});  // a loop for each core
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT [HOST]", serve); }

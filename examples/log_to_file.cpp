// log_to_file PORT FILE [HOST]: an echo server that logs to a file; errors are also printed on standard error.
#include <fstream>

#include "coax/coax.hpp"

coax::Task<> echo(coax::Connection& client) {
  coax::log::info("{} connected", client.peer_name());
  while (const auto bytes = co_await client.stream().recv()) co_await client.stream().send(bytes);
  coax::log::info("{} disconnected", client.peer_name());
}

void log_to(const std::string& path) {
  auto file = std::make_shared<std::ofstream>(path, std::ios::app);
  if (!*file) throw coax::Error(errno, "open", path);
  coax::log::set_sink([file](const coax::log::Record& record) {
    *file << coax::format_time(record.time) << ' ' << to_string(record.level) << ' ' << record.text << '\n'
          << std::flush;
    if (record.level == coax::log::Level::error) coax::print_error(record.text);
  });
}

coax::Task<> serve(const coax::Arguments& words) {
  log_to(std::string(words["FILE"]));
  return coax::serve({.listen = words.address()}, echo);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT FILE [HOST]", serve); }

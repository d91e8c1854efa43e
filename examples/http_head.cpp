// http_head HOST PORT [PATH]: prints the head of a page: its status line and header fields.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

coax::Task<> head(const coax::Arguments& words) {
  const std::string where = words.address();
  const auto server = co_await coax::connect(where, {.limit = 10s});
  const std::string request =
      fmt::format("HEAD {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", words.get("PATH", "/"), where);
  co_await server->send(request);
  coax::Reader reader(*server);
  while (const auto line = co_await reader.line()) {
    if (line->empty()) co_return;
    coax::print_line("{}", coax::printable(*line));
  }
}

int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [PATH]", head); }

// fastest PORT HOST OTHER: prints the first line of the server that answers first, within five seconds.
#include "coax/coax.hpp"

using namespace std::chrono_literals;

coax::Task<std::string> first_line(std::string where) {
  const auto stream = co_await coax::connect(where);
  coax::Lines lines(*stream);
  const auto line = co_await lines.next();
  co_return where + ": " + (line ? line->string() : "nothing");
}

coax::Task<> ask(const coax::Arguments& words) {
  auto both = coax::race(first_line(words.address("HOST")), first_line(words.address("OTHER")));
  const auto answer = co_await coax::timeout(5s, std::move(both));
  std::visit([](const std::string& text) { coax::print_line("{}", coax::printable(text)); }, answer);
}

int main(int argc, char** argv) { return coax::program(argc, argv, "PORT HOST OTHER", ask); }

// A text for standard error may quote a peer or an argument: it is made printable here, for all commands.
#include "app/report.hpp"

#include <fmt/core.h>

#include <boost/json/serialize.hpp>
#include <cstdio>

#include "coax/base/error.hpp"
#include "coax/base/text.hpp"

namespace coax::app {

void complain(std::string_view command, std::string_view text) {
  constexpr std::size_t characters_max = 2000;
  fmt::print(stderr, "coax {}: {}\n", command, printable(text, characters_max));
}

int reported(std::string_view command, int otherwise, const std::function<int()>& body) {
  try {
    return body();
  } catch (const WrongUsage& wrong) {
    complain(command, wrong.text);
    fmt::print(stderr, "Try: coax {} --help\n", command);
    return usage;
  } catch (const Error& error) {
    complain(command, error.what());
    return otherwise;
  }
}

void print_json(const boost::json::value& value) {
  fmt::print("{}\n", boost::json::serialize(value));
  std::fflush(stdout);
}

Duration duration_of(std::string_view name, const std::string& text) {
  const auto duration = parse_duration(text);
  if (!duration) throw WrongUsage{fmt::format("{} \"{}\" is not a duration, such as 500ms, 30s or 5m", name, text)};
  return *duration;
}

std::size_t size_of(std::string_view name, const std::string& text) {
  const auto size = parse_size(text);
  if (!size) throw WrongUsage{fmt::format("{} \"{}\" is not a size, such as 512B, 64KiB or 1MiB", name, text)};
  return *size;
}

}  // namespace coax::app

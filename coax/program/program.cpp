// The arguments of a small program, and its error messages.
#include "coax/program/program.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>

#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/loop/loop.hpp"
#include "coax/net/endpoint.hpp"

namespace coax {

namespace {

void check_port(std::string_view text) {
  if (parse_port(text)) return;
  throw UsageError(fmt::format("PORT: '{}' is not a number from 0 to 65535", text));
}

}  // namespace

Arguments::Arguments(int argc, const char* const* argv, std::string_view usage) {
  std::vector<std::string_view> values;
  if (argc > 1) values.assign(argv + 1, argv + argc);
  for (std::size_t from = 0; from < usage.size();) {
    const std::size_t to = std::min(usage.find(' ', from), usage.size());
    Word word{.name = usage.substr(from, to - from)};
    from = to + 1;
    const bool optional = word.name.starts_with('[');
    if (optional) word.name = word.name.substr(1, word.name.size() - 2);
    word.given = words_.size() < values.size();
    if (!word.given && !optional) throw UsageError(fmt::format("{} is missing", word.name));
    if (word.given) word.value = values[words_.size()];
    if (word.given && word.name == "PORT") check_port(word.value);
    words_.push_back(word);
  }
  if (values.size() > words_.size()) {
    throw UsageError(fmt::format("'{}' is one argument too many", values[words_.size()]));
  }
}

const Arguments::Word& Arguments::word(std::string_view name) const {
  const auto found = std::ranges::find(words_, name, &Word::name);
  if (found == words_.end()) throw Error(ErrorKind::invalid, "read the word", name, "the usage does not name it");
  return *found;
}

std::string_view Arguments::operator[](std::string_view name) const { return word(name).value; }

std::string_view Arguments::get(std::string_view name, std::string_view otherwise) const {
  return word(name).given ? word(name).value : otherwise;
}

std::size_t Arguments::size(std::string_view name, std::size_t otherwise) const {
  if (!word(name).given) return otherwise;
  if (const auto size = parse_size(word(name).value)) return *size;
  throw UsageError(fmt::format("{}: '{}' is not a size such as 64KiB", name, word(name).value));
}

Duration Arguments::duration(std::string_view name, Duration otherwise) const {
  if (!word(name).given) return otherwise;
  if (const auto duration = parse_duration(word(name).value)) return *duration;
  throw UsageError(fmt::format("{}: '{}' is not a time such as 30s", name, word(name).value));
}

std::string Arguments::address(std::string_view host) const {
  const std::string_view port = (*this)["PORT"];
  if (port.empty()) throw UsageError("PORT is missing");
  // Without the word HOST in the usage, or with an empty host, a server is reachable from this machine only.
  const bool is_named = host != "HOST" || std::ranges::find(words_, host, &Word::name) != words_.end();
  std::string_view given = is_named ? (*this)[host] : "";
  if (given.empty()) given = "127.0.0.1";
  const bool bare_v6 = given.find(':') != std::string_view::npos && !given.starts_with('[');
  return fmt::format("{}{}{}:{}", bare_v6 ? "[" : "", given, bare_v6 ? "]" : "", port);
}

namespace detail {

int program(int argc, char** argv, std::string_view usage, const std::function<int(const Arguments&)>& body) {
  std::string_view name = argc > 0 ? argv[0] : "program";
  name = name.substr(name.rfind('/') + 1);
  const std::string first = argc == 2 ? argv[1] : "";
  const std::string usage_line = fmt::format("usage: {}{}{}", name, usage.empty() ? "" : " ", usage);
  try {
    log::check_environment();
    check_loop_environment();
    if (first != "-h" && first != "--help") return body(Arguments(argc, argv, usage));
    print_line(usage_line);
    return 0;
  } catch (const UsageError& error) {
    print_error(fmt::format("{}: {}", name, error.what()));
    print_error(usage_line);
    return 2;
  } catch (const std::exception& error) {
    print_error(fmt::format("{}: {}", name, error.what()));
    return 1;
  } catch (const Cancelled&) {
    print_error(fmt::format("{}: {}", name, Cancelled::what()));
    return 1;
  } catch (...) {
    print_error(fmt::format("{}: it ended with something that is not a std::exception", name));
    return 1;
  }
}

void print_line(std::string line) {
  line += '\n';
  const bool written = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() && std::fflush(stdout) == 0;
  if (!written) throw Error(errno, "write to", "standard output");
}

void tell(const std::exception& error) noexcept {
  try {
    print_error(fmt::format("{}: {}", program_invocation_short_name, error.what()));
  } catch (const std::exception&) {
    print_error(error.what());
  }
}

}  // namespace detail

}  // namespace coax

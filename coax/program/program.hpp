// program(): the main() of a small program. It checks the arguments against the usage, prints errors, and returns the
// exit code.
//
//   void ask(const coax::Arguments& given) {
//     auto server = coax::Socket::connect_to(given.address(), {.timeout = 10s});
//     server.send(given.get("TEXT", "Hello!"));
//   }
//   int main(int argc, char** argv) { return coax::program(argc, argv, "HOST PORT [TEXT]", ask); }
#pragma once

#include <fmt/core.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "coax/base/units.hpp"
#include "coax/task/run.hpp"

namespace coax {

// The program was called with wrong arguments: which one, and why. Not an Error, since the caller is at fault and not
// the environment.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The arguments of a program, by the names in its usage.
class Arguments {
 public:
  // usage: one name for each argument, in their order; optional ones are in brackets and come last: "HOST PORT [TEXT]".
  // The argument PORT must be a number from 0 to 65535.
  // Throws: UsageError when an argument is missing, invalid or unexpected.
  // Lifetime: borrows argv and usage.
  Arguments(int argc, const char* const* argv, std::string_view usage);

  // Returns: the argument; empty when it was omitted. Throws: Error(invalid) when the usage has no such name.
  std::string_view operator[](std::string_view name) const;
  std::string_view get(std::string_view name, std::string_view otherwise) const;
  // Parses "64KiB" and "30s". Throws: UsageError for any other text.
  [[nodiscard]] std::size_t size(std::string_view name, std::size_t otherwise) const;
  [[nodiscard]] Duration duration(std::string_view name, Duration otherwise) const;
  // Returns: "HOST:PORT" for connecting and listening; an IPv6 address gets its brackets. Without a HOST it is
  // 127.0.0.1, so that a server is reachable from this machine only. `host`: another name for HOST.
  [[nodiscard]] std::string address(std::string_view host = "HOST") const;

 private:
  struct Word {
    std::string_view name;
    std::string_view value;
    bool given = false;
  };
  [[nodiscard]] const Word& word(std::string_view name) const;

  std::vector<Word> words_;
};

namespace detail {
int program(int argc, char** argv, std::string_view usage, const std::function<int(const Arguments&)>& body);
void print_line(std::string line);
void tell(const std::exception& error) noexcept;
}  // namespace detail

// Calls body(arguments). A returned Task<> is run as by run(): SIGINT, SIGTERM and SIGHUP cancel it. The single
// argument -h or --help prints the usage.
// Returns: the exit code for main(): the result of the body if that is an int, otherwise 0; 1 after an error, which is
// printed on standard error as "NAME: what failed"; 2 after a UsageError, also of the body, which is printed with the
// usage.
template <class Body>
int program(int argc, char** argv, std::string_view usage, Body body) {
  return detail::program(argc, argv, usage, [&](const Arguments& given) {
    using Result = std::invoke_result_t<Body&, const Arguments&>;
    if constexpr (std::is_same_v<Result, Task<>>) {
      run_or_throw(body(given));
    } else if constexpr (std::is_same_v<Result, int>) {
      return body(given);
    } else {
      static_assert(std::is_void_v<Result>, "the body of a program returns void, int or Task<>");
      body(given);
    }
    return 0;
  });
}

// Prints a line on standard output and flushes it, so that it is read at once, in a pipe, too. Pass untrusted text
// through printable() first.
// Throws: Error when it cannot be written.
// Thread: any.
template <class... T>
void print_line(fmt::format_string<T...> format, T&&... values) {
  detail::print_line(fmt::vformat(format, fmt::make_format_args(values...)));
}

// A step whose failure the program must survive: prints an error on standard error and returns false. Cancelled is not
// caught.
template <class Step>
bool attempt(Step step) {
  try {
    step();
    return true;
  } catch (const std::exception& error) {
    detail::tell(error);
    return false;
  }
}

// Repeats such a step indefinitely, with a pause of 10 ms after a failure. Blocks the thread.
template <class Step>
[[noreturn]] void forever(Step step) {
  while (true) {
    if (!attempt(step)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace coax

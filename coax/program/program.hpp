// program(): the main() of a small program: its words are checked against its usage, its errors told, its exit code
// chosen.
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

// The program was called with words that it cannot take: what is wrong with which. Not an Error, as it is not the
// world that failed.
struct UsageError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The words that a program was called with, by the names that its usage gives them.
class Arguments {
 public:
  // usage: one name for each word, in their order; those in brackets may be left out and come last: "HOST PORT [TEXT]".
  // What is called PORT must be a number from 0 to 65535. Throws UsageError when a word is missing, wrong or too many.
  // Borrows all that it is given.
  Arguments(int argc, const char* const* argv, std::string_view usage);

  // What was given; empty when it was left out. Throws Error(invalid) when the usage has no such name.
  std::string_view operator[](std::string_view name) const;
  std::string_view get(std::string_view name, std::string_view otherwise) const;
  // "64KiB" and "30s" as such. Throw UsageError when it is none.
  [[nodiscard]] std::size_t size(std::string_view name, std::size_t otherwise) const;
  [[nodiscard]] Duration duration(std::string_view name, Duration otherwise) const;
  // "HOST:PORT" for connecting and listening; an IPv6 address gets its brackets. Without a HOST: 127.0.0.1, so that
  // only this machine reaches what listens there. Another word than HOST can be named.
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

// Calls body(arguments) and returns the exit code for main(): what the body returns if that is an int, else 0. A Task<>
// that it returns is run as by run(): SIGINT, SIGTERM and SIGHUP cancel it. An error is told on standard error as
// "NAME: what went wrong", exit code 1; wrong words, a UsageError of the body's too, with the usage, exit code 2. The
// only word -h or --help prints the usage, exit code 0.
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

// A line on standard output that is read at once, also in a pipe. Any thread. What comes from strangers goes through
// printable() first. Throws Error when it cannot be written.
template <class... T>
void print_line(fmt::format_string<T...> format, T&&... values) {
  detail::print_line(fmt::vformat(format, fmt::make_format_args(values...)));
}

// One step of a program that must outlive its failure: an error is told on standard error and false returned.
// Cancelled goes through.
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

// Such steps for ever, with a breath of 10 ms after one that failed. Blocks the thread.
template <class Step>
[[noreturn]] void forever(Step step) {
  while (true) {
    if (!attempt(step)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace coax

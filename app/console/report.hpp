// Results and errors of commands. Results are printed on standard output, as text or as JSON. An error is one line on
// standard error, with its exit code. Names of peers, processes and files are escaped here, once.
#pragma once

#include <fmt/core.h>

#include <boost/json/value.hpp>
#include <concepts>
#include <functional>
#include <string>
#include <string_view>

#include "app/console/exit.hpp"
#include "coax/base/error.hpp"
#include "coax/base/log.hpp"
#include "coax/base/text.hpp"
#include "coax/base/units.hpp"
#include "coax/task/scope.hpp"

namespace coax::app {

// An invalid argument: nothing was tried.
struct WrongUsage {
  std::string text;
};

// --- standard output ---

// Writes to standard output, buffered. A failure is recorded and decides the exit code: see finish_output().
// Thread: one at a time.
void print_text(std::string_view text) noexcept;
// A text among the values becomes printable(); others are unchanged.
template <class T>
decltype(auto) safe(const T& value) {
  if constexpr (std::convertible_to<const T&, std::string_view>) {
    return printable(std::string_view(value), 2000);
  } else {
    return (value);
  }
}
template <class... T>
std::string safe_text(fmt::format_string<T...> format, const T&... values) {
  return
      [format](const auto&... each) { return fmt::vformat(format, fmt::make_format_args(each...)); }(safe(values)...);
}
// Formats with safe() values.
template <class... T>
void print(fmt::format_string<T...> format, const T&... values) {
  print_text(safe_text<T...>(format, values...));
}
// Records a failure of other writes to standard output in the same way.
void record_output_failure(int errno_value) noexcept;
// Flushes the buffer, so that the reader of a pipe has it at once. Returns: false when output was lost so far.
bool flush_output() noexcept;
// At the end of main(). Prints the reason of lost output on standard error, unless the reader of the pipe has closed
// it.
// Returns: `code`, or `failed` when output was lost.
int finish_output(int code);

// JSON (RFC 8259) with numbers without exponent and at most six decimal places, and strings with control characters,
// those of Unicode too, as \uNNNN.
std::string json_text(const boost::json::value& value);
// Prints one line on standard output, and flushes.
void print_json(const boost::json::value& value);

// --- errors ---

// Prints "coax NAME: text" on standard error; nothing when the text only says that the reader of standard output has
// closed it.
void complain(std::string_view command, std::string_view text);
// Returns: the result of body(); `usage` after WrongUsage, `otherwise` after another Error. Both are printed on
// standard error.
int reported(std::string_view command, int otherwise, const std::function<int()>& body);
// The exit code of an attempt to reach a peer: `unavailable`, `failed` when this process lacked descriptors or memory,
// or a certificate was not accepted, `usage` for an invalid address.
Exit exit_code_of(const Error& error) noexcept;

// timeout(), whose error names the operation and the peer. Throws: Error(timed_out).
template <class T>
Task<T> within(Duration limit, std::string operation, std::string peer, Task<T> task) {
  try {
    co_return co_await timeout(limit, std::move(task));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::timed_out || error.operation() != "wait") throw;
  }
  throw Error(ErrorKind::timed_out, operation, peer, fmt::format("no answer within {}", format_duration(limit)));
}

// --- arguments ---

// Parses the value of the option `name`. Throws: WrongUsage that says how to write it.
Duration duration_of(std::string_view name, const std::string& text);
std::size_t size_of(std::string_view name, const std::string& text);
unsigned count_of(std::string_view name, const std::string& text, unsigned most);

}  // namespace coax::app

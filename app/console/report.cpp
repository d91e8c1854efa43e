// Texts may contain a peer's bytes or an argument: they are made printable here, for all commands.
#include "app/console/report.hpp"

#include <poll.h>
#include <unistd.h>

#include <boost/json/serialize.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

#include "coax/base/text.hpp"

namespace coax::app {

namespace {

std::string output;    // not written yet
int output_errno = 0;  // of the first write to standard output that failed
bool output_failure_told = false;

}  // namespace

void record_output_failure(int errno_value) noexcept {
  if (output_errno == 0) output_errno = errno_value != 0 ? errno_value : EIO;
}

// Not through stdio, which loses bytes when another process has made the same pipe or terminal non-blocking.
void print_text(std::string_view text) noexcept {
  constexpr std::size_t held_bytes_max = 32_KiB;
  try {
    output.append(text);
  } catch (const std::exception&) {
    record_output_failure(ENOMEM);
  }
  if (output.size() >= held_bytes_max) flush_output();
}

bool flush_output() noexcept {
  std::string_view rest = output;
  while (!rest.empty() && output_errno == 0) {
    const auto written = ::write(STDOUT_FILENO, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno == EAGAIN) {
      pollfd full{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&full, 1, -1);
    } else if (errno != EINTR) {
      record_output_failure(errno);
    }
  }
  output.clear();
  return output_errno == 0;
}

int finish_output(int code) {
  flush_output();
  if (output_errno == 0) return code;
  if (output_errno != EPIPE && !output_failure_told) {
    const std::string reason =
        output_errno == ETIMEDOUT ? "its reader does not read" : std::generic_category().message(output_errno);
    print_error(fmt::format("coax: write to standard output: {}", reason));
  }
  return failed;
}

std::string json_string(std::string_view text) {
  if (!is_utf8(text)) return json_string(printable(text, SIZE_MAX));
  const std::string plain = boost::json::serialize(boost::json::value(text));
  std::string safe;
  std::string_view rest = plain;
  while (!rest.empty()) {
    const std::size_t control = find_control(rest);
    safe += rest.substr(0, control);
    rest.remove_prefix(control);
    if (rest.empty()) break;
    // Two or three bytes of UTF-8: DEL is the only single byte that Boost.JSON does not escape.
    const auto at = [rest](std::size_t index) { return static_cast<unsigned char>(rest[index]); };
    const std::size_t length = at(0) < 0x80 ? 1 : at(0) < 0xE0 ? 2 : 3;
    const unsigned code = length == 1   ? at(0)
                          : length == 2 ? (at(0) & 0x1FU) << 6 | (at(1) & 0x3FU)
                                        : (at(0) & 0x0FU) << 12 | (at(1) & 0x3FU) << 6 | (at(2) & 0x3FU);
    safe += fmt::format("\\u{:04x}", code);
    rest.remove_prefix(length);
  }
  return safe;
}

// Boost.JSON writes doubles as 3.3E-2.
std::string json_text(const boost::json::value& value) {
  std::string text;
  const auto append_all = [&text](const auto& all, char begin, char end, const auto& append) {
    text += begin;
    for (const auto& each : all) {
      if (text.size() > 1) text += ',';
      append(each);
    }
    text += end;
  };
  if (const auto* const object = value.if_object()) {
    append_all(*object, '{', '}',
               [&text](const auto& each) { text += json_string(each.key()) + ":" + json_text(each.value()); });
  } else if (const auto* const array = value.if_array()) {
    append_all(*array, '[', ']', [&text](const auto& each) { text += json_text(each); });
  } else if (const auto* const number = value.if_double()) {
    text = fmt::format("{:.6f}", *number);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
  } else if (const auto* const string = value.if_string()) {
    text = json_string(*string);
  } else {
    text = boost::json::serialize(value);
  }
  return text;
}

void print_json(const boost::json::value& value) {
  print_text(json_text(value) + "\n");
  flush_output();
}

void complain(std::string_view command, std::string_view text) {
  const bool is_of_output = output_errno != 0 && text.starts_with("write to standard output");
  if (is_of_output && (output_errno == EPIPE || std::exchange(output_failure_told, true))) return;
  print_error(fmt::format("coax {}: {}", command, text));
}

int reported(std::string_view command, int otherwise, const std::function<int()>& body) {
  try {
    return body();
  } catch (const WrongUsage& wrong) {
    complain(command, wrong.text);
    print_error(fmt::format("Try: coax {} --help", command));
    return usage;
  } catch (const Error& error) {
    complain(command, error.what());
    return otherwise == unavailable ? exit_code_of(error) : otherwise;
  }
}

Exit exit_code_of(const Error& error) noexcept {
  switch (error.kind()) {
    case ErrorKind::certificate:
    case ErrorKind::overloaded: return failed;
    case ErrorKind::invalid: return usage;
    default: return unavailable;
  }
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

unsigned count_of(std::string_view name, const std::string& text, unsigned most) {
  unsigned count = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (failure != std::errc{} || end != text.data() + text.size() || count == 0 || count > most) {
    throw WrongUsage{fmt::format("{} \"{}\" is not a number from 1 to {}", name, text, most)};
  }
  return count;
}

}  // namespace coax::app

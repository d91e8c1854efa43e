// What the suites of the contract share: a pair of each kind of stream, and ways to use it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "tests/support/run.hpp"
#include "tests/support/stream_pairs.hpp"

namespace coax::test {

// Far more than any kind of stream holds between its ends.
inline constexpr std::size_t more_than_fits = 32_MiB;

inline std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

// Runs a test on each kind of stream.
class OnStreamPair : public ::testing::TestWithParam<StreamKind> {
 protected:
  static Task<> with_pair(Task<> (*body)(StreamPair&)) {
    StreamPair pair = co_await GetParam().make();
    co_await body(pair);
  }
  static void run(Task<> (*body)(StreamPair&)) {
    coax::test::run([body] { return with_pair(body); });
  }
};

inline std::string name_of_kind(const ::testing::TestParamInfo<StreamKind>& info) { return info.param.name; }

inline Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const Bytes bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}
inline Task<> read_away(Stream& stream) {
  while (co_await stream.recv()) {
  }
}
inline Task<> recv_into_string(Stream& stream, std::string& to) { to = (co_await stream.recv()).string(); }
inline Task<> send_all(Stream& stream, Bytes bytes) { co_await stream.send(bytes); }

// A send that is under way: how it ended is in `end`, empty until then.
struct Sending {
  std::string end;
  Task<> run(Stream& stream, Bytes bytes) { end = co_await outcome(stream.send(bytes)); }
};
inline Task<> observe_recv(Stream& stream, std::string& end) { end = co_await outcome(stream.recv()); }

}  // namespace coax::test

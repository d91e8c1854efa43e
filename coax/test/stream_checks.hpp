// The common part of the checks of the stream contract. For stream_contract.hpp, which programs include.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <source_location>
#include <string>

#include "coax/base/units.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/scope.hpp"
#include "coax/test/random.hpp"
#include "coax/test/run.hpp"
#include "coax/test/stream_pair.hpp"

namespace coax::test {

// One rule of the contract. `run` checks it with GoogleTest's EXPECT_...
struct StreamCheck {
  enum class Of : std::uint8_t { every_stream, with_half_close, without_half_close, with_end_mark };
  const char* name;
  Task<> (*run)(StreamPair& pair, const StreamKind& kind);
  Of of = Of::every_stream;
  std::source_location where = std::source_location::current();
};

namespace checks {

// More than any stream buffers between its ends.
inline constexpr std::size_t more_than_fits = 12_MiB;

inline std::string pattern(std::size_t count) {
  std::string bytes(count, '\0');
  for (std::size_t at = 0; at < count; ++at) bytes[at] = static_cast<char>(at * 31 + at / 251);
  return bytes;
}

inline Task<std::string> read_to_end(Stream& stream) {
  std::string all;
  while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  co_return all;
}
// The same; a cut is an end, too.
inline Task<std::string> read_to_end_or_cut(Stream& stream) {
  std::string all;
  try {
    while (const BytesView bytes = co_await stream.recv()) all.append(bytes.text());
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::truncated) << error.what();
  }
  co_return all;
}
inline Task<> discard_to_end(Stream& stream) {
  while (co_await stream.recv()) continue;
}
inline Task<> recv_into_string(Stream& stream, std::string& to) { to = (co_await stream.recv()).string(); }
inline Task<> send_all(Stream& stream, BytesView bytes) { co_await stream.send(bytes); }

// A send in progress. Its outcome is in `end`, empty until then.
struct Sending {
  std::string end;
  Task<> run(Stream& stream, BytesView bytes) { end = co_await outcome(stream.send(bytes)); }
};
inline Task<> observe_recv(Stream& stream, std::string& end) { end = co_await outcome(stream.recv()); }

inline Task<> reset_far(StreamPair& pair) {
  if (pair.reset_far) {
    co_await pair.reset_far(pair);
  } else {
    pair.far->abort();
  }
}

}  // namespace checks

}  // namespace coax::test

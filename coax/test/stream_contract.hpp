// The stream contract: the checks that hold for every coax::Stream, as a suite for streams of your own. Needs
// GoogleTest; the rest of the library does not. docs/guide/stream-contract.md builds a test from nothing.
//
//   coax::Task<coax::test::StreamPair> make_pair() {
//     auto [near, far] = coax::memory_stream_pair();
//     co_return coax::test::StreamPair{.near = std::make_unique<MyLayer>(std::move(near)),
//                                      .far = std::make_unique<MyLayer>(std::move(far))};
//   }
//   const bool registered = coax::test::register_stream_contract({.name = "my_layer", .make = make_pair});
//
// The contract of a stream, besides the documentation of each call in stream.hpp:
//
// End of the stream. An empty recv() means that the peer has ended its side in order: with shutdown_send() or close(),
//   and every byte that it sent before has been received. Every later recv() is empty, too.
// Reset. The connection has broken: Error(disconnected) at every recv() and send(), never an end of the stream.
// Truncation. A protocol that marks the end of its bytes (the close_notify of TLS: RFC 8446, section 6.1) knows whether
//   the mark arrived before the connection ended. Without it, recv() throws Error(truncated), every time: an attacker
//   may have cut the stream. A protocol without a mark (TCP) cannot detect it, and returns the end. A layer reports it
//   as RecvOp::result = -stream_truncated. end_input() asks for the end itself and is no truncation.
// Half-close. shutdown_send() ends one direction, and the peer may go on sending. A stream that has no half-close (TLS
//   1.2: RFC 5246, section 7.2.1) ends both: the peer reads the end of the stream behind all earlier bytes; bytes that
//   the peer sends from then on are discarded, and recv() returns the end instead of them. Set
//   StreamKind::half_closes for it.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "coax/test/run.hpp"
#include "coax/test/stream_cancel_checks.hpp"
#include "coax/test/stream_checks.hpp"
#include "coax/test/stream_end_checks.hpp"
#include "coax/test/stream_pair.hpp"
#include "coax/test/stream_recv_checks.hpp"
#include "coax/test/stream_send_checks.hpp"

namespace coax::test {

// Runs one check on a new pair.
inline Task<> run_stream_check(const StreamCheck& check, const StreamKind& kind) {
  StreamPair pair = co_await kind.make();
  co_await check.run(pair, kind);
}

class StreamContract : public ::testing::Test {
 public:
  StreamContract(const StreamCheck& check, const StreamKind& kind) noexcept : check_(check), kind_(kind) {}
  void TestBody() override {
    run([this] { return run_stream_check(check_, kind_); });
  }

 private:
  const StreamCheck& check_;
  StreamKind kind_;
};

inline bool applies(const StreamCheck& check, const StreamKind& kind) noexcept {
  switch (check.of) {
    case StreamCheck::Of::with_half_close: return kind.half_closes;
    case StreamCheck::Of::without_half_close: return !kind.half_closes;
    case StreamCheck::Of::with_end_mark: return kind.marks_end;
    case StreamCheck::Of::every_stream: break;
  }
  return true;
}

// Registers the tests "StreamContract/NAME.CHECK" for a kind of stream. Each makes a pair of its own, in a loop of its
// own on the back-end that COAX_BACKEND names, and has a time limit of a minute.
// Call it before RUN_ALL_TESTS(), such as for a variable of the namespace. Returns: true.
inline bool register_stream_contract(const StreamKind& kind) {
  const std::string suite = std::string("StreamContract/") + kind.name;
  for (const std::span<const StreamCheck> group :
       {std::span<const StreamCheck>(checks::recv_checks), std::span<const StreamCheck>(checks::send_checks),
        std::span<const StreamCheck>(checks::end_checks), std::span<const StreamCheck>(checks::cancel_checks)}) {
    for (const StreamCheck& check : group) {
      if (!applies(check, kind)) continue;
      ::testing::RegisterTest(suite.c_str(), check.name, nullptr, nullptr, check.where.file_name(),
                              static_cast<int>(check.where.line()), [&check, kind]() -> StreamContract* {
                                return new StreamContract(check, kind);  // GoogleTest deletes it
                              });
    }
  }
  return true;
}

}  // namespace coax::test

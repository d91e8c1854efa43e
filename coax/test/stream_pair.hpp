// The parameters of the stream contract (stream_contract.hpp): how to make a pair of connected streams, and their
// properties.
#pragma once

#include <functional>
#include <memory>
#include <ostream>

#include "coax/stream/stream.hpp"
#include "coax/task/task.hpp"

namespace coax::test {

// Two connected streams on the current loop: what one sends, the other receives.
struct StreamPair {
  std::unique_ptr<Stream> near;
  std::unique_ptr<Stream> far;
  // Breaks the connection so that near sees a reset. Empty: far->abort().
  std::function<Task<>(StreamPair&)> reset_far = {};
  // Ends the connection below near without the end mark of the protocol. Only for StreamKind::marks_end.
  std::function<Task<>(StreamPair&)> truncate_far = {};
};

// One kind of stream.
struct StreamKind {
  const char* name;  // letters, digits and '_'; it becomes a part of the names of the tests
  Task<StreamPair> (*make)();
  // Whether the peer may still send after shutdown_send(). False: TLS 1.2, a WebSocket.
  bool half_closes = true;
  // Whether the protocol marks the end of its bytes, so that truncation is not taken for it. True: TLS.
  bool marks_end = false;

  // For GoogleTest.
  friend void PrintTo(const StreamKind& kind, std::ostream* out) { *out << kind.name; }
};

}  // namespace coax::test

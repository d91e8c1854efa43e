// A client of a room in a test, without a connection: its session, and the bytes for its stream.
#pragma once

#include <string>

#include "coax/stream/memory.hpp"
#include "coax/task/scope.hpp"
#include "services/chat/session.hpp"

namespace coax::chat {

struct Client {
  explicit Client(Form form = line) : session({.form = form}) {}

  // All bytes that were sent to the session, once its outbox has finished.
  Task<std::string> read_to_end() {
    auto [near, far] = memory_stream_pair();
    const auto write = [this](MemoryStream& stream) -> Task<> {
      co_await drain(session.outbox(), stream);
      stream.close();
    };
    const auto read = [](MemoryStream& stream) -> Task<std::string> {
      std::string all_bytes;
      while (const BytesView bytes = co_await stream.recv()) all_bytes.append(bytes.text());
      co_return all_bytes;
    };
    auto [nothing, bytes] = co_await all(write(*near), read(*far));
    co_return bytes;
  }

  // The same, after it has left all rooms.
  Task<std::string> leave_and_read() {
    session.leave_all();
    session.outbox().finish();
    co_return co_await read_to_end();
  }

  Session session;
};

}  // namespace coax::chat

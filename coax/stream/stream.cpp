// The awaitable operations of streams.
#include "coax/stream/stream.hpp"

#include <cerrno>

#include "coax/base/error.hpp"
#include "coax/base/misuse.hpp"

namespace coax {

void Stream::fail(int reason, const char* operation) const {
  if (reason == ECANCELED) throw Cancelled();
  if (reason == EBUSY) throw Error(ErrorKind::invalid, operation, peer_name(), "another task already receives from it");
  if (reason == stream_truncated) {
    throw Error(ErrorKind::truncated, operation, peer_name(), "the connection ended without the end of the stream");
  }
  throw Error(reason, operation, peer_name());
}

void Stream::abort_destroyed_in_use() noexcept {
  abort_misuse("a stream is destroyed while a task receives or sends on it; end that task first: cancel and await it");
}

Stream::RecvInto::RecvInto(Stream& stream, std::span<char> buffer) noexcept
    : Operation([](Waiting& self) noexcept {
        auto& recv = static_cast<RecvInto&>(self);
        recv.stream_.cancel(static_cast<RecvOp&>(recv));
      }),
      RecvOp(Kind::recv_into,
             [](Completion& self) noexcept {
               auto& recv = static_cast<RecvInto&>(self);
               recv.stream_.complete(static_cast<RecvOp&>(recv));
               recv.resume();
             }),
      stream_(stream) {
  into() = {.data = buffer.data(), .size = buffer.size()};
}

bool Stream::RecvInto::start() noexcept { return into().size == 0 || stream_.start(*this); }

std::size_t Stream::RecvInto::finish() const {
  if (result < 0) stream_.fail(static_cast<int>(-result), "recv from");
  return static_cast<std::size_t>(result);
}

Stream::Send::Send(Stream& stream, std::span<const BytesView> list) noexcept : Send(stream, Then::nothing) {
  assign(list);
}

Task<std::string> Stream::recv_exactly(std::size_t count) {
  std::string bytes;
  for (std::size_t have = 0; have < count;) {
    if (have == bytes.size()) bytes.resize(grown_towards(count, have));
    const std::size_t got = co_await recv(std::span<char>(bytes).subspan(have));
    if (got == 0) {
      bytes.resize(have);
      throw IncompleteRead(peer_name(), std::move(bytes), count);
    }
    have += got;
  }
  co_return bytes;
}

}  // namespace coax

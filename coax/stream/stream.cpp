// The awaitable side of streams: what is the same for all of them.
#include "coax/stream/stream.hpp"

#include <cerrno>

#include "coax/base/error.hpp"

namespace coax {

namespace {

[[noreturn]] void fail(int reason, std::string_view operation, const Stream& stream) {
  if (reason == ECANCELED) throw Cancelled();
  throw Error(reason, operation, stream.peer_name());
}

}  // namespace

Stream::Recv::Recv(Stream& stream) noexcept
    : Leaf([](Waiting& self) noexcept {
        auto& recv = static_cast<Recv&>(self);
        recv.stream_.cancel(static_cast<RecvOp&>(recv));
      }),
      RecvOp(Kind::recv,
             [](Completion& self) noexcept {
               auto& recv = static_cast<Recv&>(self);
               recv.stream_.settle(recv);
               recv.resume();
             }),
      stream_(stream) {}

Received Stream::Recv::finish() const {
  if (result < 0) fail(static_cast<int>(-result), "recv from", stream_);
  return received();
}

Stream::RecvInto::RecvInto(Stream& stream, std::span<char> buffer) noexcept
    : Leaf([](Waiting& self) noexcept {
        auto& recv = static_cast<RecvInto&>(self);
        recv.stream_.cancel(static_cast<RecvOp&>(recv));
      }),
      RecvOp(Kind::recv_into,
             [](Completion& self) noexcept {
               auto& recv = static_cast<RecvInto&>(self);
               recv.stream_.settle(recv);
               recv.resume();
             }),
      stream_(stream) {
  into = {buffer.data(), buffer.size()};
}

bool Stream::RecvInto::start() noexcept { return into.size == 0 || stream_.start(*this); }

std::size_t Stream::RecvInto::finish() const {
  if (result < 0) fail(static_cast<int>(-result), "recv from", stream_);
  return static_cast<std::size_t>(result);
}

Stream::Send::Send(Stream& stream, Bytes bytes) noexcept : Send(stream, Then::nothing) {
  single = bytes;
  is_single = true;
  total = bytes.size();
}

Stream::Send::Send(Stream& stream, std::span<const Bytes> list) noexcept : Send(stream, Then::nothing) {
  many = list;
  for (const Bytes& piece : list) total += piece.size();
}

Stream::Send::Send(Stream& stream, Then what) noexcept
    : Leaf([](Waiting& self) noexcept {
        auto& send = static_cast<Send&>(self);
        send.stream_.cancel(static_cast<SendOp&>(send));
      }),
      SendOp([](Completion& self) noexcept { static_cast<Send&>(self).resume(); }),
      stream_(stream) {
  then = what;
}

void Stream::Send::finish() const {
  if (error != 0) fail(error, "send to", stream_);
}

Task<std::string> Stream::recv_exactly(std::size_t count) {
  std::string bytes(count, '\0');
  std::size_t have = 0;
  while (have < count) {
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

// Reader: buffered reading, as bufio.Reader in Go: lines, up to a delimiter, a count of bytes, as received, or through
// a decoder, in any order. No byte is lost in between. SocketReader (coax/socket/reader.hpp) is its blocking
// counterpart.
//
//   coax::Reader reader(stream);
//   auto line = co_await reader.line();          // "$5"
//   auto bytes = co_await reader.exactly(5);     // and that many bytes
//   coax::FrameDecoder decoder(coax::Framing::length_prefixed(), 64_KiB);
//   auto frame = co_await reader.next(decoder);  // from here on frames
#pragma once

#include <optional>
#include <string>

#include "coax/codec/read_buffer.hpp"
#include "coax/stream/stream.hpp"
#include "coax/task/scope.hpp"
#include "coax/task/task.hpp"

namespace coax {

// Lifetime: the bytes of a call are valid until the next call. An idle reader holds no buffer.
// Cancelled: no byte is lost. An incomplete event stays in the decoder.
// Thread: the loop's. One task at a time; nothing else may receive from the stream while bytes are buffered.
class Reader {
 public:
  explicit Reader(Stream& stream COAX_LIFETIMEBOUND, const ReaderOptions& options = {}) noexcept
      : stream_(stream), buffer_(options) {}

  // Returns: a line without its LF or CRLF; at the end of the stream the bytes without one, then nothing.
  // Throws: LineTooLong for a line above the limit; the next call continues with the next line.
  Task<std::optional<BytesView>> line();
  // Returns: the bytes before the delimiter, which is consumed, too. Nothing: the stream ended before the first byte.
  // Throws: IncompleteRead when the stream ended before the delimiter; LineTooLong above the limit, as line();
  // Error(invalid) for an empty delimiter.
  Task<std::optional<BytesView>> until(std::string delimiter);
  // Returns: exactly `count` bytes. Memory is allocated for received bytes only.
  // Throws: IncompleteRead, with the bytes received, when the stream ended before.
  Task<BytesView> exactly(std::size_t count);
  // Returns: the bytes that have arrived, at least one. Empty: the stream has ended.
  Task<BytesView> some();
  // Returns: the decoder's next event; at the end of the stream its rest(), then nothing. Bytes after the event stay in
  // the reader.
  // Lifetime: the decoder must live until it returns; the event is valid until the next call.
  template <PushDecoder D>
  auto next(D& decoder COAX_LIFETIMEBOUND) -> Task<decltype(decoder.next())>;

  // The steps of next(), for callers that act between them. Returns: the next event of the buffered bytes, without
  // waiting; nothing: call fill(), unless at_end().
  template <PushDecoder D>
  auto try_next(D& decoder) -> decltype(decoder.next());
  // Receives once, and appends to the buffered bytes; consumes the result of the last call.
  // Throws: ForeignProtocolError, once; from then on the stream counts as ended.
  class Fill;
  [[nodiscard]] Fill fill();

  // Received bytes that no call has returned yet. Must be empty before a switch to TLS (STARTTLS): otherwise plain
  // bytes that an attacker injected would count as encrypted (CVE-2011-0411).
  [[nodiscard]] BytesView buffered() const noexcept { return buffer_.buffered(); }
  // The stream has ended, and nothing is buffered.
  [[nodiscard]] bool at_end() const noexcept { return buffer_.ended() && buffered().empty(); }
  [[nodiscard]] Stream& stream() const noexcept { return stream_; }

 private:
  template <class Result, class Step>
  Task<Result> read(Step step);
  [[nodiscard]] Fill receive();
  void received(BytesView bytes);
  [[nodiscard]] std::optional<BytesView> result(const ReadStep& step) const;

  Stream& stream_;
  ReadBuffer buffer_;
};

// An operation without a coroutine, so that a silent client costs no frame.
class [[nodiscard("it does nothing until it is awaited")]] Reader::Fill : public Stream::Recv {
 public:
  explicit Fill(Reader& reader) noexcept : Recv(reader.stream_), reader_(reader) {}
  void await_resume() { reader_.received(Recv::await_resume()); }

 private:
  Reader& reader_;
};

inline Reader::Fill Reader::fill() {
  buffer_.begin();
  return receive();
}

template <PushDecoder D>
auto Reader::try_next(D& decoder) -> decltype(decoder.next()) {
  std::size_t consumed = 0;
  auto event = buffer_.decode(decoder, consumed);
  charge_bytes(consumed);
  return event;
}

template <PushDecoder D>
auto Reader::next(D& decoder) -> Task<decltype(decoder.next())> {
  while (true) {
    co_await checkpoint();
    if (auto event = try_next(decoder)) co_return event;
    if (buffer_.ended()) co_return std::nullopt;
    co_await receive();
  }
}

}  // namespace coax

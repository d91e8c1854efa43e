// SocketReader: a blocking socket read in lines, up to a delimiter, by count, as it comes or through a decoder, in any
// mixture: nothing is lost between. Reader (coax/stream/reader.hpp) is the same over a stream.
//
//   coax::SocketReader reader(socket);
//   auto line = reader.line();          // "$5"
//   auto bytes = reader.exactly(5);     // and so many bytes
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/read_buffer.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

// Lifetime: the bytes of a call are valid until the next call.
// The socket's timeout is for a whole call, however the bytes are cut; after it nothing is lost, and the next call goes
// on. Nothing else may receive from the socket while bytes are buffered.
class SocketReader {
 public:
  explicit SocketReader(Socket& socket COAX_LIFETIMEBOUND, const ReaderOptions& options = {}) noexcept
      : socket_(socket), buffer_(options) {}

  // Returns: a line without its LF or CRLF; at the end of the stream the bytes without one, then nothing.
  // Throws: Error(protocol) for a line above the limit; the next call goes on behind it.
  std::optional<BytesView> line();
  // Returns: the bytes before the delimiter, which is consumed, too. Nothing: the stream ended before the first byte.
  // Throws: IncompleteRead when the stream ended before the delimiter; Error(protocol) above the limit, as line();
  // Error(invalid) for an empty delimiter.
  std::optional<BytesView> until(std::string_view delimiter);
  // Returns: so many bytes. Memory is allocated for received bytes only.
  // Throws: IncompleteRead, with the bytes received, when the stream ended before.
  BytesView exactly(std::size_t count);
  // Returns: what has arrived, at least one byte; empty: the stream has ended.
  BytesView some();
  // Returns: the decoder's next event; at the end of the stream its rest(), then nothing. Bytes behind the event stay
  // in the reader.
  // Lifetime: the event is valid until the next call.
  template <PushDecoder D>
  auto next(D& decoder) -> decltype(decoder.next()) {
    std::optional<TimePoint> deadline;
    return next(decoder, deadline);
  }
  // The same with one time limit for several calls, as Socket::recv_until().
  template <PushDecoder D>
  auto next(D& decoder, std::optional<TimePoint>& deadline) -> decltype(decoder.next());

  // Bytes received and not given yet. Must be empty when a protocol goes on encrypted (STARTTLS): bytes that the peer,
  // or somebody between, sent before would count as encrypted.
  [[nodiscard]] BytesView buffered() const noexcept { return buffer_.buffered(); }
  // The stream has ended, and nothing is buffered.
  [[nodiscard]] bool at_end() const noexcept { return buffer_.ended() && buffered().empty(); }
  [[nodiscard]] Socket& socket() const noexcept { return socket_; }

 private:
  template <class Step>
  std::optional<BytesView> read(Step step);
  void receive(std::optional<TimePoint>& deadline);

  Socket& socket_;
  ReadBuffer buffer_;
};

template <PushDecoder D>
auto SocketReader::next(D& decoder, std::optional<TimePoint>& deadline) -> decltype(decoder.next()) {
  std::size_t consumed = 0;
  while (true) {
    if (auto event = buffer_.decode(decoder, consumed)) return event;
    if (buffer_.ended()) return std::nullopt;
    receive(deadline);
  }
}

}  // namespace coax

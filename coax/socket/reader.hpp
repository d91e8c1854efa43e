// SocketReader: buffered reading of a blocking socket, as bufio.Reader in Go: lines, up to a delimiter, a count of
// bytes, as received, or through a decoder, in any order. No byte is lost in between. Reader (coax/stream/reader.hpp)
// is its counterpart for a stream.
//
//   coax::SocketReader reader(socket);
//   auto line = reader.line();          // "$5"
//   auto bytes = reader.exactly(5);     // and that many bytes
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/read_buffer.hpp"
#include "coax/socket/socket.hpp"

namespace coax {

// Where SocketReader gets its bytes: a Socket, or a tls::Socket. Lifetime: as long as the reader.
struct SocketSource {
  Socket& socket;
  void* object;
  BytesView (*recv)(void* object, std::optional<TimePoint>& deadline);  // as Socket::recv_until()
  void (*send)(void* object, BytesView bytes);                          // for the answer to a foreign protocol
};

// The socket's timeout is for a whole call. After it no byte is lost, and the next call continues. Nothing else may
// receive from the socket while bytes are buffered.
// Lifetime: the bytes of a call are valid until the next call.
class SocketReader {
 public:
  explicit SocketReader(Socket& socket COAX_LIFETIMEBOUND, const ReaderOptions& options = {}) noexcept
      : SocketReader({.socket = socket,
                      .object = &socket,
                      .recv =
                          [](void* object, std::optional<TimePoint>& deadline) {
                            return static_cast<Socket*>(object)->recv_until(deadline);
                          },
                      .send = [](void* object, BytesView bytes) { static_cast<Socket*>(object)->send(bytes); }},
                     options) {}
  // For a tls::Socket: SocketReader reader(tls_socket.source());
  explicit SocketReader(const SocketSource& source, const ReaderOptions& options = {}) noexcept
      : source_(source), buffer_(options) {}

  // Returns: a line without its LF or CRLF; at the end of the stream the bytes without one, then nothing.
  // Throws: LineTooLong for a line above the limit; the next call continues with the next line.
  std::optional<BytesView> line();
  // Returns: the bytes before the delimiter, which is consumed, too. Nothing: the stream ended before the first byte.
  // Throws: IncompleteRead when the stream ended before the delimiter; LineTooLong above the limit, as line();
  // Error(invalid) for an empty delimiter.
  std::optional<BytesView> until(std::string_view delimiter);
  // Returns: exactly `count` bytes. Memory is allocated for received bytes only.
  // Throws: IncompleteRead, with the bytes received, when the stream ended before.
  BytesView exactly(std::size_t count);
  // Returns: the bytes that have arrived, at least one. Empty: the stream has ended.
  BytesView some();
  // Returns: the decoder's next event; at the end of the stream its rest(), then nothing. Bytes after the event stay in
  // the reader.
  // Lifetime: the event is valid until the next call.
  template <PushDecoder D>
  auto next(D& decoder) -> decltype(decoder.next()) {
    std::optional<TimePoint> deadline;
    return next(decoder, deadline);
  }
  // The same with one time limit for several calls, as Socket::recv_until().
  template <PushDecoder D>
  auto next(D& decoder, std::optional<TimePoint>& deadline) -> decltype(decoder.next());

  // Received bytes that no call has returned yet. Must be empty before a switch to TLS (STARTTLS): otherwise plain
  // bytes that an attacker injected would count as encrypted (CVE-2011-0411).
  [[nodiscard]] BytesView buffered() const noexcept { return buffer_.buffered(); }
  // The stream has ended, and nothing is buffered.
  [[nodiscard]] bool at_end() const noexcept { return buffer_.ended() && buffered().empty(); }
  // The socket at the bottom. Its own recv() must not be used.
  [[nodiscard]] Socket& socket() const noexcept { return source_.socket; }

 private:
  template <class Step>
  std::optional<BytesView> read(Step step);
  void receive(std::optional<TimePoint>& deadline);

  SocketSource source_;
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

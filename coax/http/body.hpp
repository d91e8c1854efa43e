// Streamed bodies of messages, with back-pressure: BodyReader and BodyWriter. They belong to one message and to the
// task that handles it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/task/task.hpp"

namespace coax::http {

// A body that is longer than BodyReader::read_all() accepts. A server answers it with 413.
class BodyTooLarge : public Error {
 public:
  explicit BodyTooLarge(std::size_t bytes_max);
  [[nodiscard]] std::size_t bytes_max() const noexcept { return bytes_max_; }

 private:
  std::size_t bytes_max_;
};

class BodyReader {
 public:
  // Returns: the bytes that have arrived, at least one; empty: the body is complete, and so is every later call.
  // Throws: Error(disconnected) when the peer ends before; Error(protocol) for malformed framing and above the limit;
  // Error(timed_out) when nothing arrives in time.
  // Cancelled: no byte is lost.
  // Lifetime: the bytes are valid until the next call.
  virtual Task<BytesView> recv() = 0;
  // Returns: the rest of the body.
  // Throws: BodyTooLarge above `bytes_max`; else as recv().
  Task<std::string> read_all(std::size_t bytes_max);
  // The length that the peer has announced, if it has.
  [[nodiscard]] virtual std::optional<std::uint64_t> length() const noexcept = 0;
  [[nodiscard]] virtual bool at_end() const noexcept = 0;
  // Returns: the first trailer field of that name, which the client has sent after a chunked body (RFC 9110, section
  // 6.5); nothing before at_end(). It may be forged where a header is not: proxies that check headers may not see it.
  [[nodiscard]] virtual std::optional<std::string> trailer(std::string_view name) const = 0;
  // Waits until the client has closed the connection, or shut down its side, for a handler whose response takes long:
  // `race(answer(), body.wait_disconnected())`. Otherwise as BodyWriter::wait_disconnected().
  // Throws: Error(invalid) before the body has been read to its end.
  virtual Task<> wait_disconnected() = 0;

 protected:
  ~BodyReader() = default;
};

class BodyWriter {
 public:
  // Sends a part of the body. Returns when the next part can be accepted, so that a slow client slows the producer.
  // Throws: Error(disconnected) when the client has closed; Error(invalid) above an announced length.
  // Lifetime: `bytes` must live until it returns.
  virtual Task<> send(BytesView bytes) = 0;
  // Waits until the client has closed the connection, or shut down its side: for a producer that has nothing to send
  // for a long time. Later requests of the client wait; above 64 KiB of them it returns, too.
  virtual Task<> wait_disconnected() = 0;
  // Adds a field that is sent after the body (RFC 9110, section 6.5), such as a checksum. Clients may ignore it.
  // Returns: false when it is not sent: the client has not asked with "TE: trailers", or the body is not chunked.
  // Throws: Error(invalid) for a field that must be in the head, such as Content-Type, or cannot be one.
  virtual bool trailer(std::string_view name, std::string_view value) = 0;

 protected:
  ~BodyWriter() = default;
};

}  // namespace coax::http

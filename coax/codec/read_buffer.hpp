// ReadBuffer: the common part of Reader and SocketReader. It holds the received bytes that were not consumed yet, and
// finds lines, delimiters, counts and the events of decoders in them. Pure: no descriptor, no clock.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/base/units.hpp"
#include "coax/codec/foreign.hpp"

namespace coax {

struct ReaderOptions {
  std::size_t line_bytes_max = 64_KiB;  // of a line, or up to a delimiter, without its end
  // Whether a peer that speaks HTTP, TLS or SSH is refused: it gets an answer in its protocol, and ForeignProtocolError
  // is thrown. False for programs that read the lines of such a protocol themselves.
  bool refuse_foreign = true;
};

// A line above the limit, which was skipped: the stream itself is as good as before. Of kind protocol, as errors of the
// stream may be, too.
class LineTooLong : public Error {
 public:
  explicit LineTooLong(std::string_view peer);
  LineTooLong(std::string_view peer, std::size_t line_bytes_max);
};

// A decoder for Reader::next(). feed() passes bytes to it, next() returns their next event or nothing, unread() returns
// the bytes that it has not consumed, and rest() returns the event that the end of the stream completes. The start of
// an event is either copied, as in FrameDecoder, or left unread, and then fed again with more bytes after it.
template <class D>
concept PushDecoder = requires(D& decoder, const D& constant, BytesView bytes) {
  decoder.feed(bytes);
  { static_cast<bool>(decoder.next()) };
  { decoder.rest() } -> std::same_as<decltype(decoder.next())>;
  { constant.unread() } -> std::convertible_to<BytesView>;
};

// The result of a step in the buffer.
struct ReadStep {
  enum class Kind : std::uint8_t {
    found,         // `bytes`, valid until the next begin() or keep()
    need_more,     // receive, then repeat the step
    end,           // the stream has ended, and no byte is left
    cut_off,       // the stream has ended after `bytes` of `wanted`
    too_long,      // reported once; the line is skipped
    no_delimiter,  // the delimiter is empty
  };
  Kind kind = Kind::need_more;
  BytesView bytes = {};
  std::size_t wanted = 0;
};

// A call of a reader is begin() and then one step, repeated after each receive: keep(), receive, received(). The bytes
// are in one place: where they were received (lent), or in held_ once more had to be received. So each byte is copied
// at most once, and not at all when a line or an event arrives complete.
class ReadBuffer {
 public:
  explicit ReadBuffer(const ReaderOptions& options) noexcept : options_(options) {}

  // Consumes the result of the last step.
  void begin() noexcept;
  ReadStep line();
  ReadStep until(std::string_view delimiter);
  ReadStep exactly(std::size_t count);
  ReadStep some();
  // The next event; nothing: receive more, unless the stream has ended. Adds the bytes that it consumed to `consumed`.
  template <PushDecoder D>
  auto decode(D& decoder, std::size_t& consumed) -> decltype(decoder.next());

  // Copies lent bytes, before their owner receives into the same memory.
  void keep();
  // Borrows the bytes until keep(); empty: the stream has ended.
  // Returns: the foreign protocol that they complete; then the buffer is empty and the stream counts as ended.
  ForeignProtocol received(BytesView bytes);

  // Received bytes that were not consumed, without the result of the last step.
  [[nodiscard]] BytesView buffered() const noexcept { return there().from(found_bytes_); }
  // The stream has ended; bytes may still be buffered.
  [[nodiscard]] bool ended() const noexcept { return end_ != End::open; }
  // Throws: for a step that was cut_off, too_long or no_delimiter, the error that Reader documents.
  [[noreturn]] void fail(const ReadStep& step, std::string_view peer) const;

 private:
  enum class End : std::uint8_t { open, ended, refused };

  [[nodiscard]] BytesView there() const noexcept {
    return lent_ ? lent_ : BytesView(std::string_view(held_).substr(held_begin_));
  }
  ReadStep find(std::string_view delimiter, std::size_t bytes_max);
  ReadStep found(std::size_t count, std::size_t skipped = 0) noexcept;
  ReadStep cut_off(std::size_t wanted) noexcept;
  void consume(std::size_t count) noexcept;

  ReaderOptions options_;
  ForeignDetector detector_;
  BytesView lent_;
  std::string held_;  // valid from held_begin_ on
  std::size_t held_begin_ = 0;
  std::size_t found_bytes_ = 0;     // of there(): by the last step
  std::size_t searched_bytes_ = 0;  // of there(): no delimiter begins in them
  bool dropping_ = false;           // the rest of a line above the limit
  End end_ = End::open;
};

inline void ReadBuffer::consume(std::size_t count) noexcept {
  if (lent_) [[likely]] {
    lent_ = lent_.from(count);
    return;
  }
  held_begin_ += count;
  if (held_begin_ != held_.size()) return;
  if (!held_.empty()) held_ = {};
  held_begin_ = 0;
}

inline void ReadBuffer::begin() noexcept {
  consume(std::exchange(found_bytes_, 0));
  searched_bytes_ = 0;
}

template <PushDecoder D>
auto ReadBuffer::decode(D& decoder, std::size_t& consumed) -> decltype(decoder.next()) {
  begin();
  const BytesView bytes = there();
  decoder.feed(bytes);
  auto event = decoder.next();
  found_bytes_ = bytes.size() - BytesView(decoder.unread()).size();  // the bytes of the event may be among them
  consumed += found_bytes_;
  if (!event) [[unlikely]] {
    begin();
    if (end_ == End::ended) event = decoder.rest();
  }
  return event;
}

}  // namespace coax

// Frames in a stream of bytes, decoded and encoded: of a fixed length, with a delimiter, with a length prefix, or until
// the end of the stream. Pure: no descriptor, no clock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/error.hpp"
#include "coax/base/units.hpp"

namespace coax {

// The length before a payload. varint: seven bits in each byte, least significant first, with the top bit set when
// another byte follows (LEB128, as in Protocol Buffers); at most ten bytes.
enum class LengthPrefix : std::uint8_t { u8, u16, u32, u64, varint };
enum class ByteOrder : std::uint8_t { big, little };

// The bytes around a payload on the wire.
struct FrameEnvelope {
  [[nodiscard]] BytesView head() const noexcept { return {head_bytes.data(), head_size}; }
  std::array<char, 10> head_bytes{};
  std::size_t head_size = 0;
  BytesView tail;  // lifetime: that of the framing
};

// How a stream is split into frames. The factories throw Error(invalid) for impossible arguments.
class Framing {
 public:
  enum class Kind : std::uint8_t { fixed, delimited, length_prefixed, until_close };
  // How the end of the stream counts instead of a delimiter: the frame is cut off, or whole.
  enum class AtEnd : std::uint8_t { cut_off, whole };

  static Framing fixed(std::size_t frame_bytes);
  // At least one byte; it is not part of the frame.
  static Framing delimited(std::string delimiter, AtEnd at_end = AtEnd::cut_off);
  // The length does not include the prefix.
  static Framing length_prefixed(LengthPrefix prefix = LengthPrefix::u32, ByteOrder order = ByteOrder::big);
  // One frame, which may be empty.
  static Framing until_close();

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  // Returns: the bytes around the payload that make it a frame; or why it cannot be one.
  [[nodiscard]] std::expected<FrameEnvelope, std::string_view> enclose(BytesView payload) const;

 private:
  friend class FrameDecoder;
  explicit Framing(Kind kind) noexcept : kind_(kind) {}

  std::string delimiter_;
  std::size_t frame_bytes_ = 0;  // of each, when that is fixed
  Kind kind_;
  AtEnd at_end_ = AtEnd::cut_off;
  LengthPrefix prefix_ = LengthPrefix::u32;
  ByteOrder order_ = ByteOrder::big;
};

struct FrameEvent {
  enum class Kind : std::uint8_t {
    frame,
    too_long,    // reported once, without its bytes; later bytes of the frame are dropped
    bad_length,  // a varint of more than 64 bits: no further frame can be found, and each call reports it again
    cut_off,     // the stream has ended in the middle of a frame, of which these bytes were received
  };
  Kind kind = Kind::frame;
  BytesView bytes;  // valid until the next call of feed(), next() or rest()
};

// Options of the readers of frames.
struct FramesOptions {
  // of a received frame, without length or delimiter; a fixed length is its own limit
  std::size_t frame_bytes_max = 1_MiB;
  // Whether a peer that speaks HTTP, TLS or SSH is refused: it gets an answer in its protocol, and next() throws
  // ForeignProtocolError. Not for Framing::until_close(), which accepts any bytes. A borrowed reader has an option of
  // its own.
  bool refuse_foreign = true;

  [[nodiscard]] bool refuses_foreign(const Framing& framing) const noexcept {
    return refuse_foreign && framing.kind() != Framing::Kind::until_close;
  }
};
// The error for an invalid or incomplete frame from that peer.
Error frame_error(FrameEvent::Kind kind, const FramesOptions& options, std::string_view peer);

// Feed, then call next() until it returns nothing; only then may the fed bytes be released or more be fed. At the end
// of the stream call rest(). A frame that is complete within the fed bytes is a view of them. Memory is held only for
// an incomplete frame, and only for its received bytes, whatever length was announced.
class FrameDecoder {
 public:
  // frame_bytes_max: of a frame without its length or delimiter; a fixed length is its own limit.
  FrameDecoder(Framing framing, std::size_t frame_bytes_max);

  // Borrows the bytes.
  void feed(BytesView bytes) noexcept { lent_ = bytes; }
  std::optional<FrameEvent> next();
  // The fed bytes after the last event. None once next() has returned nothing.
  [[nodiscard]] BytesView unread() const noexcept { return lent_; }
  // The stream has ended: the event for the incomplete frame, once; nothing when too_long was reported for it.
  std::optional<FrameEvent> rest();

 private:
  std::optional<FrameEvent> next_delimited();
  std::optional<FrameEvent> next_sized();
  std::optional<std::size_t> find_across() const;
  bool read_length();
  void hold(BytesView bytes) { held_.insert(held_.end(), bytes.begin(), bytes.end()); }
  void release();
  FrameEvent finish(BytesView last_piece);
  FrameEvent too_long();

  Framing framing_;
  std::size_t frame_bytes_max_;
  BytesView lent_;
  std::vector<char> held_;         // of the incomplete frame, or of the one that was returned last
  std::uint64_t length_ = 0;       // of the frame, as far as it was read
  std::uint64_t missing_ = 0;      // remaining bytes of the frame, once its length is known
  std::uint8_t length_bytes_ = 0;  // read so far
  bool knows_length_ = false;
  bool bad_length_ = false;
  bool held_was_lent_ = false;
  bool dropping_ = false;  // up to the end of the frame
  bool ended_ = false;     // rest() was called
};

}  // namespace coax

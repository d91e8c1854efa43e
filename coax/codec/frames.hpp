// Frames out of a stream of bytes, and around what is to be sent: of a fixed length, ended by a delimiter, behind their
// length, or all that comes until the end. Pure: no descriptor, no clock.
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

// What stands before a payload and tells its length. varint: seven bits in each byte, the lowest first, and the top bit
// where another one follows (LEB128, as Protocol Buffers has it); at most ten bytes.
enum class LengthPrefix : std::uint8_t { u8, u16, u32, u64, varint };
enum class ByteOrder : std::uint8_t { big, little };

// What goes around a payload on the wire.
struct FrameEnvelope {
  [[nodiscard]] BytesView head() const noexcept { return {head_bytes.data(), head_size}; }
  std::array<char, 10> head_bytes{};
  std::size_t head_size = 0;
  BytesView tail;  // valid as long as the framing
};

// How a stream is cut into frames. The factories throw Error(invalid) for what cannot be.
class Framing {
 public:
  enum class Kind : std::uint8_t { fixed, delimited, length_prefixed, until_close };
  // What is a frame that the end of the stream ends, instead of the delimiter.
  enum class AtEnd : std::uint8_t { cut_off, whole };

  static Framing fixed(std::size_t frame_bytes);
  // Of at least one byte; it does not belong to the frame.
  static Framing delimited(std::string delimiter, AtEnd at_end = AtEnd::cut_off);
  // The length does not count itself.
  static Framing length_prefixed(LengthPrefix prefix = LengthPrefix::u32, ByteOrder order = ByteOrder::big);
  // One frame, perhaps an empty one.
  static Framing until_close();

  [[nodiscard]] Kind kind() const noexcept { return kind_; }
  // What makes a frame of the payload; or why it cannot be one.
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
    too_long,    // told once, without its bytes; what follows in the same frame is dropped
    bad_length,  // a varint of more than 64 bits: nothing can be made of what follows, and each call tells it again
    cut_off,     // the stream has ended in the middle of a frame, of which these bytes had come
  };
  Kind kind = Kind::frame;
  BytesView bytes;  // valid until the next call of feed(), next() or rest()
};

// For those who read frames from somewhere.
struct FramesOptions {
  std::size_t frame_bytes_max = 1_MiB;  // of what is read, without length or delimiter; a fixed length is its own limit
  // Whether a peer that speaks HTTP, TLS or SSH instead is refused: it gets an answer in its protocol, and next()
  // throws ForeignProtocolError. Not of Framing::until_close(), which takes any bytes. A borrowed reader has an option
  // of its own.
  bool refuse_foreign = true;

  [[nodiscard]] bool refuses_foreign(const Framing& framing) const noexcept {
    return refuse_foreign && framing.kind() != Framing::Kind::until_close;
  }
};
// What is wrong with what came from that peer, when it is no frame.
Error frame_error(FrameEvent::Kind kind, const FramesOptions& options, std::string_view peer);

// Feed, then call next() until it returns nothing; only then may the fed bytes go away or more be fed. At the end of
// the stream call rest(). A frame that stands whole in the fed bytes is lent from there. Memory is held only for a
// frame that is not complete, and only for what has come of it, whatever length was announced.
class FrameDecoder {
 public:
  // frame_bytes_max: of a frame without its length or delimiter; a fixed length is its own limit.
  FrameDecoder(Framing framing, std::size_t frame_bytes_max);

  // Borrows the bytes.
  void feed(BytesView bytes) noexcept { lent_ = bytes; }
  std::optional<FrameEvent> next();
  // Of the fed bytes: those behind the last event. None once next() has returned nothing.
  [[nodiscard]] BytesView unread() const noexcept { return lent_; }
  // The stream has ended: what becomes of what stands, once; nothing when too_long was told of it.
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
  std::vector<char> held_;         // of the frame that is not complete, or of the one that was lent last
  std::uint64_t length_ = 0;       // of the frame, as far as it was read
  std::uint64_t missing_ = 0;      // of the frame, once its length is known
  std::uint8_t length_bytes_ = 0;  // read so far
  bool knows_length_ = false;
  bool bad_length_ = false;
  bool held_was_lent_ = false;
  bool dropping_ = false;  // up to the end of the frame
  bool ended_ = false;     // rest() was called
};

}  // namespace coax

// Frames: each byte is scanned once, except for the last few that may be the start of a delimiter.
#include "coax/codec/frames.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace coax {

namespace {

constexpr std::size_t varint_bytes_max = 10;

// 0: it varies.
std::size_t bytes_of(LengthPrefix prefix) noexcept {
  switch (prefix) {
    case LengthPrefix::u8: return 1;
    case LengthPrefix::u16: return 2;
    case LengthPrefix::u32: return 4;
    case LengthPrefix::u64: return 8;
    case LengthPrefix::varint: return 0;
  }
  return 0;
}

}  // namespace

// --- Framing ---

Framing Framing::fixed(std::size_t frame_bytes) {
  if (frame_bytes == 0) throw Error(ErrorKind::invalid, "frame", "", "a frame of a fixed length has at least one byte");
  Framing framing(Kind::fixed);
  framing.frame_bytes_ = frame_bytes;
  return framing;
}

Framing Framing::delimited(std::string delimiter, AtEnd at_end) {
  if (delimiter.empty()) throw Error(ErrorKind::invalid, "frame", "", "a delimiter has at least one byte");
  Framing framing(Kind::delimited);
  framing.delimiter_ = std::move(delimiter);
  framing.at_end_ = at_end;
  return framing;
}

Framing Framing::length_prefixed(LengthPrefix prefix, ByteOrder order) {
  Framing framing(Kind::length_prefixed);
  framing.prefix_ = prefix;
  framing.order_ = order;
  return framing;
}

Framing Framing::until_close() {
  Framing framing(Kind::until_close);
  framing.at_end_ = AtEnd::whole;
  return framing;
}

std::expected<FrameEnvelope, std::string_view> Framing::enclose(BytesView payload) const {
  FrameEnvelope envelope;
  const auto put = [&](std::uint64_t byte) { envelope.head_bytes[envelope.head_size++] = static_cast<char>(byte); };
  switch (kind_) {
    case Kind::until_close: return envelope;
    case Kind::fixed:
      if (payload.size() != frame_bytes_) return std::unexpected("it does not have the fixed length of a frame");
      return envelope;
    case Kind::delimited: {
      // Its end together with the start of the delimiter may look like a delimiter, too.
      const std::string end = payload.from(payload.size() - std::min(payload.size(), delimiter_.size())).string();
      const bool is_clear = (end + delimiter_).find(delimiter_) == end.size();
      if (!is_clear || payload.text().contains(delimiter_)) return std::unexpected("it contains the delimiter");
      envelope.tail = delimiter_;
      return envelope;
    }
    case Kind::length_prefixed: break;
  }
  std::uint64_t length = payload.size();
  if (prefix_ == LengthPrefix::varint) {
    for (; length >= 0x80; length >>= 7) put((length & 0x7f) | 0x80);
    put(length);
    return envelope;
  }
  const std::size_t count = bytes_of(prefix_);
  if (count < 8 && length >> (8 * count) != 0) return std::unexpected("its length does not fit in the prefix");
  for (std::size_t index = 0; index < count; ++index) {
    put(length >> (8 * (order_ == ByteOrder::little ? index : count - 1 - index)));
  }
  return envelope;
}

// --- FrameDecoder ---

FrameDecoder::FrameDecoder(Framing framing, std::size_t frame_bytes_max)
    : framing_(std::move(framing)), frame_bytes_max_(frame_bytes_max) {}

std::optional<FrameEvent> FrameDecoder::next() {
  release();
  switch (framing_.kind_) {
    case Framing::Kind::fixed:
    case Framing::Kind::length_prefixed: return next_sized();
    case Framing::Kind::delimited: return next_delimited();
    case Framing::Kind::until_close: break;
  }
  const BytesView piece = std::exchange(lent_, {});
  if (dropping_) return std::nullopt;
  if (piece.size() > frame_bytes_max_ - held_.size()) return too_long();
  hold(piece);
  return std::nullopt;
}

std::optional<FrameEvent> FrameDecoder::rest() {
  release();
  if (bad_length_) return FrameEvent{FrameEvent::Kind::bad_length, {}};
  if (std::exchange(ended_, true) || std::exchange(dropping_, false)) return std::nullopt;
  const bool is_whole = framing_.at_end_ == Framing::AtEnd::whole;
  const bool began = length_bytes_ != 0 || knows_length_ || !held_.empty();
  if (!began && framing_.kind_ != Framing::Kind::until_close) return std::nullopt;
  knows_length_ = false;
  length_bytes_ = 0;
  // A delimited frame may exceed its limit by a partial delimiter.
  if (framing_.kind_ == Framing::Kind::delimited && held_.size() > frame_bytes_max_) return too_long();
  held_was_lent_ = true;
  return FrameEvent{is_whole ? FrameEvent::Kind::frame : FrameEvent::Kind::cut_off, std::span(held_)};
}

// The start of the delimiter in the held bytes, when its end is in the fed ones.
std::optional<std::size_t> FrameDecoder::find_across() const {
  const std::size_t overlap = framing_.delimiter_.size() - 1;
  const std::size_t from = held_.size() - std::min(held_.size(), overlap);
  std::string around(held_.begin() + static_cast<std::ptrdiff_t>(from), held_.end());
  around += lent_.first(std::min(lent_.size(), overlap)).text();
  const std::size_t found = around.find(framing_.delimiter_);
  if (found == std::string::npos || from + found >= held_.size()) return std::nullopt;
  return from + found;
}

std::optional<FrameEvent> FrameDecoder::next_delimited() {
  const std::size_t delimiter_bytes = framing_.delimiter_.size();
  while (lent_) {
    BytesView piece;
    if (const auto across = held_.empty() ? std::nullopt : find_across()) {
      lent_ = lent_.from(*across + delimiter_bytes - held_.size());
      held_.resize(*across);
    } else {
      const std::size_t length = lent_.text().find(framing_.delimiter_);
      if (length == std::string_view::npos) break;
      piece = lent_.first(length);
      lent_ = lent_.from(length + delimiter_bytes);
    }
    if (!std::exchange(dropping_, false)) return finish(piece);
    held_ = std::vector<char>();
  }
  if (!lent_) return std::nullopt;
  // Of a dropped frame, only a partial delimiter at its end matters.
  const std::size_t overlap = delimiter_bytes - 1;
  const BytesView piece = std::exchange(lent_, {});
  const bool is_too_long =
      !dropping_ && held_.size() + piece.size() > overlap && held_.size() + piece.size() - overlap > frame_bytes_max_;
  if (!dropping_ && !is_too_long) {
    hold(piece);
    return std::nullopt;
  }
  hold(piece.from(piece.size() - std::min(piece.size(), overlap)));
  std::vector<char> end(held_.end() - static_cast<std::ptrdiff_t>(std::min(held_.size(), overlap)), held_.end());
  held_.swap(end);
  dropping_ = true;
  return is_too_long ? std::optional(FrameEvent{FrameEvent::Kind::too_long, {}}) : std::nullopt;
}

std::optional<FrameEvent> FrameDecoder::next_sized() {
  while (!bad_length_ && (lent_ || knows_length_)) {
    if (!knows_length_) {
      if (!read_length()) continue;
      missing_ = length_;
      knows_length_ = true;
      if (framing_.kind_ != Framing::Kind::fixed && length_ > frame_bytes_max_) return too_long();
    }
    const BytesView piece = lent_.first(static_cast<std::size_t>(std::min<std::uint64_t>(lent_.size(), missing_)));
    if (piece.size() != missing_ && piece.empty()) return std::nullopt;
    lent_ = lent_.from(piece.size());
    missing_ -= piece.size();
    if (missing_ == 0) {
      knows_length_ = false;
      if (!std::exchange(dropping_, false)) return finish(piece);
    } else if (!dropping_) {
      hold(piece);
    }
  }
  if (bad_length_) return FrameEvent{FrameEvent::Kind::bad_length, {}};
  return std::nullopt;
}

// False: the length is incomplete or invalid.
bool FrameDecoder::read_length() {
  if (framing_.kind_ == Framing::Kind::fixed) {
    length_ = framing_.frame_bytes_;
    return true;
  }
  const auto byte = static_cast<std::uint8_t>(lent_[0]);
  lent_ = lent_.from(1);
  const std::size_t index = length_bytes_++;
  if (index == 0) length_ = 0;
  if (framing_.prefix_ == LengthPrefix::varint) {
    bad_length_ = index + 1 == varint_bytes_max && byte > 1;
    if (bad_length_) return false;
    length_ |= std::uint64_t{byte & 0x7fU} << (7 * index);
    if (byte >= 0x80) return false;
  } else {
    const std::size_t count = bytes_of(framing_.prefix_);
    length_ |= std::uint64_t{byte} << (8 * (framing_.order_ == ByteOrder::little ? index : count - 1 - index));
    if (length_bytes_ != count) return false;
  }
  length_bytes_ = 0;
  return true;
}

FrameEvent FrameDecoder::finish(BytesView last_piece) {
  BytesView frame = last_piece;
  held_was_lent_ = true;
  if (!held_.empty()) {
    hold(last_piece);
    frame = std::span(held_);
  }
  const bool is_fixed = framing_.kind_ == Framing::Kind::fixed;
  if (!is_fixed && frame.size() > frame_bytes_max_) return {FrameEvent::Kind::too_long, {}};
  return {FrameEvent::Kind::frame, frame};
}

// For a frame that is not complete.
FrameEvent FrameDecoder::too_long() {
  dropping_ = true;
  held_ = std::vector<char>();
  return {FrameEvent::Kind::too_long, {}};
}

void FrameDecoder::release() {
  if (std::exchange(held_was_lent_, false)) held_ = std::vector<char>();
}

Error frame_error(FrameEvent::Kind kind, const FramesOptions& options, std::string_view peer) {
  constexpr std::string_view operation = "read a frame from";
  switch (kind) {
    case FrameEvent::Kind::too_long:
      return {ErrorKind::protocol, operation, peer,
              "it is longer than " + format_size(options.frame_bytes_max) + ", the limit here"};
    case FrameEvent::Kind::cut_off:
      return {ErrorKind::disconnected, operation, peer, "the stream ended in the middle of it"};
    default: return {ErrorKind::protocol, operation, peer, "its length has more than 64 bits"};
  }
}

}  // namespace coax

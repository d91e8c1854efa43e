// Frames are parsed with all checks of RFC 6455, in the order of their bytes. A complete frame is unmasked in place; an
// incomplete one is assembled in held_.
#include "coax/codec/websocket.hpp"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

namespace coax::ws {

namespace {

constexpr std::size_t header_bytes_max = 14;
constexpr std::uint64_t control_bytes_max = 125;
constexpr std::uint8_t final_bit = 0x80;
constexpr std::uint8_t reserved_bits = 0x70;
constexpr std::uint8_t deflated_bit = 0x40;  // RSV1
constexpr std::uint8_t mask_bit = 0x80;
constexpr std::uint8_t length_16 = 126;
constexpr std::uint8_t length_64 = 127;

// Masks or unmasks in place, and rotates the mask for the next byte.
void apply(Mask& mask, std::span<char> bytes) noexcept {
  std::array<char, 8> twice{};
  std::ranges::copy(mask, twice.begin());
  std::ranges::copy(mask, twice.begin() + 4);
  std::uint64_t key = 0;
  std::memcpy(&key, twice.data(), 8);
  char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, at, 8);
    eight ^= key;
    std::memcpy(at, &eight, 8);
  }
  for (std::size_t index = 0; index < left; ++index) at[index] = static_cast<char>(at[index] ^ twice[index]);
  std::ranges::rotate(mask, mask.begin() + static_cast<std::ptrdiff_t>(left % 4));
}

std::uint64_t big_endian(std::span<const char> bytes) noexcept {
  std::uint64_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

constexpr bool is_known(Opcode opcode) noexcept {
  return opcode <= Opcode::binary || (opcode >= Opcode::close && opcode <= Opcode::pong);
}

}  // namespace

struct MessageDecoder::Header {
  std::uint8_t first;
  bool masked;
  bool shortest;  // the length uses as few bytes as possible
  std::uint64_t length;
  Mask mask{};
  std::size_t bytes;  // of the header itself

  // Nothing when it is incomplete.
  static std::optional<Header> read(std::span<const char> raw) noexcept {
    if (raw.size() < 2) return std::nullopt;
    const auto second = static_cast<std::uint8_t>(raw[1]);
    const std::uint8_t short_length = second & 0x7F;
    const std::size_t length_bytes = short_length == length_64 ? 8 : short_length == length_16 ? 2 : 0;
    const bool masked = (second & mask_bit) != 0;
    const std::size_t bytes = 2 + length_bytes + (masked ? 4 : 0);
    if (raw.size() < bytes) return std::nullopt;
    Header header{.first = static_cast<std::uint8_t>(raw[0]),
                  .masked = masked,
                  .shortest = true,
                  .length = short_length,
                  .bytes = bytes};
    if (length_bytes != 0) {
      header.length = big_endian(raw.subspan(2, length_bytes));
      header.shortest = header.length >= (length_bytes == 2 ? length_16 : 0x10000);
    }
    if (masked) std::ranges::copy(raw.subspan(2 + length_bytes, 4), header.mask.begin());
    return header;
  }
};

MessageDecoder::MessageDecoder(Role role, std::size_t message_bytes_max, bool allows_deflate) noexcept
    : message_bytes_max_(static_cast<std::uint32_t>(
          std::min<std::size_t>(message_bytes_max, std::numeric_limits<std::uint32_t>::max()))),
      role_(role),
      allows_deflate_(allows_deflate) {}

void MessageDecoder::feed(std::span<char> lent) noexcept { lent_ = lent; }

std::optional<Event> MessageDecoder::next() {
  release();
  while (state_ != State::ended) {
    const State before = state_;
    if (auto event = state_ == State::header ? take_header() : take_payload()) return event;
    if (state_ == before) break;  // it needs more bytes
  }
  return std::nullopt;
}

std::optional<Event> MessageDecoder::take_header() {
  std::array<char, header_bytes_max> raw;
  const auto after_tail = std::ranges::copy(held().last(tail_bytes_), raw.begin()).out;
  const std::size_t fresh = std::min(lent_.size(), raw.size() - tail_bytes_);
  std::ranges::copy(lent_.first(fresh), after_tail);
  const auto header = Header::read(std::span(raw).first(tail_bytes_ + fresh));
  if (!header) {
    hold(lent_);
    tail_bytes_ = static_cast<std::uint8_t>(tail_bytes_ + fresh);
    lent_ = {};
    return std::nullopt;
  }
  lent_ = lent_.subspan(header->bytes - tail_bytes_);
  drop_tail();
  return start_frame(*header);
}

std::optional<Event> MessageDecoder::start_frame(const Header& header) {
  const auto opcode = static_cast<Opcode>(header.first & 0x0F);
  const bool final = (header.first & final_bit) != 0;
  const bool is_deflated = allows_deflate_ && (header.first & reserved_bits) == deflated_bit &&
                           (opcode == Opcode::text || opcode == Opcode::binary);
  if ((header.first & reserved_bits) != 0 && !is_deflated) {
    return fail(close_code::protocol_error, "a reserved bit is set");
  }
  if (!is_known(opcode)) return fail(close_code::protocol_error, "an unknown opcode");
  if (header.masked != (role_ == Role::server)) {
    return fail(close_code::protocol_error,
                header.masked ? "a masked frame of a server" : "an unmasked frame of a client");
  }
  if (!header.shortest || header.length >> 63 != 0) return fail(close_code::protocol_error, "a malformed length");
  frame_ = opcode;
  frame_left_ = header.length;
  mask_ = header.mask;
  state_ = State::payload;
  if (opcode >= Opcode::close) {
    if (!final) return fail(close_code::protocol_error, "a fragmented control frame");
    if (header.length > control_bytes_max) return fail(close_code::protocol_error, "a control frame that is too long");
    return std::nullopt;
  }
  if ((opcode == Opcode::continuation) != (message_ != Opcode::continuation)) {
    return fail(close_code::protocol_error,
                opcode == Opcode::continuation ? "a continuation of nothing" : "a message inside a message");
  }
  if (opcode != Opcode::continuation) {
    message_ = opcode;
    is_deflated_ = is_deflated;
  }
  if (header.length > payload_bytes_max() - held().size()) {
    return fail(close_code::too_big, "a message that is too long");
  }
  final_ = final;
  return std::nullopt;
}

// Blocks of stored bytes are a little longer than the bytes.
std::uint64_t MessageDecoder::payload_bytes_max() const noexcept {
  constexpr std::uint64_t limit = std::numeric_limits<std::uint32_t>::max();
  return is_deflated_ ? std::min(limit, message_bytes_max_ + message_bytes_max_ / 64 + std::uint64_t{64})
                      : message_bytes_max_;
}

std::optional<Event> MessageDecoder::take_payload() {
  const std::span piece = lent_.first(std::min<std::uint64_t>(frame_left_, lent_.size()));
  lent_ = lent_.subspan(piece.size());
  frame_left_ -= piece.size();
  if (role_ == Role::server) apply(mask_, piece);
  return frame_ >= Opcode::close ? take_control(piece) : take_data(piece);
}

std::optional<Event> MessageDecoder::take_data(std::span<char> piece) {
  const bool is_checked = message_ == Opcode::text && !is_deflated_;
  if (is_checked && !utf8_.feed(piece)) return fail(close_code::not_utf8, "a text that is not UTF-8");
  const bool complete = frame_left_ == 0 && final_;
  BytesView message = piece;
  if (!complete || held_) {
    hold(piece);
    message = held();
  }
  if (frame_left_ == 0) state_ = State::header;
  if (!complete) return std::nullopt;
  if (!utf8_.complete()) return fail(close_code::not_utf8, "a text that ends inside a character");
  held_was_lent_ = held_ != nullptr;
  const bool text = std::exchange(message_, Opcode::continuation) == Opcode::text;
  return Event{text ? Event::Kind::text : Event::Kind::binary, message, 0, is_deflated_};
}

std::optional<Event> MessageDecoder::take_control(std::span<char> piece) {
  BytesView payload = piece;
  if (frame_left_ != 0 || tail_bytes_ != 0) {
    hold(piece);
    tail_bytes_ = static_cast<std::uint8_t>(tail_bytes_ + piece.size());
    payload = held().last(tail_bytes_);
  }
  if (frame_left_ != 0) return std::nullopt;
  held_was_lent_ = tail_bytes_ != 0;
  state_ = State::header;
  if (frame_ == Opcode::close) return end_close(payload);
  return Event{frame_ == Opcode::ping ? Event::Kind::ping : Event::Kind::pong, payload};
}

// RFC 6455, section 5.5.1.
Event MessageDecoder::end_close(BytesView payload) {
  state_ = State::ended;
  if (!payload) return {Event::Kind::close, {}, close_code::none};
  if (payload.size() == 1) return fail(close_code::protocol_error, "a close code of one byte");
  const std::uint64_t code = big_endian(std::span(payload.data(), 2));
  if (!is_close_code(code)) return fail(close_code::protocol_error, "a close code that may not be sent");
  if (!is_utf8(payload.from(2))) return fail(close_code::not_utf8, "a close reason that is not UTF-8");
  return {Event::Kind::close, payload.from(2), static_cast<std::uint16_t>(code)};
}

Event MessageDecoder::fail(std::uint16_t code, std::string_view reason) {
  state_ = State::ended;
  held_.reset();
  tail_bytes_ = 0;
  held_was_lent_ = false;
  return {Event::Kind::failure, reason, code};
}

void MessageDecoder::hold(std::span<const char> bytes) {
  if (bytes.empty()) return;
  if (!held_) held_ = std::make_unique<std::vector<char>>();
  held_->insert(held_->end(), bytes.begin(), bytes.end());
}

// Ends the lifetime of the last event's payload.
void MessageDecoder::release() {
  if (!std::exchange(held_was_lent_, false)) return;
  if (tail_bytes_ != 0) return drop_tail();
  held_.reset();
}

void MessageDecoder::drop_tail() {
  const std::size_t kept = held().size() - std::exchange(tail_bytes_, 0);
  if (kept == 0) return held_.reset();
  held_->resize(kept);
}

bool is_close_code(std::uint64_t code) noexcept {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

FrameHeader::FrameHeader(Opcode opcode, std::uint64_t payload_bytes, std::optional<Mask> mask,
                         bool is_deflated) noexcept {
  const auto put = [this](std::uint64_t byte) { bytes_[size_++] = static_cast<char>(byte); };
  const std::uint64_t masked = mask ? mask_bit : 0;
  put(final_bit | (is_deflated ? deflated_bit : 0U) | static_cast<std::uint8_t>(opcode));
  std::size_t length_bytes = 0;
  if (payload_bytes < length_16) {
    put(masked | payload_bytes);
  } else {
    length_bytes = payload_bytes < 0x10000 ? 2 : 8;
    put(masked | (length_bytes == 2 ? length_16 : length_64));
  }
  while (length_bytes-- != 0) put(payload_bytes >> (8 * length_bytes));
  if (mask) size_ = static_cast<std::size_t>(std::ranges::copy(*mask, bytes_.begin() + size_).out - bytes_.begin());
}

void append_frame(std::string& out, Opcode opcode, BytesView payload, std::optional<Mask> mask, bool is_deflated) {
  out.append(FrameHeader(opcode, payload.size(), mask, is_deflated).bytes());
  const std::size_t start = out.size();
  out.append(payload);
  if (mask) apply(*mask, std::span(out).subspan(start));
}

std::string close_payload(std::uint16_t code, std::string_view reason_utf8) {
  if (code == close_code::none) return {};
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code)};
  std::size_t size = std::min<std::size_t>(reason_utf8.size(), control_bytes_max - 2);
  while (size < reason_utf8.size() && size != 0 && (reason_utf8[size] & 0xC0) == 0x80) --size;
  return payload.append(reason_utf8.substr(0, size));
}

}  // namespace coax::ws

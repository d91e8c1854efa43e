// WebSocket (RFC 6455): frames in, messages out, and the reverse; and the handshake. Pure: no descriptor, no clock, no
// randomness. Compressed messages (RFC 7692) are passed on as they are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "coax/base/bytes.hpp"
#include "coax/base/text.hpp"
#include "coax/codec/http1.hpp"

namespace coax::ws {

enum class Role : std::uint8_t { server, client };

// RFC 6455, section 5.2.
enum class Opcode : std::uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// RFC 6455, section 5.3.
using Mask = std::array<char, 4>;

// RFC 6455, section 7.4.1.
namespace close_code {
inline constexpr std::uint16_t normal = 1000;
inline constexpr std::uint16_t going_away = 1001;
inline constexpr std::uint16_t protocol_error = 1002;
inline constexpr std::uint16_t unsupported = 1003;
inline constexpr std::uint16_t none = 1005;      // never sent: the peer's close had no code
inline constexpr std::uint16_t abnormal = 1006;  // never sent: there was no close frame
inline constexpr std::uint16_t not_utf8 = 1007;
inline constexpr std::uint16_t policy = 1008;
inline constexpr std::uint16_t too_big = 1009;
}  // namespace close_code

struct Event {
  enum class Kind : std::uint8_t {
    text,    // a complete message, UTF-8
    binary,  // a complete message
    ping,    // answer with a pong that has the same payload
    pong,
    close,    // `code` is close_code::none when the peer sent none; the payload is the reason, UTF-8
    failure,  // a protocol error of the peer: `code` for the close frame, the payload is the reason
  };
  Kind kind;
  BytesView payload;  // valid until the next call of feed() or next()
  std::uint16_t code = 0;
  bool is_deflated = false;  // of a message: the payload is compressed, and a text is not checked
};

// Feed, then call next() until it returns nothing; only then may the fed bytes be released or more be fed:
//   decoder.feed(bytes);
//   while (auto event = decoder.next()) ...
// Unmasks in place, so the fed bytes change. A message that arrives complete in one frame is a view of them. A split or
// fragmented one is assembled in memory that is held until the message was returned. After a close or a failure the
// decoder ignores all bytes.
class MessageDecoder {
 public:
  // role: of this side. message_bytes_max: of all fragments together; above it, the failure 1009 is reported before the
  // payload arrives. It is capped at 4 GiB. A compressed message may be slightly longer, as incompressible bytes are.
  // `allows_deflate`: permessage-deflate was agreed on.
  MessageDecoder(Role role, std::size_t message_bytes_max, bool allows_deflate = false) noexcept;

  void feed(std::span<char> lent) noexcept;
  std::optional<Event> next();
  [[nodiscard]] Role role() const noexcept { return role_; }
  [[nodiscard]] std::size_t message_bytes_max() const noexcept { return message_bytes_max_; }

 private:
  struct Header;
  enum class State : std::uint8_t { header, payload, ended };

  std::optional<Event> take_header();
  std::optional<Event> start_frame(const Header& header);
  [[nodiscard]] std::uint64_t payload_bytes_max() const noexcept;
  std::optional<Event> take_payload();
  std::optional<Event> take_data(std::span<char> piece);
  std::optional<Event> take_control(std::span<char> piece);
  Event end_close(BytesView payload);
  Event fail(std::uint16_t code, std::string_view reason);
  void hold(std::span<const char> bytes);
  [[nodiscard]] std::span<char> held() noexcept { return held_ ? std::span(*held_) : std::span<char>(); }
  void release();
  void drop_tail();

  std::span<char> lent_;
  // Of the incomplete message; after it the incomplete header or control frame.
  std::unique_ptr<std::vector<char>> held_;
  std::uint64_t frame_left_ = 0;
  Mask mask_{};  // rotated for the next byte of the payload
  std::uint32_t message_bytes_max_;
  Utf8Check utf8_;
  Role role_;
  State state_ = State::header;
  Opcode frame_ = Opcode::continuation;    // of the frame
  Opcode message_ = Opcode::continuation;  // of the message in progress; continuation when there is none
  bool held_was_lent_ = false;
  bool final_ : 1 = false;
  bool allows_deflate_ : 1;
  bool is_deflated_ : 1 = false;  // the message in progress
  std::uint8_t tail_bytes_ = 0;
};

static_assert(sizeof(MessageDecoder) <= 48);

// The header of a frame, so that the payload can be sent from where it is.
class FrameHeader {
 public:
  // Of a complete message or a control frame. A client passes a mask, a server none. `is_deflated`: RSV1 is set (RFC
  // 7692, section 6). Lifetime of bytes(): the header's.
  FrameHeader(Opcode opcode, std::uint64_t payload_bytes, std::optional<Mask> mask = std::nullopt,
              bool is_deflated = false) noexcept;
  [[nodiscard]] BytesView bytes() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, 14> bytes_{};
  std::size_t size_ = 0;
};

// Appends a frame, with its payload masked if there is a mask.
void append_frame(std::string& out, Opcode opcode, BytesView payload, std::optional<Mask> mask = std::nullopt,
                  bool is_deflated = false);
// Whether it may be sent (RFC 6455, section 7.4, and the IANA registry).
bool is_close_code(std::uint64_t code) noexcept;
// The payload of a close frame: empty when the code is close_code::none; the reason is truncated to 123 bytes.
std::string close_payload(std::uint16_t code, std::string_view reason_utf8 = {});

// The handshake (RFC 6455, section 4).

struct Upgrade {
  std::string accept;                       // the value of Sec-WebSocket-Accept
  std::vector<std::string_view> protocols;  // offered by the client; views of the head's fields
};

// Validates an upgrade request. Answer a Failure of status 426 with the field `Sec-WebSocket-Version: 13`.
std::expected<Upgrade, http1::Failure> check_upgrade(const http1::Head& request);
// The accept value for a Sec-WebSocket-Key.
std::string accept_key(std::string_view key);

// The Sec-WebSocket-Key of a client: 16 random bytes, new ones for each connection.
std::string client_key(const std::array<std::uint8_t, 16>& random);
// Whether the request has this field already, or must not have it: Upgrade, Sec-WebSocket-Key, Content-Length, ...
bool is_set_by_handshake(std::string_view field) noexcept;
// Appends the request of a client. `more`: further fields.
// Throws: as http1::append_request_head().
void append_upgrade_request(std::string& out, std::string_view host, std::string_view target, std::string_view key,
                            std::span<const std::string_view> protocols = {}, std::span<const http1::Field> more = {});
// Whether a response accepts the upgrade that was requested with this key and these protocols. Its extensions are for
// check_deflate_answer().
// Returns: the protocol that the server chose (empty for none, a view of the head's field); or why it is refused.
std::expected<std::string_view, std::string_view> check_accept(const http1::Head& response, std::string_view key,
                                                               std::span<const std::string_view> protocols = {});

}  // namespace coax::ws

// permessage-deflate (RFC 7692): what both sides of a WebSocket agree on in the handshake. Pure; the compression itself
// is in coax/http.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "coax/codec/http1.hpp"

namespace coax::ws {

// How one side compresses its messages.
struct DeflateSide {
  // The window is kept from one message to the next: smaller messages, for memory in both peers all the time (section
  // 7.1.1).
  bool context_takeover = false;
  // 8 to 15: the window has 2 to the power of that many bytes (section 7.1.2).
  std::uint8_t window_bits = 15;
  friend bool operator==(const DeflateSide&, const DeflateSide&) = default;
};

struct DeflateParameters {
  DeflateSide server = {};
  DeflateSide client = {};
  friend bool operator==(const DeflateParameters&, const DeflateParameters&) = default;
};

// zlib compresses with a window of 9 bits at least, and decompresses with any.
inline constexpr std::uint8_t deflate_window_bits_min = 9;

// A server's answer to the first offer that it can accept.
struct DeflateAnswer {
  DeflateParameters agreed;
  std::string extension;  // the value of Sec-WebSocket-Extensions
};
// `wanted`: the most that this server allows. Offers with parameters that are unknown, malformed, or below
// deflate_window_bits_min for the server are declined.
// Returns: nothing when there is no offer to accept; a Failure for a malformed Sec-WebSocket-Extensions.
std::expected<std::optional<DeflateAnswer>, http1::Failure> answer_deflate(const http1::Head& request,
                                                                           const DeflateParameters& wanted);

// A client's offer: the value of Sec-WebSocket-Extensions.
std::string deflate_offer(const DeflateParameters& wanted);
// The server's answer to it. `wanted`: nothing when none was offered.
// Returns: nothing when the server declines; or why the answer is invalid.
std::expected<std::optional<DeflateParameters>, std::string_view> check_deflate_answer(
    const http1::Head& response, const std::optional<DeflateParameters>& wanted);

}  // namespace coax::ws

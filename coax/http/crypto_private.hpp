// Randomness, digests and encodings for cookies, sessions, tokens and logins.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace coax::http {

// From the random generator of libcrypto.
// Throws: Error(other) when it fails.
std::string random_bytes(std::size_t count);
std::string sha256(std::string_view text);
// The time depends on the sizes alone.
bool is_equal_in_constant_time(std::string_view left, std::string_view right) noexcept;

std::string encode_hexadecimal(std::string_view bytes);
// base64url without padding (RFC 4648, section 5).
std::string encode_base64url(std::string_view bytes);
// Returns: nothing for what encode_base64url() never returns.
std::optional<std::string> decode_base64url(std::string_view text);
// base64 (RFC 4648, section 4) with its padding.
std::string encode_base64(std::string_view bytes);
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace coax::http

// Nicknames as people see them: what may be one, and when two would be taken for the same person.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <string>

#include "coax/base/bytes.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

constexpr std::size_t nick_characters_max = 32;

// Returns the nickname as the room shows it: the profile of RFC 8266 (blanks of any kind are spaces, one between words
// and none at the ends; NFKC) on the FreeformClass of RFC 8264 with its contextual rules. Beyond that it has 1 to 32
// characters, something visible, nothing that looks like a colon, and does not look like "error".
std::expected<std::string, Refusal> check_nick(Bytes nick);

using NickKeys = std::array<std::string, 2>;

// What is compared: two nicknames are the same to a reader when any of their keys are equal. Case is folded, and
// characters that look alike are mapped to one (UTS 39, section 4, "skeleton"), in either order: only so "ALICE" and
// "aIice", whose second letter is a capital i, both meet "alice". Takes what check_nick() returned.
NickKeys nick_keys(const std::string& nick);

}  // namespace coax::chat

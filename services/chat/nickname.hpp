// Nicknames as people see them: which ones are accepted, and which ones a reader would confuse.
#pragma once

#include <array>
#include <cstddef>
#include <expected>
#include <string>

#include "coax/base/bytes.hpp"
#include "services/chat/refusal.hpp"

namespace coax::chat {

constexpr std::size_t nick_characters_max = 32;

// Enforces the Nickname profile (blanks of any kind are spaces, one between words and none at the ends; NFKC) on the
// FreeformClass with its contextual rules. Accepted are 1 to 32 characters, one of them visible, none of them similar
// to a colon, and no nickname that looks like "error".
// Returns: the nickname as the room shows it, or why it is refused.
// Source: RFC 8266, section 2; RFC 8264, section 4.3.
std::expected<std::string, Refusal> check_nick(BytesView nick);

using NickKeys = std::array<std::string, 2>;

// The keys by which nicknames are compared: a reader would confuse two when any of their keys are equal. Case is
// folded, and confusable characters are mapped to one ("skeleton"), in either order: only so "ALICE" and "aIice", whose
// second letter is a capital i, both have a key of "alice". The nickname is one that check_nick() returned.
// Source: UTS 39, section 4.
NickKeys nick_keys(const std::string& nick);

}  // namespace coax::chat

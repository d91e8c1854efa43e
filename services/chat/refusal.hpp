// Why a nickname, a text or a message of a client was not accepted.
#pragma once

#include <string>
#include <string_view>

namespace coax::chat {

// `code` is for programs, `text` for people.
struct Refusal {
  std::string_view code;
  std::string text;
};

}  // namespace coax::chat

// What session stores know of the values of a session.
#pragma once

#include <string_view>

#include "coax/http/value.hpp"

namespace coax::http::detail {

// The value of a visitor who has logged in.
inline constexpr std::string_view session_user = "_user";
inline bool has_user(const Value& values) noexcept { return values.find(session_user) != nullptr; }

}  // namespace coax::http::detail

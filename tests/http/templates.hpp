// Tables of templates and what they become.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

#include "coax/http/template.hpp"

namespace coax::test {

struct TemplateCase {
  std::string_view text;
  std::string_view expected;  // the output, or what the error says
};

inline std::string render(std::string_view text, const http::Value& data = {}, http::TemplateOptions options = {}) {
  return http::Templates::in_memory({{"t", std::string(text)}}, options).render("t", data);
}

std::string refusal(const auto& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "none";
}

inline void expect_rendered(std::initializer_list<TemplateCase> cases, const http::Value& data = {}) {
  for (const auto& [text, expected] : cases) {
    try {
      EXPECT_EQ(render(text, data), expected) << text;
    } catch (const Error& error) {
      ADD_FAILURE() << text << " is refused: " << error.what();
    }
  }
}

inline void expect_refusals(std::initializer_list<TemplateCase> cases, const http::Value& data = {}) {
  for (const auto& [text, expected] : cases) {
    EXPECT_EQ(refusal([&] { static_cast<void>(render(text, data)); }), expected) << text;
  }
}

}  // namespace coax::test

// A template as a tree: text and directives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/template_expression_private.hpp"

namespace coax::http::templates {

struct Node {
  enum class Kind : std::uint8_t {
    text,
    output,
    raw,
    choice,  // {% if %}
    each,    // {% for %}
    repeat,  // {% while %}
    stop,    // {% break %}
    next,    // {% continue %}
    assign,  // {% set %}
    block,
    include,
    apply,
  };
  struct Branch {
    std::optional<Expression> condition;  // none: {% else %}
    std::uint32_t line = 0;
    std::vector<Node> body;
  };

  Kind kind = Kind::text;
  std::uint32_t line = 0;
  std::string text;  // of a text; the name of a block or of an included template
  Expression expression;
  std::vector<std::uint32_t> slots;
  std::vector<Branch> branches;  // of a loop: its body, and {% else %}; of a block and of apply: the body
};

struct Source {
  std::string name;   // in the folder
  std::string shown;  // with the folder, for messages
  std::string extends;
  std::uint32_t extends_line = 0;
  bool is_escaped = true;
  std::vector<Node> body;
};

// Throws: Error(invalid) "SHOWN:LINE: REASON".
Source parse_source(std::string name, std::string shown, std::string_view text, Scope scope);

// Throws: Error(invalid), with the place.
[[noreturn]] void refuse(const Source& source, std::uint32_t line, std::string_view reason);

}  // namespace coax::http::templates

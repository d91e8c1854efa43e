// A compiled template: instructions with the text, the blocks and the included templates in their places.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "coax/http/template_context_private.hpp"
#include "coax/http/template_parse_private.hpp"

namespace coax::http::templates {

// While http::run() serves. Of the whole process: templates know no app.
inline std::atomic<bool> in_development = false;

struct Instruction {
  enum class Kind : std::uint8_t {
    text,         // writes `count` bytes from `target` of Program::text
    output,       // writes the expression, escaped
    jump,         // to `target`
    jump_unless,  // to `target` unless the expression is true
    loop,         // begins a loop over the expression; to `target` when it has no elements
    next,         // the next element, at `target`; or, after the last, nothing
    leave,        // ends the loop early
    count,        // one iteration of {% while %}
    assign,
    apply,    // what is written from here on
    applied,  // is given to the function of the expression
  };
  // What a loop takes the elements from, without a list of pairs: {% for k, v in d.items() %}.
  enum class Over : std::uint8_t { elements, items, enumeration };
  Kind kind = Kind::text;
  Over over = Over::elements;
  Escape escape;
  std::uint32_t target = 0;
  std::uint32_t count = 0;
  std::uint32_t line = 0;
  std::uint32_t source = 0;
  const Expression* expression = nullptr;
  const std::vector<std::uint32_t>* slots = nullptr;
};

struct Program {
  Names names;
  std::vector<std::unique_ptr<const Source>> sources;  // own what instructions point to; do not move
  std::vector<Instruction> instructions;
  std::string text;
  OwnFunctions functions;
  mutable std::atomic<std::size_t> output_bytes = 0;  // of the last rendering: the next one is likely to be as large
};

// Reads the template of that name, which another one refers to. Throws: Fault when there is none; Error when it cannot
// be read.
struct SourceText {
  std::string shown;
  std::string text;
};
using ReadSource = std::function<SourceText(const std::string& name)>;

// The path that a name stands for in another template: from the folder of that one. Throws: Fault when it is outside.
std::string resolve_name(std::string_view name, std::string_view from);

// Throws: Error(invalid).
std::shared_ptr<const Program> compile_program(const std::string& name, const OwnFunctions& functions,
                                               const ReadSource& read);
std::string run_program(const Program& program, const Value& data, const TemplateOptions& options);

}  // namespace coax::http::templates

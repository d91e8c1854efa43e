// Where in the HTML a template is: followed from character to character when the template is compiled, so that each
// expression is escaped for its place (HTML living standard, section 13.2.5, simplified).
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "coax/http/template_escape_private.hpp"

namespace coax::http::templates {

// A word that is being read. Longer ones are cut, which makes them none of those that matter.
struct Word {
  void add(char c) noexcept {
    if (size < letters.size()) letters[size++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  }
  void clear() noexcept { *this = {}; }
  [[nodiscard]] std::string_view text() const noexcept { return {letters.data(), size}; }
  friend bool operator==(const Word&, const Word&) = default;

  std::array<char, 16> letters{};
  std::uint8_t size = 0;
};

// Where in a script: the tokens of JavaScript as far as they change what a quote or a slash means.
struct Script {
  enum class State : std::uint8_t {
    code,
    single_quoted,
    double_quoted,
    template_literal,
    expression_pattern,  // /.../
    pattern_class,       // /[...]/
    line_comment,
    block_comment,
    lost,  // it cannot be followed any further; no expression may stand in the rest of it
  };
  enum class Slash : std::uint8_t { begins_pattern, divides, unknown };
  static constexpr std::size_t levels_max = 4;

  void advance(char c) noexcept;
  // At the end of a piece of text: what waits for the next character is decided.
  void settle() noexcept;
  friend bool operator==(const Script&, const Script&) = default;

  State state = State::code;
  Slash slash = Slash::begins_pattern;  // what a slash would be
  bool has_slash = false;               // one was read, and the next character decides
  bool is_escaped = false;              // after a backslash
  char previous = '\0';
  std::uint8_t level = 0;                         // of template literals within each other
  std::array<std::uint8_t, levels_max> braces{};  // open ones in the ${} of each level
  Word word;

 private:
  void advance_code(char c) noexcept;
  void advance_mark(char c) noexcept;
  void advance_quoted(char c, char quote) noexcept;
  void advance_template(char c) noexcept;
  void advance_pattern(char c) noexcept;
  void end_word() noexcept;
};

struct Context {
  enum class State : std::uint8_t {
    text,
    less,      // after <
    end_less,  // after </
    bang,      // after <!
    bogus,     // <!DOCTYPE ...>, <?...>
    comment,   // <!-- ... -->
    tag_name,
    tag_name_cut,  // a directive followed the name
    tag,           // between attributes
    attribute_name,
    after_name,
    before_value,
    value,
    title,  // the content of <title> and <textarea>
    script,
    style,
  };
  enum class Element : std::uint8_t { other, script, style, title, textarea, meta, animation };
  enum class Quote : std::uint8_t { none, single_quote, double_quote };
  enum class Attribute : std::uint8_t { plain, url, url_list, script, style, meta_content, refused, unknown };
  // size: behind an address of a list, "2x"
  enum class Url : std::uint8_t { start, name, after_value, path, query, size, ambiguous, refused };

  // Throws: Fault when a directive before it has split a tag's name.
  void advance(std::string_view text);
  // At the end of a piece of text, before a directive. Throws: Fault when it splits a tag's name.
  void settle();
  // How an expression is escaped here; afterwards the context is that behind it. Throws: Fault when none may be here.
  Escape expression();
  // Throws: Fault when a template may not end here.
  void require_end() const;
  [[nodiscard]] std::string describe() const;

  friend bool operator==(const Context&, const Context&) = default;

  State state = State::text;
  Element element = Element::other;
  Quote quote = Quote::none;
  Attribute attribute = Attribute::plain;
  Url url = Url::start;
  bool is_end_tag = false;
  std::uint8_t match = 0;  // characters of what would end the content, or of what begins something
  Word word;
  Script script;

 private:
  bool advance(char c);
  bool advance_tag(char c);
  void advance_comment(char c) noexcept;
  void advance_content(char c);
  bool advance_value(char c) noexcept;
  void advance_url(char c) noexcept;
  void advance_url_list(char c) noexcept;
  void begin_tag(bool is_end) noexcept;
  void end_tag() noexcept;
  void end_value() noexcept;
  void name_element() noexcept;
  void name_attribute() noexcept;
  Escape in_value();
  Escape in_address();
  Escape in_script();
};

// The context after branches that end in these; nothing when no template could go on alike after both.
std::optional<Context> join(const Context& left, const Context& right) noexcept;

// Where a file begins, by its name: .js as a script, .css as a style sheet, all others as HTML.
Context context_of(std::string_view name) noexcept;

}  // namespace coax::http::templates

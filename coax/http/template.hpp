// HTML templates in the syntax of Tornado's template module. What an expression writes is escaped for the place in the
// HTML where it stands, which is found when the template is compiled, as in Go's html/template.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "coax/base/units.hpp"
#include "coax/http/value.hpp"

namespace coax::http {

struct TemplateOptions {
  // Look at the files' times at each rendering, and compile those again that have changed. Empty: while http::run()
  // serves, thus in development.
  std::optional<bool> reload = {};
  std::size_t output_bytes_max = 16_MiB;
  // Of all values together that one rendering makes (not those that it is given).
  std::size_t value_bytes_max = 64_MiB;
  // Of one rendering: iterations of loops, elements that are compared or written. Ten million take about a second.
  std::uint64_t steps_max = 10'000'000;
};

// Thread: called on every thread that renders. Throws: what it likes; an Error(invalid) gets the template's line.
using TemplateFunction = std::move_only_function<Value(std::span<const Value>) const>;

// The templates of a folder, or of a map from names to texts. Each is compiled when it is first rendered.
//
//   {{ expression }}                    written, escaped for its place
//   {% raw expression %}                written as it is: for HTML that you trust
//   {# comment #}  {% comment ... %}    nothing
//   {{! {%! {#!                         {{ {% {#
//   {% if a %}..{% elif b %}..{% else %}..{% end %}
//   {% for x in list %}..{% end %}      also: for k, v in object.items(); {% break %}, {% continue %}, {% else %}
//   {% while a %}..{% end %}
//   {% set x = expression %}            also: set a, b = pair; set x += 1
//   {% extends "base.html" %}           with {% block name %}..{% end %} in both
//   {% include "part.html" %}           sees the variables that stand at its place
//   {% apply function %}..{% end %}     the function's result is written as it is
//   {% autoescape None %}               for the whole file; xhtml_escape is the default
//   {% whitespace all %}                also single (the default of .html and .js) and oneline
//
// Left out of Tornado's: {% module %}, {% import %}, {% from %}, {% try %}.
//
// Expressions are a subset of Python's: None, True, False, numbers, strings, lists, objects; a.b, a["b"], a[0], a[-1],
// a[1:3]; calls; or, and, not, in, not in, is, is not, < <= > >= == != in chains; + - * / // %; A if B else C.
// Functions: len str int float bool abs round min max sum range enumerate sorted reversed list escape xhtml_escape
// url_escape json_encode squeeze. Methods: of strings upper lower capitalize title (ASCII only) strip lstrip rstrip
// replace split join startswith endswith; of objects items keys values get. An own function goes before a built-in one.
//
// The places: text, comments, attributes (quoted or not), addresses (href, src, action, ...), scripts and handlers such
// as onclick (a value becomes JSON; inside a string of the script, a part of that string), style sheets (only letters,
// digits and "# % . , + - _"). An address whose scheme is not http, https, mailto, tel, sms or ftp becomes
// "#refused-scheme". Refused when compiled: an expression as the name of a tag or attribute, in a comment, regular
// expression or template literal of a script, or where the place depends on the branch that was taken.
// Not followed: what {% raw %} and {% apply %} write, <base href>, HTML inside of strings of scripts, scripts that are
// no JavaScript or JSON, and the HTML inside of <noscript>, <iframe> and <xmp> as raw text.
//
// Thread: render() may be called on several threads at a time, after all calls of function().
class Templates {
 public:
  // Throws: Error when it is not a folder.
  explicit Templates(const std::filesystem::path& folder, TemplateOptions options = {});
  // {{"a", "b"}} would be a path between two pointers.
  Templates(std::initializer_list<std::pair<std::string_view, std::string_view>> texts, TemplateOptions = {}) = delete;
  // From names to texts: for tests, and for templates that are part of the program.
  static Templates in_memory(std::map<std::string, std::string, std::less<>> texts, TemplateOptions options = {});
  Templates(Templates&&) noexcept;
  Templates& operator=(Templates&&) noexcept;
  ~Templates();

  // Throws: Error(invalid) when the function is empty, or the name is none.
  Templates& function(std::string_view name, TemplateFunction function);

  // `name` is the path of the file in the folder: "page.html", "admin/users.html". The members of `data` are the
  // template's variables.
  // Throws: Error(invalid) "templates/page.html:12: REASON" for a fault of the template or of its data, and when a
  // limit of the options is exceeded; Error when the file cannot be read or is outside of the folder.
  [[nodiscard]] std::string render(std::string_view name, const Value& data = {}) const;

  // Compiles a template, so that its faults are found when the program starts. Throws: as render().
  void compile(std::string_view name) const;

 private:
  struct Store;
  explicit Templates(std::unique_ptr<Store> store) noexcept;
  std::unique_ptr<Store> store_;
};

}  // namespace coax::http

// What an expression may be at each place of the HTML, and what two branches that end at different places have in
// common.
#include "coax/http/template_context_private.hpp"

namespace coax::http::templates {

namespace {

using State = Context::State;
using Attribute = Context::Attribute;
using Url = Context::Url;

bool is_within_tag(State state) noexcept {
  return state == State::tag || state == State::tag_name_cut || state == State::after_name;
}

std::string_view describe_script(const Script& script) noexcept {
  switch (script.state) {
    case Script::State::code: return "the code of a script";
    case Script::State::single_quoted:
    case Script::State::double_quoted: return "a string of a script";
    case Script::State::template_literal: return "a template literal (`...`) of a script";
    case Script::State::expression_pattern:
    case Script::State::pattern_class: return "a regular expression of a script";
    case Script::State::line_comment:
    case Script::State::block_comment: return "a comment of a script";
    case Script::State::lost: break;
  }
  return "a script that cannot be followed";
}

Script join_scripts(const Script& left, const Script& right) noexcept {
  Script result = left;
  if (left.slash != right.slash) result.slash = Script::Slash::unknown;
  Script other = right;
  other.slash = result.slash;
  if (!(result == other)) result = {.state = Script::State::lost};
  return result;
}

}  // namespace

std::string Context::describe() const {
  switch (state) {
    case State::text: return "text";
    case State::bogus: return "a declaration such as <!DOCTYPE>";
    case State::comment: return "a comment";
    case State::title: return element == Element::title ? "<title>" : "<textarea>";
    case State::style: return "a style sheet";
    case State::script: return std::string(describe_script(script));
    case State::before_value: return "an attribute before its value";
    case State::value: {
      const std::string_view quotes = quote == Quote::none           ? " without quotes"
                                      : quote == Quote::double_quote ? " in double quotes"
                                                                     : " in single quotes";
      const std::string_view what = attribute == Attribute::url      ? "an address"
                                    : attribute == Attribute::script ? describe_script(script)
                                                                     : "an attribute's value";
      return std::string(what) + std::string(quotes);
    }
    default: return "a tag";
  }
}

Escape Context::expression() {
  using Inner = Escape::Inner;
  using Outer = Escape::Outer;
  switch (state) {
    case State::text: return {Inner::none, Outer::html};
    case State::comment:
    case State::title: match = 0; return {Inner::none, Outer::html};
    case State::bogus: throw Fault{"an expression cannot be escaped in a declaration such as <!DOCTYPE>"};
    case State::script: match = 0; return in_script();
    case State::style: match = 0; return {Inner::style, Outer::none};
    case State::before_value:
      state = State::value;
      quote = Quote::none;
      url = Url::start;
      match = 0;
      script = {};
      return in_value();
    case State::value: return in_value();
    default:
      throw Fault{
          "an expression cannot be the name of a tag or of an attribute; choose among names with {% if %}, and "
          "write values in quotes: <a title=\"{{ ... }}\">"};
  }
}

Escape Context::in_value() {
  Escape escape{.outer = quote == Quote::none ? Escape::Outer::unquoted : Escape::Outer::html};
  switch (attribute) {
    case Attribute::plain:
    case Attribute::meta_content: match = 0; break;
    case Attribute::style: escape.inner = Escape::Inner::style; break;
    case Attribute::script:
      match = 0;
      escape.inner = in_script().inner;
      break;
    case Attribute::refused: throw Fault{"an expression cannot be escaped in this attribute"};
    case Attribute::unknown:
      throw Fault{
          "an expression cannot be escaped in an attribute whose name depends on a branch; write the whole "
          "attribute in each branch"};
    case Attribute::url:
    case Attribute::url_list: escape.inner = in_address().inner; break;
  }
  return escape;
}

Escape Context::in_address() {
  const bool is_list = attribute == Attribute::url_list;
  match = 0;
  word.clear();
  switch (url) {
    case Url::start: url = Url::after_value; return {is_list ? Escape::Inner::url_list : Escape::Inner::url_start};
    case Url::name:
    case Url::after_value: url = Url::after_value; return {Escape::Inner::url_unsure};
    case Url::path: return {is_list ? Escape::Inner::url_list_path : Escape::Inner::url_path};
    case Url::query:
    case Url::size: return {Escape::Inner::url_query};
    case Url::ambiguous:
      throw Fault{"whether this expression is in the path or in the query of an address depends on the branch"};
    case Url::refused: break;
  }
  throw Fault{
      "an expression cannot be escaped after the scheme of this address; only http, https, mailto, tel, sms and ftp "
      "are allowed, and the scheme is no expression"};
}

Escape Context::in_script() {
  script.settle();
  switch (script.state) {
    case Script::State::code:
      script.slash = Script::Slash::divides;
      script.previous = '\0';
      return {.inner = Escape::Inner::json};
    case Script::State::single_quoted:
    case Script::State::double_quoted:
      if (script.is_escaped) throw Fault{"an expression follows a backslash in a string of a script"};
      return {.inner = Escape::Inner::script_text};
    case Script::State::template_literal:
      throw Fault{
          "an expression cannot be escaped in a template literal (`...`) of a script; assign it to a variable "
          "before: const x = {{ ... }};"};
    case Script::State::lost:
      throw Fault{
          "the script before this expression cannot be followed: a string or regular expression without an end "
          "on its line, a <!--, a character reference, or branches that end at different places; put the "
          "expression into a <script> of its own: const x = {{ ... }};"};
    default:
      throw Fault{"an expression cannot be escaped in " + std::string(describe_script(script)) +
                  "; assign it to a variable: const x = {{ ... }};"};
  }
}

void Context::require_end() const {
  if (state == State::text || (state == State::script && element == Element::other) ||
      (state == State::style && element == Element::other)) {
    return;
  }
  throw Fault{"the template ends in " + describe() + "; close it, or look for a quote or > that is missing before"};
}

std::optional<Context> join(const Context& left, const Context& right) noexcept {
  if (left == right) return left;
  Context result = left;
  Context other = right;
  if (is_within_tag(left.state) && is_within_tag(right.state)) {
    if (left.state != State::tag_name_cut || right.state != State::tag_name_cut) {
      result.state = other.state = State::after_name;
      result.match = other.match = static_cast<std::uint8_t>(left.match | right.match);
      result.attribute = other.attribute = Attribute::unknown;
    }
  } else if (left.state == State::value && right.state == State::value) {
    if (left.url != right.url) {
      const bool has_query = left.url == Url::query || right.url == Url::query;
      const bool is_refused = left.url == Url::refused || right.url == Url::refused;
      const bool is_ambiguous = has_query || left.url == Url::ambiguous || right.url == Url::ambiguous;
      result.url = is_refused ? Url::refused : is_ambiguous ? Url::ambiguous : Url::after_value;
      other.url = result.url;
    }
    if (!(left.word == right.word)) {
      result.word.clear();
      other.word.clear();
      if (result.url == Url::name) result.url = other.url = Url::after_value;
    }
  }
  if (left.state == right.state && !(left.script == right.script))
    result.script = other.script = join_scripts(left.script, right.script);
  if (!(result == other)) return std::nullopt;
  return result;
}

Context context_of(std::string_view name) noexcept {
  Context context;
  if (name.ends_with(".js")) context.state = Context::State::script;
  if (name.ends_with(".css")) context.state = Context::State::style;
  return context;
}

}  // namespace coax::http::templates

// Splits a template at its directives, as Tornado does: a directive ends at the first }} or %}, of several opening
// braces the last two count, and white space is collapsed in each piece of text.
#include <algorithm>
#include <array>
#include <limits>

#include "coax/base/text.hpp"
#include "coax/http/template_parse_private.hpp"

namespace coax::http::templates {

namespace {

constexpr std::size_t nesting_max = 64;

std::string_view trimmed(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(white_space), text.size()));
  return text.substr(0, text.find_last_not_of(white_space) + 1);
}

enum class WhiteSpace : std::uint8_t { all, single, one_line };

// A run of white space becomes one line end if it has one, otherwise a space.
std::string collapse(std::string_view text, WhiteSpace mode) {
  if (mode == WhiteSpace::all || text.contains("<pre>")) return std::string(text);
  std::string result;
  while (!text.empty()) {
    const std::size_t begin = std::min(text.find_first_of(white_space), text.size());
    result += text.substr(0, begin);
    text.remove_prefix(begin);
    const std::size_t end = std::min(text.find_first_not_of(white_space), text.size());
    const std::string_view run = text.substr(0, end);
    text.remove_prefix(end);
    if (run.empty()) continue;
    if (mode == WhiteSpace::one_line) {
      result += ' ';
    } else if (run.contains('\n')) {
      result += '\n';
    } else {
      // Only spaces and tabs are collapsed within a line.
      for (std::size_t at = 0; at < run.size(); ++at) {
        const bool is_blank = run[at] == ' ' || run[at] == '\t';
        const bool is_again = is_blank && at != 0 && (run[at - 1] == ' ' || run[at - 1] == '\t');
        if (!is_again) result += is_blank ? ' ' : run[at];
      }
    }
  }
  return result;
}

class SourceParser {
 public:
  SourceParser(Source& source, std::string_view text, Scope scope) : source_(source), text_(text), scope_(scope) {
    if (source.name.ends_with(".html") || source.name.ends_with(".js")) white_space_ = WhiteSpace::single;
  }

  void run() { body(source_.body, {}, {}, 0); }

  [[nodiscard]] std::uint32_t line() const noexcept { return directive_line_; }

 private:
  struct Directive {
    std::string_view word;
    std::string_view rest;
  };

  void consume(std::size_t count) {
    line_ += static_cast<std::uint32_t>(std::ranges::count(text_.substr(at_, count), '\n'));
    at_ += count;
  }

  void add_text(std::vector<Node>& nodes, std::string_view text) {
    if (text.empty()) return;
    nodes.push_back({.kind = Node::Kind::text, .line = line_, .text = collapse(text, white_space_)});
  }

  // The place of the next "{{", "{%" or "{#".
  [[nodiscard]] std::size_t find_directive() const {
    std::size_t at = at_;
    while (true) {
      at = text_.find('{', at);
      if (at == std::string_view::npos || at + 1 >= text_.size()) return text_.size();
      const bool is_start = text_[at + 1] == '{' || text_[at + 1] == '%' || text_[at + 1] == '#';
      const bool has_more = text_[at + 1] == '{' && at + 2 < text_.size() && text_[at + 2] == '{';
      if (is_start && !has_more) return at;
      ++at;
    }
  }

  std::string_view until(std::string_view end, std::string_view start) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) {
      throw Fault{"the '" + std::string(end) + "' of this '" + std::string(start) + "' is missing"};
    }
    const std::string_view content = text_.substr(at_, found - at_);
    consume(found + end.size() - at_);
    return trimmed(content);
  }

  // Up to the end of the template, or the directive that ends or continues what encloses it, which is returned.
  Directive body(std::vector<Node>& nodes, std::string_view enclosing, std::string_view loop, std::size_t depth) {
    if (depth > nesting_max) throw Fault{"the directives are nested too deeply; move a part into another template"};
    const std::uint32_t begin_line = directive_line_;
    while (true) {
      const std::size_t begin = find_directive();
      add_text(nodes, text_.substr(at_, begin - at_));
      consume(begin - at_);
      if (begin == text_.size()) {
        directive_line_ = begin_line;
        if (!enclosing.empty()) {
          throw Fault{"the {% end %} of this {% " + std::string(enclosing) + " %} is missing"};
        }
        return {};
      }
      const char kind = text_[begin + 1];
      directive_line_ = line_;
      consume(2);
      if (at_ < text_.size() && text_[at_] == '!') {
        consume(1);
        add_text(nodes, kind == '{' ? "{{" : kind == '%' ? "{%" : "{#");
      } else if (kind == '#') {
        until("#}", "{#");
      } else if (kind == '{') {
        const std::string_view content = until("}}", "{{");
        nodes.push_back({.kind = Node::Kind::output, .line = directive_line_, .expression = expression(content)});
      } else if (const Directive found = directive(nodes, enclosing, loop, depth); !found.word.empty()) {
        return found;
      }
    }
  }

  Expression expression(std::string_view text) { return parse_expression(text, scope_); }

  // Returns: the directive, when it ends or continues what encloses it.
  Directive directive(std::vector<Node>& nodes, std::string_view enclosing, std::string_view loop, std::size_t depth) {
    const std::string_view content = until("%}", "{%");
    const std::size_t word_end = std::min(content.find_first_of(white_space), content.size());
    const Directive found{content.substr(0, word_end), trimmed(content.substr(word_end))};
    const std::string word(found.word);
    if (word.empty()) throw Fault{"the directive is empty"};
    if (word == "end" || word == "else" || word == "elif") {
      const bool may_stand = word == "end"    ? !enclosing.empty()
                             : word == "elif" ? enclosing == "if"
                                              : enclosing == "if" || enclosing == "for" || enclosing == "while";
      if (!may_stand) {
        throw Fault{
            "{% " + word + " %} " +
            (enclosing.empty() ? "without a directive before it" : "within {% " + std::string(enclosing) + " %}")};
      }
      return found;
    }
    if (word == "comment") return {};
    if (word == "if" || word == "for" || word == "while" || word == "block" || word == "apply") {
      nodes.push_back(nested(found, loop, depth));
    } else {
      simple(nodes, found, loop);
    }
    return {};
  }

  Node nested(const Directive& found, std::string_view loop, std::size_t depth) {
    Node node{.line = directive_line_};
    if (found.word == "if" || found.word == "while") {
      node.kind = found.word == "if" ? Node::Kind::choice : Node::Kind::repeat;
      branches(node, found, found.word == "if" ? loop : found.word, depth);
    } else if (found.word == "for") {
      node.kind = Node::Kind::each;
      const std::size_t in = place_of_in(found.rest);
      node.slots = parse_targets(found.rest.substr(0, in), scope_);
      node.expression = expression(found.rest.substr(in + 4));
      branches(node, {found.word, {}}, found.word, depth);
    } else {
      node.kind = found.word == "block" ? Node::Kind::block : Node::Kind::apply;
      if (found.rest.empty()) throw Fault{"{% " + std::string(found.word) + " %} needs a name"};
      node.text = found.rest;
      if (found.word == "apply") {
        node.expression = function_named(found.rest, scope_);
        loop = {};
      }
      branches(node, {found.word, {}}, loop, depth);
    }
    return node;
  }

  static std::size_t place_of_in(std::string_view text) {
    const std::size_t in = text.find(" in ");
    if (in == std::string_view::npos) throw Fault{"{% for %} is written {% for NAME in EXPRESSION %}"};
    return in;
  }

  // Up to {% end %}, with the {% elif %} and {% else %} before it.
  void branches(Node& node, Directive found, std::string_view loop, std::size_t depth) {
    const std::string_view enclosing = found.word;
    while (true) {
      Node::Branch branch{.line = directive_line_};
      const bool has_condition =
          enclosing == "if" ? found.word != "else" : enclosing == "while" && node.branches.empty();
      if (has_condition) {
        branch.condition = expression(found.rest);
      } else if (!found.rest.empty()) {
        throw Fault{"{% " + std::string(found.word) + " %} takes nothing: " + std::string(found.rest)};
      }
      const bool is_else = found.word == "else";
      // {% break %} in the {% else %} of a loop belongs to the loop around it; Tornado does not know that one.
      found = body(branch.body, enclosing, is_else && enclosing != "if" ? std::string_view() : loop, depth + 1);
      node.branches.push_back(std::move(branch));
      if (found.word == "end") return;
      if (is_else) throw Fault{"{% " + std::string(found.word) + " %} after {% else %}"};
    }
  }

  static std::string unquoted(std::string_view text, std::string_view word) {
    for (const char quote : {'"', '\''}) {
      while (text.starts_with(quote)) text.remove_prefix(1);
      while (text.ends_with(quote)) text.remove_suffix(1);
    }
    if (text.empty()) throw Fault{"{% " + std::string(word) + " %} needs the name of a template"};
    return std::string(text);
  }

  void simple(std::vector<Node>& nodes, const Directive& found, std::string_view loop) {
    const std::string_view word = found.word;
    Node node{.line = directive_line_};
    if (word == "raw") {
      node.kind = Node::Kind::raw;
      node.expression = expression(found.rest);
    } else if (word == "set") {
      Assignment assignment = parse_assignment(found.rest, scope_);
      node.kind = Node::Kind::assign;
      node.slots = std::move(assignment.slots);
      node.expression = std::move(assignment.expression);
    } else if (word == "include") {
      node.kind = Node::Kind::include;
      node.text = unquoted(found.rest, word);
    } else if (word == "break" || word == "continue") {
      if (loop.empty()) throw Fault{"{% " + std::string(word) + " %} outside of a loop"};
      node.kind = word == "break" ? Node::Kind::stop : Node::Kind::next;
    } else {
      return setting(found);
    }
    nodes.push_back(std::move(node));
  }

  void setting(const Directive& found) {
    if (found.word == "extends") {
      if (!source_.extends.empty()) throw Fault{"a template extends one other only"};
      source_.extends = unquoted(found.rest, found.word);
      source_.extends_line = directive_line_;
    } else if (found.word == "autoescape") {
      const bool is_escaped = found.rest == "xhtml_escape" || found.rest == "escape";
      if (!is_escaped && found.rest != "None") throw Fault{"{% autoescape %} is xhtml_escape or None"};
      source_.is_escaped = is_escaped;
    } else if (found.word == "whitespace") {
      constexpr std::array<std::string_view, 3> modes{"all", "single", "oneline"};
      const auto* mode = std::ranges::find(modes, found.rest);
      if (mode == modes.end()) throw Fault{"{% whitespace %} is all, single or oneline"};
      white_space_ = static_cast<WhiteSpace>(mode - modes.begin());
    } else {
      constexpr std::array<std::string_view, 7> left_out{"module", "import",  "from", "try",
                                                         "except", "finally", "super"};
      const bool is_known = std::ranges::find(left_out, found.word) != left_out.end();
      throw Fault{"{% " + std::string(found.word) + " %} " +
                  (is_known ? "is not supported; register a function with Templates::function() instead"
                            : "is no directive; write {%! for a plain {%")};
    }
  }

  Source& source_;
  std::string_view text_;
  Scope scope_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  std::uint32_t directive_line_ = 1;
  WhiteSpace white_space_ = WhiteSpace::all;
};

}  // namespace

void refuse(const Source& source, std::uint32_t line, std::string_view reason) {
  throw Error(ErrorKind::invalid, source.shown + ":" + std::to_string(line), {}, reason);
}

Source parse_source(std::string name, std::string shown, std::string_view text, Scope scope) {
  Source source{.name = std::move(name), .shown = std::move(shown)};
  SourceParser parser(source, text, scope);
  try {
    parser.run();
  } catch (const Fault& fault) {
    refuse(source, parser.line(), fault.reason);
  }
  return source;
}

}  // namespace coax::http::templates

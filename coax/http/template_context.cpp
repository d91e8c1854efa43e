// The tokenizer of HTML, as far as it tells places from each other; and how a value is escaped at each.
#include <algorithm>
#include <utility>

#include "coax/http/template_context_private.hpp"

namespace coax::http::templates {

namespace {

constexpr std::string_view split_tag = "a directive splits a tag; write the whole name of the tag in each branch";

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

template <std::size_t size>
bool is_one_of(std::string_view word, const std::array<std::string_view, size>& words) noexcept {
  return std::ranges::find(words, word) != words.end();
}

// What browsers and the usual libraries run as a script.
bool is_handler(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 7> prefixes{"on", "@", ":", "v-", "x-", "ng-", "hx-on"};
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool is_url(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 20> names{"action",   "archive",  "background", "cite",       "classid",
                                                   "codebase", "data",     "dynsrc",     "formaction", "href",
                                                   "icon",     "longdesc", "lowsrc",     "manifest",   "ping",
                                                   "poster",   "profile",  "src",        "usemap",     "xlink:href"};
  return is_one_of(name, names);
}

// The start of what ends the content of an element.
std::string_view end_of(Context::Element element) noexcept {
  switch (element) {
    case Context::Element::script: return "</script";
    case Context::Element::style: return "</style";
    case Context::Element::title: return "</title";
    case Context::Element::textarea: return "</textarea";
    default: return {};  // a file that is a script or style sheet
  }
}

}  // namespace

void Context::advance(std::string_view text) {
  for (const char c : text) {
    while (!advance(c)) {
    }
  }
}

// Returns: false when the new state is to read the same character.
bool Context::advance(char c) {
  switch (state) {
    case State::text:
      if (c == '<') state = State::less;
      return true;
    case State::less:
      if (is_letter(c)) {
        begin_tag(false);
        return false;
      }
      state = c == '/' ? State::end_less : c == '!' ? State::bang : c == '?' ? State::bogus : State::text;
      match = 0;
      return state != State::text;
    case State::end_less:
      if (is_letter(c)) {
        begin_tag(true);
        return false;
      }
      state = c == '>' ? State::text : State::bogus;
      return true;
    case State::bang:
      if (c != '-') {
        state = State::bogus;
        return false;
      }
      if (++match == 2) state = State::comment;  // its dashes may be those of its end: <!-->
      return true;
    case State::bogus:
      if (c == '>') state = State::text;
      return true;
    case State::comment: advance_comment(c); return true;
    case State::title:
    case State::script:
    case State::style: advance_content(c); return true;
    case State::value: return advance_value(c);
    default: return advance_tag(c);
  }
}

void Context::advance_comment(char c) noexcept {
  if (c == '>' && match >= 2) {
    state = State::text;
    match = 0;
  } else if (c == '-') {
    match = match == 0 ? 1 : 2;
  } else {
    match = c == '!' && match == 2 ? 3 : 0;  // "--!>" ends it, too
  }
}

void Context::begin_tag(bool is_end) noexcept {
  state = State::tag_name;
  element = Element::other;
  is_end_tag = is_end;
  match = 0;
  word.clear();
}

void Context::name_element() noexcept {
  constexpr std::array<std::pair<std::string_view, Element>, 9> names{{{"script", Element::script},
                                                                       {"style", Element::style},
                                                                       {"title", Element::title},
                                                                       {"textarea", Element::textarea},
                                                                       {"meta", Element::meta},
                                                                       {"animate", Element::animation},
                                                                       {"animatemotion", Element::animation},
                                                                       {"animatetransform", Element::animation},
                                                                       {"set", Element::animation}}};
  const auto* found = std::ranges::find(names, word.text(), &std::pair<std::string_view, Element>::first);
  if (found != names.end()) element = found->second;
  word.clear();
}

void Context::name_attribute() noexcept {
  constexpr std::array<std::string_view, 4> of_animation{"to", "from", "by", "values"};
  const std::string_view name = word.text();
  attribute = Attribute::plain;
  if (is_handler(name)) {
    attribute = Attribute::script;
  } else if (name == "style") {
    attribute = Attribute::style;
  } else if (name == "srcset" || name == "imagesrcset") {
    attribute = Attribute::url_list;
  } else if (is_url(name)) {
    attribute = Attribute::url;
  } else if (name == "srcdoc" || (element == Element::animation && is_one_of(name, of_animation))) {
    attribute = Attribute::refused;
  } else if (name == "content" && element == Element::meta) {
    attribute = Attribute::meta_content;
  }
  word.clear();
}

// After the '>' of a tag.
void Context::end_tag() noexcept {
  if (is_end_tag) element = Element::other;
  switch (element) {
    case Element::script: state = State::script; break;
    case Element::style: state = State::style; break;
    case Element::title:
    case Element::textarea: state = State::title; break;
    default: state = State::text; element = Element::other;
  }
  is_end_tag = false;
  attribute = Attribute::plain;
  match = 0;
  word.clear();
  script = {};
}

bool Context::advance_tag(char c) {
  switch (state) {
    case State::tag_name_cut:
      if (!is_space(c) && c != '/' && c != '>') throw Fault{std::string(split_tag)};
      state = State::tag;
      return false;
    case State::tag_name:
      if (!is_space(c) && c != '/' && c != '>') {
        word.add(c);
        return true;
      }
      name_element();
      state = State::tag;
      return false;
    case State::tag:
      attribute = Attribute::plain;
      if (c == '>') {
        end_tag();
      } else if (!is_space(c) && c != '/') {
        state = State::attribute_name;
        word.add(c);
      }
      return true;
    case State::attribute_name:
      if (!is_space(c) && c != '/' && c != '>' && c != '=') {
        word.add(c);
        return true;
      }
      if (attribute != Attribute::unknown) name_attribute();
      state = State::after_name;
      return false;
    case State::after_name:
      if (match != 0 && !is_space(c) && c != '/' && c != '>' &&
          c != '=') {  // the rest of a name that a directive split
        state = State::attribute_name;
        attribute = Attribute::unknown;
        match = 0;
        return true;
      }
      match = 0;
      if (is_space(c)) return true;
      word.clear();
      if (c == '=') {
        state = State::before_value;
        return true;
      }
      state = State::tag;
      return false;
    default:  // before_value
      if (is_space(c)) return true;
      url = Url::start;
      script = {};
      match = 0;
      if (c == '>') {
        state = State::tag;
        return false;
      }
      state = State::value;
      quote = c == '"' ? Quote::double_quote : c == '\'' ? Quote::single_quote : Quote::none;
      return quote != Quote::none;
  }
}

void Context::end_value() noexcept {
  state = State::tag;
  quote = Quote::none;
  attribute = Attribute::plain;
  url = Url::start;
  match = 0;
  word.clear();
  script = {};
}

// Returns: false when the character ends the value and is part of the tag.
bool Context::advance_value(char c) noexcept {
  if (quote == Quote::none ? is_space(c) || c == '>' : c == (quote == Quote::single_quote ? '\'' : '"')) {
    const bool is_quoted = quote != Quote::none;
    end_value();
    return is_quoted;
  }
  constexpr std::string_view url_word = "url";
  switch (attribute) {
    case Attribute::url: advance_url(c); break;
    case Attribute::url_list: advance_url_list(c); break;
    case Attribute::script:
      // A character reference is decoded before the script is read: it is not followed.
      if (match == 1 && (is_letter(c) || c == '#')) script.state = Script::State::lost;
      match = c == '&' ? 1 : 0;
      script.advance(c);
      break;
    case Attribute::meta_content:
      match = (c | 0x20) == url_word[match] ? match + 1 : (c | 0x20) == 'u' ? 1 : 0;
      if (match == url_word.size()) attribute = Attribute::refused;
      break;
    default: break;
  }
  return true;
}

// srcset: addresses with sizes behind them, separated by commas; a comma within an address is a part of it.
void Context::advance_url_list(char c) noexcept {
  const bool is_after_comma = std::exchange(match, 0) != 0;
  if (url == Url::start && (is_space(c) || c == ',')) return;
  if (url == Url::size) {
    if (c == ',') url = Url::start;
  } else if (is_space(c)) {
    url = is_after_comma ? Url::start : Url::size;
    word.clear();
  } else {
    match = c == ',' ? 1 : 0;
    advance_url(c);
  }
}

void Context::advance_url(char c) noexcept {
  switch (url) {
    case Url::start:
    case Url::name:
    case Url::after_value:
      if (c == '/') {
        url = Url::path;
      } else if (c == '?' || c == '#') {
        url = Url::query;
      } else if (c == ':') {
        constexpr std::array<std::string_view, 6> allowed{"http", "https", "mailto", "tel", "sms", "ftp"};
        url = url != Url::after_value && is_one_of(word.text(), allowed) ? Url::path : Url::refused;
      } else if (url != Url::after_value && !is_space(c)) {
        url = Url::name;
        word.add(c);
        return;
      } else {
        return;
      }
      word.clear();
      break;
    case Url::path:
    case Url::ambiguous:
      if (c == '?' || c == '#') url = Url::query;
      break;
    default: break;
  }
}

// The content of an element that has no elements within it.
void Context::advance_content(char c) {
  const std::string_view end = end_of(element);
  if (!end.empty() && match == end.size() && (is_space(c) || c == '/' || c == '>')) {
    begin_tag(true);
    state = State::tag;
    advance(c);
    return;
  }
  const char low = is_letter(c) ? static_cast<char>(c | 0x20) : c;
  match = match < end.size() && low == end[match] ? match + 1 : c == '<' ? 1 : 0;
  if (state != State::script) return;
  // "<!--" makes browsers read a comment, and sometimes another script.
  if (script.state == Script::State::code && script.previous == '<' && c == '!') script.state = Script::State::lost;
  script.advance(c);
}

void Context::settle() {
  switch (state) {
    case State::less:
    case State::end_less:
    case State::bang: throw Fault{std::string(split_tag)};
    case State::tag_name:
      name_element();
      state = State::tag_name_cut;
      break;
    case State::attribute_name:
      if (attribute != Attribute::unknown) name_attribute();
      state = State::after_name;
      match = 1;
      break;
    case State::script: script.settle(); break;
    case State::value:
      if (attribute == Attribute::script) script.settle();
      break;
    default: break;
  }
}

}  // namespace coax::http::templates

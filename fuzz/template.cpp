// Invariant: a template and its data, both from the input, become text within the limits or an Error; and what a value
// adds to a place of the HTML does not end that place.
#include "coax/http/template.hpp"

#include "fuzz/input.hpp"

namespace {

using coax::fuzz::require;
using coax::http::Templates;
using coax::http::Value;

constexpr coax::http::TemplateOptions options{
    .output_bytes_max = 1 << 16, .value_bytes_max = 1 << 18, .steps_max = 20'000};

// The input is a template, a NUL, the template "part.html" of it, a NUL, and JSON; without JSON the data is a string.
void render_any(std::string_view input) {
  const auto take = [&] {
    const std::string_view piece = input.substr(0, input.find('\0'));
    input.remove_prefix(std::min(piece.size() + 1, input.size()));
    return std::string(piece);
  };
  const std::string page = take();
  const Templates templates = Templates::in_memory({{"page.html", page}, {"part.html", take()}}, options);
  Value data{{"x", input}, {"rows", Value::list({1, "<", Value{{"name", input}}})}};
  try {
    data = coax::http::parse_json(input);
    require(coax::http::parse_json(data.to_json()) == data && coax::http::parse_json(data.to_script_json()) == data);
  } catch (const coax::Error& error) {
    require(error.kind() == coax::ErrorKind::invalid);
  }
  try {
    require(templates.render("page.html", data).size() <= options.output_bytes_max);
  } catch (const coax::Error& error) {
    require(error.kind() == coax::ErrorKind::invalid);
  }
}

struct Place {
  std::string_view before;
  std::string_view after;
  std::string_view forbidden;  // in what the value becomes
};

void render_at_places(std::string_view input) {
  constexpr Place places[] = {{"<p>", "</p>", "<>"},
                              {"<p title=\"", "\">", "<>\""},
                              {"<p title='", "'>", "<>'"},
                              {"<p title=", ">", "<>\"'= \t\r\n\f`"},
                              {"<a href=\"", "\">", "<>\" \n\t"},
                              {"<a href=\"x", "\">", "<>\":"},
                              {"<a href='/?q=", "'>", "<>'&?/:#"},
                              {"<script>x = ", "</script>", "<>&'"},
                              {"<script>x = '", "'</script>", "<>&'\"\n"},
                              {"<a onclick=\"f(", ")\">", "<>\""},
                              {"<p style=\"", "\">", "<>\":;(){}'\\/@"}};
  for (const auto& [before, after, forbidden] : places) {
    const std::string page = std::string(before) + "{{ x }}" + std::string(after);
    const std::string text =
        Templates::in_memory({{"page.html", page}, {"other.html", ""}}).render("page.html", Value{{"x", input}});
    require(text.starts_with(before) && text.ends_with(after));
    const std::string_view value =
        std::string_view(text).substr(before.size(), text.size() - before.size() - after.size());
    require(value.find_first_of(forbidden) == std::string_view::npos);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = coax::fuzz::text_of(data, size);
  render_any(input);
  render_at_places(input);
  return 0;
}

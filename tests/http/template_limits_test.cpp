// Templates that are hostile, data that is, and files: nothing crashes, hangs, fills the memory or leaves the folder.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "coax/http/template.hpp"
#include "tests/http/templates.hpp"

namespace coax::template_limits_test {
namespace {

namespace fs = std::filesystem;
using http::TemplateOptions;
using http::Templates;
using http::Value;
using test::refusal;
using test::render;

constexpr std::string_view too_many_steps =
    "t:1: the rendering takes too many steps; give the template less data, or raise TemplateOptions::steps_max";
constexpr std::string_view too_large_values =
    "t:1: the template makes values that are too large; raise TemplateOptions::value_bytes_max if it may";
constexpr std::string_view too_large_output =
    "t:1: the output is too large; give the template less data, or raise TemplateOptions::output_bytes_max";

std::string refusal_of(std::string_view text, const Value& data = {}) {
  return refusal([&] { static_cast<void>(render(text, data)); });
}

std::string repeated(std::string_view text, int count) {
  std::string result;
  for (int done = 0; done < count; ++done) result += text;
  return result;
}

TEST(TemplateLimits, loops_without_an_end_take_too_many_steps) {
  EXPECT_EQ(refusal_of("{% while True %}{% end %}"), too_many_steps);
  EXPECT_EQ(refusal_of("{% while True %}{% for x in [1] %}{% continue %}{% end %}{% end %}"), too_many_steps);
  EXPECT_EQ(refusal_of("{% while True %}{% apply squeeze %} {% end %}{% end %}"), too_many_steps);
  EXPECT_EQ(refusal_of(
                "{% set r = range(2000) %}{% for a in r %}{% for b in r %}{% for c in r %}{% end %}{% end %}{% end %}"),
            too_many_steps);
}

TEST(TemplateLimits, values_that_grow_are_too_large) {
  EXPECT_EQ(refusal_of("{% set s = 'x' %}{% while True %}{% set s = s + s %}{% end %}"), too_large_values);
  EXPECT_EQ(refusal_of("{{ 'x' * 1000000000000 }}"), too_large_values);
  EXPECT_EQ(refusal_of("{{ [1] * 9223372036854775807 }}"), too_large_values);
  EXPECT_EQ(refusal_of("{{ 'ab' * 9223372036854775807 }}"), too_large_values);
  EXPECT_EQ(refusal_of("{{ range(1000000000000) }}"), too_large_values);
  EXPECT_EQ(refusal_of("{% set l = [] %}{% while True %}{% set l = l + ['x'] %}{% end %}"), too_large_values);
  EXPECT_EQ(refusal_of("{{ ('x' * 1000000).replace('x', 'y' * 1000) }}"), too_large_values);
  EXPECT_EQ(refusal_of("{% set s = 'x' * 1000000 %}{% while True %}{% set a = s.upper() %}{% end %}"),
            too_large_values);
}

TEST(TemplateLimits, values_that_share_their_parts_are_not_walked) {
  const std::string grow = "{% set l = [1] %}{% for i in range(60) %}{% set l = [l, l] %}{% end %}";
  EXPECT_EQ(refusal_of(grow + "{{ l }}"), too_many_steps);
  EXPECT_EQ(refusal_of(grow + "{{ json_encode(l) }}"), too_many_steps);
  EXPECT_EQ(refusal_of(grow + "<script>{{ l }}</script>"), too_many_steps);
  EXPECT_EQ(refusal_of(grow + "{% set a = [l, 1] %}{% set b = [l, 2] %}{{ a < b }}"), too_many_steps);
  EXPECT_EQ(refusal_of(grow + "{{ l == [l[0], l[1]] }}"), too_many_steps);
  EXPECT_EQ(refusal_of(grow + "{{ 2 in l }}"), too_many_steps);
  EXPECT_EQ(refusal_of("{% set l = [] %}{% for i in range(1000) %}{% set l = [l] %}{% end %}"),
            "t:1: use a value: lists and objects are nested more than 128 levels deep");
}

TEST(TemplateLimits, searches_that_are_quadratic_take_too_many_steps) {
  EXPECT_EQ(refusal_of("{% set s = 'a' * 4000000 %}{{ 'a' * 2000000 + 'b' in s }}"), too_many_steps);
  EXPECT_EQ(refusal_of("{% set s = 'a' * 4000000 %}{{ s.replace('a' * 2000000 + 'b', '') }}"), too_many_steps);
  EXPECT_EQ(refusal_of("{% set s = 'a' * 4000000 %}{{ s.split('a' * 2000000 + 'b') }}"), too_many_steps);
}

TEST(TemplateLimits, output_has_a_limit) {
  EXPECT_EQ(refusal_of("{% while True %}" + repeated("x", 1000) + "{% end %}"), too_large_output);
  EXPECT_EQ(refusal_of("{% for i in range(100) %}{{ s }}{% end %}", Value{{"s", std::string(1'000'000, '<')}}),
            too_large_output);
  EXPECT_EQ(refusal([] { static_cast<void>(render("{{ 'abc' }}", {}, {.output_bytes_max = 2})); }), too_large_output);
  EXPECT_EQ(render("{{ 'abc' }}", {}, {.output_bytes_max = 3}), "abc");
}

TEST(TemplateLimits, expressions_have_a_depth) {
  const std::string_view deep = "t:1: the expression is nested too deeply; {% set %} a part of it first";
  const std::string_view long_one = "t:1: the expression is too long or nested too deeply; {% set %} a part first";
  EXPECT_EQ(refusal_of("{{ " + repeated("(", 100'000)), "t:1: the '}}' of this '{{' is missing");
  EXPECT_EQ(refusal_of("{{ " + repeated("(", 100'000) + " }}"), deep);
  EXPECT_EQ(refusal_of("{{ " + repeated("[", 100'000) + " }}"), deep);
  EXPECT_EQ(refusal_of("{{ " + repeated("{1:", 100'000) + " }}"), deep);
  EXPECT_EQ(refusal_of("{{ " + repeated("not ", 100'000) + "1 }}"), deep);
  EXPECT_EQ(refusal_of("{{ " + repeated("-", 100'000) + "1 }}"), deep);
  EXPECT_EQ(refusal_of("{{ " + repeated("1 if 1 else ", 50'000) + "1 }}"), deep);
  EXPECT_EQ(refusal_of("{{ 1" + repeated("+1", 100'000) + " }}"), long_one);
  EXPECT_EQ(refusal_of("{{ a" + repeated(".a", 100'000) + " }}"), long_one);
  EXPECT_EQ(refusal_of("{{ a" + repeated("[0]", 100'000) + " }}"), long_one);
  EXPECT_EQ(render("{{ " + repeated("(", 60) + "1" + repeated(")", 60) + " }}"), "1");
}

TEST(TemplateLimits, directives_have_a_depth) {
  EXPECT_EQ(refusal_of(repeated("{% if 1 %}", 10'000)),
            "t:1: the directives are nested too deeply; move a part into another template");
  EXPECT_EQ(render(repeated("{% if 1 %}", 60) + "a" + repeated("{% end %}", 60)), "a");
}

TEST(TemplateLimits, loops_that_are_compiled_again_and_again_are_refused) {
  // The place at the start of each loop changes, so each level compiles its body twice.
  std::string text = "<a href=\"";
  for (int level = 0; level < 60; ++level) text += "{% for x in y %}{{ x }}";
  for (int level = 0; level < 60; ++level) text += "/?{% end %}";
  const std::string refused = refusal_of(text + "\">");
  EXPECT_NE(refused, "none");
}

TEST(TemplateLimits, templates_that_include_each_other_are_refused) {
  const Templates templates = Templates::in_memory(
      {{"a", "{% include b %}"}, {"b", "\n{% include a %}"}, {"c", "{% extends d %}"}, {"d", "\n{% extends c %}"}});
  const auto of = [&](std::string_view name) { return refusal([&] { static_cast<void>(templates.render(name)); }); };
  EXPECT_EQ(of("a"), "b:2: the template includes itself: 'a' again");
  EXPECT_EQ(of("c"), "c:1: the template extends itself: 'c' again");
}

TEST(TemplateLimits, includes_that_double_are_refused) {
  std::map<std::string, std::string, std::less<>> texts;
  for (int level = 0; level < 30; ++level) {
    const std::string next = "t" + std::to_string(level + 1);
    texts["t" + std::to_string(level)] = "{% include " + next + " %}{% include " + next + " %}";
  }
  texts["t30"] = "";
  const std::string refused = refusal([&] { static_cast<void>(Templates::in_memory(texts).render("t0")); });
  EXPECT_TRUE(refused.ends_with("the template becomes too large with all that it includes")) << refused;
}

TEST(TemplateLimits, blocks_within_themselves_are_refused_or_end) {
  EXPECT_EQ(render("{% block a %}1{% block a %}2{% end %}{% end %}"), "2");
  const Templates templates = Templates::in_memory(
      {{"base", "{% block a %}{% block b %}{% end %}{% end %}"},
       {"page", "{% extends base %}{% block b %}{% block a %}{% include part %}{% end %}{% end %}"},
       {"part", "{% block b %}{% block c %}{% include end %}{% end %}{% end %}"},
       {"end", "{% block c %}{% include last %}{% end %}"},
       {"last", "{% block a %}x{% block b %}{% end %}{% end %}"}});
  static_cast<void>(refusal([&] { static_cast<void>(templates.render("page")); }));
}

TEST(TemplateLimits, blocks_that_leave_a_loop_need_one_at_their_place) {
  const std::string child = "{% for x in [1, 2] %}{% block a %}{{ x }}{% break %}{% end %}{% end %}";
  const Templates templates =
      Templates::in_memory({{"base", "{% block a %}{% end %}"},
                            {"page", "{% extends base %}\n" + child},
                            {"apply", "{% for x in [1] %}{% apply len %}{% block a %}{% end %}{% end %}{% end %}"},
                            {"other", "{% extends apply %}\n" + child},
                            {"alone", child}});
  const std::string_view reason = ":2: a block with {% break %} or {% continue %} is outside of a loop";
  for (const std::string name : {"page", "other"}) {
    EXPECT_EQ(refusal([&] { static_cast<void>(templates.render(name)); }), name + std::string(reason));
  }
  EXPECT_EQ(templates.render("alone"), "1");
}

TEST(TemplateLimits, many_variables_take_no_long_time) {
  std::string text;
  for (int index = 0; index < 90'000; ++index) text += "{{v" + std::to_string(index % 9'999) + "}}";
  EXPECT_EQ(refusal_of(text), "t:1: there is no variable 'v0'; pass it to render(), or {% set %} it before");
}

TEST(TemplateLimits, sorting_numbers_without_an_order_ends) {
  Value::List numbers;
  for (int index = 0; index < 1000; ++index) {
    numbers.emplace_back(index % 3 == 0   ? Value(std::nan(""))
                         : index % 3 == 1 ? Value(9007199254740993 - index)
                                          : Value(9.0e15));
  }
  const Value data{{"x", Value::list(std::move(numbers))}};
  EXPECT_TRUE(render("{{ sorted(x)[-1] }}", data).ends_with("nan"));
}

// --- files ---

class TemplateFiles : public testing::Test {
 protected:
  TemplateFiles() : folder_(fs::temp_directory_path() / ("coax-templates-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_ / "in/sub");
  }
  ~TemplateFiles() override { fs::remove_all(folder_); }
  TemplateFiles(const TemplateFiles&) = delete;
  TemplateFiles& operator=(const TemplateFiles&) = delete;

  void write(const std::string& name, std::string_view text) const { std::ofstream(folder_ / name) << text; }
  [[nodiscard]] fs::path in() const { return folder_ / "in"; }

  fs::path folder_;
};

TEST_F(TemplateFiles, folder_has_templates_by_their_paths) {
  write("in/page.html", "{% extends sub/base.html %}\n{% block a %}{{ x }}{% end %}");
  write("in/sub/base.html", "<p>{% block a %}{% end %}{% include part.html %}");
  write("in/sub/part.html", "part");
  const Templates templates(in());
  EXPECT_EQ(templates.render("page.html", Value{{"x", "<"}}), "<p>&lt;part");
  EXPECT_EQ(
      refusal([&] { static_cast<void>(templates.render("page.html")); }),
      (in() / "page.html").string() + ":2: there is no variable 'x'; pass it to render(), or {% set %} it before");
}

TEST_F(TemplateFiles, names_and_links_do_not_leave_the_folder) {
  write("secret", "secret");
  write("in/page.html", "in");
  fs::create_symlink("../secret", in() / "link.html");
  fs::create_symlink("page.html", in() / "good.html");
  fs::create_directory_symlink("..", in() / "up");
  write("in/include.html", "\n{% include link.html %}");
  write("in/sub/up.html", "{% include ../page.html %}");
  write("in/sub/out.html", "{% include ../../secret %}");
  const Templates templates(in());
  const auto of = [&](const std::string& name) {
    const std::string text = refusal([&] { static_cast<void>(templates.render(name)); });
    return text.substr(std::min(text.find(": ") + 2, text.size()));
  };
  EXPECT_EQ(templates.render("good.html"), "in");
  EXPECT_EQ(templates.render("sub/up.html"), "in");
  for (const std::string name : {"../secret", "sub/../../secret", "/etc/passwd", "a\\b", "up/../../secret"}) {
    EXPECT_EQ(of(name), "the template '" + name + "' is outside of the folder") << name;
  }
  EXPECT_EQ(of(std::string("a\0b", 3)), "the template 'a\\x00b' is outside of the folder");
  EXPECT_EQ(of("link.html"), "the template 'link.html' is a link that leads out of the folder");
  EXPECT_EQ(of("up/secret"), "the template 'up/secret' is a link that leads out of the folder");
  EXPECT_EQ(of("include.html"), "the template 'link.html' is a link that leads out of the folder");
  EXPECT_EQ(of("sub/out.html"), "the template '../../secret' is outside of the folder");
  EXPECT_EQ(of("sub/../page.html"), "the template is 'page.html'; write it so");
  EXPECT_EQ(of("sub"), "the template 'sub' is no file");
  EXPECT_EQ(of("none.html"), "the template 'none.html' cannot be read: No such file or directory");
  EXPECT_EQ(of(""), "the name of a template is missing");
}

TEST_F(TemplateFiles, reload_compiles_again_what_has_changed) {
  write("in/page.html", "{% include sub/part.html %}");
  write("in/sub/part.html", "one");
  const Templates once(in());
  const Templates again(in(), {.reload = true});
  EXPECT_EQ(once.render("page.html") + again.render("page.html"), "oneone");
  write("in/sub/part.html", "another");
  EXPECT_EQ(once.render("page.html") + again.render("page.html"), "oneanother");
  write("in/page.html", "{{ }}");
  EXPECT_NE(refusal([&] { static_cast<void>(again.render("page.html")); }), "none");
  write("in/page.html", "good");
  EXPECT_EQ(again.render("page.html"), "good");
}

TEST_F(TemplateFiles, folder_that_is_none_is_refused) {
  write("file", "");
  EXPECT_THROW(Templates(folder_ / "none"), Error);
  EXPECT_THROW(Templates(folder_ / "file"), Error);
}

TEST_F(TemplateFiles, threads_render_the_same_template) {
  write("in/page.html", "{% for x in rows %}{{ x }}{% end %}");
  const Templates templates(in());
  const Value data{{"rows", Value::list({1, "<", 3})}};
  std::vector<std::jthread> threads;
  std::atomic<int> good = 0;
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&] {
      for (int count = 0; count < 200; ++count) good += templates.render("page.html", data) == "1&lt;3" ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(good, 800);
}

}  // namespace
}  // namespace coax::template_limits_test

// Templates: the syntax and the expressions, as literal templates and literal output.
#include "coax/http/template.hpp"

#include <gtest/gtest.h>

#include "tests/http/templates.hpp"

namespace coax::template_test {
namespace {

using http::Templates;
using http::Value;
using test::expect_refusals;
using test::expect_rendered;
using test::refusal;
using test::render;

Value data() {
  return {{"title", "Tea & <cake>"},
          {"number", 7},
          {"zero", 0},
          {"price", 2.5},
          {"yes", true},
          {"nothing", nullptr},
          {"empty", Value::list()},
          {"rows", Value::list({"a", "b", "c"})},
          {"pairs", Value::list({Value::list({"x", 1}), Value::list({"y", 2})})},
          {"user", {{"name", "Ada"}, {"tags", Value::list({"p", "q"})}, {"age", 36}}}};
}

TEST(Template, text_is_written_as_it_is) {
  expect_rendered({{"", ""},
                   {"plain", "plain"},
                   {"a { b } c", "a { b } c"},
                   {"{", "{"},
                   {"a {# comment {{ x }} #}b", "a b"},
                   {"a{% comment anything } here %}b", "ab"},
                   {"{{! x }} {%! y %} {#! z #}", "{{ x }} {% y %} {# z #}"},
                   {"{{{number}}}", "{7}"}},
                  data());
}

TEST(Template, expressions_are_escaped_unless_raw) {
  expect_rendered({{"{{ title }}", "Tea &amp; &lt;cake&gt;"},
                   {"{{title}}{{number}}", "Tea &amp; &lt;cake&gt;7"},
                   {"{% raw title %}", "Tea & <cake>"},
                   {"{% autoescape None %}{{ title }}", "Tea & <cake>"},
                   {"{{ title }}{% autoescape None %}", "Tea & <cake>"},
                   {"{% autoescape xhtml_escape %}{{ '\"' }}", "&quot;"},
                   {"{{ escape('<') }}", "&amp;lt;"}},
                  data());
}

TEST(Template, branches) {
  expect_rendered({{"{% if yes %}a{% end %}", "a"},
                   {"{% if zero %}a{% end %}", ""},
                   {"{% if zero %}a{% else %}b{% end %}", "b"},
                   {"{% if zero %}a{% elif number == 7 %}b{% else %}c{% end %}", "b"},
                   {"{% if zero %}a{% elif empty %}b{% else %}c{% end %}", "c"},
                   {"{% if yes %}{% if zero %}a{% else %}b{% end %}{% end %}", "b"},
                   {"{%if yes%}a{%end%}", "a"}},
                  data());
}

TEST(Template, loops) {
  expect_rendered(
      {{"{% for x in rows %}{{ x }},{% end %}", "a,b,c,"},
       {"{% for x in empty %}{{ x }}{% end %}", ""},
       {"{% for x in empty %}x{% else %}none{% end %}", "none"},
       {"{% for x in rows %}{{ x }}{% else %}.{% end %}", "abc."},
       {"{% for k, v in pairs %}{{ k }}={{ v }};{% end %}", "x=1;y=2;"},
       {"{% for k, v in user.items() %}{{ k }}={{ v }};{% end %}", "name=Ada;tags=[&#39;p&#39;, &#39;q&#39;];age=36;"},
       {"{% for k in user %}{{ k }} {% end %}", "name tags age "},
       {"{% for i, x in enumerate(rows) %}{{ i }}{{ x }}{% end %}", "0a1b2c"},
       {"{% for i, x in enumerate(rows, 1) %}{{ i }}{{ x }}{% end %}", "1a2b3c"},
       {"{% for c in 'hé' %}[{{ c }}]{% end %}", "[h][é]"},
       {"{% for x in rows %}{% if x == 'b' %}{% continue %}{% end %}{{ x }}{% end %}", "ac"},
       {"{% for x in rows %}{% if x == 'b' %}{% break %}{% end %}{{ x }}{% end %}", "a"},
       {"{% for x in rows %}{% if x == 'b' %}{% break %}{% end %}{% else %}no{% end %}.", "."},
       {"{% for x in rows %}{% for y in rows %}{% if y == x %}{% break %}{% end %}{{ y }}{% end %};{% end %}",
        ";a;ab;"},
       {"{% for x in rows %}{% end %}{{ x }}", "c"},
       {"{% for x in rows %}{% set rows = empty %}{{ x }}{% end %}{{ len(rows) }}", "abc0"},
       {"{% for x in rows %}{% set x = x + x %}{{ x }}{% end %}", "aabbcc"},
       {"{% for n in range(3) %}{{ n }}{% end %}{% for n in range(5, 0, -2) %}{{ n }}{% end %}", "012531"},
       {"{% set n = 0 %}{% while n < 3 %}{{ n }}{% set n += 1 %}{% end %}", "012"},
       {"{% set n = 0 %}{% while True %}{% set n = n + 1 %}{% if n > 3 %}{% break %}{% end %}{{ n }}{% end %}", "123"},
       {"{% set n = 0 %}{% while n < 5 %}{% set n += 1 %}{% if n % 2 %}{% continue %}{% end %}{{ n }}{% end %}", "24"}},
      data());
}

TEST(Template, assignments) {
  expect_rendered({{"{% set x = 1 %}{{ x }}{% set x = x + 1 %}{{ x }}", "12"},
                   {"{% set a, b = 1, 'two' %}{{ b }}{{ a }}", "two1"},
                   {"{% set (a, b) = pairs[1] %}{{ a }}{{ b }}", "y2"},
                   {"{% set x = 2 %}{% set x *= 3 %}{% set x -= 1 %}{{ x }}", "5"},
                   {"{% set x = user %}{% set user = 1 %}{{ x.name }}", "Ada"}},
                  data());
}

TEST(Template, apply_calls_a_function_with_the_output) {
  Templates templates = Templates::in_memory({{"a", "{% apply shout %}<b>{{ title }}</b>{% end %}"},
                                              {"b", "{% apply squeeze %}  a \n  {% if number %} b{% end %} {% end %}|"},
                                              {"c", "{% for x in rows %}{% apply shout %}{{ x }}{% end %}{% end %}"},
                                              {"d", "{% apply len %}abc{% end %}"}});
  templates.function("shout", [](std::span<const Value> arguments) -> Value { return arguments[0].as_string() + "!"; });
  EXPECT_EQ(templates.render("a", data()), "<b>Tea &amp; &lt;cake&gt;</b>!");
  EXPECT_EQ(templates.render("b", data()), "a b|");
  EXPECT_EQ(templates.render("c", data()), "a!b!c!");
  EXPECT_EQ(templates.render("d", data()), "3");
}

TEST(Template, white_space_is_collapsed_in_html) {
  const std::string text = "a  \t b\n\n   c {{ 1 }}  d\n";
  Templates templates = Templates::in_memory({{"a.html", text},
                                              {"a.txt", text},
                                              {"b.txt", "{% whitespace single %}" + text},
                                              {"c.html", "{% whitespace all %}" + text},
                                              {"d.html", "{% whitespace oneline %}" + text},
                                              {"e.html", "<pre>a  b</pre>{{ 1 }}  c"}});
  EXPECT_EQ(templates.render("a.html"), "a b\nc 1 d\n");
  EXPECT_EQ(templates.render("a.txt"), "a  \t b\n\n   c 1  d\n");
  EXPECT_EQ(templates.render("b.txt"), "a b\nc 1 d\n");
  EXPECT_EQ(templates.render("c.html"), "a  \t b\n\n   c 1  d\n");
  EXPECT_EQ(templates.render("d.html"), "a b c 1 d ");
  EXPECT_EQ(templates.render("e.html"), "<pre>a  b</pre>1 c");
}

TEST(Template, blocks_of_the_extending_template_win) {
  Templates templates = Templates::in_memory(
      {{"base.html", "[{% block title %}base{% end %}|{% block body %}empty{% end %}|{{ x }}]"},
       {"middle.html", "{% extends \"base.html\" %}{% block body %}[{% block inner %}m{% end %}]{% end %}"},
       {"page.html", "{% extends 'middle.html' %}ignored{% block inner %}page {{ x }}{% end %}"},
       {"plain.html", "{% extends base.html %}"},
       {"sub/page.html", "{% extends ../base.html %}{% block title %}sub{% end %}"}});
  const Value value{{"x", 1}};
  EXPECT_EQ(templates.render("base.html", value), "[base|empty|1]");
  EXPECT_EQ(templates.render("middle.html", value), "[base|[m]|1]");
  EXPECT_EQ(templates.render("page.html", value), "[base|[page 1]|1]");
  EXPECT_EQ(templates.render("plain.html", value), "[base|empty|1]");
  EXPECT_EQ(templates.render("sub/page.html", value), "[sub|empty|1]");
}

TEST(Template, included_templates_see_the_variables) {
  Templates templates = Templates::in_memory(
      {{"page.html", "{% for x in rows %}{% include 'part.html' %}{% end %}{% include sub/a.html %}"},
       {"part.html", "<i>{{ x }}{{ y }}</i>"},
       {"sub/a.html", "{% include b.html %}"},
       {"sub/b.html", "b"}});
  EXPECT_EQ(templates.render("page.html", Value{{"rows", Value::list({1, 2})}, {"y", "<"}}),
            "<i>1&lt;</i><i>2&lt;</i>b");
}

TEST(Template, autoescape_is_of_its_own_file_only) {
  Templates templates = Templates::in_memory(
      {{"page.txt", "{% autoescape None %}{{ x }}{% include part.html %}"}, {"part.html", "{{ x }}"}});
  EXPECT_EQ(templates.render("page.txt", Value{{"x", "<"}}), "<&lt;");
}

TEST(TemplateExpression, literals_are_written_as_python_does) {
  expect_rendered({{"{{ None }} {{ True }} {{ False }}", "None True False"},
                   {"{{ 1_000 }} {{ 1.0 }} {{ 1e3 }} {{ .5 }} {{ 1e16 }} {{ 1e-5 }} {{ 0.1 + 0.2 }}",
                    "1000 1.0 1000.0 0.5 1e+16 1e-05 0.30000000000000004"},
                   {R"({% raw 'a"b' %}{% raw "a'b" %}{% raw '\x41\u20ac\'\\\n' %})", "a\"ba'bA€'\\\n"},
                   {"{% raw [1, 'a', \"it's\", [None]] %}", "[1, 'a', \"it's\", [None]]"},
                   {"{% raw {'a': 1, 'b': [2.0]} %}", "{'a': 1, 'b': [2.0]}"},
                   {"{% raw [] %}{% raw {} %}{% raw () %}{% raw [1,] %}", "[]{}[][1]"},
                   {"{{ 9223372036854775807 }}", "9223372036854775807"}},
                  data());
}

TEST(TemplateExpression, access_to_elements) {
  expect_rendered({{"{{ user.name }}{{ user['age'] }}{{ user.tags[1] }}", "Ada36q"},
                   {"{{ rows[0] }}{{ rows[-1] }}{{ 'hé€'[1] }}{{ 'hé€'[-1] }}", "acé€"},
                   {"{% raw rows[1:] %}{% raw rows[:-1] %}{% raw rows[::-1] %}{% raw rows[5:] %}",
                    "['b', 'c']['a', 'b']['c', 'b', 'a'][]"},
                   {"{{ 'hé€lo'[1:3] }}{{ 'abc'[::-1] }}{{ 'abc'[::2] }}{{ 'abc'[9223372036854775807:] }}", "é€cbaac"},
                   {"{{ [1, 2, 3][::9223372036854775807] }}{{ 'abc'[-9:-1] }}", "[1]ab"},
                   {"{{ {'a': {'b': 5} }.a.b }}{{ [[1, 2]][0][1] }}", "52"}},
                  data());
}

TEST(TemplateExpression, operators) {
  expect_rendered(
      {{"{{ 1 + 2 * 3 }} {{ (1 + 2) * 3 }} {{ 7 - 2 - 1 }} {{ -number }} {{ - -1 }} {{ +1 }}", "7 9 4 -7 1 1"},
       {"{{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
        "3.5 3 -4 1 2 -2 3.0 0.5"},
       {"{% raw 'a' + 'b' %}{% raw 'ab' * 2 %}{% raw 2 * [1] %}{% raw [1] + [2] %}{% raw 'a' * -1 %}",
        "ababab[1, 1][1, 2]"},
       {"{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 1 != 2 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }}",
        "True True False True True True True"},
       {"{{ 'b' in rows }} {{ 'z' not in rows }} {{ 'name' in user }} {{ 'ea' in title }}", "True True True True"},
       {"{{ nothing is None }} {{ number is not None }} {{ not yes }} {{ not zero }}", "True True False True"},
       {"{{ zero or 'x' }} {{ yes and 'y' }} {{ zero and 1 }} {{ '' or zero or 2 }}", "x y 0 2"},
       {"{{ 'a' if yes else 'b' }}{{ 'a' if zero else 'b' if zero else 'c' }}", "ac"},
       {"{{ not 1 == 2 and 3 > 2 or 0 }}", "True"},
       {"{{ True + 1 }} {{ 9007199254740993 == 9007199254740992.0 }}", "2 False"}},
      data());
}

TEST(TemplateExpression, functions) {
  expect_rendered(
      {{"{{ len(rows) }}{{ len('hé') }}{{ len(user) }}", "323"},
       {"{{ str(1) + 'x' }} {{ int('12') + int(3.9) }} {{ float('1.5') }} {{ bool(rows) }}", "1x 15 1.5 True"},
       {"{{ abs(-2) }} {{ round(2.5) }} {{ round(2.675, 2) }} {{ min(3, 1, 2) }} {{ max(rows) }} {{ sum([1, 2.5]) }}",
        "2 2 2.67 1 c 3.5"},
       {"{% raw sorted([3, 1.5, 2]) %}{% raw reversed(rows) %}{% raw sorted('bca') %}{% raw list('ab') %}",
        "[1.5, 2, 3]['c', 'b', 'a']['a', 'b', 'c']['a', 'b']"},
       {"{% raw url_escape('a b&c=é/') %} {% raw squeeze('  a \\n b ') %}", "a+b%26c%3D%C3%A9%2F a b"},
       {"{% raw json_encode({'a': '</script>', 'b': None}) %}", R"({"a":"\u003c/script\u003e","b":null})"},
       {"{{ ', '.join(rows) }} {{ 'aBc'.upper() }} {{ 'aBc'.lower() }} {{ 'ab cd'.title() }} {{ 'aB'.capitalize() }}",
        "a, b, c ABC abc Ab Cd Ab"},
       {"{{ ' a '.strip() }}{{ 'xax'.strip('x') }}{{ 'xax'.lstrip('x') }}{{ 'xax'.rstrip('x') }}", "aaaxxa"},
       {"{{ 'a.b.c'.replace('.', '--') }} {% raw 'a b  c'.split() %} {% raw 'a,,b'.split(',') %}",
        "a--b--c ['a', 'b', 'c'] ['a', '', 'b']"},
       {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('x') }}", "True False"},
       {"{% raw user.keys() %}{% raw {'a': 1}.values() %}{% raw {'a': 1}.items() %}",
        "['name', 'tags', 'age'][1][['a', 1]]"},
       {"{{ user.get('name') }} {{ user.get('x') }} {{ user.get('x', 'y') }}", "Ada None y"}},
      data());
}

TEST(TemplateExpression, own_functions_go_before_built_in_ones) {
  Templates templates = Templates::in_memory({{"a", "{{ url('x', 1) }}{{ len(3) }}"}});
  templates.function("url", [](std::span<const Value> arguments) -> Value {
    return "/" + arguments[0].as_string() + "/" + std::to_string(arguments[1].as_integer());
  });
  templates.function("len", [](std::span<const Value>) -> Value { return "own"; });
  EXPECT_EQ(templates.render("a"), "/x/1own");
}

TEST(TemplateRefusal, faults_of_syntax_name_the_line) {
  expect_refusals({
      {"a\n{{ x", "t:2: the '}}' of this '{{' is missing"},
      {"{% if", "t:1: the '%}' of this '{%' is missing"},
      {"a\n{# b", "t:2: the '#}' of this '{#' is missing"},
      {"\n{% if x %}\n\n", "t:2: the {% end %} of this {% if %} is missing"},
      {"{% end %}", "t:1: {% end %} without a directive before it"},
      {"{% for x in y %}{% elif z %}{% end %}", "t:1: {% elif %} within {% for %}"},
      {"{% if x %}{% else %}{% else %}{% end %}", "t:1: {% else %} after {% else %}"},
      {"{% break %}", "t:1: {% break %} outside of a loop"},
      {"{% for x in y %}{% apply len %}{% break %}{% end %}{% end %}", "t:1: {% break %} outside of a loop"},
      {"{% module x() %}",
       "t:1: {% module %} is not supported; register a function with Templates::function() instead"},
      {"{% foo %}", "t:1: {% foo %} is no directive; write {%! for a plain {%"},
      {"{% %}", "t:1: the directive is empty"},
      {"{% for x %}{% end %}", "t:1: {% for %} is written {% for NAME in EXPRESSION %}"},
      {"{% set x %}", "t:1: {% set %} is written {% set NAME = EXPRESSION %}"},
      {"{% set 1 = 2 %}", "t:1: '1' is no name of a variable"},
      {"{% apply foo %}{% end %}", "t:1: there is no function 'foo'; register it with Templates::function()"},
      {"{% autoescape foo %}", "t:1: {% autoescape %} is xhtml_escape or None"},
      {"{% whitespace foo %}", "t:1: {% whitespace %} is all, single or oneline"},
      {"{% include nothing.html %}", "t:1: there is no template 'nothing.html'"},
      {"{% include %}", "t:1: {% include %} needs the name of a template"},
      {"\n{% include t %}", "t:2: the template includes itself: 't' again"},
      {"\n{% extends t %}", "t:2: the template extends itself: 't' again"},
  });
}

TEST(TemplateRefusal, faults_of_expressions_name_the_reason) {
  expect_refusals({
      {"{{ }}", "t:1: an expression is missing"},
      {"{{ 1 + }}", "t:1: the expression is cut off"},
      {"{{ 1 2 }}", "t:1: '2' is not expected here; the expression ends before it"},
      {"{{ (1 }}", "t:1: ')' is missing at the end of parentheses, before the end of the expression"},
      {"{{ 'a }}", "t:1: a string has no end; a directive ends at the first }} or %}, also inside a string"},
      {"{{ '\\q' }}", "t:1: a string has the unknown escape '\\q'; write \\\\ for a backslash"},
      {"{{ 9223372036854775808 }}", "t:1: the integer 9223372036854775808 is too large: at most 9223372036854775807"},
      {"{{ 1e400 }}", "t:1: the number 1e400 is out of range"},
      {"{{ 1x }}", "t:1: '1x' is no number"},
      {"{{ [x for x in y] }}", "t:1: there are no comprehensions; use {% for %}"},
      {"{{ foo() }}", "t:1: there is no function 'foo'; register it with Templates::function()"},
      {"{{ 'a'.foo() }}", "t:1: there is no method 'foo'"},
      {"{{ len(1, 2) }}", "t:1: 'len' does not take 2 arguments"},
      {"{{ 'a'.replace('b') }}", "t:1: 'replace' does not take 1 arguments"},
      {"{{ lambda x: x }}", "t:1: 'lambda' is not expected here; a value is"},
      {"{{ import }}", "t:1: 'import' is not expected here; a value is"},
  });
}

TEST(TemplateRefusal, faults_of_data_name_line_and_reason) {
  expect_refusals(
      {
          {"\n\n{{ missing }}", "t:3: there is no variable 'missing'; pass it to render(), or {% set %} it before"},
          {"{{ user.nam }}",
           "t:1: the object has no member 'nam', but name, tags, age; write .get('nam') when it may be missing"},
          {"{{ number.x }}", "t:1: it is an integer, which has no attribute 'x'"},
          {"{{ rows[3] }}", "t:1: the index 3 is outside of the list of 3"},
          {"{{ rows['a'] }}", "t:1: the index of a list is an integer, not a string"},
          {"{{ number[0] }}", "t:1: it is an integer, which has no elements"},
          {"{{ 1 + 'a' }}", "t:1: '+' does not take an integer and a string; write str(...) around what is no string"},
          {"{{ 1 / 0 }}", "t:1: division by zero"},
          {"{{ 1 % 0 }}", "t:1: division by zero"},
          {"{{ 1.0 // 0 }}", "t:1: division by zero"},
          {"{{ 9223372036854775807 + 1 }}",
           "t:1: the result is above the largest integer, 9223372036854775807, or below the smallest"},
          {"{{ (-9223372036854775807 - 1) // -1 }}",
           "t:1: the result is above the largest integer, 9223372036854775807, or below the smallest"},
          {"{{ 1 < 'a' }}", "t:1: an integer and a string have no order"},
          {"{{ 1 in 2 }}", "t:1: 'in' needs a list, an object or a string, not an integer"},
          {"{% for x in number %}{% end %}", "t:1: {% for %} needs a list, an object or a string, not an integer"},
          {"{% for a, b in rows %}{% end %}", "t:1: a string cannot be assigned to several variables"},
          {"{% set a, b, c = [1, 2] %}", "t:1: a list of 2 cannot be assigned to 3 variables"},
          {"{{ int('x') }}", "t:1: 'int' needs the text of an integer, not 'x'"},
          {"{{ int(1e300) }}", "t:1: 'int' needs a number that fits into an integer, not a number"},
          {"{{ range(0, 1, 0) }}", "t:1: the step of a range is 0"},
      },
      data());
}

TEST(TemplateRefusal, faults_name_the_file_that_they_are_in) {
  Templates templates =
      Templates::in_memory({{"page.html", "{% extends base.html %}\n{% block a %}\n{{ 1 / 0 }}{% end %}"},
                            {"base.html", "<p>{% block a %}{% end %}</p>{% include part.html %}"},
                            {"part.html", "\n\n{{ x }}"}});
  EXPECT_EQ(refusal([&] { static_cast<void>(templates.render("page.html")); }), "page.html:3: division by zero");
  EXPECT_EQ(refusal([&] { static_cast<void>(templates.render("base.html")); }),
            "part.html:3: there is no variable 'x'; pass it to render(), or {% set %} it before");
}

TEST(TemplateRefusal, errors_of_own_functions_get_the_line) {
  Templates templates = Templates::in_memory({{"t", "\n{{ name(1) }}"}});
  templates.function("name", [](std::span<const Value> arguments) -> Value { return arguments[0].as_string(); });
  EXPECT_EQ(refusal([&] { static_cast<void>(templates.render("t")); }),
            "t:2: use a value: it is an integer, not a string");
}

}  // namespace
}  // namespace coax::template_test

// What an expression becomes at each place of the HTML, with the payloads of the OWASP cheat sheets for cross-site
// scripting; and the places where none may stand.
#include <gtest/gtest.h>

#include "coax/http/template.hpp"
#include "tests/http/templates.hpp"

namespace coax::template_context_test {
namespace {

using http::Templates;
using http::Value;
using test::expect_refusals;
using test::expect_rendered;
using test::refusal;
using test::render;

// Each payload, written at a place, is exactly this text and ends none of the place's surroundings.
struct Payload {
  std::string_view text;
  std::string_view html;
};
constexpr std::array payloads{
    Payload{"<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"},
    Payload{"<IMG SRC=javascript:alert('XSS')>", "&lt;IMG SRC=javascript:alert(&#39;XSS&#39;)&gt;"},
    Payload{"\"><script>alert(1)</script>", "&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
    Payload{"' onmouseover='alert(1)", "&#39; onmouseover=&#39;alert(1)"},
    Payload{"<svg/onload=alert(1)>", "&lt;svg/onload=alert(1)&gt;"},
    Payload{"--><script>alert(1)</script>", "--&gt;&lt;script&gt;alert(1)&lt;/script&gt;"},
    Payload{"</textarea><script>", "&lt;/textarea&gt;&lt;script&gt;"},
    Payload{"&lt;b&gt;", "&amp;lt;b&amp;gt;"},
};

TEST(TemplateContext, text_comments_and_quoted_attributes_are_escaped) {
  for (const auto& [before, after] :
       {std::pair("<p>", "</p>"), std::pair("", ""), std::pair("<!-- ", " -->"), std::pair("<title>", "</title>"),
        std::pair("<textarea>", "</textarea>"), std::pair("<p title=\"", "\">"), std::pair("<p title='a ", "'>"),
        std::pair("<input\n value = \"", "\"/>"), std::pair("<TEXTAREA class=x>", "</TextArea >"),
        std::pair("<!--> <p>", "</p>"), std::pair("<p data-href=\"", "\">"), std::pair("a < b ", "")}) {
    for (const auto& [text, html] : payloads) {
      EXPECT_EQ(render(std::string(before) + "{{ x }}" + after, Value{{"x", text}}),
                std::string(before) + std::string(html) + after);
    }
  }
}

TEST(TemplateContext, attributes_without_quotes_have_no_end_in_the_value) {
  expect_rendered({{"<p title={{ x }}>", "<p title=a&#32;onclick&#61;&#39;b&#39;&#32;&#96;&#9;&gt;>"},
                   {"<p title=a{{ x }}b>", "<p title=aa&#32;onclick&#61;&#39;b&#39;&#32;&#96;&#9;&gt;b>"},
                   {"<p title={{ '' }} class=b>", "<p title=&#32; class=b>"},
                   {"<p title={{ 5 }} class={{ 6 }}>", "<p title=5 class=6>"}},
                  Value{{"x", "a onclick='b' `\t>"}});
}

TEST(TemplateContext, addresses_have_an_allowed_scheme) {
  for (const std::string_view harmful :
       {"javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "\tjavascript:alert(1)",
        "java\nscript:alert(1)", "java\tscript:alert(1)", "\x01javascript:alert(1)", "vbscript:msgbox(1)",
        "data:text/html,<script>alert(1)</script>", "data:text/html;base64,PHNjcmlwdD4=", "blob:x",
        "file:///etc/passwd", "javascript&colon;alert(1):", "view-source:x", "feed:javascript:alert(1)",
        "jav&#x09;ascript:alert(1)"}) {
    if (harmful.starts_with("jav&#") || harmful.starts_with("javascript&")) continue;  // below
    for (const std::string_view name : {"href", "src", "action", "formaction", "xlink:href", "HREF", "poster"}) {
      const std::string before = "<a " + std::string(name) + "=";
      EXPECT_EQ(render(before + "\"{{ x }}\">", Value{{"x", harmful}}), before + "\"#refused-scheme\">") << harmful;
      EXPECT_EQ(render(before + "'{{ x }}'>", Value{{"x", harmful}}), before + "'#refused-scheme'>");
      EXPECT_EQ(render(before + "{{ x }}>", Value{{"x", harmful}}), before + "#refused-scheme>");
    }
    // After a beginning that may be one of a scheme, none can be completed.
    EXPECT_FALSE(render("<a href=\"x{{ x }}\">", Value{{"x", harmful}}).substr(9).contains(':'));
    EXPECT_FALSE(render("<a href=\"{{ 'x' }}{{ x }}\">", Value{{"x", harmful}}).substr(9).contains(':'));
  }
  EXPECT_EQ(render("<a href=\"{{ x }}\">", Value{{"x", "jav&#x09;ascript:alert(1)"}}),
            "<a href=\"jav&amp;#x09;ascript:alert%281%29\">");
}

TEST(TemplateContext, parts_of_addresses_are_encoded) {
  expect_rendered(
      {{"<a href='{{ u }}'>", "<a href='https://a.example/b%20c?d=e&amp;f=%27%22#g'>"},
       {"<a href='{{ m }}'>", "<a href='mailto:a@b.example'>"},
       {"<a href='/{{ x }}'>", "<a href='/a/b?c=d&amp;e:f%27'>"},
       {"<a href='/p/{{ x }}/q'>", "<a href='/p/a/b?c=d&amp;e:f%27/q'>"},
       {"<a href='/p?q={{ x }}'>", "<a href='/p?q=a%2Fb%3Fc%3Dd%26e%3Af%27'>"},
       {"<a href='/p?q={{ x }}&amp;r={{ 'é %' }}'>", "<a href='/p?q=a%2Fb%3Fc%3Dd%26e%3Af%27&amp;r=%C3%A9%20%25'>"},
       {"<a href='#{{ x }}'>", "<a href='#a%2Fb%3Fc%3Dd%26e%3Af%27'>"},
       {"<a href='https://a.example/{{ x }}'>", "<a href='https://a.example/a/b?c=d&amp;e:f%27'>"},
       {"<a href='mailto:{{ 'a@b' }}'>", "<a href='mailto:a@b'>"},
       {"<a href='{{ '/a' }}?{{ 'b=c' }}'>", "<a href='/a?b%3Dc'>"},
       {"<a href='{{ 7 }}'>", "<a href='7'>"},
       {"<img srcset='{{ s }}'>", "<img srcset='a.png 1x, #refused-scheme, /c.png'>"}},
      Value{{"u", "https://a.example/b c?d=e&f='\"#g"},
            {"m", "mailto:a@b.example"},
            {"x", "a/b?c=d&e:f'"},
            {"s", "a.png 1x, javascript:b, /c.png 2x onerror=x"}});
  // Values within the addresses and sizes of a list.
  const Value hostile{{"v", "a, javascript:b 1x/c?d"}, {"n", 2}};
  expect_rendered(
      {{"<img srcset='/i/{{ v }}.png {{ n }}x, /j/{{ v }}@2.png 2x'>",
        "<img srcset='/i/a%2C%20javascript:b%201x/c?d.png 2x, /j/a%2C%20javascript:b%201x/c?d@2.png 2x'>"},
       {"<img srcset='/i?n={{ v }} 1x,{{ v }}'>",
        "<img srcset='/i?n=a%2C%20javascript%3Ab%201x%2Fc%3Fd 1x,a, #refused-scheme'>"},
       {"<img srcset='a,b/{{ v }} {{ v }}'>",
        "<img srcset='a,b/a%2C%20javascript:b%201x/c?d a%2C%20javascript%3Ab%201x%2Fc%3Fd'>"},
       {"<img srcset='{{ n }}/{{ v }} 1x, {{ v }}'>",
        "<img srcset='2/a%2C%20javascript:b%201x/c?d 1x, a, #refused-scheme'>"},
       {"<img srcset='{% for w in [1, 2] %}/i/{{ w }}.png {{ w }}x, {% end %}'>",
        "<img srcset='/i/1.png 1x, /i/2.png 2x, '>"},
       {"<img imagesrcset='{% if n %}a 1x{% end %}, {{ v }}'>", "<img imagesrcset='a 1x, a, #refused-scheme'>"}},
      hostile);
  // A size that is none is left out.
  EXPECT_EQ(render("<img srcset='{{ s }}'>", Value{{"s", "a.png 1\"x"}}), "<img srcset='a.png'>");
}

TEST(TemplateContext, values_in_scripts_become_json) {
  expect_rendered(
      {{"<script>var x = {{ x }};</script>", "<script>var x = \"\\u003c/script\\u003e\\u0027\\\"\";</script>"},
       {"<script>f({{ o }}, {{ None }}, {{ True }}, {{ 1.5 }})</script>",
        "<script>f({\"a\":[1,null]}, null, true, 1.5)</script>"},
       {"<SCRIPT type=module>f({{ x }})</SCRIPT><p>{{ x }}</p>",
        "<SCRIPT type=module>f(\"\\u003c/script\\u003e\\u0027\\\"\")</SCRIPT><p>&lt;/script&gt;&#39;&quot;</p>"},
       {"<script>a = b / {{ 2 }} / {{ 3 }};</script>", "<script>a = b / 2 / 3;</script>"},
       {"<script>a = /[\"/]'/.test(b) && {{ x }};</script>",
        "<script>a = /[\"/]'/.test(b) && \"\\u003c/script\\u003e\\u0027\\\"\";</script>"},
       {"<script>return /'/; x = {{ 1 }}</script>", "<script>return /'/; x = 1</script>"},
       {"<script>a++ / 2; b = 'x'; // it's\nc = {{ 1 }}; /* it's */ d = {{ 2 }}</script>",
        "<script>a++ / 2; b = 'x'; // it's\nc = 1; /* it's */ d = 2</script>"},
       {"<script>`it's ${ a ? `${ {b: {{ 1 }} } }` : '' }`; c = {{ 2 }}</script>",
        "<script>`it's ${ a ? `${ {b: 1 } }` : '' }`; c = 2</script>"},
       {"<script>if (a </script>{{ x }}", "<script>if (a </script>&lt;/script&gt;&#39;&quot;"},
       {"<script src='{{ '/a.js' }}'></script>", "<script src='/a.js'></script>"},
       {"<script>{% for i in [1, 2] %}f({{ i }});{% end %}</script>", "<script>f(1);f(2);</script>"},
       {"<script>{% if True %}a = {{ 1 }}{% else %}b(){% end %};</script>", "<script>a = 1;</script>"},
       {"<script>x = \"</scripts>{{ x }}\"</script>",
        "<script>x = \"</scripts>\\u003c/script\\u003e\\u0027\\u0022\"</script>"}},
      Value{{"x", "</script>'\""}, {"o", {{"a", Value::list({1, nullptr})}}}});
}

TEST(TemplateContext, values_in_strings_of_scripts_are_parts_of_them) {
  expect_rendered({{"<script>x = '{{ x }}';</script>",
                    "<script>x = '\\u0027;alert(1)//\\\\\\u0022\\u003c/script\\u003e\\n\\u2028\\u0060';</script>"},
                   {"<script>x = \"a{{ x }}b\";</script>",
                    "<script>x = \"a\\u0027;alert(1)//\\\\\\u0022\\u003c/script\\u003e\\n\\u2028\\u0060b\";</script>"},
                   {"<script>x = 'it\\'s {{ 1 }}' + {{ 2 }};</script>", "<script>x = 'it\\'s 1' + 2;</script>"}},
                  Value{{"x", "';alert(1)//\\\"</script>\n\xe2\x80\xa8`"}});
}

TEST(TemplateContext, values_in_handlers_are_escaped_twice) {
  expect_rendered({{"<a onclick=\"f({{ x }})\">", "<a onclick=\"f(&quot;\\u0027);alert(1)//\\&quot;&quot;)\">"},
                   {"<a ONCLICK='f({{ x }})'>", "<a ONCLICK='f(&quot;\\u0027);alert(1)//\\&quot;&quot;)'>"},
                   {"<a onclick=\"f('{{ x }}')\">", "<a onclick=\"f('\\u0027);alert(1)//\\u0022')\">"},
                   {"<a onclick=f({{ x }})>", "<a onclick=f(&quot;\\u0027);alert(1)//\\&quot;&quot;)>"},
                   {"<a @click=\"f({{ 1 }})\" v-on:click=\"f({{ 'a' }})\">",
                    "<a @click=\"f(1)\" v-on:click=\"f(&quot;a&quot;)\">"}},
                  Value{{"x", "');alert(1)//\""}});
}

TEST(TemplateContext, styles_take_words_and_numbers_only) {
  expect_rendered(
      {{"<p style=\"color: {{ '#f00' }}; width: {{ 12.5 }}%\">", "<p style=\"color: #f00; width: 12.5%\">"},
       {"<style>p { color: {{ x }} }</style>", "<style>p { color: refused-value }</style>"},
       {"<style>p { color: {{ 'light-blue' }} }</style>", "<style>p { color: light-blue }</style>"},
       {"<p style=\"{{ 'a:b' }}\">", "<p style=\"refused-value\">"},
       {"<p style=\"background: url('{{ 'javascript:x' }}')\">", "<p style=\"background: url('refused-value')\">"},
       {"<p style=\"width: {{ 'expression(alert(1))' }}\">", "<p style=\"width: refused-value\">"}},
      Value{{"x", "red}</style><script>"}});
}

TEST(TemplateContext, branches_may_choose_attributes_and_parts_of_values) {
  const Value yes{{"a", true}, {"x", "/y z"}};
  expect_rendered({{"<option{% if a %} selected{% end %}>{{ x }}</option>", "<option selected>/y z</option>"},
                   {"<option {% if a %}selected{% end %} value=\"{{ x }}\">", "<option selected value=\"/y z\">"},
                   {"<p {% if a %}title=\"{{ x }}\"{% end %} id='{{ 1 }}'>", "<p title=\"/y z\" id='1'>"},
                   {"<p{% for i in [1, 2] %} data-{% end %}>", "<p data- data->"},
                   {"<p class=\"a{% if a %} b{% end %}\">{{ x }}", "<p class=\"a b\">/y z"},
                   {"<p title={% if a %}\"{{ x }}\"{% else %}'b'{% end %}>", "<p title=\"/y z\">"},
                   {"<a href=\"{% if a %}{{ x }}{% else %}/{% end %}\">", "<a href=\"/y%20z\">"},
                   {"<a href=\"/{% if a %}?q={{ x }}{% end %}\">", "<a href=\"/?q=%2Fy%20z\">"},
                   {"<a href=\"{% for p in ['a:', 'b'] %}{{ p }}/{% end %}\">", "<a href=\"a%3A/b/\">"},
                   {"{% if a %}<b>{% else %}<i>{% end %}{{ x }}", "<b>/y z"},
                   {"{% while a %}<p>{% if a %}{% break %}{% end %}</p>{% end %}{{ x }}", "<p>/y z"}},
                  yes);
}

TEST(TemplateContext, branches_that_end_at_different_places_are_refused) {
  expect_refusals(
      {{"\n<p {% if a %}title=\"{% end %}>",
        "t:2: {% if %} begins and ends at different places of the HTML: in an attribute's value in double quotes, and "
        "in a tag; close in each branch what it opens"},
       {"{% if a %}<script>{% else %}<p>{% end %}{{ x }}",
        "t:1: the branches of {% if %} end at different places of the HTML: in the code of a script, and in text; "
        "close "
        "in each branch what it opens"},
       {"{% for i in a %}<!-- {% end %}",
        "t:1: a loop begins and ends at different places of the HTML: in text, and in a comment; close in each branch "
        "what it opens"},
       {"{% while a %}<p title='{% if a %}{% break %}{% end %}'>{% end %}",
        "t:1: {% break %} leaves a loop at different places of the HTML: in text, and in an attribute's value in "
        "single "
        "quotes; close in each branch what it opens"},
       {"{% apply len %}<p {% end %}>",
        "t:1: {% apply %} begins and ends at different places of the HTML: in a tag, and in text; close in each branch "
        "what it opens"},
       {"<p {% if a %}on{% else %}{% end %}click=\"{{ x }}\">",
        "t:1: an expression cannot be escaped in an attribute whose name depends on a branch; write the whole "
        "attribute "
        "in each branch"},
       {"<p {% if a %}on{% end %}click=\"{{ x }}\">",
        "t:1: an expression cannot be escaped in an attribute whose name depends on a branch; write the whole "
        "attribute "
        "in each branch"},
       {"<h{% if a %}1{% end %}>", "t:1: a directive splits a tag; write the whole name of the tag in each branch"},
       {"<{% if a %}b{% end %}>", "t:1: a directive splits a tag; write the whole name of the tag in each branch"},
       {"<a href=\"/{% if a %}?{% end %}{{ x }}\">",
        "t:1: whether this expression is in the path or in the query of an address depends on the branch"}},
      Value{{"a", true}, {"x", 1}});
}

TEST(TemplateContext, places_without_an_escaping_are_refused) {
  const std::string_view name =
      "t:1: an expression cannot be the name of a tag or of an attribute; choose among names with {% if %}, and write "
      "values in quotes: <a title=\"{{ ... }}\">";
  const std::string_view lost =
      "t:1: the script before this expression cannot be followed: a string or regular expression without an end on its "
      "line, a <!--, a character reference, or branches that end at different places; put the expression into a "
      "<script> of its own: const x = {{ ... }};";
  const std::string_view scheme =
      "t:1: an expression cannot be escaped after the scheme of this address; only http, https, mailto, tel, sms and "
      "ftp "
      "are allowed, and the scheme is no expression";
  expect_refusals(
      {{"<{{ x }}>", name},
       {"<p {{ x }}>", name},
       {"<p on{{ x }}=1>", name},
       {"<p{{ x }}>", name},
       {"</{{ x }}>", name},
       {"<!DOCTYPE {{ x }}>", "t:1: an expression cannot be escaped in a declaration such as <!DOCTYPE>"},
       {"<iframe srcdoc=\"{{ x }}\">", "t:1: an expression cannot be escaped in this attribute"},
       {"<animate to=\"{{ x }}\">", "t:1: an expression cannot be escaped in this attribute"},
       {"<meta http-equiv=refresh content=\"0; URL={{ x }}\">",
        "t:1: an expression cannot be escaped in this attribute"},
       {"<a href=\"javascript:f({{ x }})\">", scheme},
       {"<a href=\"data:{{ x }}\">", scheme},
       {"<a href=\"{{ x }}:{{ x }}\">", scheme},
       {"<script>`{{ x }}`</script>",
        "t:1: an expression cannot be escaped in a template literal (`...`) of a script; assign it to a variable "
        "before: "
        "const x = {{ ... }};"},
       {"<script>/{{ x }}/</script>",
        "t:1: an expression cannot be escaped in a regular expression of a script; assign it to a variable: const x = "
        "{{ "
        "... }};"},
       {"<script>// {{ x }}\n</script>",
        "t:1: an expression cannot be escaped in a comment of a script; assign it to a variable: const x = {{ ... }};"},
       {"<script>'\\{{ x }}'</script>", "t:1: an expression follows a backslash in a string of a script"},
       {"<script><!-- {{ x }}</script>", lost},
       {"<a onclick=\"f(&quot;{{ x }}&quot;)\">", lost},
       {"<script>{% if x %}'{% else %}\"{% end %}{{ x }}</script>", lost},
       {"<p title=\"{{ x }}",
        "t:1: the template ends in an attribute's value in double quotes; close it, or look for a quote or > that is "
        "missing before"},
       {"<script>{{ x }}",
        "t:1: the template ends in the code of a script; close it, or look for a quote or > that is missing before"}},
      Value{{"x", 1}});
}

TEST(TemplateContext, included_templates_and_blocks_continue_the_place) {
  const Templates templates = Templates::in_memory(
      {{"page.html", "<script>x = '{% include part %}'; y = {% include part %}</script>{% include part %}"},
       {"part", "{{ x }}"},
       {"base.html", "<a href='{% block address %}{% end %}'>{% block text %}{% end %}</a>"},
       {"link.html", "{% extends base.html %}{% block address %}{{ x }}{% end %}{% block text %}{{ x }}{% end %}"}});
  const Value value{{"x", "javascript:<"}};
  EXPECT_EQ(templates.render("page.html", value),
            "<script>x = 'javascript:\\u003c'; y = \"javascript:\\u003c\"</script>javascript:&lt;");
  EXPECT_EQ(templates.render("link.html", value), "<a href='#refused-scheme'>javascript:&lt;</a>");
}

TEST(TemplateContext, files_of_scripts_and_styles_begin_as_such) {
  const Templates templates =
      Templates::in_memory({{"a.js", "const x = {{ x }}; // </script> <p>\n"}, {"a.css", "p { color: {{ x }} }"}});
  EXPECT_EQ(templates.render("a.js", Value{{"x", "a<"}}), "const x = \"a\\u003c\"; // </script> <p>\n");
  EXPECT_EQ(templates.render("a.css", Value{{"x", "a<"}}), "p { color: refused-value }");
}

TEST(TemplateContext, nothing_is_followed_for_files_without_escaping) {
  expect_rendered({{"{% autoescape None %}<{{ x }} {% if x %}\"{% end %}`", "<a> \"`"}}, Value{{"x", "a>"}});
}

}  // namespace
}  // namespace coax::template_context_test

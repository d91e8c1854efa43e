#!/usr/bin/env python3
# Templates as Tornado renders them: the same files and data, byte for byte, for the syntax that both have.
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from support import WAIT_S

try:
    from tornado.template import Loader
except ImportError:
    Loader = None

RENDER = pathlib.Path(os.environ["COAX_EXAMPLES"]) / "render_template"
DATA = {
    "title": "Tea & <cake> \"for\" 'two'",
    "number": 7,
    "price": 2.5,
    "yes": True,
    "nothing": None,
    "rows": [{"id": i, "name": f"<b>{i}</b> é€😀", "tags": ["x", "y & z"]} for i in range(4)],
    "user": {"name": "Ada", "age": 36, "tags": ["p", "it's", 'a "q"']},
    "words": ["b", "C", "a"],
    "text": " two  words\n",
}

# For Tornado a dict has no attributes: d["name"], which Coax takes, too.
TEMPLATES = [
    "",
    "a { b } {",
    "{{! a }} {%! b %} {#! c #}",
    "{{{number}}} {{{{number}}}}",
    "a{# comment {{ x }} #}b{% comment c %}d",
    "{{ title }}|{% raw title %}|{{ escape(number) if False else number }}",
    "{% autoescape None %}{{ title }}",
    "{{ title }}{% autoescape None %}",
    "{{ None }}{{ True }}{{ 1.0 }}{{ 1e16 }}{{ 1e-5 }}{{ 0.1 + 0.2 }}{{ 123456789.123 }}{{ 1e22 }}{{ 5e-324 }}",
    "{{ user }}{{ rows[1] }}{{ words }}{{ [] }}{{ {} }}",
    "{{ user['name'] }}{{ rows[0]['id'] }}{{ rows[-1]['tags'][1] }}{{ words[1:] }}{{ words[::-1] }}{{ title[2:9] }}",
    "{% if yes %}a{% elif number %}b{% else %}c{% end %}{% if not yes %}a{% elif number > 6 %}b{% else %}c{% end %}",
    "{% for x in words %}{{ x }},{% end %}{% for k, v in user.items() %}{{ k }}={{ v }};{% end %}",
    "{% for i, x in enumerate(words) %}{{ i }}{{ x }}{% end %}{% for c in 'hé' %}[{{ c }}]{% end %}",
    "{% for x in words %}{% if x == 'C' %}{% continue %}{% end %}{{ x }}{% else %}!{% end %}",
    "{% for x in words %}{% if x == 'C' %}{% break %}{% end %}{{ x }}{% else %}!{% end %}",
    "{% set n = 0 %}{% while n < 5 %}{% set n += 1 %}{% if n % 2 %}{% continue %}{% end %}{{ n }}{% end %}",
    "{% set a, b = 1, 'two' %}{{ b }}{{ a }}",
    "{% apply xhtml_escape %}<b>{% for x in words %}{{ x }}{% end %}</b>{% end %}",
    "{{ 7 / 2 }} {{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7 % -3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
    "{{ 2 + 3 * 4 - 1 }} {{ (2 + 3) * 4 }} {{ 'ab' * 2 + 'c' }} {{ [1] * 2 + [2] }} {{ -number }} {{ - -1 }}",
    "{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 1 == 1.0 }} {{ 'a' < 'b' }} {{ [1, 2] < [1, 3] }} {{ True + 1 }}",
    "{{ 'a' in words }} {{ 'z' not in words }} {{ 'name' in user }} {{ nothing is None }} {{ number is not None }}",
    "{{ 0 or 'x' }} {{ yes and 'y' }} {{ '' or 0 or 2 }} {{ not 1 == 2 and 3 > 2 or 0 }} {{ 'a' if yes else 'b' }}",
    "{{ len(words) }} {{ str(1.5) + '!' }} {{ int('12') + int(3.9) }} {{ float('2') }} {{ abs(-2) }} {{ sum([1, 2]) }}",
    "{{ round(2.5) }} {{ round(3.5) }} {{ round(2.675, 2) }} {{ min(words) }} {{ max(3, 1, 2) }} {{ bool(words) }}",
    "{{ sorted(words) }} {{ list(reversed(words)) }} {{ list(range(5, 0, -2)) }} {{ sorted([3, 1.5, 2]) }}",
    "{{ url_escape('a b&c=é/~') }} {{ squeeze(text) }}|{{ ', '.join(words) }} {{ 'aBc d'.upper() }}{{ 'aBc'.lower() }}",
    "{{ text.strip() }}|{{ text.split() }}|{{ 'a,,b'.split(',') }}|{{ 'xax'.strip('x') }}{{ 'a.b'.replace('.', '-') }}",
    "{{ 'ab cd'.title() }} {{ 'aB'.capitalize() }} {{ 'abc'.startswith('ab') }} {{ 'abc'.endswith('x') }}",
    "{{ list(user.keys()) }} {{ user.get('name') }} {{ user.get('x') }} {{ user.get('x', 'y') }}",
    "<p title=\"{{ title }}\">{{ title }}</p>\n\n   <b>  x  </b>\t\t{% whitespace all %} a  \n  b ",
    "{% whitespace oneline %} a \n b {{ 1 }}\n",
    "<pre>a  b\n\n c</pre>{{ 1 }}  d   e",
    "{% include 'part.html' %}{% for row in rows %}{% include \"sub/row.html\" %}{% end %}",
    "{% extends 'base.html' %}{% block title %}[{{ title }}]{% end %} ignored {% block body %}{{ number }}{% end %}",
    "{% extends 'middle.html' %}{% block inner %}inner {{ number }}{% end %}",
]
FILES = {
    "part.html": "<i>{{ number }}</i>\n",
    "sub/row.html": "<tr><td>{{ row['id'] }}</td><td>{{ row['name'] }}</td>{% include cell.html %}</tr>",
    "sub/cell.html": "<td>{% for tag in row['tags'] %}{{ tag }} {% end %}</td>",
    "base.html": "<title>{% block title %}none{% end %}</title>\n  <body>{% block body %}empty{% end %}</body>\n",
    "middle.html": "{% extends base.html %}{% block body %}({% block inner %}m{% end %}){% end %}",
}


@unittest.skipUnless(Loader, "python3-tornado is not installed")
class Tornado(unittest.TestCase):
    def test_each_template_is_rendered_alike(self) -> None:
        with tempfile.TemporaryDirectory(prefix="coax-templates-") as folder:
            texts = FILES | {f"page{number}.html": text for number, text in enumerate(TEMPLATES)}
            for name, text in texts.items():
                path = pathlib.Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
            loader = Loader(folder)
            for number, text in enumerate(TEMPLATES):
                name = f"page{number}.html"
                with self.subTest(text):
                    done = subprocess.run([RENDER, folder, name], input=json.dumps(DATA).encode(), capture_output=True,
                                          timeout=WAIT_S, check=False)
                    self.assertEqual(done.stderr, b"")
                    self.assertEqual(done.stdout.decode(), loader.load(name).generate(**DATA).decode())


if __name__ == "__main__":
    unittest.main()

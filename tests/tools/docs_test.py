#!/usr/bin/env python3
# Checks the documentation by machine: its C++ compiles, and its links are valid.
import os
import pathlib
import re
import subprocess
import sys
import unittest

ROOT = pathlib.Path(os.environ.get("COAX_SOURCE", pathlib.Path(__file__).resolve().parent.parent.parent))
sys.path.insert(0, str(ROOT / "tools"))
import layers  # noqa: E402
import tidy  # noqa: E402

COMPILER = ["clang++-19", "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT), "-x", "c++",
            "-"]
PAGES = sorted({ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")})
# Pages of which every block of C++ is checked here. Other tests check the others: tests/task/guide_test.cpp,
# tests/loop/embedding_guide_test.cpp and package_test.py.
CHECKED = ["README.md", *(f"docs/guide/{name}.md" for name in ("database", "forms", "http", "logging", "programs",
                                                                  "servers", "streams", "templates", "tls", "web"))]
PROGRAMS = [*CHECKED, "docs/guide/embedding.md", "docs/guide/tasks.md"]
EXCERPTS = ["docs/guide/applications.md"]  # each block of C++ is a part of one of the examples
HEAD = """
#include "coax/coax.hpp"
using namespace coax::literals;
using namespace std::chrono_literals;
"""


def blocks(page: str) -> list[tuple[int, str]]:
    """The blocks of C++ with the line that each begins at."""
    text = (ROOT / page).read_text()
    return [(text.count("\n", 0, match.start(1)) + 1, match[1])
            for match in re.finditer(r"^```cpp\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)]


def is_program(code: str) -> bool:
    return "int main(" in code


def compile_snippets(page: str, snippets: list[tuple[int, str]]) -> str:
    """What the compiler says to all of them, each in a namespace of its own; includes come first."""
    includes = "".join(line + "\n" for _, code in snippets for line in code.splitlines() if line.startswith("#include"))
    source = includes + HEAD
    for line, code in snippets:
        body = re.sub(r"^#include.*$", "", code, flags=re.MULTILINE)
        source += f'namespace at_line_{line} {{\n#line {line} "{page}"\n{body}}}\n'
    return subprocess.run(COMPILER, input=source, capture_output=True, text=True, check=False).stderr


def anchors(page: pathlib.Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


class Code(unittest.TestCase):
    def test_each_program_is_one_of_the_examples(self) -> None:
        examples = [path.read_text() for path in (ROOT / "examples").glob("*.cpp")]
        for page in [*PROGRAMS, *EXCERPTS]:
            for line, code in blocks(page):
                if is_program(code) or page in EXCERPTS:
                    with self.subTest(f"{page}:{line}"):
                        self.assertTrue(any(code in text for text in examples), "no file of examples/ has this text")

    def test_each_other_block_compiles(self) -> None:
        for page in CHECKED:
            snippets = [(line, code) for line, code in blocks(page) if not is_program(code)]
            if snippets:
                with self.subTest(page):
                    self.assertEqual(compile_snippets(page, snippets), "")


class Links(unittest.TestCase):
    def test_each_link_within_the_repository_leads_somewhere(self) -> None:
        for page in PAGES:
            text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
            for target in re.findall(r"\]\(([^)\s]+)\)", text):
                path, _, anchor = target.partition("#")
                if "://" in target or path.startswith("mailto:"):
                    continue
                with self.subTest(f"{page.relative_to(ROOT)}: {target}"):
                    file = page.parent / path if path else page
                    self.assertTrue(file.exists(), "there is no such file")
                    if anchor and file.suffix == ".md":
                        self.assertIn(anchor, anchors(file))

    def test_the_index_names_every_page(self) -> None:
        index = (ROOT / "docs/README.md").read_text()
        for page in [*(ROOT / "docs").glob("*.md"), *(ROOT / "docs/guide").glob("*.md")]:
            name = page.relative_to(ROOT / "docs").as_posix()
            if name != "README.md":
                self.assertIn(f"({name})", index)


class Layers(unittest.TestCase):
    def test_the_table_has_every_folder_in_the_order_that_tidy_tests(self) -> None:
        table = re.findall(r"^\| `coax/(\w+)` \|", (ROOT / "docs/design.md").read_text(), re.MULTILINE)
        folders = {path.name for path in (ROOT / "coax").iterdir() if path.is_dir()}
        self.assertEqual(table, [layer for layer in tidy.LAYERS if layer in folders])

    def test_the_picture_has_the_includes(self) -> None:
        edges = layers.reduced(layers.includes(ROOT))
        self.assertEqual(layers.drawn(layers.PICTURE.read_text()), edges, "draw it again: ./dev docs")

    def test_reduced_leaves_out_what_follows_from_other_edges(self) -> None:
        chain = {("c", "b"), ("b", "a")}
        self.assertEqual(layers.reduced(chain | {("c", "a")}), chain)
        self.assertEqual(layers.reduced(chain | {("d", "a")}), chain | {("d", "a")})


if __name__ == "__main__":
    unittest.main()

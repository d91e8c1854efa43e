#!/usr/bin/env python3
# tools/tidy.py finds banned words in text for people, except in folders that are not rewritten yet.
import pathlib
import re
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import tidy  # noqa: E402
import wording  # noqa: E402


def found(path: str, text: str) -> list[tuple[int, str]]:
    return [(line, words) for line, words, _ in tidy.banned_words(tidy.File(path, text))]


class Words(unittest.TestCase):
    def test_in_comments_and_messages_of_cpp(self) -> None:
        text = '// Nobody waits.\nint nobody;\nfail("it was told");\n'
        self.assertEqual(found("coax/base/a.cpp", text), [(1, "Nobody"), (3, "told")])

    def test_not_in_names_and_code_of_cpp(self) -> None:
        self.assertEqual(found("coax/base/a.cpp", "void told();\nTEST(A, nobody_is_told) { told(); }\n"), [])

    def test_over_the_end_of_a_line(self) -> None:
        self.assertEqual(found("coax/base/a.cpp", "// It waits for\n// ever.\n"), [(1, "for ever")])
        self.assertEqual(found("docs/a.md", "It is read\naway.\n"), [(1, "read away")])

    def test_in_markdown_but_not_in_its_code(self) -> None:
        text = "Whoever asks.\n`nobody`\n```\nnobody\n```\nThe one who asks.\n"
        self.assertEqual(found("docs/a.md", text), [(1, "Whoever"), (6, "The one who")])

    def test_in_scripts_and_pages(self) -> None:
        for path in ["dev", "tools/a.py", "web/a.js", "web/index.html", "CMakeLists.txt"]:
            self.assertEqual(found(path, "# it goes on\n"), [(1, "goes on")])

    def test_each_phrase_of_the_old_dialect(self) -> None:
        for words in ["whoever", "the one who", "who comes", "nobody", "what stands there", "what comes", "goes on",
                      "told", "for ever", "read away", "fade away"]:
            with self.subTest(words):
                self.assertTrue(found("docs/a.md", f"Say {words} no more.\n"))

    def test_good_words_pass(self) -> None:
        self.assertEqual(found("docs/a.md", "forever() does not return; those who read, the peer, the next one.\n"), [])


class Folders(unittest.TestCase):
    def check(self, allowed: dict[str, int], *paths: str) -> list[str]:
        files = [tidy.File(path, "// Nobody.\n") for path in paths]
        return [f"{breach.path}:{breach.line}" for breach in tidy.check_wording(files, allowed)]

    def test_a_rewritten_folder_has_no_banned_words(self) -> None:
        self.assertEqual(self.check({}, "coax/base/a.cpp", "app/b.cpp"), ["coax/base/a.cpp:1", "app/b.cpp:1"])

    def test_another_folder_keeps_those_that_it_has_and_gets_no_more(self) -> None:
        paths = ["coax/base/a.cpp", "coax/base/b.cpp"]
        self.assertEqual(self.check({"coax/base": 2}, *paths), [])
        self.assertEqual(self.check({"coax/base": 1}, *paths), ["coax/base:1"])

    def test_words_are_counted_by_folder(self) -> None:
        folders = {"coax/base/x/a.cpp": "coax/base", "app/a.cpp": "app", "README.md": "README.md",
                   "docs/design.md": "docs", "docs/guide/a.md": "docs/guide", "tests/CMakeLists.txt": "tests"}
        for path, folder in folders.items():
            self.assertEqual(wording.folder_of(path), folder)

    def test_documents_are_rewritten(self) -> None:
        allowed = [folder for folder in wording.NOT_YET_REWRITTEN if re.match("docs|README|CONTRIBUTING", folder)]
        self.assertEqual(allowed, [])

    def test_each_folder_that_is_not_rewritten_exists(self) -> None:
        for folder in wording.NOT_YET_REWRITTEN:
            self.assertTrue((ROOT / folder).exists(), folder)


if __name__ == "__main__":
    unittest.main()

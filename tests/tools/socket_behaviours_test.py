# docs/guide/socket-behaviours.md is in step: each line names an existing test, and each numbered test has its line.

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ROW = re.compile(r"^\| (?P<id>[a-z0-9]{2}\d{2}) \| .+ \| `(?P<test>\w+\.\w+)` \|$", re.MULTILINE)
TEST = re.compile(r"^TEST(?:_F)?\((?P<suite>\w+),\s*(?P<name>[a-z0-9]{2}\d{2}_\w+)\)", re.MULTILINE)


def rows() -> list[tuple[str, str]]:
    text = (ROOT / "docs/guide/socket-behaviours.md").read_text()
    return [(row["id"], row["test"]) for row in ROW.finditer(text)]


def tests() -> set[str]:
    folders = (ROOT / "tests/net", ROOT / "tests/socket", ROOT / "tests/stream", ROOT / "tests/tls")
    texts = (path.read_text() for folder in folders for path in sorted(folder.glob("*_test.cpp")))
    return {f"{test['suite']}.{test['name']}" for text in texts for test in TEST.finditer(text)}


class Behaviours(unittest.TestCase):
    def test_each_line_names_a_test_that_is_there(self) -> None:
        self.assertGreaterEqual(len(rows()), 147)
        for number, test in rows():
            with self.subTest(number):
                self.assertIn(test, tests())
                self.assertEqual(test.split(".")[1][:4], number)

    def test_each_number_stands_once_and_each_numbered_test_has_a_line(self) -> None:
        numbers = [number for number, _ in rows()]
        self.assertEqual(len(numbers), len(set(numbers)))
        self.assertEqual(set(numbers), {test.split(".")[1][:4] for test in tests()})

    def test_no_line_of_a_table_is_passed_over(self) -> None:
        text = (ROOT / "docs/guide/socket-behaviours.md").read_text()
        self.assertEqual(len(re.findall(r"^\| \w", text, re.MULTILINE)), len(rows()))


if __name__ == "__main__":
    unittest.main()

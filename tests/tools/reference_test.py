#!/usr/bin/env python3
# The API reference: the comments in our headers are converted to Doxygen's, without warnings.
import importlib.util
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SPEC = importlib.util.spec_from_file_location("reference_filter", ROOT / "tools/reference/filter.py")
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)

OPENING = "// Why it exists.\n#pragma once\n"


def filtered(text: str) -> list[str]:
    """Without the description of the file."""
    return reference.Header("coax/base/a.hpp", OPENING + text).described()[2:]


class Filter(unittest.TestCase):
    def test_the_comment_that_opens_a_file_describes_it(self) -> None:
        lines = reference.Header("coax/base/a.hpp", OPENING).described()
        self.assertEqual(lines, [r"/// \file", "/// Why it exists.", ""])

    def test_a_comment_describes_the_declaration_below_it(self) -> None:
        self.assertEqual(filtered("// One.\nint x;\n"), ["/// One.", "int x;", ""])

    def test_a_comment_above_an_empty_line_describes_nothing(self) -> None:
        self.assertEqual(filtered("// One.\n\nint x;"), ["// One.", "", "int x;"])

    def test_a_comment_behind_a_declaration_describes_it_on_several_lines(self) -> None:
        self.assertEqual(filtered("int x;  // one\n        // two\n// y\nint y;"),
                         ["int x;  ///< one", "        ///< two", "/// y", "int y;"])

    def test_comments_within_functions_and_headings_stay_as_they_are(self) -> None:
        text = "void f() {\n  // why\n  g();  // NOLINT: it is so\n}\n// --- next ---\nint x;"
        self.assertEqual(filtered(text), text.split("\n"))

    def test_an_address_in_a_literal_is_no_comment(self) -> None:
        self.assertEqual(filtered('const char* x = "http://a";'), ['const char* x = "http://a";'])

    def test_labels_become_paragraphs_and_the_result_comes_first(self) -> None:
        text = "// Returns: one.\n// Throws: Error.\n// Cancelled: nothing. Thread: any.\nint f();"
        self.assertEqual(filtered(text)[:3],
                         ["/// Returns one.", r"/// \label{Throws} Error.",
                          r"/// \label{Cancelled} nothing.  \label{Thread} any."])

    def test_what_doxygen_would_read_as_commands_stands_for_itself(self) -> None:
        self.assertEqual(filtered('// a<b> \\n @x `<c>` "unix:@a" ::1\nint x;')[0],
                         r'/// a\<b\> \\n \@x `<c>` "unix:@a" \::1')

    def test_indented_lines_are_code(self) -> None:
        self.assertEqual(filtered("// Thus:\n//\n//   f<int>();\nint x;")[2], "///       f<int>();")

    def test_deleted_functions_and_attributes_are_left_out(self) -> None:
        self.assertEqual(filtered('A(const A&) = delete;\n[[nodiscard("a")]] int f();'), ["", "int f();"])

    def test_a_file_that_opens_with_the_name_of_its_class_describes_it(self) -> None:
        text = "// Pipe: bytes in order.\n#pragma once\nnamespace coax::test {\nclass Pipe {\n};\n}"
        lines = reference.Header("coax/base/a.hpp", text).described()
        self.assertEqual(lines[-2:], [r"/// \class coax::test::Pipe", "/// Pipe: bytes in order."])


class Reference(unittest.TestCase):
    @unittest.skipUnless(shutil.which("doxygen"), "there is no doxygen here")
    def test_doxygen_has_nothing_to_say_about_our_headers(self) -> None:
        with tempfile.TemporaryDirectory(prefix="coax-reference-") as folder:
            settings = f"@INCLUDE = tools/reference/Doxyfile\nOUTPUT_DIRECTORY = {folder}\nSEARCHENGINE = NO\n"
            done = subprocess.run(["doxygen", "-"], cwd=ROOT, input=settings, capture_output=True, text=True,
                                  check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            page = (pathlib.Path(folder) / "classcoax_1_1Stream.html").read_text()
            self.assertTrue("bytes in both directions" in page, "the class has the description of its file")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# tools/tidy.py reports each breach of its rules, and accepts good code.
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TIDY = ROOT / "tools" / "tidy.py"
sys.path.insert(0, str(TIDY.parent))
import tidy  # noqa: E402

HEADER = "// Why it exists.\n#pragma once\n"
SOURCE = "// Why it exists.\n"
TO_DO = "TO" + "DO"  # in pieces, so that this file passes too


class Tree(unittest.TestCase):
    """Each test writes a small tree and reads what tidy says to it."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="coax-tidy-")
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def tidy(self, files: dict[str, str]) -> list[str]:
        """Breaches as "path:line: rule"."""
        for path, text in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        _, breaches = tidy.check_tree(self.root)
        return [f"{breach.path}:{breach.line}: {breach.rule}" for breach in breaches]

    def assert_breach(self, breach: str, files: dict[str, str]) -> None:
        self.assertEqual(self.tidy(files), [breach])

    def assert_clean(self, files: dict[str, str]) -> None:
        self.assertEqual(self.tidy(files), [])


class Direction(Tree):
    def test_a_layer_includes_itself_and_those_below(self) -> None:
        text = SOURCE + '#include "coax/loop/b.hpp"\n#include "coax/base/a.hpp"\n'
        self.assert_clean({"coax/loop/x.cpp": text, "coax/base/a.hpp": HEADER, "coax/loop/b.hpp": HEADER})

    def test_a_layer_does_not_include_those_above(self) -> None:
        files = {"coax/base/x.cpp": SOURCE + '#include "coax/loop/b.hpp"\n', "coax/loop/b.hpp": HEADER}
        self.assert_breach("coax/base/x.cpp:2: direction", files)

    def test_every_folder_of_the_library_is_a_layer(self) -> None:
        self.assert_breach("coax/misc/x.cpp:1: layer", {"coax/misc/x.cpp": SOURCE})

    def test_a_layer_does_not_include_one_beside_it(self) -> None:
        files = {"coax/loop/x.cpp": SOURCE + '#include "coax/sim/b.hpp"\n', "coax/sim/b.hpp": HEADER,
                 "coax/guard/x.cpp": SOURCE + '#include "coax/stream/b.hpp"\n', "coax/stream/b.hpp": HEADER}
        self.assertEqual(self.tidy(files), ["coax/guard/x.cpp:2: direction", "coax/loop/x.cpp:2: direction"])

    def test_the_folders_of_the_program_are_layers(self) -> None:
        files = {"app/console/x.cpp": SOURCE + '#include "app/commands/b.hpp"\n', "app/commands/b.hpp": HEADER}
        self.assert_breach("app/console/x.cpp:2: direction", files)

    def test_the_layers_have_no_circle(self) -> None:
        for layer in tidy.LAYERS:  # below() would not end
            self.assertNotIn(layer, tidy.below(layer))

    def test_the_library_does_not_include_what_is_made_of_it(self) -> None:
        for path in ["services/chat/room.hpp", "app/config.hpp", "web/pages.hpp"]:
            with self.subTest(path):
                self.assert_breach("coax/http/x.cpp:2: direction", {"coax/http/x.cpp": SOURCE + f'#include "{path}"\n'})

    def test_the_library_does_not_include_its_umbrella(self) -> None:
        files = {"coax/http/x.cpp": SOURCE + '#include "coax/coax.hpp"\n', "coax/coax.hpp": HEADER}
        self.assert_breach("coax/http/x.cpp:2: direction", files)

    def test_a_service_does_not_include_a_sibling(self) -> None:
        files = {"services/chat/x.cpp": SOURCE + '#include "services/chat/y.hpp"\n#include "services/files/z.hpp"\n'}
        self.assert_breach("services/chat/x.cpp:3: direction", files)


class Includes(Tree):
    def test_a_public_header_brings_no_other_library(self) -> None:
        for path in ["boost/json.hpp", "openssl/ssl.h", "liburing.h", "nats/nats.h", "spdlog/spdlog.h"]:
            with self.subTest(path):
                files = {"coax/coax.hpp": HEADER + '#include "coax/tls/x.hpp"\n',
                         "coax/tls/x.hpp": HEADER + f"#include <{path}>\n"}
                self.assert_breach("coax/tls/x.hpp:3: private-header", files)

    def test_a_source_and_a_private_header_may(self) -> None:
        self.assert_clean({"coax/tls/a.cpp": SOURCE + '#include "coax/tls/x_private.hpp"\n#include <openssl/ssl.h>\n',
                           "coax/tls/x_private.hpp": HEADER + "#include <openssl/ssl.h>\n"})

    def test_a_public_header_does_not_include_a_private_one(self) -> None:
        files = {"coax/tls/a.cpp": SOURCE + '#include "coax/tls/b.hpp"\n',
                 "coax/tls/b.hpp": HEADER + '#include "coax/tls/x_private.hpp"\n', "coax/tls/x_private.hpp": HEADER}
        self.assert_breach("coax/tls/b.hpp:3: private-header", files)

    def test_paths_start_at_the_root(self) -> None:
        files = {"coax/base/a.cpp": SOURCE + '#include "b.hpp"\n'}
        self.assert_breach("coax/base/a.cpp:2: include-path", files)

    def test_a_codec_knows_no_descriptor(self) -> None:
        files = {"coax/codec/a.cpp": SOURCE + "#include <sys/socket.h>\n"}
        self.assert_breach("coax/codec/a.cpp:2: pure-codec", files)

    def test_a_header_that_nobody_else_includes_is_an_orphan(self) -> None:
        files = {"coax/base/a.hpp": HEADER, "coax/base/a.cpp": SOURCE + '#include "coax/base/a.hpp"\n'}
        self.assert_breach("coax/base/a.hpp:1: orphan", files)
        self.assert_clean({"coax/coax.hpp": HEADER + '#include "coax/base/a.hpp"\n'})


class Text(Tree):
    def test_a_header_has_pragma_once(self) -> None:
        self.assert_breach("services/x/a.hpp:1: pragma-once", {"services/x/a.hpp": SOURCE})

    def test_a_header_opens_no_namespace_for_others(self) -> None:
        files = {"services/x/a.hpp": HEADER + "// using namespace in a comment\nusing namespace std;\n"}
        self.assert_breach("services/x/a.hpp:4: using-namespace", files)
        self.assert_clean({"services/x/a.hpp": HEADER, "app/a.cpp": SOURCE + "using namespace std;\n"})

    def test_a_file_opens_by_telling_why_it_exists(self) -> None:
        mute = {"app/a.cpp": "int x;\n", "services/x/a.hpp": "#pragma once\n// late\n", "tools/a.py": "x = 1\n",
                "tools/b.py": "#!/usr/bin/env python3\nx = 1\n", "web/a.js": "let x;\n", "app/b.cpp": "//\n",
                "dev": "#!/usr/bin/env bash\nset -e\n", "cmake/a.cmake": "set(x 1)\n"}
        for path, text in mute.items():
            with self.subTest(path):
                line = 2 if text.startswith("#!") else 1
                self.assert_breach(f"{path}:{line}: opening", {path: text})
                (self.root / path).unlink()

    def test_no_white_space_at_the_end_of_a_line_or_missing_at_the_end_of_a_file(self) -> None:
        self.assert_breach("app/a.cpp:1: white-space", {"app/a.cpp": "// Why. \nint x;\n"})
        self.assert_breach("app/a.cpp:2: white-space", {"app/a.cpp": "// Why.\nint x;"})
        self.assert_breach("app/a.cpp:1: white-space", {"app/a.cpp": "// Why.\r\n"})

    def test_no_tabs(self) -> None:
        self.assert_breach("app/a.cpp:2: tab", {"app/a.cpp": SOURCE + "\tint x;\n"})

    def test_lines_have_120_columns_counted_in_characters(self) -> None:
        self.assert_clean({"app/a.cpp": "// " + "é" * 117 + "\n"})
        self.assert_breach("app/a.cpp:1: line-length", {"app/a.cpp": "// " + "x" * 118 + "\n"})

    def test_a_table_in_markdown_may_be_wide(self) -> None:
        self.assert_clean({"docs/a.md": "| " + "x" * 200 + " |\n"})

    def test_what_is_left_to_do_has_an_issue(self) -> None:
        self.assert_clean({"app/a.cpp": SOURCE + f"// {TO_DO}(#12): later\n"})
        self.assert_breach("app/a.cpp:2: todo", {"app/a.cpp": SOURCE + f"// {TO_DO}: later\n"})

    def test_tests_do_not_sleep(self) -> None:
        for call in ["std::this_thread::sleep_for(1s);", "usleep(1000);", "::sleep(1);"]:
            with self.subTest(call):
                self.assert_breach("tests/base/a_test.cpp:2: sleep", {"tests/base/a_test.cpp": SOURCE + call + "\n"})
        self.assert_clean({"tests/base/a_test.cpp": SOURCE + "co_await sleep(1s);  // sleep_for\n"})

    def test_a_lock_file_names_no_registry(self) -> None:
        self.assert_breach("web/package-lock.json:1: registry", {"web/package-lock.json": '{"resolved": "x"}\n'})


class Length(Tree):
    def test_a_file_has_600_lines(self) -> None:
        self.assert_clean({"app/a.cpp": SOURCE + "int x;\n" * 599})
        self.assert_breach("app/a.cpp:601: file-length", {"app/a.cpp": SOURCE + "int x;\n" * 600})

    def test_a_function_has_70_lines(self) -> None:
        self.assert_clean({"app/a.cpp": SOURCE + "void f() {\n" + "  g();\n" * 68 + "}\n"})
        files = {"app/a.cpp": SOURCE + "void f() {\n" + "  g();\n" * 69 + "}\n"}
        self.assert_breach("app/a.cpp:2: function-length", files)

    def test_a_function_in_python_too(self) -> None:
        self.assert_breach("tools/a.py:2: function-length", {"tools/a.py": "# Why.\ndef f():\n" + "    g()\n" * 70})

    def test_functions_are_found_in_every_shape(self) -> None:
        shapes = {
            "plain": "int plain(int a) {\n%s}",
            "Class::Class": "Class::Class(int a) : a_{a}, b_(a) {\n%s}",
            "with_default": "void with_default(Options options = {}) {\n%s}",
            "trailing": "auto trailing() const noexcept -> std::vector<int> {\n%s}",
            "constrained": "template <class T>\n  requires(sizeof(T) == 1)\nvoid constrained(T t) {\n%s}",
            "member": "class A final : public B {\n public:\n  void member() override {\n%s}\n};",
            "in_namespace": "namespace a::b {\nnamespace {\nvoid in_namespace() {\n%s}\n}\n}",
            "in_template": "template <class T, class = void>\nstruct A<T*> {\n  void in_template() {\n%s}\n};",
            "Suite.case_name": "TEST(Suite, case_name) {\n%s}",
            "operator==": "bool operator==(const A& a, const A& b) {\n%s}",
            "after_strings": "auto s = \"{{{\";\nchar c = '{';\nauto r = R\"(}{{)\";\nvoid after_strings() {\n%s}",
            "after_macro": "#define OPEN {\nvoid after_macro() {\n%s}",
            "nested": "void nested() {\n  auto f = [] {\n%s  };\n}",
        }
        for name, shape in shapes.items():
            with self.subTest(name):
                file = tidy.File("app/a.cpp", SOURCE + shape % ("  g();\n" * 80))
                self.assertEqual([(found, lines > 80) for found, _, lines in tidy.functions(file)], [(name, True)])

    def test_tables_and_types_are_no_functions(self) -> None:
        for text in ["constexpr int table[] = {\n%s};", "enum class E {\n%s};", "std::array<int, 9> table{\n%s};",
                     "const auto table = make({\n%s});", "struct alignas(64) A {\n%s};"]:
            with self.subTest(text):
                file = tidy.File("app/a.cpp", SOURCE + text % ("  1,\n" * 80))
                self.assertEqual([lines for _, _, lines in tidy.functions(file) if lines > 70], [])


class Program(Tree):
    def test_it_prints_what_to_do_and_fails(self) -> None:
        self.tidy({"app/a.cpp": "int x;\n"})
        run = subprocess.run([sys.executable, TIDY, self.root], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertIn("app/a.cpp:1: opening: open with a comment", run.stdout)

    def test_it_passes_a_clean_tree_and_skips_what_was_built(self) -> None:
        self.tidy({"app/a.cpp": SOURCE, "build/x.cpp": "\t", "tests/node_modules/x.js": "\t", ".git/x.py": "\t"})
        run = subprocess.run([sys.executable, TIDY, self.root], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, "tidy: 1 files, all good\n"))


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# A program outside this tree uses the installed library, found by CMake and by pkg-config; its source includes every
# public header. A program that uses only the core does not link the libraries of HTTP. And CMake refuses the compiler
# that miscompiles.
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(os.environ.get("COAX_SOURCE", pathlib.Path(__file__).resolve().parent.parent.parent))
BUILD = pathlib.Path(os.environ.get("COAX_BUILD", ROOT / "build" / "release"))
COMPILER = "clang++-19"

CMAKE_LISTS = """
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(Coax REQUIRED)
add_executable(consumer consumer.cpp)
target_link_libraries(consumer PRIVATE Coax::coax)
"""
# Links the log, thus a library that ours uses and users do not name.
MAIN = """
int main() {
  coax::log::info("{}", coax::format_size(coax::parse_size("64KiB").value()));
  return coax::has_control("plain") ? 1 : 0;
}
"""


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} failed:\n{done.stdout}{done.stderr}")
    return done


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="coax-package-")
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.prefix = cls.root / "prefix"
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "library")
        include = cls.prefix / "include"
        headers = sorted(header.relative_to(include) for header in include.rglob("*.hpp"))
        cls.headers = headers
        source = "".join(f"#include <{header}>\n" for header in headers) + MAIN
        (cls.root / "consumer.cpp").write_text(source)
        (cls.root / "CMakeLists.txt").write_text(CMAKE_LISTS)

    def assert_runs(self, program: pathlib.Path) -> None:
        libraries = next(self.prefix.rglob("libcoax.*")).parent
        self.assertIn("64KiB", run(program, env=os.environ | {"LD_LIBRARY_PATH": str(libraries)}).stderr)

    def test_headers_lie_under_include_coax(self) -> None:
        self.assertIn(pathlib.Path("coax/base/bytes.hpp"), self.headers)
        self.assertEqual({header.parts[0] for header in self.headers}, {"coax"})

    def test_found_by_cmake(self) -> None:
        build = self.root / "build"
        run("cmake", "-G", "Ninja", "-S", self.root, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={COMPILER}")
        run("cmake", "--build", build)
        self.assert_runs(build / "consumer")

    def flags(self, component: str) -> list[str]:
        path = next(self.prefix.rglob("coax.pc")).parent
        return run("pkg-config", "--cflags", "--libs", component,
                   env=os.environ | {"PKG_CONFIG_PATH": str(path)}).stdout.split()

    def test_found_by_pkg_config(self) -> None:
        program = self.root / "consumer-pkg-config"
        run(COMPILER, "-std=c++23", self.root / "consumer.cpp", "-o", program, *self.flags("coax"))
        self.assert_runs(program)

    def test_a_program_with_http_uses_the_component_of_that_name(self) -> None:
        program = self.root / "hello"
        run(COMPILER, "-std=c++23", ROOT / "examples/http_hello.cpp", "-o", program, *self.flags("coax-http"))
        self.assertIn("libcrypto", run("ldd", program).stdout)

    def test_the_core_does_not_link_what_http_needs(self) -> None:
        program = self.root / "core"
        run(COMPILER, "-std=c++23", ROOT / "examples/echo_server.cpp", "-o", program, *self.flags("coax"))
        self.assertNotIn("libcrypto", run("ldd", program).stdout)

    def test_a_component_that_does_not_exist_is_an_error(self) -> None:
        folder = self.root / "mistaken"
        folder.mkdir()
        lists = CMAKE_LISTS.replace("Coax REQUIRED", "Coax REQUIRED COMPONENTS htpp")
        (folder / "CMakeLists.txt").write_text(lists)
        done = subprocess.run(["cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build",
                               f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_CXX_COMPILER={COMPILER}"],
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no component htpp; it has coax, tls, http", " ".join(done.stderr.split()))

    def test_the_guide_to_the_stream_contract_is_a_program_that_passes(self) -> None:
        guide = (ROOT / "docs/guide/stream-contract.md").read_text()
        program = (ROOT / "examples/tests/counting_stream_test.cpp").read_text()
        examples = [path.read_text() for path in (ROOT / "examples/tests").glob("*.?pp")]
        for code in re.findall(r"```cpp\n(.*?)```", guide, re.DOTALL):
            self.assertTrue(any(code in text for text in examples), code)
        source = self.root / "contract"
        source.mkdir()
        (source / "CMakeLists.txt").write_text(re.search(r"```cmake\n(.*?)```", guide, re.DOTALL)[1])
        (source / "counting_stream_test.cpp").write_text(program.replace('#include "coax/', "#include <coax/")
                                                         .replace('.hpp"', ".hpp>"))
        build = source / "build"
        run("cmake", "-G", "Ninja", "-S", source, "-B", build, f"-DCMAKE_PREFIX_PATH={self.prefix}",
            f"-DCMAKE_CXX_COMPILER={COMPILER}")
        run("cmake", "--build", build)
        self.assertIn("PASSED", run(build / "counting_stream_test").stdout)

    @unittest.skipUnless(shutil.which("g++-12"), "there is no g++-12 here")
    def test_every_header_refuses_gcc_12(self) -> None:
        for header in self.headers:
            with self.subTest(header=header):
                done = subprocess.run(["g++-12", "-std=c++23", "-E", "-I", self.prefix / "include", "-x", "c++", "-"],
                                      input=f"#include <{header}>\n", capture_output=True, text=True, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("Coax needs GCC 13 or newer", done.stderr)

    @unittest.skipUnless(shutil.which("g++-12"), "there is no g++-12 here")
    def test_find_package_refuses_gcc_12(self) -> None:
        done = subprocess.run(["cmake", "-G", "Ninja", "-S", self.root, "-B", self.root / "gcc",
                               f"-DCMAKE_PREFIX_PATH={self.prefix}", "-DCMAKE_CXX_COMPILER=g++-12"],
                              capture_output=True, text=True, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("GCC 12 miscompiles coroutines", " ".join(done.stderr.split()))


class Compiler(unittest.TestCase):
    @unittest.skipUnless(shutil.which("g++-12"), "there is no g++-12 here")
    def test_cmake_refuses_gcc_12(self) -> None:
        with tempfile.TemporaryDirectory(prefix="coax-gcc-") as build:
            command = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, "-DCMAKE_CXX_COMPILER=g++-12"]
            refused = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("miscompiles coroutines", refused.stderr)


if __name__ == "__main__":
    unittest.main()

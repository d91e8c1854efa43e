#!/usr/bin/env python3
# The compiler reports misuse of the library: snippets that must not compile with -Werror, and those that must.
import os
import pathlib
import subprocess
import unittest

ROOT = pathlib.Path(os.environ.get("COAX_SOURCE", pathlib.Path(__file__).resolve().parent.parent.parent))
COMPILER = ["clang++-19", "-std=c++23", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT), "-x", "c++",
            "-"]

HEAD = """
#include <array>
#include <filesystem>
#include <string>
#include <vector>
#include "coax/coax.hpp"
using namespace coax;
using namespace std::chrono_literals;
std::string text();
std::vector<char> chars();
Task<> nothing();
[[maybe_unused]] static void consume(BytesView) {}
"""

# Each is the body of `Task<> f(Stream& stream, SocketListener& listener, DatagramTransport& udp, Event& event,
# Channel<int>& channel, TaskGroup& group, Future<int>& future)`.
FORGOTTEN = """
stream.recv();
stream.send("x");
stream.flush();
stream.shutdown_send();
stream.recv_exactly(3);
listener.accept();
udp.recv_from();
udp.send("x");
udp.flush();
event.wait();
channel.recv();
channel.send(1);
group.join();
sleep(1s);
sleep_until(Clock::now());
checkpoint();
race(nothing(), nothing());
all(nothing(), nothing());
timeout(1s, nothing());
shield(nothing());
this_context();
nothing();
run_on(Loop::current(), nothing());
offload([] { return 1; });
connect("127.0.0.1:1");
""".strip().splitlines()

DANGLING = """
BytesView bytes = text(); consume(bytes);
BytesView bytes = std::string("x"); consume(bytes);
BytesView bytes = chars(); consume(bytes);
BytesView bytes = std::vector<char>(3); consume(bytes);
BytesView bytes(text()); consume(bytes);
""".strip().splitlines()

RIGHT = """
co_await stream.send(text());
co_await stream.send(chars());
co_await stream.send(std::array<std::byte, 2>{});
std::string own = text(); BytesView bytes = own; consume(bytes); co_await stream.send(own);
const Received bytes = co_await stream.recv(); consume(bytes); if (bytes == "PING") co_return;
BytesView bytes = co_await stream.recv(); consume(bytes);
consume(text());
const std::vector<char> own = chars(); BytesView bytes(own); consume(bytes.first(1));
co_await race(stream.recv(), event.wait());
char bytes[8]{}; co_await stream.send(std::span(bytes)); co_await stream.send(BytesView(bytes, 3)); consume("literal");
group.spawn([own = text()]() -> Task<> { co_await nothing(); });
const auto empty = []() -> Task<std::vector<int>> { co_return {}; }; (void)(co_await empty());
int value = co_await future; group.spawn(nothing()); (void)value;
http::App app; app.get("/", [p = std::make_unique<int>()](http::Request&) { return http::Response{.status = *p}; });
(void)Handler([own = std::make_unique<std::string>()](Stream& stream) -> Task<> { co_await stream.send(*own); });
""".strip().splitlines()


# The words that the error must contain.
WRONG_TYPES = {
    "serve({}, [](Stream&) { return 1; });": "a handler takes coax::Stream& or coax::Connection& and returns Task<>",
    "serve({}, [](int) -> Task<> { co_return; });": "a handler takes coax::Stream& or coax::Connection&",
    'http::App app; app.get("/", [](http::Request&) { return ""; });': "for a text return coax::http::Response::text",
    'http::App app; app.post("/", [] { return http::Response(); });': "a route's handler takes coax::http::Request&",
    "http::App app; app.use([](http::Request&) { return http::Response(); });":
        "a middleware takes coax::http::Request& and coax::http::Next",
    'http::Value data{{"when", 3s}};': "a coax::http::Value is made from nullptr, bool, numbers, text in UTF-8",
    "http::Value data; data.set(\"mark\", 'c');": "a char is a number or a text: convert it",
    'http::Value data{{"list", std::vector<Stream*>()}};': "a coax::http::Value is made from",
    'http::Value data{{"maybe", std::optional<Endpoint>()}};': "a coax::http::Value is made from",
    "const std::filesystem::path path; http::Value data(path);": "a coax::http::Value is made from",
    'struct T { bool b; }; (void)http::member("b", &T::b).length(1, 2);': "for a number there is .range()",
    'struct T { int n; }; (void)http::member("n", &T::n).length(1, 2);': ".length() is for members that are",
    'struct T { std::string s; }; (void)http::member("s", &T::s).range(1, 2);': "there is .length()",
    "char buffer[8]{}; co_await stream.send(buffer);": "deleted",  # it would send 7 bytes, whatever is in them
}


def errors(bodies: list[str]) -> str:
    functions = "".join(
        f"[[maybe_unused]] static Task<> f{number}(Stream& stream, SocketListener& listener, DatagramTransport& udp, "
        f"Event& event, Channel<int>& channel, TaskGroup& group, Future<int>& future) {{\n"
        "(void)stream, (void)listener, (void)udp, (void)event, (void)channel, (void)group, (void)future;\n"
        f"#line {number + 1} \"snippet\"\n{body}\nco_return;\n}}\n"
        for number, body in enumerate(bodies))
    done = subprocess.run(COMPILER + ["-ferror-limit=0"], input=HEAD + functions, capture_output=True, text=True,
                          check=False)
    return done.stderr


class Compiler(unittest.TestCase):
    def check(self, bodies: list[str], warning: str) -> None:
        found = [line for line in errors(bodies).splitlines() if line.startswith("snippet:") and "error:" in line]
        for number, body in enumerate(bodies):
            said = [line for line in found if line.startswith(f"snippet:{number + 1}:")]
            with self.subTest(body):
                self.assertTrue(said and all(warning in line for line in said), said)

    def test_warns_of_a_forgotten_co_await(self) -> None:
        self.check(FORGOTTEN, "-Wunused-")

    def test_warns_of_bytes_whose_owner_is_gone(self) -> None:
        self.check(DANGLING, "-Wdangling")

    def test_says_in_words_what_a_type_must_be(self) -> None:
        for body, words in WRONG_TYPES.items():
            with self.subTest(body):
                self.assertIn(words, errors([body]))

    def test_says_nothing_about_right_programs(self) -> None:
        self.assertEqual(errors(RIGHT), "")


if __name__ == "__main__":
    unittest.main()

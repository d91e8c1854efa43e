#!/usr/bin/env python3
# Common behaviour of all commands: lost output is a failure, unknown words are reported with the nearest known one, the
# help is readable, exit codes mean the same, and JSON has plain numbers.

import fcntl
import os
import re
import resource
import socket
import subprocess
import unittest

import support
from support import LOCALHOST, WAIT_S, Program, coax

COMMANDS = ("serve", "chat", "echo", "connect", "listen", "ports", "resolve", "ip", "doctor")
# Commands that print and end by themselves, without a peer.
PRINTING = (("ip",), ("ip", "--json"), ("ip", "127.0.0.1"), ("ip", "10.0.0.0/8", "--contains", "10.0.0.1"),
            ("doctor",), ("doctor", "--json"), ("ports",), ("ports", "--json"), ("ports", "--free", "1"),
            ("resolve", "127.0.0.1"), ("resolve", "--json", "127.0.0.1"), ("--help",), ("--version",), ("help", "ip"),
            *((command, "--help") for command in COMMANDS))


def run_into(output: int | None, *arguments: str, **options: object) -> tuple[int, str]:
    """The exit code and standard error, with `output` as standard output; None: it is closed."""
    closed = {"preexec_fn": lambda: os.close(1)} if output is None else {}
    ran = subprocess.run([coax(), *arguments], stdout=output, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
                         timeout=WAIT_S, check=False, env=support.environment(), **closed, **options)
    return ran.returncode, ran.stderr.decode()


class LostOutput(unittest.TestCase):
    def test_a_full_device_is_a_failure(self) -> None:
        with open("/dev/full", "wb") as full:
            for arguments in PRINTING:
                with self.subTest(arguments):
                    self.assertEqual(run_into(full.fileno(), *arguments),
                                     (1, "coax: write to standard output: No space left on device\n"))

    def test_a_closed_standard_output_is_a_failure(self) -> None:
        for arguments in PRINTING:
            with self.subTest(arguments):
                self.assertEqual(run_into(None, *arguments),
                                 (1, "coax: write to standard output: Bad file descriptor\n"))

    def test_a_reader_that_has_gone_is_a_failure_that_needs_no_words(self) -> None:
        for arguments in PRINTING:
            with self.subTest(arguments):
                reader, writer = os.pipe()
                os.close(reader)
                with open(writer, "wb"):
                    self.assertEqual(run_into(writer, *arguments), (1, ""))

    def test_a_reader_that_leaves_a_connection_needs_no_words(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as server:
            reader, writer = os.pipe()
            program = subprocess.Popen([coax(), "connect", f"{LOCALHOST}:{server.getsockname()[1]}"], stdout=writer,
                                       stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=support.environment())
            os.close(writer)
            with program, server.accept()[0] as peer:
                os.close(reader)
                peer.sendall(b"unread")
                self.assertEqual(program.communicate(timeout=WAIT_S), (None, b""))
                self.assertEqual(program.returncode, 1)

    def test_an_output_that_somebody_made_non_blocking_loses_nothing(self) -> None:
        wanted = subprocess.run([coax(), "ports", "--json", "1-400"], stdout=subprocess.PIPE, check=False,
                                env=support.environment(), timeout=WAIT_S)
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(writer, False)
        with open(writer, "wb") as output, open(reader, "rb") as reading:
            program = subprocess.Popen([coax(), "ports", "--json", "1-400"], stdout=output, env=support.environment())
            output.close()
            got = reading.read(4096)  # it waits with a full pipe
            while more := reading.read(4096):
                got += more
            self.assertEqual(program.wait(WAIT_S), wanted.returncode)
        self.assertEqual(got.count(b"\n"), wanted.stdout.count(b"\n"))
        self.assertGreater(len(got), 4096)

    def test_with_a_peer_too(self) -> None:
        with open("/dev/full", "wb") as full, Program(coax(), "echo", "listen", "0") as server:
            address = server.output.wait_for("listening on ").split()[-1]
            for arguments in (("echo", address, "--count", "1"), ("connect", "--check", address),
                              ("connect", "--check", "--json", address), ("connect", "--json", address)):
                with self.subTest(arguments):
                    code, said = run_into(full.fileno(), *arguments)
                    self.assertEqual(code, 1)
                    self.assertEqual(said.count("write to standard output: No space left on device"), 1, said)

    def test_a_hub_whose_banner_is_lost_says_so_and_serves(self) -> None:
        with open("/dev/full", "wb") as full:
            hub = subprocess.Popen([coax(), "serve", "--port", "0", "--web-port", "0"], stdout=full,
                                   stderr=subprocess.PIPE, env=support.environment())
            log = support.Output(hub.stderr)
            try:
                log.wait_for("write to standard output: No space left on device")
                hub.terminate()
                self.assertEqual(hub.wait(WAIT_S), 1)
            finally:
                hub.kill()

    def test_a_standard_error_that_is_lost_changes_nothing(self) -> None:
        with open("/dev/full", "wb") as full:
            for arguments, code in ((("serv",), 2), (("ip", "x"), 2), (("connect", "--timeout", "x", "1"), 2)):
                with self.subTest(arguments):
                    ran = subprocess.run([coax(), *arguments], stdout=subprocess.PIPE, stderr=full, timeout=WAIT_S,
                                         check=False, env=support.environment())
                    self.assertEqual(ran.returncode, code)


class Words(unittest.TestCase):
    def assert_refused(self, arguments: tuple[str, ...], said: str) -> None:
        with self.subTest(arguments):
            ran = support.run(*arguments)
            self.assertEqual((ran.returncode, ran.stdout), (2, b""), ran.stderr)
            self.assertEqual(ran.stderr.decode().splitlines()[0], said)
            self.assertRegex(ran.stderr.decode(), r"\nTry: coax [a-z]* ?--help\n\Z")

    def test_unknown_words_name_the_nearest_that_exists(self) -> None:
        for arguments, said in {
            ("serv",): 'coax: there is no command "serv"; did you mean serve?',
            ("conn",): 'coax: there is no command "conn"; did you mean connect?',
            ("lsiten",): 'coax: there is no command "lsiten"; did you mean listen?',
            ("help", "prots"): 'coax: there is no command "prots"; did you mean ports?',
            ("hlep",): 'coax: there is no command "hlep"; did you mean help?',
            ("version",): 'coax: there is no command "version"; did you mean --version?',
            ("xyzzy",): 'coax: there is no command "xyzzy"',
            ("\x1b[31m",): 'coax: there is no command "\\x1B[31m"',
            ("--verison",): "coax: there is no option --verison before the command; did you mean --version?",
            ("serve", "--prot", "3"): "coax serve: there is no option --prot; did you mean --port?",
            ("serve", "--prot=3"): "coax serve: there is no option --prot; did you mean --port?",
            ("serve", "-p", "3"): "coax serve: there is no option -p; did you mean --port?",
            ("connect", "--tiemout", "3s", "1"): "coax connect: there is no option --tiemout; did you mean --timeout?",
            ("echo", "-uj", "1"): "coax echo: there is no option -j; did you mean --json?",
            ("doctor", "json"): 'coax doctor: "json" is one argument too many; did you mean --json?',
            ("connect", "a", "b", "c"): 'coax connect: "c" is one argument too many',
        }.items():
            self.assert_refused(arguments, said)

    def test_what_is_missing_or_no_number_is_named(self) -> None:
        for arguments, said in {
            (): "coax: give a command: serve, chat, http, echo, connect, listen, ports, resolve, ip, cert, doctor",
            ("connect",): "coax connect: TARGET is missing",
            ("resolve", "--json"): "coax resolve: NAME[:PORT|:SERVICE] is missing",
            ("echo", "1", "--count"): "coax echo: --count needs a value: N",
            ("echo", "1", "--json=yes"): "coax echo: --json takes no value",
            ("echo", "1", "--count", "x"): 'coax echo: --count "x" is not a number from 1 to 10000000',
            ("echo", "1", "--count", "0"): 'coax echo: --count "0" is not a number from 1 to 10000000',
            ("ports", "--free", "-1"): 'coax ports: --free "-1" is not a number from 1 to 1000',
        }.items():
            self.assert_refused(arguments, said)

    def test_the_last_of_an_option_counts(self) -> None:
        ran = support.run("ports", "--free", "3", "--free", "1")
        self.assertEqual((ran.returncode, ran.stdout.count(b"\n")), (0, 1))

    def test_words_after_two_dashes_are_no_options(self) -> None:
        self.assertIn(b'"--json" is no IP address', support.run("ip", "--", "--json").stderr)

    def test_help_and_version(self) -> None:
        for ask in ("help",), ("--help",), ("-h",):
            ran = support.run(*ask)
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
            self.assertIn(b"Usage: coax COMMAND", ran.stdout)
        self.assertEqual(support.run("-V").stdout, support.run("--version").stdout)
        self.assertRegex(support.run("-V").stdout, rb"^\d+\.\d+\.\d+\n$")

    def test_each_command_has_a_help_with_examples_and_without_leftovers(self) -> None:
        for command in COMMANDS:
            with self.subTest(command):
                text = support.run("help", command).stdout.decode()
                self.assertEqual(text, support.run(command, "--help").stdout.decode())
                self.assertEqual(text, support.run(command, "--no-such-option", "-h").stdout.decode())
                self.assertIn(f"\nUsage: coax {command} [OPTIONS]", text)
                self.assertIn("\n\nExamples:\n  ", text)
                self.assertGreaterEqual(len(re.findall(rf"coax {command}\b", text.partition("Examples:")[2])), 2)
                for leftover in ("REQUIRED", "Positional", "POSITIONAL", "TEXT", "UINT", "Excludes", "(1x)", "[0..1]",
                                 "Print this help message and exit"):
                    self.assertNotIn(leftover, text)
                self.assertLessEqual(max(map(len, text.splitlines())), 120)


class ExitCodes(unittest.TestCase):
    def test_a_name_that_is_not_found_is_3_everywhere(self) -> None:
        for arguments in (("resolve", "no-such-name.invalid"), ("resolve", "--json", "no-such-name.invalid"),
                          ("connect", "no-such-name.invalid:80"), ("connect", "--udp", "no-such-name.invalid:80"),
                          ("connect", "--check", "no-such-name.invalid:80"),
                          ("chat", "no-such-name.invalid", "--nick", "a"),
                          ("echo", "no-such-name.invalid:80"), ("echo", "--udp", "no-such-name.invalid:80"),
                          ("echo", "listen", "no-such-name.invalid:80"),
                          ("echo", "listen", "--udp", "no-such-name.invalid:80"),
                          ("listen", "no-such-name.invalid:80"), ("listen", "--udp", "no-such-name.invalid:80"),
                          ("serve", "--listen", "no-such-name.invalid")):
            with self.subTest(arguments):
                ran = support.run(*arguments)
                self.assertEqual(ran.returncode, 3, ran.stderr)
                self.assertIn(b"no-such-name.invalid", ran.stderr + ran.stdout)

    def test_a_time_limit_names_the_operation_and_the_peer(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as silent:  # accepted by the kernel, and no answer
            address = f"{LOCALHOST}:{silent.getsockname()[1]}"
            ran = support.run("echo", address, "--count", "1", "--timeout", "200ms")
            self.assertEqual(ran.returncode, 1)
            self.assertEqual(ran.stderr.decode(), f"coax echo: recv the echo from {address}: no answer within 200ms\n")


class Json(unittest.TestCase):
    def test_numbers_have_no_exponent(self) -> None:
        with Program(coax(), "echo", "listen", "0") as server:
            address = server.output.wait_for("listening on ").split()[-1]
            port = address.rpartition(":")[2]
            for arguments in (("echo", address, "--count", "10"), ("echo", address, "--count", "1", "--size", "1B"),
                              ("connect", "--check", address), ("connect", address), ("resolve", "127.0.0.1", "::1"),
                              ("resolve", "--reverse", "127.0.0.1"), ("ports",), ("ports", port), ("ip",),
                              ("ip", "::/0"), ("doctor",)):
                with self.subTest(arguments):
                    out = support.run(*arguments, "--json").stdout.decode()
                    self.assertNotEqual(out, "")
                    self.assertNotRegex(out, r"[:\[,]-?\d+(\.\d+)?[eE]")


@unittest.skipIf(support.has_asan(), "UBSan calls an object broken when it has no descriptor to look at it")
class FewDescriptors(unittest.TestCase):
    def check(self, limit: int, *arguments: str) -> tuple[int, str, str]:
        ran = subprocess.run([coax(), "connect", "--check", *arguments], capture_output=True, timeout=WAIT_S, text=True,
                             check=False, env=support.environment(), stdin=subprocess.DEVNULL,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit)))
        return ran.returncode, ran.stdout, ran.stderr

    def test_a_port_that_answers_is_found_among_many_with_few_descriptors(self) -> None:
        with socket.create_server((LOCALHOST, 0), backlog=64) as server:
            port = server.getsockname()[1]
            first = max(1, port - 300)
            for limit in 10, 12, 16, 24, 32:
                with self.subTest(limit):
                    code, out, said = self.check(limit, f"{LOCALHOST}:{first}-{port}")
                    self.assertEqual((code if code != 0 else 1, said), (1, ""))
                    self.assertRegex(out, rf"127\.0\.0\.1:{port} +open")

    def test_without_any_descriptor_it_does_not_say_that_nobody_answers(self) -> None:
        with socket.create_server((LOCALHOST, 0)) as server:
            for limit in range(3, 8):
                with self.subTest(limit):
                    code, out, said = self.check(limit, f"{LOCALHOST}:{server.getsockname()[1]}")
                    self.assertIn(code, (0, 1, 127))  # 127: not even the program's libraries could be opened
                    self.assertEqual(code == 0, "open" in out and "not tried" not in out)
                    if code:
                        self.assertRegex(said + out, "Too many open files|while loading shared libraries")


if __name__ == "__main__":
    unittest.main()

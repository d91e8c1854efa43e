#!/usr/bin/env python3
# Name resolution on a minimal machine: only loopback, a hosts file of its own, no name server. All commands agree. Runs
# in a network and mount namespace of its own; skipped where that is not permitted.

import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

from support import WAIT_S, coax

HOSTS = """
127.0.0.1 localhost
127.0.0.9 nine.test
::1 six.test
127.0.0.8 both.test
::1 both.test
"""


def in_namespace(script: str, *, loopback_up: bool = True) -> str:
    """What a Python script prints there; COAX names the program."""
    with tempfile.NamedTemporaryFile("w", suffix=".hosts") as hosts:
        hosts.write(HOSTS)
        hosts.flush()
        up = "ip link set lo up" if loopback_up else "true"
        shell = f"mount --bind {hosts.name} /etc/hosts && {up} && exec {sys.executable} -c \"$SCRIPT\""
        environment = {**os.environ, "SCRIPT": PRELUDE + textwrap.dedent(script)}
        done = subprocess.run(["unshare", "-n", "-m", "sh", "-c", shell], capture_output=True, text=True,
                              timeout=WAIT_S, check=False, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


PRELUDE = f"""
import os, socket, subprocess
def run(*arguments, given=b""):
    done = subprocess.run([{coax()!r}, *arguments], input=given, capture_output=True, timeout={WAIT_S})
    return done.returncode, (done.stdout + done.stderr).decode()
def listener(address, family=socket.AF_INET):
    made = socket.create_server((address, 0), family=family)
    return made, made.getsockname()[1]
"""


def is_permitted() -> bool:
    if not shutil.which("unshare") or not shutil.which("ip"):
        return False
    return subprocess.run(["unshare", "-n", "-m", "true"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(is_permitted(), "network and mount namespaces need root, unshare and ip")
class OnlyLoopback(unittest.TestCase):
    def test_nobody_connects_to_itself(self) -> None:
        out = in_namespace("""
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
                ports.write("22500 22503")
            print({run("connect", "--check", f"127.0.0.1:{port}")[0] for port in range(22500, 22504) for _ in range(8)})
            print({run("echo", "22501", "--count", "1")[0] for _ in range(8)})
        """)
        self.assertEqual(out.splitlines(), ["{3}", "{3}"])

    def test_a_name_of_the_hosts_file_is_known_to_all(self) -> None:
        out = in_namespace("""
            server, port = listener("127.0.0.9")
            print(run("connect", "--check", f"nine.test:{port}"))
            server.accept()[0].close()
            print(run("resolve", "nine.test")[0])
            client = subprocess.Popen([os.environ["COAX"], "connect", f"nine.test:{port}"], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)
            connection, peer = server.accept()
            print(connection.getsockname()[0])
            connection.close()
            client.communicate(b"", timeout=30)
        """)
        self.assertIn("127.0.0.9", out)
        self.assertTrue(out.startswith("(0, "), out)

    def test_localhost_reaches_a_server_on_ipv6_only(self) -> None:
        out = in_namespace("""
            server, port = listener("::1", socket.AF_INET6)
            for name in "localhost", "localhost.", "a.localhost", "LOCALHOST":
                print(run("connect", "--check", f"{name}:{port}")[0])
        """)
        self.assertEqual(out.split(), ["0"] * 4)

    def test_localhost_reaches_a_server_on_ipv4_only(self) -> None:
        out = in_namespace("""
            server, port = listener("127.0.0.1")
            for name in "localhost", "a.localhost.":
                print(run("connect", "--check", f"{name}:{port}")[0])
        """)
        self.assertEqual(out.split(), ["0"] * 2)

    def test_a_name_of_ipv6_is_never_tried_over_ipv4(self) -> None:
        out = in_namespace("""
            server, port = listener("127.0.0.1")
            code, text = run("connect", f"six.test:{port}")
            print(code, "127.0.0.1" in text)
            print(run("resolve", "six.test")[1])
        """)
        self.assertEqual(out.splitlines()[0], "3 False")
        self.assertNotIn("127.0.0.1", out)

    def test_any_free_port_is_free_at_all_addresses_of_a_name(self) -> None:
        out = in_namespace("""
            import signal
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w") as ports:
                ports.write("22600 22603")
            taken = [socket.create_server(("127.0.0.8", port)) for port in (22600, 22601)]
            for _ in range(6):
                server = subprocess.Popen([os.environ["COAX"], "serve", "--listen", "both.test", "--port", "0",
                                           "--web-port", "22700"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                          text=True)
                for line in server.stdout:  # to its end, when it cannot be opened
                    if "listening" in line:
                        server.send_signal(signal.SIGINT)
                        break
                rest = server.communicate(timeout=30)[0]
                print(server.returncode, "in use" in rest)
        """)
        self.assertEqual(set(out.splitlines()), {"0 False"}, out)

    def test_without_loopback_the_error_says_what_is_wrong(self) -> None:
        out = in_namespace("""
            print(run("connect", "nine.test:1"))
        """, loopback_up=False)
        self.assertIn("127.0.0.9:1", out)

    def test_names_below_invalid_do_not_exist(self) -> None:
        out = in_namespace("""
            print(run("connect", "a.invalid:80"))
        """)
        self.assertIn("resolve a.invalid: ", out)


class Everywhere(unittest.TestCase):
    def said(self, *arguments: str) -> str:
        done = subprocess.run([coax(), *arguments], capture_output=True, text=True, timeout=WAIT_S, check=False,
                              stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def test_a_port_is_a_number_up_to_65535(self) -> None:
        for port in "65536", "65616", "+80", " 80", "-1", "0x50", "80 ", "1e3", "":
            for command in (["resolve", f"localhost:{port}"], ["connect", f"localhost:{port}"],
                            ["connect", "--udp", f"127.0.0.1:{port}"], ["listen", f"127.0.0.1:{port}"],
                            ["echo", f"127.0.0.1:{port}"], ["serve", "--port", port or "x"], ["ports", port or "x"],
                            ["chat", f"127.0.0.1:{port}", "--nick", "x"]):
                with self.subTest(command=command):
                    self.assertTrue(self.said(*command))

    def test_a_link_local_address_needs_its_interface(self) -> None:
        for command in (["connect", "[fe80::1]:80"], ["listen", "[fe80::1]:0"], ["connect", "--udp", "[fe80::1]:80"]):
            with self.subTest(command=command):
                self.assertIn("needs the interface that it is on, as in fe80::1%eth0", self.said(*command))

    def test_an_interface_that_is_not_there_is_named(self) -> None:
        self.assertIn("this machine has no interface nope", self.said("connect", "[fe80::1%nope]:80"))

    def test_a_service_that_is_unknown_is_named(self) -> None:
        said = self.said("resolve", "localhost:nosuchservice")
        self.assertIn("resolve the service nosuchservice: this system does not know it", said)


if __name__ == "__main__":
    unittest.main()

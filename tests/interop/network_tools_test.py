#!/usr/bin/env python3
# `coax ports`, `coax resolve` and `coax ip`: their statements are correct, for people and for programs, and invalid
# input gets a clear error.

import getpass
import ipaddress
import json
import os
import pathlib
import socket
import subprocess
import unittest
from typing import Any

import support
from support import LOCALHOST


def output_of(*arguments: str, code: int = 0) -> str:
    ran = support.run(*arguments)
    assert ran.returncode == code, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout.decode()


def objects(*arguments: str, code: int = 0) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output_of(*arguments, "--json", code=code).splitlines()]


def refusal(*arguments: str, code: int = 2) -> str:
    ran = support.run(*arguments)
    assert (ran.returncode, ran.stdout) == (code, b""), (ran.returncode, ran.stdout, ran.stderr)
    return ran.stderr.decode()


def listener(address: str = LOCALHOST) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, 0), family=family)


def datagrams() -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((LOCALHOST, 0))
    return udp


def port_of(bound: socket.socket) -> int:
    return bound.getsockname()[1]


OURSELVES = {"pid": os.getpid(), "name": pathlib.Path("/proc/self/comm").read_text(encoding="utf-8").strip()}


class Ports(unittest.TestCase):
    def test_what_listens_is_listed_with_its_process_and_user(self) -> None:
        with listener() as tcp, datagrams() as udp:
            rows = output_of("ports").splitlines()
            self.assertEqual(rows[0].split(),
                             ["proto", "address", "port", "service", "class", "user", "process"])
            for protocol, bound in (("tcp", tcp), ("udp", udp)):
                own = next(row for row in rows if row.split()[:3] == [protocol, LOCALHOST, str(port_of(bound))])
                self.assertIn(f"{OURSELVES['name']} (pid {OURSELVES['pid']})", own)
                self.assertIn(getpass.getuser(), own)
            self.assertFalse([row for row in output_of("ports", "--udp").splitlines() if row.startswith("tcp")])

    def test_the_list_for_programs(self) -> None:
        with listener() as tcp:
            listening = objects("ports")[0]["listening"]
            own = next(each for each in listening if each["port"] == port_of(tcp))
            self.assertEqual((own["protocol"], own["address"], own["processes"]), ("tcp", LOCALHOST, [OURSELVES]))

    def test_a_port_that_is_listened_on_is_held_and_by_whom(self) -> None:
        with listener() as tcp:
            port = str(port_of(tcp))
            out = output_of("ports", port, code=1)
            self.assertIn(f"{port}/tcp  held", out)
            self.assertIn(f"at {LOCALHOST}:{port}, {OURSELVES['name']} (pid {OURSELVES['pid']})", out)
            self.assertIn("held", output_of("ports", port, "--address", LOCALHOST, code=1))
            self.assertIn("free", output_of("ports", port, "--address", "127.0.0.2"))
            self.assertIn("free", output_of("ports", port, "--udp"))
            # The listener was not disturbed: it still accepts connections.
            with socket.create_connection(tcp.getsockname(), support.WAIT_S):
                tcp.settimeout(support.WAIT_S)
                tcp.accept()[0].close()

    def test_one_of_udp_is_held(self) -> None:
        with datagrams() as udp:
            answer = objects("ports", "--udp", str(port_of(udp)), code=1)[0]
            self.assertEqual((answer["state"], answer["holders"][0]["processes"]), ("held", [OURSELVES]))

    def test_a_range_is_told_port_by_port(self) -> None:
        with listener() as tcp:
            port = port_of(tcp)
            answers = objects("ports", f"{port - 1}-{port}", code=1)
            self.assertEqual([answer["port"] for answer in answers], [port - 1, port])
            self.assertEqual(answers[1]["state"], "held")

    def test_services_and_classes(self) -> None:
        http = objects("ports", "http", "65535", "--address", "127.0.0.3")
        start = int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii"))
        self.assertEqual((http[0]["port"], http[0]["service"]), (80, "http"))
        self.assertEqual(http[0]["class"], "privileged" if start > 80 else "well-known")
        self.assertEqual(http[1]["class"], "dynamic")

    @unittest.skipUnless(os.geteuid() == 0, "only root may change the user")
    def test_port_without_permission_is_not_reported_as_held(self) -> None:
        if int(pathlib.Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text(encoding="ascii")) < 2:
            self.skipTest("no port needs rights here")
        try:
            ran = subprocess.run([support.coax(), "ports", "1"], capture_output=True, check=False, user=65534,
                                 timeout=support.WAIT_S, env=support.environment())
        except PermissionError:
            self.skipTest("uid 65534 may not run the program in its folder")
        self.assertEqual(ran.returncode, 1, ran.stderr)
        self.assertRegex(ran.stdout.decode(), r"1/tcp  not permitted +privileged.*for root and CAP_NET_BIND_SERVICE")

    @unittest.skipUnless(os.geteuid() == 0, "only root may change the user")
    def test_processes_of_others_are_not_visible_and_that_is_said(self) -> None:
        with listener() as tcp:
            try:
                ran = subprocess.run([support.coax(), "ports"], capture_output=True, check=False, user=65534,
                                     timeout=support.WAIT_S, env=support.environment())
            except PermissionError:
                self.skipTest("uid 65534 may not run the program in its folder")
            own = next(line for line in ran.stdout.decode().splitlines() if f" {port_of(tcp)} " in line)
            self.assertIn("process not visible: that needs more rights", own)

    def test_free_ones_are_found_and_can_be_used(self) -> None:
        ports = [int(line) for line in output_of("ports", "--free", "5").splitlines()]
        self.assertEqual(len(set(ports)), 5)
        with listener() as tcp:
            port = port_of(tcp)
            found = objects("ports", "--free", "1", f"{port}-{port + 20}")[0]["free"]
            self.assertNotIn(port, found)
            self.assertEqual(output_of("ports", "--free", "2", str(port), code=1), "")

    def test_bad_input(self) -> None:
        for bad in ("0", "65536", "no-such-service", "-", "1.5", "80\x1b[31m"):
            with self.subTest(bad):
                said = refusal("ports", "--", bad)
                self.assertIn("is no port (1 to 65535)", said)
                self.assertNotIn("\x1b", said)
        self.assertIn("write 8000-8010", refusal("ports", "8010-8000"))
        self.assertIn("write 5-10", refusal("connect", "--check", f"{LOCALHOST}:10-5"))
        self.assertIn("is no IP address", refusal("ports", "80", "--address", "localhost"))
        self.assertIn("from 1 to 1000", refusal("ports", "--free", "0"))
        self.assertIn("192.0.2.200", refusal("ports", "8080", "--address", "192.0.2.200", code=3))


class Resolve(unittest.TestCase):
    def test_a_name_with_a_service(self) -> None:
        answer = objects("resolve", "localhost:http")[0]
        self.assertIn({"address": LOCALHOST, "version": 4, "port": 80}, answer["addresses"])
        self.assertGreaterEqual(answer["ms"], 0)
        lines = output_of("resolve", "localhost:http").splitlines()
        self.assertRegex(lines[0], r"^localhost:http .*\(\d+\.\d ms\)$")
        self.assertIn("  127.0.0.1:80", lines)

    def test_literals_need_nobody(self) -> None:
        self.assertEqual(objects("resolve", "::1", "[::1]:443", "127.0.0.1")[1]["addresses"],
                         [{"address": "::1", "version": 6, "port": 443}])

    def test_names_of_an_address(self) -> None:
        expected = socket.gethostbyaddr(LOCALHOST)
        self.assertEqual(objects("resolve", "--reverse", LOCALHOST)[0]["names"], [expected[0], *expected[1]])

    def test_the_resolvers_reason_is_told(self) -> None:
        self.assertIn("resolve no-such-name.invalid: ", refusal("resolve", "no-such-name.invalid", code=3))
        answer = objects("resolve", "no-such-name.invalid", code=3)[0]
        self.assertIn(answer["reason"], {"EAI_NONAME", "EAI_AGAIN"})
        self.assertEqual(answer["name"], "no-such-name.invalid")
        self.assertEqual(objects("resolve", "localhost:no-such-service", code=2)[0]["reason"], "EAI_SERVICE")

    def test_bad_input(self) -> None:
        for bad in ("", ":80", "name:", "[::1", "[]:80", "[::1]x"):
            with self.subTest(bad):
                self.assertIn("is not NAME, NAME:PORT or NAME:SERVICE", refusal("resolve", bad))
        self.assertIn("give an IP address", refusal("resolve", "--reverse", "localhost"))
        self.assertNotIn("\x1b", refusal("resolve", "a\x1b[31mb", code=3))


class Ip(unittest.TestCase):
    def test_what_addresses_are_for_is_what_python_says(self) -> None:
        texts = ["127.0.0.1", "10.1.2.3", "8.8.8.8", "100.64.0.1", "169.254.1.1", "224.0.0.1", "240.0.0.1", "::1",
                 "fe80::1", "fc00::1", "2001:db8::1", "2606:4700::1111", "ff02::1", "0.0.0.0", "255.255.255.255"]
        for text, answer in zip(texts, objects("ip", *texts), strict=True):
            with self.subTest(text):
                expected = ipaddress.ip_address(text)
                self.assertEqual(answer["version"], expected.version)
                self.assertEqual(answer["loopback"], expected.is_loopback)
                self.assertEqual(answer["multicast"], expected.is_multicast)
                self.assertEqual(answer["link_local"], expected.is_link_local)
                self.assertEqual(answer["pointer"], expected.reverse_pointer)
                if not expected.is_multicast:
                    self.assertEqual(answer["global"], expected.is_global)

    def test_networks_are_as_large_as_python_says(self) -> None:
        texts = ["10.0.0.0/8", "192.168.1.128/25", "0.0.0.0/0", "1.2.3.4/32", "2001:db8::/32", "::/0", "::1/128"]
        for text, answer in zip(texts, objects("ip", *texts), strict=True):
            with self.subTest(text):
                expected = ipaddress.ip_network(text)
                self.assertEqual(int(answer["count"]), expected.num_addresses)
                self.assertEqual(answer["first"], str(expected[0]))
                self.assertEqual(answer["last"], str(expected[-1]))
                self.assertEqual(answer["mask"], str(expected.netmask))

    def test_for_people(self) -> None:
        self.assertEqual(output_of("ip", "10.0.0.0/30"),
                         "10.0.0.0/30\n  IPv4, private (RFC 1918)\n  range    10.0.0.0 to 10.0.0.3\n"
                         "  mask     255.255.255.252\n"
                         "  count    4 addresses, the first and the last of which are for no host\n")

    def test_what_contains_what(self) -> None:
        self.assertEqual(output_of("ip", "10.0.0.0/8", "--contains", "10.1.2.3"), "10.0.0.0/8 contains 10.1.2.3\n")
        self.assertFalse(objects("ip", "10.0.0.0/8", "--contains", "11.0.0.1", code=1)[0]["contained"])

    def test_this_machine(self) -> None:
        interfaces = objects("ip")[0]["interfaces"]
        self.assertEqual({each["name"]: each["index"] for each in interfaces},
                         {name: index for index, name in socket.if_nameindex()})
        loopback = next(each for each in interfaces if each["name"] == "lo")
        self.assertIn({"address": LOCALHOST, "prefix": 8, "use": "loopback: this machine itself (RFC 1122)"},
                      loopback["addresses"])

    def test_bad_input(self) -> None:
        self.assertIn("10.0.0.0/8 was probably meant", refusal("ip", "10.0.0.1/8"))
        for bad in ("localhost", "1.2.3", "", "1.2.3.4.5", "::g", "1.2.3.4/33", "x/8"):
            with self.subTest(bad):
                refusal("ip", bad)


class Help(unittest.TestCase):
    def test_has_examples_and_exit_codes(self) -> None:
        for command in ("ports", "resolve", "ip"):
            out = output_of(command, "--help")
            self.assertIn("Exit codes: 0", out)
            self.assertIn(f"\n  coax {command}", out)

    def test_a_reader_that_left_is_no_crash(self) -> None:
        left = subprocess.run(f"{support.coax()} ports 1000-3000 | head -1 >/dev/null; exit ${{PIPESTATUS[0]}}",
                              shell=True, executable="/bin/bash", check=False, timeout=support.WAIT_S,
                              env=support.environment(), capture_output=True)
        self.assertIn(left.returncode, {0, 1, 141})


if __name__ == "__main__":
    unittest.main()

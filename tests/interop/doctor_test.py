#!/usr/bin/env python3
# `coax doctor`: its statements about this machine are correct, for people and for programs.

import json
import os
import resource
import unittest

import support


def findings(**extra: str) -> dict[str, dict[str, str]]:
    ran = support.run("doctor", "--json", extra=extra)
    assert ran.returncode == 0, ran.stderr
    return {each["name"]: each for each in json.loads(ran.stdout)["findings"]}


class DoctorTest(unittest.TestCase):
    def test_it_tells_people_line_by_line(self) -> None:
        ran = support.run("doctor")
        self.assertEqual((ran.returncode, ran.stderr), (0, b""))
        lines = ran.stdout.decode().splitlines()
        self.assertRegex(lines[0], r"^Coax \d+\.\d+\.\d+$")
        for name in ("back-end", "io_uring", "open files", "backlog", "congestion", "IPv6"):
            self.assertTrue(any(line.startswith(f"  {name} ") for line in lines), name)
        self.assertNotIn("\x1b", ran.stdout.decode())

    def test_what_it_says_is_so(self) -> None:
        found = findings()
        self.assertEqual(found["back-end"]["text"], "epoll, the default")
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        self.assertTrue(found["open files"]["text"].startswith(f"{hard} "))
        with open("/proc/sys/net/core/somaxconn", encoding="ascii") as file:
            self.assertTrue(found["backlog"]["text"].startswith(file.read().strip()))
        self.assertIn(f"{os.uname().release} on {os.uname().machine}", found["system"]["text"])

    def test_it_follows_the_environment(self) -> None:
        self.assertEqual(findings(COAX_BACKEND="sim")["back-end"]["text"].split(",")[1], " by COAX_BACKEND=sim")
        self.assertEqual(findings(COAX_SPIN="off")["spinning"]["text"], "off, by COAX_SPIN=off")

    def test_what_cannot_run_is_told_and_is_a_failure(self) -> None:
        ran = support.run("doctor", extra={"COAX_BACKEND": "kqueue"})
        self.assertEqual(ran.returncode, 1)
        self.assertIn('"kqueue" is none of epoll, uring', ran.stdout.decode())


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# Python's datagrams and those of our loop: examples/udp_echo returns each datagram unchanged to its sender.

import socket
import unittest

from support import WAIT_S
from tutorials import serving


def client(port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(WAIT_S)
    made.connect(("127.0.0.1", port))
    return made


class Echo(unittest.TestCase):
    def test_each_comes_back_whole(self) -> None:
        with serving("udp_echo", protocol="udp") as server, client(server.port) as one:
            for datagram in [b"hello", b"", b"\x00\xff\n", bytes(range(256)) * 200, b"x" * 65507, b"and again"]:
                one.send(datagram)
                self.assertEqual(one.recv(65536), datagram)

    def test_each_comes_back_to_whom_it_came_from(self) -> None:
        with serving("udp_echo", protocol="udp") as server:
            clients = [client(server.port) for _ in range(20)]
            for turn in range(20):
                for number, each in enumerate(clients):
                    each.send(f"{number}:{turn}".encode())
                for number, each in enumerate(clients):
                    self.assertEqual(each.recv(100), f"{number}:{turn}".encode())
            for each in clients:
                each.close()

    def test_a_client_that_is_gone_disturbs_no_other(self) -> None:
        with serving("udp_echo", protocol="udp") as server, client(server.port) as stays:
            for _ in range(50):
                with client(server.port) as goes:
                    goes.send(b"no answer, please")
                stays.send(b"still there?")
                self.assertEqual(stays.recv(100), b"still there?")


if __name__ == "__main__":
    unittest.main()

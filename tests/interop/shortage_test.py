#!/usr/bin/env python3
# coax listen and coax connect with a shortage: of descriptors, addresses or time.

import contextlib
import hashlib
import os
import pathlib
import resource
import signal
import socket
import subprocess
import tempfile
import unittest

import support
from exchange import Listening, started
from support import LOCALHOST, WAIT_S, Program, Server, coax, read_to_end


class Shortage(unittest.TestCase):
    @unittest.skipIf(support.has_asan(), "UBSan calls an object broken when it has no descriptor to look at it")
    def test_without_descriptors_clients_wait(self) -> None:
        with Listening("--keep-open") as listening:
            used = len(os.listdir(f"/proc/{listening.process.pid}/fd"))
            usual = resource.prlimit(listening.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(listening.process.pid, resource.RLIMIT_NOFILE, (used, usual[1]))
            with listening.connect() as client:
                client.sendall(b"later\n")
                listening.log.wait_for("clients wait")
                self.assertIsNone(listening.process.poll())
                resource.prlimit(listening.process.pid, resource.RLIMIT_NOFILE, usual)
                listening.output.wait_for("later")
            listening.send_signal(signal.SIGINT)
            self.assertEqual(listening.wait(), 0)

    def test_a_client_of_each_address_in_the_same_moment(self) -> None:
        addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
        if len(addresses) < 2 or not socket.has_ipv6:
            self.skipTest("localhost has one address here")
        for flags in (), ("--keep-open",):
            with self.subTest(flags), Program(coax(), "listen", *flags, "localhost:0") as listening:
                listening.log.wait_for("listening on ", len(addresses))
                port = int(listening.log.wait_for("listening on ").rpartition(":")[2])
                listening.send_signal(signal.SIGSTOP)  # so that it sees both at once
                clients = [socket.create_connection((address, port), WAIT_S) for address in sorted(addresses)]
                for client in clients:
                    client.settimeout(WAIT_S)
                    client.sendall(b"x")
                    client.shutdown(socket.SHUT_WR)
                listening.send_signal(signal.SIGCONT)
                listening.send(b"answer\n")
                listening.finish()
                ends = []
                for client in clients:
                    with client, contextlib.suppress(ConnectionError):
                        ends.append(read_to_end(client))
                self.assertIn(b"answer\n", ends)
                if flags:  # the second was served after the first, and others are waited for
                    listening.send_signal(signal.SIGINT)
                self.assertEqual(listening.wait(), 0)
                self.assertEqual(listening.output.wait_for_end(), "xx" if flags else "x")

    def test_a_name_is_listened_on_where_this_machine_has_its_addresses(self) -> None:
        script = ("ip link set lo up && echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 && "
                  "printf '127.0.0.1 both.test\\n::1 both.test\\n' > $0/hosts && mount --bind $0/hosts /etc/hosts && "
                  "exec \"$@\"")
        alone = ["unshare", "-rnm", "sh", "-c", script]
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name)
            tried = subprocess.run([*alone, str(path), "true"], stderr=subprocess.PIPE, timeout=WAIT_S)
            if tried.returncode != 0:
                self.skipTest(f"no network namespace here: {tried.stderr.decode()}")
            for command in (["listen", "both.test:7000"], ["listen", "--udp", "both.test:7000"],
                            ["echo", "listen", "both.test:7000"], ["echo", "listen", "--udp", "both.test:7000"],
                            ["serve", "--listen", "both.test", "--port", "7000", "--web-port", "7001"]):
                with self.subTest(command), Program(*alone, str(path), coax(), *command) as listening:
                    said = listening.log if command[0] == "listen" else listening.output
                    self.assertIn("127.0.0.1:7000", said.wait_for("listening"))
                    self.assertNotIn("[::1]:700", listening.output.text())
                    listening.send_signal(signal.SIGTERM)
                    listening.wait()
            with Program(*alone, str(path), coax(), "listen", "[::1]:7000") as listening:
                self.assertEqual(listening.wait(), 3)
                self.assertNotIn("listening on", listening.log.wait_for_end())

    def test_signals_without_a_meaning_are_ignored_and_a_hangup_ends_it(self) -> None:
        with Listening("--keep-open") as listening:
            for number in support.STRAY_SIGNALS:
                listening.send_signal(number)
            with listening.connect() as client:
                client.sendall(b"still here\n")
                listening.output.wait_for("still here")
            listening.send_signal(signal.SIGHUP)
            self.assertEqual(listening.wait(), 0)

    def test_an_output_that_is_not_read_is_no_silence_of_the_peer(self) -> None:
        data = os.urandom(1 << 20) * 8
        for flags in ("--wait", "200ms"), ("--idle", "200ms", "--wait", "200ms"):
            with self.subTest(flags), Server(lambda peer: peer.sendall(data)) as server:
                reading, writing = os.pipe()
                with started("connect", *flags, server.address, stdin=subprocess.DEVNULL, stdout=writing) as process:
                    os.close(writing)
                    with open(reading, "rb") as output:
                        with self.assertRaises(subprocess.TimeoutExpired):  # several times as long as the limit
                            process.wait(1)
                        self.assertEqual(hashlib.sha256(output.read()).digest(), hashlib.sha256(data).digest())
                    self.assertEqual(process.wait(WAIT_S), 0)


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# The example of docs/guide/embedding.md: an echo server in GLib's main loop answers, and SIGINT ends it.

import os
import pathlib
import signal
import socket
import unittest

from support import LOCALHOST, WAIT_S, Program

EXAMPLE = pathlib.Path(os.environ["COAX_EXAMPLES"]) / "glib_loop"


@unittest.skipUnless(EXAMPLE.exists(), "built without GLib")
class GlibLoop(unittest.TestCase):
    def test_echoes_beside_glibs_timer_and_ends_by_sigint(self) -> None:
        for backend in ("epoll", "auto"):
            with self.subTest(backend), Program(str(EXAMPLE), "0", extra={"COAX_BACKEND": backend}) as program:
                port = int(program.output.wait_for("listening on ").rpartition(":")[2])
                with socket.create_connection((LOCALHOST, port), WAIT_S) as client:
                    client.settimeout(WAIT_S)
                    for text in (b"first", b"second"):
                        client.sendall(text)
                        self.assertEqual(client.recv(100), text)
                    program.output.wait_for("1 s")
                program.send_signal(signal.SIGINT)
                self.assertEqual(program.wait(), 0)
                self.assertEqual(program.log.wait_for_end(), "")


if __name__ == "__main__":
    unittest.main()

# Helpers of the tests of `coax connect` and `coax listen`.

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import support
from support import LOCALHOST, WAIT_S, Program, coax


class Listening(Program):
    """`coax listen`, which listens."""

    def __init__(self, *arguments: str, at: str = "0", **options: object) -> None:
        super().__init__(coax(), "listen", *arguments, at, **options)
        self.address = self.log.wait_for("listening on ").rpartition(" ")[2]

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connect(self) -> socket.socket:
        client = socket.create_connection((LOCALHOST, self.port), WAIT_S)
        client.settimeout(WAIT_S)
        return client


def connecting(address: str, *arguments: str) -> Program:
    return Program(coax(), "connect", *arguments, address)


def connect(address: str, *arguments: str, given: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, standard output, standard error."""
    ran = support.run("connect", *arguments, address, given=given)
    return ran.returncode, ran.stdout, ran.stderr.decode()


@contextlib.contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """The program with standard input and output of its own; it ends with the `with`."""
    process = subprocess.Popen([coax(), *arguments], stderr=subprocess.PIPE, env=support.environment(), **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def events(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]

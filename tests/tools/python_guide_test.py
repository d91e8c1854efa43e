# docs/guide/python.md is complete: it has every name of the modules of this Python.

import asyncio
import inspect
import pathlib
import re
import select
import selectors
import socket
import ssl
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
GUIDE = (ROOT / "docs/guide/python.md").read_text()
# AF_INET, SO_REUSEADDR, PROTOCOL_TLSv1: the guide names them by family, in a sentence.
CONSTANT = re.compile(r"[A-Z0-9]+(_[A-Za-z0-9]+)*$")


def names(owner: object) -> list[str]:
    return [name for name in dir(owner)
            if not name.startswith("_") and not inspect.ismodule(getattr(owner, name)) and not is_constant(name)]


def is_constant(name: str) -> bool:
    return bool(CONSTANT.match(name)) and not name.startswith(("EVENT_", "RAND_", "DER_cert", "PEM_cert"))


def section(title: str) -> str:
    return GUIDE.split(f"\n## {title}\n")[1].split("\n## ")[0]


class Names(unittest.TestCase):
    def check(self, title: str, *owners: object, without: tuple[str, ...] = ()) -> None:
        here = set(re.findall(r"`(\w+)`", section(title)))
        for owner in owners:
            missing = set(names(owner)) - here - set(without)
            self.assertFalse(missing, f"{owner} has names that docs/guide/python.md does not")

    def test_of_socket(self) -> None:
        self.check("socket: the module", socket)
        self.check("socket: the object", socket.socket)

    def test_of_select_and_selectors(self) -> None:
        helpers = ("ABCMeta", "Mapping", "abstractmethod", "namedtuple", "error", "close")
        self.check("select and selectors", select, selectors, select.epoll, selectors.DefaultSelector, without=helpers)

    def test_of_the_streams_of_asyncio(self) -> None:
        self.check("asyncio streams", asyncio.StreamReader, asyncio.StreamWriter, asyncio.Server)

    def test_of_the_datagrams_of_asyncio(self) -> None:
        self.check("asyncio datagrams", asyncio.DatagramTransport, asyncio.DatagramProtocol)

    def test_of_ssl(self) -> None:
        others = tuple(names(socket)) + ("namedtuple", "create_connection")
        self.check("ssl", ssl, without=others)


if __name__ == "__main__":
    unittest.main()

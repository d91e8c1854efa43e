#!/usr/bin/env python3
# permessage-deflate with other implementations, in both roles and with all parameters: python3-websockets, and ws of
# Node.js where it is installed.

import asyncio
import contextlib
import itertools
import os
import pathlib
import shutil
import subprocess
import unittest
from collections.abc import Iterator

import websockets
from http_proxy_test import EXAMPLES, example
from support import LOCALHOST, WAIT_S
from websockets.extensions.permessage_deflate import (ClientPerMessageDeflateFactory, PerMessageDeflate,
                                                      ServerPerMessageDeflateFactory)

NODE_WS = pathlib.Path("/usr/share/nodejs/ws")
WINDOWS = (9, 12, 15)  # Python's zlib compresses with no window of 8 bits
TEXTS = ["", "Hello", "Hello", "x" * 10_000, "Hello Hello " * 500, "ü€𝄞" * 1000, os.urandom(2000).hex(), "Hello"]

NODE_ECHO = """
const {WebSocketServer} = require(process.argv[1]);
const server = new WebSocketServer({host: "127.0.0.1", port: 0, perMessageDeflate: JSON.parse(process.argv[2])});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => socket.on("message", (data, binary) => socket.send(data, {binary})));
"""
NODE_CLIENT = """
const {WebSocket} = require(process.argv[1]);
const socket = new WebSocket(process.argv[2], {perMessageDeflate: JSON.parse(process.argv[3])});
let count = 0, text = "Hello";
socket.on("open", () => socket.send(text));
socket.on("message", (data) => {
  if (data.toString() !== text) process.exit(3);
  if (++count === 40) return socket.close(1000);
  text += (count % 8 === 7 ? text : " " + count * 2654435761);
  socket.send(text);
});
socket.on("close", (code) => { console.log(socket.extensions, code); });
"""


def peer(url: str, server: str, client: str) -> subprocess.CompletedProcess:
    return subprocess.run([EXAMPLES / "tests" / "deflate_peer", url, server, client], capture_output=True, text=True,
                          timeout=WAIT_S, check=False)


@contextlib.contextmanager
def serving(server: str, client: str) -> Iterator[int]:
    with example("tests/deflate_peer", server, client) as (port, _):
        yield port


def side(takeover: bool, bits: int) -> str:
    return f"{bits}{'+' if takeover else ''}"


def extension_of(socket: websockets.WebSocketCommonProtocol) -> PerMessageDeflate | None:
    return next((each for each in socket.extensions if isinstance(each, PerMessageDeflate)), None)


async def echo(socket: websockets.WebSocketServerProtocol, *_: str) -> None:
    async for message in socket:
        await socket.send(message)


class Python(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    async def talk(self, port: int, factory: ClientPerMessageDeflateFactory) -> PerMessageDeflate | None:
        async with websockets.connect(f"ws://{LOCALHOST}:{port}/", compression=None, extensions=[factory],
                                      open_timeout=WAIT_S, max_size=None) as socket:
            for text in TEXTS:
                await socket.send(text)
                self.assertEqual(await asyncio.wait_for(socket.recv(), WAIT_S), text)
            return extension_of(socket)

    async def test_a_client_offers_every_combination(self) -> None:
        with serving("15+", "15+") as port:
            for no_server, no_client, server_bits, client_bits in itertools.product(
                    (False, True), (False, True), (None, *WINDOWS), (None, True, *WINDOWS)):
                with self.subTest(no_server=no_server, no_client=no_client, server=server_bits, client=client_bits):
                    agreed = await self.talk(port, ClientPerMessageDeflateFactory(no_server, no_client, server_bits,
                                                                                  client_bits))
                    assert agreed is not None
                    self.assertEqual(agreed.remote_no_context_takeover, no_server)
                    self.assertEqual(agreed.local_no_context_takeover, no_client)
                    self.assertEqual(agreed.remote_max_window_bits, server_bits or 15)

    async def test_a_server_limits_every_combination(self) -> None:
        for server_takeover, client_takeover, server_bits, client_bits in itertools.product(
                (False, True), (False, True), WINDOWS, WINDOWS):
            words = (side(server_takeover, server_bits), side(client_takeover, client_bits))
            with self.subTest(words=words), serving(*words) as port:
                agreed = await self.talk(port, ClientPerMessageDeflateFactory(client_max_window_bits=True))
                assert agreed is not None
                self.assertEqual((agreed.remote_no_context_takeover, agreed.local_no_context_takeover,
                                  agreed.remote_max_window_bits, agreed.local_max_window_bits),
                                 (not server_takeover, not client_takeover, server_bits, client_bits))

    async def test_a_window_of_8_bits_for_the_server_is_declined(self) -> None:
        with serving("15", "15") as port:
            factory = ClientPerMessageDeflateFactory(server_max_window_bits=8)
            self.assertIsNone(await self.talk(port, factory))

    async def test_our_client_with_every_server(self) -> None:
        for no_server, no_client, server_bits, client_bits in itertools.product(
                (False, True), (False, True), (None, 9, 15), (None, 9, 15)):
            factory = ServerPerMessageDeflateFactory(no_server, no_client, server_bits, client_bits)
            async with websockets.serve(echo, LOCALHOST, 0, compression=None, extensions=[factory],
                                        max_size=None) as server:
                url = f"ws://{LOCALHOST}:{server.sockets[0].getsockname()[1]}/"
                for words in [("15+", "15+"), ("15", "15"), ("10+", "9"), ("9", "12+")]:
                    with self.subTest(server=(no_server, no_client, server_bits, client_bits), client=words):
                        done = await asyncio.to_thread(peer, url, *words)
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                        self.assertIn("closed with 1000", done.stdout)

    async def test_a_bomb_is_refused_with_1009(self) -> None:
        with serving("15", "15") as port:
            async with websockets.connect(f"ws://{LOCALHOST}:{port}/", max_size=None) as socket:
                await socket.send(b"\0" * 100_000_000)
                with self.assertRaises(websockets.ConnectionClosedError) as closed:
                    await asyncio.wait_for(socket.recv(), WAIT_S)
                self.assertEqual(closed.exception.code, 1009)


@unittest.skipUnless(shutil.which("node") and NODE_WS.exists(), "ws for Node.js is not installed")
class Node(unittest.TestCase):
    PARAMETERS = ('{"threshold": 0}', '{"threshold": 0, "serverNoContextTakeover": true}',
                  '{"threshold": 0, "clientNoContextTakeover": true, "serverMaxWindowBits": 10}',
                  '{"threshold": 0, "clientMaxWindowBits": 9}', "false")

    def test_their_client(self) -> None:
        for words in [("15+", "15+"), ("15", "15"), ("10+", "12"), ("9", "9+")]:
            with serving(*words) as port:
                for parameters in self.PARAMETERS:
                    with self.subTest(server=words, client=parameters):
                        done = subprocess.run(["node", "-e", NODE_CLIENT, str(NODE_WS), f"ws://{LOCALHOST}:{port}/",
                                               parameters], capture_output=True, text=True, timeout=WAIT_S, check=False)
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                        expected = "" if parameters == "false" else "permessage-deflate"
                        self.assertEqual(done.stdout, f"{expected} 1000\n")

    def test_their_server(self) -> None:
        for parameters in self.PARAMETERS:
            with subprocess.Popen(["node", "-e", NODE_ECHO, str(NODE_WS), parameters],
                                  stdout=subprocess.PIPE, text=True) as node:
                self.addCleanup(node.kill)
                assert node.stdout is not None
                url = f"ws://{LOCALHOST}:{int(node.stdout.readline())}/"
                for words in [("15+", "15+"), ("15", "15"), ("10+", "9"), ("12", "12+")]:
                    with self.subTest(server=parameters, client=words):
                        done = peer(url, *words)
                        self.assertEqual((done.returncode, done.stderr), (0, ""))
                        self.assertIn("closed with 1000", done.stdout)
                node.kill()


if __name__ == "__main__":
    unittest.main()

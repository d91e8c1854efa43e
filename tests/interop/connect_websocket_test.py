#!/usr/bin/env python3
# `coax connect ws://...` and the example programs that are WebSocket clients, against servers of python3-websockets.

import asyncio
import base64
import contextlib
import http
import json
import os
import pathlib
import pty
import signal
import ssl
import subprocess
import sys
import unittest
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import support
import tls
import websockets
from http_proxy_test import free_port
from support import LOCALHOST, WAIT_S

EXAMPLES = pathlib.Path(os.environ["COAX_EXAMPLES"])
Handler = Callable[[websockets.WebSocketServerProtocol], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with websockets.serve(handler, LOCALHOST, 0, **options) as server:
        scheme = "wss" if "ssl" in options else "ws"
        yield f"{scheme}://{LOCALHOST}:{server.sockets[0].getsockname()[1]}"


async def echo(socket: websockets.WebSocketServerProtocol) -> None:
    async for message in socket:
        await socket.send(message)


class ConnectWebSocket(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    async def run_(self, *words: str, given: bytes = b"") -> tuple[int, bytes, str]:
        done = await asyncio.to_thread(support.run, "connect", *words, given=given)
        return done.returncode, done.stdout, done.stderr.decode()

    async def test_lines_are_messages_and_the_end_closes_with_1000(self) -> None:
        codes = []

        async def answer(socket: websockets.WebSocketServerProtocol) -> None:
            await echo(socket)
            codes.append(socket.close_code)

        async with serving(answer) as url:
            self.assertEqual(await self.run_(url, given=b"one\r\n\nthree\nlast"), (0, b"one\n\nthree\nlast\n", ""))
            long_ = b"x" * 500_000
            self.assertEqual(await self.run_(url, given=long_), (0, long_ + b"\n", ""))
        self.assertEqual(codes, [1000, 1000])

    async def test_binary_messages_pass_unchanged(self) -> None:
        received = bytearray()

        async def keep(socket: websockets.WebSocketServerProtocol) -> None:
            async for message in socket:
                assert isinstance(message, bytes)
                received.extend(message)
                await socket.send(message)

        data = os.urandom(300_000)
        async with serving(keep) as url:
            self.assertEqual(await self.run_("--binary", url, given=data), (0, data, ""))
        self.assertEqual(received, data)

    async def test_json_has_every_event(self) -> None:
        async def answer(socket: websockets.WebSocketServerProtocol) -> None:
            await socket.send((await socket.recv()).upper())
            await socket.send(b"\x00\xff")
            await socket.send("\x1b[31m")
            await socket.close(3001, "enough \u00e9")

        async with serving(answer) as url:
            code, output, errors = await self.run_("--json", url, given=b"hello\n")
        self.assertEqual(code, 1)
        self.assertIn("closed with 3001: enough \u00e9", errors)
        found = [json.loads(line) for line in output.decode().splitlines()]
        of_us = [each for each in found if each["event"] != "finished" or each["by"] == "peer"]
        self.assertEqual([each["event"] for each in of_us],
                         ["connected", "sent", "received", "received", "received", "finished", "error", "closed"])
        self.assertEqual((of_us[1]["kind"], of_us[1]["text"]), ("text", "hello"))
        self.assertEqual((of_us[2]["kind"], of_us[2]["text"]), ("text", "HELLO"))
        self.assertEqual((of_us[3]["kind"], base64.b64decode(of_us[3]["base64"])), ("binary", b"\x00\xff"))
        self.assertEqual((of_us[5]["code"], of_us[5]["reason"]), (3001, "enough \u00e9"))
        self.assertNotIn(b"\x1b", output)

    async def test_headers_protocol_and_origin_are_sent_and_shown(self) -> None:
        async def tell(socket: websockets.WebSocketServerProtocol) -> None:
            fields = socket.request_headers
            await socket.send(f"{socket.path} {socket.subprotocol} {fields['Origin']} {fields['X-A']} {fields['X-B']}")

        async with serving(tell, subprotocols=["chat"], origins=["https://a.example"]) as url:
            words = ["-v", "--protocol", "x", "--protocol", "chat", "--origin", "https://a.example", "--header", "X-A: 1",
                     "--header", "X-B:2:3", url + "/room?x=1"]
            code, output, errors = await self.run_(*words)
        self.assertEqual((code, output), (0, b"/room?x=1 chat https://a.example 1 2:3\n"))
        self.assertIn("> GET /room?x=1 HTTP/1.1", errors)
        self.assertIn("< HTTP/1.1 101 Switching Protocols", errors)
        self.assertIn("closed with 1000", errors)

    async def test_lines_that_were_not_sent_are_told(self) -> None:
        async def first_only(socket: websockets.WebSocketServerProtocol) -> None:
            await socket.recv()
            socket.transport.pause_reading()
            await socket.close(1000, "enough")

        async with serving(first_only, close_timeout=1) as url:
            lines = [b"x" * 100_000 for _ in range(400)]  # more than all buffers hold
            for words in [[url], ["--json", url]]:
                code, _, errors = await self.run_(*words, given=b"\n".join(lines))
                self.assertEqual(code, 1)
                self.assertRegex(errors, r"\d+ lines? of the input (was|were) not sent: ")

    async def test_refusals_and_wrong_arguments_have_their_exit_codes(self) -> None:
        async def redirect(*_: Any) -> tuple[http.HTTPStatus, dict[str, str], bytes]:
            return http.HTTPStatus.FOUND, {"Location": "wss://other.example/"}, b""

        async with serving(echo, process_request=redirect) as url:
            code, _, errors = await self.run_(url)
            self.assertEqual(code, 1)
            self.assertIn("the server answered 302 Found: connect to wss://other.example/", errors)
        self.assertEqual((await self.run_(f"ws://{LOCALHOST}:{free_port()}/"))[0], 3)
        async with serving(echo) as url:
            for words in [["ws://"], [url + "/#b"], ["--line", url], ["--udp", url], ["--reconnect", "1s", url],
                          ["--binary", f"{LOCALHOST}:1"], ["--header", "x", url], ["--header", "a b: c", url],
                          ["--header", "upgrade: h2c", url], ["--header", ": x", url],
                          ["--header", "X: a\r\nY: b", url],
                          ["--tls", url], ["--protocol", "a b", url], ["--insecure", url]]:
                with self.subTest(words=words):
                    code, _, errors = await self.run_(*words)
                    self.assertEqual(code, 2, errors)

    async def test_a_connection_that_is_cut_is_a_failure(self) -> None:
        async def cut(socket: websockets.WebSocketServerProtocol) -> None:
            await socket.send("half")
            socket.transport.abort()

        async with serving(cut) as url:
            code, output, errors = await self.run_("--no-input", url)
        self.assertEqual((code, output), (1, b"half\n"))
        self.assertNotEqual(errors, "")

    async def test_a_terminal_gets_no_control_characters(self) -> None:
        async def tell(socket: websockets.WebSocketServerProtocol) -> None:
            await socket.send("a\x1b[31mb\r\x07")

        async with serving(tell) as url:
            ours, theirs = pty.openpty()
            process = subprocess.Popen([support.coax(), "connect", "--no-input", url], stdin=subprocess.DEVNULL,
                                       stdout=theirs, stderr=subprocess.PIPE, env=support.environment())
            os.close(theirs)
            self.assertEqual(await asyncio.to_thread(process.wait, WAIT_S), 0)
            shown = os.read(ours, 1000)
            os.close(ours)
            process.stderr.close()
        self.assertNotIn(b"\x1b", shown)
        self.assertIn(b"a\\x1B[31mb", shown)

    async def test_wss_verifies_the_certificate(self) -> None:
        certificate = tls.leaf()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.certificate, certificate.key)
        async with serving(echo, ssl=context) as url:
            code, output, errors = await self.run_("--ca", tls.authority().certificate, "-v", url, given=b"hello\n")
            self.assertEqual((code, output), (0, b"hello\n"), errors)
            self.assertIn("TLS 1.3", errors)
            code, _, errors = await self.run_(url, given=b"hello\n")
            self.assertEqual(code, 1)
            self.assertIn("certificate", errors)

    async def test_a_server_that_is_stopped_is_given_up(self) -> None:
        server = subprocess.Popen([sys.executable, "-c", """
import asyncio, websockets
async def echo(socket):
    async for message in socket: await socket.send(message)
async def main():
    async with websockets.serve(echo, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
"""], stdout=subprocess.PIPE, text=True)
        self.addCleanup(server.wait)
        self.addCleanup(server.kill)
        assert server.stdout is not None
        self.addCleanup(server.stdout.close)
        url = f"ws://{LOCALHOST}:{int(server.stdout.readline())}/"
        with support.Program(support.coax(), "connect", "--ping", "500ms", url) as program:
            program.send(b"hello\n")
            await asyncio.to_thread(program.output.wait_for, "hello")
            server.send_signal(signal.SIGSTOP)
            self.assertEqual(await asyncio.to_thread(program.wait), 1)
            self.assertIn("nor answered a ping", program.log.wait_for_end())


@unittest.skipUnless((EXAMPLES / "websocket_sync").exists(), "the examples are not built")
class OneMessage(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    async def ask(self, program: str, text: str, **options: Any) -> None:
        code = asyncio.get_running_loop().create_future()

        async def answer(socket: websockets.WebSocketServerProtocol) -> None:
            message = await socket.recv()
            self.assertEqual(message, text)
            await asyncio.wait_for(await socket.ping(), WAIT_S)
            await socket.send(message)
            await socket.wait_closed()
            code.set_result(socket.close_code)

        async with serving(answer, **options) as url:
            env = os.environ | {"SSL_CERT_FILE": str(tls.authority().certificate)}
            done = await asyncio.to_thread(subprocess.run, [EXAMPLES / program, url, text], capture_output=True,
                                           timeout=WAIT_S, check=False, env=env)
            self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
            self.assertEqual(done.stdout.decode()[:100], (text + "\n")[:100])  # a long line is cut
            self.assertEqual(await asyncio.wait_for(code, WAIT_S), 1000)

    async def test_is_echoed_and_pings_are_answered(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.leaf().certificate, tls.leaf().key)
        for program in ("websocket_sync", "websocket_client"):
            for text in ("hello", "ä" * 50_000):
                with self.subTest(program=program, size=len(text)):
                    await self.ask(program, text)
                    await self.ask(program, text, compression=None)
                    await self.ask(program, text, ssl=context)


class Bot(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    @unittest.skipUnless((EXAMPLES / "websocket_bot").exists(), "the examples are not built")
    async def test_answers_and_connects_again(self) -> None:
        sessions: asyncio.Queue[list[str]] = asyncio.Queue()

        async def room(socket: websockets.WebSocketServerProtocol) -> None:
            answers = []
            for command in ["!help", "nothing", "!echo a b", "!time"]:
                await socket.send(command)
                if command != "nothing":
                    answers.append(await asyncio.wait_for(socket.recv(), WAIT_S))
            await sessions.put(answers)

        async with serving(room) as url:
            with support.Program(str(EXAMPLES / "websocket_bot"), url):
                for _ in range(2):
                    answers = await asyncio.wait_for(sessions.get(), WAIT_S)
                    self.assertEqual(answers[:2], ["commands: !time, !echo TEXT", "a b"])
                    self.assertRegex(answers[2], r"^20\d\d-\d\d-\d\dT")


if __name__ == "__main__":
    unittest.main()

#!/usr/bin/env python3
# The hub and the terminal client on Unix sockets, with peers that are not ours: Python's sockets and asyncio, nc.

import asyncio
import os
import pathlib
import shutil
import socket
import stat
import subprocess
import tempfile
import unittest

import support
from support import WAIT_S, Hub, Program


class UnixTest(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="coax-")))
        self.path = str(self.folder / "hub")
        self.where = f"unix:{self.path}"

    def join(self, nick: str, path: str | None = None) -> socket.socket:
        client = self.enterContext(socket.socket(socket.AF_UNIX))
        client.settimeout(WAIT_S)
        client.connect(path or self.path)
        client.sendall(nick.encode() + b"\n")
        self.expect(client, f"NICK{nick} joined the chat!\n")
        return client

    def expect(self, client: socket.socket, text: str) -> None:
        got = b""
        while len(got) < len(text) and (more := client.recv(len(text) - len(got))):
            got += more
        self.assertEqual(got.decode(), text)


class StartedTogether(UnixTest):
    def test_of_several_on_a_dead_path_one_listens(self) -> None:
        for _ in range(5):
            with socket.socket(socket.AF_UNIX) as dead:
                dead.bind(self.path)
            starts = [self.enterContext(Program(support.coax(), "echo", "listen", self.where)) for _ in range(4)]
            listening = [program for program in starts if self.listens(program)]
            self.assertEqual(len(listening), 1)
            self.assertEqual([program.wait() for program in starts if program not in listening], [3, 3, 3])
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(WAIT_S)
                client.connect(self.path)
                client.sendall(b"x")
                self.assertEqual(client.recv(1), b"x")
            listening[0].process.terminate()
            self.assertEqual(listening[0].wait(), 0)

    def listens(self, program: Program) -> bool:
        try:
            program.output.wait_for("listening on ")
        except AssertionError:  # it has ended
            return False
        return True


class HubOnAPath(UnixTest):
    def test_python_talks_to_who_came_over_tcp(self) -> None:
        with Hub("--listen", f"127.0.0.1,{self.where}") as hub:
            hub.output.wait_for(f"listening  unix  {self.where}")
            ann = self.join("ann")
            with support.join(hub, "ben") as ben:
                self.expect(ann, "ben joined the chat!\n")
                ann.sendall(b"from the path\n")
                self.assertEqual(ben.line(), b"ann: from the path")
                ben.send(b"from the port\n")
                self.expect(ann, "ann: from the path\nben: from the port\n")

    def test_alone_it_opens_no_port(self) -> None:
        with Hub("--listen", self.where) as hub:
            shown = hub.output.text()
            self.assertIn("for this machine only", shown)
            self.assertIn(f"nc -U {self.path}", shown)
            self.assertNotIn("listening  tcp", shown)
            self.assertNotIn("http", shown)
            self.join("ann")

    def test_an_abstract_name(self) -> None:
        name = f"coax-{os.getpid()}"
        with Hub("--listen", f"unix:@{name}"):
            self.join("ann", f"\0{name}")

    def test_sigterm_says_all_and_removes_the_path(self) -> None:
        with Hub("--listen", self.where) as hub:
            ann = self.join("ann")
            self.assertTrue(stat.S_ISSOCK(os.stat(self.path).st_mode))
            ann.sendall(b"last words\n")
            self.expect(ann, "ann: last words\n")
            self.assertEqual(hub.stop(), 0)
            self.assertEqual(ann.recv(1), b"")
            self.assertFalse(os.path.lexists(self.path))

    def test_what_a_killed_hub_has_left_is_replaced(self) -> None:
        with Hub("--listen", self.where) as hub:
            hub.kill()
        self.assertTrue(os.path.lexists(self.path))
        with Hub("--listen", self.where):
            self.join("ann")

    def test_another_hub_or_file_is_left_alone(self) -> None:
        with Hub("--listen", self.where):
            ran = support.run("serve", "--listen", self.where)
            self.assertEqual((ran.returncode, ran.stderr.decode()), (
                3, f"coax serve: listen on {self.where}: Address already in use; another program listens there: stop "
                   "it or choose another path\n"))
            self.join("ann")
        pathlib.Path(self.path).write_text("precious")
        ran = support.run("serve", "--listen", self.where)
        self.assertEqual(ran.returncode, 3)
        self.assertIn(b"that path is a file, not a socket", ran.stderr)
        self.assertEqual(pathlib.Path(self.path).read_text(), "precious")

    def test_a_bad_path(self) -> None:
        for path, reason in {self.path + "/x": b"does not exist", "/" + "x" * 108: b"path too long",
                             "/proc/coax": b""}.items():
            with self.subTest(path):
                ran = support.run("serve", "--listen", f"unix:{path}")
                self.assertEqual((ran.returncode, ran.stdout), (3, b""))
                self.assertIn(reason, ran.stderr)
                self.assertEqual(ran.stderr.count(b"\n"), 1, ran.stderr)

    @unittest.skipUnless(shutil.which("nc"), "there is no nc here")
    def test_nc(self) -> None:
        with Hub("--listen", self.where):
            ann = self.join("ann")
            with support.Program("nc", "-U", self.path) as nc:
                nc.send(b"netcat\nhello\n")
                nc.output.wait_for("netcat: hello")
            self.expect(ann, "netcat joined the chat!\nnetcat: hello\nnetcat left the chat!\n")


class Asyncio(UnixTest):
    def test_its_client_at_the_hub(self) -> None:
        async def talk() -> bytes:
            reader, writer = await asyncio.open_unix_connection(self.path)
            self.assertEqual(await reader.readexactly(4), b"NICK")
            writer.write(b"ann\nhello\n")
            await writer.drain()
            writer.write_eof()
            got = await reader.read()
            writer.close()
            await writer.wait_closed()
            return got

        with Hub("--listen", self.where):
            got = asyncio.run(asyncio.wait_for(talk(), WAIT_S))
        self.assertEqual(got, b"ann joined the chat!\nann: hello\n")

    def test_its_server_and_the_terminal_client(self) -> None:
        heard: list[bytes] = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"NICK")
            nick = (await reader.read(100)).strip()
            writer.write(nick + b" joined the chat!\n")
            while data := await reader.read(100):
                for text in data.split():
                    heard.append(text)
                    writer.write(nick + b": " + text + b"\n")
            writer.close()
            await writer.wait_closed()

        async def serve() -> tuple[int | None, bytes, bytes]:
            server = await asyncio.start_unix_server(handle, self.path)
            async with server:
                chat = await asyncio.create_subprocess_exec(
                    support.coax(), "chat", self.where, "--nick", "bot", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, env=support.environment())
                out, errors = await chat.communicate(b"one\ntwo\n")
                return chat.returncode, out, errors

        code, out, errors = asyncio.run(asyncio.wait_for(serve(), WAIT_S))
        self.assertEqual((code, errors), (0, b""))
        self.assertEqual(heard, [b"one", b"two"])
        self.assertIn(b"bot: two", out)


class TerminalClient(UnixTest):
    def test_it_meets_python_in_the_hub(self) -> None:
        with Hub("--listen", self.where):
            ann = self.join("ann")
            ran = support.run("chat", self.where, "--nick", "bot", given=b"hello\n")
            self.assertEqual((ran.returncode, ran.stderr), (0, b""))
            self.expect(ann, "bot joined the chat!\nbot: hello\nbot left the chat!\n")

    def test_nobody_is_there(self) -> None:
        ran = support.run("chat", self.where, "--nick", "a")
        self.assertEqual((ran.returncode, ran.stderr.decode()), (
            3, f"coax chat: connect to {self.where}: No such file or directory; is the hub running? start it with: "
               f"coax serve --listen {self.where}\n"))


if __name__ == "__main__":
    unittest.main(verbosity=2)

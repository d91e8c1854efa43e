#!/usr/bin/env python3
# The hub with very many clients, with clients that fail, and while it shuts down: all receive the same, and no client
# delays another.

import asyncio
import contextlib
import json
import os
import re
import resource
import signal
import socket
import struct
import time
import unittest
from collections.abc import Awaitable, Callable, Iterable

import support
import websockets
from support import (LOCALHOST, Client, Hub, HubTest, Program, RawWebSocket, coax, frame, has_asan, join,
                     upgrade_request)

TEXT, CLOSE = 1, 8
LOAD_WAIT_S = 60.0


class Member:
    """A member of the room, on either wire; its messages are in the form of the TCP protocol."""

    def __init__(self, nick: str) -> None:
        self.nick = nick
        self.messages: list[str] = []
        self.left: set[str] = set()
        self.joined: set[str] = set()
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()

    def note(self, line: str) -> None:
        if line.endswith(" joined the chat!"):
            self.joined.add(line.removesuffix(" joined the chat!"))
        elif line.endswith(" left the chat!"):
            self.left.add(line.removesuffix(" left the chat!"))
        else:
            self.messages.append(line)

    async def until(self, holds: Callable[["Member"], bool]) -> None:
        while not holds(self) and not self.ended.is_set():
            self.changed.clear()
            await self.changed.wait()
        assert holds(self), f"{self.nick} received {len(self.messages)} messages, then the connection ended"

    def say(self, text: str) -> None:
        raise NotImplementedError


class SocketMember(Member):
    """On a plain socket: an asyncio transport discards received bytes when it cannot send any more."""

    async def connect(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(self.socket, (LOCALHOST, port))
        asyncio.get_running_loop().add_reader(self.socket, self.read)
        self.unread = b""

    def read(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            data = b""
        if data:
            self.decode(data)
        else:
            self.end()
        self.changed.set()

    def end(self) -> None:
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()
        self.ended.set()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            assert self.ended.is_set() or self.socket.send(data) == len(data)

    def decode(self, data: bytes) -> None:
        raise NotImplementedError

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.end()


class TcpMember(SocketMember):
    @classmethod
    async def enter(cls, hub: Hub, nick: str) -> "TcpMember":
        self = cls(nick)
        await self.connect(hub.port)
        self.say(nick)
        await self.until(lambda member: nick in member.joined)
        return self

    def decode(self, data: bytes) -> None:
        *lines, self.unread = (self.unread + data).split(b"\n")
        for line in lines:
            self.note(line.decode().removeprefix("NICK"))

    def say(self, text: str) -> None:
        self.send(text.encode() + b"\n")


class AsyncioMember(TcpMember, asyncio.Protocol):
    """On an asyncio transport, which loses unread bytes when a reset prevents it from sending."""

    async def connect(self, port: int) -> None:
        self.unread = b""
        self.transport, _ = await asyncio.get_running_loop().create_connection(lambda: self, LOCALHOST, port)

    def data_received(self, data: bytes) -> None:
        self.decode(data)
        self.changed.set()

    def connection_lost(self, _: Exception | None) -> None:
        self.ended.set()
        self.changed.set()

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def end(self) -> None:
        self.transport.close()


class WebSocketMember(SocketMember):
    close_code: int | None = None

    @classmethod
    async def enter(cls, hub: Hub, nick: str) -> "WebSocketMember":
        self = cls(nick)
        await self.connect(hub.web_port)
        self.send(upgrade_request(hub.web_port))
        self.send(frame(TEXT, json.dumps({"type": "join", "nick": nick}).encode()))
        await self.until(lambda member: nick in member.joined)
        return self

    def decode(self, data: bytes) -> None:
        self.unread += data
        if self.unread.startswith(b"HTTP/1.1 101 "):
            self.unread = self.unread.partition(b"\r\n\r\n")[2]
        at = 0
        while len(self.unread) >= at + 4:
            size, head = self.unread[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(self.unread[at + 2:at + 4]), 4
            if len(self.unread) < at + head + size:
                break
            payload = self.unread[at + head:at + head + size]
            self.take(self.unread[at] & 15, payload)
            at += head + size
        self.unread = self.unread[at:]

    def take(self, opcode: int, payload: bytes) -> None:
        if opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2])
            return
        event = json.loads(payload)
        if event["type"] == "message":
            self.note(f"{event['nick']}: {event['text']}")
        elif event["type"] in {"joined", "left"}:
            self.note(f"{event['nick']} {event['type']} the chat!")

    def say(self, text: str) -> None:
        self.send(frame(TEXT, json.dumps({"type": "message", "text": text}).encode()))


async def gather(work: Iterable[Awaitable], at_once: int = 100) -> list:
    """Awaits all, `at_once` at a time."""
    free = asyncio.Semaphore(at_once)

    async def one(task: Awaitable) -> object:
        async with free:
            return await task

    return await asyncio.gather(*(one(task) for task in work))


async def enter_all(hub: Hub, tcp: int, web: int, library: int = 0) -> list[Member]:
    """That many of each kind; all have read the messages about joining."""
    members = await gather(TcpMember.enter(hub, f"tcp {number}") for number in range(tcp))
    members += await gather(AsyncioMember.enter(hub, f"library {number}") for number in range(library))
    members += await gather(WebSocketMember.enter(hub, f"web {number}") for number in range(web))
    members[0].say("all are here")
    await gather(member.until(lambda member: bool(member.messages)) for member in members)
    for member in members:
        member.messages.clear()
    return members


class Load(HubTest):
    def run_async(self, work: Awaitable) -> None:
        async def limited() -> None:
            async with asyncio.timeout(LOAD_WAIT_S):
                await work

        asyncio.run(limited())

    def assert_all_told_the_same(self, members: list[Member]) -> None:
        for member in members[1:]:
            if member.messages != members[0].messages:
                pairs = zip(members[0].messages, member.messages)
                at = next((at for at, (left, right) in enumerate(pairs) if left != right), "the end")
                self.fail(f"{members[0].nick} received {len(members[0].messages)} messages and {member.nick} "
                          f"{len(member.messages)}; they differ at {at}")


class Crowd(Load):
    def test_a_thousand_clients_get_all_messages_in_one_order(self) -> None:
        async def work() -> None:
            members = await enter_all(self.hub, 960, 40)
            speakers = members[::40]
            for number in range(4):
                for speaker in speakers:
                    speaker.say(f"message {number}")
            expected = 4 * len(speakers)
            await gather(member.until(lambda member: len(member.messages) >= expected) for member in members)
            self.assert_all_told_the_same(members)
            self.assertEqual(sorted(members[0].messages), sorted(
                f"{speaker.nick}: message {number}" for speaker in speakers for number in range(4)))
            self.assertEqual([member.left for member in members], [set()] * len(members))
            for member in members:
                member.end()

        self.run_async(work())


class SlowReaders(Load):
    flags = ("--outbox-bytes-max", "64KiB")

    def test_who_never_reads_is_disconnected_and_disturbs_nobody(self) -> None:
        async def work() -> None:
            readers = await enter_all(self.hub, 8, 2)
            lazy = self.enterContext(join(self.hub, "lazy tcp", recv_buffer=4096))
            lazy_page = self.enterContext(RawWebSocket(self.hub.web_port, recv_buffer=4096))
            lazy_page.send(frame(TEXT, b'{"type":"join","nick":"lazy page"}'))
            await gather(reader.until(lambda reader: "lazy page" in reader.joined) for reader in readers)
            count = 0
            while any(reader.left != {"lazy tcp", "lazy page"} for reader in readers):
                self.assertLess(count, 10_000, "40 MB were not enough to fill an outbox of 64 KiB")
                count += 1
                readers[count % 10].say("x" * 4000)
                await gather(reader.until(lambda reader: len(reader.messages) == count) for reader in readers)
            self.assert_all_told_the_same(readers)
            with self.assertRaises(ConnectionResetError, msg="what was cut must not look like an end"):
                await asyncio.to_thread(lazy.rest)
            self.assertNotIn(b"end of the world", lazy.unread)
            for reader in readers:
                reader.end()

        self.run_async(work())
        self.hub.log.wait_for("reads too slowly", 2)


class BrokenClients(Load):
    def test_200_resets_at_once(self) -> None:
        async def work() -> None:
            victims = await gather(TcpMember.enter(self.hub, f"victim {number}") for number in range(200))
            witnesses = await enter_all(self.hub, 5, 2)
            for victim in victims:
                victim.reset()
            names = {victim.nick for victim in victims}
            await gather(witness.until(lambda witness: witness.left == names) for witness in witnesses)
            witnesses[0].say("still here")
            await gather(witness.until(lambda witness: bool(witness.messages)) for witness in witnesses)
            again = await TcpMember.enter(self.hub, "victim 0")
            for member in [again, *witnesses]:
                member.end()

        self.run_async(work())

    def test_a_client_that_is_killed_has_left(self) -> None:
        witness = self.join("witness")
        for number in range(3):
            with Program(coax(), "chat", self.hub.address, "--nick", f"victim {number}") as victim:
                self.assertEqual(witness.line(), b"victim %d joined the chat!" % number)
                victim.send(b"hello\n")
                self.assertEqual(witness.line(), b"victim %d: hello" % number)
                victim.kill()
            self.assertEqual(witness.line(), b"victim %d left the chat!" % number)


class LastSeconds(Load):
    async def talk(self, member: Member) -> None:
        """Keeps a few messages under way, until the connection ends."""
        own = f"{member.nick}: "
        said = seen = come_back = 0
        while not member.ended.is_set():
            come_back += sum(message.startswith(own) for message in member.messages[seen:])
            seen = len(member.messages)
            while said < come_back + 4:
                member.say(f"message {said}")
                said += 1
            member.changed.clear()
            await member.changed.wait()

    def test_sigterm_under_load(self) -> None:
        async def work() -> None:
            members = await enter_all(self.hub, 50, 10, 10)
            talking = [asyncio.create_task(self.talk(member)) for member in members]
            await members[0].until(lambda member: len(member.messages) > 5000)
            begin = time.monotonic()
            self.hub.send_signal(signal.SIGTERM)
            self.assertEqual(await asyncio.to_thread(self.hub.wait), 0)
            self.assertLess(time.monotonic() - begin, 10, "that is the drain time")
            await asyncio.gather(*(member.ended.wait() for member in members))
            self.assert_all_told_the_same(members)
            self.assertEqual({member.close_code for member in members if isinstance(member, WebSocketMember)},
                             {1001})
            await asyncio.gather(*talking)

        self.run_async(work())

    def test_sigterm_while_a_websocket_library_sends(self) -> None:
        """The library reports a loss when the end comes during a send: the hub lets the client close."""
        async def chat(number: int, everybody: asyncio.Barrier) -> tuple[int, int]:
            last = 0
            async with websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws") as client:
                await client.send(json.dumps({"type": "join", "nick": f"member {number}"}))
                await everybody.wait()
                talking = asyncio.create_task(talk(client))
                with contextlib.suppress(websockets.ConnectionClosed):
                    async for data in client:
                        last = json.loads(data).get("seq", last)
                        if last == 1000 and number == 0:
                            self.hub.send_signal(signal.SIGTERM)
                await talking
                return client.close_code, last

        async def talk(client: websockets.WebSocketClientProtocol) -> None:
            with contextlib.suppress(websockets.ConnectionClosed):
                while True:
                    await client.send(json.dumps({"type": "message", "text": "hello"}))
                    await asyncio.sleep(0)  # the others' turn

        async def work() -> None:
            everybody = asyncio.Barrier(10)
            ends = await asyncio.gather(*(chat(number, everybody) for number in range(10)))
            self.assertEqual(set(ends), {(1001, ends[0][1])})

        self.run_async(work())
        self.assertEqual(self.hub.wait(), 0)

    def test_sigterm_with_a_reader_that_hangs(self) -> None:
        flags = ["--drain", "1s", "--outbox-bytes-max", "64MiB"]
        with Hub(*flags) as hub, join(hub, "hanging", recv_buffer=4096), join(hub, "alice") as alice:
            for _ in range(5000):  # more than what the kernel takes
                alice.send(b"x" * 4000 + b"\n")
                alice.line()
            begin = time.monotonic()
            self.assertEqual(hub.stop(), 0)
            took = time.monotonic() - begin
            self.assertEqual(alice.rest(), b"")
            self.assertTrue(0.9 < took < 5, took)


@unittest.skipIf(has_asan(), "with it goes UBSan, which calls an object broken when it has no descriptor to look at it")
class Descriptors(unittest.TestCase):
    def test_out_of_descriptors(self) -> None:
        with Hub("--threads", "1", descriptors_max=100) as hub:
            hub.log.wait_for("ulimit -n")
            with join(hub, "first") as first:
                waiting = [Client(port) for _ in range(100) for port in (hub.port, hub.web_port)]
                hub.log.wait_for("new connections wait")
                first.send(b"still here\n")
                self.assertEqual(first.line(), b"first: still here")
                cpu = self.cpu_seconds(hub)
                begin = time.monotonic()
                for number in range(100):
                    first.send(b"%d\n" % number)
                    self.assertEqual(first.line(), b"first: %d" % number)
                self.assertLess(self.cpu_seconds(hub) - cpu, 0.5 + time.monotonic() - begin)
                for client in waiting:
                    client.close()
                with join(hub, "second") as second, RawWebSocket(hub.web_port) as page:
                    page.send(frame(TEXT, b'{"type":"join","nick":"page"}'))
                    second.skip_to(b"page joined the chat!")

    def test_io_uring_holds_more_connections_than_files_may_be_open(self) -> None:
        if b"can be had" not in support.run("doctor").stdout:
            self.skipTest("io_uring is not allowed here")
        if tuple(int(part) for part in os.uname().release.split(".")[:2]) < (6, 8):
            self.skipTest("this kernel's io_uring gives no descriptor back from its table")
        with Hub("--threads", "1", extra={"COAX_BACKEND": "uring"}, descriptors_max=150) as hub:
            line = hub.log.wait_for("ulimit -n")
            promised = int(re.search(r"at most (\d+) connections,", line)[1])
            self.assertGreater(promised, 200)  # 150 in the table, and 150 minus the hub's own
            clients = [self.enterContext(Client(hub.port)) for _ in range(promised // 2)]
            for client in clients:
                self.assertEqual(client.exactly(4), b"NICK")
            pages = [self.enterContext(RawWebSocket(hub.web_port)) for _ in range(promised // 2)]
            self.assertEqual(len(pages), promised // 2)

    @staticmethod
    def cpu_seconds(hub: Hub) -> float:
        with open(f"/proc/{hub.process.pid}/stat", encoding="ascii") as stat:
            user, system = stat.read().rsplit(")", 1)[1].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    unittest.main(verbosity=2)

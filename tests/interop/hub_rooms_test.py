#!/usr/bin/env python3
# Rooms, history and acknowledgements as in docs/protocols.md: version 2 of the JSON protocol with the library
# `websockets`, the commands of the line protocol, and a hub that is killed.

import asyncio
import json
import os
import pathlib
import random
import signal
import tempfile
import unittest
from typing import Any

import websockets
from support import LOCALHOST, WAIT_S, Client, Hub, HubTest, run

Event = dict[str, Any]


class Person:
    """A client of version 2, that keeps what it was sent."""

    def __init__(self, hub: Hub, nick: str, token: str = "") -> None:
        self.hub, self.nick, self.token = hub, nick, token
        self.events: list[Event] = []
        self.ref = 0

    async def __aenter__(self) -> "Person":
        self.socket = await websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws", open_timeout=WAIT_S,
                                               close_timeout=WAIT_S, max_queue=None)
        users = await self.ask("join", nick=self.nick, version=2, token=self.token or self.nick + " secret")
        assert users["type"] == "users", users
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def receive(self) -> Event:
        return json.loads(await asyncio.wait_for(self.socket.recv(), WAIT_S))

    async def send(self, type_: str, **members: Any) -> int:
        self.ref += 1
        await self.socket.send(json.dumps({"type": type_, "ref": self.ref, **members}))
        return self.ref

    async def ask(self, type_: str, **members: Any) -> Event:
        """The answer; the events before it are kept."""
        ref = await self.send(type_, **members)
        while True:
            event = await self.receive()
            if event.get("ref") == ref:
                return event
            self.events.append(event)

    async def event(self, type_: str, **members: Any) -> Event:
        """The next event of this type with these members."""
        while True:
            event = self.events.pop(0) if self.events else await self.receive()
            if event["type"] == type_ and all(event.get(name) == value for name, value in members.items()):
                return event


class Rooms(HubTest, unittest.IsolatedAsyncioTestCase):
    async def person(self, nick: str, token: str = "") -> Person:
        return await self.enterAsyncContext(Person(self.hub, nick, token))

    async def test_a_message_is_acknowledged_with_the_number_that_all_see(self) -> None:
        alice, bob = await self.person("alice"), await self.person("bob")
        ack = await alice.ask("message", text="hello", id="c1")
        self.assertEqual({**ack, "time": "", "ref": 0},
                         {"type": "ack", "ref": 0, "id": "c1", "seq": ack["seq"], "time": ""})
        event = await bob.event("message")
        self.assertEqual(event, {"type": "message", "seq": ack["seq"], "time": ack["time"], "nick": "alice",
                                 "text": "hello", "id": "c1"})
        again = await alice.ask("message", text="hello", id="c1")
        self.assertEqual((again["seq"], again["duplicate"]), (ack["seq"], True))
        await alice.ask("message", text="next", id="c2")
        self.assertEqual((await bob.event("message"))["text"], "next")

    async def test_one_member_in_two_rooms(self) -> None:
        alice, bob = await self.person("alice"), await self.person("bob")
        users = await alice.ask("join", room="#Dev")
        self.assertEqual((users["room"], users["users"]), ("dev", ["alice"]))
        welcome = await alice.event("welcome", room="dev")
        self.assertEqual(welcome["users"], ["alice"])
        self.assertEqual((await bob.ask("message", room="dev", text="x"))["code"], "not_in_room")
        await bob.ask("join", room="dev")
        await bob.ask("message", room="dev", text="in dev")
        self.assertEqual((await alice.event("message"))["room"], "dev")
        self.assertEqual((await bob.ask("topic", room="dev", text="work"))["type"], "ack")
        self.assertEqual((await alice.event("topic"))["text"], "work")
        rooms = await alice.ask("rooms")
        self.assertEqual(rooms["rooms"], [{"room": "dev", "members": 2, "topic": "work"},
                                          {"room": "lobby", "members": 2, "topic": ""}])
        self.assertEqual((await bob.ask("leave", room="dev"))["type"], "done")
        self.assertEqual((await alice.event("left"))["room"], "dev")
        self.assertEqual((await alice.ask("users", room="dev"))["users"], ["alice"])

    async def test_history_in_pages_and_search(self) -> None:
        alice = await self.person("alice")
        numbers = [(await alice.ask("message", text=f"message {i}"))["seq"] for i in range(7)]
        last = await alice.ask("history", limit=3)
        self.assertEqual([event["text"] for event in last["events"]], ["message 4", "message 5", "message 6"])
        self.assertEqual((last["first"], last["last"]), (numbers[0], numbers[6]))
        before = await alice.ask("history", limit=2, before=last["events"][0]["seq"])
        self.assertEqual([event["seq"] for event in before["events"]], numbers[2:4])
        after = await alice.ask("history", limit=2, after=numbers[0])
        self.assertEqual([event["seq"] for event in after["events"]], numbers[1:3])
        self.assertEqual((after["more"], after["until"]), (True, numbers[2]))
        first = await alice.ask("history", limit=2, after=0)
        self.assertEqual([event["seq"] for event in first["events"]], numbers[:2])
        found = await alice.ask("search", words="MESS 5")
        self.assertEqual([event["text"] for event in found["events"]], ["message 5"])
        self.assertEqual((await alice.ask("search", words="mess mes " * 500, limit=3))["events"], last["events"])

    async def test_edit_and_delete_ones_own(self) -> None:
        alice, bob = await self.person("alice"), await self.person("bob")
        number = (await alice.ask("message", text="helo"))["seq"]
        self.assertEqual((await bob.ask("edit", seq=number, text="x"))["code"], "not_yours")
        self.assertEqual((await alice.ask("edit", seq=number, text="hello"))["type"], "done")
        edited = await bob.event("edited")
        self.assertEqual((edited["target"], edited["text"]), (number, "hello"))
        message = (await bob.ask("history"))["events"][0]
        self.assertEqual((message["text"], message["edited"]), ("hello", True))
        self.assertEqual((await alice.ask("delete", seq=number))["type"], "done")
        self.assertEqual((await bob.event("deleted"))["target"], number)
        types = [event["type"] for event in (await bob.ask("history"))["events"]]
        self.assertEqual(types, ["deleted"])
        self.assertNotIn("hello", json.dumps(await bob.ask("history")))

    async def test_the_same_person_after_a_reconnection(self) -> None:
        alice = await self.person("alice", "the secret")
        number = (await alice.ask("message", text="first", id="c1"))["seq"]
        await alice.socket.close()
        again = await self.person("alice2", "the secret")
        self.assertTrue((await again.ask("message", text="first", id="c1"))["duplicate"])
        self.assertEqual((await again.ask("edit", seq=number, text="1st"))["type"], "done")

    async def test_a_connection_replaces_an_older_one_of_the_same_person(self) -> None:
        bob = await self.person("bob")
        old = await self.person("alice", "the secret")
        await bob.event("joined", nick="alice")
        again = await self.person("alice", "the secret")  # the old one has not noticed that its network has gone
        await bob.event("left", nick="alice")
        await bob.event("joined", nick="alice")
        self.assertEqual((await again.ask("users"))["users"], ["alice", "bob"])
        with self.assertRaises(websockets.ConnectionClosed) as closed:
            while True:
                await old.receive()
        self.assertEqual(closed.exception.code, 1008)  # it does not come back by itself
        async with websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws", open_timeout=WAIT_S) as other:
            await other.send('{"type":"join","nick":"alice","version":2,"token":"another secret"}')
            self.assertEqual(json.loads(await other.recv())["code"], "nick_taken")

    async def test_connections_of_one_person_at_once_take_turns(self) -> None:
        async def join() -> str:
            person = Person(self.hub, "alice", "the secret")
            async with websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws", open_timeout=WAIT_S) as socket:
                person.socket = socket
                answer = await person.ask("join", nick="alice", version=2, token="the secret")
                return answer.get("code", answer["type"])
        answers = await asyncio.gather(*(join() for _ in range(5)), return_exceptions=True)
        self.assertNotIn("nick_taken", answers)

    async def test_direct_messages_and_another_nickname(self) -> None:
        alice, bob, carol = await self.person("alice"), await self.person("bob"), await self.person("carol")
        self.assertEqual((await alice.ask("nick", nick="alicia"))["type"], "done")
        self.assertEqual((await bob.event("renamed"))["to"], "alicia")
        self.assertEqual((await alice.ask("nick", nick="bob"))["code"], "nick_taken")
        ack = await alice.ask("direct", to="bob", text="psst", id="d1")
        self.assertEqual((ack["type"], ack["id"]), ("ack", "d1"))
        direct = await bob.event("direct")
        self.assertNotIn("seq", direct)
        self.assertEqual((direct["nick"], direct["to"], direct["text"], direct["id"]), ("alicia", "bob", "psst", "d1"))
        self.assertEqual((await alice.event("direct"))["text"], "psst")
        self.assertEqual((await alice.ask("direct", to="dave", text="psst"))["code"], "no_such_person")
        await carol.ask("message", text="end")
        self.assertFalse(any(event["type"] == "direct" for event in carol.events))

    async def test_bad_requests_are_answered_with_their_ref(self) -> None:
        alice = await self.person("alice")
        for request, code in [({"type": "edit", "text": "x"}, "bad_message"), ({"type": "nonsense"}, "bad_message"),
                              ({"type": "history", "limit": -1}, "bad_message"),
                              ({"type": "history", "room": 5}, "bad_message"),
                              ({"type": "join", "room": "a b"}, "room_invalid"),
                              ({"type": "delete", "seq": 99}, "no_message"), ({"type": "leave"}, "bad_message"),
                              ({"type": "join", "nick": "again"}, "already_joined")]:
            await alice.socket.send(json.dumps({**request, "ref": {"my": [1]}}))
            error = await alice.event("error")
            self.assertEqual((error["code"], error["ref"]), (code, {"my": [1]}), request)
            await alice.ask("rooms")  # errors in a row close the connection

    async def test_line_clients_use_commands(self) -> None:
        line = self.join("liner")
        alice = await self.person("alice")
        await alice.ask("join", room="dev")
        line.skip_to(b"alice joined the chat!")
        line.send(b"/join dev\n")
        line.skip_to(b"* you talk in dev now, 2 here")
        line.send(b"hello\n/usr/bin\n//join x\n/who\n")
        self.assertEqual((await alice.event("message", room="dev"))["text"], "hello")
        line.skip_to(b"* in dev: alice, liner")
        texts = [event["text"] for event in (await alice.ask("history", room="dev"))["events"]]
        self.assertEqual(texts, ["hello", "/usr/bin", "/join x"])
        line.send(b"/nope\n")
        self.assertTrue(line.line().startswith(b"error: there is no command /nope; "))
        line.send(b"/msg alice psst\n")
        self.assertEqual((await alice.event("direct"))["text"], "psst")
        self.assertEqual(line.line(), b"* liner to alice: psst")

    # A client of version 1 has what it always had.
    async def test_version_1_has_no_requests(self) -> None:
        socket = await self.enterAsyncContext(
            websockets.connect(f"ws://{LOCALHOST}:{self.hub.web_port}/ws", open_timeout=WAIT_S))
        await socket.send('{"type":"join","nick":"old"}')
        await socket.send('{"type":"rooms"}')
        await socket.send('{"type":"message","text":"hi","id":"c1"}')
        types = [json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))["type"] for _ in range(4)]
        self.assertEqual(types, ["welcome", "joined", "error", "message"])


class Killed(unittest.IsolatedAsyncioTestCase):
    """Nothing acknowledged is lost, nothing comes twice: kill -9 while messages are under way."""

    async def asyncSetUp(self) -> None:
        asyncio.get_running_loop().set_debug(False)

    def setUp(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory())
        self.file = str(pathlib.Path(folder) / "hub.db")
        seed = int(os.environ.get("COAX_SEED", random.randrange(2**32)))
        print(f"COAX_SEED={seed}", flush=True)
        self.random = random.Random(seed)

    async def test_a_hub_that_is_killed_keeps_what_it_acknowledged(self) -> None:
        acknowledged: dict[str, int] = {}
        waiting: list[str] = []
        made = 0
        for _ in range(5):
            enough = self.random.randrange(20, 200)
            with Hub("--history-file", self.file) as hub:
                try:
                    async with Person(hub, "alice", "secret") as alice:
                        for text in waiting:
                            await alice.send("message", text=text, id=text)
                        count = 0
                        while count < enough:
                            while len(waiting) < 30:
                                made += 1
                                waiting.append(f"m{made}")
                                await alice.send("message", text=waiting[-1], id=waiting[-1])
                            event = await alice.receive()
                            if event["type"] == "ack":
                                self.assertEqual(event["id"], waiting.pop(0))
                                self.assertNotIn(event["id"], acknowledged)
                                acknowledged[event["id"]] = event["seq"]
                                count += 1
                        hub.send_signal(signal.SIGKILL)
                        hub.wait()
                except websockets.ConnectionClosed:
                    pass
        with Hub("--history-file", self.file) as hub:
            async with Person(hub, "reader") as reader:
                kept: list[Event] = []
                lobby = await reader.ask("history", limit=1)
                # A client compares this with its last number: it must not look like a hub without a history.
                self.assertGreater((await reader.event("joined"))["seq"], lobby["events"][0]["seq"])
                while True:
                    page = await reader.ask("history", after=kept[-1]["seq"] if kept else 1, limit=200)
                    kept += page["events"]
                    if len(page["events"]) < 200:
                        break
        numbers = [event["seq"] for event in kept]
        self.assertEqual(numbers, sorted(set(numbers)))
        by_id = {event["id"]: event["seq"] for event in kept}
        self.assertEqual(len(by_id), len(kept), "a message is there twice")
        self.assertEqual({name: by_id.get(name) for name in acknowledged}, acknowledged)
        self.assertEqual([event["text"] for event in kept], [f"m{i + 1}" for i in range(len(kept))])

    async def test_two_hubs_do_not_share_a_history(self) -> None:
        with Hub("--history-file", self.file):
            second = run("serve", "--port", "0", "--web-port", "0", "--history-file", self.file)
            self.assertNotEqual(second.returncode, 0)
            self.assertIn(b"another hub uses it", second.stderr)

    async def test_a_full_disk_is_told_and_nothing_is_shown_that_is_not_kept(self) -> None:
        def small_files() -> None:
            import resource
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

        with Hub("--history-file", self.file, preexec_fn=small_files) as hub:
            async with Person(hub, "alice") as alice, Person(hub, "bob") as bob:
                stored, refused = [], None
                for i in range(200):
                    answer = await alice.ask("message", text=f"{i:04}" + "x" * 4000, id=str(i))
                    if answer["type"] == "error":
                        refused = answer
                        break
                    stored.append(answer["seq"])
                self.assertIsNotNone(refused, "the disk was not full")
                self.assertEqual((refused["code"], refused["id"]), ("not_stored", str(len(stored))))
                self.assertEqual((await alice.ask("rooms"))["type"], "rooms")  # the hub still answers
                await bob.ask("rooms")
                shown = [event["seq"] for event in bob.events if event["type"] == "message"]
                self.assertEqual(shown, stored)
                line = Client(hub.port)
                with line:
                    line.exactly(4)
                    line.send(b"liner\n" + b"y" * 4000 + b"\n")
                    line.skip_to(b"liner joined the chat!")
                    self.assertIn(b"it was not sent", line.line())
        with Hub("--history-file", self.file) as hub:
            async with Person(hub, "alice") as alice:
                kept = await alice.ask("history", after=1, limit=200)
                self.assertEqual([event["seq"] for event in kept["events"]], stored)


if __name__ == "__main__":
    unittest.main(verbosity=2)

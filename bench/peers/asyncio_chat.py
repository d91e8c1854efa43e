# asyncio_chat.py PORT: the tutorials' chat room on asyncio's protocols: sends NICK, takes the first line as a nickname,
# and sends the lines of one read to all together.
import asyncio
import sys

room = set()


class Member(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
        self.begun = b""
        transport.write(b"NICK")

    def connection_lost(self, reason):
        room.discard(self.transport)

    def data_received(self, data):
        lines, end, self.begun = (self.begun + data).rpartition(b"\n")
        if end and self.transport not in room:
            room.add(self.transport)
            _, end, lines = lines.partition(b"\n")
        if end:
            for member in room:
                member.write(lines + b"\n")


async def main():
    server = await asyncio.get_running_loop().create_server(Member, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())

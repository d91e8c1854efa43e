# websockets_room.py PORT: /room sends each message to all its members; any other path is an echo. With the library
# `websockets`, and its own function for broadcasts.
import asyncio
import sys

import websockets

room = set()


async def serve(socket, path):
    try:
        if path == "/room":
            room.add(socket)
        async for message in socket:
            if path == "/room":
                websockets.broadcast(room, message)
            else:
                await socket.send(message)
    except websockets.ConnectionClosed:
        pass
    finally:
        room.discard(socket)


async def main():
    async with websockets.serve(serve, "127.0.0.1", int(sys.argv[1]), backlog=4096):
        await asyncio.get_running_loop().create_future()


asyncio.run(main())

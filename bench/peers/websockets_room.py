# websockets_room.py PORT: what anybody in /room says goes to all there; anywhere else it is an echo server. With the
# library `websockets`, and its own way to broadcast.
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

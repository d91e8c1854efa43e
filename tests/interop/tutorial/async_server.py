# async_server.py PORT [HOST]: one thread, any number of clients, an answer to each line.

import asyncio
import sys

async def respond(reader, writer):
    while await reader.readline():
        writer.write(b"Response\n")
        await writer.drain()
    writer.close()


async def main():
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    server = await asyncio.start_server(respond, host, int(sys.argv[1]))
    await server.serve_forever()


if len(sys.argv) < 2:
    sys.exit("usage: async_server.py PORT [HOST]")
asyncio.run(main())

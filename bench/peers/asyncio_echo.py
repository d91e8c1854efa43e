# asyncio_echo.py PORT [HOST]: the echo server that a Python programmer writes, with asyncio's streams.
import asyncio
import sys


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main():
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    server = await asyncio.start_server(echo, host, int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())

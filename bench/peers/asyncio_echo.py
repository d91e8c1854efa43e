# asyncio_echo.py PORT [--uvloop]: an echo server on asyncio's protocols, the form that costs least; on uvloop the same.
import asyncio
import sys

if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()


class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.transport.write(data)

    def pause_writing(self):
        self.transport.pause_reading()

    def resume_writing(self):
        self.transport.resume_reading()


async def main():
    server = await asyncio.get_running_loop().create_server(Echo, "127.0.0.1", int(sys.argv[1]), backlog=4096)
    await server.serve_forever()


asyncio.run(main())

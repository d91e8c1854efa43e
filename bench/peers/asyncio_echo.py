# asyncio_echo.py PORT [CERT KEY] [--uvloop]: an echo server on asyncio's protocols, the form that costs least; with a
# certificate over TLS; on uvloop the same.
import asyncio
import ssl
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
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    context = None
    if len(words) == 3:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(words[1], words[2])
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, "127.0.0.1", int(words[0]), backlog=4096, ssl=context)
    await server.serve_forever()


asyncio.run(main())

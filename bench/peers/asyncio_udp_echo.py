# asyncio_udp_echo.py PORT [--uvloop]: an echo server for datagrams on asyncio; on uvloop the same.
import asyncio
import sys

if "--uvloop" in sys.argv:
    import uvloop

    uvloop.install()


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, ("127.0.0.1", int(sys.argv[1])))
    await loop.create_future()


asyncio.run(main())

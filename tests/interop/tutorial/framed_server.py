# framed_server.py PORT [HOST]: messages with a length prefix (32 bits, big endian); each is printed and sent back.

import socket
import struct
import sys

def receive_exactly(peer, count):
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive(peer):
    (length,) = struct.unpack("!I", receive_exactly(peer, 4))
    return receive_exactly(peer, length)


def send(peer, data):
    peer.sendall(struct.pack("!I", len(data)) + data)


if len(sys.argv) < 2:
    sys.exit("usage: framed_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            try:
                while message := receive(client):
                    print(f"Received: {message.decode()}", flush=True)
                    send(client, message)
            except EOFError:
                pass

# framed_client.py HOST PORT [TEXT]: sends the text with a length prefix and prints the answer.

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


if len(sys.argv) < 3:
    sys.exit("usage: framed_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "Hello from the client!"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    send(server, text.encode())
    print(f"Received: {receive(server).decode()}")

# credentials_client.py HOST PORT USER: asks for the password without showing it, and prints the verdict.

import getpass
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


if len(sys.argv) < 4:
    sys.exit("usage: credentials_client.py HOST PORT USER")
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    send(server, sys.argv[3].encode())
    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    send(server, password.encode())
    print(receive(server).decode())

# credentials_server.py PORT [HOST]: checks a user and a password, each a frame with a length prefix.

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


PASSWORDS = {"ada": "lovelace", "grace": "hopper"}
if len(sys.argv) < 2:
    sys.exit("usage: credentials_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            user, password = receive(client).decode(), receive(client).decode()
            right = PASSWORDS.get(user) == password
            print(f"{user}: {'welcome' if right else 'refused'}", flush=True)
            send(client, b"Welcome!" if right else b"Wrong user or password.")

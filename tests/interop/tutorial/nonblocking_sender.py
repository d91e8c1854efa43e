# nonblocking_sender.py HOST PORT [SIZE]: each call sends as many bytes as fit; select() waits for room.

import select
import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: nonblocking_sender.py HOST PORT [SIZE]")
mebibytes = int(sys.argv[3].removesuffix("MiB")) if len(sys.argv) > 3 else 64
data = b"x" * (mebibytes * 1024 * 1024)
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    server.setblocking(False)
    sent = 0
    while sent < len(data):
        select.select([], [server], [])
        sent += server.send(data[sent:sent + 65536])
    print(f"Sent {sent} bytes")
    server.shutdown(socket.SHUT_WR)
    select.select([server], [], [])
    print(server.recv(1024).decode())

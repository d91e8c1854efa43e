# blocking_sender.py HOST PORT [SIZE]: one call that returns when the kernel has accepted all bytes.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: blocking_sender.py HOST PORT [SIZE]")
mebibytes = int(sys.argv[3].removesuffix("MiB")) if len(sys.argv) > 3 else 64
data = b"x" * (mebibytes * 1024 * 1024)
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60) as server:
    server.sendall(data)
    print(f"Sent {len(data)} bytes")
    server.shutdown(socket.SHUT_WR)
    print(server.recv(1024).decode())

# send_file.py HOST PORT FILE: sends `NAME:SIZE`, waits for `OK`, then sends the bytes and half-closes.

import os
import socket
import sys

if len(sys.argv) < 4:
    sys.exit("usage: send_file.py HOST PORT FILE")
name, size = os.path.basename(sys.argv[3]), os.path.getsize(sys.argv[3])
with open(sys.argv[3], "rb") as file, socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=30) as server:
    server.sendall(f"{name}:{size}\n".encode())
    answer = b""
    while len(answer) < 2 and (data := server.recv(1024)):
        answer += data
    if answer != b"OK":
        sys.exit(f"send_file: the receiver said {answer.decode()!r}")
    server.sendfile(file)
    server.shutdown(socket.SHUT_WR)
    if complaint := server.recv(1024):
        sys.exit(f"send_file: the receiver said {complaint.decode()!r}")
    print(f"Sent {name} ({size} bytes)")

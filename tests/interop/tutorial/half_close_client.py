# half_close_client.py HOST PORT [TEXT]: sends in two pieces, half-closes, and only then reads the answer.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: half_close_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "All that I have to say"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    server.sendall(text.encode())
    server.sendall(b", and no more.")
    server.shutdown(socket.SHUT_WR)
    answer = b""
    while data := server.recv(1024):
        answer += data
    print(answer.decode())

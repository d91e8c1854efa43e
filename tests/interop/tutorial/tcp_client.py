# tcp_client.py HOST PORT [TEXT]: sends a text, half-closes, and prints the answer.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: tcp_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "Hello from the client!"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    server.sendall(text.encode())
    server.shutdown(socket.SHUT_WR)
    answer = b""
    while data := server.recv(1024):
        answer += data
    print(f"Received: {answer.decode().strip()}")

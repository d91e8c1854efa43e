# echo_client.py HOST PORT [TEXT]: sends a text and prints the pieces of the echo.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: echo_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "This is the message. It will be repeated."
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    print(f'sending "{text}"')
    server.sendall(text.encode())
    left = len(text.encode())
    while left > 0:
        data = server.recv(16)
        if not data:
            sys.exit(f"echo_client: {left} bytes were not echoed")
        print(f'received "{data.decode()}"')
        left -= len(data)

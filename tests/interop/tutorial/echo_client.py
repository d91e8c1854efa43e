# echo_client.py HOST PORT [TEXT]: sends a text and prints the pieces in which it comes back.

import socket
import sys

with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as server:
    text = (sys.argv[3] if len(sys.argv) > 3 else "This is the message. It will be repeated.").encode()
    print(f'sending "{text.decode()}"')
    server.sendall(text)
    left = len(text)
    while left > 0:
        data = server.recv(16)
        if not data:
            raise SystemExit(f"echo_client: {left} bytes did not come back")
        print(f'received "{data.decode()}"')
        left -= len(data)

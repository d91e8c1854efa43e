# fixed_length_client.py HOST PORT [TEXT]: sends a message of exactly 32 bytes and prints the echo.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: fixed_length_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "Hello from the client!"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    server.sendall(text.encode().ljust(32))
    message = b""
    while len(message) < 32 and (data := server.recv(32 - len(message))):
        message += data
    print(f"Received: {message.decode().strip()}")

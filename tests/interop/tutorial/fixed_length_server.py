# fixed_length_server.py PORT [HOST]: messages of exactly 32 bytes, filled up with spaces; printed and sent back.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: fixed_length_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            message = b""
            while data := client.recv(32 - len(message)):
                message += data
                if len(message) == 32:
                    print(f"Received: {message.decode().strip()}", flush=True)
                    client.sendall(message)
                    message = b""

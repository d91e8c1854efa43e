# half_close_server.py PORT [HOST]: answers when the client has half-closed, which can still receive then.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: half_close_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            total = 0
            while data := client.recv(1024):
                total += len(data)
            client.sendall(f"Received {total} bytes".encode())

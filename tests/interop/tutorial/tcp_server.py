# tcp_server.py PORT [HOST]: the tutorials' first server, one client after the other.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: tcp_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            while data := client.recv(1024):
                print(f"Received: {data.decode()}", flush=True)
                client.sendall(b"Hello from the server!")

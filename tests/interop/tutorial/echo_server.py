# echo_server.py PORT [HOST]: receives pieces of at most 16 bytes, sends them back, and prints them.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: echo_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client:
            while data := client.recv(16):
                print(f'received "{data.decode()}"', flush=True)
                client.sendall(data)

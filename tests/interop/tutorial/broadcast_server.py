# broadcast_server.py PORT [HOST]: tells all connected clients about each new one.

import socket
import sys
import threading

lock = threading.Lock()
clients = []


def welcome(client):
    with lock:
        clients.append(client)
        for other in clients:
            other.sendall(b"Welcome to the server!")
    while client.recv(1024):
        pass
    with lock:
        clients.remove(client)
    client.close()


if len(sys.argv) < 2:
    sys.exit("usage: broadcast_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=welcome, args=(client,), daemon=True).start()

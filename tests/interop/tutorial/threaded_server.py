# threaded_server.py PORT [HOST]: an echo server with a thread for each client.

import socket
import sys
import threading

def echo(client):
    with client:
        while data := client.recv(1024):
            client.sendall(data)


if len(sys.argv) < 2:
    sys.exit("usage: threaded_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=echo, args=(client,), daemon=True).start()

# unix_echo_server.py PATH: an echo server on the Unix socket at that path.

import os
import socket
import sys
import threading

def echo(client):
    with client:
        while data := client.recv(1024):
            client.sendall(data)


if len(sys.argv) < 2:
    sys.exit("usage: unix_echo_server.py PATH")
if os.path.exists(sys.argv[1]):
    os.unlink(sys.argv[1])
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen()
    while True:
        client, address = listener.accept()
        threading.Thread(target=echo, args=(client,), daemon=True).start()

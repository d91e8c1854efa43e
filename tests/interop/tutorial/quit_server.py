# quit_server.py PORT [HOST]: repeats each line until the client says quit.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: quit_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client, client.makefile("r", encoding="utf-8") as lines:
            for line in lines:
                text = line.strip()
                if text == "quit":
                    client.sendall(b"Goodbye!\n")
                    break
                client.sendall(f"You said: {text}\n".encode())

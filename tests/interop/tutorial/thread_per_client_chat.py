# thread_per_client_chat.py PORT [HOST]: a thread for each client; each line of a client is sent to all others.

import socket
import sys
import threading

lock = threading.Lock()
clients = []


def chat(client):
    with lock:
        clients.append(client)
    try:
        for line in client.makefile("rb"):
            with lock:
                for other in clients:
                    if other is not client:
                        other.sendall(line)
    except OSError as error:
        print(f"Lost a client: {error}")
    finally:
        with lock:
            clients.remove(client)
        client.close()


if len(sys.argv) < 2:
    sys.exit("usage: thread_per_client_chat.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=chat, args=(client,), daemon=True).start()

# limited_server.py PORT [HOST] [SECONDS]: ten clients at a time, messages of at most 1024 bytes, and a time limit.

import socket
import sys
import threading

places = threading.Semaphore(10)
patience = float(sys.argv[3]) if len(sys.argv) > 3 else 30


def answer(line):
    if len(line) > 1024:
        return "Error: Message too long\n"
    try:
        return f"Processed: {line.decode().strip()[:100]}\n"
    except UnicodeDecodeError:
        return "Error: Not UTF-8\n"


def process(client):
    if not places.acquire(blocking=False):
        client.sendall(b"Server busy. Try again later.\n")
        client.close()
        return
    try:
        client.settimeout(patience)
        for line in client.makefile("rb"):
            client.sendall(answer(line).encode())
    except OSError as error:
        print(f"Lost a client: {error}")
    finally:
        places.release()
        client.close()


if len(sys.argv) < 2:
    sys.exit("usage: limited_server.py PORT [HOST] [SECONDS]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=process, args=(client,), daemon=True).start()

# select_server.py PORT [HOST]: one thread waits for all clients, counts their bytes, and reports the counts.

import select
import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: select_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    totals = {}
    while True:
        readable, _, _ = select.select([listener, *totals], [], [])
        for ready in readable:
            if ready is listener:
                client, address = listener.accept()
                totals[client] = 0
                continue
            try:
                data = ready.recv(65536)
                totals[ready] += len(data)
                if not data:
                    ready.sendall(f"Received {totals[ready]} bytes".encode())
            except OSError:
                data = b""
            if not data:
                del totals[ready]
                ready.close()

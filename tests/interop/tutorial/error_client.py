# error_client.py HOST PORT: connects, and tells what went wrong in words for people.

import socket
import sys

try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as server:
        server.sendall(b"Hello")
        print(f"Received: {server.recv(65536).decode()}")
except ConnectionRefusedError:
    raise SystemExit(print("Connection refused: is the server running?") or 1)
except TimeoutError:
    raise SystemExit(print("Timed out after 5 seconds.") or 1)
except socket.gaierror:
    raise SystemExit(print("Unknown host name.") or 1)
except OSError as error:
    raise SystemExit(print(f"Socket error: {error}") or 1)

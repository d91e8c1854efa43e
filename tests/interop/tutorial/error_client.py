# error_client.py HOST PORT: connects, and prints errors for people.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: error_client.py HOST PORT")
try:
    with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as server:
        server.sendall(b"Hello")
        print(f"Received: {server.recv(65536).decode()}")
        sys.exit(0)
except ConnectionRefusedError:
    print("Connection refused: is the server running?")
except TimeoutError:
    print("Timed out after 5 seconds.")
except socket.gaierror:
    print("Unknown host name.")
except OSError as error:
    print(f"Socket error: {error}")
sys.exit(1)

# udp_client.py HOST PORT [TEXT]: sends one datagram and prints the answer.

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.connect((sys.argv[1], int(sys.argv[2])))
    client.send((sys.argv[3] if len(sys.argv) > 3 else "Hello from the client!").encode())
    print(f"Received: {client.recv(65536).decode()}")

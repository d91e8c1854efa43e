# udp_server.py PORT [HOST]: prints each datagram and answers it.

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1", int(sys.argv[1])))
    while True:
        data, address = server.recvfrom(65536)
        print(f"Received: {data.decode()}", flush=True)
        server.sendto(b"Response from server", address)

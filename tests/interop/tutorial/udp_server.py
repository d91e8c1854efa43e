# udp_server.py PORT [HOST]: prints each datagram and answers it.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: udp_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((host, int(sys.argv[1])))
    while True:
        data, address = server.recvfrom(65536)
        print(f"Received: {data.decode()}", flush=True)
        server.sendto(b"Response from server", address)

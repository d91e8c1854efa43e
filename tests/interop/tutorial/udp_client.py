# udp_client.py HOST PORT [TEXT]: sends one datagram and prints the answer.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: udp_client.py HOST PORT [TEXT]")
text = sys.argv[3] if len(sys.argv) > 3 else "Hello from the client!"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.sendto(text.encode(), (sys.argv[1], int(sys.argv[2])))
    data, address = client.recvfrom(65536)
    print(f"Received: {data.decode()}")

# multicast_receiver.py GROUP PORT [INTERFACE]: joins the group, prints each datagram and acknowledges it.

import socket
import struct
import sys

if len(sys.argv) < 3:
    sys.exit("usage: multicast_receiver.py GROUP PORT [INTERFACE]")
group, port = sys.argv[1], int(sys.argv[2])
index = socket.if_nametoindex(sys.argv[3]) if len(sys.argv) > 3 else 0
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    receiver.bind((group, port))
    membership = struct.pack("@4s4si", socket.inet_aton(group), b"", index)
    receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
    while True:
        data, address = receiver.recvfrom(65536)
        print(f'received "{data.decode()}"', flush=True)
        receiver.sendto(b"ack", address)

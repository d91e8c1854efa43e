# multicast_sender.py GROUP PORT [TEXT] [INTERFACE]: sends to a multicast group, and prints the answers.

import socket
import struct
import sys

if len(sys.argv) < 3:
    sys.exit("usage: multicast_sender.py GROUP PORT [TEXT] [INTERFACE]")
text = sys.argv[3] if len(sys.argv) > 3 else "very important data"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
    sender.settimeout(1)
    if len(sys.argv) > 4:
        index = socket.if_nametoindex(sys.argv[4])
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("@4s4si", b"", b"", index))
    sender.sendto(text.encode(), (sys.argv[1], int(sys.argv[2])))
    try:
        while True:
            data, address = sender.recvfrom(65536)
            print(f'received "{data.decode()}" from {address[0]}')
    except TimeoutError:
        pass

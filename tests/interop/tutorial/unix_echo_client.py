# unix_echo_client.py PATH [TEXT]: sends a text over the Unix socket at that path and prints the answer.

import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: unix_echo_client.py PATH [TEXT]")
text = sys.argv[2] if len(sys.argv) > 2 else "Hello from the client!"
with socket.socket(socket.AF_UNIX) as server:
    server.connect(sys.argv[1])
    server.sendall(text.encode())
    answer = b""
    while len(answer) < len(text.encode()) and (data := server.recv(1024)):
        answer += data
    print(f"Received: {answer.decode()}")

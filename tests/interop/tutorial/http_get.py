# http_get.py HOST PORT [PATH]: asks for a page over a plain socket, prints the status and the text.

import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: http_get.py HOST PORT [PATH]")
path = sys.argv[3] if len(sys.argv) > 3 else "/"
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    request = [f"GET {path} HTTP/1.1", f"Host: {sys.argv[1]}:{sys.argv[2]}", "Connection: close", "", ""]
    server.sendall("\r\n".join(request).encode())
    response = b""
    while data := server.recv(4096):
        response += data
    head, _, body = response.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1."):
        sys.exit("http_get: its answer is not HTTP")
    _, status, reason = head.decode("latin-1").split("\r\n")[0].split(" ", 2)
    print(status, reason)
    for line in body.decode().splitlines():
        print(line)
    sys.exit(0 if int(status) < 400 else 1)

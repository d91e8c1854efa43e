# json_client.py HOST PORT [JSON]: sends an object and prints the answer.

import json
import socket
import sys

if len(sys.argv) < 3:
    sys.exit("usage: json_client.py HOST PORT [JSON]")
text = sys.argv[3] if len(sys.argv) > 3 else '{"name": "Ada", "languages": ["C++", "Python"]}'
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10) as server:
    server.sendall(json.dumps(json.loads(text)).encode() + b"\n")
    with server.makefile("rb") as lines:
        print(f"Received dictionary: {json.dumps(json.loads(lines.readline()))}")

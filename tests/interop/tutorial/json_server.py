# json_server.py PORT [HOST]: prints the received JSON objects, one on each line, and acknowledges them.

import json
import socket
import sys

if len(sys.argv) < 2:
    sys.exit("usage: json_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        with client, client.makefile("rb") as lines:
            for line in lines:
                answer = {"error": "that is no JSON object"}
                try:
                    message = json.loads(line)
                    if isinstance(message, dict):
                        print(f"Received dictionary: {json.dumps(message)}", flush=True)
                        answer = {"status": "received"}
                except ValueError:
                    pass
                client.sendall(json.dumps(answer).encode() + b"\n")

# receive_file.py PORT FOLDER [HOST]: answers `NAME:SIZE` with `OK`, then receives that many bytes and the end.

import os
import socket
import sys
import tempfile
import threading

def receive(client, folder):
    header = b""
    while not header.endswith(b"\n"):
        byte = client.recv(1)
        if not byte or len(header) > 300:
            raise ValueError("that is no NAME:SIZE")
        header += byte
    name, _, size = header.decode().strip().rpartition(":")
    if not name or name != os.path.basename(name) or name.startswith("."):
        raise ValueError("that is not a plain file name")
    left = int(size)
    if left > 2**30:
        raise ValueError("that is more than 1 GiB")
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        client.sendall(b"OK")
        while left > 0:
            data = client.recv(min(left, 65536))
            if not data:
                raise ValueError("the file is cut off")
            file.write(data)
            left -= len(data)
        if client.recv(1):
            raise ValueError("more bytes came than were announced")
        file.flush()
        os.fsync(file.fileno())
        os.link(file.name, os.path.join(folder, name))
    print(f"Received {name} ({size} bytes)", flush=True)


def serve(client):
    with client:
        client.settimeout(60)
        try:
            receive(client, sys.argv[2])
        except (OSError, ValueError) as error:
            client.sendall(f"Error: {error}\n".encode())


if len(sys.argv) < 3:
    sys.exit("usage: receive_file.py PORT FOLDER [HOST]")
host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()

# chat_server.py PORT [HOST]: the tutorials' chat room: `NICK`, a nickname, then each line is sent to all members.

import socket
import sys
import threading

lock = threading.Lock()
nicknames = {}


def broadcast(message):
    with lock:
        for client in list(nicknames):
            try:
                client.sendall(message.encode())
            except OSError:
                del nicknames[client]


def enter(client, lines):
    for line in lines:
        nickname = line.strip()
        with lock:
            if nickname and nickname not in nicknames.values():
                nicknames[client] = nickname
                return nickname
        client.sendall(b"error: that nickname is taken\n")
    return None


def chat(client):
    client.sendall(b"NICK")
    lines = client.makefile("r", encoding="utf-8")
    nickname = enter(client, lines)
    try:
        if nickname:
            broadcast(f"{nickname} joined the chat!\n")
            for line in lines:
                text = line.strip().removeprefix(f"{nickname}: ")
                if text:
                    broadcast(f"{nickname}: {text}\n")
    except (OSError, UnicodeDecodeError) as error:
        print(f"Lost {nickname}: {error}")
    with lock:
        nicknames.pop(client, None)
    client.close()
    if nickname:
        broadcast(f"{nickname} left the chat!\n")


if len(sys.argv) < 2:
    sys.exit("usage: chat_server.py PORT [HOST]")
host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
with socket.create_server((host, int(sys.argv[1]))) as listener:
    while True:
        client, address = listener.accept()
        threading.Thread(target=chat, args=(client,), daemon=True).start()

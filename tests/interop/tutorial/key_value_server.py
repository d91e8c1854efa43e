# key_value_server.py PORT [HOST]: the protocol of redis-cli and redis-benchmark (RESP): PING, GET, SET, DEL, INCR.

import asyncio
import sys

store = {}  # all clients are on one thread
words_of = {b"ping": 1, b"get": 2, b"set": 3, b"del": 2, b"incr": 2}


# Of "*3" words, of "$5" bytes.
def count_of(line, kind, most):
    count = int(line[1:]) if line.startswith(kind) else -1
    if not 0 <= count <= most:
        raise ValueError("this is not RESP")
    return count


async def read_command(reader, head):
    if not head.startswith(b"*"):
        return head.split()  # "PING\r\n", an inline command
    words = []
    for _ in range(count_of(head, b"*", 1024)):
        size = count_of(await reader.readline(), b"$", 1 << 20)
        word = await reader.readexactly(size + 2)
        if not word.endswith(b"\r\n"):
            raise ValueError("this is not RESP")
        words.append(word[:-2])
    return words


def answer(words):
    name = words[0].lower()
    if name not in words_of:
        return b"-ERR unknown command '%b'\r\n" % ascii(name.decode("latin-1"))[1:-1].encode()
    if len(words) != words_of[name]:
        return b"-ERR wrong number of arguments for '%b'\r\n" % name
    if name == b"ping":
        return b"+PONG\r\n"
    if name == b"set":
        store[words[1]] = words[2]
        return b"+OK\r\n"
    if name == b"del":
        return b":%d\r\n" % (store.pop(words[1], None) is not None)
    value = store.get(words[1])
    if name == b"get":
        return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)
    try:
        number = int(value or b"0") + 1
    except ValueError:
        return b"-ERR value is not an integer or out of range\r\n"
    store[words[1]] = b"%d" % number
    return b":%d\r\n" % number


async def serve_client(reader, writer):
    try:
        while head := await reader.readline():
            if words := await read_command(reader, head):
                writer.write(answer(words))
                await writer.drain()
    except ValueError:
        writer.write(b"-ERR Protocol error\r\n")
    except (asyncio.IncompleteReadError, ConnectionError) as error:
        print(f"Lost a client: {error}")
    finally:
        writer.close()


async def main():
    host = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"
    server = await asyncio.start_server(serve_client, host, int(sys.argv[1]))
    await server.serve_forever()


if len(sys.argv) < 2:
    sys.exit("usage: key_value_server.py PORT [HOST]")
asyncio.run(main())

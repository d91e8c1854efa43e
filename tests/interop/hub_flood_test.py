#!/usr/bin/env python3
# A sender that floods the room: it is slowed, every reader that keeps up receives every line in order, and only the
# reader that never reads is disconnected.

import json
import unittest

from flood import TEXT, Flood, FloodTest, Reader, WebSocketReader
from support import frame, has_asan


class HubFlood(FloodTest):
    def test_writer_of_20_mb_and_20_readers_get_all_and_the_lazy_one_is_dropped(self) -> None:
        readers = self.readers(20)
        lazy = self.member("lazy", recv_buffer=4096)
        lazy_page = self.page("lazy page", recv_buffer=4096)
        writer = Reader(self.member("writer"), "writer")
        before = self.memory_kib()
        Flood(writer.socket, [*readers, writer]).run(b"".join(line + b"\n" for line in self.lines), self.count)
        self.check([*readers, writer])
        if has_asan():
            return
        self.hub.log.wait_for("reads too slowly", 2)
        self.assertLess(self.memory_kib() - before, 64 << 10)
        with self.assertRaises(ConnectionResetError, msg="what was cut must not look like an end"):
            lazy.rest()
        with self.assertRaises(ConnectionResetError):
            lazy_page.rest()

    def test_writer_over_websocket_floods_too(self) -> None:
        readers = self.readers(6)
        page = self.page("writer")
        writer = WebSocketReader(page, "writer")
        data = b"".join(frame(TEXT, json.dumps({"type": "message", "text": line.decode()}).encode(), masked=True)
                        for line in self.lines[:2000])
        self.lines = self.lines[:2000]
        self.count = 2000
        Flood(writer.socket, [*readers, writer]).run(data, self.count)
        self.check([*readers, writer])


if __name__ == "__main__":
    unittest.main()

# A terminal for tests: the screen that it would show, and a person who types.

import codecs
import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
import unicodedata
from collections.abc import Callable, Mapping

from support import WAIT_S, coax, environment


class Screen:
    """What a terminal shows: the part of xterm that line editors use."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.inserting = False

    def text(self) -> str:
        return "\n".join("".join(row).rstrip() for row in self.cells).rstrip("\n")

    def feed(self, text: str) -> None:
        for match in re.finditer(r"\x1b\[([?\d;]*)([@-~])|\x1b[()].|\x1b.|[^\x1b]", text, re.DOTALL):
            if match[2]:
                self._control(match[1], match[2])
            elif match[0][0] != "\x1b":
                self._put(match[0])

    def _control(self, arguments: str, final: str) -> None:
        count = int(arguments) if arguments.isdigit() else 1
        cells = self.cells[self.row]
        self.column = min(self.column, self.columns - 1)
        if final in "ABCD":
            rows, columns = {"A": (-count, 0), "B": (count, 0), "C": (0, count), "D": (0, -count)}[final]
            self.row = min(max(self.row + rows, 0), self.rows - 1)
            self.column = min(max(self.column + columns, 0), self.columns - 1)
        elif final == "G":
            self.column = count - 1
        elif final in "JK":
            cells[self.column:] = [" "] * (self.columns - self.column)
            if final == "J":
                self.cells[self.row + 1:] = [[" "] * self.columns for _ in range(self.rows - self.row - 1)]
        elif final == "P":
            cells[self.column:] = cells[self.column + count:] + [" "] * count
        elif final == "@":
            cells[self.column:] = ([" "] * count + cells[self.column:])[:self.columns - self.column]
        elif final in "hl" and arguments == "4":
            self.inserting = final == "h"
        elif final not in "mhl":
            raise AssertionError(f"the screen does not know CSI {arguments} {final}")

    def _put(self, character: str) -> None:
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self._next_row()
        elif character == "\b":
            self.column = max(min(self.column, self.columns - 1) - 1, 0)
        elif self._joins(character):
            cells = self.cells[self.row]
            last = min(self.column, self.columns) - 1
            while last > 0 and cells[last] == "":
                last -= 1
            cells[last] += character
        elif character != "\a":
            width = 2 if unicodedata.east_asian_width(character) in "WF" else 1
            if self.column + width > self.columns:  # the wrap waits for the next character
                self.column = 0
                self._next_row()
            if self.inserting:
                self._control(str(width), "@")
            self.cells[self.row][self.column:self.column + width] = [character] + [""] * (width - 1)
            self.column += width

    def _joins(self, character: str) -> bool:
        """Part of the character before: marks, joiners, and the character after a joiner."""
        before = next((cell for cell in reversed(self.cells[self.row][:self.column]) if cell), "")
        return (unicodedata.combining(character) != 0 or character in "\u200d\ufe0f\u20e3" or before.endswith("\u200d"))

    def _next_row(self) -> None:
        if self.row + 1 < self.rows:
            self.row += 1
        else:
            self.cells = [*self.cells[1:], [" "] * self.columns]


class Person:
    """A person with `coax chat`, or another command, in a terminal."""

    def __init__(self, *arguments: str, command: str = "chat", extra: Mapping[str, str] | None = None,
                 columns: int = 80) -> None:
        self.screen = Screen(24, columns)
        self.written = b""
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen([coax(), command, *arguments], stdin=self.slave, stdout=self.slave,
                                        stderr=self.slave, env=environment(extra), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.slave)
        self.thread.join(WAIT_S)
        os.close(self.master)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        kept = ""
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other end is closed
                return
            with self.changed:
                self.written += data
                text = kept + decoder.decode(data)
                kept = re.search(r"(\x1b(\[[?\d;]*)?)?\Z", text)[0]  # an incomplete sequence waits for its rest
                self.screen.feed(text.removesuffix(kept))
                self.changed.notify_all()

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def wait_until(self, holds: Callable[[str], bool], what: str) -> str:
        with self.changed:
            if not self.changed.wait_for(lambda: holds(self.screen.text()), WAIT_S):
                raise AssertionError(f"{what} never came; the screen:\n{self.screen.text()}")
            return self.screen.text()

    def wait_for(self, text: str) -> str:
        """Waits until the screen has the text; the whole screen."""
        return self.wait_until(lambda screen: text in screen, repr(text))

    def wait_for_end(self, lines: str) -> None:
        """Waits until the screen ends with these lines."""
        self.wait_until(lambda screen: screen.endswith(lines), f"{lines!r} at the end")

    def resize(self, columns: int) -> None:
        with self.changed:
            self.screen.columns = columns
            self.screen.cells = [(row + [" "] * columns)[:columns] for row in self.screen.cells]
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def leave(self) -> tuple[int, bool]:
        """The exit code, once it has ended, and whether the terminal is restored."""
        code = self.process.wait(WAIT_S)
        return code, termios.tcgetattr(self.slave) == self.modes

"""As much of the Redis protocol as the benchmark needs: commands and replies over a Unix socket."""

from __future__ import annotations

import socket
from typing import Any


class Redis:
    def __init__(self, path: str, timeout: float | None = None) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._socket.settimeout(timeout)
        self._buffer = bytearray()

    def send(self, *words: str | bytes) -> None:
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            data = word.encode() if isinstance(word, str) else word
            parts += [b"$%d\r\n" % len(data), data, b"\r\n"]
        self._socket.sendall(b"".join(parts))

    def call(self, *words: str | bytes) -> Any:
        self.send(*words)
        return self.reply()

    def reply(self) -> Any:
        """One reply; raises TimeoutError only between replies."""
        if not self._buffer:
            self._fill()
        return self._value()

    def _fill(self) -> None:
        data = self._socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the server hung up")
        self._buffer += data

    def _patient(self) -> None:
        while True:
            try:
                self._fill()
                return
            except TimeoutError:
                continue

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            self._patient()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _value(self) -> Any:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            count = int(rest)
            if count < 0:
                return None
            while len(self._buffer) < count + 2:
                self._patient()
            data = bytes(self._buffer[:count])
            del self._buffer[: count + 2]
            return data
        if kind == b"*":
            return [self._value() for _ in range(int(rest))]
        if kind == b"-":
            raise RuntimeError(rest.decode())
        return int(rest) if kind == b":" else rest

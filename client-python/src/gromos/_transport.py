"""Requests over ZeroMQ: a free-list of connections, each used by one thread at a time.

A call takes a free channel or opens another, so threads never wait for one another and no lock is held during a wait. A channel
is one connection for life: libzmq may not reconnect it by itself, because a new daemon would not know it. When the connection is
lost the call learns it (ConnectionLost), and whether its request had been sent; what to do then is the session's business.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import zmq
from zmq.utils.monitor import parse_monitor_message

from . import _progress, _wire
from ._errors import GromosError, NoDaemonError, NotAuthorizedError, TimeoutExpired, from_reply

SLICE_MS: Final = 50
"""A wait looks this often whether the connection still stands, and lets Ctrl-C in."""

COPIED_BELOW: Final = 65536
"""Bytes: what is smaller is sent faster as a copy than as memory that libzmq has to give back."""

_LOST_EVENTS: Final = (
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class ConnectionLost(Exception):
    """The connection ended. `sent`: the request may have reached the daemon. `refused`: the daemon did not take the key."""

    def __init__(self, sent: bool, refused: bool = False) -> None:
        super().__init__("connection lost")
        self.sent = sent
        self.refused = refused


@dataclass(frozen=True, slots=True)
class Security:
    """CURVE keys, Z85 text: the daemon's public key and the client's pair."""

    server_key: bytes
    public_key: bytes
    secret_key: bytes


class Lane(Protocol):
    """Requests in, answers and events out, in order: a connection, or a share of one."""

    def send(self, number: int, request: _wire.Request) -> None: ...

    def receive(self, timeout: float | None, command: str | None = None) -> dict[str, Any] | None: ...

    def parts(self) -> Sequence[Any]: ...

    def close(self) -> None: ...


class Transport(Protocol):
    """What a session needs; tests swap it."""

    def roundtrip(self, request: _wire.Request, timeout: float | None) -> tuple[dict[str, Any], Sequence[Any]]:
        """Send and wait: the reply's map and its further parts. A long wait is shown. Raises ConnectionLost, TimeoutExpired."""
        ...

    def dedicated(self) -> Lane:
        """Where a subscription of the caller's own gets its messages."""
        ...

    def close(self) -> None: ...


_context_lock = threading.Lock()
_context: zmq.Context[zmq.Socket[bytes]] | None = None
_inherited: list[object] = []
"""What a forked child took over and must neither use nor close."""


def _get_context() -> zmq.Context[zmq.Socket[bytes]]:
    global _context
    with _context_lock:
        if _context is None:
            _context = zmq.Context()
        return _context


def _after_fork() -> None:
    global _context, _context_lock
    _inherited.append(_context)
    _context = None
    _context_lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def inherit(what: object) -> None:
    """Keeps what belongs to the parent process from being closed in a forked child."""
    _inherited.append(what)


_monitors = itertools.count(1)


class Channel:
    """One DEALER connection. Not for two threads at once."""

    __slots__ = ("_gone", "_monitor", "_pid", "_recv", "_send", "_socket")

    def __init__(self, endpoint: str, security: Security | None = None) -> None:
        context = _get_context()
        socket = context.socket(zmq.DEALER)
        try:
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RCVTIMEO, SLICE_MS)
            socket.setsockopt(zmq.RECONNECT_IVL, -1)
            if "[" in endpoint:
                # Only for addresses written so: with it on, libzmq keeps a lost IPv4 connection open for sending.
                socket.setsockopt(zmq.IPV6, 1)
            if endpoint.startswith("tcp:"):
                # A peer that vanished without a word is noticed after about six seconds.
                socket.setsockopt(zmq.HEARTBEAT_IVL, 2000)
                socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, 6000)
                socket.setsockopt(zmq.CONNECT_TIMEOUT, 5000)
            if security is not None:
                socket.setsockopt(zmq.CURVE_SERVERKEY, security.server_key)
                socket.setsockopt(zmq.CURVE_PUBLICKEY, security.public_key)
                socket.setsockopt(zmq.CURVE_SECRETKEY, security.secret_key)
            # Bytes that are kept, though pyzmq's types say str: of that it gives libzmq the address of an encoded copy it has freed.
            watched: Any = b"inproc://gromos-%d" % next(_monitors)
            address: Any = endpoint.encode()
            socket.monitor(watched, _LOST_EVENTS)
            self._monitor = context.socket(zmq.PAIR)
            self._monitor.setsockopt(zmq.LINGER, 0)
            self._monitor.connect(watched)
            self._socket = socket
            socket.connect(address)
        except zmq.ZMQError as error:
            monitor = getattr(self, "_monitor", None)
            if monitor is not None:
                socket.disable_monitor()
                monitor.close(0)
            socket.close(0)
            raise NoDaemonError(f"cannot connect to {endpoint}: {error}") from None
        self._gone = False
        self._pid = os.getpid()
        self._send = socket.send
        self._recv = socket.recv

    def send(self, number: int, request: _wire.Request) -> None:
        """Send a request; ConnectionLost(sent=False) if the connection is gone already."""
        if self._gone:
            raise ConnectionLost(False)
        try:
            if request.parts:
                self._send_with_parts(request.head(number), request.parts)
            else:
                self._send(request.head(number), zmq.DONTWAIT)
        except zmq.Again:
            raise ConnectionLost(False) from None

    def _send_with_parts(self, head: bytes, parts: Sequence[_wire.Array]) -> None:
        self._send(head, zmq.DONTWAIT | zmq.SNDMORE)
        last = len(parts) - 1
        for i, part in enumerate(parts):
            self._send(part.data, zmq.DONTWAIT | zmq.SNDMORE if i < last else zmq.DONTWAIT, part.nbytes < COPIED_BELOW)

    def receive(self, timeout: float | None, command: str | None = None) -> dict[str, Any] | None:
        """The next message's map, or None when the time ran out. `parts` must be called before the next receive if the map refers to
        any. A long wait for the answer to `command` is shown."""
        try:
            return _wire.decode(self._recv())
        except zmq.Again:
            return self._wait(timeout, command)

    def _wait(self, timeout: float | None, command: str | None) -> dict[str, Any] | None:
        """Goes on with a receive that had no message in its first slice."""
        deadline = None if timeout is None else time.monotonic() + timeout - SLICE_MS / 1000
        with _progress.waiting(command) as waiting:
            while True:
                if self.is_lost():
                    self._gone = True
                    raise ConnectionLost(True, self.was_refused())
                waiting.tick()
                if deadline is not None and time.monotonic() >= deadline:
                    return None
                try:
                    return _wire.decode(self._recv())
                except zmq.Again:
                    pass

    def parts(self) -> Sequence[Any]:
        """What is left of the message whose map was received last."""
        parts = []
        while self._socket.getsockopt(zmq.RCVMORE):
            parts.append(self._socket.recv(copy=False).buffer)
        return parts

    def take(self) -> dict[str, Any] | None:
        """The next message's map if there is one."""
        try:
            return _wire.decode(self._socket.recv(zmq.DONTWAIT))
        except zmq.Again:
            return None

    def sources(self) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
        """What to poll for messages and for the end of the connection."""
        return self._socket, self._monitor

    def is_lost(self) -> bool:
        return self._monitor.poll(0) != 0

    def was_refused(self) -> bool:
        """Whether the events that ended the connection say that the key was refused."""
        while self._monitor.poll(0):
            if parse_monitor_message(self._monitor.recv_multipart())["event"] == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                return True
        return False

    def __del__(self) -> None:
        # Only memory and a descriptor: nothing is sent. Without _pid the constructor failed and has tidied up.
        if getattr(self, "_pid", None) == os.getpid():
            self.close()
        elif hasattr(self, "_pid"):
            _inherited.append((self._socket, self._monitor))

    def close(self) -> None:
        if not self._socket.closed:
            self._socket.disable_monitor()
            self._monitor.close(0)
            self._socket.close(0)


class ZmqTransport:
    """Channels to one endpoint.

    Parameters
    ----------
    endpoint : str
        As ZeroMQ has it, ipc:// or tcp://.
    hello : callable
        Gives the arguments of `hello` for the next connection.
    welcome : callable
        Is given the result of each `hello`.
    """

    def __init__(
        self,
        endpoint: str,
        hello: Callable[[], dict[str, Any]],
        welcome: Callable[[dict[str, Any]], None],
        security: Security | None = None,
        hello_timeout: float = 10.0,
    ) -> None:
        self._endpoint = endpoint
        self._hello = hello
        self._welcome = welcome
        self._security = security
        self._hello_timeout = hello_timeout
        self._numbers = itertools.count(1)
        self._free: list[Channel] = []
        self._closed = False

    def roundtrip(self, request: _wire.Request, timeout: float | None) -> tuple[dict[str, Any], Sequence[Any]]:
        try:
            channel = self._free.pop()
        except IndexError:
            if self._closed:
                raise ConnectionLost(False) from None
            try:
                channel = self.open_channel()
            except NoDaemonError:
                raise ConnectionLost(False) from None
            except NotAuthorizedError as error:
                # Another daemon is there that does not know the token; or it is the first hello and the client is not welcome.
                raise ConnectionLost(False, refused=True) from error
        parts: Sequence[Any]
        try:
            number = next(self._numbers) & 0xFFFFFFFF
            channel.send(number, request)
            while True:
                message = channel.receive(timeout, request.command)
                if message is None:
                    raise TimeoutExpired(
                        f"{request.command}: no answer within {timeout:g} s", command=request.command, request_id=number
                    )
                if message.get("id") == number:
                    result = message.get("result")
                    parts = channel.parts() if result and _wire.names_parts(result) else ()
                    break
                channel.parts()
        except BaseException:
            # Whatever comes on this connection later belongs to nobody.
            channel.close()
            raise
        if self._closed:
            channel.close()
        else:
            self._free.append(channel)
        return message, parts

    def dedicated(self) -> Lane:
        return self.open_channel()

    def open_channel(self) -> Channel:
        """A new connection that said hello."""
        channel = Channel(self._endpoint, self._security)
        try:
            self._greet(channel)
        except BaseException:
            channel.close()
            raise
        return channel

    def _greet(self, channel: Channel) -> None:
        number = next(self._numbers) & 0xFFFFFFFF
        try:
            channel.send(number, _wire.encode("hello", self._hello()))
            message = channel.receive(self._hello_timeout)
        except ConnectionLost as lost:
            if lost.refused:
                raise NotAuthorizedError(f"the daemon at {self._endpoint} knows no client of this key", command="hello") from None
            raise NoDaemonError(f"nobody answers at {self._endpoint}", command="hello") from None
        if message is None:
            raise NoDaemonError(f"no answer from {self._endpoint} within {self._hello_timeout:g} s", command="hello")
        if not message["ok"]:
            raise _error(message, "hello")
        self._welcome(message["result"])

    def close(self) -> None:
        """Close the free channels; one in use closes when its call returns."""
        self._closed = True
        while self._free:
            try:
                self._free.pop().close()
            except IndexError:
                break

    def abandon(self) -> None:
        """Forget everything without touching it: the connections belong to the parent process."""
        self._closed = True
        _inherited.append(self._free)
        self._free = []


def _error(message: dict[str, Any], command: str) -> GromosError:
    return from_reply(message.get("error") or {}, command, message.get("id"))

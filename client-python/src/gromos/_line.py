"""The one connection of a remote session: commands, events and frame streams go over it, side by side.

A thread of its own owns the socket. A caller hands it a request and sleeps until the answer with its number is there; a
subscription gets a lane, into which the thread puts what the daemon sends of its own accord. A large upload alone goes over a second
connection, opened when there is one: on the common one it would hold up every heartbeat and command behind it.
"""

from __future__ import annotations

import collections
import itertools
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import zmq

from . import _progress, _wire
from ._errors import InvalidMessageError, NoDaemonError, NotAuthorizedError, TimeoutExpired
from ._transport import Channel, ConnectionLost, Security, ZmqTransport, inherit

SLICE: Final = 0.05
"""A wait looks this often, in seconds, whether it was interrupted."""
LARGE_UPLOAD: Final = 1 << 20
"""Bytes; a request with more goes over a connection of its own."""
LANE_MESSAGES: Final = 10000
"""Events that may wait in this process to be read; frames are held to far fewer by their credit."""

Message = tuple[dict[str, Any], Sequence[Any]]


class Lane:
    """A place for messages that belong together: the answer to one call, or all of a subscription. Has the shape of a Channel."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._ready = threading.Condition(threading.Lock())
        self._messages: collections.deque[Message] = collections.deque()
        self._parts: Sequence[Any] = ()
        self._lost: ConnectionLost | None = None
        self._left_out = 0
        self.sent = False

    def send(self, number: int, request: _wire.Request) -> None:
        """Send a request; its answer comes here under the same number. ConnectionLost(sent=False) if the connection is gone already."""
        self._line.send(self, number, request)

    def receive(self, timeout: float | None, command: str | None = None) -> dict[str, Any] | None:
        """The next message's map, or None when the time ran out. `parts` belongs to it until the next receive. A long wait for the answer
        to `command` is shown."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with _progress.waiting(command) as waiting:
            while True:
                with self._ready:
                    if not self._messages and self._lost is None:
                        self._ready.wait(SLICE if deadline is None else min(SLICE, max(0.0, deadline - time.monotonic())))
                    if self._messages:
                        message, self._parts = self._messages.popleft()
                        return message
                    if self._lost is not None:
                        raise ConnectionLost(self.sent, self._lost.refused) from self._lost.__cause__
                waiting.tick()
                if deadline is not None and time.monotonic() >= deadline:
                    return None

    def parts(self) -> Sequence[Any]:
        """The further parts of the message whose map was received last."""
        return self._parts

    def close(self) -> None:
        """Nothing more is put here."""
        self._line.forget(self)

    def put(self, message: dict[str, Any], parts: Sequence[Any]) -> None:
        with self._ready:
            if "event" in message:
                if len(self._messages) >= LANE_MESSAGES:
                    self._left_out += 1
                    return
                if self._left_out and "missed" in message:
                    message["missed"] += self._left_out
                    self._left_out = 0
            self._messages.append((message, parts))
            self._ready.notify()

    def lose(self, lost: ConnectionLost) -> None:
        with self._ready:
            self._lost = lost
            self._ready.notify()


class Line:
    """A connection that said hello, and the thread that serves it."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()  # a finaliser may close this line from within
        self._outgoing: collections.deque[tuple[int, Lane, _wire.Request]] = collections.deque()
        self._waiting: dict[int, tuple[Lane, int]] = {}
        self._subscribed: dict[int, Lane] = {}
        self._lost: ConnectionLost | None = None
        self._closing = False
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._serve, name="gromos-line", daemon=True)
        self._thread.start()

    @property
    def usable(self) -> bool:
        return self._lost is None and not self._closing

    def send(self, lane: Lane, number: int, request: _wire.Request) -> None:
        with self._lock:
            if self._lost is not None or self._closing:
                raise ConnectionLost(False)
            name = next(self._numbers) & 0xFFFFFFFF
            self._waiting[name] = (lane, number)
            self._outgoing.append((name, lane, request))
            os.eventfd_write(self._wake, 1)

    def forget(self, lane: Lane) -> None:
        with self._lock:
            self._waiting = {name: entry for name, entry in self._waiting.items() if entry[0] is not lane}
            self._subscribed = {number: other for number, other in self._subscribed.items() if other is not lane}

    def close(self) -> None:
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._closing or self._lost is not None:
                return
            self._closing = True
            os.eventfd_write(self._wake, 1)
        if threading.current_thread() is not self._thread:
            self._thread.join(2.0)

    # --- the thread ------------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        lost = ConnectionLost(False)
        try:
            poller = zmq.Poller()
            for source in (*self._channel.sources(), self._wake):
                poller.register(source, zmq.POLLIN)
            while not self._closing:
                self._send_all()
                self._take_all()
                if self._channel.is_lost():
                    raise ConnectionLost(True, self._channel.was_refused())
                poller.poll()
                self._drain_wake()
        except ConnectionLost as error:
            lost = error
        except zmq.ZMQError:
            pass
        except InvalidMessageError as error:
            lost = ConnectionLost(True)
            lost.__cause__ = error  # to ask once more would bring the same
        self._end(lost)

    def _drain_wake(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            pass

    def _send_all(self) -> None:
        while True:
            with self._lock:
                if not self._outgoing:
                    return
                name, lane, request = self._outgoing.popleft()
            self._channel.send(name, request)
            lane.sent = True

    def _take_all(self) -> None:
        while (message := self._channel.take()) is not None:
            parts = self._channel.parts()
            if "event" in message:
                lane = self._subscribed.get(message.get("subscription", 0))
            else:
                with self._lock:
                    lane, message["id"] = self._waiting.pop(message["id"], (None, message["id"]))
                    result = message.get("result")
                    if lane is not None and isinstance(result, dict) and "subscription" in result:
                        self._subscribed[result["subscription"]] = lane
            if lane is not None:
                lane.put(message, parts)

    def _end(self, lost: ConnectionLost) -> None:
        with self._lock:
            self._lost = lost
            lanes = {id(lane): lane for lane, _ in self._waiting.values()}
            lanes.update((id(lane), lane) for lane in self._subscribed.values())
            self._waiting, self._subscribed = {}, {}
        for lane in lanes.values():
            lane.lose(lost)
        self._channel.close()
        os.close(self._wake)


class LineTransport(ZmqTransport):
    """Everything over one connection, made at the first call and again after it was lost."""

    def __init__(
        self,
        endpoint: str,
        hello: Callable[[], dict[str, Any]],
        welcome: Callable[[dict[str, Any]], None],
        security: Security | None = None,
        hello_timeout: float = 10.0,
    ) -> None:
        super().__init__(endpoint, hello, welcome, security, hello_timeout)
        self._line: Line | None = None
        self._opening = threading.Lock()

    def roundtrip(self, request: _wire.Request, timeout: float | None) -> tuple[dict[str, Any], Sequence[Any]]:
        if sum(part.nbytes for part in request.parts) > LARGE_UPLOAD:
            return super().roundtrip(request, timeout)
        try:
            lane = self.dedicated()
        except NoDaemonError:
            raise ConnectionLost(False) from None
        except NotAuthorizedError as error:
            raise ConnectionLost(False, refused=True) from error
        try:
            lane.send(1, request)
            message = lane.receive(timeout, request.command)
        except BaseException:
            lane.close()
            raise
        if message is None:
            lane.close()
            raise TimeoutExpired(f"{request.command}: no answer within {timeout:g} s", command=request.command, request_id=1)
        return message, lane.parts()

    def dedicated(self) -> Lane:
        """A lane on the connection."""
        line = self._line
        if line is None or not line.usable:
            with self._opening:
                line = self._line
                if line is None or not line.usable:
                    if self._closed:
                        raise ConnectionLost(False)
                    line = self._line = Line(self.open_channel())
            if self._closed:  # meanwhile
                line.close()
                raise ConnectionLost(False)
        return Lane(line)

    def close(self) -> None:
        super().close()
        if self._line is not None:
            self._line.close()

    def abandon(self) -> None:
        super().abandon()
        inherit(self._line)
        self._line = None
        self._opening = threading.Lock()

    def __del__(self) -> None:
        line = getattr(self, "_line", None)
        if line is not None:
            line.close()

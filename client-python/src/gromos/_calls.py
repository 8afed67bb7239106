"""Requests of a local session: computing commands over connections that the door hands out, everything else over ZeroMQ.

At the door a request and its answer are one packet each way (proto/gd_call.h), with no thread between this one and the daemon's loop.
Arrays of some size go through shared memory, either way. As over ZeroMQ a call takes a free connection or opens another, so that
threads never wait for one another.
"""

from __future__ import annotations

import errno
import itertools
import time
from collections.abc import Sequence
from typing import Any

from . import _ext, _progress, _wire
from ._errors import GromosError, NoDaemonError, TimeoutExpired
from ._protocol import COMMANDS
from ._transport import ConnectionLost, Lane, ZmqTransport

Answer = tuple[dict[str, Any], Sequence[Any]]


class DoorTransport:
    """The door of a session and ZeroMQ beside it.

    Parameters
    ----------
    door : Door
    zmq : ZmqTransport
        For what the door does not take.
    """

    def __init__(self, door: _ext.Door, zmq: ZmqTransport) -> None:
        self._door = door
        self._zmq = zmq
        self._numbers = itertools.count(1)
        self._free: list[_ext.CallLine] = []
        self._closed = False

    def roundtrip(self, request: _wire.Request, timeout: float | None) -> Answer:
        line = self._take_line() if COMMANDS[request.command].door else None
        if line is None:
            return self._over_zmq(request, timeout)
        number = next(self._numbers) & 0xFFFFFFFF
        answer: Answer | None
        try:
            answer = line.ask(request, number) or self._wait(line, request.command, number, timeout)
        except BrokenPipeError:
            line.close()
            raise ConnectionLost(False) from None
        except ConnectionResetError:
            line.close()
            raise ConnectionLost(True) from None
        except BaseException as error:
            if not (isinstance(error, OSError) and error.errno == errno.EMSGSIZE):
                line.close()  # whatever comes on this connection later belongs to nobody
                raise
            answer = None  # nothing was sent
        if self._closed:
            line.close()
        else:
            self._free.append(line)
        return self._over_zmq(request, timeout) if answer is None else answer

    def _over_zmq(self, request: _wire.Request, timeout: float | None) -> Answer:
        """Arrays of some size go through shared memory, if it is free; small ones are faster in the message."""
        where = self._door.put(request.parts) if sum(part.nbytes for part in request.parts) >= _ext.LEAST_IN_MEMORY else None
        if where is None:
            return self._zmq.roundtrip(request, timeout)
        answered = False
        try:
            answer = self._zmq.roundtrip(request.in_memory(where), timeout)
            answered = True
        finally:
            self._door.put_done(answered)
        return answer

    def _take_line(self) -> _ext.CallLine | None:
        """None: the daemon gives no more of them, or this process may have no more descriptors."""
        try:
            return self._free.pop()
        except IndexError:
            pass
        if self._closed:
            raise ConnectionLost(False)
        try:
            return self._door.line()
        except NoDaemonError:
            raise ConnectionLost(False) from None
        except GromosError:
            return None

    def _wait(self, line: _ext.CallLine, command: str, number: int, timeout: float | None) -> Answer:
        """Goes on with a wait whose first slice brought nothing."""
        start = time.monotonic()
        with _progress.waiting(command) as waiting:
            while True:
                waiting.tick()
                if timeout is not None and time.monotonic() - start >= timeout:
                    raise TimeoutExpired(f"{command}: no answer within {timeout:g} s", command=command, request_id=number)
                answer = line.wait()
                if answer is not None:
                    return answer

    def dedicated(self) -> Lane:
        return self._zmq.dedicated()

    def close(self) -> None:
        """Close what is free; a connection in use closes when its call returns."""
        self._closed = True
        self._zmq.close()
        while self._free:
            try:
                self._free.pop().close()
            except IndexError:
                break

    def abandon(self) -> None:
        """Forget everything without touching it: the connections belong to the parent process; the door's are closed here already."""
        self._closed = True
        self._zmq.abandon()
        self._free = []

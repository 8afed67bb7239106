"""A subscription: a lane on which the daemon sends messages of its own accord."""

from __future__ import annotations

import collections
import threading
from typing import TYPE_CHECKING, Any

from . import _wire
from ._errors import GromosError, NoDaemonError, NotAuthorizedError
from ._transport import ConnectionLost, Lane, _error

if TYPE_CHECKING:
    from ._session import Session


class Subscription:
    """Subscribes with one command, hands out events, ends with another.

    When the connection is lost it subscribes again, at the next daemon if need be. For one reading thread; `close` may come from
    another.
    """

    def __init__(self, session: Session, command: str, args: dict[str, Any]) -> None:
        self._session = session
        self._command = command
        self._args = args
        self._pending: collections.deque[tuple[dict[str, Any], Any]] = collections.deque()
        self._lock = threading.RLock()
        self._requests = 0
        self._lane: Lane | None = None
        self.number = 0
        self._subscribe()

    def _subscribe(self) -> None:
        link = self._session._link or self._session._connect(None)
        try:
            self._lane = link.transport.dedicated()
            self.number = self._ask(f"{self._command}.subscribe", self._args)["subscription"]
        except (ConnectionLost, NoDaemonError, NotAuthorizedError):
            link = self._session._connect(link)
            self._lane = link.transport.dedicated()
            self.number = self._ask(f"{self._command}.subscribe", self._args)["subscription"]

    def _ask(self, command: str, args: dict[str, Any]) -> dict[str, Any]:
        """A command on the subscription's own lane; events that come before the answer are kept."""
        assert self._lane is not None
        number = self.tell(command, args)
        while True:
            message = self._lane.receive(30.0)
            if message is None:
                raise ConnectionLost(True)
            parts = self._lane.parts()
            if "event" in message:
                self._pending.append((message, parts))
            elif message.get("id") == number:
                if not message["ok"]:
                    raise _error(message, command)
                return dict(message["result"])

    def tell(self, command: str, args: dict[str, Any]) -> int:
        """Send a command whose answer nobody waits for: it is passed over when it comes."""
        assert self._lane is not None
        self._requests += 1
        self._lane.send(self._requests, _wire.encode(command, args))
        return self._requests

    def receive(self, timeout: float) -> tuple[dict[str, Any], Any] | None:
        """The next event of this subscription and its further parts; None when none came in time, or the connection had to be made
        anew, or the subscription is closed."""
        with self._lock:
            if self._lane is None:
                return None
            try:
                if self._pending:
                    message, parts = self._pending.popleft()
                else:
                    received = self._lane.receive(timeout)
                    if received is None:
                        return None
                    message, parts = received, self._lane.parts()
            except ConnectionLost:
                self._lane.close()
                self._subscribe()
                return None
            return (message, parts) if message.get("subscription") == self.number and "event" in message else None

    def give_credit(self, frames: int) -> None:
        with self._lock:
            if self._lane is not None:
                try:
                    self.tell(f"{self._command}.credit", {"subscription": self.number, "credit": frames})
                except ConnectionLost:
                    pass  # the next receive sees it

    def close(self) -> None:
        """End the subscription; twice is fine."""
        with self._lock:
            if self._lane is None:
                return
            try:
                self._ask(f"{self._command}.unsubscribe", {"subscription": self.number})
            except (ConnectionLost, GromosError):
                pass  # it ends with the connection
            self._lane.close()
            self._lane = None

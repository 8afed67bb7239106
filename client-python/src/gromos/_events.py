"""What happens to States, as it happens."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from . import _wire
from ._subscription import Subscription

if TYPE_CHECKING:
    from ._session import Session

SLICE: Final = 0.25
"""A wait looks this often, in seconds, whether it was called off."""


@dataclass(frozen=True, slots=True)
class StateEvent:
    """Something that happened to a State.

    Attributes
    ----------
    what : str
        ``created``, ``renamed``, ``deleted``; ``undone``: an edit whose holder ended was rolled back; ``lease_lost``: a remote holder
        lost its lease, with nothing changed; ``generation``: a holder lost its lease while alive, its edit was rolled back and the
        State has new memory; ``not_evicted``: it should have, but there was no room for that memory (tried again each second);
        ``run``: a job on it began or ended.
    state : uuid.UUID
    name : str
        Empty if it has none.
    version, generation : int
        Of the State after it happened.
    session : int
        Whose doing or loss it was; 0: nobody's.
    text : str
        Why, for people.
    missed : int
        Events that were left out before this one, because this listener was slow.
    """

    what: str
    state: uuid.UUID
    name: str
    version: int
    generation: int
    session: int
    text: str
    missed: int


class Events:
    """An iterator over what happens to States from the moment it was made; usable as a context manager.

    Iteration ends when nothing happened for `timeout` seconds (then `timed_out` is True) and after `close`. A daemon that dies and
    comes back is listened to again; what happened in between is not told.
    """

    def __init__(self, session: Session, state: uuid.UUID | None, timeout: float | None) -> None:
        self._timeout = _wire.seconds("timeout", timeout)
        args: dict[str, Any] = {} if state is None else {"state": state.bytes}
        self._subscription = Subscription(session, "events", args)
        self._closed = False
        self.timed_out = False

    def close(self) -> None:
        """Stop listening; twice is fine."""
        self._closed = True
        self._subscription.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        self.close()
        return False

    def __iter__(self) -> Iterator[StateEvent]:
        return self

    def __next__(self) -> StateEvent:
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        while not self._closed:
            left = SLICE if deadline is None else min(SLICE, max(0.0, deadline - time.monotonic()))
            got = self._subscription.receive(left)
            if got is not None:
                return _event(got[0])
            if deadline is not None and time.monotonic() >= deadline:
                self.timed_out = True
                self.close()
        raise StopIteration


def _event(message: dict[str, Any]) -> StateEvent:
    return StateEvent(
        what=message["what"],
        state=uuid.UUID(bytes=message["uuid"]),
        name=message["name"],
        version=message["version"],
        generation=message["generation"],
        session=message["session"],
        text=message["text"],
        missed=message["missed"],
    )

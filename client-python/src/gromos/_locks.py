"""Keeping threads of one process apart."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ._errors import ConflictError, LeaseTimeoutError

if TYPE_CHECKING:
    from ._frames import RemoteEdit


class WriteLock:
    """Keeps the threads of a process apart that write the same remote State: for the daemon they are one session."""

    __slots__ = ("__weakref__", "_lock", "edit", "owner")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.owner = 0
        self.edit: RemoteEdit | None = None

    def held_here(self) -> bool:
        return self.owner == threading.get_ident()

    def acquire(self, timeout: float | None) -> None:
        if self.held_here():
            raise ConflictError("inside an edit of this thread: finish the edit first, or change the arrays it hands out")
        if not self._lock.acquire(timeout=-1 if timeout is None else min(max(timeout, 0.0), threading.TIMEOUT_MAX)):
            raise LeaseTimeoutError("another thread of this process wrote the State for the whole waiting time")
        self.owner = threading.get_ident()

    def release(self) -> None:
        self.owner = 0
        self.edit = None
        self._lock.release()

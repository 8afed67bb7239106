"""Ctrl-C while something must not be lost."""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Self

__all__ = ["HeldInterrupts"]

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class HeldInterrupts:
    """A ``with`` block in which Ctrl-C, and SIGTERM where Python handles it, wait until `release`, at the latest for the end of the block.

    Then whoever handles the signal otherwise gets it, which as a rule raises KeyboardInterrupt. A second one does not wait: whoever presses
    twice wants out. In threads but the main one, where no signal is handled, nothing is done.
    """

    def __init__(self) -> None:
        self._before: dict[int, Callable[[int, FrameType | None], Any]] = {}
        self._waiting: list[tuple[int, FrameType | None]] = []
        self._holds = False

    def __enter__(self) -> Self:
        self._holds = True
        try:
            for number in SIGNALS:
                before = signal.getsignal(number)
                if callable(before):
                    self._before[number] = before
                    signal.signal(number, self._handle)
        except ValueError:
            self._before.clear()  # not the main thread
        except BaseException:
            self._restore()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """From now on signals count as they come; the one that waited counts now. Twice is fine.

        Raises
        ------
        what the handler of the signal raises, as a rule KeyboardInterrupt
        """
        self._holds = False
        self._restore()
        if self._waiting:
            number, frame = self._waiting.pop()
            self._before[number](number, frame)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._holds and not self._waiting:
            self._waiting.append((number, frame))
            return
        self._waiting.clear()
        self._restore()
        self._before[number](number, frame)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            if signal.getsignal(number) == self._handle:
                signal.signal(number, handler)

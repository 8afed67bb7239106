"""Progress bars for what takes long: in a terminal and in a notebook, off elsewhere, and silenced by `gromos.progress(False)`
or GROMOS_PROGRESS=0."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final, Self, TypeVar

from . import _wire
from ._protocol import COMMANDS

T = TypeVar("T")

SHOW_AFTER: Final = 1.0
"""A wait shorter than this many seconds shows nothing."""

_chosen: bool | None = None


def progress(show: bool | None) -> None:
    """Switch progress bars on or off for this process.

    Parameters
    ----------
    show : bool or None
        None goes back to the default: shown where standard error is a terminal and in notebooks, unless GROMOS_PROGRESS is 0.

    Examples
    --------
    >>> import gromos
    >>> gromos.progress(False)
    """
    global _chosen
    _chosen = None if show is None else _wire.flag("show", show)


def _in_notebook() -> bool:
    shell = sys.modules.get("IPython")
    if shell is None:
        return False
    return type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


def enabled() -> bool:
    if _chosen is not None:
        return _chosen
    if os.environ.get("GROMOS_PROGRESS") in ("0", "no", "off"):
        return False
    return _in_notebook() or (sys.stderr is not None and sys.stderr.isatty())


def _bar(**options: Any) -> Any:
    import tqdm
    import tqdm.auto

    bar: Any = tqdm.auto.tqdm if _in_notebook() else tqdm.tqdm
    return bar(**options)


def track(items: Iterable[T], total: int | None, label: str, unit: str) -> Iterator[T]:
    """The items, with a bar beside them."""
    if not enabled():
        yield from items
        return
    bar = _bar(total=total, desc=label, unit=unit, leave=False)
    try:
        for item in items:
            yield item
            bar.update()
    finally:
        bar.close()


class Waiting:
    """Shows that a wait goes on, once it has gone on for a while. `tick` is called now and then by whoever waits; without a label
    nothing is shown."""

    __slots__ = ("_bar", "_label", "_start")

    def __init__(self, label: str | None) -> None:
        self._label = label
        self._start = time.monotonic()
        self._bar: Any = None

    def tick(self) -> None:
        if self._label is None:
            return
        if self._bar is None:
            if time.monotonic() - self._start < SHOW_AFTER:
                return
            if not enabled():  # asked for only now: most waits end before
                self._label = None
                return
            self._bar = _bar(desc=self._label, bar_format="{desc}: {elapsed}", leave=False)
        self._bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def waiting(command: str | None) -> Waiting:
    """Shows a wait for the answer to a command, unless it is one that is answered at once."""
    return Waiting(None if command is None or COMMANDS[command].run == "inline" else command)

"""What the processes of the demo share: lines of JSON to the one that started them, words from it, and where an array lies."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")

NAME = "alanine"
"""What the State is called."""
NUM_SOLUTE = 12
"""Atoms of the dipeptide; three for each water molecule follow."""
PUBLISH_EVERY = 5
"""Steps of the run from one frame to the next."""


def data(name: str) -> Path:
    """A file of the example system that comes with the package."""
    return Path(str(files("gromos"))) / "data" / name


def say(**fields: Any) -> None:
    """One line of JSON to the process that started this one."""
    print(json.dumps(fields), flush=True)


def hear() -> str:
    """The next word from it; empty when it has ended."""
    return sys.stdin.readline().strip()


def owner_of(array: npt.NDArray[Any]) -> str:
    """What memory an array lies in, as /proc/self/maps has it: device and inode of the mapping its first byte is in.

    Two processes whose arrays are in the same inode see the same pages. Empty for memory that belongs to this process alone.
    """
    address = array.__array_interface__["data"][0]
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            span, _, _, device, inode = line.split()[:5]
            first, last = (int(part, 16) for part in span.split("-"))
            if first <= address < last:
                return f"{device} {inode}" if inode != "0" else ""
    return ""


def digest(array: npt.NDArray[Any]) -> str:
    """A short word for the exact bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:12]


def degrees_of_freedom(num_atoms: int) -> float:
    """A rigid water molecule has six, the solute three per atom less one per constrained bond; the centre of mass rests."""
    return float(6 * (num_atoms - NUM_SOLUTE) // 3 + 3 * NUM_SOLUTE - (NUM_SOLUTE - 1) - 3)


class Clock:
    """Times one kind of call; its median in microseconds."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def call(self, function: Callable[..., T], *args: Any, **options: Any) -> T:
        start = time.perf_counter()
        result = function(*args, **options)
        self.times.append((time.perf_counter() - start) * 1e6)
        return result

    def median(self) -> float:
        return statistics.median(self.times) if self.times else float("nan")


def cost_of_positions(state: Any, repeats: int = 2000) -> float:
    """Microseconds for state.positions(), when it has been called before."""
    state.positions()
    start = time.perf_counter()
    for _ in range(repeats):
        state.positions()
    return (time.perf_counter() - start) / repeats * 1e6


def final_look(state: Any, kept: npt.NDArray[Any] | None) -> None:
    """The last part of every watcher, on words from the demo.

    "look": say what the State is now. "write": change one atom, in an edit. "again": say where that atom is now, in the array that
    was asked for at the very start (`kept`), or, over tcp, in one fetched anew.
    """
    while word := hear():
        if word == "look":
            x = state.positions()
            say(
                event="look", version=state.version, step=state.step, positions=digest(x), center=list(map(float, state.center_of_mass())),
                owner=owner_of(x), us=cost_of_positions(state),
            )  # fmt: skip
        elif word == "write":
            with state.edit() as e:
                e.positions()[0] += np.float32(0.125)
            say(event="wrote", version=state.version, atom=[float(c) for c in state.positions()[0]])
        elif word == "again":
            x = kept if kept is not None else state.positions()
            say(event="again", version=state.version, atom=[float(c) for c in x[0]])
        elif word == "end":
            return

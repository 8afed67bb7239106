"""Frames and edits as Python sees them, local and remote, and the iterators over what is published."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
import numpy.typing as npt

from . import _ext, _wire
from ._errors import (
    ConflictError,
    GromosError,
    InvalidArgumentError,
    LeaseLostError,
    NoDaemonError,
    NotFoundError,
    NotFiniteError,
    ShapeError,
    StaleGenerationError,
    StateDeletedError,
    UnsupportedError,
)
from ._box import Box
from ._energy import Energy
from ._protocol import Commands
from ._subscription import Subscription

if TYPE_CHECKING:
    from ._binding import Bound
    from ._state import State

FloatArray = npt.NDArray[np.floating[Any]]
Policy = Literal["every", "latest"]
NAMES: Final = ("positions", "velocities", "forces", "masses", "energies")
SLICE: Final = 0.25
LONGEST_WAIT: Final = 86400.0  # s
"""A wait looks this often, in seconds, whether it was called off."""


class Frame(_ext.Frame):
    """A published step of a State: immutable, consistent, and in memory shared with everybody who looks at it.

    It stays as it is for as long as this handle or any array over it lives, also after the State is deleted. Use it in a ``with``
    block, or drop it when done: the publisher has to go round every frame that is held.
    """

    __slots__ = ()

    @property
    def box(self) -> Box:
        """The box of this step."""
        return Box._from_wire(*self.raw_box)

    @property
    def energies(self) -> Energy:
        """The energies of this step."""
        mapping = self.mapping
        return Energy._over(self.raw_energies, mapping.num_temperature_groups, mapping.num_energy_groups)

    def __repr__(self) -> str:
        return f"<gromos.Frame {self.sequence}: step {self.step}, {self.time:g} ps, {self.num_atoms()} atoms>"


class Edit(_ext.Edit):
    """The exclusive right to write a State's live arrays, from enter to exit.

    Leaving the block makes everything one step (a commit) and publishes a frame unless ``publish=False``; leaving it by an exception
    puts back what stood there before, and so does a number in its arrays that is not finite. The arrays turn private when the block ends.
    """

    __slots__ = ()  # so that `e.positions = ...` is an error and not an attribute nobody looks at

    @property
    def box(self) -> Box:
        return Box._from_wire(*self.get_box())

    @box.setter
    def box(self, box: Box) -> None:
        self.set_box(*checked_box(box)._to_wire())

    def set_positions(self, positions: npt.ArrayLike) -> None:
        self.set_array(_ext.POSITIONS, positions)

    def set_velocities(self, velocities: npt.ArrayLike) -> None:
        self.set_array(_ext.VELOCITIES, velocities)

    def set_forces(self, forces: npt.ArrayLike) -> None:
        self.set_array(_ext.FORCES, forces)

    def set_masses(self, masses: npt.ArrayLike) -> None:
        self.set_array(_ext.MASSES, checked_masses(masses, self.num_atoms()))


class RemoteFrame:
    """A commit of a State at another machine, fetched in one piece. Its arrays are read-only copies."""

    def __init__(
        self,
        arrays: dict[str, npt.NDArray[Any]],
        *,
        sequence: int,
        version: int,
        step: int,
        time: float,
        box: Box,
        groups: tuple[int, int],
        missed: int = 0,
    ) -> None:
        self._arrays = {name: _read_only(array) for name, array in arrays.items()}
        self._groups = groups
        self.sequence = sequence
        self.version = version
        self.step = step
        self.time = time
        self.box = box
        self.missed = missed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        return False

    def release(self) -> None:
        """Nothing to give back: the arrays are this process's own."""

    @property
    def released(self) -> bool:
        return False

    def num_atoms(self) -> int:
        return len(self._arrays["positions"])

    def has(self, which: int) -> bool:
        return NAMES[which] in self._arrays

    def array(self, which: int, mode: Literal["r", "c"] = "r") -> FloatArray:
        try:
            array = self._arrays[NAMES[which]]
        except KeyError:
            raise UnsupportedError(f"this frame carries no {NAMES[which]}") from None
        if mode not in ("r", "c"):
            raise InvalidArgumentError(f"mode is {mode!r}; a frame has 'r' and 'c'")
        return array if mode == "r" else array.copy()

    def positions(self, mode: Literal["r", "c"] = "r") -> FloatArray:
        return self.array(_ext.POSITIONS, mode)

    def velocities(self, mode: Literal["r", "c"] = "r") -> FloatArray:
        return self.array(_ext.VELOCITIES, mode)

    def forces(self, mode: Literal["r", "c"] = "r") -> FloatArray:
        return self.array(_ext.FORCES, mode)

    def masses(self, mode: Literal["r", "c"] = "r") -> npt.NDArray[np.float64]:
        return self.array(_ext.MASSES, mode).astype(np.float64, copy=False)

    @property
    def energies(self) -> Energy:
        """The energies of this step."""
        return Energy._over(self._arrays["energies"], *self._groups)

    def __repr__(self) -> str:
        return f"<gromos.RemoteFrame {self.sequence}: step {self.step}, {self.time:g} ps, {self.num_atoms()} atoms>"


AnyFrame = Frame | RemoteFrame


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def checked_array(name: str, value: npt.ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any] | None = None) -> npt.NDArray[Any]:
    """An array of finite real numbers of this very shape, C-contiguous.

    Raises
    ------
    ShapeError, DTypeError, NotFiniteError
        Naming the argument, what it has and what it must have.
    """
    pattern = "(" + ", ".join("n" for _ in shape) + ("," if len(shape) == 1 else "") + ")"
    result = _wire.array(name, value, "float", pattern)
    if result.shape != shape:
        raise ShapeError(f"'{name}' has shape {result.shape}; it must be {shape}")
    given = result
    if dtype is not None:
        with np.errstate(over="ignore"):
            result = result.astype(dtype, copy=False)
    if not np.isfinite(result).all():
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(result))[0])
        raise NotFiniteError(f"'{name}' holds {given[where]} at {where}; every element must be a finite number that fits {result.dtype}")
    return np.ascontiguousarray(result)


def checked_masses(masses: npt.ArrayLike, num_atoms: int) -> npt.NDArray[np.float64]:
    """checked_array for masses, which are above zero."""
    array = checked_array("masses", masses, (num_atoms,), np.dtype(np.float64))
    if not (array > 0).all():
        where = int(np.flatnonzero(array <= 0)[0])
        raise InvalidArgumentError(f"'masses' holds {array[where]:g} for atom {where}; every mass must be above zero")
    return array


def checked_box(box: Box) -> Box:
    """The box, if it is one.

    Raises
    ------
    InvalidArgumentError
    """
    if not isinstance(box, Box):
        raise InvalidArgumentError(f"'box' must be a gromos.Box, not {type(box).__name__}; without edges it is Box.vacuum()")
    return box


def longest_wait(timeout: float | None) -> float:
    """What the daemon is asked to wait for a lease: a day stands for ever."""
    limit = _wire.seconds("timeout", timeout)
    return LONGEST_WAIT if limit is None else min(limit, LONGEST_WAIT)


class RemoteEdit:
    """An edit of a State at another machine: buffered here, sent as one commit when the block ends.

    The lease is taken when the block is entered and carries a fencing number: if it was lost in between, the commit is refused with
    `LeaseLostError` and nothing has changed. What is read belongs to one commit, the one the lease was granted on: a read after the
    lease was lost and somebody else has committed ends in `LeaseLostError` too.
    """

    __slots__ = ("_arrays", "_base", "_fence", "_publish", "_small", "_state", "_timeout", "_version")

    def __init__(self, state: State, timeout: float | None, publish: bool) -> None:
        self._state = state
        self._timeout = longest_wait(timeout)
        self._publish = _wire.flag("publish", publish)
        self._fence = 0
        self._arrays: dict[str, npt.NDArray[Any]] = {}
        self._small: dict[str, Any] = {}
        self._base: dict[str, Any] = {}
        self._version = 0

    def __enter__(self) -> Self:
        if self._fence:
            raise ConflictError("this edit is open already")
        lock = self._state._remote.lock
        lock.acquire(self._timeout)
        try:
            lease = Commands.state_lease(self._state, self._state._identity, timeout=self._timeout)
        except BaseException:
            lock.release()
            raise
        lock.edit = self
        self._fence = lease.fence
        self._version = lease.version
        self._base = {}
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> Literal[False]:
        if not self._fence:
            return False
        if kind is None:
            self.commit()
        else:
            try:
                self.rollback()
            except GromosError:
                pass  # the lease is gone, and with it nothing: no change was sent
        return False

    @property
    def state(self) -> State:
        return self._state

    @property
    def active(self) -> bool:
        return self._fence != 0

    @property
    def version(self) -> int:
        return self._version

    def commit(self) -> None:
        """End the edit now: one commit at the daemon."""
        self._require()
        state = self._state
        changes: dict[str, Any] = {**self._arrays, **self._small}
        try:
            for name, array in self._arrays.items():
                checked_array(name, array, array.shape)
        except GromosError:
            self.rollback()
            raise
        fence = self._end()
        try:
            if not changes:
                Commands.state_release(state, state._identity, fence=fence)
                return
            done = Commands.state_set(state, state._identity, **changes, publish=self._publish, fence=fence, timeout=self._timeout)
            self._version = done.version
        finally:
            state._remote.lock.release()

    def rollback(self) -> None:
        """End the edit without a change."""
        self._require()
        fence = self._end()
        try:
            Commands.state_release(self._state, self._state._identity, fence=fence)
        finally:
            self._state._remote.lock.release()

    def _end(self) -> int:
        fence, self._fence = self._fence, 0
        self._arrays = {}
        self._small = {}
        self._state._remote.lock.edit = None
        return fence

    def _require(self) -> None:
        if not self._fence:
            raise ConflictError("the edit has ended, or was not entered with `with`")

    def num_atoms(self) -> int:
        return self._state.num_atoms()

    def array(self, which: int) -> npt.NDArray[Any]:
        self._require()
        name = NAMES[which]
        if name not in self._arrays:
            self._arrays[name] = self._state._remote.fetch(name, self._version).copy()
        return self._arrays[name]

    def peek(self, which: int) -> npt.NDArray[Any]:
        """What the array holds in this edit, to look at only."""
        array = self._arrays.get(NAMES[which])
        if array is None:
            return self._state._remote.fetch(NAMES[which], self._version)
        return _read_only(array.view())

    def positions(self) -> FloatArray:
        return self.array(_ext.POSITIONS)

    def velocities(self) -> FloatArray:
        return self.array(_ext.VELOCITIES)

    def forces(self) -> FloatArray:
        return self.array(_ext.FORCES)

    def masses(self) -> npt.NDArray[np.float64]:
        return self.array(_ext.MASSES)

    def energies(self) -> npt.NDArray[np.float64]:
        return self.array(_ext.ENERGIES)

    def set_array(self, which: int, array: npt.ArrayLike) -> None:
        self._require()
        self._arrays[NAMES[which]] = self._state._remote.checked(which, array).copy()

    def set_positions(self, positions: npt.ArrayLike) -> None:
        self.set_array(_ext.POSITIONS, positions)

    def set_velocities(self, velocities: npt.ArrayLike) -> None:
        self.set_array(_ext.VELOCITIES, velocities)

    def set_forces(self, forces: npt.ArrayLike) -> None:
        self.set_array(_ext.FORCES, forces)

    def set_masses(self, masses: npt.ArrayLike) -> None:
        self.set_array(_ext.MASSES, masses)

    def _value(self, name: str) -> Any:
        if name in self._small:
            return self._small[name]
        if not self._base:
            got = self._state._remote.get([], at=self._version)
            self._base = {"step": got.step, "time": got.time, "box": got.box}
        return self._base[name]

    @property
    def step(self) -> int:
        return int(self._value("step"))

    @step.setter
    def step(self, step: int) -> None:
        self._require()
        self._small["step"] = _wire.count("step", step)

    @property
    def time(self) -> float:
        return float(self._value("time"))

    @time.setter
    def time(self, time: float) -> None:
        self._require()
        self._small["time"] = _wire.number("time", time)

    @property
    def box(self) -> Box:
        wire = self._value("box")
        return Box._from_wire(wire["kind"], wire["vectors"])

    @box.setter
    def box(self, box: Box) -> None:
        self._require()
        kind, vectors = checked_box(box)._to_wire()
        self._small["box"] = {"kind": kind, "vectors": list(vectors)}


AnyEdit = Edit | RemoteEdit


class Remote:
    """What a State of a remote session knows: arrays by version, and how to ask for newer ones."""

    def __init__(self, state: Bound, about: Any) -> None:
        self._state = state
        self.num_atoms = int(about.num_atoms)
        self.dtype = np.dtype(about.dtype)
        self.groups = (int(about.num_temperature_groups), int(about.num_energy_groups))
        self.frame_forces = bool(about.frame_forces)
        self._cache: dict[str, tuple[int, npt.NDArray[Any]]] = {}
        self.lock = state._session._write_lock(about.uuid.bytes)

    def get(self, names: list[str], newer_than: int = -1, at: int | None = None) -> Any:
        """Arrays and small values of the newest commit, which must be version `at` when that is given."""
        got = Commands.state_get(self._state, self._state._identity, arrays=names, newer_than=newer_than)
        if at is not None and got.version != at:
            raise LeaseLostError(f"the write lease ended before the edit did: the State is at version {got.version}, the edit began at {at}")
        return got

    def fetch(self, name: str, at: int | None = None) -> npt.NDArray[Any]:
        """The newest commit's array, read-only; over the wire only if the version moved. `at`: as in `get`."""
        version, array = self._cache.get(name, (-1, None))
        got = self.get([name], version, at)
        fresh = got.arrays.get(name)
        if fresh is not None:
            array = _read_only(fresh)
            self._cache[name] = (got.version, array)
        assert array is not None
        return array

    def frame(self) -> RemoteFrame:
        # What a ring carries: the daemon can then answer from it while somebody writes.
        got = self.get(["positions", "velocities", "energies"] + (["forces"] if self.frame_forces else []))
        box = Box._from_wire(got.box["kind"], got.box["vectors"])
        return RemoteFrame(
            got.arrays, sequence=0, version=got.version, step=got.step, time=got.time, box=box, groups=self.groups
        )

    def history(self, atoms: npt.NDArray[Any] | None, newest: int | None) -> list[AnyFrame]:
        """Copies of the newest frames in the ring, all of them for None, oldest first."""
        found: list[AnyFrame] = []
        state, identity = self._state, self._state._identity
        listed = Commands.state_frames(state, identity).frames
        for about in listed[len(listed) - newest if newest is not None and newest < len(listed) else 0 :]:
            try:
                got = Commands.state_frame(state, identity, sequence=about["sequence"], arrays=list(NAMES), atoms=atoms)
            except NotFoundError:
                continue  # overwritten meanwhile
            box = Box._from_wire(got.box["kind"], got.box["vectors"])
            found.append(
                RemoteFrame(
                    got.arrays, sequence=about["sequence"], version=got.version, step=got.step, time=got.time, box=box, groups=self.groups
                )
            )
        return found

    def value(self, name: str) -> Any:
        if name == "num_atoms":
            return self.num_atoms
        return getattr(Commands.state_describe(self._state, self._state._identity), name)

    def checked(self, which: int, array: npt.ArrayLike) -> npt.NDArray[Any]:
        if which < _ext.MASSES:
            return checked_array(NAMES[which], array, (self.num_atoms, 3), self.dtype)
        if which == _ext.MASSES:
            return checked_masses(array, self.num_atoms)
        return checked_array("energies", array, self.fetch("energies").shape, np.dtype(np.float64))


class Frames(ABC):
    """Frames as they are published, from the moment this was made. Iterate with ``for`` or ``async for``; usable as a context
    manager.

    Iteration ends when nothing was published for `timeout` seconds (then `timed_out` is True) and after `close`; it raises
    `StateDeletedError` when the State goes.

    Attributes
    ----------
    missed : int
        Frames that were published but not given out because this reader was slow. Frames left out on request (``every=n``) do not
        count.
    timed_out : bool
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = _wire.seconds("timeout", timeout)
        self._closed = False
        self._executor: ThreadPoolExecutor | None = None
        self.missed = 0
        self.timed_out = False

    @abstractmethod
    def _next(self, timeout: float | None) -> AnyFrame | None:
        """The next frame, or None when the time ran out."""

    def close(self) -> None:
        """Stop; twice is fine."""
        self._closed = True
        if self._executor is not None:
            self._executor.shutdown(wait=False)
            self._executor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __iter__(self) -> Iterator[AnyFrame]:
        return self

    def __next__(self) -> AnyFrame:
        if self._closed:
            raise StopIteration
        frame = self._next(self._timeout)
        if frame is None:
            self.timed_out = not self._closed
            self.close()
            raise StopIteration
        return frame

    def __aiter__(self) -> AsyncIterator[AnyFrame]:
        return self

    async def __anext__(self) -> AnyFrame:
        # One thread waits, in short pieces, so that a cancelled task leaves it behind for a moment only.
        if self._executor is None:
            self._executor = ThreadPoolExecutor(1, "gromos-frames")
        deadline = None if self._timeout is None else time.monotonic() + self._timeout
        loop = asyncio.get_running_loop()
        while not self._closed:
            frame = await loop.run_in_executor(self._executor, self._next, 0.1)
            if frame is not None:
                return frame
            if deadline is not None and time.monotonic() >= deadline:
                self.timed_out = True
                self.close()
        raise StopAsyncIteration


class LocalFrames(Frames):
    """Frames out of the shared ring: a futex tells, nothing is copied."""

    def __init__(self, state: State, policy: Policy, timeout: float | None, every: int, spin: float) -> None:
        super().__init__(timeout)
        self._state = state
        self._latest = policy == "latest"
        self._every = every
        self._spin = spin
        self._wanted = state._with_mapping(lambda mapping: mapping.newest_sequence) + 1

    def _next(self, timeout: float | None) -> AnyFrame | None:
        left = SLICE if timeout is None or timeout > SLICE else timeout
        deadline = None
        while not self._closed:
            mapping = self._state._bound_mapping() or self._state._bound()
            try:
                frame = mapping.next_frame(self._wanted, self._latest, left, self._spin)
            except (StaleGenerationError, NoDaemonError):
                # Another generation has a ring of its own, whose sequences start again.
                self._state._rebind(mapping)
                self._wanted = 1
                if timeout is not None and deadline is None:
                    deadline = time.monotonic() + timeout
                continue
            except NotFoundError:
                frame = self._oldest(mapping)
                if frame is None:
                    continue  # those that were left have gone as well, and newer ones have come
            except ConflictError:
                # The ring of another generation or daemon has no frame yet, and somebody edits: the commit brings one.
                frame = None
                with contextlib.suppress(StaleGenerationError, NoDaemonError):
                    mapping.wait(mapping.version, left)
            if frame is not None:
                return self._counted(frame)
            if timeout is not None:
                now = time.monotonic()
                if deadline is None:
                    deadline = now + timeout - left
                if now >= deadline:
                    return None
                left = min(SLICE, deadline - now)
        return None

    def _oldest(self, mapping: _ext.Mapping) -> _ext.Frame | None:
        """The oldest frame not seen yet, when the one after the last has left the ring."""
        for sequence in mapping.frames_list():
            if sequence >= self._wanted:
                try:
                    return mapping.snapshot(sequence)
                except NotFoundError:
                    continue
        return None

    def _counted(self, frame: _ext.Frame) -> AnyFrame:
        sequence = frame.sequence
        if sequence != self._wanted:
            self.missed += len(range(self._wanted, sequence, self._every))
        self._wanted = sequence + self._every
        assert isinstance(frame, Frame)
        return frame


class RemoteFrames(Frames):
    """Frames as events over the session's connection, a few on the way at any time."""

    CREDIT: Final = 4

    def __init__(
        self,
        state: State,
        policy: Policy,
        timeout: float | None,
        every: int,
        atoms: npt.NDArray[Any] | None,
        velocities: bool,
        forces: bool,
    ) -> None:
        super().__init__(timeout)
        self._state = state
        args: dict[str, Any] = {
            "state": state._identity,
            "every": every,
            "policy": policy,
            "velocities": velocities,
            "forces": forces,
            "credit": self.CREDIT,
        }
        if atoms is not None:
            args["atoms"] = atoms
        try:
            self._subscription = Subscription(state.session, "state", args)
        except NotFoundError as error:
            if str(state.uuid) in error.message:
                raise state._gone() from None
            raise

    def _next(self, timeout: float | None) -> AnyFrame | None:
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            left = SLICE if deadline is None else min(SLICE, max(0.0, deadline - time.monotonic()))
            got = self._subscription.receive(left)
            if got is not None:
                message, parts = got
                if message["event"] == "frame":
                    self._subscription.give_credit(1)
                    return self._frame(message, parts)
                self._on_state(message)
            if deadline is not None and time.monotonic() >= deadline:
                return None
        return None

    def _on_state(self, message: dict[str, Any]) -> None:
        if message["what"] == "deleted":
            raise StateDeletedError(f"the State {self._state._label()} was deleted")

    def _frame(self, message: dict[str, Any], parts: Any) -> RemoteFrame:
        _wire.attach_arrays(message, parts)
        arrays = {name: message[name] for name in ("positions", "velocities", "forces", "energies") if message.get(name) is not None}
        missed = int(message.get("missed", 0))
        self.missed += missed
        box = message["box"]
        return RemoteFrame(
            arrays,
            sequence=message["sequence"],
            version=message["version"],
            step=message["step"],
            time=message["time"],
            box=Box._from_wire(box["kind"], box["vectors"]),
            groups=self._state._remote.groups,
            missed=missed,
        )

    def close(self) -> None:
        """Ends the subscription."""
        super().close()
        self._subscription.close()

"""The C extension: value types (Vec3, Mat3) and local memory (Door, Mapping, Edit, Frame)."""

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal, Self
import numpy as np
from numpy.typing import ArrayLike, NDArray

# --- local memory: the door, mapped States, leases, frames -------------------------------------------------------
# Everything here serves sessions on the same machine. Errors come from the factory given to configure(); without one they are
# DoorError. Every call that can wait releases the GIL and looks at signals at least every 100 ms.

Mode = Literal["r", "c", "r+"]
FloatArray = NDArray[np.floating[Any]]

# Array numbers (enum gd_array) and GD_DOOR_OPEN flags.
POSITIONS: int
VELOCITIES: int
FORCES: int
MASSES: int
ENERGIES: int
OPEN_LIVE: int
OPEN_LIVE_WRITE: int
OPEN_FRAMES: int

class DoorError(Exception):
    """An error of the door or the shared memory. args == (code, text)."""

    code: int  # GD_E_*, negative
    text: str

def configure(
    *,
    error: Callable[[int, str], BaseException] | None = ...,
    edit: type[Edit] | None = ...,
    frame: type[Frame] | None = ...,
) -> None:
    """Set what the extension makes: the exception for (code, text); the classes of edits and frames (subclasses of
    Edit and Frame whose __init__ is not called). A keyword left out stays as it is; None puts the default back."""

class Door:
    """A connection to the daemon's door. The first thing it does is HELLO; then the control block is mapped."""

    def __init__(self, path: str, version: str, timeout: float = 5.0) -> None: ...
    @property
    def session(self) -> int: ...
    @property
    def token(self) -> bytes: ...
    @property
    def server_version(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def pid(self) -> int:
        """The process that made this door; a forked child inherits a closed one."""
    @property
    def max_pins(self) -> int: ...
    @property
    def lease_limit(self) -> float:
        """Seconds a lease may be held; 0: no limit."""
    @property
    def pins(self) -> int:
        """Frames held by this process through this door."""
    @property
    def closed(self) -> bool:
        """True after close(), after a fork (in the child) and when the daemon hung up."""
    def open(self, name: str | None = None, uuid: bytes | None = None, flags: int = 1, generation: int = 0) -> Mapping:
        """The Mapping of a State by name or uuid; the same object as long as it lives (per uuid and generation)."""
    def result(self, number: int, nbytes: int) -> Result:
        """A large result, once."""
    def close(self) -> None:
        """Idempotent. Arrays stay valid. While frames are held or an edit is open the socket stays until they end, so that what
        they show does not change; nothing new can be asked for."""

class Result:
    """A large result: a read-only buffer over its segment; lives as long as anything exports it.
    np.frombuffer(result, dtype, count, offset)."""

    @property
    def nbytes(self) -> int: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

class Mapping:
    """One generation of one State mapped into this process. Made by Door.open."""

    @property
    def door(self) -> Door: ...
    @property
    def uuid(self) -> bytes: ...
    @property
    def name(self) -> str:
        """At the time of opening; empty if it had none."""
    @property
    def generation(self) -> int: ...
    @property
    def num_atoms(self) -> int: ...
    @property
    def num_temperature_groups(self) -> int: ...
    @property
    def num_energy_groups(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def version(self) -> int: ...
    @property
    def deleted(self) -> bool: ...
    @property
    def stale(self) -> bool: ...
    @property
    def step(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def box(self) -> tuple[int, tuple[float, ...]]:
        """(kind, nine numbers row by row)."""
    @property
    def energies(self) -> NDArray[np.float64]: ...
    @property
    def masses(self) -> NDArray[np.float64]: ...
    @property
    def lease_holder(self) -> int:
        """Session number of who holds the write lease; 0: nobody."""
    def array(self, which: int, mode: Mode = "r") -> FloatArray:
        """"r": the live memory, read-only. "c": private copy-on-write, new at each call. "r+": the live memory, writable, only while
        this process holds the lease; afterwards the array is private."""
    def wait(self, after: int, timeout: float | None = None, spin: float = 0.0) -> int | None:
        """Sleep until version > after; the version, or None when the time ran out. Raises state_deleted, stale_generation,
        no_daemon. spin: seconds to look before sleeping."""

    # frames
    def open_frames(self) -> None:
        """Map the frame ring now (else at the first use)."""
    @property
    def newest_sequence(self) -> int:
        """Of the newest frame; 0 before the first. Sequences count from 1 without gaps; maps the ring at the first use."""
    @property
    def frames_published(self) -> int: ...
    @property
    def frames_skipped(self) -> int: ...
    @property
    def num_slots(self) -> int: ...
    def wait_frame(self, after: int, timeout: float | None = None, spin: float = 0.0) -> int | None:
        """Sleep until newest_sequence > after; the sequence or None. Raises as wait()."""
    def snapshot(self, sequence: int | None = None) -> Frame:
        """The newest frame, or the one with this sequence (not_found if it left the ring). too_many_pins when too many are held."""
    def frames_list(self) -> list[int]:
        """Sequences that stand in the ring now, rising."""

    # the lease
    def lease_acquire(self, timeout: float | None = 30.0) -> None:
        """Exclusive among threads, processes and remote sessions. lease_timeout; conflict when this thread holds it already."""
    def lease_release(self) -> None:
        """Give the lease back; conflict if something was changed and neither committed nor rolled back."""
    def commit(self, publish: bool = True) -> tuple[int, int]:
        """Make the edit one step and give the lease back: (version, sequence of the frame or 0). lease_lost; outcome_unknown when the
        daemon vanished meanwhile."""
    def rollback(self) -> None:
        """Put back what stood there at the grant and give the lease back."""
    def set_array(self, which: int, array: ArrayLike, publish: bool = True, timeout: float | None = 30.0) -> int:
        """A whole edit: lease, check, copy, commit. The new version. Inside an edit of the same thread: part of that edit (publish and
        timeout are ignored). Errors invalid_shape, invalid_dtype, not_finite leave the State untouched."""
    def edit(self, timeout: float | None = 30.0, publish: bool = True) -> Edit: ...

class Edit:
    """`with mapping.edit() as e`: the lease from enter to exit. Leaving commits; leaving by an exception rolls back."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]: ...
    @property
    def mapping(self) -> Mapping: ...
    @property
    def state(self) -> Any:
        """The StateBase whose edit() made this, or None."""
    @property
    def active(self) -> bool: ...
    @property
    def version(self) -> int:
        """While open that of the State before the edit; afterwards what the commit made."""
    @property
    def sequence(self) -> int:
        """Of the frame the commit published; 0 if none."""
    def num_atoms(self) -> int: ...
    def positions(self) -> FloatArray: ...
    def velocities(self) -> FloatArray: ...
    def forces(self) -> FloatArray: ...
    def masses(self) -> NDArray[np.float64]: ...
    def energies(self) -> NDArray[np.float64]: ...
    def array(self, which: int) -> FloatArray: ...
    def set_array(self, which: int, array: ArrayLike) -> None: ...
    step: int
    time: float
    def get_box(self) -> tuple[int, tuple[float, ...]]: ...
    def set_box(self, kind: int, vectors: Sequence[float] | ArrayLike) -> None: ...
    def commit(self) -> None:
        """End the edit now; leaving the block then does nothing."""
    def rollback(self) -> None:
        """Undo and end the edit now."""

class Frame:
    """A published step, immutable as long as this handle or an array over it lives. Made by Mapping.snapshot."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None, /
    ) -> Literal[False]: ...
    @property
    def sequence(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def time(self) -> float: ...
    @property
    def raw_box(self) -> tuple[int, tuple[float, ...]]: ...
    @property
    def raw_energies(self) -> NDArray[np.float64]: ...
    @property
    def released(self) -> bool: ...
    @property
    def mapping(self) -> Mapping: ...
    def num_atoms(self) -> int: ...
    def has(self, which: int) -> bool:
        """Whether the ring carries this array."""
    def array(self, which: int, mode: Literal["r", "c"] = "r") -> FloatArray:
        """unsupported if the ring does not carry it."""
    def positions(self, mode: Literal["r", "c"] = "r") -> FloatArray: ...
    def velocities(self, mode: Literal["r", "c"] = "r") -> FloatArray: ...
    def forces(self, mode: Literal["r", "c"] = "r") -> FloatArray: ...
    def masses(self, mode: Literal["r", "c"] = "r") -> NDArray[np.float64]: ...
    def release(self) -> None:
        """Drop the handle's own hold (twice is fine); arrays over the frame keep theirs."""

class StateBase:
    """Base of gromos.State: the calls that must be fast. Bound to a Mapping it answers from memory; when the mapping is stale it
    first calls self._remap(), which binds the next generation; unbound (remote) it calls self._remote_array(which, mode),
    self._remote_value(name) and self._remote_edit(timeout, publish)."""

    def _bind(self, mapping: Mapping | None, /) -> None: ...
    @property
    def _mapping(self) -> Mapping | None: ...
    def _remap(self) -> None: ...
    def _remote_array(self, which: int, mode: str, /) -> FloatArray: ...
    def _remote_value(self, name: str, /) -> Any:
        """name: "num_atoms", "version", "generation", "step", "time"."""
    def _remote_edit(self, timeout: float | None, publish: bool, /) -> Any: ...
    def num_atoms(self) -> int: ...
    def positions(self, mode: Mode = "r") -> FloatArray: ...
    def velocities(self, mode: Mode = "r") -> FloatArray: ...
    def forces(self, mode: Mode = "r") -> FloatArray: ...
    def masses(self, mode: Mode = "r") -> NDArray[np.float64]: ...
    @property
    def version(self) -> int: ...
    @property
    def generation(self) -> int: ...
    @property
    def step(self) -> int: ...
    @property
    def time(self) -> float: ...
    def edit(self, timeout: float | None = 30.0, publish: bool = True) -> Edit: ...

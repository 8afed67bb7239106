"""State: one molecular system's dynamic variables, in memory that many processes see at once."""

from __future__ import annotations

import os
import time as time_module
import uuid
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from . import _ext, _wire
from ._errors import (
    ConflictError,
    InvalidArgumentError,
    NoDaemonError,
    NotFoundError,
    OutcomeUnknownError,
    StaleGenerationError,
    StateDeletedError,
    TimeoutExpired,
    UnsupportedError,
)
from ._frames import (
    NAMES,
    AnyEdit,
    AnyFrame,
    Frame,
    Frames,
    LocalFrames,
    Policy,
    RemoteEdit,
    RemoteFrames,
    checked_box,
    checked_masses,
    longest_wait,
)
from ._protocol import Commands, StateCheckpointResult, StateDescribeResult
from ._session import Dtype, Session, _session_for, chosen_session
from ._binding import Bound, _create_mapping, _fits_door
from ._box import Box
from ._compute import Atoms, Compute
from ._energy import Energy

__all__ = ["State", "attach", "restore"]

TIMEOUT: Final = 10.0


class State(Bound, Compute):
    """Positions, velocities, forces, masses, box, energies, step and time of one molecular system.

    The arrays lie in shared memory. Every process that attaches to the State sees the same memory: nothing is copied, and asking for
    an array costs the same for any number of atoms. Over a remote session the same calls fetch and send arrays.

    Parameters
    ----------
    num_atoms : int
    num_temp_groups, num_energy_groups : int
        Temperature baths and energy groups: the shape of `energies`.
    name : str, optional
        A named State lives until it is deleted; one without a name as long as somebody has it open.
    dtype : {"float32", "float64"}
        Of positions, velocities and forces.
    session : Session, optional
        The default one if left out.
    slots : int
        Frames the ring of published frames holds; 0 lets the daemon choose by size.
    frame_forces : bool
        Whether published frames carry forces.

    Raises
    ------
    NameTakenError, OutOfMemoryError, QuotaExceededError, InvalidArgumentError

    Examples
    --------
    >>> import gromos, numpy as np
    >>> s = gromos.State(num_atoms=3)
    >>> s.set_positions([[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    >>> s.positions()[1]
    array([1., 0., 0.], dtype=float32)
    >>> with s.edit() as e:
    ...     e.positions()[:] += 0.5
    >>> s.center_of_geometry()
    array([0.83333333, 0.83333333, 0.5       ])
    """

    __slots__ = ()

    def __init__(
        self,
        num_atoms: int,
        num_temp_groups: int = 1,
        num_energy_groups: int = 1,
        *,
        name: str | None = None,
        dtype: Dtype | npt.DTypeLike = "float32",
        session: Session | None = None,
        slots: int = 0,
        frame_forces: bool = False,
    ) -> None:
        session = chosen_session(session)
        if session.local and _fits_door(num_atoms, num_temp_groups, num_energy_groups, name, slots, frame_forces):
            options = (num_temp_groups, num_energy_groups, name, _dtype_name(dtype) == "float64", slots, frame_forces)
            self._bind_new(session, _create_mapping(session, num_atoms, options), name or "")
            return
        made = session.commands.state_create(
            num_atoms=num_atoms,
            num_temperature_groups=num_temp_groups,
            num_energy_groups=num_energy_groups,
            name=name,
            dtype=_dtype_name(dtype),
            slots=slots,
            frame_forces=frame_forces,
        )
        self._open(session, made.state)

    # --- life ----------------------------------------------------------------------------------------------------

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> State:
        """Read a file into a new State; `gromos.load` with the same arguments."""
        from ._files import load

        return load(path, **options)

    def close(self) -> None:
        """Give the State back; twice is fine. Arrays stay valid. A State without a name ends when nobody has it open."""
        if self._closed:
            return
        self._closed = True
        if self._session.local and not self._unmapped:
            self._bind(None)
        else:
            self._session._unmapped.pop(self._identity, None)
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def delete(self, force: bool = False) -> None:
        """Delete the State for everybody. Arrays somebody holds stay valid and do not move any more.

        Parameters
        ----------
        force : bool
            Even while somebody else holds its lease.

        Raises
        ------
        ConflictError
            Somebody holds the lease.
        """
        Commands.state_delete(self, self._identity, force=force)

    def clone(self, name: str | None = None) -> State:
        """A new State with the newest commit of this one.

        Parameters
        ----------
        name : str, optional

        Raises
        ------
        NameTakenError, OutOfMemoryError, QuotaExceededError
        """
        made = Commands.state_clone(self, self._identity, name=name)
        clone = State.__new__(State)
        clone._open(self._session, made.state)
        return clone

    def rename(self, name: str | None) -> None:
        """Give the State another name, or none. Nobody who has it open notices.

        Raises
        ------
        NameTakenError
        """
        Commands.state_rename(self, self._identity, name=name or "")
        self._name = name or ""

    def describe(self) -> StateDescribeResult:
        """What the daemon knows of this State: name, size, version, lease, sessions, frames published and skipped."""
        return Commands.state_describe(self, self._identity)

    # --- what it is ----------------------------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        return self._session

    @property
    def uuid(self) -> uuid.UUID:
        """What names the State for good."""
        return self._uuid

    @property
    def name(self) -> str | None:
        """The name it was opened or renamed with here; None if it has none."""
        return self._name or None

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of positions, velocities and forces."""
        return self._mapping.dtype if self._mapping is not None else self._remote_of().dtype

    @property
    def num_temp_groups(self) -> int:
        mapping = self._mapping
        return mapping.num_temperature_groups if mapping is not None else self._remote_of().groups[0]

    @property
    def num_energy_groups(self) -> int:
        mapping = self._mapping
        return mapping.num_energy_groups if mapping is not None else self._remote_of().groups[1]

    @property
    def box(self) -> Box:
        """The periodic box (a value: assign a new one to change it)."""
        mapping = self._mapping
        if mapping is not None:
            return Box._from_wire(*mapping.box)
        wire = self._remote_value("box")
        return Box._from_wire(wire["kind"], wire["vectors"])

    @box.setter
    def box(self, box: Box) -> None:
        self.set(box=checked_box(box))

    @property
    def step(self) -> int:
        """Number of the present step."""
        return super().step

    @step.setter
    def step(self, step: int) -> None:
        self.set(step=_wire.count("step", step))

    @property
    def time(self) -> float:
        """Time of the present step, ps."""
        return super().time

    @time.setter
    def time(self, time: float) -> None:
        self.set(time=_wire.number("time", time))

    @property
    def energies(self) -> Energy:
        """The energies: a view of the live memory, read-only outside an edit."""
        mapping = self._mapping
        if mapping is not None:
            return Energy._over(mapping.energies, mapping.num_temperature_groups, mapping.num_energy_groups)
        remote = self._remote_of()
        return Energy._over(remote.fetch("energies"), *remote.groups)

    # --- writing -------------------------------------------------------------------------------------------------

    def edit(self, timeout: float | None = TIMEOUT, publish: bool = True) -> AnyEdit:  # type: ignore[override]
        """The exclusive right to write, for a ``with`` block.

        Leaving the block makes everything one step and publishes a frame; leaving it by an exception puts back what was there. Arrays
        that were handed out are looked at once more before that: what they hold in the end is committed if every number is finite
        and every mass above zero.

        Parameters
        ----------
        timeout : float or None
            Seconds to wait for others; None waits for ever.
        publish : bool
            Whether the commit publishes a frame.

        Raises
        ------
        LeaseTimeoutError
            On entering: somebody else wrote for the whole time.
        LeaseLostError
            On leaving: the lease was taken away; nothing has changed.
        NotFiniteError, InvalidArgumentError
            On leaving: a number that was written is not finite, or a mass not above zero; nothing has changed.

        Examples
        --------
        >>> import gromos
        >>> s = gromos.State(10)
        >>> with s.edit() as e:
        ...     e.velocities()[:, 0] = 1.0
        ...     e.time = 0.002
        """
        return super().edit(timeout, publish)  # type: ignore[return-value]

    def set_positions(self, positions: npt.ArrayLike, *, publish: bool = True, timeout: float | None = TIMEOUT) -> None:
        """Replace all positions in one edit.

        One pass: numbers are looked at while they are copied. One that is not finite ends the edit, and what was there is put back; so it
        is when the process dies in the middle. Live arrays may show an edit under way, frames never do.

        Parameters
        ----------
        positions : array_like, (n, 3)
            nm; converted to the State's dtype.
        publish : bool
            Whether a frame is published.
        timeout : float or None
            Seconds to wait for others who write.

        Raises
        ------
        ShapeError, DTypeError, NotFiniteError, LeaseTimeoutError
        """
        self._set_array(_ext.POSITIONS, positions, publish, timeout)

    def set_velocities(self, velocities: npt.ArrayLike, *, publish: bool = True, timeout: float | None = TIMEOUT) -> None:
        """Replace all velocities, (n, 3) in nm/ps, in one edit; else as `set_positions`."""
        self._set_array(_ext.VELOCITIES, velocities, publish, timeout)

    def set_forces(self, forces: npt.ArrayLike, *, publish: bool = True, timeout: float | None = TIMEOUT) -> None:
        """Replace all forces, (n, 3) in kJ/(mol nm), in one edit; else as `set_positions`."""
        self._set_array(_ext.FORCES, forces, publish, timeout)

    def set_masses(self, masses: npt.ArrayLike, *, publish: bool = True, timeout: float | None = TIMEOUT) -> None:
        """Replace all masses, (n,) in u and above zero, in one edit; else as `set_positions`."""
        self._set_array(_ext.MASSES, checked_masses(masses, self._num_atoms), publish, timeout)

    def set(
        self,
        *,
        positions: npt.ArrayLike | None = None,
        velocities: npt.ArrayLike | None = None,
        forces: npt.ArrayLike | None = None,
        masses: npt.ArrayLike | None = None,
        box: Box | None = None,
        step: int | None = None,
        time: float | None = None,
        publish: bool = True,
        timeout: float | None = TIMEOUT,
    ) -> None:
        """Replace several things in one edit; what is left out stays.

        Raises
        ------
        ShapeError, DTypeError, NotFiniteError, InvalidArgumentError, LeaseTimeoutError
        """
        box = None if box is None else checked_box(box)
        step = None if step is None else _wire.count("step", step)
        time = None if time is None else _wire.number("time", time)
        arrays = ((_ext.POSITIONS, positions), (_ext.VELOCITIES, velocities), (_ext.FORCES, forces))
        with self.edit(timeout, publish) as e:
            for which, array in arrays:
                if array is not None:
                    e.set_array(which, array)
            if masses is not None:
                e.set_masses(masses)
            if box is not None:
                e.box = box
            if step is not None:
                e.step = step
            if time is not None:
                e.time = time

    def set_molecules(self, starts: npt.ArrayLike) -> None:
        """Say which atoms form molecules; `wrap(by="molecule")` needs it.

        Parameters
        ----------
        starts : array_like of int, (k + 1,)
            First atom of each molecule, then the number of atoms.
        """
        Commands.state_set_molecules(self, self._identity, starts=starts)

    def _set_array(self, which: int, array: npt.ArrayLike, publish: bool, timeout: float | None) -> None:
        mapping = self._mapping
        if mapping is None:
            self._set_remote(which, array, publish, timeout)
            return
        try:
            mapping.set_array(which, array, publish, timeout)
        except (StaleGenerationError, NoDaemonError) as error:
            if isinstance(error, OutcomeUnknownError):
                raise
            self._rebind(mapping).set_array(which, array, publish, timeout)
        except NotFoundError:
            if mapping.deleted:
                raise self._gone() from None
            raise

    def _set_remote(self, which: int, array: npt.ArrayLike, publish: bool, timeout: float | None) -> None:
        publish = _wire.flag("publish", publish)
        remote = self._remote_of()
        if remote.lock.held_here() and remote.lock.edit is not None:
            remote.lock.edit.set_array(which, array)
            return
        data: dict[str, Any] = {NAMES[which]: remote.checked(which, array)}
        limit = longest_wait(timeout)
        remote.lock.acquire(limit)
        try:
            Commands.state_set(self, self._identity, **data, publish=publish, timeout=limit)
        finally:
            remote.lock.release()

    # --- looking -------------------------------------------------------------------------------------------------

    def snapshot(self) -> AnyFrame:
        """The newest commit as a frame: one step, immutable, consistent.

        Raises
        ------
        TooManyPinsError
            This session holds as many frames as it may.

        Examples
        --------
        >>> import gromos
        >>> s = gromos.State(10)
        >>> with s.snapshot() as f:
        ...     f.step, f.positions().shape
        (0, (10, 3))
        """
        if self._mapping is None:
            return self._remote_of().frame()
        frame = self._with_mapping(lambda mapping: mapping.snapshot())
        assert isinstance(frame, Frame)
        return frame

    def frames(
        self,
        policy: Policy = "every",
        *,
        timeout: float | None = None,
        every: int = 1,
        spin: float = 0.0,
        atoms: Atoms = None,
        velocities: bool = True,
        forces: bool = True,
    ) -> Frames:
        """The frames published from now on, for ``for`` and ``async for``.

        Parameters
        ----------
        policy : {"every", "latest"}
            Every frame as long as it is still in the ring, or always the newest. What was left out counts in `missed`.
        timeout : float, optional
            End when nothing was published for this many seconds; None waits for ever.
        every : int
            Only each so-manieth frame.
        spin : float
            Seconds to look before sleeping (local sessions): answers sooner, costs a core.
        atoms : array_like of int, optional
            Only these atoms are sent (remote sessions).
        velocities : bool
            Whether velocities are sent too (remote sessions).
        forces : bool
            Whether forces are sent too, if the State's frames carry them (remote sessions).

        Returns
        -------
        Frames

        Examples
        --------
        >>> import gromos
        >>> s = gromos.State(10)
        >>> frames = s.frames(timeout=0.1)
        >>> s.set_positions(s.positions())
        >>> [f.version for f in frames]
        [1]
        """
        if policy not in ("every", "latest"):
            raise InvalidArgumentError(f"policy is {policy!r}; it must be 'every' or 'latest'")
        every = _wire.count("every", every, 1)
        timeout = _wire.seconds("timeout", timeout)
        spin = _spin(spin)
        velocities, forces = _wire.flag("velocities", velocities), _wire.flag("forces", forces)
        if self._mapping is None:
            self._remote_of()
            return RemoteFrames(self, policy, timeout, every, self._indices("atoms", atoms), velocities, forces)
        if atoms is not None:
            raise UnsupportedError("a local frame is the shared memory itself, all atoms of it: index the arrays instead")
        return LocalFrames(self, policy, timeout, every, spin)

    def history(self, newest: int | None = None, *, atoms: Atoms = None) -> list[AnyFrame]:
        """The frames that still stand in the ring, oldest first. Local ones are held until dropped: do not keep them long.

        Parameters
        ----------
        newest : int, optional
            Only so many, the newest ones. A remote session fetches every frame it gives.
        atoms : array_like of int, optional
            Only these atoms are sent (remote sessions).

        Returns
        -------
        list of Frame or RemoteFrame

        Raises
        ------
        UnsupportedError
            `atoms` was given to a local session.
        TooManyPinsError

        Examples
        --------
        >>> import gromos
        >>> s = gromos.State(10)
        >>> for step in (1, 2, 3):
        ...     s.step = step
        >>> [f.step for f in s.history(newest=2)]
        [2, 3]
        """
        newest = None if newest is None else _wire.count("newest", newest)
        if self._mapping is None:
            return self._remote_of().history(self._indices("atoms", atoms), newest)
        if atoms is not None:
            raise UnsupportedError("a local frame is the shared memory itself, all atoms of it: index the arrays instead")
        found: list[AnyFrame] = []
        listed = self._with_mapping(lambda m: m.frames_list())
        mapping = self._bound()
        for sequence in listed[len(listed) - newest if newest is not None and newest < len(listed) else 0 :]:
            try:
                frame = mapping.snapshot(sequence)
            except NotFoundError:
                continue  # overwritten meanwhile
            assert isinstance(frame, Frame)
            found.append(frame)
        return found

    def wait(self, after: int | None = None, timeout: float | None = 5.0, spin: float = 0.0) -> int:
        """Sleep until there is a version above `after`.

        Parameters
        ----------
        after : int, optional
            The present version if left out.
        timeout : float or None
            Seconds; None waits for ever.
        spin : float
            Seconds to look before sleeping (local sessions).

        Returns
        -------
        int
            The version.

        Raises
        ------
        TimeoutExpired, StateDeletedError
        """
        timeout = _wire.seconds("timeout", timeout)
        spin = _spin(spin)
        after = self.version if after is None else _wire.integer("after", after)
        if self._mapping is None:
            self._remote_of()
            return self._wait_remote(after, timeout)
        if after < 0:
            return self.version
        deadline = None if timeout is None else time_module.monotonic() + timeout
        while True:
            mapping = self._bound()
            left = None if deadline is None else max(0.0, deadline - time_module.monotonic())
            try:
                version = mapping.wait(after, left, spin)
            except (StaleGenerationError, NoDaemonError):
                self._rebind(mapping)
                continue
            if version is None:
                raise TimeoutExpired(f"no version above {after} within {timeout:g} s")
            return version

    def _wait_remote(self, after: int, timeout: float | None) -> int:
        deadline = None if timeout is None else time_module.monotonic() + timeout
        while True:
            left = 3600.0 if deadline is None else min(3600.0, max(0.0, deadline - time_module.monotonic()))
            try:
                return Commands.state_wait(self, self._identity, after=after, timeout=left).version
            except TimeoutExpired:
                if deadline is not None and time_module.monotonic() >= deadline:
                    raise

    # --- files ---------------------------------------------------------------------------------------------------

    def to_file(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the newest commit to a file: GROMOS (.cnf, .g96) by the daemon, other formats through MDAnalysis.

        Parameters
        ----------
        path : path
            The format follows from its ending.
        title : str, optional
            GROMOS formats: the TITLE block.
        names, resnames, resids : optional
            Other formats: what the atoms are called (a State does not know).

        Raises
        ------
        FileAccessError, UnsupportedError
        """
        from ._files import save

        save(self, path, **options)

    def checkpoint(self, path: str | os.PathLike[str]) -> StateCheckpointResult:
        """Write the newest commit to a file, complete; `gromos.restore` makes a State of it again.

        The file is HDF5 in the H5MD layout (h5py, MDAnalysis and others read it), checksummed, written beside the target, synced and
        renamed: the target is the old file or the whole new one. A run on the restored State goes on bit for bit where the last
        run on this one ended or pauses.

        Parameters
        ----------
        path : path
            On the daemon's machine.

        Returns
        -------
        StateCheckpointResult
            `version` and `step` of what was written; `continues`, whether the run's complete state is in it.

        Raises
        ------
        FileAccessError
            It cannot be written.
        ConflictError
            Inside an edit of this thread: a checkpoint is of a commit.
        TimeoutExpired
            Somebody else edited the State all the while.
        UnsupportedError
            The session is remote, or the daemon was built without HDF5.
        """
        _local_only(self._session, path)
        if self._edited_here:
            raise ConflictError(
                "state.checkpoint inside an edit of this session: a checkpoint is of a commit, so finish the edit first", command="state.checkpoint"
            )
        return Commands.state_checkpoint(self, self._identity, path=os.path.abspath(os.path.expanduser(os.fspath(path))))

    def _remote_edit(self, timeout: float | None, publish: bool) -> AnyEdit:
        if self._unmapped and not self._closed:
            self._map()
            return self.edit(timeout, publish)
        self._remote_of()
        return RemoteEdit(self, timeout, publish)

    # --- Python's own --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._num_atoms

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return self._identity == other._identity if isinstance(other, State) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._identity, self._session.endpoint)

    def __repr__(self) -> str:
        condition = " closed" if self._closed else "" if self._session.local else " remote"
        return f"<gromos.State {self._label()}: {self._num_atoms} atoms{condition}>"

    def _repr_html_(self) -> str:
        import html

        if self._closed:
            return f"<pre>{html.escape(repr(self))}</pre>"
        rows = [
            ("name", self._name or "none"),
            ("uuid", str(self._uuid)),
            ("atoms", f"{self._num_atoms:,}"),
            ("dtype", str(self.dtype)),
            ("box", str(self.box)),
            ("step, time", f"{self.step}, {self.time:g} ps"),
            ("version", str(self.version)),
            ("session", self._session.endpoint),
        ]
        cells = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in rows)
        return f"<table><caption>gromos.State</caption>{cells}</table>"


def _spin(spin: float) -> float:
    seconds = _wire.number("spin", spin)
    if not 0.0 <= seconds <= 0.1:
        raise InvalidArgumentError(f"'spin' is {seconds}; it must be from 0 to 0.1 seconds")
    return seconds


def _dtype_name(dtype: Any) -> str:
    if dtype is None:
        raise InvalidArgumentError("dtype is None; it must be float32 or float64")
    if isinstance(dtype, str) and dtype in ("float32", "float64"):
        return dtype
    try:
        name = str(np.dtype(dtype).name)
    except TypeError:
        name = str(dtype)
    if name not in ("float32", "float64"):
        raise InvalidArgumentError(f"dtype is {name}; it must be float32 or float64")
    return name


def _unpickle(identity: bytes, endpoint: str) -> State:
    return State._attach(identity, _session_for(endpoint))


def attach(state: str | bytes | uuid.UUID, *, session: Session | None = None) -> State:
    """A State that exists, by its name or uuid.

    Parameters
    ----------
    state : str, bytes or UUID
    session : Session, optional
        The default one if left out.

    Raises
    ------
    NotFoundError
        No State of this name; `Session.states` lists what there is.

    Examples
    --------
    >>> import gromos
    >>> made = gromos.State(5, name="attach-example")
    >>> gromos.attach("attach-example") == made
    True
    >>> made.delete()
    """
    return State._attach(state, chosen_session(session))


def restore(path: str | os.PathLike[str], name: str | None = None, *, session: Session | None = None) -> State:
    """Make a State from a checkpoint that `State.checkpoint` or the daemon itself has written.

    Parameters
    ----------
    path : path
        On the daemon's machine.
    name : str, optional
        Of the new State; the one it had if left out, none if empty.
    session : Session, optional
        The default one if left out.

    Returns
    -------
    State
        With a uuid of its own.

    Raises
    ------
    CorruptDataError
        The file was cut short, altered, or is no checkpoint; the message says what is wrong.
    FileAccessError, NameTakenError, UnsupportedError

    Examples
    --------
    >>> import gromos, os, tempfile
    >>> s = gromos.State(num_atoms=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     s.checkpoint(os.path.join(folder, "s.h5")).step
    ...     gromos.restore(os.path.join(folder, "s.h5")).num_atoms()
    0
    3
    """
    session = chosen_session(session)
    _local_only(session, path)
    made = session.commands.state_restore(path=os.path.abspath(os.path.expanduser(os.fspath(path))), name=name)
    state = State.__new__(State)
    state._open(session, made.state)
    return state


def _local_only(session: Session, path: str | os.PathLike[str]) -> None:
    if not session.local:
        raise UnsupportedError(f"{os.fspath(path)} lies on this machine and the daemon on another: write and read checkpoints in a local session")

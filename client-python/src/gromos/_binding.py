"""What ties a State of this process to its memory and its session: taking it up, mapping it, taking it up again after a reconnect."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Callable
from typing import Any, Final, Self, TypeVar

from . import _ext, _wire
from ._errors import (
    ConflictError,
    GromosError,
    InvalidArgumentError,
    NoDaemonError,
    NotFoundError,
    StaleGenerationError,
    StateDeletedError,
)
from ._frames import NAMES, FloatArray, Remote
from ._protocol import StateDescribeResult
from ._session import Session

T = TypeVar("T")


class Bound(_ext.StateBase):
    """A State's ties. The extension's base class calls `_remap` and the `_remote_...` methods when it has no mapping to answer from."""

    __slots__ = ("__weakref__", "_closed", "_finalizer", "_identity", "_name", "_num_atoms", "_remote", "_session", "_unmapped")

    _session: Session
    _identity: bytes
    _name: str
    _num_atoms: int
    _remote: Remote
    _closed: bool

    # --- taking it up --------------------------------------------------------------------------------------------

    @classmethod
    def _attach(cls, state: str | bytes | uuid.UUID, session: Session) -> Self:
        self = cls.__new__(cls)
        if session.local:
            self._open_local(session, state)
        else:
            self._take_up(session, session._open_handle(state))
        return self

    def _open(self, session: Session, about: StateDescribeResult) -> None:
        """Take up a State that a command has just made: the session has a handle on it. It is mapped when it is first used."""
        session._count_handle(about.uuid.bytes)
        self._take_up(session, about)

    def _take_up(self, session: Session, about: StateDescribeResult) -> None:
        self._session = session
        self._identity = about.uuid.bytes
        self._name = about.name
        self._num_atoms = about.num_atoms
        self._closed = False
        self._unmapped = session.local
        self._finalizer = weakref.finalize(self, session._forget, about.uuid.bytes)
        self._finalizer.atexit = False
        if session.local:
            session._unmapped[about.uuid.bytes] = self
            session._adopt(self)
        else:
            self._remote = Remote(self, about)

    def _open_local(self, session: Session, state: str | bytes | uuid.UUID) -> None:
        if session._forgotten:
            session._release_forgotten(wait=True)  # or it would give back the handle that this one is about to share
        mapping, name = _open_mapping(session, state)
        self._bind_new(session, mapping, name)
        other = session._unmapped.get(mapping.uuid)
        if other is not None:
            other._map()  # the mapping takes the handle over, and must then be everybody's

    def _bind_new(self, session: Session, mapping: _ext.Mapping, name: str) -> None:
        self._session = session
        self._identity = mapping.uuid
        self._name = name
        self._num_atoms = mapping.num_atoms
        self._closed = False
        self._unmapped = False
        self._bind(mapping)
        session._adopt(self)

    @property
    def _uuid(self) -> uuid.UUID:
        return uuid.UUID(bytes=self._identity)  # made when asked for: it takes as long as attaching in Python

    def _map(self) -> _ext.Mapping:
        """At the first use of a State made here. From then on the mapping holds the handle."""
        try:
            mapping, _ = _open_mapping(self._session, self._uuid)
        except NotFoundError:
            raise self._gone() from None
        self._bind(mapping)
        self._unmapped = False
        if self._finalizer.detach() is not None:
            self._session._drop_handle(self._identity)
        self._session._unmapped.pop(self._identity, None)
        return mapping

    @property
    def _mapping(self) -> _ext.Mapping | None:
        if self._unmapped and not self._closed:
            return self._map()
        return self._bound_mapping()

    def _bound_mapping(self) -> _ext.Mapping | None:
        """The mapping if there is one now."""
        found: _ext.Mapping | None = _get_mapping(self)
        return found

    @property
    def _edited_here(self) -> bool:
        """Whether the calling thread has an edit open."""
        mapping = self._bound_mapping()
        if mapping is not None:
            return mapping.edited_here
        return not self._session.local and self._remote.lock.held_here()

    # --- using it ------------------------------------------------------------------------------------------------

    def _call(self, command: str, args: dict[str, Any], /) -> dict[str, Any]:
        if self._closed:
            raise self._shut()
        mapping = _get_mapping(self)
        if mapping is not None and mapping.deleted and not self._session.closed:
            raise self._gone()
        try:
            return self._session._call(command, args)
        except NotFoundError as error:
            if str(self._uuid) in error.message:
                raise self._gone() from None
            raise

    def _gone(self) -> StateDeletedError:
        return StateDeletedError(f"the State {self._label()} was deleted; arrays over it stay valid and do not move any more")

    def _shut(self) -> ConflictError:
        return ConflictError(f"the State {self._label()} is closed here; attach to it again")

    def _label(self) -> str:
        return repr(self._name) if self._name else str(self._uuid)

    def _bound(self) -> _ext.Mapping:
        mapping = self._mapping
        if mapping is None:
            raise self._shut()
        return mapping

    def _with_mapping(self, action: Callable[[_ext.Mapping], T]) -> T:
        """Do something with the mapping; once more with a new one if it was outdated or its connection gone."""
        mapping = self._bound()
        try:
            return action(mapping)
        except (StaleGenerationError, NoDaemonError):
            return action(self._rebind(mapping))
        except NotFoundError:
            if mapping.deleted:
                raise self._gone() from None
            raise

    def _rebind(self, old: _ext.Mapping) -> _ext.Mapping:
        """The newest generation over a living door, in place of `old`."""
        mapping = self._bound()
        if mapping is not old and not mapping.door.closed:
            return mapping
        if old.deleted:
            raise self._gone()
        try:
            mapping, _ = _open_mapping(self._session, self._uuid)
        except NotFoundError:
            if old.deleted:
                raise self._gone() from None
            raise
        self._bind(mapping)
        return mapping

    def _retake(self) -> None:
        """The session has reconnected: a handle through the new door, unless a newer one is there already."""
        mapping = self._mapping
        if mapping is not None and not self._closed and mapping.door.closed and not mapping.deleted:
            self._rebind(mapping)

    def _remap(self) -> None:
        """Called by the extension when the mapping has been found stale."""
        self._rebind(self._bound())

    def _remote_of(self) -> Remote:
        if self._closed:
            raise self._shut()
        return self._remote

    def _remote_array(self, which: int, mode: str) -> FloatArray:
        if mode not in ("r", "c", "r+"):
            raise InvalidArgumentError(f"mode is {mode!r}; it must be 'r', 'c' or 'r+'")
        if self._unmapped and not self._closed:
            return self._map().array(which, mode)  # type: ignore[arg-type]
        remote = self._remote_of()
        edit = remote.lock.edit if remote.lock.held_here() else None
        if mode == "r+":
            if edit is None:
                raise ConflictError("mode 'r+' is for the thread that has an edit open: with state.edit() as e")
            return edit.array(which)
        array = remote.fetch(NAMES[which]) if edit is None else edit.peek(which)
        return array if mode == "r" else array.copy()

    def _remote_value(self, name: str) -> Any:
        if self._unmapped and not self._closed:
            return self._num_atoms if name == "num_atoms" else getattr(self._map(), name)
        return self._remote_of().value(name)


_get_mapping = _ext.StateBase._mapping.__get__
"""StateBase's own attribute, behind that of State."""


DOOR_ATOMS: Final = 1_000_000
"""A larger State is made by a command, for which nothing else of the session waits, and which may take its time."""


def _fits_door(num_atoms: int, num_temp_groups: int, num_energy_groups: int, name: str | None, slots: int, frame_forces: bool) -> bool:
    """Whether the door's request can say it. What cannot be, or would be refused, is left to the command: it says what is wrong."""
    if not (type(num_atoms) is type(num_temp_groups) is type(num_energy_groups) is type(slots) is int and type(frame_forces) is bool):
        return False
    if not (0 < num_atoms <= DOOR_ATOMS and 0 < num_temp_groups <= 1024 and 0 < num_energy_groups <= 64 and 0 <= slots <= 256):
        return False
    return name is None or (type(name) is str and 0 < len(name) < 128 and name.isprintable() and (name.isascii() or len(name.encode()) < 128))


def _create_mapping(session: Session, num_atoms: int, options: tuple[Any, ...]) -> _ext.Mapping:
    """A State made through the session's door."""
    if session._forgotten:
        session._release_forgotten()
    broken, door = None, session._present_door()
    while True:
        try:
            return door.create(num_atoms, *options)
        except NoDaemonError:
            if broken is not None:
                raise
            broken, door = door, session._door(door)
        except GromosError as error:
            error.command = "state.create"
            raise


def _open_mapping(session: Session, state: str | bytes | uuid.UUID) -> tuple[_ext.Mapping, str]:
    """A mapping through the session's door, and the State's name."""
    identity = _wire.state("state", state)
    broken = None
    while True:
        door = session._door(broken)
        try:
            if isinstance(identity, str):
                try:
                    # A mapping of this process may know the State by an older name.
                    return door.open(name=identity), identity
                except NotFoundError:
                    parsed = _parse_uuid(identity)
                    if parsed is None:
                        raise
            mapping = door.open(uuid=parsed if isinstance(identity, str) else identity)
            return mapping, mapping.name
        except NoDaemonError:
            if broken is not None:
                raise
            broken = door


def _parse_uuid(text: str) -> bytes | None:
    try:
        return uuid.UUID(text).bytes
    except ValueError:
        return None

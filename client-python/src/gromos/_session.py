"""Sessions: one client's connection to a daemon, local (shared memory) or remote (arrays over the wire)."""

from __future__ import annotations

import atexit
import builtins
import collections
import contextlib
import os
import threading
import time
import uuid
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import gromos  # for State: its module needs this one first

from . import _endpoint, _ext, _private, _protocol, _wire
from ._events import Events
from ._errors import (
    GromosError,
    InvalidArgumentError,
    InvalidMessageError,
    NoDaemonError,
    NotAuthorizedError,
    OutcomeUnknownError,
    ProtocolMismatchError,
    TimeoutExpired,
    from_number,
    from_reply,
)
from ._calls import DoorTransport
from ._protocol import InfoResult, StateDescribeResult, StatsResult
from ._line import LineTransport
from ._transport import ConnectionLost, Security, Transport, ZmqTransport
from ._version import __version__
from ._locks import WriteLock

if TYPE_CHECKING:
    from ._binding import Bound
    from ._state import State

__all__ = ["Session", "connect", "default_session"]

Dtype = Literal["float32", "float64"]
CONNECT_TIMEOUT: Final = 10.0
RECONNECT_TIMEOUT: Final = 15.0
WATCH_PERIOD: Final = 2.0
"""Seconds between looks whether a local daemon is still there."""

GOODBYE_TIMEOUT: Final = 0.5
_GOODBYE: Final = _wire.encode("goodbye", {})

_sessions: weakref.WeakSet[Session] = weakref.WeakSet()


class _Link:
    """One incarnation of a session: a reconnect makes a new one."""

    __slots__ = ("door", "hello", "stop", "transport", "watched")

    def __init__(self, transport: Transport, door: _ext.Door | None, hello: dict[str, Any]) -> None:
        self.transport = transport
        self.door = door
        self.hello = hello  # what the daemon said, by the transport's care
        self.stop = threading.Event()
        self.watched = False

    def close(self) -> None:
        self.stop.set()
        if self.door is None and self.hello:
            with contextlib.suppress(ConnectionLost, TimeoutExpired):  # without it the session ends by its silence
                self.transport.roundtrip(_GOODBYE, GOODBYE_TIMEOUT)
        self.transport.close()
        if self.door is not None:
            self.door.close()


class Session:
    """A connection to a daemon. Made by `gromos.connect`; usable from several threads and, after a fork, in the child, which
    connects anew at its first use.

    When the daemon goes away and comes back the session reconnects by itself. A command that was on the way when the daemon died is
    sent again if it only reads; else it ends in `OutcomeUnknownError`.

    Parameters
    ----------
    endpoint : str, optional
        ``ipc://<directory>/zmq`` or ``tcp://<host>:<port>``. Left out: the daemon of this user, started if it does not run.
    server_key : str or path, optional
        The daemon's public CURVE key (40 characters, or a file that holds it): needed for tcp, but for loopback addresses of daemons
        that allow it. Default $GROMOSD_SERVER_KEY.
    client_key : path, optional
        This client's secret key file, as written by `gromos keygen`. Default $GROMOSD_CLIENT_KEY; else a pair for this session only.
    timeout : float, optional
        Seconds a command may take before `TimeoutExpired`; None waits as long as the daemon lives.
    name : str, optional
        What the session calls itself in lists; the program's name and pid if left out.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        server_key: str | os.PathLike[str] | None = None,
        client_key: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
        name: str | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.timeout = _wire.seconds("timeout", timeout)
        self._name = name if name is not None else _program_name()
        self._private = endpoint is None
        self._security: Security | None = None
        self._directory: Path | None = None
        self._mock = transport
        if endpoint is None:
            self._directory = _private.instance_directory()
            endpoint = f"ipc://{self._directory}/zmq"
        elif transport is None:
            self._directory = _endpoint.parse(endpoint)
            if self._directory is None:
                self._security = _endpoint.security(endpoint, server_key, client_key)
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._link: _Link | None = None
        self._closed = False
        self._forgotten: collections.deque[bytes] = collections.deque()
        self._states: dict[int, weakref.ref[Bound]] = {}  # by the reference's own address: a State equals every other handle on it
        self._unmapped: weakref.WeakValueDictionary[bytes, Bound] = weakref.WeakValueDictionary()
        self._handles: collections.Counter[bytes] = collections.Counter()
        self._handles_lock = threading.Lock()
        self._plain: dict[str, _wire.Request] = {}
        self._write_locks: weakref.WeakValueDictionary[bytes, WriteLock] = weakref.WeakValueDictionary()
        self._commands = _protocol.Commands(self._call)
        _sessions.add(self)
        self._connect(None)

    # --- life ----------------------------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Where the daemon answers."""
        return self._endpoint

    @property
    def local(self) -> bool:
        """Whether States are mapped into this process (True) or fetched over the wire."""
        return self._directory is not None

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def server_version(self) -> str:
        """Package version of the daemon."""
        return str(self._hello()["version"])

    @property
    def number(self) -> int:
        """The session's number at the daemon; another one after a reconnect."""
        return int(self._hello()["session"])

    @property
    def role(self) -> str:
        """reader, writer or admin."""
        return str(self._hello()["role"])

    @property
    def commands(self) -> _protocol.Commands:
        """Every command of the protocol as a method, below the level of State."""
        return self._commands

    def close(self) -> None:
        """End the session; twice is fine. Arrays stay valid; States of this session can no longer be asked or changed."""
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        condition = "closed" if self._closed else "local" if self.local else "remote"
        return f"<gromos.Session {self._endpoint} {condition}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _session_for, (self._endpoint,)

    # --- what a user asks ----------------------------------------------------------------------------------------

    def ping(self) -> float:
        """Ask the daemon for a sign of life.

        Returns
        -------
        float
            Seconds until it came.
        """
        start = time.perf_counter()
        self._call("ping", {})
        return time.perf_counter() - start

    def info(self) -> InfoResult:
        """What the daemon is: version, machine, kernel variant, limits."""
        return self._commands.info()

    def stats(self) -> StatsResult:
        """The daemon's counters since its start."""
        return self._commands.stats()

    def sessions(self) -> list[dict[str, Any]]:
        """The open sessions, one map each."""
        return self._commands.sessions().sessions

    def states(self) -> list[StateDescribeResult]:
        """What States there are that this session may see."""
        return self._commands.state_list().states

    def events(self, state: State | None = None, timeout: float | None = None) -> Events:
        """What happens to States from now on: made, renamed, deleted, leases lost, edits undone, runs.

        Parameters
        ----------
        state : State, optional
            Only what happens to this one.
        timeout : float, optional
            The iteration ends when nothing happened for so many seconds.
        """
        return Events(self, None if state is None else state.uuid, timeout)

    def create(self, num_atoms: int, **options: Any) -> State:
        """Make a State here; `gromos.State` with ``session=`` this one, same arguments."""
        return gromos.State(num_atoms, session=self, **options)

    def attach(self, state: str | builtins.bytes | uuid.UUID) -> State:
        """A State that exists, by name or uuid.

        Raises
        ------
        NotFoundError
        """
        return gromos.State._attach(state, self)

    def load(self, path: str | os.PathLike[str], **options: Any) -> State:
        """Read a file into a new State here; see `gromos.load`."""
        from ._files import load

        return load(path, session=self, **options)

    def restore(self, path: str | os.PathLike[str], name: str | None = None) -> State:
        """Make a State from a checkpoint here; see `gromos.restore`."""
        from ._state import restore

        return restore(path, name, session=self)

    def evict(self, session: int) -> None:
        """End another session by force; needs the role admin. Its leases are rolled back, its pins dropped."""
        self._commands.evict(session=_wire.count("session", session, 2))

    def shutdown(self, force: bool = False) -> None:
        """Stop the daemon; needs the role admin.

        Parameters
        ----------
        force : bool
            Even while there are named States.
        """
        self._commands.shutdown(force=force)

    # --- calls ---------------------------------------------------------------------------------------------------

    def _call(self, command: str, args: dict[str, Any], timeout: float | None = None) -> dict[str, Any]:
        about = _protocol.COMMANDS[command]
        if args:
            request = _wire.encode(command, args)
        else:
            found = self._plain.get(command)
            request = found if found is not None else self._plain.setdefault(command, _wire.encode(command, args))
        if self._forgotten:
            self._release_forgotten()
        if timeout is None:
            timeout = self.timeout
            if timeout is not None and "timeout" in args:
                timeout += args["timeout"]
        while True:
            link = self._link
            if link is None:
                link = self._connect(None)
            try:
                message, parts = link.transport.roundtrip(request, timeout)
            except ConnectionLost as lost:
                if isinstance(lost.__cause__, InvalidMessageError):
                    raise lost.__cause__ from None
                self._connect(link)
                if lost.sent and not about.repeatable:
                    raise OutcomeUnknownError(
                        f"{command}: the daemon went away before it answered; look at the State before you try again",
                        command=command,
                    ) from None
                continue
            break
        if not message["ok"]:
            error = from_reply(message["error"], command, message["id"])
            if isinstance(error, NotAuthorizedError) and " before hello" in error.message and command != "hello":
                # The session ended at the daemon (it was silent for too long, or evicted); nothing was executed.
                self._connect(link)
                return self._call(command, args, timeout)
            raise error
        result: dict[str, Any] = message["result"]
        if result and _wire.refers(result):
            _wire.attach_arrays(result, parts, link.door.result if link.door is not None else None)
        return result

    def _hello(self) -> dict[str, Any]:
        link = self._link
        if link is None:
            link = self._connect(None)
        return link.hello

    def _door(self, broken: _ext.Door | None = None) -> _ext.Door:
        """The door of a local session, connected anew if it was closed or is the `broken` one."""
        link = self._link
        if link is None or (link.door is not None and (link.door.closed or link.door is broken)):
            link = self._connect(link)
        assert link.door is not None
        return link.door

    def _present_door(self) -> _ext.Door:
        """The door there is, if there is one: for calls that look themselves whether it still stands."""
        link = self._link
        return link.door if link is not None and link.door is not None else self._door()

    def _write_lock(self, identity: bytes) -> WriteLock:
        """The lock of a remote State, the same for every handle of it in this session."""
        with self._lock:
            return self._write_locks.setdefault(identity, WriteLock())

    def _open_handle(self, state: str | builtins.bytes | uuid.UUID) -> StateDescribeResult:
        """A handle on a State for a remote session. The daemon counts one per session, so they are counted here."""
        with self._handles_lock:
            about = self._commands.state_open(state).state
            self._handles[about.uuid.bytes] += 1
        return about

    def _count_handle(self, identity: builtins.bytes) -> None:
        """The daemon has given this session a handle on a State it made."""
        with self._handles_lock:
            self._handles[identity] += 1

    def _drop_handle(self, identity: builtins.bytes) -> None:
        """Somebody else, a mapping, gives it back."""
        with self._handles_lock:
            del self._handles[identity]

    def _forget(self, identity: bytes) -> None:
        """Give a handle of a State back at the next call; safe in a finalizer."""
        if not self._closed:
            self._forgotten.append(identity)

    def _release_forgotten(self, wait: bool = False) -> None:
        if not self._handles_lock.acquire(blocking=wait):
            return  # another thread is at it
        try:
            while self._forgotten:
                identity = self._forgotten.popleft()
                self._handles[identity] -= 1
                if self._handles[identity] > 0:
                    continue
                del self._handles[identity]
                link = self._link
                if link is not None:
                    link.transport.roundtrip(_wire.encode("state.close", {"state": identity}), self.timeout)
        except (ConnectionLost, GromosError):
            pass  # the handles went with the connection
        finally:
            self._handles_lock.release()

    # --- connecting ----------------------------------------------------------------------------------------------

    def _connect(self, broken: _Link | None) -> _Link:
        """A working link in place of `broken`; the first one, or the first one after a fork, if that is None."""
        link = self._connected(broken)
        if broken is not None:
            self._take_again()
        return link

    def _connected(self, broken: _Link | None) -> _Link:
        with self._lock:
            if self._closed:
                raise NoDaemonError("the session is closed")
            if self._link is not None and self._link is not broken:
                return self._link
            if self._link is not None:
                self._link.close()
                self._link = None
            first = broken is None
            deadline = time.monotonic() + (CONNECT_TIMEOUT if first else RECONNECT_TIMEOUT)
            pause = 0.005
            while True:
                try:
                    self._link = self._open()
                    self._look_after(self._link)
                    return self._link
                except NoDaemonError:
                    # A named endpoint must answer at once; after a loss the daemon is given time to come back.
                    if first or time.monotonic() > deadline:
                        raise
                time.sleep(pause)
                pause = min(2 * pause, 0.1)

    def _revive(self, broken: _Link) -> None:
        """Connect again if the daemon is back; called now and then. Starts none: nobody has asked for anything."""
        with self._lock:
            if self._closed or self._link is not broken or self._mock is not None:
                return
            try:
                link = self._open_remote() if self._directory is None else self._open_local(self._directory)
            except (GromosError, OSError):
                return
            broken.close()
            self._link = link
            self._look_after(link)
        self._take_again()

    def _take_again(self) -> None:
        """After a reconnect: handles on the States of this process, before the daemon ends those that nobody has."""
        if self.local:
            for reference in list(self._states.values()):
                state = reference()
                if state is not None:
                    with contextlib.suppress(GromosError):
                        state._retake()
            return
        for identity in [identity for identity, count in list(self._handles.items()) if count > 0]:
            with contextlib.suppress(GromosError):
                self._commands.state_open(identity)

    def _adopt(self, state: Bound) -> None:
        """From now on this State is looked after when the connection is lost."""
        reference = weakref.ref(state, self._drop)
        self._states[id(reference)] = reference
        link = self._link
        if link is not None and not link.watched:
            self._look_after(link)

    def _drop(self, reference: weakref.ref[Bound]) -> None:
        self._states.pop(id(reference), None)

    def _look_after(self, link: _Link) -> None:
        """A local connection is watched as long as there are States that would be lost with it; a remote one always is."""
        if self.local and self._states and not link.watched:
            link.watched = True
            _watch(self, link, WATCH_PERIOD)

    def _open(self) -> _Link:
        if self._mock is not None:
            return self._greeted(_Link(self._mock, None, {}))
        _private.check_descriptors()
        if self._directory is None:
            return self._open_remote()
        if not self._private:
            return self._open_local(self._directory)
        _private.prepare_directory(self._directory)
        try:
            return self._open_local(self._directory)
        except NoDaemonError:
            pass
        with _private.start_lock(self._directory):
            return self._open_private(self._directory)

    def _open_private(self, directory: Path) -> _Link:
        """Starts the daemon if nobody holds the instance; one that holds it but does not answer is starting, or stopping."""
        deadline = time.monotonic() + CONNECT_TIMEOUT
        while True:
            late = time.monotonic() > deadline
            try:
                return self._open_local(directory)
            except NoDaemonError as error:
                pid = _private.owner_pid(directory)
                if late and pid is None:
                    raise NoDaemonError(f"the daemon of {directory} ends before it is found; see {directory}/log") from None
                if late:
                    raise NoDaemonError(
                        f"the daemon of {directory} (pid {pid}) does not answer: {error}; see {directory}/log, or end it with kill {pid}"
                    ) from None
            if pid is None:
                _private.start(directory)
            else:
                time.sleep(0.02)

    def _open_local(self, directory: Path) -> _Link:
        _private.check_socket_path(directory)
        path = directory / "door"
        try:
            _private.check_directory(directory)
        except FileNotFoundError:
            raise NoDaemonError(f"no daemon at {directory}: the directory does not exist") from None
        try:
            door = _ext.Door(str(path), __version__)
        except ProtocolMismatchError as error:
            pid = _private.owner_pid(directory)
            raise ProtocolMismatchError(
                f"{error.message}. This package is {__version__} (protocol {_protocol.PROTOCOL_VERSION}); the daemon of {directory} "
                f"is of another version: install the same one on both sides, or stop it with kill {pid} and connect again"
            ) from None
        hello: dict[str, Any] = {}
        name = self._name  # the transport must not hold this session: it would be let go of by the collector alone
        transport = ZmqTransport(f"ipc://{directory}/zmq", lambda: _greeting(name, door.token), hello.update)
        return self._greeted(_Link(DoorTransport(door, transport), door, hello))

    def _open_remote(self) -> _Link:
        hello: dict[str, Any] = {}
        name = self._name
        transport = LineTransport(self._endpoint, lambda: _greeting(name, hello.get("token")), hello.update, self._security)
        link = self._greeted(_Link(transport, None, hello))
        period = hello.get("ttl_ms", 0) / 3000
        if period > 0:
            link.watched = True
            _watch(self, link, period)
        return link

    def _greeted(self, link: _Link) -> _Link:
        """Send one command over the link, so that what is wrong with it shows now."""
        try:
            message, _ = link.transport.roundtrip(_wire.encode("ping", {}), CONNECT_TIMEOUT)
            if not message["ok"]:
                raise from_reply(message["error"], "ping", message["id"])
        except ConnectionLost as lost:
            link.close()
            if lost.refused and isinstance(lost.__cause__, NotAuthorizedError):
                raise lost.__cause__ from None
            raise NoDaemonError(self._nobody()) from None
        except BaseException:
            link.close()
            raise
        return link

    def _nobody(self) -> str:
        if self._directory is not None:
            return f"no daemon answers at {self._endpoint}"
        return (
            f"no daemon answers at {self._endpoint}; check host and port, and that the server key is that of the daemon"
            + ("" if self._security else " (none was given: it is needed unless the daemon allows plain loopback)")
        )

    def _after_fork(self) -> None:
        """In a forked child: the connection belongs to the parent."""
        self._lock = threading.Lock()
        link, self._link = self._link, None
        self._forgotten = collections.deque()
        self._handles = collections.Counter()
        self._handles_lock = threading.Lock()
        self._write_locks = weakref.WeakValueDictionary()
        if link is not None:
            _inherited.append(link)
            if isinstance(link.transport, (DoorTransport, ZmqTransport)):
                link.transport.abandon()


_inherited: list[_Link] = []


def _greeting(name: str, token: bytes | None) -> dict[str, Any]:
    """The arguments of `hello`."""
    greeting: dict[str, Any] = {"protocol": _protocol.PROTOCOL_VERSION, "version": __version__, "client": name}
    if token:
        greeting["token"] = token
    return greeting


def _watch(session: Session, link: _Link, period: float) -> None:
    """Keeps a connection alive while nothing is asked for, and brings it back when it is lost."""
    threading.Thread(target=_watching, args=(weakref.ref(session), link, period), name="gromos-session", daemon=True).start()


def _watching(reference: weakref.ref[Session], link: _Link, period: float) -> None:
    beat = _wire.encode("heartbeat", {})
    while not link.stop.wait(period):
        lost = False
        if link.door is not None:
            lost = link.door.closed
        else:
            try:
                message, _ = link.transport.roundtrip(beat, period)
                lost = not message["ok"]
            except ConnectionLost:
                lost = True
            except TimeoutExpired:
                continue
        session = reference()
        if session is None:
            return
        if lost:
            session._revive(link)
        del session


def _program_name() -> str:
    import sys

    program = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] else "python"
    return f"{program or 'python'}:{os.getpid()}"[:63]


# --- the default session -------------------------------------------------------------------------------------------

_default: Session | None = None
_default_explicit = False
_default_lock = threading.Lock()


def connect(
    endpoint: str | None = None,
    *,
    server_key: str | os.PathLike[str] | None = None,
    client_key: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
    name: str | None = None,
    default: bool | None = None,
) -> Session:
    """Connect to a daemon.

    Without an endpoint this is the default session: $GROMOSD_ENDPOINT if that is set, else the daemon of this user, which is started
    if it does not run and ends by itself when idle.

    Parameters
    ----------
    endpoint : str, optional
        ``ipc://<directory>/zmq`` or ``tcp://<host>:<port>``.
    server_key, client_key, timeout, name
        See `Session`.
    default : bool, optional
        Whether functions without ``session=`` use this one from now on. Left out: if none was connected by hand before.

    Returns
    -------
    Session

    Raises
    ------
    NoDaemonError
        Nobody answers, or the private daemon cannot be started.
    ProtocolMismatchError
        The daemon is of a version that speaks another protocol.
    FileAccessError
        The runtime directory is missing, foreign, or open to others.

    Examples
    --------
    >>> import gromos
    >>> session = gromos.connect()
    >>> session.ping() < 1.0
    True
    """
    global _default, _default_explicit
    default = None if default is None else _wire.flag("default", default)
    plain = endpoint is None and server_key is None and client_key is None and timeout is None and name is None
    if plain and default is not False:
        return default_session()
    session = Session(
        endpoint if endpoint is not None else os.environ.get("GROMOSD_ENDPOINT"),
        server_key=server_key,
        client_key=client_key,
        timeout=timeout,
        name=name,
    )
    with _default_lock:
        taken = _default is not None and not _default.closed and _default_explicit
        if default or (default is None and not taken):
            _default = session
            _default_explicit = True
    return session


def default_session() -> Session:
    """The session that functions without ``session=`` use; connected at the first call."""
    global _default, _default_explicit
    session = _default
    if session is not None and not session.closed:
        return session
    with _default_lock:
        if _default is None or _default.closed:
            _default = Session(os.environ.get("GROMOSD_ENDPOINT"))
            _default_explicit = False
        return _default


def chosen_session(session: Session | None) -> Session:
    """What ``session=`` stands for: the default session if it was left out.

    Raises
    ------
    InvalidArgumentError
        It is no Session.
    """
    if session is None:
        return default_session()
    if not isinstance(session, Session):
        raise InvalidArgumentError(f"'session' must be a gromos.Session, as gromos.connect gives one, not {type(session).__name__}")
    return session


def _session_for(endpoint: str) -> Session:
    """An open session of this process to an endpoint, or a new one (unpickling)."""
    for session in list(_sessions):
        if session.endpoint == endpoint and not session.closed:
            return session
    if endpoint == f"ipc://{_private.instance_directory()}/zmq":
        candidate = default_session() if not os.environ.get("GROMOSD_ENDPOINT") else Session(None)
        if candidate.endpoint == endpoint:
            return candidate
    return connect(endpoint)


def _after_fork_in_child() -> None:
    global _default_lock
    _default_lock = threading.Lock()
    for session in list(_sessions):
        session._after_fork()


def _close_all() -> None:
    for session in list(_sessions):
        session.close()


os.register_at_fork(after_in_child=_after_fork_in_child)
atexit.register(_close_all)

_make_error: Callable[[int, str], BaseException] = from_number

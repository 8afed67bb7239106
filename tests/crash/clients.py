"""The clients that the kill harness kills: each runs for ever in a process of its own, until a signal ends it.

A State's content is one number in every element of positions and velocities and in its step: the number of edits so far. An editor reads
it under the lease and writes the next one, so whatever is lost, doubled or half done shows as a number. An assigner does the same
to a State of its own, positions alone, by setting the whole array without frames: what was there before is nowhere but in the undo
memory. What an editor is about to do and what it was told goes into the journal, one line a write, which the kernel keeps when the
process dies:

    b STATE N   begins to make the content N
    d STATE N   was told that this is done
    l STATE N   was told that it is not (lease lost, edit undone)
    r STATE N   undid it itself
    u STATE N   cannot know
    ! TEXT      found something that must never be

Behind a bar: who wrote it and when, as in the daemon's log.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import zmq

import gromos

ATOMS = {"alpha": 400, "beta": 400, "gamma": 400, "delta": 60000}  # the last one takes long enough to write to be met by a kill
NAMES = tuple(ATOMS)
ASSIGNED = {"epsilon": 150000, "zeta": 600000}  # one assigner each; the second is long enough to be written past the caches


class Deliberate(Exception):
    """Ends an edit from inside."""


def whole(step: int, *arrays: np.ndarray) -> bool:
    return all(a.min() == a.max() == step for a in arrays)


class Client:
    def __init__(self, directory: Path, journal: Path, seed: int, tcp: str) -> None:
        self.directory = directory
        self.tcp = tcp
        self.random = random.Random(seed)
        self.journal_fd = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def write(self, line: str) -> None:
        now = time.time()
        os.write(self.journal_fd, f"{line} | {os.getpid()} {time.strftime('%H:%M:%S', time.gmtime(now))}.{int(now * 1e3) % 1000:03d}\n".encode())

    def wrong(self, text: str) -> None:
        self.write(f"! pid {os.getpid()}: {text}")

    def connect(self, remote: bool = False) -> gromos.Session:
        endpoint = self.tcp if remote else f"ipc://{self.directory}/zmq"
        while True:
            try:
                return gromos.connect(endpoint, default=False, name=f"crash {os.getpid()}")
            except gromos.GromosError:
                time.sleep(0.02)  # the daemon is down just now

    def is_whole(self, what: str, step: int, *arrays: np.ndarray) -> bool:
        if whole(step, *arrays):
            return True
        self.wrong(f"{what}: step {step}, elements {', '.join(f'{a.min()} to {a.max()}' for a in arrays)}")
        return False

    # --- roles ---------------------------------------------------------------------------------------------------

    def edit_one(self, name: str, state: gromos.State) -> None:
        value = 0
        ended = "r"
        try:
            with state.edit(timeout=10, publish=self.random.random() < 0.7) as e:
                positions, velocities = e.positions(), e.velocities()
                if not self.is_whole(f"{name} at the begin of an edit", e.step, positions, velocities):
                    return
                value = int(positions[0, 0]) + 1
                self.write(f"b {name} {value}")
                parts = [0, 1, 2]
                self.random.shuffle(parts)
                for part in parts:
                    if self.random.random() < 0.2:
                        time.sleep(self.random.random() * 0.02)  # long enough to be met by a signal
                    if part == 0:
                        positions[:] = value
                    elif part == 1:
                        velocities[:] = value
                    else:
                        e.step = value
                if self.random.random() < 0.15:
                    raise Deliberate
                if self.random.random() < 0.03 and state.session.local:
                    self.leave_an_orphan()
                ended = "u"
            self.write(f"d {name} {value}")
        except Deliberate:
            self.write(f"r {name} {value}")
        except gromos.LeaseLostError:
            if value:
                self.write(f"l {name} {value}")
        except gromos.GromosError as error:
            if value:
                self.write(f"{ended} {name} {value} {type(error).__name__}")

    def leave_an_orphan(self) -> None:
        """A child that has inherited everything and touches nothing; it must not keep this process's session alive."""
        if os.fork() == 0:
            time.sleep(0.4)
            os._exit(0)

    def editor(self, remote: bool = False) -> None:
        session = self.connect(remote)
        states: dict[str, gromos.State] = {}
        while True:
            name = self.random.choice(NAMES)
            try:
                if name not in states:
                    states[name] = session.attach(name)
                self.edit_one(name, states[name])
            except gromos.NotFoundError as error:
                self.wrong(f"a State is gone: {error}")
                time.sleep(0.1)
            except gromos.GromosError:
                time.sleep(0.01)  # no daemon just now, or a generation that moved: try again
            time.sleep(self.random.random() * 0.01)

    def remote_editor(self) -> None:
        self.editor(remote=True)

    def assign(self, name: str, state: gromos.State, chain: int) -> None:
        """A chain of whole arrays without frames, from the content found under the lease."""
        numbers = np.empty((state.num_atoms(), 3), self.random.choice(("f4", "f8")))
        with state.edit(timeout=10, publish=False):
            content = state.positions()
            if not self.is_whole(f"{name} at the begin of a chain", int(content[0, 0]), content):
                return
            value = int(content[0, 0])
        for _ in range(chain):
            numbers.fill(value + 1)
            if self.random.random() < 0.2:
                numbers[self.random.randrange(len(numbers)), 1] = np.nan
                try:
                    state.set_positions(numbers, publish=False)
                    self.wrong(f"{name}: a number that is none was taken")
                except gromos.NotFiniteError:
                    self.is_whole(f"{name} after a number that is none", value, state.positions())
                continue
            value += 1
            self.write(f"b {name} {value}")
            try:
                state.set_positions(numbers, publish=self.random.random() < 0.1)
            except gromos.LeaseLostError:
                self.write(f"l {name} {value}")
                return
            except gromos.GromosError as error:
                self.write(f"u {name} {value} {type(error).__name__}")
                return
            self.write(f"d {name} {value}")

    def assigner(self, name: str) -> None:
        session = self.connect()
        state: gromos.State | None = None
        while True:
            try:
                state = state or session.attach(name)
                self.assign(name, state, self.random.randrange(5, 40))
            except gromos.NotFoundError as error:
                self.wrong(f"a State is gone: {error}")
                time.sleep(0.1)
            except gromos.GromosError:
                time.sleep(0.01)
            time.sleep(self.random.random() * 0.01)

    def look(self, name: str, state: gromos.State, seen: dict[str, int], held: list[tuple[np.ndarray, int]]) -> None:
        with state.snapshot() as f:
            self.is_whole(f"snapshot of {name}", f.step, f.positions(), f.velocities())
            if f.step < seen.get(name, 0):
                self.wrong(f"{name} went back from {seen[name]} to {f.step}")
            seen[name] = f.step
            if self.random.random() < 0.3:
                held.append((f.positions(), f.step))
        while len(held) > 4:
            array, step = held.pop(self.random.randrange(len(held)))
            self.is_whole(f"a frame held of {name}", step, array)
        if self.random.random() < 0.3:
            for n, f in enumerate(state.frames(timeout=0.05)):
                self.is_whole(f"frame of {name}", f.step, f.positions(), f.velocities())
                if n == 3:
                    break

    def reader(self) -> None:
        session = self.connect()
        states: dict[str, gromos.State] = {}
        seen: dict[str, int] = {}
        held: list[tuple[np.ndarray, int]] = []
        while True:
            name = self.random.choice(NAMES)
            try:
                if name not in states:
                    states[name] = session.attach(name)
                self.look(name, states[name], seen, held)
            except gromos.GromosError:
                time.sleep(0.01)

    def churner(self) -> None:
        """Comes, makes a State without a name, leaves, and again."""
        while True:
            session = self.connect()
            try:
                state = session.create(self.random.randrange(1, 5000))
                state.set_positions(np.ones((state.num_atoms(), 3)))
                other = session.attach(self.random.choice(NAMES))
                with other.snapshot() as f:
                    self.is_whole("snapshot in passing", f.step, f.positions())
                if self.random.random() < 0.5:
                    state.close()
            except gromos.GromosError:
                time.sleep(0.01)
            finally:
                session.close()

    def half_a_message(self) -> None:
        """Sends the first part of a request and no more."""
        context = zmq.Context()
        peer = context.socket(zmq.DEALER)
        peer.linger = 0
        peer.connect(f"ipc://{self.directory}/zmq")
        peer.send(b"\x84\xa1v\x01\xa2id\x01", zmq.SNDMORE)
        while True:
            time.sleep(1)

    def half_a_door(self) -> None:
        """Knocks, perhaps says hello, and then stands there or talks nonsense."""
        hello = struct.pack("<IIII16s128s4Q", 0x44474F52, 1, 1, 0, b"", gromos.__version__.encode(), 0, 0, 0, 0)
        while True:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
                try:
                    door.connect(str(self.directory / "door"))
                    choice = self.random.randrange(4)
                    if choice > 0:
                        door.send(hello[: len(hello) if choice > 1 else 50])
                    if choice == 3:
                        door.send(os.urandom(192))
                except OSError:
                    pass
                time.sleep(self.random.random() * 0.1)


ROLES: dict[str, Callable[[Client], None]] = {
    "editor": Client.editor,
    "remote_editor": Client.remote_editor,
    **{f"assigner {name}": lambda client, name=name: client.assigner(name) for name in ASSIGNED},
    "reader": Client.reader,
    "churner": Client.churner,
    "half_a_message": Client.half_a_message,
    "half_a_door": Client.half_a_door,
}


def start(role: str, directory: Path, journal: Path, seed: int, tcp: str) -> int:
    """Forks a client; the pid. The caller has no session and no thread, so that the child starts clean."""
    pid = os.fork()
    if pid:
        return pid
    try:
        with open(directory / "clients", "ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        client = Client(directory, journal, seed, tcp)
        try:
            ROLES[role](client)
        except BaseException as error:  # noqa: BLE001: whatever ended it is a finding
            client.wrong(f"a {role} ended: {error!r}")
            raise
    finally:
        os._exit(1)

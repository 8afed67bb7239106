"""A small daemon's door in Python, for tests of the extension alone: it can be asked to misbehave, which the real one cannot.

It runs in a thread of the test process, keeps States in sealed memfds of the layout of proto/gd_shm.h and answers the requests of
proto/gd_door.h. ``mangle`` may change a reply before it is sent; ``tamper`` a segment before its descriptor leaves.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import socket
import struct
import threading
import uuid as uuid_module
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LAYOUT = 0x67640003
MAGIC = 0x44474F52
HELLO, OPEN, RESULT, LEASE, CANCEL, COMMIT, ROLLBACK, RELEASE, CLOSE, ARGUMENTS, CREATE, CALLS = range(1, 13)
LIVE, FRAMES, UNDO, CONTROL = range(1, 5)
DELETED, STALE = 1, 2
CONTENDED, HOLDER = 0x80000000, 0x7FFFFFFF
REQUEST = struct.Struct("<IIII16s128sQ3I12x")
REPLY = struct.Struct("<IIiIII16s128sQ4Q32s512s")
HEAD = struct.Struct("<II16sQQQQIIII8Q8Q")
MAX_SLOTS, MAX_PINS = 256, 4032
PAGE = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def _round_up(value: int, step: int) -> int:
    return (value + step - 1) // step * step


def energies_count(temperature_groups: int, energy_groups: int) -> int:
    from gromos._energy_fields import EnergyFields

    baths, groups, pairs = EnergyFields._counts
    return EnergyFields._head + baths * temperature_groups + groups * energy_groups + pairs * energy_groups**2


class Segment:
    """One sealed memfd, mapped for writing here."""

    def __init__(self, name: str, size: int) -> None:
        self.size = _round_up(size, PAGE)
        self.fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.fd, self.size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        self.map = mmap.mmap(self.fd, self.size)
        self.bytes = memoryview(self.map)
        self.reader = os.open(f"/proc/self/fd/{self.fd}", os.O_RDONLY | os.O_CLOEXEC)

    def u32(self, at: int) -> int:
        return self.bytes[at : at + 4].cast("I")[0]

    def u64(self, at: int) -> int:
        return self.bytes[at : at + 8].cast("Q")[0]

    def set_u32(self, at: int, value: int) -> None:
        self.bytes[at : at + 4].cast("I")[0] = value

    def set_u64(self, at: int, value: int) -> None:
        self.bytes[at : at + 8].cast("Q")[0] = value

    def wake(self, at: int) -> None:
        address = ctypes.addressof(ctypes.c_char.from_buffer(self.map, at))
        _libc.syscall(ctypes.c_long(202 if os.uname().machine == "x86_64" else 98), ctypes.c_void_p(address), 1, 1 << 30, None, None, 0)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.reader)


# Offsets of gd_live_header and gd_frames_header.
VERSION, WAKE, FLAGS, UNSET, LEASE_WORD, DIRTY, UNDO_MASK, UNDO_BYTES, SMALL, SMALL_UNDO = 256, 264, 268, 272, 320, 324, 328, 344, 384, 512
RING_ID, NUM_SLOTS, SLOT_OFFSET, SLOT_STRIDE, NEWEST, PUBLISHED, SKIPPED, SEQUENCES = 256, 260, 264, 272, 320, 328, 336, 384


class State:
    def __init__(self, num_atoms: int, dtype: str = "f4", slots: int = 4, name: str = "", generation: int = 1, uuid: bytes | None = None) -> None:
        self.num_atoms, self.dtype, self.slots, self.name, self.generation = num_atoms, np.dtype(dtype), slots, name, generation
        self.uuid = uuid or uuid_module.uuid4().bytes
        self.groups = (1, 1)
        self.energies = energies_count(*self.groups)
        padded = _round_up(max(num_atoms, 1), 16)
        vectors = padded * 3 * self.dtype.itemsize
        self.lengths = [vectors, vectors, vectors, padded * 8, _round_up(self.energies * 8, 64)]
        self.padded = padded
        self.live_offsets = self._offsets(640)
        self.live = self._segment(LIVE, self.live_offsets, self.live_offsets[-1] + self.lengths[-1])
        undo = self._offsets(200)
        self.undo_offsets = undo
        self.undo = self._segment(UNDO, undo, undo[-1] + self.lengths[-1])
        self.ring: Segment | None = None
        self.queue: list[Client] = []
        self.deleted = False

    def _offsets(self, start: int) -> list[int]:
        offsets = []
        for length in self.lengths:
            start = _round_up(start, 64)
            offsets.append(start)
            start += length
        return offsets

    def _segment(self, role: int, offsets: list[int], size: int) -> Segment:
        segment = Segment("fake", size)
        HEAD.pack_into(
            segment.map, 0, 0, role, self.uuid, self.generation, segment.size, self.num_atoms, self.padded, self.dtype.itemsize,
            *self.groups, 0, *offsets, 0, 0, 0, *self.lengths, 0, 0, 0,
        )  # fmt: skip
        segment.set_u32(0, LAYOUT)
        return segment

    def need_ring(self, arrays: tuple[int, ...] = (0, 1, 4)) -> Segment:
        if self.ring is not None:
            return self.ring
        offsets, at = [0] * 5, 192
        for which in arrays:
            offsets[which] = at = _round_up(at, 64)
            at += self.lengths[which]
        stride, first = _round_up(at, PAGE), _round_up(384 + 8 * MAX_SLOTS, PAGE)
        self.frame_offsets = offsets
        self.ring = self._segment(FRAMES, offsets, first + stride * self.slots)
        self.ring.set_u32(RING_ID, 7)
        self.ring.set_u32(NUM_SLOTS, self.slots)
        self.ring.set_u64(SLOT_OFFSET, first)
        self.ring.set_u64(SLOT_STRIDE, stride)
        return self.ring

    def array(self, which: int) -> np.ndarray:
        count = self.energies if which == 4 else self.num_atoms if which == 3 else self.num_atoms * 3
        kind = self.dtype if which < 3 else np.dtype("f8")
        array = np.frombuffer(self.live.bytes, kind, count, self.live_offsets[which])
        return array.reshape(-1, 3) if which < 3 else array

    @property
    def version(self) -> int:
        return self.live.u64(VERSION)

    def pinned(self, clients: list[Client], slot: int) -> bool:
        word = (7 << 16) | (slot + 1)
        for client in clients:
            used = client.control.u32(256)
            if word in client.control.bytes[512 : 512 + 8 * used].cast("Q"):
                return True
        return False

    def publish(self, clients: list[Client], without_look: bool = False) -> int:
        """The steps of proto/gd_shm.h; 0 when every slot is pinned. without_look plants a bug."""
        ring = self.need_ring()
        newest = ring.u64(NEWEST)
        last, newest_slot = newest >> 16, newest & 0xFFFF if newest else -1
        for turn in range(self.slots):
            slot = (newest_slot + 1 + turn) % self.slots
            if slot == newest_slot or (not without_look and self.pinned(clients, slot)):
                continue
            old = ring.u64(SEQUENCES + 8 * slot)
            ring.set_u64(SEQUENCES + 8 * slot, 0)
            if not without_look and self.pinned(clients, slot):
                ring.set_u64(SEQUENCES + 8 * slot, old)
                continue
            base = ring.u64(SLOT_OFFSET) + slot * ring.u64(SLOT_STRIDE)
            struct.pack_into("<QQ", ring.map, base, last + 1, self.version)
            ring.bytes[base + 16 : base + 144] = self.live.bytes[SMALL : SMALL + 128]
            for which, offset in enumerate(self.frame_offsets):
                if offset:
                    start = self.live_offsets[which]
                    ring.bytes[base + offset : base + offset + self.lengths[which]] = self.live.bytes[start : start + self.lengths[which]]
            ring.set_u64(SEQUENCES + 8 * slot, last + 1)
            ring.set_u64(NEWEST, ((last + 1) << 16) | slot)
            ring.set_u64(PUBLISHED, ring.u64(PUBLISHED) + 1)
            self.wake()
            return last + 1
        ring.set_u64(SKIPPED, ring.u64(SKIPPED) + 1)
        self.wake()
        return 0

    def wake(self) -> None:
        self.live.set_u32(WAKE, (self.live.u32(WAKE) + 1) & 0xFFFFFFFF)
        self.live.wake(WAKE)

    def mark(self, flag: int) -> None:
        self.live.set_u32(FLAGS, self.live.u32(FLAGS) | flag)
        self.live.set_u32(LEASE_WORD, 1 | CONTENDED)
        self.live.wake(LEASE_WORD)
        self.wake()

    def commit(self) -> None:
        self.live.set_u64(VERSION, self.version + 1)
        self.live.set_u32(DIRTY, 0)
        self.live.set_u32(UNDO_MASK, 0)

    def rollback(self) -> None:
        dirty, undo = self.live.u32(DIRTY), self.live.u32(UNDO_MASK)
        for which in range(5):
            if dirty & undo & (1 << which):
                start, source = self.live_offsets[which], self.undo_offsets[which]
                kept = min(self.live.u64(UNDO_BYTES + 8 * which), self.lengths[which])
                self.live.bytes[start : start + kept] = self.undo.bytes[source : source + kept]
        if dirty & CONTENDED:
            self.live.bytes[SMALL : SMALL + 128] = self.live.bytes[SMALL_UNDO : SMALL_UNDO + 128]
        self.live.set_u32(DIRTY, 0)
        self.live.set_u32(UNDO_MASK, 0)

    def holder(self) -> int:
        return self.live.u32(LEASE_WORD) & HOLDER

    def grant_next(self) -> None:
        if not self.queue:
            self.live.set_u32(LEASE_WORD, 0)
            return
        client = self.queue.pop(0)
        self.live.bytes[SMALL_UNDO : SMALL_UNDO + 128] = self.live.bytes[SMALL : SMALL + 128]
        self.live.set_u32(LEASE_WORD, client.session | (CONTENDED if self.queue else 0))
        self.live.wake(LEASE_WORD)

    def close(self) -> None:
        for segment in (self.live, self.undo, self.ring):
            if segment is not None:
                segment.close()


@dataclass
class Client:
    socket: socket.socket
    session: int
    control: Segment
    opened: list[bytes] = field(default_factory=list)
    closed: list[bytes] = field(default_factory=list)


class FakeDoor:
    """Context manager; ``path`` is the socket."""

    def __init__(self, path: str, max_pins: int = 0) -> None:
        self.path, self.max_pins = path, max_pins
        self.states: list[State] = []
        self.results: dict[int, bytes] = {}
        self.calls: list[socket.socket] = []  # the daemon's ends of connections for calls: a test answers there itself
        self.clients: list[Client] = []
        self.lock = threading.RLock()
        self.mangle: Callable[[int, bytearray, list[int]], tuple[bytes, list[int]] | None] | None = None
        self.silent = False
        self._next = 2
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(path)
        self._listener.listen(16)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> FakeDoor:
        return self

    def __exit__(self, *ignored: object) -> None:
        self.stop()
        for state in self.states:
            state.close()
        for line in self.calls:
            line.close()

    def stop(self) -> None:
        if self._listener.fileno() < 0:
            return
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        with self.lock:
            for client in self.clients:
                client.socket.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def add(self, num_atoms: int, **options: object) -> State:
        state = State(num_atoms, **options)  # type: ignore[arg-type]
        self.states.append(state)
        return state

    def move(self, state: State) -> State:
        """A new generation with the committed content of the old one."""
        with self.lock:
            fresh = State(state.num_atoms, state.dtype.str, state.slots, state.name, state.generation + 1, state.uuid)
            size = min(state.live.size, fresh.live.size)
            fresh.live.bytes[640:size] = state.live.bytes[640:size]
            fresh.live.bytes[SMALL : SMALL + 128] = state.live.bytes[SMALL : SMALL + 128]
            fresh.live.set_u64(VERSION, state.version)
            self.states[self.states.index(state)] = fresh
            state.mark(STALE)
            return fresh

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads[1:] = [thread for thread in self._threads[1:] if thread.is_alive()]
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with self.lock:
            control = Segment("control", 512 + 8 * MAX_PINS)
            client = Client(connection, self._next, control)
            self._next += 1
            control.set_u32(4, CONTROL)
            control.set_u32(0, LAYOUT)
            self.clients.append(client)
        while True:
            try:
                packet = connection.recv(4096)
            except OSError:
                break
            if len(packet) != REQUEST.size:
                break
            with self.lock:
                self._answer(client, packet)
        with self.lock:
            for state in self.states:
                if client in state.queue:
                    state.queue.remove(client)
                if state.holder() == client.session:
                    state.rollback()
                    state.grant_next()
            connection.close()
            control.close()
            self.clients.remove(client)

    def _find(self, uuid: bytes, name: str) -> State | None:
        return next((s for s in self.states if (s.uuid == uuid if any(uuid) else s.name == name)), None)

    def _reply(self, client: Client, op: int, code: int = 0, text: str = "", fds: tuple[int, ...] = (), **more: object) -> None:
        numbers = [*more.get("numbers", ()), 0, 0, 0, 0][:4]  # type: ignore[misc]
        packet = bytearray(
            REPLY.pack(
                MAGIC, op, code, len(fds), 1, client.session, more.get("uuid", bytes(16)), str(more.get("name", "")).encode(),
                more.get("generation", 0), *numbers, more.get("token", bytes(32)), text.encode(),
            )
        )  # fmt: skip
        data, sent = bytes(packet), list(fds)
        if self.silent:
            return
        if self.mangle is not None:
            changed = self.mangle(op, packet, sent)
            data, sent = changed if changed is not None else (bytes(packet), sent)
        if sent:
            socket.send_fds(client.socket, [data], sent)
        elif data:
            client.socket.send(data)
        else:
            client.socket.shutdown(socket.SHUT_RDWR)

    def _answer(self, client: Client, packet: bytes) -> None:
        magic, op, protocol, flags, uuid, raw_name, number, *_more = REQUEST.unpack(packet)
        assert magic == MAGIC
        name = raw_name.split(b"\0")[0].decode()
        if op == HELLO:
            self._reply(
                client, op, fds=(client.control.fd,), name="0.0-fake", token=bytes(range(32)), numbers=(self.max_pins, 5000, 1 << 20)
            )
            return
        if op == ARGUMENTS:
            segment = Segment("arguments", number)
            self._reply(client, op, fds=(segment.fd,), numbers=(segment.size, 1))
            segment.close()
            return
        if op == RESULT:
            data = self.results.pop(number)
            segment = Segment("result", len(data))
            segment.bytes[: len(data)] = data
            self._reply(client, op, fds=(segment.reader,), numbers=(len(data),))
            segment.close()
            return
        if op == CALLS:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self.calls.append(ours)
            self._reply(client, op, fds=(theirs.fileno(),))
            theirs.close()
            return
        state = self._find(uuid, name)
        if state is None:
            if op not in (RELEASE, CLOSE):
                self._reply(client, op, -9, f"no State {name!r}")
            return
        mine = state.holder() == client.session
        if op == OPEN:
            if number not in (0, state.generation):
                self._reply(client, op, -31, "another generation")
                return
            fds = []
            if flags & 2:
                fds.append(state.live.fd)
            elif flags & 1:
                fds.append(state.live.reader)
            if flags & 4:
                ring = state.need_ring()
                if ring.u64(NEWEST) == 0:
                    state.publish(self.clients)
                fds.append(ring.reader)
            if flags & 2:
                fds.append(state.undo.fd)
            client.opened.append(state.uuid)
            self._reply(client, op, fds=tuple(fds), uuid=state.uuid, name=state.name, generation=state.generation)
        elif op == LEASE:
            word = state.live.u32(LEASE_WORD)
            if word & HOLDER == 0:
                state.live.set_u32(LEASE_WORD, client.session)
                self._reply(client, op)
            else:
                state.live.set_u32(LEASE_WORD, word | CONTENDED)
                state.queue.append(client)
                self._reply(client, op, 1)
        elif op == CANCEL:
            if client in state.queue:
                state.queue.remove(client)
                self._reply(client, op)
            else:
                self._reply(client, op, 2 if mine else 0)
        elif op in (COMMIT, ROLLBACK) and not mine:
            self._reply(client, op, -17, "the lease is not yours")
        elif op == COMMIT:
            state.commit()
            sequence = state.publish(self.clients) if flags & 1 else 0
            if flags & 2:
                state.grant_next()
            self._reply(client, op, numbers=(state.version, sequence))
        elif op == ROLLBACK:
            state.rollback()
            state.grant_next()
            self._reply(client, op)
        elif op == RELEASE and mine:
            state.grant_next()
        elif op == CLOSE:
            client.closed.append(state.uuid)

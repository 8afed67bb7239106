"""The local-memory half of the extension against a small door in this process: mapping, waiting, leases, frames, fork, and a daemon that
misbehaves. The same calls against the real daemon are tested through the package."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import struct
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fake_door import (
    CLOSE,
    COMMIT,
    CONTENDED,
    DELETED,
    FLAGS,
    HELLO,
    LEASE_WORD,
    MAGIC,
    NEWEST,
    OPEN,
    REQUEST,
    SEQUENCES,
    UNSET,
    FakeDoor,
    State,
)
import gromos
from conftest import wait_until
from gromos import _ext

E_INVALID_ARGUMENT, E_INVALID_MESSAGE, E_NOT_FOUND, E_STATE_DELETED = -4, -5, -9, -11
E_INVALID_SHAPE, E_INVALID_DTYPE, E_NOT_FINITE, E_LEASE_TIMEOUT, E_LEASE_LOST = -12, -13, -14, -16, -17
E_TOO_MANY_PINS, E_TIMEOUT, E_UNSUPPORTED, E_CONFLICT, E_OUTCOME_UNKNOWN, E_NO_DAEMON = -18, -21, -24, -25, -27, -28
E_STALE_GENERATION, E_CORRUPT_DATA = -31, -32


@pytest.fixture(autouse=True)
def plain_errors() -> Iterator[None]:
    """DoorError, whatever the package has configured."""
    _ext.configure(error=None, edit=None, frame=None)
    yield
    from gromos._errors import from_number

    _ext.configure(error=from_number, edit=gromos.Edit, frame=gromos.Frame)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDoor]:
    if open_files() or maps():
        gc.collect()  # an earlier test's, in cycles, which would go while this one counts
    with FakeDoor(str(tmp_path / "door")) as door:
        yield door


def connect(fake: FakeDoor, timeout: float = 60.0) -> _ext.Door:
    return _ext.Door(fake.path, "1.0", timeout)


def opened(fake: FakeDoor, num_atoms: int = 100, **options: object) -> tuple[State, _ext.Mapping]:
    state = fake.add(num_atoms, name="water", **options)
    return state, connect(fake).open(name="water")


class raises_code:
    """``with raises_code(code) as caught:`` and afterwards ``caught.text``."""

    def __init__(self, code: int) -> None:
        self.code, self.text = code, ""

    def __enter__(self) -> raises_code:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        assert isinstance(error, _ext.DoorError), f"no DoorError but {error!r}"
        assert error.code == self.code, f"{error.code} {error.text}"
        assert error.args == (error.code, error.text)
        self.text = error.text
        return True


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


MEMORY = tuple(f"/memfd:{name}" for name in ("fake", "control", "result", "plain"))


def open_files() -> int:
    """Descriptors of the fake's shared memory. Others come and go with the sessions of other tests, which keep themselves alive."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith(MEMORY)
        except FileNotFoundError:
            pass  # closed while it was looked at
    return count


def maps() -> int:
    """Bytes of it mapped here; the kernel joins and splits the mappings themselves as their neighbours allow."""
    lines = [line.split(maxsplit=5) for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [words[0].split("-") for words in lines if len(words) > 5 and words[5].startswith(MEMORY)]
    return sum(int(end, 16) - int(start, 16) for start, end in ranges)


# ---- the door


def test_hello(fake: FakeDoor) -> None:
    door = connect(fake)
    assert door.session >= 2
    assert door.token == bytes(range(32))
    assert door.server_version == "0.0-fake"
    assert door.pid == os.getpid()
    assert door.lease_limit == 5.0
    assert door.path == fake.path
    assert not door.closed
    door.close()
    door.close()
    assert door.closed
    with raises_code(E_NO_DAEMON):
        door.open(name="water")


def test_nobody_there(tmp_path: Path) -> None:
    with raises_code(E_NO_DAEMON) as caught:
        _ext.Door(str(tmp_path / "door"), "1.0")
    assert str(tmp_path / "door") in caught.text
    with raises_code(E_INVALID_ARGUMENT) as caught:
        _ext.Door("/tmp/" + "x" * 200, "1.0")
    assert "107" in caught.text


def test_open_by_name_and_uuid_is_the_same_object(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    door = mapping.door
    assert door.open(uuid=state.uuid) is mapping
    assert (mapping.uuid, mapping.name, mapping.generation, mapping.num_atoms) == (state.uuid, "water", 1, 100)
    assert mapping.dtype == np.float32
    assert (mapping.num_temperature_groups, mapping.num_energy_groups) == (1, 1)
    with raises_code(E_NOT_FOUND):
        door.open(name="ice")
    for wrong in ({}, {"name": "a", "uuid": state.uuid}, {"uuid": b"short"}, {"name": ""}, {"name": "x" * 128}):
        with raises_code(E_INVALID_ARGUMENT):
            door.open(**wrong)  # type: ignore[arg-type]


def test_the_daemon_hears_when_the_last_mapping_goes(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    door, client = mapping.door, fake.clients[0]
    array = mapping.array(_ext.POSITIONS)
    del mapping
    door.open(uuid=state.uuid)  # a request with a reply: what was sent before has been read
    assert client.closed == []
    del array
    fake.add(1, name="other")
    other = door.open(name="other")
    assert client.closed == [state.uuid]
    again = door.open(uuid=state.uuid)
    assert again.array(_ext.POSITIONS).shape == (100, 3)
    assert other.num_atoms == 1


def test_results_are_read_only_buffers(fake: FakeDoor) -> None:
    door = connect(fake)
    numbers = np.arange(1000.0)
    fake.results[7] = numbers.tobytes()
    result = door.result(7, numbers.nbytes)
    assert len(result) == result.nbytes == numbers.nbytes
    array = np.frombuffer(result, np.float64)
    del result, door
    gc.collect()
    assert np.array_equal(array, numbers)
    assert not array.flags.writeable


# ---- arrays


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_arrays_are_the_memory(fake: FakeDoor, dtype: str) -> None:
    state, mapping = opened(fake, dtype=dtype)
    positions = mapping.array(_ext.POSITIONS)
    assert positions.shape == (100, 3) and positions.dtype == dtype and positions.flags.c_contiguous
    assert positions.ctypes.data % 64 == 0
    assert not positions.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        positions.flags.writeable = True
    state.array(0)[7] = (1, 2, 3)
    assert positions[7].tolist() == [1, 2, 3]
    assert mapping.array(_ext.POSITIONS).ctypes.data == positions.ctypes.data
    assert mapping.masses.shape == (100,) and mapping.masses.dtype == np.float64
    assert mapping.energies.shape == (state.energies,)
    for which in range(3):
        assert mapping.array(which).shape == (100, 3)
    with raises_code(E_INVALID_ARGUMENT):
        mapping.array(5)
    with raises_code(E_INVALID_ARGUMENT):
        mapping.array(0, "w")
    with raises_code(E_CONFLICT):
        mapping.array(0, "r+")


def test_private_arrays_never_reach_the_state(fake: FakeDoor) -> None:
    state, mapping = opened(fake, num_atoms=3000)
    state.array(1)[:] = 5
    one, other = mapping.array(_ext.VELOCITIES, "c"), mapping.array(_ext.VELOCITIES, "c")
    assert one.flags.writeable and one.ctypes.data != other.ctypes.data
    one[:] = 7
    assert (other == 5).all() and (state.array(1) == 5).all() and (state.array(0) == 0).all()


def test_views_outlive_everything(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    door = mapping.door
    state.array(0)[:] = 3
    views = [mapping.array(0)[10:], memoryview(mapping.array(0)), mapping.array(0, "c")[::2]]
    door.close()
    del door, mapping
    gc.collect()
    assert all((np.asarray(view) == 3).all() for view in views)


def test_live_values(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    struct.pack_into("<qdii9d", state.live.map, 384, 12, 0.5, 1, 0, *range(9))
    assert (mapping.step, mapping.time) == (12, 0.5)
    assert mapping.box == (1, tuple(float(i) for i in range(9)))
    assert mapping.version == 0 and not mapping.deleted and not mapping.stale


# ---- waiting


@pytest.mark.parametrize("spin", [0.0, 0.05])
def test_wait(fake: FakeDoor, spin: float) -> None:
    state, mapping = opened(fake)
    assert mapping.wait(0, 0.02, spin) is None
    assert mapping.wait(0, 0, spin) is None

    def commit() -> None:
        time.sleep(0.03)
        state.commit()
        state.wake()

    thread = in_thread(commit)
    assert mapping.wait(0, 60.0, spin) == 1
    thread.join()
    assert mapping.wait(0, 60.0) == 1
    with raises_code(E_INVALID_ARGUMENT):
        mapping.wait(0, -1)
    with raises_code(E_INVALID_ARGUMENT):
        mapping.wait(0, float("nan"))


def test_wait_ends_with_the_state(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    thread = in_thread(lambda: (time.sleep(0.03), state.mark(DELETED)))
    with raises_code(E_STATE_DELETED):
        mapping.wait(0, 60.0)
    thread.join()
    assert mapping.deleted
    state, mapping = fake.add(10, name="ice"), None
    mapping = connect(fake).open(name="ice")
    thread = in_thread(lambda: (time.sleep(0.03), fake.move(state)))
    with raises_code(E_STALE_GENERATION):
        mapping.wait(0, 60.0)
    thread.join()
    state.close()
    assert mapping.stale


def test_wait_sees_a_dead_daemon_and_signals(fake: FakeDoor) -> None:
    _, mapping = opened(fake)

    class Interrupted(Exception):
        pass

    def interrupt(*_: object) -> None:
        raise Interrupted

    previous = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with pytest.raises(Interrupted):
            thread.start()
            mapping.wait(0, 60.0)
        thread.join()
    finally:
        signal.signal(signal.SIGUSR1, previous)
    thread = in_thread(lambda: (time.sleep(0.05), fake.stop()))
    with raises_code(E_NO_DAEMON):
        mapping.wait(0)
    thread.join()
    assert mapping.door.closed


def test_many_waiters_lose_no_wake_up(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    rounds, failures = 200, []

    def follow() -> None:
        version = 0
        while version < rounds:
            seen = mapping.wait(version, 60.0)
            if seen is None:
                failures.append(version)
                return
            version = seen

    threads = [in_thread(follow) for _ in range(4)]
    for _ in range(rounds):
        state.commit()
        state.wake()
    for thread in threads:
        thread.join()
    assert failures == []


# ---- edits


def test_an_edit_commits(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit(publish=False) as e:
        assert e.active and mapping.lease_holder == mapping.door.session
        positions = e.positions()
        assert positions.flags.writeable
        positions += 1
        e.velocities()[:] = 2
        e.step, e.time = 5, 2.5
        e.set_box(1, np.diag([3.0, 4.0, 5.0]))
        assert mapping.version == 0
        assert state.live.u32(324) == 1 | 2 | CONTENDED
    assert not e.active
    assert (mapping.version, e.version, e.sequence) == (1, 1, 0)
    assert (state.array(0) == 1).all() and (state.array(1) == 2).all()
    assert (mapping.step, mapping.time, mapping.box[0], mapping.box[1][4]) == (5, 2.5, 1, 4.0)
    assert state.live.u32(LEASE_WORD) == 0 and state.live.u32(324) == 0
    positions[:] = 9  # an array of a past edit is private
    assert (state.array(0) == 1).all() and (positions == 9).all()
    with raises_code(E_CONFLICT):
        e.positions()


def test_nothing_written_is_no_commit(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit(publish=False):
        pass
    assert mapping.version == 0 and state.live.u32(LEASE_WORD) == 0


def test_a_published_edit_is_a_frame(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit() as e:
        e.positions()[:] = 4
    assert (e.version, e.sequence, mapping.version) == (1, 1, 1)
    with mapping.snapshot() as f:
        assert (f.positions() == 4).all() and (f.version, f.sequence) == (1, 1)
    assert state.live.u32(LEASE_WORD) == 0


@pytest.mark.parametrize("framed", [False, True])
def test_an_exception_rolls_back(fake: FakeDoor, framed: bool) -> None:
    state, mapping = opened(fake, num_atoms=20000)
    state.array(0)[:] = 1
    state.array(2)[:] = 2
    if framed:  # the newest frame has positions of this version; forces go through the undo segment
        mapping.open_frames()
    with pytest.raises(ZeroDivisionError):
        with mapping.edit() as e:
            e.positions()[:] = 7
            e.forces()[:] = 8
            e.step = 9
            assert state.live.u32(328) == (4 if framed else 5)
            1 / 0
    assert (state.array(0) == 1).all() and (state.array(2) == 2).all() and mapping.step == 0
    assert mapping.version == 0 and state.live.u32(LEASE_WORD) == 0 and state.live.u32(324) == 0


def test_explicit_commit_and_rollback(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit(publish=False) as e:
        e.positions()[:] = 1
        e.commit()
        assert not e.active and mapping.version == 1
    with mapping.edit(publish=False) as e:
        e.positions()[:] = 2
        e.rollback()
        with raises_code(E_CONFLICT):
            e.commit()
    assert (state.array(0) == 1).all() and mapping.version == 1


def test_a_dropped_edit_rolls_back(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    edit = mapping.edit()
    edit.__enter__()
    edit.positions()[:] = 5
    del edit
    assert (state.array(0) == 0).all() and state.live.u32(LEASE_WORD) == 0


def test_low_level_lease(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    mapping.lease_acquire()
    with raises_code(E_CONFLICT):
        mapping.lease_acquire()
    mapping.lease_release()
    for end in (mapping.lease_release, mapping.commit, mapping.rollback):
        with raises_code(E_CONFLICT):
            end()
    mapping.lease_acquire()
    mapping.array(0, "r+")[:] = 3
    with raises_code(E_CONFLICT):
        mapping.lease_release()
    assert mapping.commit() == (1, 1)
    assert (state.array(0) == 3).all()


def test_threads_take_turns_in_order(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    begun: list[int] = []
    order: list[int] = []
    mapping.lease_acquire()

    def work(number: int) -> None:
        begun.append(number)
        with mapping.edit(60.0, publish=False) as e:
            order.append(number)
            e.positions()[0, 0] += 1

    # A thread that has begun keeps the interpreter until it stands in the queue.
    interval = sys.getswitchinterval()
    sys.setswitchinterval(60.0)
    try:
        threads = []
        for number in range(5):
            threads.append(in_thread(lambda number=number: work(number)))
            while len(begun) <= number:
                time.sleep(0.001)
    finally:
        sys.setswitchinterval(interval)
    with pytest.raises(_ext.DoorError):
        with mapping.edit():
            pass
    mapping.lease_release()
    for thread in threads:
        thread.join()
    assert order == [0, 1, 2, 3, 4]
    assert state.array(0)[0, 0] == 5 and mapping.version == 5


def test_threads_time_out(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    caught: list[int] = []

    def work() -> None:
        try:
            mapping.lease_acquire(0.05)
        except _ext.DoorError as error:
            caught.append(error.code)

    mapping.lease_acquire()
    threads = [in_thread(work), in_thread(work)]
    for thread in threads:
        thread.join()
    mapping.lease_release()
    assert caught == [E_LEASE_TIMEOUT] * 2
    mapping.lease_acquire(0)
    mapping.lease_release()


def test_sessions_contend_through_the_door(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    other = connect(fake).open(name="water")
    assert other is not mapping
    mapping.lease_acquire()
    with raises_code(E_LEASE_TIMEOUT) as caught:
        other.lease_acquire(0.05)
    assert str(mapping.door.session) in caught.text
    with raises_code(E_LEASE_TIMEOUT):
        other.lease_acquire(0)
    got = threading.Event()

    def wait_for_it() -> None:
        with other.edit(60.0, publish=False) as e:
            e.positions()[:] += 1
            got.set()

    thread = in_thread(wait_for_it)
    while not state.queue:
        time.sleep(0.001)
    mapping.array(0, "r+")[:] = 1
    mapping.commit(publish=False)
    thread.join()
    assert got.is_set() and (state.array(0) == 2).all() and mapping.version == 2
    assert state.live.u32(LEASE_WORD) == 0


def test_many_threads_of_many_sessions_count_exactly(fake: FakeDoor) -> None:
    """A non-atomic counter under the lease: any two holders at once lose counts."""
    state, first = opened(fake)
    mappings = [first] + [connect(fake).open(name="water") for _ in range(2)]
    turns = 60

    def work(mapping: _ext.Mapping) -> None:
        for turn in range(turns):
            with mapping.edit(60.0, publish=turn % 7 == 0) as e:
                value = int(e.positions()[0, 0])
                if turn % 5 == 0:
                    time.sleep(0)
                e.positions()[0, 0] = value + 1

    threads = [in_thread(lambda mapping=mapping: work(mapping)) for mapping in mappings for _ in range(2)]
    for thread in threads:
        thread.join()
    assert state.array(0)[0, 0] == 6 * turns == state.version
    assert state.live.u32(LEASE_WORD) == 0


def test_a_lost_lease_is_told(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    state.array(0)[:] = 1
    with raises_code(E_LEASE_LOST):
        with mapping.edit(publish=False) as e:
            array = e.positions()
            array[:] = 2
            fresh = fake.move(state)
            with raises_code(E_LEASE_LOST):
                e.velocities()
    array[:] = 3
    assert (state.array(0) == 2).all()  # the old generation keeps what was written before, and no more
    with raises_code(E_STALE_GENERATION):
        mapping.lease_acquire(1.0)
    for late in (mapping.snapshot, mapping.frames_list):
        with raises_code(E_STALE_GENERATION):
            late()
    newer = mapping.door.open(uuid=state.uuid)
    assert newer is not mapping and newer.generation == 2
    with newer.edit() as e:
        e.positions()[:] = 5
    assert (fresh.array(0) == 5).all()
    with raises_code(E_LEASE_LOST):
        with newer.edit() as e:
            fresh.live.set_u32(LEASE_WORD, 99)
    state.close()


def test_a_deleted_state_cannot_be_edited(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    array = mapping.array(0)
    state.live.set_u32(FLAGS, DELETED)
    with raises_code(E_STATE_DELETED):
        mapping.lease_acquire()
    assert state.live.u32(LEASE_WORD) == 0
    assert (array == 0).all() and mapping.deleted


def test_a_commit_that_is_refused_changes_nothing(fake: FakeDoor) -> None:
    state, mapping = opened(fake)

    def refuse(op: int, packet: bytearray, fds: list[int]) -> tuple[bytes, list[int]] | None:
        if op != COMMIT:
            return None
        struct.pack_into("<i", packet, 8, -2)
        state.live.set_u32(LEASE_WORD, fake.clients[0].session)
        return bytes(packet), fds

    mapping.lease_acquire()
    mapping.array(0, "r+")[:] = 4
    fake.mangle = refuse
    state.commit = lambda: None  # type: ignore[method-assign]
    with raises_code(-2):
        mapping.commit()
    assert (state.array(0) == 0).all() and state.live.u32(LEASE_WORD) == 0


def test_a_daemon_that_dies_in_a_commit(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    fake.mangle = lambda op, packet, fds: (b"", []) if op == COMMIT else None
    with raises_code(E_OUTCOME_UNKNOWN):
        with mapping.edit() as e:
            e.positions()[:] = 1
    assert mapping.door.closed
    with raises_code(E_NO_DAEMON):
        mapping.lease_acquire()


# ---- set_array


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("publish", [False, True])
def test_set_array_takes_what_asarray_takes(fake: FakeDoor, dtype: str, publish: bool) -> None:
    state, mapping = opened(fake, dtype=dtype, num_atoms=5)
    base = np.arange(15.0).reshape(5, 3)
    sources = [
        base, base.astype("f4"), base.astype("i4"), base.astype("u1"), base.astype("f2"), base.astype(">f8"), base.astype(">f4"), base.tolist(),
        np.asfortranarray(base), np.repeat(base, 2, axis=0)[::2], base.astype("f4")[::-1][::-1], base.astype("g"),
    ]  # fmt: skip
    for number, source in enumerate(sources, 1):
        state.array(0)[:] = -1
        assert mapping.set_array(_ext.POSITIONS, source, publish) == number == mapping.version
        assert np.array_equal(state.array(0), base)
    assert mapping.set_array(_ext.MASSES, [1, 2, 3, 4, 5], False) == len(sources) + 1
    assert mapping.masses.tolist() == [1, 2, 3, 4, 5]


def test_set_array_refuses_and_leaves_the_state_alone(fake: FakeDoor) -> None:
    state, mapping = opened(fake, num_atoms=40000)
    good = np.ones((40000, 3), "f4")
    mapping.set_array(0, good, False)
    for shape in ((40000, 2), (39999, 3), (120000,), (1, 40000, 3), (0, 3)):
        with raises_code(E_INVALID_SHAPE) as caught:
            mapping.set_array(0, np.zeros(shape))
        assert str(shape) in caught.text and "(40000, 3)" in caught.text and "positions" in caught.text
    for bad in (good.astype(bool), good.astype("c8"), good.astype("S4"), np.full((40000, 3), None)):
        with raises_code(E_INVALID_DTYPE):
            mapping.set_array(0, bad)
    for value in (np.nan, np.inf, -np.inf, -np.nan):
        for kind in ("f4", "f8"):
            for at in (0, 4095 * 3, 119999):
                bad = good.astype(kind) * 2
                bad.reshape(-1)[at] = value
                with raises_code(E_NOT_FINITE) as caught:
                    mapping.set_array(0, bad, False)
                assert f"[{at // 3}, {at % 3}]" in caught.text
    bad = good.astype("f8") * 2
    bad[7, 1] = 1e39  # finite, but not as float32
    with raises_code(E_NOT_FINITE):
        mapping.set_array(0, bad)
    largest = np.full((40000, 3), np.finfo("f4").max)
    mapping.set_array(0, largest, False)
    assert mapping.version == 2 and (state.array(0) == np.finfo("f4").max).all()


def test_set_array_inside_an_edit_is_part_of_it(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with pytest.raises(ZeroDivisionError):
        with mapping.edit() as e:
            mapping.set_array(0, np.ones((100, 3)))
            e.set_array(1, np.ones((100, 3)))
            assert (state.array(0) == 1).all() and mapping.version == 0
            1 / 0
    assert (state.array(0) == 0).all() and (state.array(1) == 0).all()
    with mapping.edit() as e:
        with raises_code(E_NOT_FINITE):
            e.set_array(1, np.full((100, 3), np.nan))
        with raises_code(E_NOT_FINITE):
            e.time = float("nan")
        with raises_code(E_NOT_FINITE):
            e.set_box(1, [np.inf] * 9)
        with raises_code(E_INVALID_SHAPE):
            e.set_box(1, [1, 2, 3])
        with raises_code(E_INVALID_ARGUMENT):
            e.set_box(4, [0] * 9)


def test_set_array_waits_for_the_lease(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    other = connect(fake).open(name="water")
    other.lease_acquire()
    with raises_code(E_LEASE_TIMEOUT):
        mapping.set_array(0, np.ones((100, 3)), timeout=0.02)
    other.lease_release()
    assert mapping.set_array(0, np.ones((100, 3)), timeout=60.0) == 1


# ---- frames


def test_frames_do_not_change(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    mapping.set_array(0, np.full((100, 3), 1.0))
    frame = mapping.snapshot()
    positions = frame.positions()
    for value in range(2, 12):
        mapping.set_array(0, np.full((100, 3), float(value)))
    assert (positions == 1).all() and not positions.flags.writeable
    assert mapping.newest_sequence == 11 and mapping.frames_published == 11 and mapping.num_slots == 4
    assert (mapping.snapshot().positions() == 11).all()
    assert mapping.door.pins == 1
    frame.release()
    frame.release()
    assert frame.released and mapping.door.pins == 1
    with raises_code(E_CONFLICT):
        frame.positions()
    assert (frame.sequence, frame.version, frame.step) == (1, 1, 0)
    view = positions[5:]
    del positions
    assert mapping.door.pins == 1 and (view == 1).all()
    del view
    assert mapping.door.pins == 0
    assert state.live.u32(LEASE_WORD) == 0


def test_what_a_frame_has(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit() as e:
        e.velocities()[:] = 2
        e.energies()[0] = 3
        e.step, e.time = 4, 5.0
        e.set_box(1, np.eye(3))
    with mapping.snapshot() as frame:
        assert (frame.velocities() == 2).all() and frame.raw_energies[0] == 3
        assert (frame.step, frame.time) == (4, 5.0) and frame.raw_box == (1, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
        assert frame.num_atoms() == 100 and frame.mapping is mapping
        assert frame.has(_ext.POSITIONS) and not frame.has(_ext.FORCES)
        with raises_code(E_UNSUPPORTED):
            frame.forces()
        with raises_code(E_INVALID_ARGUMENT):
            frame.positions("r+")
        private = frame.velocities("c")
        private[:] = 9
        assert (frame.velocities() == 2).all()
    assert mapping.door.pins == 1  # the private array shares pages with the slot
    del private
    assert mapping.door.pins == 0
    del state


def test_history(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    for value in range(6):
        mapping.set_array(0, np.full((100, 3), float(value)))
    assert mapping.frames_list() == [3, 4, 5, 6]
    assert (mapping.snapshot(4).positions() == 3).all()
    for gone in (2, 7):
        with raises_code(E_NOT_FOUND):
            mapping.snapshot(gone)
    with raises_code(E_INVALID_ARGUMENT):
        mapping.snapshot(0)
    assert mapping.door.pins == 0


def test_too_many_pins(fake: FakeDoor) -> None:
    fake.max_pins = 3
    _, mapping = opened(fake)
    frames = [mapping.snapshot() for _ in range(3)]
    with raises_code(E_TOO_MANY_PINS):
        mapping.snapshot()
    frames.pop()
    assert mapping.snapshot().sequence == 1


def test_readers_never_stop_the_publisher(fake: FakeDoor) -> None:
    _, mapping = opened(fake, slots=3)
    held = []
    for _ in range(5):
        mapping.set_array(0, np.zeros((100, 3)))
        held.append(mapping.snapshot())
    assert [frame.sequence for frame in held] == [1, 2, 3, 3, 3]
    assert mapping.frames_skipped == 2 and mapping.version == 5


def test_wait_frame(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    assert mapping.wait_frame(1, 0.02) is None
    thread = in_thread(lambda: (time.sleep(0.03), mapping.set_array(0, np.zeros((100, 3)))))
    assert mapping.wait_frame(1, 60.0) == 2
    thread.join()


def read_until(mapping: _ext.Mapping, done: threading.Event, torn: list[int]) -> None:
    while not done.is_set():
        with mapping.snapshot() as frame:
            values = frame.positions()
            if not (values == values[0, 0]).all():
                torn.append(frame.sequence)


@pytest.mark.parametrize("planted", [False, True])
def test_frames_never_tear_and_the_test_would_see_it(fake: FakeDoor, planted: bool) -> None:
    """Readers against a publisher that goes round a ring of two slots. With the publisher's look at the pins left out it must fail."""
    state, mapping = opened(fake, num_atoms=30000, slots=2)
    mapping.open_frames()
    done, torn = threading.Event(), list[int]()
    threads = [in_thread(lambda: read_until(mapping, done, torn)) for _ in range(2)]
    end = time.monotonic() + (60.0 if planted else 0.7)
    value = 0
    while time.monotonic() < end and not (planted and torn):
        value += 1
        state.array(0)[:] = value
        with fake.lock:
            state.publish(fake.clients, without_look=planted)
        time.sleep(0)
    done.set()
    for thread in threads:
        thread.join()
    assert bool(torn) == planted
    assert mapping.door.pins == 0


# ---- StateBase


class Remote(_ext.StateBase):
    def _remote_array(self, which: int, mode: str, /) -> np.ndarray:
        return np.array([which, ord(mode[0])])

    def _remote_value(self, name: str, /) -> str:
        return name

    def _remote_edit(self, timeout: float | None, publish: bool, /) -> tuple[object, bool]:
        return timeout, publish


def test_state_base_remote() -> None:
    state = Remote()
    assert state._mapping is None
    assert state.positions().tolist() == [0, ord("r")] and state.forces(mode="c").tolist() == [2, ord("c")]
    assert (state.num_atoms(), state.version, state.step, state.time, state.generation) == ("num_atoms", "version", "step", "time", "generation")
    assert state.edit(timeout=3, publish=False) == (3, False)
    for call in (lambda: state.positions("r", "c"), lambda: state.positions(code="r"), lambda: state.edit(1, True, 2)):
        with pytest.raises(TypeError):
            call()
    with pytest.raises(TypeError):
        state._bind(3)  # type: ignore[arg-type]


class Local(_ext.StateBase):
    def __init__(self, mapping: _ext.Mapping) -> None:
        self.remaps = 0
        self._bind(mapping)

    def _remap(self) -> None:
        self.remaps += 1
        assert self._mapping is not None
        self._bind(self._mapping.door.open(uuid=self._mapping.uuid))


def test_state_base_local(fake: FakeDoor) -> None:
    raw, mapping = opened(fake)
    state = Local(mapping)
    assert state._mapping is mapping
    assert state.num_atoms() == 100 and state.version == 0 and state.generation == 1 and (state.step, state.time) == (0, 0.0)
    with state.edit(publish=False) as e:
        e.positions()[:] += 1
        assert e.state is state
        state.positions("r+")[:] += 1
        with raises_code(E_CONFLICT):
            state.edit().__enter__()
        refused: list[int] = []

        def elsewhere() -> None:
            try:
                state.positions("r+")
            except _ext.DoorError as error:
                refused.append(error.code)

        in_thread(elsewhere).join()
        assert refused == [E_CONFLICT]
    assert (state.positions() == 2).all() and (state.positions(mode="c") == 2).all() and state.version == 1
    old = state.positions()
    fake.move(raw)
    assert state.positions().ctypes.data != old.ctypes.data and state.generation == 2 and state.remaps == 1
    assert (old == 2).all()
    raw.close()


def test_memory_for_arguments_goes_while_they_are_put_there(fake: FakeDoor) -> None:
    """Making the answer may collect garbage, whose finalizer may find that the daemon is gone."""
    door, parts = connect(fake), (np.arange(1000.0),)
    assert door.put(parts) is not None
    door.put_done(True)

    class Garbage:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            fake.stop()
            assert door.closed

    put, thresholds = door.put, gc.get_threshold()
    gc.collect()
    gc.disable()
    try:
        Garbage()
        held = [[] for _ in range(500)]  # type: ignore[var-annotated]  # so that a new list is not one that was used before
        gc.set_threshold(1)
        gc.enable()
        found = put(parts)
    finally:
        gc.set_threshold(*thresholds)
        gc.enable()
    del held
    gc.collect()
    assert door.closed
    assert found is None or sys.version_info >= (3, 12)  # they do not collect here


def test_a_state_that_cannot_be_mapped_is_given_back(fake: FakeDoor) -> None:
    """The daemon holds it open for the session from its reply on, and one without a name for as long."""
    state = fake.add(10, name="water")
    door = connect(fake)
    state.live.set_u64(32, 1 << 40)  # longer than it is
    with raises_code(E_CORRUPT_DATA):
        door.open(name="water")
    wait_until(lambda: fake.clients[0].closed == [state.uuid], what="the daemon to be told")
    state.live.set_u64(32, state.live.size)
    mapping = door.open(name="water")
    state.live.set_u64(32, 1 << 40)
    assert door.open(name="water") is mapping
    del mapping
    wait_until(lambda: fake.clients[0].closed == [state.uuid] * 2, what="the daemon to be told")


@pytest.mark.parametrize("how", ["rollback", "commit"])
def test_an_edit_is_ended_once_however_many_threads_try(fake: FakeDoor, how: str) -> None:
    raw, mapping = opened(fake, 300_000)
    fake.mangle = lambda *_: time.sleep(0.01)  # a commit's answer takes a while, as putting so much back does
    for round in range(5):
        mapping.lease_acquire()
        mapping.array(0, "r+")[:] = round + 1
        codes: list[int] = []

        def end() -> None:
            try:
                getattr(mapping, how)()
                codes.append(0)
            except _ext.DoorError as error:
                codes.append(error.code)

        threads = [in_thread(end) for _ in range(4)]
        for thread in threads:
            thread.join()
        assert sorted(codes) == [E_CONFLICT] * 3 + [0]
        assert raw.holder() == 0 and (raw.array(0) == (round + 1 if how == "commit" else 0)).all()


def test_a_call_keeps_its_mapping_while_another_thread_binds_the_next(fake: FakeDoor) -> None:
    """Masses of a new State are asked for at the door, without the interpreter's lock."""
    raw, mapping = opened(fake)
    raw.live.set_u32(UNSET, 1 << 3)
    state, alive, found = Local(mapping), weakref.ref(mapping), []
    del mapping
    asked, go = threading.Event(), threading.Event()

    def late(op: int, _packet: bytearray, _fds: list[int]) -> None:
        asked.set()
        assert go.wait(60)

    fake.mangle = late
    thread = in_thread(lambda: found.append(state.masses()))
    assert asked.wait(60)
    state._bind(None)
    held = alive() is not None
    go.set()
    thread.join()
    assert held
    fake.mangle = None
    assert found[0].shape == (100,)
    found.clear()
    assert alive() is None


def test_an_edit_follows_its_state_to_the_next_generation(fake: FakeDoor) -> None:
    raw, mapping = opened(fake)
    state = Local(mapping)
    edit = state.edit()
    fresh = fake.move(raw)
    with edit as e:
        e.positions()[:] = 6
    assert (fresh.array(0) == 6).all() and state.generation == 2
    raw.close()


def test_configure() -> None:
    class Special(Exception):
        def __init__(self, code: int, text: str) -> None:
            super().__init__(text)
            self.code = code

    _ext.configure(error=Special)
    with pytest.raises(Special) as caught:
        _ext.Door("/nowhere/door", "1")
    assert caught.value.code == E_NO_DAEMON
    _ext.configure(error=lambda code, text: 3)  # type: ignore[arg-type, return-value]
    with pytest.raises(_ext.DoorError):
        _ext.Door("/nowhere/door", "1")
    with pytest.raises(TypeError):
        _ext.configure(edit=int)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        _ext.configure(error=3)  # type: ignore[arg-type]


# ---- a daemon that misbehaves


def hostile_replies() -> dict[str, tuple[int, object]]:
    def patch(at: int, form: str, value: int) -> object:
        def change(op: int, packet: bytearray, fds: list[int]) -> tuple[bytes, list[int]]:
            struct.pack_into(form, packet, at, value)
            return bytes(packet), fds

        return change

    return {
        "magic": (E_INVALID_MESSAGE, patch(0, "<I", 1)),
        "op": (E_INVALID_MESSAGE, patch(4, "<I", 77)),
        "fd count": (E_INVALID_MESSAGE, patch(12, "<I", 9)),
        "short": (E_INVALID_MESSAGE, lambda op, packet, fds: (bytes(packet[:100]), fds)),
        "long": (E_INVALID_MESSAGE, lambda op, packet, fds: (bytes(packet) + b"x" * 3000, fds)),
        "no descriptors": (E_INVALID_MESSAGE, lambda op, packet, fds: (bytes(packet), [])),
        "many descriptors": (E_INVALID_MESSAGE, lambda op, packet, fds: (bytes(packet), fds * 30)),
        "hang-up": (E_NO_DAEMON, lambda op, packet, fds: (b"", [])),
        "another uuid": (E_CORRUPT_DATA, patch(24, "<Q", 12345)),
        "another generation": (E_CORRUPT_DATA, patch(168, "<Q", 12345)),
    }


@pytest.mark.parametrize("how", list(hostile_replies()))
def test_wrong_replies_are_errors(fake: FakeDoor, how: str) -> None:
    code, change = hostile_replies()[how]
    fake.add(10, name="water")
    before = open_files()
    door = connect(fake)
    fake.mangle = lambda op, packet, fds: change(op, packet, fds) if op == OPEN else None  # type: ignore[operator]
    with raises_code(code):
        door.open(name="water")
    if code == E_CORRUPT_DATA:
        fake.mangle = None
        assert door.open(name="water").num_atoms == 10
    else:
        assert door.closed
    del door
    settle(fake)
    assert open_files() == before


def settle(fake: FakeDoor) -> None:
    """Until the door has seen every hang-up."""
    wait_until(lambda: not fake.clients, what="the end of the connections")


@pytest.mark.parametrize("how", ["magic", "short", "no descriptors", "many descriptors", "hang-up"])
def test_wrong_greetings_are_errors(fake: FakeDoor, how: str) -> None:
    code, change = hostile_replies()[how]
    before = open_files()
    fake.mangle = lambda op, packet, fds: change(op, packet, fds) if op == HELLO else None  # type: ignore[operator]
    with raises_code(code):
        connect(fake)
    settle(fake)
    assert open_files() == before


def connect_shortly(fake: FakeDoor) -> _ext.Door:
    """A connection that waits no longer than a tenth of a second for an answer; to get one it may take more than one try."""
    while True:
        try:
            return connect(fake, timeout=0.1)
        except _ext.DoorError as error:
            assert error.code == E_TIMEOUT


def test_a_silent_daemon_is_given_up(fake: FakeDoor) -> None:
    fake.add(10, name="water")
    door = connect_shortly(fake)
    fake.silent = True
    with raises_code(E_TIMEOUT):
        door.open(name="water")
    assert door.closed


HEAD_FIELDS = {
    "layout": (0, "<I", 1), "role": (4, "<I", 9), "bytes": (32, "<Q", 1 << 40), "atoms": (40, "<Q", 1 << 50), "atoms more": (40, "<Q", 11),
    "atoms huge": (40, "<Q", (1 << 64) - 1), "padded": (48, "<Q", 0), "dtype": (56, "<I", 3), "baths": (60, "<I", 1 << 20), "groups": (64, "<I", 1 << 30),
    "offset beyond": (72, "<Q", 1 << 30), "offset wraps": (80, "<Q", (1 << 64) - 64), "offset in head": (72, "<Q", 64), "offset odd": (72, "<Q", 643),
    "length beyond": (136, "<Q", 1 << 30), "length wraps": (144, "<Q", (1 << 64) - 8), "length short": (136, "<Q", 8),
}  # fmt: skip


@pytest.mark.parametrize("how", list(HEAD_FIELDS))
def test_wrong_segments_are_errors(fake: FakeDoor, how: str) -> None:
    at, form, value = HEAD_FIELDS[how]
    state = fake.add(11 if how == "atoms more" else 10, name="water")
    if how == "atoms more":
        value = 17  # above what the lengths hold
    struct.pack_into(form, state.live.map, at, value)
    door = connect(fake)
    files, mapped = open_files(), maps()
    with raises_code(E_CORRUPT_DATA):
        door.open(name="water")
    assert (open_files(), maps()) == (files, mapped) and not door.closed


RING_FIELDS = {
    "role": (4, "<I", 1), "generation": (24, "<Q", 5), "atoms": (40, "<Q", 9), "slots": (260, "<I", 0), "slots many": (260, "<I", 257),
    "slots beyond": (260, "<I", 256), "first slot": (264, "<Q", 0), "first slot beyond": (264, "<Q", 1 << 40), "stride": (272, "<Q", 0),
    "stride beyond": (272, "<Q", 1 << 62), "array": (72, "<Q", 1 << 20), "array in header": (72, "<Q", 64),
}  # fmt: skip


@pytest.mark.parametrize("how", list(RING_FIELDS))
def test_wrong_rings_are_errors(fake: FakeDoor, how: str) -> None:
    state, mapping = opened(fake, num_atoms=10)
    at, form, value = RING_FIELDS[how]
    ring = state.need_ring()
    struct.pack_into(form, ring.map, at, value)
    ring.set_u64(NEWEST, 1 << 16)
    files, mapped = open_files(), maps()
    with raises_code(E_CORRUPT_DATA):
        mapping.snapshot()
    assert (open_files(), maps(), mapping.door.pins) == (files, mapped, 0)


def test_a_ring_that_lies_later(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    mapping.open_frames()
    ring = state.need_ring()
    ring.set_u64(NEWEST, (5 << 16) | 200)
    with raises_code(E_CORRUPT_DATA):
        mapping.snapshot()
    ring.set_u64(NEWEST, (5 << 16) | 1)
    ring.set_u64(SEQUENCES + 8, 5)  # the slot's own number differs
    with raises_code(E_CORRUPT_DATA):
        mapping.snapshot()
    ring.set_u64(NEWEST, 0)
    with raises_code(E_CONFLICT):
        mapping.snapshot()
    assert mapping.door.pins == 0


def test_unsealed_segments_are_refused(fake: FakeDoor) -> None:
    state = fake.add(10, name="water")
    plain = os.memfd_create("plain", os.MFD_CLOEXEC)
    os.ftruncate(plain, state.live.size)
    os.pwrite(plain, bytes(state.live.bytes), 0)
    fake.mangle = lambda op, packet, fds: (bytes(packet), [plain]) if op == OPEN else None
    with raises_code(E_CORRUPT_DATA) as caught:
        connect(fake).open(name="water")
    assert "sealed" in caught.text
    reading, writing = os.pipe()
    fake.mangle = lambda op, packet, fds: (bytes(packet), [reading]) if op == OPEN else None
    with raises_code(E_CORRUPT_DATA):
        connect(fake).open(name="water")
    for fd in (plain, reading, writing):
        os.close(fd)


def test_short_results_are_refused(fake: FakeDoor) -> None:
    door = connect(fake)
    fake.results[1] = b"x" * 100
    with raises_code(E_CORRUPT_DATA):
        door.result(1, 5000)


# ---- fork


def in_child(work: object) -> None:
    """Runs work in a forked child and asserts that it went well."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()  # type: ignore[operator]
            code = 0
        except BaseException as error:  # noqa: BLE001
            os.write(2, f"in the child: {error!r}\n".encode())
        os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_child_touches_nothing_shared(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    mapping.set_array(0, np.full((100, 3), 2.0))
    frame = mapping.snapshot()
    array, positions = frame.positions(), mapping.array(0)

    def child() -> None:
        nonlocal frame, array, mapping
        assert mapping.door.closed
        assert (positions == 2).all() and (array == 2).all()
        for use in (lambda: mapping.snapshot(), lambda: mapping.lease_acquire(), lambda: mapping.wait(5, 0.1), lambda: mapping.door.open(name="water")):
            with raises_code(E_NO_DAEMON):
                use()
        del frame, array
        mapping.door.close()
        del mapping
        gc.collect()
        assert (positions == 2).all()
        door = _ext.Door(fake.path, "1.0")
        fresh = door.open(name="water")
        with fresh.edit(publish=False) as e:
            e.positions()[0] = 5
        assert positions[0, 0] == 5
        assert fresh.snapshot().positions()[0, 0] == 2

    in_child(child)
    assert mapping.door.pins == 1 and not mapping.door.closed
    assert fake.clients[0].control.bytes[512:520].cast("Q")[0] == (7 << 16) | 1
    assert positions[0, 0] == 5 and state.version == 2


def test_an_edit_stays_with_the_parent(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    with mapping.edit(publish=False) as e:
        array = e.positions()
        array[:] = 1

        def child() -> None:
            array[:] = 9
            assert (array == 9).all()
            with raises_code(E_LEASE_LOST):
                e.positions()
            with raises_code(E_CONFLICT):
                mapping.commit()
            with raises_code(E_LEASE_LOST):
                e.__exit__(None, None, None)
            e.__exit__(None, None, None)

        in_child(child)
        assert (state.array(0) == 1).all() and e.active
    assert mapping.version == 1 and (state.array(0) == 1).all()


def test_a_child_does_not_keep_the_session_alive(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    mapping.lease_acquire()
    door = mapping.door
    mapping.lease_release()
    del mapping, door
    settle(fake)
    os.close(writing)
    assert os.waitpid(pid, 0)[1] == 0
    assert state.live.u32(LEASE_WORD) == 0


# ---- closing and leaks


def test_close_leaves_frames_and_edits_to_end(fake: FakeDoor) -> None:
    state, mapping = opened(fake)
    door = mapping.door
    mapping.set_array(0, np.ones((100, 3)))
    array = mapping.snapshot().positions()
    with mapping.edit() as e:
        e.positions()[:] = 2
        door.close()
        assert door.closed
    assert (state.array(0) == 2).all()
    with raises_code(E_NO_DAEMON):
        mapping.snapshot()
    assert len(fake.clients) == 1 and door.pins == 1
    for _ in range(6):
        with fake.lock:
            state.publish(fake.clients)
    assert (array == 1).all()
    del array
    settle(fake)


def test_close_while_a_thread_waits_for_a_lease(fake: FakeDoor) -> None:
    _, mapping = opened(fake)
    other = connect(fake).open(name="water")
    mapping.lease_acquire()
    caught: list[int] = []

    def work() -> None:
        try:
            other.lease_acquire(60.0)
        except _ext.DoorError as error:
            caught.append(error.code)

    thread = in_thread(work)
    time.sleep(0.03)
    other.door.close()
    thread.join()
    assert caught == [E_NO_DAEMON]
    mapping.lease_release()


def use_everything(fake: FakeDoor) -> None:
    door = connect(fake)
    mapping = door.open(name="water", flags=_ext.OPEN_LIVE | _ext.OPEN_FRAMES | _ext.OPEN_LIVE_WRITE)
    kept = [mapping.array(0), mapping.array(1, "c"), mapping.snapshot().positions("c")]
    with mapping.edit() as e:
        kept.append(e.positions())
        kept[-1][:] += 1
    mapping.set_array(1, np.ones((100, 3)), False)
    with pytest.raises(ZeroDivisionError):
        with mapping.edit() as e:
            e.forces()[:] = 1
            1 / 0
    with raises_code(E_NOT_FOUND):
        mapping.snapshot(10**6)
    with raises_code(E_NOT_FINITE):
        mapping.set_array(0, np.full((100, 3), np.nan))
    with raises_code(E_INVALID_SHAPE):
        mapping.set_array(0, np.zeros(3))
    mapping.wait(0, 0)
    mapping.wait_frame(10**6, 0)
    fake.results[3] = b"12345678"
    kept.append(np.frombuffer(door.result(3, 8), "u1"))


def test_nothing_leaks(fake: FakeDoor) -> None:
    import tracemalloc

    fake.add(100, name="water")
    for _ in range(3):
        use_everything(fake)
        settle(fake)
    gc.collect()
    files, mapped = open_files(), maps()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(40):
        use_everything(fake)
        settle(fake)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (open_files(), maps()) == (files, mapped)
    assert after - before < 40 * 600  # threads of the door leave a little; one leaked object per turn would be more


# ---- a door that takes nothing for a while


@contextlib.contextmanager
def standstill(fake: FakeDoor) -> Iterator[threading.Event]:
    """While the daemon reads nothing, until the event is set."""
    holds, goes_on = threading.Event(), threading.Event()

    def hold() -> None:
        with fake.lock:
            holds.set()
            goes_on.wait(60)

    thread = in_thread(hold)
    assert holds.wait(60)
    try:
        yield goes_on
    finally:
        goes_on.set()
        thread.join(60)


def fill(fake: FakeDoor) -> None:
    """Until the sockets that this process has to the door take nothing any more: the daemon's thread, too, takes one packet yet."""
    while send_closes(fake) > 0:
        time.sleep(0.1)


def send_closes(fake: FakeDoor) -> int:
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            if not os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                continue
            end = socket.socket(fileno=os.dup(int(name)))
        except OSError:
            continue  # closed while it was looked at
        with end:
            with contextlib.suppress(OSError):
                if end.getpeername() != fake.path:
                    continue
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
                while True:
                    end.send(REQUEST.pack(MAGIC, CLOSE, 1, 0, bytes(16), b"", 0, 0, 0, 0), socket.MSG_DONTWAIT)
                    count += 1
    return count


def contended(fake: FakeDoor, timeout: float) -> tuple[State, _ext.Door, _ext.Mapping]:
    state, door = fake.add(10, name="water"), connect(fake, timeout)
    return state, door, door.open(name="water", flags=2)


def test_a_lease_that_cannot_be_given_back_ends_the_connection(fake: FakeDoor) -> None:
    state, door, mapping = contended(fake, 0.3)
    with standstill(fake), mapping.edit(publish=False):
        state.live.set_u32(LEASE_WORD, state.live.u32(LEASE_WORD) | CONTENDED)
        fill(fake)
    assert door.closed


def test_a_lease_is_given_back_through_signals(fake: FakeDoor) -> None:
    state, door, mapping = contended(fake, 60.0)
    seen: list[int] = []
    old = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with standstill(fake) as goes_on:
            for k in range(5):
                threading.Timer(0.05 * (k + 1), os.kill, (os.getpid(), signal.SIGUSR1)).start()
            threading.Timer(0.5, goes_on.set).start()
            with mapping.edit(publish=False):
                state.live.set_u32(LEASE_WORD, state.live.u32(LEASE_WORD) | CONTENDED)
                fill(fake)
        wait_until(lambda: state.holder() == 0, what="the lease given back")
        wait_until(lambda: len(seen) > 0, what="the signals")
        assert not door.closed
    finally:
        signal.signal(signal.SIGUSR1, old)

"""Whole arrays set in one pass, the old content kept on the way: writers that die or hang in the middle, numbers that do not fit, threads that
share an edit."""

from __future__ import annotations

import faulthandler
import mmap
import os
import signal
import tempfile
import threading
from collections.abc import Callable

import numpy as np
import pytest

import gromos
from conftest import Daemon, wait_until
from test_contention import child

ATOMS = 30_000
LATE = 2048  # where in a page the numbers begin, so that they end inside a block of those that are copied as one


def all_of(value: float, dtype: str = "f4") -> np.ndarray:
    return np.full((ATOMS, 3), value, dtype)


def vanishing(numbers: np.ndarray, pages: int) -> np.ndarray:
    """The same numbers, but the memory behind the first pages of them is not there: who reads it gets SIGBUS. For a child."""
    faulthandler.disable()
    with tempfile.TemporaryFile() as file:
        file.write(bytes(LATE) + numbers.tobytes())
        file.flush()
        memory = mmap.mmap(file.fileno(), LATE + numbers.nbytes, mmap.MAP_SHARED, mmap.PROT_READ)
        file.truncate(pages * mmap.PAGESIZE)
    return np.frombuffer(memory, numbers.dtype, numbers.size, LATE).reshape(numbers.shape)


def content(state: gromos.State) -> list[float]:
    """What the next one to edit finds: smallest and largest element of each array."""
    with state.edit(timeout=60, publish=False) as e:
        return [float(v) for a in (e.state.positions(), e.state.velocities(), e.state.forces()) for v in (a.min(), a.max())]


@pytest.mark.parametrize("pages", [1, 3, 20, 70])
@pytest.mark.parametrize("source", ["f4", "f8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_writer_that_dies_in_the_middle_changes_nothing(daemon: Daemon, session: gromos.Session, dtype: str, source: str, pages: int) -> None:
    """In a chain of edits without frames the content goes back to the last of them, not to the newest frame and not to a mixture."""
    name = f"dies-{os.getpid()}"
    with session.create(ATOMS, name=name, dtype=dtype) as s:
        s.set_positions(all_of(1), publish=True)
        s.set_velocities(all_of(-1), publish=False)

        def write() -> None:
            with daemon.connect() as own:
                t = own.attach(name)
                for value in (2, 3, 4):
                    t.set_positions(all_of(value, source), publish=False)
                t.set_positions(vanishing(all_of(5, source), pages), publish=False)

        pid = child(write)
        assert os.waitpid(pid, 0)[1] & 0x7F == signal.SIGBUS
        assert content(s) == [4, 4, -1, -1, 0, 0]
        assert s.version == 5
        with s.snapshot() as f:
            assert (f.positions() == 1).all()
        s.delete()


@pytest.mark.parametrize("framed", [False, True])
def test_an_edit_of_several_arrays_dies_in_the_middle(daemon: Daemon, session: gromos.Session, framed: bool) -> None:
    name = f"several-{os.getpid()}"
    with session.create(ATOMS, name=name) as s:
        for _ in range(3):  # whoever publishes again and again looks into the ring
            s.set(positions=all_of(1), velocities=all_of(2), forces=all_of(3), step=4)

        def write() -> None:
            with daemon.connect() as own:
                t = own.attach(name)
                t.snapshot().release()
                if not framed:
                    t.set(positions=all_of(1), publish=False)
                with t.edit() as e:
                    e.set_velocities(all_of(7))
                    e.step = 8
                    e.set_positions(all_of(9, "f8"))
                    e.set_forces(vanishing(all_of(10), 40))

        pid = child(write)
        assert os.waitpid(pid, 0)[1] & 0x7F == signal.SIGBUS
        assert content(s) == [1, 1, 2, 2, 3, 3] and s.step == 4
        s.delete()


def test_a_writer_that_dies_leaves_what_the_frame_has(daemon: Daemon, session: gromos.Session) -> None:
    """The newest frame holds the old content: nothing is kept besides."""
    name = f"framed-{os.getpid()}"
    with session.create(ATOMS, name=name) as s:

        def write() -> None:
            with daemon.connect() as own:
                t = own.attach(name)
                for value in (1, 2, 3):
                    t.set_positions(all_of(value))
                t.set_positions(vanishing(all_of(4), 30), publish=False)

        pid = child(write)
        assert os.waitpid(pid, 0)[1] & 0x7F == signal.SIGBUS
        assert content(s)[:2] == [3, 3] and s.version == 3
        s.delete()


def test_a_writer_that_hangs_in_the_middle_is_evicted(make_daemon: Callable[..., Daemon]) -> None:
    d = make_daemon("--lease-limit", "0.3")
    with d.connect() as session, session.create(ATOMS, name="hangs") as s:
        s.set_positions(all_of(1), publish=True)
        s.set_positions(all_of(2), publish=False)
        old = s.positions()

        def write() -> None:
            source = vanishing(all_of(3), 50)
            signal.signal(signal.SIGBUS, lambda *_: None)  # Python's handler waits for the copy to end, which meets the same fault again
            with d.connect() as own:
                own.attach("hangs").set_positions(source, publish=False)

        pid = child(write)
        try:
            wait_until(lambda: bool((old == 3).any()), what="the begin of the copy")
            assert content(s)[:2] == [2, 2]
            assert s.generation == 2 and (old == 3).any() and (old == 2).any()
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


@pytest.mark.parametrize("atoms", [1, 683, 5462, 530_001])
@pytest.mark.parametrize("source", ["f4", "f8"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_number_arrives_whatever_the_length(session: gromos.Session, dtype: str, source: str, atoms: int) -> None:
    """Blocks and what is left after them, long arrays that go past the caches; kept in a frame, kept on the way, and put back."""
    rng = np.random.default_rng(atoms)
    with session.create(atoms, dtype=dtype) as s:
        for turn in range(5):
            array = ((rng.random((atoms, 3)) - 0.5) * 10.0 ** (15 * turn - 30)).astype(source)
            s.set_positions(array, publish=turn < 3)
            assert np.array_equal(s.positions(), array.astype(dtype))
            for at in (3 * atoms - 1, 3 * atoms // 2):
                bad = array * 2
                bad.reshape(-1)[at] = -np.inf
                with pytest.raises(gromos.NotFiniteError, match=rf"\[{at // 3}, {at % 3}\]"):
                    s.set_positions(bad, publish=False)
                assert np.array_equal(s.positions(), array.astype(dtype))
        assert s.version == 5


def bad_at(value: float, at: int, dtype: str = "f4") -> np.ndarray:
    array = all_of(value, dtype)
    array.reshape(-1)[at] = np.nan
    return array


@pytest.mark.parametrize("at", [0, 1, 2047, 2048, 50_000, 3 * ATOMS - 1])
@pytest.mark.parametrize("framed", [False, True])
def test_a_number_that_does_not_fit_leaves_an_open_edit_as_it_was(session: gromos.Session, framed: bool, at: int) -> None:
    with session.create(ATOMS) as s:
        for _ in range(3):
            s.set_positions(all_of(1))
        if not framed:
            s.set_positions(all_of(1), publish=False)
        version = s.version
        element = rf"\[{at // 3}, {at % 3}\]"
        with s.edit() as e, pytest.raises(gromos.NotFiniteError, match=element):
            e.set_positions(bad_at(2, at))
        assert content(s)[:2] == [1, 1]
        with s.edit(publish=False) as e:
            for _ in range(2):
                with pytest.raises(gromos.NotFiniteError, match=element):
                    e.set_positions(bad_at(2, at, "f8"))
                assert (s.positions() == 1).all()
        assert s.version == version + 1, "an edit without a frame that has changed nothing is no version"
        with pytest.raises(ZeroDivisionError), s.edit() as e:
            with pytest.raises(gromos.NotFiniteError):
                e.set_positions(bad_at(2, at))
            e.positions()[:] = 3
            1 / 0
        assert content(s)[:2] == [1, 1]
        with s.edit() as e:
            with pytest.raises(gromos.NotFiniteError):
                e.set_positions(bad_at(2, at))
            e.set_positions(all_of(4))
            with pytest.raises(gromos.NotFiniteError):
                e.set_positions(bad_at(5, at))
            assert (s.positions() == 4).all(), "what the edit itself has written before"
        assert content(s)[:2] == [4, 4]


def test_a_bad_number_after_the_ring_came_in_between(session: gromos.Session) -> None:
    """The first attempt keeps old content, the second could find it in a frame that was not mapped before; one of them counts."""
    with session.create(ATOMS, name=f"between-{os.getpid()}") as s:
        s.set_positions(all_of(1))
        with pytest.raises(ZeroDivisionError), s.edit() as e:
            with pytest.raises(gromos.NotFiniteError):
                e.set_positions(bad_at(2, 20_000))
            s.snapshot().release()
            e.set_positions(all_of(3))
            1 / 0
        assert content(s)[:2] == [1, 1]
        s.delete()


@pytest.mark.parametrize("bad", [False, True])
def test_threads_that_share_an_edit_end_it_during_a_copy(session: gromos.Session, bad: bool) -> None:
    """The end waits for the copy: nothing is written after it, and what is undone is undone whole."""
    new = bad_at(2, 3 * ATOMS - 1) if bad else all_of(2)
    with session.create(ATOMS) as s:
        s.set_positions(all_of(1), publish=False)
        for turn in range(60):
            start = threading.Barrier(2)
            edit = s.edit(publish=False)
            edit.__enter__()

            def copy(edit: gromos.Edit = edit, start: threading.Barrier = start) -> None:
                start.wait(20)
                try:
                    edit.set_positions(new)
                except (gromos.NotFiniteError, gromos.ConflictError):
                    pass

            thread = threading.Thread(target=copy)
            thread.start()
            start.wait(20)
            for _ in range(turn * 20):
                pass
            edit.rollback()
            at_the_end = s.positions().copy()
            thread.join(20)
            assert (at_the_end == 1).all() and (s.positions() == 1).all()
        assert s.version == 1

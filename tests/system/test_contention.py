"""Several processes and one State, against the real daemon: exact counting under the lease, holders that are killed or stopped, frames that do
not tear, and nothing left over on either side."""

from __future__ import annotations

import gc
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gromos
from conftest import Daemon, wait_until


def child(work: Callable[[], None]) -> int:
    """A forked process that does the work and ends; its pid."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException as error:  # noqa: BLE001
            os.write(2, f"in a child: {error!r}\n".encode())
        os._exit(code)
    return pid


def succeeded(pid: int) -> bool:
    return os.waitpid(pid, 0)[1] == 0


def test_processes_count_exactly(daemon: Daemon, session: gromos.Session) -> None:
    """A counter read, changed and written under the lease loses nothing; and every frame is one step."""
    name, processes, turns = f"count-{os.getpid()}", 4, 150
    s = gromos.State(num_atoms=3000, name=name, session=session)
    s.snapshot()

    def write(seed: int) -> None:
        t = gromos.attach(name, session=daemon.connect())
        choose = random.Random(seed)
        for _ in range(turns):
            with t.edit(timeout=60, publish=choose.random() < 0.5) as e:
                positions = e.positions()
                value = int(positions[0, 0])
                positions[:] = value + 1
                e.step = value + 1

    def read() -> None:
        t = gromos.attach(name, session=daemon.connect())
        seen = 0
        while t.version < processes * turns:
            with t.snapshot() as f:
                values = f.positions()
                assert (values == values[0, 0]).all() and f.step == values[0, 0], f"frame {f.sequence} is torn"
                assert f.sequence >= seen
                seen = f.sequence

    pids = [child(read) for _ in range(2)] + [child(lambda seed=seed: write(seed)) for seed in range(processes)]
    results = [succeeded(pid) for pid in pids]
    assert all(results)
    assert s.version == processes * turns
    assert (s.positions() == processes * turns).all()
    s.delete()


def test_killed_writers_leave_whole_states(own_daemon: Daemon) -> None:
    """Writers that fill all of an array with one number, killed at any instant: whoever gets in next finds one number."""
    name, kills = f"kill-{os.getpid()}", 60
    session = own_daemon.connect()
    s = gromos.State(num_atoms=20000, name=name, session=session)
    s.snapshot()

    def write(seed: int) -> None:
        t = gromos.attach(name, session=own_daemon.connect())
        choose = random.Random(seed)
        while True:
            if choose.random() < 0.3:
                t.set_positions(np.full((20000, 3), float(t.version + 1)), timeout=60)
            with t.edit(timeout=60, publish=choose.random() < 0.5) as e:
                positions = e.positions()
                value = positions[0, 0]
                positions[:] = value + 1
                e.velocities()[:] = value + 1

    choose = random.Random(3)
    pids = [child(lambda seed=seed: write(seed)) for seed in range(3)]
    try:
        for number in range(kills):
            time.sleep(choose.random() * 0.04)
            pid = pids.pop(choose.randrange(len(pids)))
            os.kill(pid, signal.SIGKILL)
            assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "a writer ended by itself"
            pids.append(child(lambda number=number: write(100 + number)))
            if number % 5 == 0:
                with s.edit(timeout=60, publish=False):
                    live = s.positions()
                    assert (live == live[0, 0]).all()
            with s.snapshot() as f:
                frame = f.positions()
                assert (frame == frame[0, 0]).all()
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    wait_until(lambda: s._mapping is not None and s._mapping.lease_holder == 0, what="the lease of the last writer")
    wait_until(lambda: session.stats().sessions == 1, what="the end of the killed sessions")
    assert s.generation == 1


def test_a_stopped_holder_loses_the_lease(make_daemon: Callable[..., Daemon]) -> None:
    d = make_daemon("--lease-limit", "0.3")
    s = gromos.State(num_atoms=100, name="stopped", session=d.connect())
    s.set_positions(np.ones((100, 3)))
    before = s.positions()

    def hold() -> None:
        t = gromos.attach("stopped", session=d.connect())
        with pytest.raises(gromos.LeaseLostError):
            with t.edit() as e:
                array = e.positions()
                array[:] = 7
                os.kill(os.getpid(), signal.SIGSTOP)
                array[:] = 8
        array[:] = 9
        assert t.positions()[0, 0] == 3
        with t.edit() as e:
            e.positions()[:] += 1

    pid = child(hold)
    os.waitpid(pid, os.WUNTRACED)
    with s.edit(timeout=60) as e:
        assert (e.positions() == 1).all(), "the half-done edit was not undone"
        e.positions()[:] = 3
    assert s.generation == 2 and (s.positions() == 3).all()
    os.kill(pid, signal.SIGCONT)
    assert succeeded(pid)
    assert (s.positions() == 4).all()
    assert (before != 9).all()


def test_threads_that_wait_move_to_the_next_generation(make_daemon: Callable[..., Daemon]) -> None:
    """One place in the daemon's queue for a whole process: when the State moves on, every thread gets its turn all the same."""
    d = make_daemon("--lease-limit", "0.3")
    session = d.connect()
    s = gromos.State(num_atoms=100, name="stopped", session=session)

    def hold() -> None:
        with gromos.attach("stopped", session=d.connect()).edit() as e:
            e.positions()[:] = 7
            os.kill(os.getpid(), signal.SIGSTOP)

    pid = child(hold)
    os.waitpid(pid, os.WUNTRACED)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with s.edit(timeout=60) as e:
                e.positions()[:] += 1
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert failures == []
    assert (s.positions() == 4).all() and s.generation == 2
    with s.edit(timeout=60, publish=False):
        pass


def counts() -> tuple[int, int]:
    gc.collect()
    maps = Path("/proc/self/maps").read_text().splitlines()
    return len(os.listdir("/proc/self/fd")), sum("memfd:" in line for line in maps)


def use(session: gromos.Session, number: int) -> list[Any]:
    s = gromos.State(num_atoms=(1, 16, 1000)[number % 3], name=f"leak-{number}" if number % 2 else None, session=session)
    kept: list[Any] = [s.positions(), s.positions("c"), memoryview(s.masses())]
    with s.edit(publish=number % 5 != 0) as e:
        e.positions()[:] = number
        kept.append(e.velocities())
    frame = s.snapshot()
    kept += [frame, frame.positions(), frame.velocities("c")]
    with pytest.raises(KeyError):
        with s.edit() as e:
            e.forces()[:] = 1
            raise KeyError
    s.set_positions(np.ones((s.num_atoms(), 3)), publish=False)
    s.wait(after=0, timeout=60)
    if number % 2:
        s.delete()
    return kept


def test_nothing_is_left_over(own_daemon: Daemon) -> None:
    session = own_daemon.connect()
    for number in range(20):
        use(session, number)
    wait_until(lambda: session.stats().states == 0, what="the end of the first States")
    here, there = counts(), own_daemon.descriptors()
    for number in range(20, 220):
        use(session, number)
    wait_until(lambda: (session.stats().states, own_daemon.descriptors()) == (0, there), what="the daemon's end of the States")

    def given_back() -> bool:
        """Sockets of earlier tests come and go with their reconnects."""
        now = counts()
        return now[0] <= here[0] and now[1] <= here[1]

    wait_until(given_back, what="the return of all descriptors and mappings")


def test_a_remote_edit_reads_one_commit(make_daemon: Callable[..., Daemon]) -> None:
    """A remote holder whose lease was passed on sees no mixture of two commits: what it reads next, it is told, is not its edit's."""
    d = make_daemon("--lease-limit", "0.2", tcp=True)
    s = gromos.State(num_atoms=10, name="passed on", session=d.connect())
    s.set_positions(np.ones((10, 3)))
    t = gromos.attach("passed on", session=d.connect_tcp())
    with pytest.raises(gromos.LeaseLostError, match="the edit began at"):
        with t.edit() as e:
            step = e.step
            assert (e.positions() == 1).all()
            with s.edit(timeout=60) as other:  # waits until the remote one has held for too long
                other.step = 5
                other.velocities()[:] = 2
            assert e.step == step and (e.positions() == 1).all()
            e.velocities()
    assert s.step == 5 and (s.velocities() == 2).all() and s.generation == 1


def test_a_remote_commit_at_work_is_not_overtaken(make_daemon: Callable[..., Daemon]) -> None:
    """All workers are busy, so the commit takes longer than a lease may be held while others wait: who waits gets in after it."""
    d = make_daemon("--lease-limit", "0.1", "--threads", "2", tcp=True)
    session = d.connect()
    s = gromos.State(num_atoms=10, name="counted", session=session)
    t = gromos.attach("counted", session=d.connect_tcp())
    n = 20_000
    points = np.random.default_rng(1).random((n, 3))
    large = [gromos.State(num_atoms=n, session=session) for _ in range(12)]
    for one in large:
        one.set_positions(points, publish=False)
    busy: dict[gromos.State, threading.Thread] = {}
    told = []

    def overloaded() -> bool:
        for one in large:
            if one not in busy or not busy[one].is_alive():
                busy[one] = threading.Thread(target=one.rdf, args=(range(n), range(n)), kwargs={"r_max": 0.5})
                busy[one].start()
        return sum(one.lease != 0 for one in session.states()) > 6

    def add_one(state: gromos.State) -> None:
        try:
            with state.edit(timeout=60) as e:
                e.positions()[:] += 1
                if state is t:
                    wait_until(overloaded, what="more work than workers")
                    local.start()
            told.append(state)
        except gromos.LeaseLostError:
            pass

    local = threading.Thread(target=add_one, args=(s,))
    add_one(t)
    for thread in (local, *busy.values()):
        thread.join()
    assert s in told and (s.positions() == len(told)).all()

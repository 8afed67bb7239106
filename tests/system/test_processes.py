"""The same State from many places: forked and spawned processes, threads, pickles."""

import gc
import multiprocessing
import os
import threading

import gromos
import numpy as np
import pytest

N = 500


@pytest.fixture
def state(any_session):
    with gromos.State(N, session=any_session) as s:
        s.set_positions(np.arange(3 * N).reshape(N, 3))
        yield s


def in_child(work):
    """Run in a forked child, without multiprocessing; its exit status is 0 if `work` returned."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            import traceback

            traceback.print_exc()
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_forked_child_reads_edits_and_computes(state):
    def work():
        assert state.positions()[1].tolist() == [3, 4, 5]
        assert state.session.ping() > 0
        state.set_velocities(np.full((N, 3), 2.0))
        with state.edit() as e:
            e.forces()[:] = 4
        assert state.center_of_geometry()[0] == pytest.approx(np.arange(0, 3 * N, 3).mean())
        with state.snapshot() as f:
            assert f.positions()[1].tolist() == [3, 4, 5]
        state.session.close()

    number = state.session.number
    in_child(work)
    assert (state.velocities() == 2).all()
    assert (state.forces() == 4).all()
    assert state.session.number == number
    state.set_positions(np.zeros((N, 3)))


def test_a_forked_child_that_does_nothing_harms_nothing(state):
    frame = state.snapshot()
    array = frame.positions()
    in_child(gc.collect)
    assert array[1].tolist() == [3, 4, 5]
    state.set_positions(np.zeros((N, 3)))
    assert array[1].tolist() == [3, 4, 5]


def test_an_edit_belongs_to_the_parent(session):
    with gromos.State(N, session=session) as s:

        def work():
            with pytest.raises(gromos.GromosError):
                e.positions()
            with pytest.raises(gromos.LeaseTimeoutError):
                s.set_positions(np.ones((N, 3)), timeout=0.2)

        with s.edit() as e:
            e.positions()[:] = 5
            in_child(work)
            e.velocities()[:] = 6
        assert (s.positions() == 5).all()
        assert (s.velocities() == 6).all()


def add_one(state):
    with state.edit(timeout=100) as e:
        e.positions()[:] += 1
    return float(state.snapshot().positions()[0, 0])


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(any_session, method):
    with gromos.State(N, session=any_session) as s:
        with multiprocessing.get_context(method).Pool(2) as pool:
            seen = pool.map(add_one, [s] * 6)
            pool.close()
            pool.join()
        assert (s.positions() == 6).all()
        assert s.version == 6
        assert max(seen) == 6


def run_threads(count, work):
    failures = []

    def guarded(i):
        try:
            work(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(200)
        assert not t.is_alive()
    if failures:
        raise failures[0]


def test_threads_edit_in_turn(any_session):
    with gromos.State(N, session=any_session) as s:

        def work(i):
            for k in range(5):
                with s.edit(timeout=100) as e:
                    e.positions()[:] += 1
                if k % 2:
                    s.translate([0, 1, 0])
                assert s.center_of_geometry().shape == (3,)

        run_threads(6, work)
        assert s.positions()[0].tolist() == [30, 42, 30]
        assert s.version == 42


def test_threads_wait_for_one_another_with_commands_too(any_session):
    with gromos.State(N, session=any_session) as s:
        entered = threading.Event()
        leave = threading.Event()

        def hold():
            with s.edit() as e:
                entered.set()
                leave.wait(60)
                e.positions()[:] = 1

        holder = threading.Thread(target=hold)
        holder.start()
        assert entered.wait(60)
        threading.Timer(0.2, leave.set).start()
        s.translate([1, 0, 0])
        holder.join()
        assert s.positions()[0].tolist() == [2, 1, 1]


def test_many_threads_on_one_session(any_session):
    with gromos.State(N, session=any_session) as s:
        s.set_positions(np.arange(3 * N).reshape(N, 3))
        expected = s.center_of_geometry().tolist()

        def work(i):
            for _ in range(20):
                any_session.ping()
                assert s.center_of_geometry().tolist() == expected
                assert len(s.positions()) == N

        run_threads(8, work)


def test_attaching_in_threads_gives_one_mapping(session):
    with gromos.State(N, name="threads", session=session) as s:
        found = []
        run_threads(8, lambda i: found.append(gromos.attach("threads", session=session).positions()))
        assert len({a.__array_interface__["data"][0] for a in found}) == 1
        s.delete()

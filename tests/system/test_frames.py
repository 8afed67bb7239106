"""Frames as a user iterates over them, waiting, and what happens to them when things end; over both kinds of session."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import threading
import time

import gromos
import numpy as np
import pytest
from conftest import wait_until

N = 50


@pytest.fixture
def state(any_session):
    with gromos.State(N, session=any_session, slots=8) as s:
        yield s


def publish(state, step):
    state.set(positions=np.full((N, 3), float(step)), step=step, time=0.5 * step)


def consistent(frame):
    """All of a frame is of one step."""
    return bool((frame.positions() == float(frame.step)).all()) and frame.time == 0.5 * frame.step


@pytest.fixture
def writer(state):
    """Publishes in a thread until told to stop."""
    stop = threading.Event()
    failed = []

    def work():
        step = 1
        try:
            while not stop.wait(0.002):
                publish(state, step)
                step += 1
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    yield state
    stop.set()
    thread.join()
    assert not failed


@pytest.mark.parametrize("policy", ["every", "latest"])
def test_frames_are_consistent_and_in_order(writer, policy):
    seen = []
    with writer.frames(policy, timeout=60) as frames:
        for frame in frames:
            assert consistent(frame)
            if not seen:
                missed_before = frames.missed
            seen.append(frame.step)
            if len(seen) == 30:
                break
    assert seen == sorted(set(seen))
    if policy == "every":
        assert seen[-1] - seen[0] == 29 + frames.missed - missed_before


@pytest.mark.parametrize("every", [2, 5])
def test_only_every_so_manieth(writer, every):
    with writer.frames(timeout=60, every=every) as frames:
        steps = [f.step for _, f in zip(range(6), frames, strict=False)]
    if frames.missed == 0:
        assert set(np.diff(steps)) == {every}


@pytest.mark.parametrize("newest", [13, 14])
def test_what_a_slow_reader_missed_of_every_other(any_session, newest):
    """The one it wanted next has gone or was not sent; it gets another one, that it wanted or not."""
    with gromos.State(N, session=any_session, slots=4) as s, s.frames(timeout=60, every=2) as frames:
        publish(s, 1)
        seen = [next(frames).step]
        for step in range(2, newest + 1):
            publish(s, step)
        while frames.missed == 0:
            seen.append(next(frames).step)
        assert frames.missed == len(set(range(1, seen[-1] + 1, 2)) - set(seen))


def test_a_slow_reader_is_told_what_it_missed(any_session):
    with gromos.State(N, session=any_session, slots=4) as s, s.frames(timeout=60) as frames:
        for step in range(1, 31):
            publish(s, step)
        seen = [0]
        while seen[-1] < 30:
            seen.append(next(frames).step)
        assert all(np.diff(seen) > 0)
        assert seen[-1] == 30
        assert len(seen) - 1 + frames.missed == 30
        assert frames.missed > 0


def test_async_frames(writer):
    async def work():
        count = 0
        async for frame in writer.frames("latest", timeout=60):
            assert consistent(frame)
            count += 1
            if count == 10:
                return count
        return count

    async def both():
        return await asyncio.gather(work(), work())

    assert asyncio.run(both()) == [10, 10]


def test_others_go_on_while_a_frame_is_awaited(state):
    """What is awaited comes from a task of the same loop."""

    async def read(frames):
        return (await anext(aiter(frames))).step

    async def write():
        for _ in range(3):
            await asyncio.sleep(0.01)
        publish(state, 1)

    async def both():
        with state.frames(timeout=60) as frames:
            return await asyncio.gather(read(frames), write())

    assert asyncio.run(both()) == [1, None]


def test_async_frames_end_in_time(state):
    async def work():
        frames = state.frames(timeout=0.2)
        return [f async for f in frames], frames.timed_out

    assert asyncio.run(work()) == ([], True)


def test_an_async_wait_can_be_cancelled(state):
    async def work():
        frames = state.frames()
        task = asyncio.create_task(anext(aiter(frames)))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        frames.close()

    asyncio.run(work())


def test_closing_from_another_thread_ends_iteration(state):
    frames = state.frames(timeout=60)
    closing = threading.Timer(0.2, frames.close)
    closing.start()
    assert list(frames) == [] or state.session.local
    assert not frames.timed_out
    closing.join()


def test_deletion_ends_iteration_and_waiting(any_session):
    s = gromos.State(N, session=any_session)
    publish(s, 1)
    held = s.snapshot()
    array = held.positions()
    deleting = threading.Timer(0.2, s.delete)
    frames = s.frames(timeout=60)
    deleting.start()
    with pytest.raises(gromos.StateDeletedError):
        for _ in frames:
            pass
    assert (array == 1).all()
    with pytest.raises(gromos.StateDeletedError):
        s.wait(timeout=60)
    deleting.join()
    s.close()


def test_wait_wakes_up(state):
    publishing = threading.Timer(0.2, publish, (state, 1))
    publishing.start()
    assert state.wait(after=0, timeout=60) == 1
    publishing.join()
    assert state.wait(after=-1) == 1


def test_looking_waits_for_no_writer(session, any_session):
    """Whoever looks sees the newest commit at once, also while somebody has the right to write."""
    with gromos.State(N, session=session) as writer:
        publish(writer, 1)
        reader = gromos.attach(writer.uuid, session=any_session)
        with writer.edit() as e:
            e.positions()[:] = 99
            e.step = 99
            start = time.monotonic()
            with reader.snapshot() as f:
                assert (f.step, f.version) == (1, 1)
                assert consistent(f)
                assert f.energies.total() == 0.0
            assert reader.describe().version == 1
            assert time.monotonic() - start < 5
        with reader.snapshot() as f:
            assert f.step == 99
            with pytest.raises(gromos.UnsupportedError, match="masses"):
                f.masses()
        reader.close()


def test_unpublished_commits_give_no_frame(state):
    publish(state, 1)
    with state.frames(timeout=0.3) as frames:
        with state.edit(publish=False) as e:
            e.positions()[:] = 5
        assert list(frames) == []
    assert state.version == 2


def test_history(any_session):
    with gromos.State(N, session=any_session, slots=4) as s:
        assert len(s.history()) <= 1
        for step in range(1, 10):
            publish(s, step)
        history = s.history()
        assert all(consistent(f) for f in history)
        assert [f.step for f in history] == [6, 7, 8, 9][-len(history) :]
        assert len(history) >= 3
        assert [f.version for f in history] == [6, 7, 8, 9][-len(history) :]
        assert all(b.sequence == a.sequence + 1 for a, b in itertools.pairwise(history))
        assert [f.step for f in s.history(newest=2)] == [8, 9]
        assert s.history(newest=0) == []
        assert len(s.history(newest=100)) >= 3
        with pytest.raises(gromos.InvalidArgumentError, match="newest"):
            s.history(newest=-1)


def test_a_remote_history_is_the_local_one(session, remote):
    with gromos.State(N, name="past", session=session, slots=6, frame_forces=True) as here:
        there = gromos.attach("past", session=remote)
        random = np.random.default_rng(11)
        for step in range(1, 6):
            with here.edit() as e:
                e.step, e.time = step, 0.5 * step
                e.box = gromos.Box.rectangular(step, 2, 3)
                for which in (e.positions, e.velocities, e.forces):
                    which()[:] = random.random((N, 3))
                e.energies()[:] = step
        pairs = list(zip(here.history(), there.history(), strict=True))
        assert len(pairs) >= 4
        for ours, theirs in pairs:
            assert (ours.sequence, ours.version, ours.step, ours.time) == (theirs.sequence, theirs.version, theirs.step, theirs.time)
            assert ours.box == theirs.box
            for name in ("positions", "velocities", "forces"):
                np.testing.assert_array_equal(getattr(ours, name)(), getattr(theirs, name)())
                assert not getattr(theirs, name)().flags.writeable
            assert ours.energies.to_dict() == theirs.energies.to_dict()
            with pytest.raises(gromos.UnsupportedError):
                theirs.masses()
        chosen = there.history(newest=2, atoms=[4, 0, 4])
        assert [f.step for f in chosen] == [4, 5]
        np.testing.assert_array_equal(chosen[1].forces(), here.snapshot().forces()[[4, 0, 4]])
        with pytest.raises(gromos.IndexRangeError):
            there.history(atoms=[N])
        gone = pairs[0][0].sequence - 1
        with pytest.raises(gromos.NotFoundError, match="not in the ring"):
            remote.commands.state_frame(there.uuid, sequence=max(gone, 1) if gone else 999, arrays=["positions"])
        with pytest.raises(gromos.UnsupportedError, match="index"):
            here.history(atoms=[1])
        here.delete()
        with pytest.raises(gromos.StateDeletedError):
            there.history()
        there.close()


def test_held_frames_do_not_change_and_do_not_stop_the_writer(session):
    with gromos.State(N, session=session, slots=3) as s:
        held = []
        for step in range(1, 4):
            publish(s, step)
            held.append(s.snapshot().positions())
        for step in range(4, 30):
            publish(s, step)
        assert [float(a[0, 0]) for a in held] == [1, 2, 3]
        about = s.describe()
        assert about.skipped > 0
        assert about.step == 29
        held.clear()
        publish(s, 30)
        publish(s, 31)
        with s.snapshot() as f:
            assert f.step == 31


def test_a_frame_outlives_its_block_through_its_arrays(session):
    with gromos.State(N, session=session, slots=3) as s:
        publish(s, 1)
        with s.snapshot() as f:
            kept = f.positions()[3:7]
        for step in range(2, 20):
            publish(s, step)
        assert (kept == 1).all()


def test_too_many_held_frames(make_daemon):
    d = make_daemon("--session-pins", "3")
    with d.connect() as session, gromos.State(N, session=session, slots=16) as s:
        held = []
        with pytest.raises(gromos.TooManyPinsError):
            for step in range(10):
                publish(s, step)
                held.append(s.snapshot())
        held.clear()
        s.snapshot()


def test_forces_in_frames_on_request(any_session):
    with gromos.State(N, session=any_session, frame_forces=True) as s:
        assert s.describe().frame_forces
        with s.frames(timeout=60) as frames:
            s.set_forces(np.ones((N, 3)))
            assert (s.snapshot().forces() == 1).all()
            assert (next(frames).forces() == 1).all()
    with gromos.State(N, session=any_session) as s:
        assert not s.describe().frame_forces
        publish(s, 1)
        with pytest.raises(gromos.UnsupportedError):
            s.snapshot().forces()


def test_a_remote_reader_may_choose_atoms(remote):
    with gromos.State(N, session=remote) as s, s.frames(timeout=60, atoms=[3, 1], velocities=False) as frames:
        publish(s, 1)
        frame = next(frames)
        assert frame.positions().shape == (2, 3)
        with pytest.raises(gromos.UnsupportedError):
            frame.velocities()
        with pytest.raises(gromos.IndexRangeError):
            s.frames(atoms=[N])


def test_a_remote_reader_may_do_without_forces(remote):
    with gromos.State(N, session=remote, frame_forces=True) as s, s.frames(timeout=60, forces=False) as frames:
        publish(s, 1)
        with pytest.raises(gromos.UnsupportedError, match="forces"):
            next(frames).forces()


def test_a_local_reader_has_them_all(session):
    with gromos.State(N, session=session) as s, pytest.raises(gromos.UnsupportedError, match="index"):
        s.frames(atoms=[1])


def test_a_local_writer_and_a_remote_reader(session, remote):
    with gromos.State(N, name="across", session=session) as here:
        there = gromos.attach("across", session=remote)
        with there.frames(timeout=60) as frames:
            for step in range(1, 4):
                publish(here, step)
            seen = [f for _, f in zip(range(3), frames, strict=False)]
        assert [f.step for f in seen] == [1, 2, 3]
        assert all(consistent(f) for f in seen)
        there.close()
        here.delete()


INTERRUPTED = """
import gromos, sys
s = gromos.connect({endpoint!r}).attach({name!r})
try:
    print("waiting", flush=True)
    {wait}
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


@pytest.mark.parametrize("wait", ["s.wait(timeout=None)", "list(s.frames())", "s.set_positions(s.positions(), timeout=None)"])
@pytest.mark.parametrize("kind", ["local", "remote"])
def test_ctrl_c(daemon, session, wait, kind):
    name = f"interrupt {kind}"
    endpoint = daemon.endpoint if kind == "local" else daemon.tcp
    with gromos.State(N, name=name, session=session) as s, s.edit():
        child = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED.format(endpoint=endpoint, name=name, wait=wait)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout.readline() == "waiting\n"
        time.sleep(0.3)
        child.send_signal(signal.SIGINT)
        output, _ = child.communicate(timeout=60)
        assert output == "interrupted\n"
    # What a remote client had asked for before it was interrupted may still be under way.
    gromos.attach(name, session=session).delete(force=True)


# --- the daemon dies and is kept -----------------------------------------------------------------------------------


def worker_of(d):
    """The process that serves, under the one that keeps."""
    return int(open_children(d.pid)[0])


def open_children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


@pytest.fixture
def kept(make_daemon):
    return make_daemon("--keep", tcp=True)


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_a_kept_state_survives_its_daemon(kept, kind):
    with (kept.connect() if kind == "local" else kept.connect_tcp()) as session:
        s = gromos.State(N, name="kept", session=session)
        publish(s, 7)
        array = s.positions()
        version = s.version
        os.kill(worker_of(kept), signal.SIGKILL)
        assert session.ping() > 0
        assert (s.positions() == 7).all()
        assert s.describe().name == "kept"
        assert s.version >= version
        assert (array == 7).all()
        publish(s, 8)
        assert (s.positions() == 8).all()
        with s.snapshot() as f:
            assert f.step == 8
            assert consistent(f)
        s.delete()


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_frames_go_on_after_the_daemon_was_restarted(kept, kind):
    with (kept.connect() if kind == "local" else kept.connect_tcp()) as session, kept.connect() as other:
        s = gromos.State(N, name="kept", session=session)
        publish(s, 1)
        seen = []

        frames = s.frames("latest", timeout=60)

        def read():
            for frame in frames:
                seen.append(frame.step)
                if frame.step >= 20:
                    return

        t = threading.Thread(target=read)
        t.start()
        writer = gromos.attach("kept", session=other)
        for step in range(2, 5):
            publish(writer, step)
        wait_until(lambda: len(seen) > 0, what="a first frame")
        os.kill(worker_of(kept), signal.SIGKILL)
        for step in range(5, 21):
            try:
                publish(writer, step)
            except gromos.OutcomeUnknownError:
                publish(writer, step)  # the daemon died in the middle of the commit; writing it again is harmless here
            time.sleep(0.01)

        def read_to_the_end():
            publish(writer, 20)  # again: a remote reader that is still on its way back is not told what was before
            t.join(0.1)
            return not t.is_alive()

        wait_until(read_to_the_end, what="the last frame")
        assert seen[-1] == 20
        s.delete()


def test_frames_go_on_while_somebody_edits_under_the_next_daemon(kept):
    """Its ring has no frame yet, and none can be made before the commit."""
    with kept.connect() as session, kept.connect() as other:
        s = gromos.State(N, name="kept", session=session)
        writer = gromos.attach("kept", session=other)
        with s.frames(timeout=60) as frames:
            publish(writer, 1)
            assert next(frames).step == 1
            os.kill(worker_of(kept), signal.SIGKILL)
            other.ping()
            with writer.edit() as e:
                e.positions()[:] = 2
                e.step, e.time = 2, 1.0
                assert frames._next(0.1) is None
            frame = next(frames)
            assert frame.step == 2 and consistent(frame)
        s.delete()


@pytest.mark.parametrize("kind", ["local", "remote"])
def test_an_idle_process_takes_its_states_up_again(make_daemon, monkeypatch, kind):
    """A State without a name lives as long as somebody has it: also when its only owner sleeps through a restart."""
    from gromos import _session

    monkeypatch.setattr(_session, "WATCH_PERIOD", 0.1)
    d = make_daemon("--keep", "--session-ttl", "6", tcp=True)
    with (d.connect() if kind == "local" else d.connect_tcp()) as session, d.connect() as other:
        s = gromos.State(N, session=session)
        publish(s, 3)
        for _ in range(2):
            os.kill(worker_of(d), signal.SIGKILL)
            wait_until(lambda: other.commands.state_describe(s.uuid).sessions == 1, what="the State's owner")
        assert (s.positions() == 3).all()
        s.close()

"""What a session may take: every byte of a State's memory is charged to its maker, until the last one who has it lets go."""

import gc
import itertools
import os
import re
import signal
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import wait_until
from md_water import parameters, water

N = 20_000
LIVE = 900_000  # bytes of live arrays of a State of N atoms, a little more than there are
FRAME = 500_000  # of a frame


@pytest.fixture
def pair(make_daemon):
    """Two sessions of a daemon that gives each 5 live segments' worth."""
    daemon = make_daemon("--session-bytes", str(6 * LIVE))
    with daemon.connect() as a, daemon.connect() as b:
        yield daemon, a, b


def of(session):
    """Bytes the session is charged for."""
    return next(s["bytes"] for s in session.commands.sessions().sessions if s["session"] == session.number)


def test_each_segment_counts_from_its_first_byte(pair):
    _, a, _ = pair
    s = gromos.State(N, session=a, slots=4)
    live = of(a)
    assert N * 12 * 3 < live <= LIVE
    with s.edit(publish=False) as e:
        e.positions()[:] = 1
    undo = of(a) - live
    assert undo == live, "the undo copy is as large as the live arrays"
    before = of(a)
    s.step = 1
    first = of(a) - before
    assert N * 12 * 2 < first < 2 * FRAME + 8192, "the ring is charged slot by slot"
    for step in range(2, 10):
        s.step = step
    assert of(a) - before <= 4 * FRAME + 8192
    assert of(a) == s.describe().bytes
    s.delete()
    del e  # it has the State mapped
    s.close()
    wait_until(lambda: of(a) == 0, what="the end of the charge")


def test_an_edit_beyond_the_quota_is_refused_whole(make_daemon):
    daemon = make_daemon("--session-bytes", str(LIVE))
    with daemon.connect() as a, daemon.connect() as b:
        s = gromos.State(N, session=a, name="tight")
        other = gromos.attach("tight", session=b)
        for state in (s, other):  # the maker pays, whoever edits
            with pytest.raises(gromos.QuotaExceededError, match=r"undo copy .*session_bytes"), state.edit():
                raise AssertionError("the edit began")
        assert s.version == 0
        with pytest.raises(gromos.QuotaExceededError, match="session_bytes"):
            gromos.State(N, session=a)
        with gromos.State(N, session=b) as mine:
            assert mine.num_atoms() == N, "another session has a quota of its own"


def test_a_frame_beyond_the_quota_is_left_out(make_daemon):
    daemon = make_daemon("--session-bytes", str(2 * LIVE + 3 * FRAME))
    with daemon.connect() as a:
        s = gromos.State(N, session=a, slots=16)
        for step in range(1, 12):
            s.step = step
        about = s.describe()
        assert about.step == 11, "every edit stands"
        assert about.published == 11, "the ring goes on with the slots it has"
        assert of(a) <= 2 * LIVE + 3 * FRAME
        held = s.history()
        assert 2 <= len(held) < 16
        s.step = 12
        about = s.describe()
        assert about.step == 12
        assert (about.published, about.skipped) == (11, 1), "no slot is free, and none may be made"
        s.step = 13
        assert daemon.log().count("frames are not published") == 1, "told once"
        del held
        gc.collect()
        s.step = 14
        assert s.snapshot().step == 14
        assert s.describe().skipped == 2


def test_without_room_for_any_frame(make_daemon):
    daemon = make_daemon("--session-bytes", str(2 * LIVE + FRAME))
    with daemon.connect() as a, daemon.connect() as b:
        s = gromos.State(N, session=a, name="frameless")
        more = gromos.State(8000, session=a)
        s.step = 1
        about = s.describe()
        assert (about.step, about.published, about.skipped) == (1, 0, 1)
        with pytest.raises(gromos.QuotaExceededError, match="session_bytes"):
            gromos.attach("frameless", session=b).snapshot()
        more.close()
        a.ping()  # gives it back
        s.step = 2
        assert s.snapshot().step == 2, "there is room again"


def test_a_deleted_state_is_charged_until_everybody_has_let_it_go(pair):
    _, a, b = pair
    s = gromos.State(N, session=a, name="shared")
    other = gromos.attach("shared", session=b)
    array = other.positions()
    was = of(a)
    s.delete()
    s.close()
    a.ping()
    assert of(a) == was
    other.close()
    b.ping()
    assert of(a) == was, "an array over it is left"
    del array
    gc.collect()
    wait_until(lambda: of(a) == 0, what="the end of the charge")


def test_the_end_of_a_session_lets_go_too(pair):
    daemon, a, _ = pair
    s = gromos.State(N, session=a, name="left")
    with daemon.connect() as c:
        held = gromos.attach("left", session=c).positions()
        s.delete()
        s.close()
        assert of(a) > 0
    wait_until(lambda: of(a) == 0, what="the end of the charge")
    assert not held.any()


def test_an_old_generation_is_charged_as_long_as_it_is_held(pair):
    daemon, a, b = pair
    s = gromos.State(N, session=a, name="moved")
    holder = gromos.attach("moved", session=b)
    edit = holder.edit()
    edit.__enter__()
    edit.positions()[:] = 5
    before = of(a)
    b_number = b.number
    s.positions()  # this session, too, holds the old memory
    a.commands.evict(session=b_number)
    about = s.describe()
    assert about.generation == 2
    assert of(a) == before + about.bytes, "both generations"
    del edit
    s.delete()
    s.close()
    gc.collect()
    wait_until(lambda: of(a) == 0, what="the end of the charge")


def test_max_bytes_bounds_all_sessions_together(make_daemon):
    daemon = make_daemon("--max-bytes", str(3 * LIVE))
    with daemon.connect() as a, daemon.connect() as b:
        first = gromos.State(N, session=a)
        first.set_positions(np.ones((N, 3)), publish=False)  # live and undo
        with pytest.raises(gromos.OutOfMemoryError, match="max_bytes"):
            gromos.State(2 * N, session=b, name="too-large")
        assert len(a.states()) == 1, "nothing is half made"
        first.delete()
        first.close()
        wait_until(lambda: of(a) == 0, what="the end of the charge")
        assert gromos.State(2 * N, session=b).num_atoms() == 2 * N


def test_memory_is_left_to_others(make_daemon):
    """All but half a GiB is reserved: a State of more is refused, one of less is not, and the daemon goes on."""
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if available < 3 << 30:
        pytest.skip("less than 3 GiB of memory are free here")
    daemon = make_daemon("--memory-reserve", str(available - (512 << 20)))
    with daemon.connect() as session:
        gromos.State(1000, session=session)
        with pytest.raises(gromos.OutOfMemoryError, match="memory and memory cgroup leave here"):
            gromos.State(40_000_000, session=session)
        assert session.ping() > 0
    with make_daemon().connect() as session:
        gromos.State(40_000_000, session=session)


def test_results_are_the_askers(make_daemon):
    daemon = make_daemon("--session-bytes", str(12 * LIVE))
    with daemon.connect() as a, daemon.connect() as b:
        s = gromos.State(N, session=a, name="asked")
        was = of(a)
        other = gromos.attach("asked", session=b)
        distances = other.distance_array(range(1000), range(500))
        size = distances.nbytes
        assert size >= 500_000 * 4
        assert of(a) == was
        assert size <= of(b) <= size + size // 8  # in steps that results of about this size share
        with pytest.raises(gromos.QuotaExceededError, match=r"a result of .*session_bytes"):
            other.distance_array(range(3000), range(1500))
        assert of(b) <= size + size // 8
        del distances
        gc.collect()
        wait_until(lambda: of(b) == 0, what="the end of the charge")
        s.delete()


def test_one_state_has_a_limit_of_its_own(make_daemon):
    """Live arrays, undo copy and frames of one State together; other States have the same limit for themselves."""
    daemon = make_daemon("--state-bytes", str(2 * LIVE))
    with daemon.connect() as session:
        with pytest.raises(gromos.QuotaExceededError, match="state_bytes"):
            session.create(3 * N)
        for _ in range(3):
            s = session.create(N, slots=8)
            with s.edit(publish=False) as e:
                e.positions()[:] = 1
            s.set_positions(np.ones((N, 3)))  # frames for which there is no room are left out
            about = s.describe()
            assert about.bytes <= 2 * LIVE
            with session.create(N) as other:
                assert other.describe().bytes <= LIVE
    daemon = make_daemon("--state-bytes", str(LIVE + LIVE // 2))
    with daemon.connect() as session, session.create(N) as s:
        with pytest.raises(gromos.QuotaExceededError, match="undo copy .*state_bytes"):
            with s.edit(publish=False) as e:
                e.positions()[:] = 1
        assert (s.positions() == 0).all() and session.ping() > 0


# ---- jobs ----


def held(session):
    """Bytes all sessions and nobody are charged for, as the daemon tells when it refuses a State that is too large for max_bytes."""
    with pytest.raises(gromos.OutOfMemoryError, match="max_bytes") as refused:
        session.create(100_000_000)
    return int(re.search(r"on top of the (\d+) held", str(refused.value)).group(1))


def held_beyond(state, session):
    """Bytes held beyond the State's own, which grow while a run fills its ring of frames."""
    while True:
        own = state.describe().bytes
        everything = held(session)
        if state.describe().bytes == own:
            return everything - own


def start(system, session, steps=1_000_000_000, threads=1, **options):
    """A run by another session than the one that made the State."""
    state = gromos.attach(system.state.name, session=session)
    return gromos.Simulation(gromos.System(system.topology, state), parameters(steps), threads=threads).run(**options)


def cancel(job):
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait()


def test_a_job_is_charged_to_who_started_it_until_it_has_ended(make_daemon):
    daemon = make_daemon("--max-bytes", str(1 << 30))
    with daemon.connect() as a, daemon.connect() as b:
        system = water(a, name="run")
        system.state.snapshot()
        was, all_was = of(a), held(a)
        job = start(system, b)
        wait_until(lambda: job.describe().step > 0, what="the first step")
        charged = of(b)
        assert charged > 8 << 20, "energies of published steps alone take that much"
        job.pause()  # a run that publishes may be given another slot of the ring at any moment
        wait_until(lambda: job.describe().status == "paused", what="the pause")
        assert of(b) == charged
        frames = of(a) - was
        assert held(a) == all_was + frames + charged
        cancel(job)
        assert of(b) == 0
        assert of(a) == system.state.describe().bytes == held(a), "what the run leaves for the next one is the State's"


def test_a_job_beyond_a_limit_is_refused_whole(make_daemon):
    for limit in ("--session-bytes", "--state-bytes", "--max-bytes"):
        daemon = make_daemon(limit, str(1 << 20))
        with daemon.connect() as a, daemon.connect() as b:
            system = water(a, name="refused")
            before = (of(a), system.state.describe())
            with pytest.raises(gromos.GromosError, match=rf"a job of \d+ bytes .*{limit[2:].replace('-', '_')}") as refused:
                start(system, b)
            assert isinstance(refused.value, gromos.OutOfMemoryError if limit == "--max-bytes" else gromos.QuotaExceededError)
            after = system.state.describe()
            assert (of(a), of(b), gromos.jobs(b)) == (before[0], 0, [])
            assert (after.bytes, after.version, after.published, after.lease) == (before[1].bytes, before[1].version, before[1].published, 0)
            start(system, b, 100).wait()  # few energies to keep: there is room for that
            assert of(b) == 0


def test_a_job_beyond_the_machines_memory_is_refused(make_daemon):
    fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    available = int(fields["MemAvailable"].split()[0]) * 1024
    if available < 3 << 30:
        pytest.skip("less than 3 GiB of memory are free here")
    daemon = make_daemon("--memory-reserve", str(available - (512 << 20)), "--threads", "256")
    with daemon.connect() as session:
        system = water(session, 27_000, name="large")
        with pytest.raises(gromos.OutOfMemoryError, match="a job of .* memory and memory cgroup leave here"):
            start(system, session, 10, threads=256)
        assert gromos.jobs(session) == []
        assert of(session) == system.state.describe().bytes


def test_a_queued_job_that_is_cancelled_gives_back_once(make_daemon):
    daemon = make_daemon("--threads", "1")
    with daemon.connect() as a, daemon.connect() as b:
        first, second = start(water(a, name="first"), b), start(water(a, name="second"), b)
        both = of(b)
        cancel(second)
        assert of(b) == both // 2
        second.cancel()
        assert of(b) == both // 2
        cancel(first)
        assert of(b) == 0


def test_deleting_the_state_gives_back_what_its_job_took(make_daemon):
    daemon = make_daemon("--max-bytes", str(1 << 30))
    with daemon.connect() as a, daemon.connect() as b:
        system = water(a, name="gone")
        job = start(system, b)
        system.state.delete(force=True)
        with pytest.raises(gromos.CancelledError):
            job.wait()
        assert of(b) == 0
        system.state.close()
        wait_until(lambda: held(a) == of(a) + of(b), what="the end of every charge")


def test_a_job_outlives_its_session_as_nobodys(make_daemon):
    daemon = make_daemon("--max-bytes", str(1 << 30))
    with daemon.connect() as a:
        system = water(a, name="left")
        with daemon.connect() as b:
            number = start(system, b).number
            charged = of(b)
        wait_until(lambda: len(a.commands.sessions().sessions) == 1, what="the session's end")
        mine = of(a)  # the run makes frames meanwhile
        assert held(a) >= mine + charged
        job = gromos.Job(number, a)
        cancel(job)
        assert held(a) == of(a)


def test_a_job_taken_up_by_another_daemon_is_charged_again(make_daemon):
    daemon = make_daemon("--keep", "--max-bytes", str(1 << 30))
    with daemon.connect() as a:
        system = water(a, name="kept")
        job = start(system, a, resume=True)
        wait_until(lambda: job.describe().step > 10, what="some steps")
        wait_until(lambda: a.info().protected, what="everything to be handed over")
        before = held_beyond(system.state, a)
        worker = int(Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()[0])
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: job.describe().step > 20, what="the next daemon's steps")
        assert of(a) == 0, "nobody's, as the State is"
        assert before > 8 << 20
        wait_until(lambda: held_beyond(system.state, a) == before, what="the same charge")
        cancel(job)
        assert held(a) == system.state.describe().bytes


# ---- eviction ----


def test_an_eviction_without_room_changes_nothing(make_daemon):
    """A State never has half a generation: its holder keeps the lease, everybody is told, and it is done when there is room."""
    daemon = make_daemon("--session-bytes", str(4 * LIVE), "--lease-limit", "0.3")
    with daemon.connect() as a, daemon.connect() as b, daemon.connect() as c:
        s = gromos.State(N, session=a, name="full")
        more = gromos.State(N + N // 10, session=a)
        holder = gromos.attach("full", session=b)
        edit = holder.edit(publish=False)
        e = edit.__enter__()
        e.positions()[:] = 5
        before = of(a)
        with a.events(timeout=60) as events:
            with pytest.raises(gromos.QuotaExceededError, match=r"the new memory an eviction needs.*session_bytes"):
                a.commands.evict(session=b.number)
            about = s.describe()
            assert (about.generation, about.lease, of(a)) == (1, b.number, before)
            with pytest.raises(gromos.LeaseTimeoutError), gromos.attach("full", session=c).edit(timeout=1.5):
                raise AssertionError("the edit began")
            b.create(1, name="later")
            told = [x for x in itertools.takewhile(lambda x: x.name != "later", events) if x.what == "not_evicted"]
            assert len(told) == 1 and "session_bytes" in told[0].text and told[0].session == b.number
        assert daemon.log().count("cannot be evicted") == 1
        assert s.describe().generation == 1 and b.ping() > 0
        edit.__exit__(None, None, None)  # and its edit is a commit like any other
        assert (s.positions() == 5).all()

        edit = holder.edit(publish=False)
        edit.__enter__().positions()[:] = 6
        more.delete()
        more.close()
        wait_until(lambda: of(a) < before, what="room")
        with gromos.attach("full", session=c).edit(timeout=60, publish=False) as mine:
            assert (mine.positions() == 5).all()
        assert s.describe().generation == 2
        with pytest.raises(gromos.LeaseLostError):
            edit.__exit__(None, None, None)

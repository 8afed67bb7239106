"""Runs whose daemon is killed: those that are to resume do so by themselves, bit for bit, the others are reported as failed."""

import contextlib
import gzip
import os
import signal
from pathlib import Path

import gromos
import h5py
import numpy as np
import pytest
from conftest import wait_until
from md_water import parameters, same, water

FILES = ("trc", "trv", "tre", "fin")
ENDLESS = 10**7
"""Steps of a run that is to be killed on its way: it cannot have ended before, however late this process gets its turn."""


def worker_of(d):
    """The process that serves, under the one that keeps; None while there is none."""
    children = Path(f"/proc/{d.pid}/task/{d.pid}/children").read_text().split()
    return int(children[0]) if children else None


def kill_worker(d, *, when_protected=True):
    if when_protected:
        with d.connect() as session:
            wait_until(lambda: session.info().protected, what="everything to be handed over")
    pid = worker_of(d)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker_of(d) not in (None, pid), what="a new worker")


def paths(folder, name, ending=""):
    return {k: folder / f"{name}.{k}{ending}" for k in FILES}


def content(path):
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def held(d):
    """The names of the segments the holder has, in order."""
    links = []
    for fd in os.listdir(f"/proc/{d.pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            links.append(os.readlink(f"/proc/{d.pid}/fd/{fd}"))
    return sorted(link.removeprefix("/memfd:").removesuffix(" (deleted)") for link in links if link.startswith("/memfd:"))


def run_until(job, step):
    wait_until(lambda: job.describe().step >= step, what=f"step {step}")


def stopped(job):
    """Ends an endless run; how many steps it made."""
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait()
    return job.describe().step


def assert_goes_on_as(whole, killed, p, **options):
    """Two Systems at the same step have moved alike, and a next run on each ends bit for bit the same, energies too."""
    assert whole.state.step == killed.state.step
    assert np.array_equal(whole.state.positions(), killed.state.positions()) and np.array_equal(whole.state.velocities(), killed.state.velocities())
    for system in (whole, killed):
        gromos.Simulation(system, p, **options).run(50, wait=True)
    assert same(whole.state, killed.state)


@pytest.fixture
def kept(make_daemon):
    return make_daemon("--keep")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_killed_daemon_resumes_bit_for_bit(kept, tmp_path, threads, ending):
    p = parameters(ENDLESS, every=7)
    with kept.connect() as session:
        whole, killed = water(session), water(session, name="killed")
        job = gromos.Simulation(killed, p, threads=threads).run(resume=True, **paths(tmp_path, "killed", ending))
        for step in (600, 1200):
            run_until(job, step)
            kill_worker(kept)
        run_until(job, 1800)
        n = stopped(job)
        gromos.Simulation(whole, p, threads=threads).run(n, wait=True, **paths(tmp_path, "whole", ending))
        for k in FILES:
            assert content(paths(tmp_path, "whole", ending)[k]) == content(paths(tmp_path, "killed", ending)[k]), k
        assert_goes_on_as(whole, killed, p, threads=threads)
        assert max(other.number for other in gromos.jobs(session)) > job.number


def test_an_h5md_file_goes_on_too(kept, tmp_path):
    p = parameters(ENDLESS, every=7)
    with kept.connect() as session:
        whole, killed = water(session), water(session, name="killed")
        job = gromos.Simulation(killed, p).run(resume=True, trc=tmp_path / "killed.h5")
        for step in (300, 600):
            run_until(job, step)
            kill_worker(kept)
        run_until(job, 900)
        gromos.Simulation(whole, p).run(stopped(job), wait=True, trc=tmp_path / "whole.h5")
    with h5py.File(tmp_path / "killed.h5") as a, h5py.File(tmp_path / "whole.h5") as b:
        for name in ("position/step", "position/time", "position/value", "velocity/value", "box/edges/value"):
            assert np.array_equal(a["particles/all"][name][:], b["particles/all"][name][:]), name
        assert np.array_equal(a["observables/total_energy/value"][:], b["observables/total_energy/value"][:])


def test_the_end_of_a_run_survives(kept):
    p = parameters(100)
    with kept.connect() as session:
        whole, halved = water(session), water(session, name="halved")
        gromos.Simulation(whole, p).run(100, wait=True)
        gromos.Simulation(halved, p).run(50, wait=True)
        kill_worker(kept)
        assert halved.state.step == 50
        gromos.Simulation(halved, p).run(50, wait=True)
        assert same(whole.state, halved.state)


def test_a_paused_job_comes_back_paused(kept):
    p = parameters(ENDLESS)
    with kept.connect() as session:
        whole, killed = water(session), water(session, name="killed")
        job = gromos.Simulation(killed, p).run(resume=True)
        run_until(job, 200)
        job.pause()
        wait_until(lambda: job.status == "paused", what="the pause")
        step = job.describe().step
        for _ in range(4):  # a job that rests is not what the daemon dies of
            kill_worker(kept)
            wait_until(lambda: job.status == "paused", what="the pause after the restart")
            assert job.describe().step == step
        job.resume()
        run_until(job, step + 200)
        gromos.Simulation(whole, p).run(stopped(job), wait=True)
        assert_goes_on_as(whole, killed, p)


def paused_at_its_start(session, system, p):
    """A job that has made no step yet: paused while it waited behind another one."""
    threads = session.info().threads
    blocker = gromos.Simulation(water(session), p, threads=threads).run(ENDLESS)
    job = gromos.Simulation(system, p, threads=threads).run(resume=True)
    job.pause()
    blocker.cancel()
    wait_until(lambda: job.status == "paused", what="the pause")
    assert job.describe().step == 0
    return job


def test_an_edit_just_before_the_death_is_part_of_the_run(kept):
    p = parameters(500)
    with kept.connect() as session:
        spared, killed = water(session), water(session, name="killed")
        velocities = np.random.default_rng(5).normal(scale=0.3, size=(spared.state.num_atoms(), 3))
        jobs = []
        for system in (spared, killed):
            job = paused_at_its_start(session, system, p)
            system.state.set_velocities(velocities)
            jobs.append(job)
            if system is spared:
                job.resume()
                job.wait()
        kill_worker(kept)
        wait_until(lambda: jobs[1].status == "paused", what="the pause after the restart")
        assert np.array_equal(killed.state.velocities(), velocities)
        jobs[1].resume()
        jobs[1].wait()
        assert same(spared.state, killed.state)


def test_changes_while_it_ran_hold_after_the_resume(kept, tmp_path):
    p = parameters(ENDLESS, every=5)
    with kept.connect() as session:
        s = water(session, name="changed")
        job = gromos.Simulation(s, p).run(resume=True, trc=tmp_path / "x.trc")
        run_until(job, 100)
        job.change(positions_every=1000, publish_every=20)
        run_until(job, job.describe().step + 200)
        changed = next(int(line.text.split()[2].rstrip(":")) for line in job.log() if "positions are written every 1000 steps" in line.text)
        kill_worker(kept)
        run_until(job, changed + 5000)
        n = stopped(job)
        steps = gromos.read_trajectory(tmp_path / "x.trc").steps.tolist()
        assert steps == [step for step in range(n) if step % (5 if step < changed else 1000) == 0]


def test_the_log_is_kept(kept):
    steps = 100_000  # seconds of work, and this process has to find only a part of one
    with kept.connect() as session:
        job = gromos.Simulation(water(session, name="logged"), parameters(steps)).run(resume=True)
        run_until(job, 100)
        before = job.log()
        kill_worker(kept)
        about = job.wait()
        assert (about.status, about.step, about.steps) == ("done", steps, steps)
        after = job.log()
        assert after[: len(before)] == before
        texts = [line.text for line in after]
        died = texts.index("the daemon died; this job goes on under another")
        assert after[died].level == "warning" and died >= len(before)
        assert texts[died + 1].startswith("goes on from step ")
        assert texts[-1] == f"done after {steps} of {steps} steps"


def test_without_resume_it_is_reported(kept):
    p = parameters(ENDLESS)
    with kept.connect() as session:
        s = water(session, name="plain")
        job = gromos.Simulation(s, p).run()
        run_until(job, 100)
        kill_worker(kept)
        about = job.describe()
        assert about.status == "failed" and "daemon died" in about.message
        assert about.state == s.state.uuid and about.steps == ENDLESS
        assert any("begins at step" in line.text for line in job.log()) and job.log()[-1].text.startswith("failed: the daemon died")
        with pytest.raises(gromos.SimulationFailedError, match="daemon died"):
            job.wait()
        # The State is free and at a published step, one in ten: the one the job has just computed may not have been published yet.
        step = s.state.step
        assert step >= 90 and step % 10 == 0 and s.state.describe().lease == 0
        with s.state.snapshot() as f:
            assert f.step == step and np.array_equal(f.positions(), s.state.positions())
        gromos.Simulation(s, p).run(10, wait=True)
        assert s.state.step == step + 10


def test_a_queued_job_is_started_again(kept):
    p = parameters(ENDLESS)
    with kept.connect() as session:
        threads = session.info().threads
        first, second = water(session, name="first"), water(session, name="second")
        a = gromos.Simulation(first, p, threads=threads).run(resume=True)
        b = gromos.Simulation(second, p, threads=threads).run(resume=True)
        run_until(a, 100)
        assert b.status == "queued"
        kill_worker(kept)
        steps = []
        for job in (a, b):
            run_until(job, 200)
            steps.append(stopped(job))
        for system, n in zip((first, second), steps, strict=True):
            whole = water(session)
            gromos.Simulation(whole, p, threads=threads).run(n, wait=True)
            assert_goes_on_as(whole, system, p, threads=threads)


def test_two_deaths_without_a_step_between_end_it(kept):
    """Frames so rare that none is published before the daemon dies again."""
    p = parameters(ENDLESS)
    with kept.connect() as session:
        s = water(session, name="hopeless")
        job = gromos.Simulation(s, p, publish_every=ENDLESS).run(resume=True)
        run_until(job, 10)
        kill_worker(kept)
        wait_until(lambda: job.status == "running", what="the second start")
        kill_worker(kept)
        wait_until(lambda: job.status == "failed", what="giving up")
        assert "twice in a row" in job.describe().message
        # Nothing of it comes back a third time.
        kill_worker(kept)
        with pytest.raises(gromos.NotFoundError):
            job.describe()


def test_a_deleted_state_takes_its_job_along(kept):
    p = parameters(ENDLESS)
    with kept.connect() as session:
        s = water(session, name="deleted")
        job = gromos.Simulation(s, p).run(resume=True)
        run_until(job, 100)
        s.state.delete(force=True)
        wait_until(lambda: job.ended, what="the end of the job")
        kill_worker(kept)
        assert session.states() == []
        assert "goes on" not in kept.log()


def test_what_was_kept_is_given_back(kept):
    """After jobs have ended the holder has what belongs to the State, and that once."""
    p = parameters(20)
    with kept.connect() as session:
        s = water(session, name="s")
        for _ in range(6):
            gromos.Simulation(s, p).run(wait=True, resume=True)
        left = ["gd-frames", "gromosd-counters", "gromosd-kept", "gromosd-live", "gromosd-run", "gromosd-undo"]  # one State's, and the daemon's own
        wait_until(lambda: held(kept) == left, what="the segments of the jobs to be given back")


def test_a_checkpoint_restored_under_a_keeper_survives_with_its_run(kept, tmp_path):
    p = parameters(60)
    with kept.connect() as session:
        whole, halved = water(session), water(session)
        gromos.Simulation(whole, p).run(60, wait=True)
        gromos.Simulation(halved, p).run(30, wait=True)
        halved.state.checkpoint(tmp_path / "c.h5")
        restored = gromos.System(halved.topology, session.restore(tmp_path / "c.h5", "restored"))
        kill_worker(kept)
        gromos.Simulation(restored, p).run(30, wait=True)
        assert same(whole.state, restored.state)


def test_a_cancelled_job_does_not_come_back(kept):
    p = parameters(ENDLESS)
    with kept.connect() as session:
        # A step that takes long, so that the daemon dies before the job has heard of the cancellation; either order is right.
        s = water(session, n=343, name="cancelled")
        job = gromos.Simulation(s, p).run(resume=True)
        run_until(job, 1)
        job.cancel()
        kill_worker(kept, when_protected=False)
        assert [j.status for j in gromos.jobs(session)] in ([], ["cancelled"])
        assert "it goes on" not in kept.log()
        gromos.Simulation(s, p).run(5, wait=True)

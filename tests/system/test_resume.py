"""Runs whose daemon is killed: those that are to resume do so by themselves, bit for bit, the others are reported as failed."""

import gzip
import os
import signal
import time
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import wait_until
from md_water import parameters, same, water

FILES = ("trc", "trv", "tre", "fin")
STEPS = 3000


def worker_of(d):
    """The process that serves, under the one that keeps; None while there is none."""
    children = Path(f"/proc/{d.pid}/task/{d.pid}/children").read_text().split()
    return int(children[0]) if children else None


def kill_worker(d):
    pid = worker_of(d)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: worker_of(d) not in (None, pid), what="a new worker")


def paths(folder, name, ending=""):
    return {k: folder / f"{name}.{k}{ending}" for k in FILES}


def equal_files(folder, a, b, ending=""):
    return [k for k in FILES if (folder / f"{a}.{k}{ending}").read_bytes() != (folder / f"{b}.{k}{ending}").read_bytes()] == []


def run_until(job, step):
    wait_until(lambda: job.describe().step >= step, 30.0, f"step {step}")


@pytest.fixture
def kept(make_daemon):
    return make_daemon("--keep")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_killed_daemon_resumes_bit_for_bit(kept, tmp_path, threads, ending):
    p = parameters(STEPS, every=7)
    with kept.connect() as session:
        whole, killed = water(session), water(session, name="killed")
        gromos.Simulation(whole, p, threads=threads).run(wait=True, **paths(tmp_path, "whole", ending))
        job = gromos.Simulation(killed, p, threads=threads).run(resume=True, **paths(tmp_path, "killed", ending))
        for part in (0.2, 0.4):  # far from the end, however late this process gets its turn
            run_until(job, part * STEPS)
            kill_worker(kept)
        about = job.wait()
        assert (about.status, about.step, about.steps) == ("done", STEPS, STEPS)
        assert same(whole.state, killed.state)
        if not ending:
            assert equal_files(tmp_path, "whole", "killed")
        else:
            for k in ("trc", "trv", "tre"):
                assert gzip.decompress(paths(tmp_path, "whole", ending)[k].read_bytes()) == gzip.decompress(paths(tmp_path, "killed", ending)[k].read_bytes())
        # The next run goes on from there as well, and its job has a number of its own.
        more = gromos.Simulation(killed, p, threads=threads).run(50)
        assert more.number > job.number
        more.wait()
        gromos.Simulation(whole, p, threads=threads).run(50, wait=True)
        assert same(whole.state, killed.state)


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
    p = parameters(STEPS)
    with kept.connect() as session:
        whole, killed = water(session), water(session, name="killed")
        gromos.Simulation(whole, p).run(wait=True)
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
        job.wait()
        assert same(whole.state, killed.state)


def paused_at_its_start(session, system, p):
    """A job that has made no step yet: paused while it waited behind another one."""
    threads = session.info().threads
    blocker = gromos.Simulation(water(session), p, threads=threads).run(10**7)
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
    p = parameters(20000, every=5)
    with kept.connect() as session:
        s = water(session, name="changed")
        job = gromos.Simulation(s, p).run(resume=True, trc=tmp_path / "x.trc")
        run_until(job, 100)
        job.change(positions_every=1000, publish_every=20)
        at = job.describe().step
        run_until(job, at + 200)
        kill_worker(kept)
        job.wait()
        frames = (tmp_path / "x.trc").read_text().count("POSITIONRED")
        assert frames < (at + 400) / 5 + 21


def test_the_log_is_kept(kept):
    p = parameters(20000)
    with kept.connect() as session:
        job = gromos.Simulation(water(session, name="logged"), p).run(resume=True)
        run_until(job, 100)
        before = job.log()
        kill_worker(kept)
        job.wait()
        after = job.log()
        assert after[: len(before)] == before
        texts = [line.text for line in after]
        died = texts.index("the daemon died; this job goes on under another")
        assert after[died].level == "warning" and died >= len(before)
        assert texts[died + 1].startswith("goes on from step ")
        assert texts[-1] == "done after 20000 of 20000 steps"


def test_without_resume_it_is_reported(kept):
    p = parameters(1000000)
    with kept.connect() as session:
        s = water(session, name="plain")
        job = gromos.Simulation(s, p).run()
        run_until(job, 100)
        kill_worker(kept)
        about = job.describe()
        assert about.status == "failed" and "daemon died" in about.message
        assert about.state == s.state.uuid and about.steps == 1000000
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
    p = parameters(STEPS)
    with kept.connect() as session:
        threads = session.info().threads
        whole, first, second = water(session), water(session, name="first"), water(session, name="second")
        gromos.Simulation(whole, p, threads=threads).run(wait=True)
        a = gromos.Simulation(first, p, threads=threads).run(resume=True)
        b = gromos.Simulation(second, p, threads=threads).run(resume=True)
        run_until(a, 100)
        assert b.status == "queued"
        kill_worker(kept)
        a.wait(), b.wait()
        assert same(whole.state, first.state) and same(whole.state, second.state)


def test_two_deaths_without_a_step_between_end_it(kept):
    """Frames so rare that none is published before the daemon dies again."""
    p = parameters(1000000)
    with kept.connect() as session:
        s = water(session, name="hopeless")
        job = gromos.Simulation(s, p, publish_every=1000000).run(resume=True)
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
    p = parameters(1000000)
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
    """After jobs have ended the holder has as many descriptors as before."""
    p = parameters(20)
    with kept.connect() as session:
        s = water(session, name="s")
        gromos.Simulation(s, p).run(wait=True, resume=True)
        time.sleep(0.3)
        before = len(os.listdir(f"/proc/{kept.pid}/fd"))
        for _ in range(5):
            gromos.Simulation(s, p).run(wait=True, resume=True)
        wait_until(lambda: len(os.listdir(f"/proc/{kept.pid}/fd")) == before, what="the descriptors to be given back")


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
    p = parameters(1000000)
    with kept.connect() as session:
        # A step that takes long, so that the daemon dies before the job has heard of the cancellation; either order is right.
        s = water(session, n=343, name="cancelled")
        job = gromos.Simulation(s, p).run(resume=True)
        run_until(job, 1)
        job.cancel()
        kill_worker(kept)
        assert [j.status for j in gromos.jobs(session)] in ([], ["cancelled"])
        assert "it goes on" not in kept.log()
        gromos.Simulation(s, p).run(5, wait=True)

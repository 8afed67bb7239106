"""Checkpoints: a State in a file and back, bit for bit; damaged files; checkpoints by the clock."""

import itertools
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import gromos
import h5py
import numpy as np
import pytest
from conftest import wait_until
from gromos import _parameter_blocks as blocks
from md_water import parameters, same, water
from MDAnalysis.coordinates.H5MD import H5MDReader

DATA = Path(gromos.__file__).parent / "data"
FIXTURE = Path(__file__).parents[1] / "unit" / "data" / "checkpoint_v1.h5"
FLOAT32_EPSILON = 2.0**-24  # half a unit in the last place, relative


def alanine(session, **options):
    return gromos.System.from_files(
        DATA / "alanine.top", DATA / "alanine.cnf", num_temp_groups=2, num_energy_groups=2, dtype="float64", session=session, **options
    )


# --- there and back -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "box",
    [gromos.Box.vacuum(), gromos.Box.rectangular(2, 3, 4), gromos.Box.truncated_octahedron(3.5)],
    ids=["vacuum", "rectangular", "octahedron"],
)
def test_a_restored_state_is_the_same(session, tmp_path, dtype, box):
    rng = np.random.default_rng(1)
    s = gromos.State(50, num_temp_groups=3, num_energy_groups=2, dtype=dtype, name="original", session=session)
    s.set(positions=rng.normal(size=(50, 3)), velocities=rng.normal(size=(50, 3)), forces=rng.normal(size=(50, 3)),
          masses=rng.uniform(1, 20, 50), box=box, step=7, time=0.25)  # fmt: skip
    s.set_molecules([0, 3, 10, 50])
    told = s.checkpoint(tmp_path / "s.h5")
    assert (told.version, told.step, told.continues) == (s.version, 7, False)
    r = gromos.restore(tmp_path / "s.h5", "copy", session=session)
    assert same(s, r)
    assert np.array_equal(s.masses(), r.masses())
    assert (r.name, r.dtype, r.num_temp_groups, r.num_energy_groups, r.version) == ("copy", s.dtype, 3, 2, s.version)
    assert r.describe().molecules == 3 and r.uuid != s.uuid
    s.delete(), r.delete()


def test_names(session, tmp_path):
    s = gromos.State(3, name="named", session=session)
    s.checkpoint(tmp_path / "s.h5")
    with pytest.raises(gromos.NameTakenError):
        gromos.restore(tmp_path / "s.h5", session=session)
    assert session.restore(tmp_path / "s.h5", "").name is None
    s.delete()
    r = session.restore(tmp_path / "s.h5")
    assert r.name == "named"
    r.delete()


def test_a_checkpoint_replaces_the_one_before_as_a_whole(session, tmp_path):
    s = gromos.State(20, session=session)
    for step in range(5):
        s.set(step=step)
        s.checkpoint(tmp_path / "s.h5")
        assert session.restore(tmp_path / "s.h5", "").step == step
    assert [p.name for p in tmp_path.iterdir()] == ["s.h5"]


def test_inside_an_own_edit_it_is_refused_at_once(session, tmp_path):
    s = gromos.State(5, name="edited", session=session)
    for handle in (s, gromos.attach("edited", session=session)):
        with s.edit() as e:
            e.positions()[:] = 1
            with pytest.raises(gromos.ConflictError, match="inside an edit of this session"):
                handle.checkpoint(tmp_path / "s.h5")
        assert (s.positions() == 1).all()
    assert not (tmp_path / "s.h5").exists()
    s.checkpoint(tmp_path / "s.h5")
    assert same(s, session.restore(tmp_path / "s.h5", ""))
    s.delete()


def test_another_thread_of_the_session_waits_for_the_edit(session, tmp_path):
    s = gromos.State(5, session=session)
    written = []
    writer = threading.Thread(target=lambda: written.append(s.checkpoint(tmp_path / "s.h5")))
    with s.edit() as e:
        e.positions()[:] = 1
        writer.start()
        wait_until(lambda: s.describe().waiters == 1)
        assert not written
    writer.join(60)
    assert [told.version for told in written] == [1]


def test_labels_and_origin_come_along(session, tmp_path):
    a = gromos.load(DATA / "alanine.cnf", session=session)
    a.checkpoint(tmp_path / "a.h5")
    r = session.restore(tmp_path / "a.h5", "")
    a.to_file(tmp_path / "a.cnf")
    r.to_file(tmp_path / "r.cnf")
    assert (tmp_path / "a.cnf").read_bytes() == (tmp_path / "r.cnf").read_bytes()


def test_where_it_cannot_be_written_it_says_so(session, tmp_path):
    s = gromos.State(3, session=session)
    with pytest.raises(gromos.FileAccessError, match="nowhere"):
        s.checkpoint(tmp_path / "nowhere" / "s.h5")
    with pytest.raises(gromos.FileAccessError):
        session.restore(tmp_path / "missing.h5")
    with pytest.raises(gromos.FileAccessError, match="regular"):
        session.restore(tmp_path)


def test_remote_sessions_have_no_files(daemon):
    with daemon.connect_tcp() as remote:
        s = gromos.State(3, session=remote)
        with pytest.raises(gromos.UnsupportedError):
            s.checkpoint("/tmp/never.h5")
        with pytest.raises(gromos.UnsupportedError):
            remote.restore("/tmp/never.h5")
        with pytest.raises(gromos.NotAuthorizedError):
            remote.commands.state_checkpoint(s.uuid, path="/tmp/never.h5")


# --- continuation, bit for bit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_goes_on_bit_for_bit_from_a_checkpoint(session, tmp_path, threads):
    p = parameters(100)
    whole, halved = water(session), water(session)
    gromos.Simulation(whole, p, threads=threads).run(100, wait=True)
    gromos.Simulation(halved, p, threads=threads).run(50, wait=True)
    assert halved.state.checkpoint(tmp_path / "c.h5").continues
    topology = halved.topology
    halved.state.delete()
    restored = gromos.System(topology, session.restore(tmp_path / "c.h5"))
    gromos.Simulation(restored, p, threads=threads).run(50, wait=True)
    assert same(whole.state, restored.state)


def test_with_a_thermostat_and_charge_groups(session, tmp_path):
    p = gromos.InputParameters.from_file(DATA / "alanine.imd")
    whole, halved = alanine(session), alanine(session)
    gromos.Simulation(whole, p).run(20, wait=True)
    gromos.Simulation(halved, p).run(7, wait=True)
    halved.state.checkpoint(tmp_path / "c.h5")
    restored = gromos.System(halved.topology, session.restore(tmp_path / "c.h5"))
    gromos.Simulation(restored, p).run(13, wait=True)
    assert same(whole.state, restored.state)


def nose_hoover(steps, cutoffs):
    return gromos.InputParameters.nvt(num_steps=steps, cutoffs=cutoffs, thermostat="nose-hoover-chains")


def constant_pressure(steps, cutoffs):
    return gromos.InputParameters.npt(num_steps=steps, cutoffs=cutoffs)


def velocity_verlet(steps, cutoffs):
    p = gromos.InputParameters.nvt(num_steps=steps, cutoffs=cutoffs)
    p.integrator = "velocity-verlet"
    return p


def stochastic(steps, cutoffs):
    p = gromos.InputParameters.nve(num_steps=steps, cutoffs=cutoffs)
    p.stochdyn = blocks.StochDyn(ntsd=1, ntfr=1, cfric=10.0, tempsd=300.0)
    p.initialise.ntisti = 1
    return p


def rare_pair_lists(steps, cutoffs):
    p = gromos.InputParameters.nvt(num_steps=steps, cutoffs=cutoffs)
    p.pairlist.nsnb = 7
    return p


@pytest.mark.parametrize("make", [nose_hoover, constant_pressure, velocity_verlet, stochastic, rare_pair_lists])
def test_whatever_moves_it_goes_on_bit_for_bit(session, tmp_path, make):
    p = make(60, 0.4)
    p.initialise.ntivel, p.initialise.tempi, p.seed, p.initialise.ntishk = 1, 300.0, 4711, 3
    whole, parted = water(session), water(session)
    gromos.Simulation(whole, p).run(60, wait=True)
    gromos.Simulation(parted, p).run(23, wait=True)
    parted.state.checkpoint(tmp_path / "c.h5")
    restored = gromos.System(parted.topology, session.restore(tmp_path / "c.h5", ""))
    gromos.Simulation(restored, p).run(37, wait=True)
    assert same(whole.state, restored.state)


def test_a_checkpoint_of_a_running_or_paused_job_continues(session, tmp_path):
    p = parameters(400_000)  # more than it is given the time for
    other = water(session)
    job = gromos.Simulation(other, p).run()
    wait_until(lambda: job.describe().step > 0, what="the first step")
    running = other.state.checkpoint(tmp_path / "running.h5")
    job.pause()
    wait_until(lambda: job.status == "paused", what="the pause")
    paused = other.state.checkpoint(tmp_path / "paused.h5")
    job.resume()
    wait_until(lambda: job.describe().step > paused.step, what="a step after the pause")
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait()
    steps = other.state.step
    assert running.step <= paused.step < steps
    whole = water(session)
    gromos.Simulation(whole, p).run(steps, wait=True)
    assert same(whole.state, other.state)
    for told, name in ((running, "running.h5"), (paused, "paused.h5")):
        assert told.continues
        restored = gromos.System(other.topology, session.restore(tmp_path / name))
        gromos.Simulation(restored, p).run(steps - told.step, wait=True)
        assert same(whole.state, restored.state)


def test_changed_after_the_run_it_starts_from_what_is_there(session, tmp_path):
    p = parameters(10)
    s = water(session)
    gromos.Simulation(s, p).run(10, wait=True)
    s.state.set_velocities(np.zeros((s.state.num_atoms(), 3)))
    assert not s.state.checkpoint(tmp_path / "c.h5").continues


# --- other tools ---------------------------------------------------------------------------------------------------


def test_h5py_reads_it(session, tmp_path):
    s = water(session)
    gromos.Simulation(s, parameters(10)).run(10, wait=True)
    s.state.checkpoint(tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5") as f:
        assert list(f["h5md"].attrs["version"]) == [1, 1]
        everything = f["particles/all"]
        assert np.array_equal(everything["position/value"][0], s.state.positions())
        assert np.array_equal(everything["velocity/value"][0], s.state.velocities())
        assert np.array_equal(everything["force/value"][0], s.state.forces())
        assert np.array_equal(everything["mass"], s.state.masses())
        assert everything["position/value"].attrs["unit"] == "nm" and everything["position/step"][0] == 10
        assert f["observables/potential_energy/value"][0] == s.state.energies.potential
        assert f["observables/potential_energy/value"].attrs["unit"] == "kJ mol-1"


def test_mdanalysis_reads_it(session, tmp_path):
    s = water(session)
    gromos.Simulation(s, parameters(10)).run(10, wait=True)
    s.state.checkpoint(tmp_path / "s.h5")
    reader = H5MDReader(str(tmp_path / "s.h5"))
    # MDAnalysis holds positions in Angstrom as float32: one rounding of each, and one of the product.
    assert np.allclose(reader.ts.positions, 10.0 * s.state.positions(), rtol=4 * FLOAT32_EPSILON, atol=0)
    assert reader.ts.dimensions[0] == pytest.approx(10.0 * s.state.box.dimensions().a, rel=4 * FLOAT32_EPSILON)
    assert reader.ts.data["step"] == 10
    reader.close()


# --- damaged files -------------------------------------------------------------------------------------------------


@pytest.fixture
def sound(session, tmp_path):
    s = gromos.State(40, session=session)
    s.set(positions=np.random.default_rng(2).normal(size=(40, 3)), step=3)
    s.checkpoint(tmp_path / "sound.h5")
    return tmp_path / "sound.h5"


def test_cut_short_anywhere_it_is_refused(session, sound):
    whole = sound.read_bytes()
    cut = sound.with_name("cut.h5")
    for size in sorted({0, 1, 18, 19, 60, 511, 512, 513, len(whole) - 1, *range(0, len(whole), 997)}):
        cut.write_bytes(whole[:size])
        with pytest.raises(gromos.CorruptDataError, match="cut.h5"):
            session.restore(cut)
    cut.write_bytes(whole + b"\0")
    with pytest.raises(gromos.CorruptDataError, match="bytes"):
        session.restore(cut)
    assert session.restore(sound, "").step == 3


def test_with_any_bit_turned_it_is_refused(session, sound):
    whole = sound.read_bytes()
    turned = sound.with_name("turned.h5")
    rng = random.Random(3)
    places = list(range(100)) + [rng.randrange(100, len(whole)) for _ in range(300)]
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.randrange(8)
        turned.write_bytes(damaged)
        # A turned bit of the format number may make it a later format.
        with pytest.raises((gromos.CorruptDataError, gromos.UnsupportedError), match="turned.h5"):
            session.restore(turned)
    assert session.ping() < 5.0


def test_what_is_no_checkpoint_is_refused(session, tmp_path):
    for name, content in (("empty", b""), ("text", b"hello\n" * 200), ("hdf5", b"\x89HDF\r\n\x1a\n" + bytes(2000))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(gromos.CorruptDataError, match="not a checkpoint"):
            session.restore(tmp_path / name)


def test_a_later_format_is_named(session, sound):
    later = sound.read_bytes().replace(b"format 1\n", b"format 9\n", 1)
    sound.write_bytes(later)
    with pytest.raises(gromos.UnsupportedError, match="format 9"):
        session.restore(sound)


def test_format_1_is_still_read(session):
    s = session.restore(FIXTURE, "")
    assert (s.num_atoms(), s.step, s.time, s.version) == (4, 12, 0.5, 3)
    assert np.array_equal(s.positions(), np.arange(12, dtype=np.float32).reshape(4, 3) / 8)
    assert np.array_equal(s.masses(), [1.0, 2.0, 3.0, 4.0])
    assert s.box == gromos.Box.rectangular(2, 3, 4) and s.describe().molecules == 2


# --- by the clock --------------------------------------------------------------------------------------------------


def step_in(file, session):
    """Of the State in a checkpoint; -1 if there is none yet."""
    return session.restore(file, "").step if file.exists() else -1


def test_by_the_clock(make_daemon, tmp_path):
    folder = tmp_path / "kept"
    d = make_daemon("--checkpoint-dir", str(folder), "--checkpoint-interval", "1")
    with d.connect() as session:
        s = gromos.State(10, name="a/b", session=session)
        gromos.State(10, session=session)
        s.set(step=5)
        file = folder / "a%2Fb.h5"
        wait_until(lambda: step_in(file, session) == 5, what="the first checkpoint")
        s.set(step=6)
        wait_until(lambda: step_in(file, session) == 6, what="the second checkpoint")
        written = file.stat().st_mtime_ns
        time.sleep(1.5)  # unchanged: not written again
        assert file.stat().st_mtime_ns == written
        assert [p.name for p in folder.iterdir()] == ["a%2Fb.h5"]


def test_a_folder_that_went_missing_does_not_keep_states_from_being_taken_over(make_daemon, tmp_path):
    folder = tmp_path / "above" / "checkpoints"
    folder.parent.mkdir()
    d = make_daemon("--keep", "--checkpoint-dir", str(folder))
    with d.connect() as session:
        s = gromos.State(3, name="kept", session=session)
        s.set_positions(np.ones((3, 3)))
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        shutil.rmtree(folder.parent)
        worker = session.info().pid
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: session.info().pid != worker, what="a new worker")
        assert (session.attach("kept").positions() == 1).all()
        assert f"checkpoint_dir {folder} cannot be made: No such file or directory; the States that were taken over" in d.log()


def test_by_the_clock_an_edit_is_not_disturbed(make_daemon, tmp_path):
    d = make_daemon("--checkpoint-dir", str(tmp_path), "--checkpoint-interval", "1", "--lease-limit", "0.2")
    with d.connect() as session:
        s = gromos.State(10, name="edited", session=session)
        file = tmp_path / "edited.h5"
        for step in itertools.count(1):
            s.set(step=step)
            with s.edit() as e:
                before = step_in(file, session)
                if before == step:
                    continue  # the clock came in between, and this edit would hold up no checkpoint
                e.positions()[:] = 1.0
                wait_until(lambda: "its checkpoint waits" in d.log(), what="the line in the log")
                time.sleep(1.0)
                assert step_in(file, session) == before
                break
        wait_until(lambda: step_in(file, session) == step, what="the checkpoint after the edit")
        assert (session.restore(file, "").positions() == 1.0).all()
        assert s.describe().generation == 1


def test_by_the_clock_while_a_job_runs(make_daemon, tmp_path):
    d = make_daemon("--checkpoint-dir", str(tmp_path), "--checkpoint-interval", "1")
    with d.connect() as session:
        s = water(session, name="runs")
        p = parameters(200000)
        job = gromos.Simulation(s, p).run()
        wait_until(lambda: step_in(tmp_path / "runs.h5", session) > 0, what="the checkpoint")
        job.cancel()
        r = gromos.System(s.topology, session.restore(tmp_path / "runs.h5", ""))
        step = r.state.step
        assert step > 0
        # It goes on from there as the same run from the beginning does.
        whole = water(session)
        gromos.Simulation(whole, p).run(step + 20, wait=True)
        gromos.Simulation(r, p).run(20, wait=True)
        assert same(whole.state, r.state)


def test_by_the_clock_a_failure_is_logged(make_daemon, tmp_path):
    folder = tmp_path / "gone"
    d = make_daemon("--checkpoint-dir", str(folder), "--checkpoint-interval", "1")
    with d.connect() as session:
        shutil.rmtree(folder)
        s = gromos.State(10, name="x", session=session)
        s.set(step=1)
        wait_until(lambda: "x was not written" in d.log(), what="the line in the log")
        os.mkdir(folder)
        wait_until((folder / "x.h5").exists, what="the next try")


# --- many at once --------------------------------------------------------------------------------------------------


def test_from_many_threads(session, tmp_path):
    """Every file is one commit, whoever writes and edits meanwhile."""
    s = gromos.State(500, session=session)
    faults = []

    def edit(stop):
        step = 0
        while not stop.is_set():
            step += 1
            s.set(positions=np.full((500, 3), step), step=step, timeout=60)

    def write(k):
        try:
            for i in range(10):
                path = tmp_path / f"{k}.{i}.h5"
                s.checkpoint(path)
                r = session.restore(path, "")
                if not (r.positions() == r.step).all():
                    faults.append((k, i, r.step))
        except Exception as error:
            faults.append(error)

    stop = threading.Event()
    editor = threading.Thread(target=edit, args=(stop,))
    writers = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    editor.start()
    for w in writers:
        w.start()
    for w in writers:
        w.join()
    stop.set()
    editor.join()
    assert faults == []

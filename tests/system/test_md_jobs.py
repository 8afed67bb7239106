"""Simulations as jobs of a real daemon: running, watching, steering, continuing."""

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import gromos
import h5py
import numpy as np
import pytest
from gromos import _parameter_blocks as blocks
from gromos._protocol import Commands

from conftest import BINARY, wait_until

DATA = Path(gromos.__file__).parent / "data"
SPACING = 0.31  # nm, between water molecules at the start


def water(session, n=64, dtype="float64", name=None, **options):
    """SPC water on a lattice, from arrays alone: molecules upright in turn along x, y and z, so that none is special."""
    # Types OW and HW; parameters of SPC, kJ/mol and nm.
    lj = np.zeros((2, 2, 2))
    lj[0, 0] = 2.634129e-06, 2.617346e-03
    topology = gromos.Topology(solvent=gromos.Solvent.spc(0, 1), type_names=["OW", "HW"], lj=lj)
    edge = round(n ** (1 / 3))
    assert edge**3 == n
    oxygen = np.stack(np.meshgrid(*[np.arange(edge) * SPACING] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    half = np.radians(109.4712 / 2)
    positions = np.repeat(oxygen, 3, axis=0)
    for k in range(n):
        a, b = k % 3, (k + 1) % 3
        for atom, sign in ((1, 1), (2, -1)):
            positions[3 * k + atom, a] += 0.1 * np.cos(half)
            positions[3 * k + atom, b] += sign * 0.1 * np.sin(half)
    state = gromos.State(3 * n, dtype=dtype, name=name, session=session, **options)
    state.set(positions=positions, box=gromos.Box.rectangular(*[edge * SPACING] * 3))
    return gromos.System(topology, state)


def nve(num_steps=20, **options):
    """Water of an atom's velocities at 300 K, short cutoffs for a small box."""
    p = gromos.InputParameters.nve(num_steps=num_steps, cutoffs=0.6, **options)
    p.initialise.ntivel, p.initialise.tempi, p.seed = 1, 300.0, 4711
    p.initialise.ntishk = 3
    p.comtransrot.nscm = 0
    return p


def settled(p):
    """The same for runs that go on: velocities are there already."""
    p = p.copy()
    p.initialise.ntivel = p.initialise.ntishk = 0
    return p


@pytest.fixture(scope="module")
def start(session):
    """A State that has moved a little, to clone runs from: constraints hold and velocities are thermal."""
    system = water(session)
    gromos.Simulation(system, nve(10)).run(wait=True, progress=False)
    return system


def clone(system):
    return gromos.System(system.topology, system.state.clone())


def arrays(state):
    return np.array(state.positions()), np.array(state.velocities())


def displacement(start, end, box):
    """From one set of positions to another by the nearest image: a run keeps molecules in the box."""
    d = np.asarray(end) - np.asarray(start)
    lengths = np.array(box.dimensions()[:3] if not hasattr(box.dimensions(), "lengths") else box.dimensions().lengths)
    return d - lengths * np.round(d / lengths)


def same(one, other):
    return all((a == b).all() for a, b in zip(arrays(one), arrays(other), strict=True))


def long_run(system, **options):
    """A run that does not end by itself within a test."""
    return gromos.Simulation(system, settled(nve(10**7)), publish_every=5).run(**options)


# --- running ---------------------------------------------------------------------------------------------------------


def test_a_run_moves_the_state_and_says_how_far_it_is(start):
    system = clone(start)
    before = arrays(system.state)[0]
    job = gromos.Simulation(system, settled(nve(25))).run()
    about = job.wait(timeout=200)
    assert (about.status, about.step, about.steps) == ("done", 25, 25)
    assert about.time == pytest.approx(system.state.time)
    assert system.state.step == start.state.step + 25
    assert about.ns_per_day > 0
    assert about.elapsed > 0
    assert about.message == ""
    assert about.phases["nonbonded"] > 0
    assert job.status == job.progress().status == "done"
    assert job.ended
    # 50 fs at thermal speed, 1.3 nm/ps for a hydrogen.
    assert 1e-4 < np.abs(displacement(before, system.state.positions(), system.state.box)).max() < 0.2
    assert job.energies.total() == system.state.energies.total() != 0
    assert f"Job {job.number}" in repr(job)
    assert "ns/day" in job._repr_html_()
    assert job.number in [other.number for other in gromos.jobs(system.state.session)]


def test_a_step_gives_its_energies(start):
    system = clone(start)
    simulation = gromos.Simulation(system, settled(nve()))
    energies = simulation.step()
    assert system.state.step == start.state.step + 1
    assert energies.kinetic > 0
    assert energies.temperature == pytest.approx(energies.kinetic / (0.5 * 0.00831441 * energies.bath_dof.sum()), rel=1e-9)
    assert energies.potential == pytest.approx(energies.lj + energies.coulomb, rel=1e-12)
    simulation.step(3)
    assert system.state.step == start.state.step + 4


def test_a_single_point_moves_nothing(start):
    system = clone(start)
    before = arrays(system.state)
    simulation = gromos.Simulation(system, settled(nve()))
    forces, energies = simulation.single_point()
    assert forces.shape == (192, 3)
    assert np.abs(forces).max() > 10
    # No external force: the sum over all atoms vanishes but for rounding.
    assert np.abs(forces.sum(axis=0)).max() < 1e-9 * np.abs(forces).sum()
    assert (simulation.forces() == forces).all()
    assert simulation.energies().potential == energies.potential < 0
    assert all((a == b).all() for a, b in zip(arrays(system.state), before, strict=True))
    assert system.state.step == start.state.step


def test_forces_are_minus_the_gradient(session):
    """Central differences of the potential energy, on the example's flexible solute alone."""
    read = gromos.Topology.from_file(DATA / "alanine.top", session=session)
    state = gromos.State(12, dtype="float64", session=session)
    whole = gromos.load(DATA / "alanine.cnf", dtype="float64", session=session)
    x = np.array(whole.positions()[:12])
    state.set_positions(x)
    params = gromos.InputParameters.nve(constraints="none", cutoffs=3.0)
    params.comtransrot.nscm = 0
    simulation = gromos.Simulation(gromos.System(read, state), params)
    forces = simulation.forces()
    h = 1e-5  # nm: error of second order in h, of the difference 1e-16 * 1e3 / h
    for atom, axis in ((0, 0), (3, 1), (5, 2), (7, 0), (11, 1)):
        energies = []
        for sign in (1, -1):
            moved = x.copy()
            moved[atom, axis] += sign * h
            state.set_positions(moved)
            energies.append(simulation.energies().potential)
        assert forces[atom, axis] == pytest.approx(-(energies[0] - energies[1]) / (2 * h), rel=1e-5, abs=1e-3)


def test_energy_and_momentum_are_conserved(start):
    """Rigid water without a thermostat for 0.1 ps. The short cutoff makes noise, so the bound on the energy is loose."""
    system = clone(start)
    reporter = gromos.EnergyReporter(["total", "kinetic"])
    gromos.Simulation(system, settled(nve(100, dt=0.001)), publish_every=10).run(wait=True, reporters=[reporter], progress=False)
    total = reporter["total"]
    assert len(total) == 10
    momentum = (system.state.masses()[:, None] * system.state.velocities()).sum(axis=0)
    thermal = np.sqrt(system.state.masses().sum() * 0.00831441 * 300)
    assert np.abs(momentum - (start.state.masses()[:, None] * start.state.velocities()).sum(axis=0)).max() < 1e-9 * thermal
    assert np.ptp(total) < 0.1 * reporter["kinetic"].mean()


def test_minimisation_goes_down(session):
    system = water(session, 27)
    system.state.set(box=gromos.Box.rectangular(1.3, 1.3, 1.3))
    params = nve(30)
    before = gromos.Simulation(system, settled(params)).energies().potential
    about = gromos.Simulation(system, params).minimize(steps=30, progress=False)
    assert about.status == "done"
    assert 0 < about.step <= 30
    assert system.state.energies.potential < before
    own = gromos.InputParameters.steepest_descent(num_steps=5, cutoffs=0.6)
    assert gromos.Simulation(system, own).minimize(progress=False).step <= 5


def test_float32_states_run_and_agree_at_the_start(session, start):
    low = gromos.State(192, dtype="float32", session=session)
    low.set(positions=start.state.positions(), velocities=start.state.velocities(), box=start.state.box)
    params = settled(nve())
    forces = gromos.Simulation(gromos.System(start.topology, low), params).forces()
    reference = gromos.Simulation(clone(start), params).forces()
    assert forces.dtype == np.float32
    # Positions of 1 nm are rounded to 6e-8 nm; the stiffest force here changes by some 1e5 kJ/mol/nm per nm.
    assert np.abs(forces - reference).max() < 2e-2


# --- bit for bit -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thermostat", [None, "berendsen", "nose-hoover", "bussi"])
def test_two_halves_are_the_whole(start, thermostat):
    params = settled(nve())
    if thermostat is not None:
        params.thermostat, params.temperature = thermostat, 310.0
    params.pairlist.nsnb = 7  # lists are not made where the halves meet
    halves, whole = clone(start), clone(start)
    for _ in range(2):
        gromos.Simulation(halves, params).run(50, wait=True, progress=False)
    gromos.Simulation(whole, params).run(100, wait=True, progress=False)
    assert halves.state.step == whole.state.step
    assert same(halves.state, whole.state)
    assert not same(halves.state, start.state)


def test_the_parrinello_rahman_barostat_moves_the_box_and_goes_on(session):
    system = water(session)
    params = gromos.InputParameters.npt(cutoffs=0.55, temperature=300.0, tau_pressure=2.0, barostat="parrinello-rahman")
    params.initialise.ntivel, params.initialise.tempi, params.seed, params.initialise.ntishk = 1, 300.0, 4711, 3
    gromos.Simulation(system, params).run(10, wait=True, progress=False)
    halves, whole = clone(system), clone(system)
    for _ in range(2):
        gromos.Simulation(halves, settled(params)).run(20, wait=True, progress=False)
    gromos.Simulation(whole, settled(params)).run(40, wait=True, progress=False)
    assert same(halves.state, whole.state)
    assert 1e-6 < abs(whole.state.box.volume() / system.state.box.volume() - 1.0) < 0.05


def test_a_pause_changes_nothing(start):
    params = settled(nve(10**6))
    paused, whole = clone(start), clone(start)
    job = gromos.Simulation(paused, params, publish_every=1).run()
    wait_until(lambda: job.describe().step >= 5, what="five steps")
    job.pause()
    wait_until(lambda: job.status == "paused", what="the pause")
    stopped = job.describe().step
    time.sleep(0.1)
    assert job.describe().step == stopped
    job.resume()
    wait_until(lambda: job.describe().step > stopped + 5, what="going on")
    job.cancel()
    with pytest.raises(gromos.CancelledError, match="cancelled after"):
        job.wait(timeout=200)
    gromos.Simulation(whole, params).run(job.describe().step, wait=True, progress=False)
    assert same(paused.state, whole.state)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_number_of_threads_gives_the_same_bits(start, threads):
    ends = []
    for _ in range(2):
        system = clone(start)
        gromos.Simulation(system, settled(nve(30)), threads=threads).run(wait=True, progress=False)
        ends.append(system.state)
    assert same(*ends)


def test_a_changed_state_is_not_continued(start):
    params = settled(nve(20, thermostat="nose-hoover"))
    one, other = clone(start), clone(start)
    for system in (one, other):
        gromos.Simulation(system, params).run(20, wait=True, progress=False)
    assert same(one.state, other.state)
    one.state.set_velocities(-np.array(one.state.velocities()))
    for system in (one, other):
        gromos.Simulation(system, params).run(20, wait=True, progress=False)
    assert not same(one.state, other.state)


# --- steering --------------------------------------------------------------------------------------------------------


def test_cancel_keeps_what_was_reached(start):
    system = clone(start)
    job = long_run(system)
    wait_until(lambda: job.describe().step > 3, what="some steps")
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait(timeout=200)
    about = job.describe()
    assert about.status == "cancelled"
    assert system.state.step == start.state.step + about.step
    job.cancel()  # once more is fine
    gromos.Simulation(system, settled(nve(2))).run(wait=True, progress=False)  # the State is free again


def test_an_edit_enters_between_two_steps(start):
    system = clone(start)
    reporter = gromos.EnergyReporter(["total"])  # of every published step, however busy the machine: the job keeps them
    job = long_run(system, reporters=[reporter])
    wait_until(lambda: job.describe().step > 3, what="some steps")
    with system.state.edit(timeout=60) as e:
        at, total, kinetic = e.step, system.state.energies.total(), system.state.energies.kinetic
        e.velocities()[:] = 0.0
    wait_until(lambda: len(reporter) > 0 and reporter["step"][-1] > at, what="a step after the edit")
    after = reporter["total"][reporter["step"] > at][0]
    assert reporter.missed == 0
    # The kinetic energy is gone for good: nothing brings it back in NVE, but for the drift of the short cutoff.
    assert after == pytest.approx(total - kinetic, abs=0.3 * kinetic)
    assert job.status == "running"
    job.cancel()


def test_looking_makes_no_frames(start):
    """Frames come as often as the run was asked for, however often somebody computes on its State; an edit makes one of its own."""
    system = clone(start)
    state = system.state
    job = gromos.Simulation(system, settled(nve(10**7)), publish_every=10**6).run()
    wait_until(lambda: job.describe().step > 3, what="some steps")
    before, steps = state.describe().published, []
    for _ in range(10):
        state.temperature()
        state.rdf(range(0, 192, 3), range(0, 192, 3), r_max=0.6)
        steps.append(state.step)
    assert state.describe().published == before
    assert steps == sorted(steps) and len(set(steps)) > 1  # what was computed is of the steps reached by then
    frames = iter(state.frames(timeout=60.0))
    with state.edit(timeout=60) as e:
        e.velocities()[:] = 0.0
    # The run gave way with a frame; the edit has one of its own, of nothing but what it did.
    assert any(not next(frames).velocities().any() for _ in range(2))
    job.cancel()


def test_temperature_can_be_changed_while_it_runs(start):
    system = clone(start)
    params = settled(nve(10**7))
    params.thermostat, params.temperature = "berendsen", 300.0
    params.multibath.baths = [(300.0, 0.01)]
    job = gromos.Simulation(system, params, publish_every=5).run()
    wait_until(lambda: job.describe().step > 3, what="some steps")
    job.change(temperature=900.0)
    wait_until(lambda: job.energies.temperature > 600.0, what="warmth")
    job.change(publish_every=2)
    wait_until(lambda: 2 in np.diff(job.session.commands.job_energies(job=job.number).rows[:, 0]), what="frames every two steps")
    with pytest.raises(gromos.GromosError):
        job.change(bath=7, temperature=1.0)
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait(timeout=200)
    with pytest.raises(gromos.ConflictError):
        job.change(temperature=300.0)
    with pytest.raises(gromos.ConflictError):
        job.pause()


def test_changes_do_not_push_each_other_out(start):
    """All of them hold, also when none was taken before the next came."""
    system = clone(start)
    params = settled(nve(10**7))
    params.thermostat, params.temperature = "berendsen", 300.0
    job = gromos.Simulation(system, params, publish_every=10**6).run()
    wait_until(lambda: job.status == "running", what="the start")
    job.pause()
    wait_until(lambda: job.status == "paused", what="the pause")
    for k in range(10):
        job.change(temperature=310.0 + k)
    job.change(tau=0.25)
    job.change(publish_every=3)
    job.resume()
    wait_until(lambda: any("every 3 steps" in line.text for line in job.log()), what="the changes")
    said = [line.text for line in job.log() if line.text.startswith("from step")]
    assert len(said) == 12 and len({text.split(":")[0] for text in said}) == 1
    assert "319 K, tau 0.25 ps" in said[10]
    job.cancel()


# --- what it said ----------------------------------------------------------------------------------------------------


def test_the_log_of_a_run(start, tmp_path):
    system = clone(start)
    params = settled(nve(20))
    params.title = "Water, cold\nand wet"
    before = time.time()
    job = gromos.Simulation(system, params, publish_every=5).run(trc=tmp_path / "x.trc")
    job.wait(timeout=200, progress=False)
    lines = job.log()
    texts = [line.text for line in lines]
    assert [line.number for line in lines] == list(range(len(lines)))
    assert all(before - 1 <= line.time.timestamp() <= time.time() + 1 for line in lines)
    assert texts[0].startswith(f"job {job.number} on ")
    assert {"Water, cold", "and wet"} < set(texts)
    assert any(t.startswith("192 atoms, 0 of solute and 64 solvent molecules of 3, in a rectangular box") for t in texts)
    assert any(t.startswith("20 steps of 0.002 ps by leap-frog") for t in texts)
    assert any("bath 1: not coupled" in t for t in texts)
    assert f"writes positions to {tmp_path / 'x.trc'}" in texts
    assert "a frame every 5 steps" in texts
    assert texts[-1] == "done after 20 of 20 steps"
    assert {line.level for line in lines} == {"info"}
    assert job.log(after=len(lines)) == []
    assert job.log(after=len(lines) - 1) == lines[-1:]
    assert str(lines[-1]).endswith("  done after 20 of 20 steps")


def test_the_log_while_it_runs(start):
    system = clone(start)
    job = long_run(system)
    wait_until(lambda: job.describe().step > 3, what="some steps")
    assert any("begins at step" in line.text for line in job.log())
    job.pause()
    wait_until(lambda: job.status == "paused", what="the pause")
    with system.state.edit() as e:
        e.velocities()[:] = 0.0
    job.change(publish_every=17)
    job.resume()
    wait_until(lambda: any("17" in line.text for line in job.log()), what="the change")
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait(timeout=200)
    texts = [line.text for line in job.log()]
    order = [next(i for i, t in enumerate(texts) if word in t) for word in ("paused after", "resumed", "an edit of the State was taken", "a frame every 17", "cancelled")]
    assert order == sorted(order)
    assert job.log()[-1].level == "warning"


def test_the_log_has_an_end_and_keeps_the_newest(start):
    system = clone(start)
    params = settled(nve(10**7))
    params.thermostat, params.temperature = "berendsen", 300.0
    job = gromos.Simulation(system, params, publish_every=5).run()
    for k in range(60):  # five lines each
        wait_until(lambda: _changed(job, k), what="room for a change")
    wait_until(lambda: any("bath 1 has 359 K" in line.text for line in job.log()), what="the last change")
    lines = job.log()
    assert len(lines) == 256
    assert lines[0].number > 0 and lines[-1].number == lines[0].number + 255
    job.cancel()


def _changed(job, k):
    try:
        job.change(temperature=300.0 + k, publish_every=10, energies_every=k, positions_every=k)
        job.change(publish_every=10)
    except gromos.ConflictError:
        return False
    return True


def test_the_log_of_a_failure_and_over_tcp(start, remote):
    state = gromos.State(192, dtype="float64", session=remote)
    x = np.array(start.state.positions())
    x[3:6] = x[0:3] + 0.01
    state.set(positions=x, velocities=start.state.velocities(), box=start.state.box)
    job = gromos.Simulation(gromos.System(start.topology, state), settled(nve(500, dt=0.01))).run()
    with pytest.raises(gromos.SimulationFailedError) as caught:
        job.wait(timeout=200)
    last = job.log()[-1]
    assert (last.level, last.text) == ("error", f"failed: {caught.value.message}"[:231])


def interrupt_when_running(state):
    """Ctrl-C as soon as a job runs on the State and this thread waits for its end."""
    waiting = threading.get_ident()

    def waits():
        frame = sys._current_frames()[waiting]
        while frame is not None and frame.f_code is not gromos.Job._await.__code__:
            frame = frame.f_back
        return frame is not None

    def look():
        end = time.monotonic() + 60
        while time.monotonic() < end:
            if any(j.describe().state == state.uuid and j.status == "running" for j in gromos.jobs(state.session)) and waits():
                os.kill(os.getpid(), signal.SIGINT)
                return
            time.sleep(0.02)

    threading.Thread(target=look).start()


def test_waiting_has_a_limit_and_interrupting_it_leaves_the_run(start):
    system = clone(start)
    job = long_run(system)
    with pytest.raises(gromos.TimeoutExpired, match="after 0.2 s"):
        job.wait(timeout=0.2)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupt_when_running(system.state)
        job.wait(timeout=200)
    assert caught.value.__notes__ == [f"job {job.number} goes on; gromos.Job({job.number}).cancel() ends it"]
    assert job.status == "running"
    job.cancel()


def jobs_of(state):
    return [j for j in gromos.jobs(state.session) if j.describe().state == state.uuid]


def test_interrupting_run_wait_cancels(start):
    system = clone(start)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupt_when_running(system.state)
        long_run(system, wait=True, progress=False)
    (job,) = jobs_of(system.state)
    assert caught.value.__notes__ == [f"job {job.number} was cancelled; its State keeps what was reached"]
    wait_until(lambda: job.status == "cancelled", what="the end")


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_run_is_being_started_cancels_it(start, monkeypatch, when, wait):
    """As the request is sent, and when the daemon has answered: the client is to know the job before it is interrupted."""
    system = clone(start)
    starting = Commands.job_start

    def interrupted(*args, **options):
        if when == "before":
            signal.raise_signal(signal.SIGINT)
        made = starting(*args, **options)
        if when == "after":
            signal.raise_signal(signal.SIGINT)
        return made

    monkeypatch.setattr(Commands, "job_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        long_run(system, wait=wait, progress=False)
    (job,) = jobs_of(system.state)
    wait_until(lambda: job.status == "cancelled", what="the end")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_interrupt_does_not_wait_for_the_start(start, monkeypatch):
    system = clone(start)

    def stuck(*args, **options):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("the second one waited")

    monkeypatch.setattr(Commands, "job_start", stuck)
    with pytest.raises(KeyboardInterrupt) as caught:
        long_run(system, wait=True, progress=False)
    assert "gromos.jobs()" in caught.value.__notes__[0] and not jobs_of(system.state)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class InterruptAt:
    """Raises SIGINT before the n-th line that `Simulation` and what it uses of this package execute, and says where that was."""

    def __init__(self, line):
        self.left = line
        self.where = ""

    def __call__(self, frame, event, _):
        if Path(frame.f_code.co_filename).name not in ("_simulation.py", "_job.py", "_interrupts.py"):
            return None
        if event == "line" and self.left > 0:
            self.left -= 1
            if self.left == 0:
                self.where = frame.f_code.co_name
                signal.raise_signal(signal.SIGINT)
        return self


def test_no_moment_of_an_interrupt_leaves_a_run_behind(start):
    """Every line from the call of run() to the wait for its end."""
    system = clone(start)
    simulation = gromos.Simulation(system, settled(nve(10_000_000)))
    cancelled = 0
    for line in itertools.count(1):
        at = InterruptAt(line)
        sys.settrace(at)
        try:
            with pytest.raises(KeyboardInterrupt):
                simulation.run(wait=True, progress=False)
        finally:
            sys.settrace(None)
        ended = jobs_of(system.state)
        wait_until(lambda ended=ended: all(job.ended for job in ended), what=f"the end after an interrupt in {at.where}")
        cancelled = len(ended)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if at.where == "_await":
            break
    assert cancelled > 5


def test_waiting_for_a_run_inside_an_own_edit_is_refused(any_session):
    system = water(any_session)
    simulation = gromos.Simulation(system, nve(2))
    with system.state as s:
        with s.edit() as e:
            e.positions()
            for call in (lambda: simulation.run(wait=True), simulation.step, simulation.minimize, simulation.forces):
                with pytest.raises(gromos.ConflictError, match="inside an edit of this session"):
                    call()
            assert not jobs_of(s)
        simulation.step()
        assert s.step == 1


def test_one_job_at_a_time_on_a_state(start):
    system = clone(start)
    job = long_run(system)
    with pytest.raises(gromos.ConflictError):
        gromos.Simulation(system, settled(nve(1))).run()
    job.cancel()


def test_another_process_watches_and_steers(daemon, start):
    system = gromos.System(start.topology, start.state.clone(name="watched run"))
    job = long_run(system)
    program = f"""
import gromos
s = gromos.connect({daemon.endpoint!r}, default=False)
state = s.attach("watched run")
frames = iter(state.frames(timeout=60))
first, second = next(frames).step, next(frames).step
job = [j for j in gromos.jobs(s) if j.describe().state == state.uuid][0]
print(second > first, job.status)
job.cancel()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.split() == ["True", "running"]
    with pytest.raises(gromos.CancelledError):
        job.wait(timeout=200)
    system.state.delete()


def test_the_bar_shows_steps_speed_and_energy(start, capsys):
    gromos.Simulation(clone(start), settled(nve(20))).run(wait=True, progress=True)
    shown = capsys.readouterr().err
    assert "20/20" in shown
    assert "ns/day" in shown
    assert re.search(r"E=-?[\d.e+]+ kJ/mol", shown)
    gromos.Simulation(clone(start), settled(nve(20))).run(wait=True, progress=False)
    assert capsys.readouterr().err == ""


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_run_that_blows_up_says_so_and_keeps_the_last_good_step(start):
    system = clone(start)
    positions = np.array(system.state.positions())
    positions[3:6] = positions[0:3] + 0.01  # two molecules in one place
    system.state.set(positions=positions, step=700)
    job = gromos.Simulation(system, settled(nve(500, dt=0.01))).run()
    with pytest.raises(gromos.SimulationFailedError) as caught:
        job.wait(timeout=200)
    about = job.describe()
    assert about.status == "failed"
    assert caught.value.message == about.message
    assert len(about.message) > 20
    assert f"step {system.state.step}:" in about.message  # of the State, not of the run
    assert caught.value.detail["step"] == about.step < 500
    assert np.isfinite(system.state.positions()).all()
    assert np.isfinite(system.state.velocities()).all()


def test_parameters_that_do_not_fit_are_told_before_anything_starts(session, start):
    two = settled(nve())
    two.multibath = blocks.MultiBath(baths=[(300, 0.1), (300, 0.1)], sets=[(3, 1, 1), (192, 2, 2)])
    with pytest.raises(gromos.ConflictError, match="2 temperature baths.*made for 1.*num_temp_groups=2"):
        gromos.Simulation(clone(start), two)
    groups = settled(nve())
    groups.force.nre = [3, 192]
    with pytest.raises(gromos.ConflictError, match="2 energy groups.*num_energy_groups=2"):
        gromos.Simulation(clone(start), groups)
    with pytest.raises(gromos.InvalidArgumentError, match="InputParameters"):
        gromos.Simulation(clone(start), {"dt": 0.002})
    with pytest.raises(gromos.InvalidArgumentError, match="'steps' is -1"):
        gromos.Simulation(clone(start), settled(nve())).run(-1)
    with pytest.raises(gromos.FileAccessError, match="'trc'.*does not exist"):
        gromos.Simulation(clone(start), settled(nve())).run(1, trc="/nowhere/at/all.trc")


def test_a_cutoff_beyond_half_the_box_is_refused(start):
    params = settled(nve())
    params.cutoffs = 1.4
    with pytest.raises(gromos.GromosError, match=r"(?i)cutoff|RCUTL|half|box"):
        gromos.Simulation(clone(start), params).run(1, wait=True, progress=False)


def test_a_system_is_made_as_its_parameters_need_it(session):
    made = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", DATA / "alanine.imd", session=session)
    assert (made.state.num_temp_groups, made.state.num_energy_groups, made.state.dtype) == (2, 2, np.float64)
    plain = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", num_energy_groups=3, session=session)
    assert (plain.state.num_temp_groups, plain.state.num_energy_groups, plain.state.dtype) == (1, 3, np.float32)


def test_what_is_no_part_of_a_simulation_is_named(session, start):
    params = settled(nve(5))
    simulation = gromos.Simulation(clone(start), params)
    wrong = [
        (lambda: gromos.Simulation(None, params), "'system' must be a System, not NoneType"),
        (lambda: gromos.Simulation(start, params, restraints="x.disres"), "'restraints' must be Restraints, not str"),
        (lambda: gromos.System("a.top", "b.cnf"), "System.from_files takes paths"),
        (lambda: simulation.run(reporters=gromos.EnergyReporter()), "'reporters' must be a list of Reporters"),
        (lambda: simulation.run(reporters=["x"]), "'reporters' must be a list of Reporters"),
        (lambda: gromos.EnergyReporter().watch("x"), "a reporter watches a State, not str"),
        (lambda: gromos.CallbackReporter(5), "'call' must be a function"),
        (lambda: gromos.EnergyReporter().unit("heat"), "energies have no field 'heat'"),
        (lambda: gromos.InputParameters.from_text(b"TITLE"), "'text' must be the text of a file, not bytes"),
        (lambda: setattr(params, "dt", True), r"field DT: True; it must be a number \(ps\)"),
        (lambda: setattr(params, "num_steps", True), "field NSTLIM: True; it must be a whole number"),
    ]
    for call, text in wrong:
        with pytest.raises(gromos.InvalidArgumentError, match=text):
            call()
    with pytest.raises(AttributeError):
        simulation.thread = 2
    assert gromos.EnergyReporter("total")._fields == ["total"]


def test_changes_that_cannot_be_are_refused_at_once(start):
    job = gromos.Simulation(clone(start), settled(nve(10**7))).run()
    with pytest.raises(gromos.ConflictError, match="no temperature bath"):
        job.change(temperature=310.0)
    job.cancel()
    coupled = gromos.InputParameters.nvt(num_steps=10**7, cutoffs=0.6)
    coupled.constraints = "solvent"
    job = gromos.Simulation(clone(start), coupled).run()
    for tau in (0.0, -2.0):
        with pytest.raises(gromos.InvalidArgumentError, match=r"'tau' is .*; it must be above 0 ps, or -1"):
            job.change(tau=tau)
    with pytest.raises(gromos.InvalidArgumentError, match=r"'bath' is 1; the run has 1, counted from 0"):
        job.change(temperature=310.0, bath=1)
    job.change(tau=-1)
    job.cancel()


def test_a_box_of_another_kind_is_named(start):
    system = clone(start)
    system.state.box = gromos.Box.vacuum()
    with pytest.raises(gromos.SimulationFailedError, match=r"NTB is 1 \(rectangular\), but the configuration's box is another one: vacuum \(0\)"):
        params = settled(nve(5))
        params.boundcond.ntb = "rectangular"
        gromos.Simulation(system, params).run(wait=True, progress=False)


def test_a_run_on_a_deleted_state_says_so(start):
    system = clone(start)
    system.state.delete()
    with pytest.raises(gromos.StateDeletedError):
        gromos.Simulation(system, settled(nve(5))).run()


def test_files_that_do_not_fit_leave_no_state(session, tmp_path):
    text = (DATA / "alanine.top").read_text()
    (tmp_path / "two.cnf").write_text("TITLE\nx\nEND\nPOSITION\n    1 A     A          1    0.0    0.0    0.0\nEND\n")
    (tmp_path / "a.top").write_text(text)
    with pytest.raises(gromos.ShapeError):
        gromos.System.from_files(tmp_path / "a.top", tmp_path / "two.cnf", name="orphan", session=session)
    with pytest.raises(gromos.NotFoundError):
        gromos.attach("orphan", session=session)


def test_jobs_nobody_knows(session):
    with pytest.raises(gromos.NotFoundError):
        gromos.Job(10**6, session).describe()


# --- files and remote sessions ---------------------------------------------------------------------------------------


def test_a_run_writes_gromos_files(start, tmp_path):
    params = settled(nve(10))
    params.writetraj.ntwx = params.writetraj.ntwe = params.writetraj.ntwf = params.writetraj.ntwv = 5
    system = clone(start)
    files = {name: tmp_path / f"run.{name}" for name in ("trc", "trv", "trf", "tre")} | {"fin": tmp_path / "end.cnf"}
    gromos.Simulation(system, params).run(wait=True, progress=False, **files)
    for name, block in (("trc", "POSITIONRED"), ("trv", "VELOCITYRED"), ("trf", "FREEFORCERED"), ("tre", "ENERGY03")):
        assert files[name].read_text().count(f"\n{block}\n") == 2, name
    # Nine decimals in the file.
    end = gromos.load(files["fin"], dtype="float64", session=start.state.session)
    assert np.abs(displacement(end.positions(), system.state.positions(), system.state.box)).max() < 1e-8
    assert np.abs(end.velocities() - system.state.velocities()).max() < 1e-8


@pytest.mark.parametrize("suffix", ["h5", "h5md"])
def test_a_run_writes_h5md(start, tmp_path, suffix):
    """The same steps and numbers as the GROMOS files of the same run, which have nine decimals."""
    params = settled(nve(12))
    params.writetraj.ntwx = params.writetraj.ntwe = params.writetraj.ntwf = params.writetraj.ntwv = 4
    files = {name: tmp_path / f"run.{name}" for name in ("trc", "trv", "trf", "tre")}
    gromos.Simulation(clone(start), params).run(wait=True, progress=False, **files)
    gromos.Simulation(clone(start), params).run(wait=True, progress=False, trc=tmp_path / f"run.{suffix}")
    x = gromos.read_trajectory(files["trc"])
    energies = gromos.read_energies(files["tre"])
    with h5py.File(tmp_path / f"run.{suffix}") as f:
        assert f["particles/all/position/step"][:].tolist() == [0, 4, 8] == x.steps.tolist()
        assert np.abs(f["particles/all/position/value"][:] - x.positions).max() < 1e-9
        for name, other in (("velocity", "trv"), ("force", "trf")):
            values = gromos.read_trajectory(files[other])
            there = values.velocities if name == "velocity" else values.forces
            assert np.abs(f[f"particles/all/{name}/value"][:] - there).max() < 1e-9 * max(1.0, np.abs(there).max())
        assert f["particles/all/position/value"].attrs["unit"] == "nm"
        assert f["particles/all/mass"].shape == (start.state.num_atoms(),)
        for name, column in (("total_energy", "total"), ("kinetic_energy", "kinetic"), ("coulomb_energy", "coulomb")):
            assert f[f"observables/{name}/value"][:] == pytest.approx(energies[column], rel=1e-9)
    # What others take it for.
    mda = pytest.importorskip("MDAnalysis")
    if suffix == "h5md":
        universe = mda.Universe.empty(start.state.num_atoms(), trajectory=False)
        universe.load_new(str(tmp_path / "run.h5md"))
        assert len(universe.trajectory) == 3
        assert np.abs(universe.trajectory[2].positions / 10.0 - x.positions[2]).max() < 1e-5


def test_h5md_holds_what_the_input_has_written(start, tmp_path):
    params = settled(nve(6))
    params.writetraj.ntwx, params.writetraj.ntwv, params.writetraj.ntwf = 2, 0, 0
    gromos.Simulation(clone(start), params).run(wait=True, progress=False, trc=tmp_path / "run.h5")
    with h5py.File(tmp_path / "run.h5") as f:
        assert set(f["particles/all"]) == {"box", "position", "mass", "charge", "species"}
        assert len(f["observables/temperature/value"]) == 3
    with pytest.raises(gromos.SimulationFailedError, match=r"x.h5: the H5MD file of a run is its trc"):
        gromos.Simulation(clone(start), params).run(wait=True, progress=False, tre=tmp_path / "x.h5")


def test_two_runs_do_not_write_one_file(start, tmp_path):
    params = settled(nve(10**7))
    params.writetraj.ntwx = 5
    first, second = clone(start), clone(start)
    with pytest.raises(gromos.InvalidArgumentError, match="'trc' and 'tre' are both"):
        gromos.Simulation(first, params).run(trc=tmp_path / "x", tre=tmp_path / "x")
    job = gromos.Simulation(first, params).run(trc=tmp_path / "x")
    wait_until(lambda: (tmp_path / "x").exists() and job.status == "running")
    with pytest.raises(gromos.SimulationFailedError, match="x: is being written already"):
        gromos.Simulation(second, params).run(trc=tmp_path / "x", wait=True, progress=False)
    job.cancel()
    with pytest.raises(gromos.CancelledError):
        job.wait()
    gromos.Simulation(second, params).run(5, trc=tmp_path / "x", wait=True, progress=False)


def test_over_tcp(start, remote, tmp_path):
    """Topology and input travel as bytes; files stay on the daemon's machine, so a remote session may not have them written."""
    state = gromos.State(192, dtype="float64", session=remote)
    state.set(positions=start.state.positions(), velocities=start.state.velocities(), box=start.state.box)
    there = gromos.System(start.topology, state)
    params = settled(nve(10))
    reporter = gromos.EnergyReporter(["total"])
    gromos.Simulation(there, params, publish_every=5).run(wait=True, reporters=[reporter], progress=False)
    here = gromos.State(192, dtype="float64", session=start.state.session)
    here.set(positions=start.state.positions(), velocities=start.state.velocities(), box=start.state.box)
    gromos.Simulation(gromos.System(start.topology, here), params).run(wait=True, progress=False)
    assert same(there.state, here)
    assert reporter["step"].tolist() == [5, 10]
    with pytest.raises(gromos.UnsupportedError, match="'tre'.*daemon's machine"):
        gromos.Simulation(there, params).run(1, tre=tmp_path / "x.tre")
    with gromos.Simulation(there, params).run(1).state as attached:
        assert attached == state


def test_files_of_another_machine(remote, session):
    """Topology, configuration and input are read where Python is and travel as bytes."""
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=remote)
    ends = []
    for where in (remote, session):
        system = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", params, session=where)
        gromos.Simulation(system, params).run(3, wait=True, progress=False)
        ends.append(system.state)
    assert same(*ends)


def test_position_restraints_hold_atoms(session):
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    system = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", params, session=session)
    x = np.array(system.state.positions()[:12])
    names = system.topology.names
    row = "{:>5} {:<5} {:<5}{:>7}".format
    label = [row(1 + int(system.topology.residues[i]), system.topology.residue_names[i], names[i], i + 1) for i in range(12)]
    spec = "TITLE\nsolute\nEND\nPOSRESSPEC\n" + "".join(f"{text}{p[0]:15.9f}{p[1]:15.9f}{p[2]:15.9f}\n" for text, p in zip(label, x, strict=True)) + "END\n"
    params.positionres = blocks.PositionRes(ntpor=1, cpor=1e5)
    held = gromos.Simulation(system, params, restraints=gromos.Restraints(posresspec=spec.encode()))
    energies = held.step(100)
    assert energies.position_restraint > 0
    # 1/2 k d^2 = 3/2 kB T gives d = 0.01 nm for k = 1e5.
    assert np.abs(displacement(x, system.state.positions()[:12], system.state.box)).max() < 0.05
    with pytest.raises(gromos.GromosError, match=r"(?i)posres"):
        gromos.Simulation(system, params).step()
    assert "posresspec" in repr(held.restraints)


# --- reporters -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def reported(start):
    reporter = gromos.EnergyReporter()
    simulation = gromos.Simulation(clone(start), settled(nve(20)), publish_every=5)
    simulation.run(wait=True, reporters=[reporter], progress=False)
    return reporter


def test_energies_of_every_frame(reported, start):
    assert len(reported) == 4
    assert reported.missed == 0
    assert reported["step"].tolist() == [start.state.step + k for k in (5, 10, 15, 20)]
    array = reported.to_numpy()
    assert array.shape == (4, len(reported.columns))
    assert np.allclose(reported["total"], reported["kinetic"] + reported["potential"], rtol=1e-12)
    assert reported.to_dict()["step"].dtype == np.int64
    assert reported.unit("pressure") == "kJ mol^-1 nm^-3"
    assert reported.unit("bath_temperature[0]") == "K"
    with pytest.raises(gromos.InvalidArgumentError, match="no column 'enthalpy'"):
        reported["enthalpy"]
    with pytest.raises(gromos.InvalidArgumentError, match="no field 'enthalpy'"):
        gromos.EnergyReporter(["enthalpy"])


def test_every_energy_there_is(start):
    reporter = gromos.EnergyReporter("all", every=2)
    gromos.Simulation(clone(start), settled(nve(20)), publish_every=5).run(wait=True, reporters=[reporter], progress=False)
    assert len(reporter) == 2
    assert {"pair_lj[0,0]", "pressure_tensor[2,1]", "group_bond[0]", "bath_dof[0]"} <= set(reporter.columns)
    assert reporter["bath_dof[0]"].tolist() == [64 * 6.0] * 2


def test_no_step_of_a_fast_run_is_missed(session):
    """Two atoms in vacuum make some ten thousand steps a second: far more frames than a ring holds or Python can look at."""
    argon = gromos.Topology(np.full(2, 39.948), lj=np.array([[[9.7e-6, 6.2e-3]]]), molecules=[0, 1, 2])
    state = gromos.State(2, dtype="float64", session=session)
    state.set_positions([[0.0, 0, 0], [0.4, 0, 0]])
    params = gromos.InputParameters.nve(num_steps=3000, constraints="none")
    reporter = gromos.EnergyReporter(["total", "lj"])
    gromos.Simulation(gromos.System(argon, state), params, publish_every=1).run(wait=True, reporters=[reporter], progress=False)
    assert reporter["step"].tolist() == list(range(1, 3001))
    assert reporter.missed == 0
    # Both atoms vibrate in the well of the pair; leap-frog keeps the energy to second order in the step.
    assert np.ptp(reporter["lj"]) > 0.01
    assert np.ptp(reporter["total"]) < 0.01 * np.abs(reporter["lj"]).max()
    few = gromos.EnergyReporter(["total"], every=500)
    gromos.Simulation(gromos.System(argon, state), params, publish_every=1).run(wait=True, reporters=[few], progress=False)
    assert few["step"].tolist() == list(range(3500, 6001, 500))


def test_energies_of_a_job_by_number_of_row(start):
    job = gromos.Simulation(clone(start), settled(nve(20)), publish_every=5).run(wait=True, progress=False)
    commands = job.session.commands
    got = commands.job_energies(job=job.number)
    assert (got.first, got.count, got.rows.shape[0]) == (0, 4, 4)
    assert got.rows[-1, 2:].tolist() == list(job.describe().energies)
    assert commands.job_energies(job=job.number, after=1, limit=2).rows[:, 0].tolist() == got.rows[1:3, 0].tolist()
    end = commands.job_energies(job=job.number, after=4)
    assert (end.first, end.count, len(end.rows)) == (4, 4, 0)


def test_csv_in_one_go_and_as_it_comes(reported, start, tmp_path):
    reported.to_csv(tmp_path / "all.csv")
    with gromos.CSVReporter(tmp_path / "live.csv", ["total", "temperature"]) as live:
        gromos.Simulation(clone(start), settled(nve(20)), publish_every=5).run(wait=True, reporters=[live], progress=False)
    lines = (tmp_path / "live.csv").read_text().splitlines()
    assert lines[0] == "step,time,total,temperature"
    assert len(lines) == 5
    read = np.genfromtxt(tmp_path / "all.csv", delimiter=",", names=True)
    assert read["total"].tolist() == reported["total"].tolist() == [float(line.split(",")[2]) for line in lines[1:]]
    with pytest.raises(gromos.FileAccessError):
        reported.to_csv(tmp_path / "no" / "where.csv")


@pytest.mark.parametrize(("module", "method"), [("pandas", "to_pandas"), ("polars", "to_polars")])
def test_data_frames_where_they_are_installed(reported, module, method, monkeypatch):
    try:
        __import__(module)
    except ImportError:
        pass
    else:
        frame = getattr(reported, method)()
        assert list(frame.columns) == list(reported.columns)
        assert frame["total"].to_list() == reported["total"].tolist()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(gromos.UnsupportedError, match=f"pip install {module}"):
        getattr(reported, method)()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of matplotlib's parser
def test_a_picture(reported, monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    axes = reported.plot(["total", "potential"])
    assert [line.get_ydata().tolist() for line in axes.lines] == [reported["total"].tolist(), reported["potential"].tolist()]
    assert axes.get_ylabel() == "kJ/mol"
    assert reported.live_plot(["temperature"], interval=0.01, timeout=1).get_ylabel() == "K"
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(gromos.UnsupportedError, match="Matplotlib"):
        reported.plot()


def test_a_reporter_that_fails_is_heard(start):
    def fail(frame):
        raise ZeroDivisionError("one over nothing")

    job = gromos.Simulation(clone(start), settled(nve(10)), publish_every=5).run(reporters=[gromos.CallbackReporter(fail)])
    with pytest.raises(ZeroDivisionError, match="one over nothing"):
        job.wait(timeout=200)
    assert job.status == "done"


def test_a_reporter_watches_any_state(session):
    seen = []
    with gromos.State(3, session=session) as s:
        with gromos.CallbackReporter(lambda frame: seen.append(frame.version)).watch(s) as reporter:
            s.set_positions(s.positions())
            s.set_positions(s.positions())
            with pytest.raises(gromos.InvalidArgumentError, match="still looks"):
                reporter.watch(s)
        assert seen == [1, 2]
        with pytest.raises(gromos.InvalidArgumentError, match="'every' is 0"):
            gromos.EnergyReporter(every=0)


def test_a_reporter_sees_what_came_before_its_end(session):
    """Its thread may learn late that nothing has come: something has by then, and the reporter is closed."""
    looked, go_on, seen = threading.Event(), threading.Event(), []
    with gromos.State(3, session=session) as s:
        reporter = gromos.CallbackReporter(lambda frame: seen.append(frame.version))
        reporter._begin(s)
        look = reporter._frames._next

        def look_and_sleep(timeout):
            found = look(timeout)
            if not looked.is_set():
                looked.set()
                assert go_on.wait(60)
            return found

        reporter._frames._next = look_and_sleep
        reporter._start()
        assert looked.wait(60)
        s.set_positions(s.positions())
        s.set_positions(s.positions())
        reporter._stop.set()
        go_on.set()
        reporter.close()
    assert seen == [1, 2]


@pytest.mark.parametrize("name", ["x.trc", "x.trc.gz", "x.h5"])
def test_a_trajectory_at_the_limit_of_file_sizes_ends_the_run_alone(make_daemon, tmp_path, name):
    """The kernel's signal for it ends a program that does not say otherwise, and with it every State."""
    limited = tmp_path / "gromosd"
    limited.write_text(f'#!/bin/sh\nulimit -f 400 && exec "{BINARY}" "$@"\n')
    limited.chmod(0o755)
    daemon = make_daemon(binary=limited)
    with daemon.connect() as session:
        p = nve(3000)
        p.writetraj.ntwx = 1
        job = gromos.Simulation(water(session, name="w"), p).run(trc=tmp_path / name)
        with pytest.raises(gromos.SimulationFailedError, match=f"{name}: cannot be written.*File too large.?$"):
            job.wait()
        state = session.attach("w")
        state.checkpoint(tmp_path / "w.h5")  # HDF5 is at work as before
        with session.restore(tmp_path / "w.h5", name="again") as again:
            assert np.array_equal(again.positions(), state.positions())
    assert daemon.stop() == 0  # it does not stumble over a file that could not be closed

"""Values no argument can have, through the whole public interface: an InvalidArgumentError that names the argument, and nothing has changed.

One rule for time limits: None waits for ever, 0 or more are seconds, anything else is refused. Whole numbers are not True, text or
beyond 64 bits; numbers are finite (NotFiniteError); counts are not negative."""

import inspect
import math

import gromos
import numpy as np
import pytest
from md_water import parameters, water

N = 10
NAN, INF = math.nan, math.inf
HUGE = 2**64
SECONDS = [-1, -1e-9, NAN, -INF, True, "1", [1.0], 1j]
COUNTS = [-1, True, 1.5, "2", None, HUGE, -HUGE]
NUMBERS = [NAN, INF, -INF, True, "1", None]


@pytest.fixture(scope="module")
def run(session):
    """A paused run and its State."""
    system = water(session, name="argument-values")
    job = gromos.Simulation(system, parameters(1_000_000)).run()
    job.pause()
    yield job
    job.cancel()
    system.state.delete(force=True)


@pytest.fixture
def state(any_session):
    with any_session.create(N) as s:
        s.box = gromos.Box.rectangular(3.0, 3.0, 3.0)
        s.set(positions=np.random.default_rng(1).random((N, 3)) * 3, velocities=np.ones((N, 3)))
        yield s


def edit(s, **options):
    with s.edit(**options):
        pass


def take(s, **options):
    for _ in s.frames(**options):
        break


# Argument, its wrong values, and the call with one of them.
OF_STATES = {
    "edit timeout": ("timeout", SECONDS, lambda s, v: edit(s, timeout=v)),
    "set timeout": ("timeout", SECONDS, lambda s, v: s.set(step=1, timeout=v)),
    "set_positions timeout": ("timeout", SECONDS, lambda s, v: s.set_positions(np.zeros((N, 3)), timeout=v)),
    "set_velocities timeout": ("timeout", SECONDS, lambda s, v: s.set_velocities(np.zeros((N, 3)), timeout=v)),
    "set_forces timeout": ("timeout", SECONDS, lambda s, v: s.set_forces(np.zeros((N, 3)), timeout=v)),
    "set_masses timeout": ("timeout", SECONDS, lambda s, v: s.set_masses(np.ones(N), timeout=v)),
    "frames timeout": ("timeout", SECONDS, lambda s, v: s.frames(timeout=v)),
    "wait timeout": ("timeout", SECONDS, lambda s, v: s.wait(timeout=v)),
    "events timeout": ("timeout", SECONDS, lambda s, v: s.session.events(timeout=v)),
    "session timeout": ("timeout", SECONDS, lambda s, v: gromos.connect(s.session.endpoint, default=False, timeout=v)),
    "frames every": ("every", [0, *COUNTS], lambda s, v: s.frames(every=v)),
    "frames spin": ("spin", [-1, 1.0, *NUMBERS], lambda s, v: s.frames(spin=v)),
    "wait spin": ("spin", [-1, 1.0, *NUMBERS], lambda s, v: s.wait(after=0, spin=v)),
    "wait after": ("after", [True, 1.5, "2", HUGE, -HUGE], lambda s, v: s.wait(after=v, timeout=0)),
    "frames policy": ("policy", ["", "all", None, 1], lambda s, v: s.frames(v)),
    "history newest": ("newest", [v for v in COUNTS if v is not None], lambda s, v: s.history(newest=v)),
    "step": ("step", [*COUNTS], lambda s, v: setattr(s, "step", v)),
    "set step": ("step", [v for v in COUNTS if v is not None], lambda s, v: s.set(step=v)),
    "edit step": ("step", COUNTS, lambda s, v: set_in_edit(s, "step", v)),
    "time": ("time", NUMBERS, lambda s, v: setattr(s, "time", v)),
    "set time": ("time", [v for v in NUMBERS if v is not None], lambda s, v: s.set(time=v)),
    "edit time": ("time", NUMBERS, lambda s, v: set_in_edit(s, "time", v)),
    "num_atoms": ("num_atoms", COUNTS, lambda s, v: s.session.create(v)),
    "slots": ("slots", [v for v in COUNTS if v is not None], lambda s, v: s.session.create(N, slots=v)),
    "num_temp_groups": ("num_temp.*groups", [0, *COUNTS], lambda s, v: s.session.create(N, num_temp_groups=v)),
    "num_energy_groups": ("num_energy_groups", [0, *COUNTS], lambda s, v: s.session.create(N, num_energy_groups=v)),
    "dtype": ("dtype", ["float16", "int", None, 7, ""], lambda s, v: s.session.create(N, dtype=v)),
    "name": ("name", ["", 7, True, "a" * 200, "a\nb", "\0"], lambda s, v: s.session.create(N, name=v)),
    "rename": ("name", [7, True, "a" * 200, "a\nb", "\0"], lambda s, v: s.rename(v)),
    "attach": ("state|name", [7, True, None, b"short", ""], lambda s, v: s.session.attach(v)),
    "evict": ("session", COUNTS, lambda s, v: s.session.evict(v)),
    "seed": ("seed", [True, 1.5, "2", None, HUGE], lambda s, v: s.maxwell_velocities(300.0, seed=v)),
    "temperature": ("temperature", [-1, *NUMBERS], lambda s, v: s.maxwell_velocities(v)),
    "dof": ("dof", [-1, 0, *(v for v in NUMBERS if v is not None)], lambda s, v: s.temperature(dof=v)),
    "cutoff": ("cutoff", [-1, 0, *NUMBERS], lambda s, v: s.neighbor_pairs(v)),
    "r_max": ("r_max", [-1, 0, *(v for v in NUMBERS if v is not None)], lambda s, v: s.rdf(r_max=v)),
    "bins": ("bins", [0, *COUNTS], lambda s, v: s.rdf(r_max=1.0, bins=v)),
    "wrap by": ("by", ["", "box", 1], lambda s, v: s.wrap(by=v)),
    "norms": ("array", ["", "masses", 1], lambda s, v: s.norms(v)),
    "copy mode": ("mode", ["", "w"], lambda s, v: s.positions(mode=v)),
}


def set_in_edit(s, name, value):
    with s.edit(timeout=5) as e:
        setattr(e, name, value)


def refused(argument, call, value):
    with pytest.raises((gromos.InvalidArgumentError, gromos.NotFiniteError), match=argument):
        call(value)


@pytest.mark.parametrize(("case", "value"), [(c, v) for c, (_, values, _) in OF_STATES.items() for v in values], ids=lambda v: str(v)[:24])
def test_arguments_of_states(state, case, value):
    argument, _, call = OF_STATES[case]
    before, there = (state.version, state.name), {s.uuid for s in state.session.states()}
    refused(argument, lambda v: call(state, v), value)
    assert (state.version, state.name) == before
    assert {s.uuid for s in state.session.states()} <= there


OF_JOBS = {
    "wait": ("timeout", SECONDS, lambda j, v: j.wait(v, progress=False)),
    "result": ("timeout", SECONDS, lambda j, v: j.result(v)),
    "log": ("after", COUNTS, lambda j, v: j.log(after=v)),
    "bath": ("bath", COUNTS, lambda j, v: j.change(bath=v, temperature=300.0)),
    "temperature": ("temperature", [-1, *(v for v in NUMBERS if v is not None)], lambda j, v: j.change(temperature=v)),
    "tau": ("tau", [v for v in NUMBERS if v is not None], lambda j, v: j.change(tau=v)),
    "publish_every": ("publish_every", [0, *(v for v in COUNTS if v is not None)], lambda j, v: j.change(publish_every=v)),
    "number": ("number", [0, *COUNTS], lambda j, v: gromos.Job(v, j.session)),
    "steps": ("steps", [v for v in COUNTS if v is not None], lambda j, v: simulation(j).run(v)),
    "threads": ("threads", [0, *COUNTS], lambda j, v: simulation(j, threads=v).run(1)),
    "publish": ("publish_every", [0, *COUNTS], lambda j, v: simulation(j, publish_every=v).run(1)),
}


def simulation(job, **options):
    system = water(job.session)
    return gromos.Simulation(system, parameters(10), **options)


@pytest.mark.parametrize(("case", "value"), [(c, v) for c, (_, values, _) in OF_JOBS.items() for v in values], ids=lambda v: str(v)[:24])
def test_arguments_of_jobs(run, case, value):
    argument, _, call = OF_JOBS[case]
    before = len(gromos.jobs(run.session))
    refused(argument, lambda v: call(run, v), value)
    assert len(gromos.jobs(run.session)) == before and not run.ended


# Every argument of the public interface that is True or False, and the call with a value for it.
FLAGS = {
    ("State", "frame_forces"): lambda s, v: s.session.create(N, frame_forces=v),
    ("State.delete", "force"): lambda s, v: s.delete(force=v),
    ("State.edit", "publish"): lambda s, v: edit(s, publish=v),
    ("State.set", "publish"): lambda s, v: s.set(step=1, publish=v),
    ("State.set_positions", "publish"): lambda s, v: s.set_positions(np.zeros((N, 3)), publish=v),
    ("State.set_velocities", "publish"): lambda s, v: s.set_velocities(np.zeros((N, 3)), publish=v),
    ("State.set_forces", "publish"): lambda s, v: s.set_forces(np.zeros((N, 3)), publish=v),
    ("State.set_masses", "publish"): lambda s, v: s.set_masses(np.ones(N), publish=v),
    ("State.frames", "velocities"): lambda s, v: s.frames(velocities=v),
    ("State.frames", "forces"): lambda s, v: s.frames(forces=v),
    ("State.translate", "publish"): lambda s, v: s.translate([1, 0, 0], publish=v),
    ("State.rotate", "publish"): lambda s, v: s.rotate(np.eye(3), publish=v),
    ("State.rotate", "velocities"): lambda s, v: s.rotate(np.eye(3), velocities=v),
    ("State.scale", "publish"): lambda s, v: s.scale(2.0, publish=v),
    ("State.scale", "box"): lambda s, v: s.scale(2.0, box=v),
    ("State.wrap", "publish"): lambda s, v: s.wrap(publish=v),
    ("State.remove_com_motion", "publish"): lambda s, v: s.remove_com_motion(publish=v),
    ("State.maxwell_velocities", "publish"): lambda s, v: s.maxwell_velocities(300.0, publish=v),
    ("State.maxwell_velocities", "remove_com"): lambda s, v: s.maxwell_velocities(300.0, remove_com=v),
    ("State.rmsd", "fit"): lambda s, v: s.rmsd(s, fit=v),
    ("State.rmsd", "mass_weighted"): lambda s, v: s.rmsd(s, mass_weighted=v),
    ("State.superposition", "mass_weighted"): lambda s, v: s.superposition(s, mass_weighted=v),
    ("State.fit", "mass_weighted"): lambda s, v: s.fit(s, mass_weighted=v),
    ("State.fit", "publish"): lambda s, v: s.fit(s, publish=v),
    ("Session.shutdown", "force"): lambda s, v: s.session.shutdown(force=v),
    ("Energy.to_dict", "groups"): lambda s, v: s.energies.to_dict(groups=v),
    ("connect", "default"): lambda s, v: gromos.connect(s.session.endpoint, default=v),
    ("progress", "show"): lambda s, v: gromos.progress(v),
    ("RemoteEdit", "publish"): lambda s, v: gromos.RemoteEdit(s, 1.0, v),
}
FLAGS_OF_RUNS = {
    ("Simulation.run", "wait"): lambda simulation, job, v: simulation.run(1, wait=v),
    ("Simulation.run", "progress"): lambda simulation, job, v: simulation.run(1, wait=True, progress=v),
    ("Simulation.run", "continue_run"): lambda simulation, job, v: simulation.run(1, continue_run=v),
    ("Simulation.run", "resume"): lambda simulation, job, v: simulation.run(1, resume=v),
    ("Simulation.minimize", "progress"): lambda simulation, job, v: simulation.minimize(1, progress=v),
    ("Job.wait", "progress"): lambda simulation, job, v: job.wait(0, progress=v),
}
NO_FLAGS = ["no", "", 0, 1, 1.0, [], np.array([True]), object()]


def test_every_flag_is_known_here():
    def flags(name, thing):
        return {(name, p.name) for p in inspect.signature(thing).parameters.values() if p.annotation in ("bool", "bool | None")}

    found = set()
    for name, thing in ((name, getattr(gromos, name)) for name in gromos.__all__):
        if inspect.isclass(thing) and not name.endswith("Result"):
            methods = {attribute: getattr(thing, attribute) for attribute in dir(thing) if not attribute.startswith("_")}
            found |= flags(name, thing.__init__)
            for attribute, method in methods.items():
                if inspect.isfunction(method):
                    found |= flags(f"{name}.{attribute}", method)
        elif inspect.isfunction(thing):
            found |= flags(name, thing)
    assert found == FLAGS.keys() | FLAGS_OF_RUNS.keys()


@pytest.mark.parametrize("case", FLAGS, ids=lambda case: f"{case[0]} {case[1]}")
def test_flags_are_true_or_false(state, case):
    before = state.version
    for value in [*NO_FLAGS, *([] if case in (("connect", "default"), ("progress", "show"), ("State.scale", "box")) else [None])]:
        with pytest.raises(gromos.InvalidArgumentError, match=f"'{case[1]}' must be True or False, not "):
            FLAGS[case](state, value)
    assert state.version == before
    if case[0] not in ("Session.shutdown", "State.delete", "connect", "RemoteEdit"):
        FLAGS[case](state, np.bool_(False))
        FLAGS[case](state, np.bool_(True))
    gromos.progress(None)


@pytest.mark.parametrize("case", FLAGS_OF_RUNS, ids=lambda case: f"{case[0]} {case[1]}")
def test_flags_of_runs_are_true_or_false(run, case):
    before = len(gromos.jobs(run.session))
    for value in NO_FLAGS:
        with pytest.raises(gromos.InvalidArgumentError, match=f"'{case[1]}' must be True or False, not "):
            FLAGS_OF_RUNS[case](simulation(run), run, value)
    assert len(gromos.jobs(run.session)) == before and not run.ended


def test_time_limits_that_are_right(state, run):
    for timeout in (None, 0, 0.5, INF, 1e300, 10**400, np.float32(3), np.int64(2)):
        edit(state, timeout=timeout)
        state.set_positions(np.zeros((N, 3)), timeout=timeout)
        assert state.wait(after=state.version - 1, timeout=timeout) == state.version
    with pytest.raises(gromos.TimeoutExpired):
        state.wait(timeout=0)
    with pytest.raises(gromos.TimeoutExpired):
        run.wait(0, progress=False)
    assert list(state.frames(timeout=0)) == []

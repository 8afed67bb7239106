"""A State through both kinds of session: what is set is what is seen, and what is wrong is named."""

import gc
import os
import pickle
import uuid

import gromos
import numpy as np
import pytest

N = 20


@pytest.fixture
def state(any_session):
    with gromos.State(N, session=any_session) as s:
        yield s


@pytest.fixture
def positions():
    return np.random.default_rng(1).random((N, 3))


def test_a_new_state_is_zero(state):
    assert state.num_atoms() == len(state) == N
    for array in (state.positions(), state.velocities(), state.forces()):
        assert array.shape == (N, 3)
        assert array.dtype == np.float32
        assert not array.any()
    assert (state.masses() == np.ones(N)).all()
    assert state.box == gromos.Box.vacuum()
    assert (state.step, state.time, state.version, state.name) == (0, 0.0, 0, None)
    assert state.energies.total() == 0.0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_set_is_what_is_seen(any_session, positions, dtype):
    with gromos.State(N, dtype=dtype, session=any_session) as s:
        s.set_positions(positions)
        s.set_velocities(positions + 1)
        s.set_forces(-positions)
        s.set_masses(positions[:, 0] + 0.5)
        assert s.version == 4
        assert s.dtype == dtype
        assert (s.positions() == positions.astype(dtype)).all()
        assert (s.velocities() == (positions + 1).astype(dtype)).all()
        assert (s.forces() == (-positions).astype(dtype)).all()
        assert (s.masses() == positions[:, 0] + 0.5).all()


def test_anything_that_makes_an_array_can_be_set(state):
    state.set_positions([[i, 0, 0] for i in range(N)])
    state.set_positions(np.arange(3 * N, dtype=np.int16).reshape(N, 3))
    assert state.positions()[2].tolist() == [6, 7, 8]
    state.set_positions(np.asfortranarray(np.ones((N, 3))))
    state.set_positions(np.ones((2 * N, 6), ">f8")[::2, ::2])
    assert (state.positions() == 1).all()


def test_box_step_and_time(state):
    box = gromos.Box.truncated_octahedron(4.0)
    state.box = box
    state.step = 1000
    state.time = 2.0
    assert (state.box, state.step, state.time) == (box, 1000, 2.0)
    state.set(box=gromos.Box.rectangular(1, 2, 3), step=1, time=-0.5, positions=np.ones((N, 3)))
    assert (state.box, state.step, state.time) == (gromos.Box.rectangular(1, 2, 3), 1, -0.5)
    assert state.version == 4


def test_an_edit_is_one_commit(state, positions):
    with state.edit() as e:
        e.positions()[:] = positions
        e.velocities()[3] = 7
        e.box = gromos.Box.rectangular(5, 5, 5)
        e.step, e.time = 5, 0.01
        assert (e.box, e.step, e.time) == (gromos.Box.rectangular(5, 5, 5), 5, 0.01)
    assert state.version == 1
    assert (state.positions() == positions.astype(np.float32)).all()
    assert state.velocities()[3].tolist() == [7, 7, 7]
    assert (state.box, state.step, state.time) == (gromos.Box.rectangular(5, 5, 5), 5, 0.01)


def test_an_edit_that_fails_changes_nothing(state, positions):
    state.set_positions(positions)
    before = state.positions().copy()
    with pytest.raises(ZeroDivisionError), state.edit() as e:
        e.positions()[:] = 99
        e.box = gromos.Box.rectangular(5, 5, 5)
        raise ZeroDivisionError
    assert (state.positions() == before).all()
    assert state.box == gromos.Box.vacuum()
    assert state.version == 1
    state.set_positions(positions)


def test_an_edit_can_end_early(state):
    with state.edit() as e:
        e.positions()[:] = 1
        e.commit()
        with pytest.raises(gromos.ConflictError):
            e.positions()
    with state.edit() as e:
        e.positions()[:] = 2
        e.rollback()
    assert (state.positions() == 1).all()


def test_setting_inside_an_edit_belongs_to_it(state):
    with pytest.raises(RuntimeError), state.edit() as e:
        state.set_positions(np.ones((N, 3)))
        assert (e.positions() == 1).all()
        raise RuntimeError
    assert not state.positions().any()


def test_commands_that_write_are_refused_inside_an_own_edit(state):
    with state.edit(), pytest.raises(gromos.ConflictError):
        state.translate([1, 0, 0])
    state.translate([1, 0, 0])
    assert state.positions()[0].tolist() == [1, 0, 0]


def test_energies_are_a_view(any_session):
    with gromos.State(4, num_temp_groups=2, num_energy_groups=3, session=any_session) as s:
        energies = s.energies
        assert (energies.num_temperature_groups, energies.num_energy_groups) == (2, 3)
        with s.edit() as e:
            e.energies()[:] = np.arange(len(energies.array))
        assert s.energies.kinetic == 0.0
        assert s.energies.potential == 1.0
        assert s.energies.array[-1] == len(energies.array) - 1
        with pytest.raises(ValueError):
            s.energies.kinetic = 5.0


def test_copy_on_write_arrays_are_private(state, positions):
    state.set_positions(positions)
    mine = state.positions(mode="c")
    mine[:] = 0
    assert (state.positions() == positions.astype(np.float32)).all()
    with pytest.raises(ValueError):
        state.positions()[0] = 1


def test_mode_r_plus_needs_the_lease(state):
    with pytest.raises(gromos.GromosError):
        state.positions(mode="r+")
    with pytest.raises((gromos.InvalidArgumentError, ValueError)):
        state.positions(mode="w")


def test_mode_r_plus_inside_an_edit(state):
    with state.edit():
        state.positions(mode="r+")[:] = 3
        assert (state.positions() == 3).all()
        assert (state.positions(mode="c") == 3).all()
        with pytest.raises(ValueError):
            state.positions()[0] = 1
    assert (state.positions() == 3).all()
    assert state.version == 1


def test_snapshot_is_the_newest_commit(state, positions):
    state.set(positions=positions, step=3, time=1.5, box=gromos.Box.rectangular(2, 2, 2))
    with state.snapshot() as f:
        state.set_positions(positions + 1)
        assert (f.positions() == positions.astype(np.float32)).all()
        assert (f.step, f.time, f.box, f.version, f.num_atoms()) == (3, 1.5, gromos.Box.rectangular(2, 2, 2), 1, N)
        assert f.energies.total() == 0.0
        with pytest.raises(ValueError):
            f.positions()[0] = 1


def test_frames_from_now_on(state, positions):
    state.set_positions(positions)
    with state.frames(timeout=60.0) as frames:
        for i in range(3):
            state.set(positions=positions + i, step=i)
        state.set_positions(positions, publish=False)
        seen = [(f.step, f.positions().copy()) for _, f in zip(range(3), frames, strict=False)]
    assert [step for step, _ in seen] == [0, 1, 2]
    for i, (_, array) in enumerate(seen):
        assert (array == (positions + i).astype(np.float32)).all()
    assert frames.missed == 0


def test_frames_end_when_nothing_comes(state):
    frames = state.frames(timeout=0.05)
    assert list(frames) == []
    assert frames.timed_out
    assert list(frames) == []


def test_waiting_for_a_version(state):
    with pytest.raises(gromos.TimeoutExpired):
        state.wait(timeout=0.05)
    state.set_positions(np.zeros((N, 3)))
    assert state.wait(after=0, timeout=60) == 1


def test_names(any_session):
    name = f"names-{uuid.uuid4()}"
    with gromos.State(3, name=name, session=any_session) as s:
        again = gromos.attach(name, session=any_session)
        assert again == s
        assert hash(again) == hash(s)
        assert gromos.attach(s.uuid, session=any_session) == s
        assert gromos.attach(str(s.uuid), session=any_session) == s
        with pytest.raises(gromos.NameTakenError, match=name):
            gromos.State(3, name=name, session=any_session)
        s.rename(name + "!")
        assert gromos.attach(name + "!", session=any_session).name == name + "!"
        with pytest.raises(gromos.NotFoundError):
            gromos.attach(name, session=any_session)
        assert any(about.name == name + "!" for about in any_session.states())
        s.delete()
    with pytest.raises(gromos.NotFoundError):
        gromos.attach(name + "!", session=any_session)


def test_a_clone_is_independent(state, positions):
    state.set(positions=positions, step=7, box=gromos.Box.rectangular(2, 2, 2), masses=positions[:, 1] + 1)
    clone = state.clone()
    state.set_positions(positions + 1)
    assert clone != state
    assert (clone.positions() == positions.astype(np.float32)).all()
    assert (clone.step, clone.box) == (7, gromos.Box.rectangular(2, 2, 2))
    assert (clone.masses() == positions[:, 1] + 1).all()


def test_an_unnamed_state_ends_with_its_last_handle(any_session):
    s = gromos.State(3, session=any_session)
    other = gromos.attach(s.uuid, session=any_session)
    identity = s.uuid
    s.close()
    s.close()
    any_session.ping()
    assert other.num_atoms() == 3
    assert other.describe().uuid == identity
    other.close()
    any_session.ping()
    with pytest.raises(gromos.NotFoundError):
        gromos.attach(identity, session=any_session)


def test_handles_of_one_session_are_independent(any_session):
    s = gromos.State(3, session=any_session)
    for _ in range(2):
        other = gromos.attach(s.uuid, session=any_session)
        other.close()
        any_session.ping()
        assert s.describe().num_atoms == 3
    other = gromos.attach(s.uuid, session=any_session)
    other.set_positions(np.ones((3, 3)))
    s.close()
    any_session.ping()
    assert (other.positions() == 1).all()
    assert other.describe().version == 1
    third = pickle.loads(pickle.dumps(other))
    other.close()
    any_session.ping()
    assert (third.positions() == 1).all()
    third.close()


def test_a_state_nobody_looked_at_ends_too(any_session):
    s = gromos.State(3, session=any_session)
    identity = s.uuid
    del s
    gc.collect()
    any_session.ping()
    with pytest.raises(gromos.NotFoundError):
        gromos.attach(identity, session=any_session)


def test_a_closed_state_says_so(any_session):
    s = gromos.State(3, session=any_session)
    array = s.positions()
    s.close()
    assert s.closed
    for call in (s.positions, s.center_of_mass, lambda: s.version, lambda: s.set_positions(array), s.snapshot, lambda: s.box):
        with pytest.raises(gromos.ConflictError, match="closed"):
            call()
    assert array.shape == (3, 3)
    assert "closed" in repr(s)


def test_a_state_deleted_before_it_was_looked_at_says_so(session):
    s = gromos.State(3, name="unseen", session=session).clone()
    s.delete()
    for call in (s.positions, s.snapshot, lambda: s.edit().__enter__(), lambda: s.step):
        with pytest.raises(gromos.StateDeletedError):
            call()


def test_a_closed_or_deleted_state_is_not_written(session, tmp_path):
    s = gromos.State(3, name="gone", session=session)
    again = session.attach("gone")
    again.close()
    with pytest.raises(gromos.ConflictError, match="closed"):
        again.to_file(tmp_path / "x.cnf")
    s.delete()
    with pytest.raises(gromos.StateDeletedError):
        s.to_file(tmp_path / "x.cnf")
    assert not (tmp_path / "x.cnf").exists()


def test_an_edit_has_no_other_attributes(any_session):
    """One that were simply set would be looked at by nobody."""
    s = gromos.State(3, session=any_session)
    with s.edit() as e:
        for name in ("positions", "possitions"):
            with pytest.raises(AttributeError):
                setattr(e, name, np.ones((3, 3)))
        with pytest.raises(gromos.InvalidArgumentError, match="'box' must be a gromos.Box, not NoneType"):
            e.box = None
    assert (s.positions() == 0).all()


def test_a_session_is_a_session(session):
    for call in (lambda: gromos.State(3, session="tcp://node:5870"), lambda: gromos.attach("x", session=5), lambda: gromos.jobs("x")):
        with pytest.raises(gromos.InvalidArgumentError, match=r"'session' must be a gromos.Session"):
            call()


def test_frames_of_no_atoms(remote):
    s = gromos.State(3, session=remote)
    with s.frames(timeout=5.0, atoms=[]) as frames:
        s.time = 1.0
        assert next(frames).positions().shape == (0, 3)


def test_a_deleted_state_says_so(any_session):
    s = gromos.State(3, session=any_session)
    s.set_positions(np.ones((3, 3)))
    array = s.positions()
    s.delete()
    for call in (
        s.center_of_mass, lambda: s.set_positions(array), s.describe, lambda: s.wait(timeout=1), s.delete, lambda: s.edit().__enter__(),
        lambda: next(s.frames(timeout=1.0)), lambda: s.set(time=1.0),
    ):  # fmt: skip
        with pytest.raises(gromos.StateDeletedError):
            call()
    assert (array == 1).all()


def test_pickling_gives_the_same_state(state, positions):
    state.set_positions(positions)
    other = pickle.loads(pickle.dumps(state))
    assert other == state
    assert (other.positions() == positions.astype(np.float32)).all()
    other.close()
    assert state.version == 1


def test_how_a_state_shows_itself(state):
    assert str(N) in repr(state)
    assert "<table>" in state._repr_html_()
    assert str(state.uuid) in state._repr_html_()


def test_describe(any_session):
    with gromos.State(100, 2, 3, dtype="float64", session=any_session) as s:
        about = s.describe()
        assert (about.num_atoms, about.num_temperature_groups, about.num_energy_groups) == (100, 2, 3)
        assert (about.dtype, about.version, about.lease, about.masses) == ("float64", 0, 0, False)
        assert about.bytes >= 100 * 3 * 8 * 3
        s.set_masses(np.ones(100))
        assert s.describe().masses


BAD_NUMBERS = {"nan": np.nan, "infinite": -np.inf, "too large for float32": 1e39}


@pytest.mark.parametrize("bad", BAD_NUMBERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("atoms", [50, 30_000, 600_000])
def test_bad_numbers_change_nothing(any_session, atoms, dtype, bad):
    """Wherever they stand, in an array of either precision, in every way to set one: nothing of the State moves, and the next edit goes."""
    if not any_session.local:
        atoms = min(atoms, 30_000)  # long arrays differ in how they are copied into memory
    rng = np.random.default_rng(5)
    state = any_session.create(atoms, dtype="float32")
    old = rng.random((atoms, 3), dtype=np.float32)
    state.set_positions(old)
    state.set_velocities(old[::-1], publish=False)
    version = state.version
    array = rng.random((atoms, 3)).astype(dtype)
    with np.errstate(over="ignore"):
        value = np.asarray(BAD_NUMBERS[bad], dtype)

    def unchanged():
        assert np.array_equal(state.positions(), old) and np.array_equal(state.velocities(), old[::-1])
        assert state.describe().lease == 0

    for at in (0, atoms * 3 // 2, atoms * 3 - 1):
        bad_array = array.copy()
        bad_array.reshape(-1)[at] = value
        for publish in (True, False):
            with pytest.raises(gromos.NotFiniteError, match="positions"):
                state.set_positions(bad_array, publish=publish)
            unchanged()
            assert state.version == version
        with pytest.raises(gromos.NotFiniteError, match="velocities"):
            state.set_velocities(bad_array)
        unchanged()
    with state.edit() as e:
        e.set_array(1, old)
        with pytest.raises(gromos.NotFiniteError, match="positions"):
            e.set_array(0, bad_array)
    assert np.array_equal(state.positions(), old) and np.array_equal(state.velocities(), old)
    state.set_positions(array)
    assert np.array_equal(state.positions(), array.astype(np.float32))
    state.close()


WRITTEN = {
    "positions": (np.nan, gromos.NotFiniteError),
    "velocities": (np.inf, gromos.NotFiniteError),
    "forces": (-np.inf, gromos.NotFiniteError),
    "masses": (np.nan, gromos.NotFiniteError),
    "energies": (-np.nan, gromos.NotFiniteError),
    "massless": (0.0, gromos.InvalidArgumentError),
    "negative masses": (-1.0, gromos.InvalidArgumentError),
}


@pytest.mark.parametrize("what", WRITTEN)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("atoms", [50, 30_000])
def test_bad_numbers_written_in_an_edit_are_not_committed(any_session, atoms, dtype, what):
    """Straight into the arrays an edit hands out: the edit ends undone, as it does for a remote session."""
    value, error = WRITTEN[what]
    name = what if what in ("positions", "velocities", "forces", "energies") else "masses"
    with any_session.create(atoms, dtype=dtype, frame_forces=True) as state:
        old = np.random.default_rng(6).random((atoms, 3), dtype=np.float32)
        state.set(positions=old, forces=old, masses=old[:, 0] + 1)

        def content():
            return [np.array(a) for a in (state.positions(), state.velocities(), state.forces(), state.masses(), state.energies.array)]

        before, version, step = content(), state.version, state.snapshot().step
        for publish in (True, False):
            for at in (0, -1):
                with pytest.raises(error, match=rf"{name}.*{abs(value):g}"), state.edit(publish=publish) as e:
                    e.positions()[:] += 1
                    e.step = 7
                    getattr(e, name)().reshape(-1)[at] = value
                assert all(np.array_equal(a, b) for a, b in zip(content(), before, strict=True))
                assert (state.version, state.step, state.snapshot().step, state.describe().lease) == (version, step, step, 0)
        e = state.edit().__enter__()
        e.positions()[:] = np.nan
        with pytest.raises(gromos.NotFiniteError):
            e.commit()
        assert not e.active and state.describe().lease == 0
        with state.edit() as e:
            kept = e.positions()
            kept[:] = np.nan
            kept[:] = 2  # what counts is what stands there in the end
        assert (state.positions() == 2).all() and state.version == version + 1


def wrong(error, match, call, id):
    return pytest.param(error, match, call, id=id)


@pytest.mark.parametrize(
    ("error", "match", "call"),
    [
        wrong(gromos.ShapeError, r"positions.*\(19, 3\).*\(20, 3\)", lambda s: s.set_positions(np.zeros((19, 3))), "too few rows"),
        wrong(gromos.ShapeError, "positions", lambda s: s.set_positions(np.zeros((20, 2))), "two columns"),
        wrong(gromos.ShapeError, "positions", lambda s: s.set_positions(np.zeros(60)), "flat"),
        wrong(gromos.ShapeError, "positions", lambda s: s.set_positions(1.0), "a number"),
        wrong(gromos.ShapeError, "positions.*makes no array", lambda s: s.set_positions([[1, 2], [3]]), "ragged"),
        wrong(gromos.InvalidArgumentError, r"'step'.*2\*\*63", lambda s: s.set(step=2**70), "a step of 70 bits"),
        wrong(gromos.InvalidArgumentError, r"'seed'.*2\*\*63", lambda s: s.maxwell_velocities(300, seed=2**70), "a seed of 70 bits"),
        wrong(gromos.DTypeError, "positions", lambda s: s.set_positions([["a"] * 3] * 20), "strings"),
        wrong(gromos.DTypeError, "positions", lambda s: s.set_positions(np.zeros((20, 3), complex)), "complex"),
        wrong(gromos.NotFiniteError, "positions", lambda s: s.set_positions(np.full((20, 3), np.nan)), "nan"),
        wrong(gromos.NotFiniteError, "velocities", lambda s: s.set_velocities(np.full((20, 3), np.inf)), "infinity"),
        wrong(gromos.ShapeError, "masses", lambda s: s.set_masses(np.ones((20, 1))), "masses in a column"),
        wrong(gromos.GromosError, "masses", lambda s: s.set_masses(np.zeros(20)), "massless"),
        wrong(gromos.InvalidArgumentError, "box", lambda s: setattr(s, "box", (3, 3, 3)), "box a tuple"),
        wrong(gromos.InvalidArgumentError, "step", lambda s: setattr(s, "step", 1.5), "step a float"),
        wrong(gromos.NotFiniteError, "time", lambda s: setattr(s, "time", float("nan")), "time nan"),
        wrong(gromos.IndexRangeError, "20", lambda s: s.center_of_mass([0, 20]), "index beyond"),
        wrong(gromos.IndexRangeError, "-1", lambda s: s.center_of_mass([-1]), "index negative"),
        wrong(gromos.IndexRangeError, "atoms", lambda s: s.center_of_mass([2**40]), "index far beyond"),
        wrong(gromos.DTypeError, "atoms", lambda s: s.center_of_mass([0.5]), "index a float"),
        wrong(gromos.ShapeError, "mask", lambda s: s.center_of_mass([True, False]), "short mask"),
        wrong(gromos.UnsupportedError, "atoms", lambda s: s.center_of_mass("a:OW"), "index a string"),
        wrong(gromos.ShapeError, "atoms", lambda s: s.center_of_mass([[0, 1]]), "indices in rows"),
        wrong(gromos.InvalidArgumentError, "atom", lambda s: s.center_of_mass([]), "no atoms"),
        wrong(gromos.ShapeError, "pairs", lambda s: s.distances([[0, 1, 2]]), "triples"),
        wrong(gromos.IndexRangeError, r"pairs\[1\]\[0\] is 99", lambda s: s.distances([[0, 1], [99, 0]]), "pair beyond"),
        wrong(gromos.DTypeError, "'atoms' is a set; give a list", lambda s: s.center_of_mass({1, 2}), "a set"),
        wrong(gromos.InvalidArgumentError, "the selection is empty", lambda s: s.temperature([]), "temperature of nothing"),
        wrong(gromos.InvalidArgumentError, "'box' must be a gromos.Box", lambda s: setattr(s, "box", None), "no box"),
        wrong(gromos.ShapeError, "vector", lambda s: s.translate([1, 2]), "vector of two"),
        wrong(gromos.NotFiniteError, "beyond what the State's float32 hold", lambda s: s.translate([1e39, 0, 0]), "vector too long"),
        wrong(gromos.NotFiniteError, "beyond what the State's float32 hold", lambda s: s.scale(1e39), "factor too large"),
        wrong(gromos.NotFiniteError, "vector", lambda s: s.translate([1, 2, np.nan]), "vector nan"),
        wrong(gromos.InvalidArgumentError, "matrix", lambda s: s.rotate(2 * np.eye(3)), "no rotation"),
        wrong(gromos.InvalidArgumentError, "matrix", lambda s: s.rotate(-np.eye(3)), "a reflection"),
        wrong(gromos.InvalidArgumentError, "factor", lambda s: s.scale(0.0), "factor zero"),
        wrong(gromos.InvalidArgumentError, "factor", lambda s: s.scale(-1.0), "factor negative"),
        wrong(gromos.InvalidArgumentError, "by", lambda s: s.wrap("residue"), "wrap by residue"),
        wrong(gromos.NoTopologyError, "molecules", lambda s: s.wrap("molecule"), "wrap without molecules"),
        wrong(gromos.InvalidArgumentError, "temperature", lambda s: s.maxwell_velocities(-1.0), "negative temperature"),
        wrong(gromos.InvalidArgumentError, "seed", lambda s: s.maxwell_velocities(300.0, seed=1.5), "seed a float"),
        wrong(gromos.InvalidArgumentError, "dof", lambda s: s.temperature(dof=0), "no degrees of freedom"),
        wrong(gromos.ShapeError, r"reference.*\(20, 3\)", lambda s: s.rmsd(np.zeros((5, 3))), "short reference"),
        wrong(gromos.NotFiniteError, "reference", lambda s: s.rmsd(np.full((20, 3), np.nan)), "reference nan"),
        wrong(gromos.InvalidArgumentError, "cutoff", lambda s: s.neighbor_pairs(0.0), "cutoff zero"),
        wrong(gromos.InvalidArgumentError, "bins", lambda s: s.rdf(r_max=1.0, bins=0), "no bins"),
        wrong(gromos.GromosError, "molecule", lambda s: s.set_molecules([0, 5]), "molecules too short"),
        wrong(gromos.GromosError, "molecule", lambda s: s.set_molecules([0, 9, 5, 20]), "molecules not ascending"),
        wrong(gromos.InvalidArgumentError, "array", lambda s: s.norms("masses"), "norms of masses"),
        wrong(gromos.InvalidArgumentError, "policy", lambda s: s.frames("some"), "policy"),
        wrong(gromos.InvalidArgumentError, "every", lambda s: s.frames(every=0), "every zero"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(state, error, match, call):
    with pytest.raises(error, match=match or None):
        call(state)
    assert state.version == 0
    state.session.ping()


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (gromos.InvalidArgumentError, "num_atoms", {"num_atoms": 0}),
        (gromos.InvalidArgumentError, "num_atoms", {"num_atoms": -3}),
        (gromos.InvalidArgumentError, "num_atoms", {"num_atoms": 2.5}),
        (gromos.InvalidArgumentError, "num_atoms", {"num_atoms": 10**12}),
        (gromos.InvalidArgumentError, "dtype", {"num_atoms": 3, "dtype": "float16"}),
        (gromos.InvalidArgumentError, "slots", {"num_atoms": 3, "slots": 1000}),
        (gromos.InvalidArgumentError, "num_temperature_groups", {"num_atoms": 3, "num_temp_groups": 0}),
        (gromos.InvalidArgumentError, "name", {"num_atoms": 3, "name": "x" * 200}),
        (gromos.InvalidArgumentError, "name", {"num_atoms": 3, "name": "a\0b"}),
        pytest.param(
            gromos.OutOfMemoryError, "memory", {"num_atoms": 500_000_000, "dtype": "float64"},
            marks=pytest.mark.skipif(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > 40e9, reason="there is memory for it here"),
        ),
    ],
)
def test_states_that_cannot_be_made(any_session, error, match, options):
    before = any_session.stats().states
    with pytest.raises(error, match=match or None):
        gromos.State(session=any_session, **options)
    assert any_session.stats().states <= before


def test_the_daemon_knows_no_other_commands(any_session):
    with pytest.raises(KeyError):
        any_session._call("state.explode", {})


def test_both_kinds_of_session_see_the_same_state(session, remote, positions):
    with gromos.State(N, name="shared", session=session) as here:
        there = gromos.attach("shared", session=remote)
        here.set(positions=positions, time=0.5)
        assert (there.positions() == here.positions()).all()
        assert there.time == 0.5
        there.set_velocities(positions)
        assert (here.velocities() == positions.astype(np.float32)).all()
        assert there.center_of_mass().tolist() == here.center_of_mass().tolist()
        there.close()
        here.delete()


def test_a_remote_array_is_fetched_once_per_version(remote, positions):
    with gromos.State(N, session=remote) as s:
        s.set_positions(positions)
        first = s.positions()
        assert s.positions() is first
        s.set_positions(positions)
        assert s.positions() is not first

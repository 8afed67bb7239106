"""Computing in the daemon, against NumPy, SciPy and MDAnalysis, in both precisions and over both kinds of session.

Tolerances: inputs are rounded to the State's dtype first, sums are in double on both sides, so scalars agree to a few units of double
(1e-12 relative); arrays in float32 agree to a few units of float32 (1e-6 of the size of the coordinates).
"""

import threading

import gromos
import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

N = 420
BOLTZMANN = 0.00831446261815324
EPS = {"float32": 1.2e-7, "float64": 2.3e-16}


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def state(any_session, dtype, rng):
    with gromos.State(N, dtype=dtype, session=any_session) as s:
        s.set(
            positions=rng.random((N, 3)) * 4 - 0.5,
            velocities=rng.normal(size=(N, 3)),
            forces=rng.normal(size=(N, 3)) * 100,
            masses=rng.uniform(1, 30, N),
            box=gromos.Box.rectangular(3.0, 3.2, 3.4),
        )
        yield s


def double(state, name="positions"):
    return getattr(state, name)().astype(np.float64)


SELECTIONS = {
    "all": None,
    "some": np.array([5, 3, 390, 3, 17]),
    "one": [0],
    "mask": np.arange(N) % 3 == 0,
    "slice": slice(10, 350, 7),
}


@pytest.fixture(params=SELECTIONS)
def atoms(request):
    return SELECTIONS[request.param]


def chosen(array, atoms):
    return array if atoms is None else array[atoms]


BOXES = {
    "vacuum": gromos.Box.vacuum(),
    "rectangular": gromos.Box.rectangular(3.0, 3.2, 3.4),
    "triclinic": gromos.Box.triclinic([[3.0, 0, 0], [0.9, 2.9, 0], [-0.8, 0.7, 3.1]]),
    "octahedron": gromos.Box.truncated_octahedron(4.0),
}


@pytest.fixture(params=BOXES)
def box(request):
    return BOXES[request.param]


def minimum_image(d, box):
    """Shortest image of difference vectors, by trying all neighbouring cells: slow and plain."""
    if box.kind == gromos.BoxKind.VACUUM:
        return d
    cell = box.to_triclinic().vectors if box.kind == gromos.BoxKind.TRUNCATED_OCTAHEDRON else box.vectors
    d = d - np.rint(d @ np.linalg.inv(cell)) @ cell
    shifts = np.array([[i, j, k] for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)]) @ cell
    best = d.copy()
    for shift in shifts:
        trial = d + shift
        shorter = (trial**2).sum(-1) < (best**2).sum(-1)
        best[shorter] = trial[shorter]
    return best


# --- sums ----------------------------------------------------------------------------------------------------------


def test_centres(state, atoms):
    x, m = chosen(double(state), atoms), chosen(state.masses(), atoms)
    np.testing.assert_allclose(state.center_of_geometry(atoms), x.mean(0), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(state.center_of_mass(atoms), (m[:, None] * x).sum(0) / m.sum(), rtol=1e-12, atol=1e-13)
    assert state.center_of_mass(atoms).dtype == np.float64


def test_radius_of_gyration(state, atoms):
    x, m = chosen(double(state), atoms), chosen(state.masses(), atoms)
    d = x - (m[:, None] * x).sum(0) / m.sum()
    expected = np.sqrt((m * (d**2).sum(1)).sum() / m.sum())
    assert state.radius_of_gyration(atoms) == pytest.approx(expected, rel=1e-9, abs=1e-7)


def test_bounds(state, atoms):
    x = chosen(double(state), atoms)
    lower, upper = state.bounds(atoms)
    assert lower.tolist() == x.min(0).tolist()
    assert upper.tolist() == x.max(0).tolist()


@pytest.mark.parametrize("array", ["positions", "velocities", "forces"])
def test_norms(state, atoms, array, dtype):
    expected = np.linalg.norm(chosen(double(state, array), atoms), axis=1)
    found = state.norms(array, atoms)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=4 * EPS[dtype])


def test_kinetic_energy_and_temperature(state, atoms):
    v, m = chosen(double(state, "velocities"), atoms), chosen(state.masses(), atoms)
    expected = 0.5 * (m * (v**2).sum(1)).sum()
    assert state.kinetic_energy(atoms) == pytest.approx(expected, rel=1e-12)
    assert state.temperature(atoms) == pytest.approx(2 * expected / (3 * len(m) * BOLTZMANN), rel=1e-7)
    assert state.temperature(atoms, dof=100) == pytest.approx(2 * expected / (100 * BOLTZMANN), rel=1e-7)


# --- moving --------------------------------------------------------------------------------------------------------


def untouched(before, after, atoms):
    if atoms is None:
        return True
    rest = np.ones(N, bool)
    rest[atoms] = False
    return (before[rest] == after[rest]).all()


def test_translate(state, atoms, dtype):
    before = double(state)
    state.translate([0.1, -0.2, 0.3], atoms)
    expected = before.copy()
    if atoms is None:
        expected += [0.1, -0.2, 0.3]
    else:
        np.add.at(expected, np.arange(N)[atoms], [0.1, -0.2, 0.3])  # repeats count
    np.testing.assert_allclose(state.positions(), expected, atol=20 * EPS[dtype])
    assert untouched(before, double(state), atoms)


def test_rotate(state, dtype, rng):
    x, v = double(state), double(state, "velocities")
    matrix = Rotation.random(random_state=3).as_matrix()
    about = np.array([1.0, 0.5, -0.25])
    state.rotate(matrix, about=about)
    np.testing.assert_allclose(state.positions(), (x - about) @ matrix.T + about, atol=40 * EPS[dtype])
    np.testing.assert_allclose(state.velocities(), v @ matrix.T, atol=40 * EPS[dtype])
    state.rotate(gromos.Mat3.identity(), velocities=False)
    x = double(state)
    some = np.arange(5, 50)
    state.rotate(matrix, atoms=some, velocities=False)
    centre = x[some].mean(0)
    np.testing.assert_allclose(state.positions()[some], (x[some] - centre) @ matrix.T + centre, atol=40 * EPS[dtype])
    assert untouched(x, double(state), some)


def test_scale(state, dtype):
    x, volume = double(state), state.box.volume()
    state.scale(1.25)
    np.testing.assert_allclose(state.positions(), x * 1.25, rtol=4 * EPS[dtype])
    assert state.box.volume() == pytest.approx(volume * 1.25**3, rel=1e-12)
    box, x = state.box, double(state)
    state.scale(0.5, about=[1, 1, 1], atoms=[3, 4])
    np.testing.assert_allclose(state.positions()[[3, 4]], (x[[3, 4]] - 1) * 0.5 + 1, rtol=1e-6, atol=10 * EPS[dtype])
    assert state.box == box


def test_wrap(state, box, dtype):
    state.box = box
    before = double(state)
    state.wrap()
    after = double(state)
    if box.kind == gromos.BoxKind.VACUUM:
        assert (after == before).all()
        return
    tolerance = 200 * EPS[dtype]
    # Moved by whole lattice vectors, and nothing lies further from the centre of its cell than the cell reaches.
    cell = box.to_triclinic().vectors if box.kind == gromos.BoxKind.TRUNCATED_OCTAHEDRON else box.vectors
    shifts = (after - before) @ np.linalg.inv(cell)
    np.testing.assert_allclose(shifts, np.rint(shifts), atol=tolerance)
    if box.kind != gromos.BoxKind.TRUNCATED_OCTAHEDRON:
        inside = after @ np.linalg.inv(cell)
        low, high = inside.min(0), inside.max(0)
        assert (high - low <= 1 + tolerance).all()
    again = double(state)
    state.wrap()
    np.testing.assert_allclose(double(state), again, atol=tolerance)


def test_wrap_by_molecule_keeps_molecules_whole(state, box):
    if box.kind == gromos.BoxKind.VACUUM:
        return
    rng = np.random.default_rng(3)
    centres = rng.random((N // 7, 3)) * 3
    x = (centres[:, None] + 0.05 * rng.normal(size=(N // 7, 7, 3))).reshape(N, 3)
    cell = box.to_triclinic().vectors if box.kind == gromos.BoxKind.TRUNCATED_OCTAHEDRON else box.vectors
    broken = x + rng.integers(-1, 2, (N, 3)) @ cell
    state.set(box=box, positions=broken)
    state.set_molecules(np.arange(0, N + 1, 7))
    state.wrap("molecule")
    after = double(state).reshape(-1, 7, 3)
    np.testing.assert_allclose(after - after[:, :1], x.reshape(-1, 7, 3) - x.reshape(-1, 7, 3)[:, :1], atol=5e-6)


def test_remove_com_motion(state):
    v, m = double(state, "velocities"), state.masses()
    drift = (m[:, None] * v).sum(0) / m.sum()
    np.testing.assert_allclose(state.remove_com_motion(), drift, rtol=1e-6, atol=1e-9)
    left = (m[:, None] * double(state, "velocities")).sum(0) / m.sum()
    assert np.abs(left).max() < 1e-6


def test_maxwell_velocities(any_session, dtype):
    n = 50_000
    with gromos.State(n, dtype=dtype, session=any_session) as s:
        masses = np.where(np.arange(n) % 3 == 0, 16.0, 1.0)
        s.set_masses(masses)
        s.maxwell_velocities(300.0, seed=5)
        first = s.velocities().copy()
        # 3n degrees of freedom: the temperature scatters by sqrt(2/3n) = 0.37 %; five of those.
        assert s.temperature() == pytest.approx(300.0, rel=0.019)
        for mass in (16.0, 1.0):
            v = first[masses == mass].astype(float) * np.sqrt(mass / (BOLTZMANN * 300.0))
            assert abs(v.mean()) < 5 / np.sqrt(v.size)
            assert v.std() == pytest.approx(1.0, abs=5 / np.sqrt(2 * v.size))
            assert (v**4).mean() == pytest.approx(3.0, abs=5 * np.sqrt(96 / v.size))  # kurtosis of a normal distribution
        momentum = (masses[:, None] * first.astype(float)).sum(0)
        assert np.abs(momentum / masses.sum()).max() < 1e-6
        s.maxwell_velocities(300.0, seed=6)
        assert (s.velocities() != first).any()
        s.maxwell_velocities(300.0, seed=5)
        assert (s.velocities() == first).all()
        s.maxwell_velocities(0.0)
        assert not s.velocities().any()


# --- superposition -------------------------------------------------------------------------------------------------


def kabsch(x, y, w):
    """Rotation that moves centred x onto centred y, and the RMSD; from the singular values of the weighted covariance."""
    cx, cy = (w[:, None] * x).sum(0) / w.sum(), (w[:, None] * y).sum(0) / w.sum()
    a, b = x - cx, y - cy
    u, s, vt = np.linalg.svd((w[:, None] * a).T @ b)
    sign = np.sign(np.linalg.det(u @ vt))
    r = vt.T @ np.diag([1, 1, sign]) @ u.T
    rest = a @ r.T - b
    return r, np.sqrt((w * (rest**2).sum(1)).sum() / w.sum()), cx, cy


@pytest.mark.parametrize("mass_weighted", [False, True])
def test_rmsd_and_fit(state, atoms, mass_weighted, rng, dtype):
    if atoms is not None and len(np.arange(N)[atoms]) < 4:
        return  # one atom lies on one atom whatever the rotation
    rotation = Rotation.random(random_state=4).as_matrix()
    reference = double(state) @ rotation.T + [3, -2, 1] + 0.05 * rng.normal(size=(N, 3))
    x, w = chosen(double(state), atoms), chosen(state.masses(), atoms) if mass_weighted else None
    y = chosen(reference, atoms)
    w = np.ones(len(x)) if w is None else w
    r, rmsd, cx, cy = kabsch(x, y, w)
    found = state.superposition(reference, atoms, mass_weighted=mass_weighted)
    assert found.rmsd == pytest.approx(rmsd, rel=1e-6)
    np.testing.assert_allclose(found.rotation, r, atol=1e-6)
    np.testing.assert_allclose(found.center, cx, atol=1e-6)
    np.testing.assert_allclose(found.reference_center, cy, atol=1e-6)
    assert state.rmsd(reference, atoms, mass_weighted=mass_weighted) == found.rmsd
    plain = np.sqrt((w * ((x - y) ** 2).sum(1)).sum() / w.sum())
    assert state.rmsd(reference, atoms, fit=False, mass_weighted=mass_weighted) == pytest.approx(plain, rel=1e-6)
    before = double(state)
    assert state.fit(reference, atoms, mass_weighted=mass_weighted) == pytest.approx(rmsd, rel=1e-6)
    np.testing.assert_allclose(state.positions(), (before - cx) @ r.T + cy, atol=5e-6)


def test_a_reflection_is_no_rotation(state):
    mirrored = double(state) * [1, 1, -1]
    found = state.superposition(mirrored)
    assert np.linalg.det(found.rotation) == pytest.approx(1.0, abs=1e-9)
    assert found.rmsd > 0.1


def test_references_of_all_kinds(state, any_session):
    state.set_positions(state.positions())
    clone = state.clone()
    frame = state.snapshot()
    state.rotate(Rotation.random(random_state=1).as_matrix())
    for reference in (clone, frame, clone.positions(), frame.positions().tolist()):
        assert state.rmsd(reference) == pytest.approx(0.0, abs=2e-6)
        assert state.rmsd(reference, fit=False) > 0.1


def test_rmsd_is_that_of_mdanalysis(state, rng):
    from MDAnalysis.analysis import rms

    reference = double(state) + 0.1 * rng.normal(size=(N, 3))
    expected = rms.rmsd(double(state), reference, center=True, superposition=True)
    assert state.rmsd(reference) == pytest.approx(expected, rel=1e-5)


# --- distances -----------------------------------------------------------------------------------------------------


def test_distances(state, box, dtype, rng):
    state.box = box
    pairs = rng.integers(0, N, (3000, 2))
    x = double(state)
    expected = np.linalg.norm(minimum_image(x[pairs[:, 1]] - x[pairs[:, 0]], box), axis=1)
    found = state.distances(pairs)
    np.testing.assert_allclose(found, expected, atol=30 * EPS[dtype])
    assert state.distances(np.zeros((0, 2), int)).shape == (0,)


def test_distance_array(state, box, dtype):
    state.box = box
    a, b = np.arange(0, 40), np.arange(20, N, 3)
    x = double(state)
    expected = np.linalg.norm(minimum_image((x[b][None] - x[a][:, None]).reshape(-1, 3), box), axis=1).reshape(len(a), len(b))
    np.testing.assert_allclose(state.distance_array(a, b), expected, atol=30 * EPS[dtype])


def test_distance_array_of_everything_comes_as_shared_memory(state, dtype):
    full = state.distance_array()
    assert full.shape == (N, N)
    np.testing.assert_allclose(full, full.T, atol=30 * EPS[dtype])
    assert not full.diagonal().any()
    assert not full.flags.writeable


def test_distances_are_those_of_mdanalysis(state, dtype):
    from MDAnalysis.lib import distances as lib

    a, b = np.arange(0, 50), np.arange(100, 300)
    box = state.box.to_mdanalysis()
    expected = lib.distance_array(state.positions()[a].astype(np.float32), state.positions()[b].astype(np.float32), box / [10, 10, 10, 1, 1, 1])
    np.testing.assert_allclose(state.distance_array(a, b), expected, atol=5e-6)


def brute_pairs(x, box, cutoff):
    i, j = np.triu_indices(len(x), 1)
    d = np.linalg.norm(minimum_image(x[j] - x[i], box), axis=1)
    return {(int(a), int(b)): float(r) for a, b, r in zip(i, j, d, strict=True) if r < cutoff}


def test_neighbor_pairs(state, box, dtype):
    state.box = box
    cutoff = 0.6
    pairs, distances = state.neighbor_pairs(cutoff)
    assert pairs.dtype == np.int32
    assert (pairs[:, 0] < pairs[:, 1]).all()
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    assert (order == np.arange(len(order))).all()
    found = dict(zip(map(tuple, pairs.tolist()), distances.tolist(), strict=True))
    expected = brute_pairs(double(state), box, cutoff + 1e-5)
    margin = 30 * EPS[dtype] * 4
    assert {p for p, r in expected.items() if r < cutoff - margin} <= set(found) <= set(expected)
    for pair, r in found.items():
        assert r == pytest.approx(expected[pair], abs=margin)


def test_neighbor_pairs_among_some(state):
    some = np.arange(0, N, 2)
    pairs, distances = state.neighbor_pairs(0.5, atoms=some)
    assert set(pairs.ravel().tolist()) <= set(some.tolist())
    everything = {tuple(p) for p in state.neighbor_pairs(0.5)[0].tolist()}
    assert {tuple(p) for p in pairs.tolist()} == {p for p in everything if p[0] % 2 == 0 and p[1] % 2 == 0}


def test_neighbor_pairs_are_those_of_scipy(state, dtype):
    state.wrap()
    edges = np.array(state.box.dimensions())
    x = double(state) % edges
    tree = cKDTree(x, boxsize=edges)
    expected = tree.query_pairs(0.7, output_type="set")
    found = {tuple(p) for p in state.neighbor_pairs(0.7)[0].tolist()}
    doubtful = {p for p in expected ^ found}
    assert all(abs(state.distances([p])[0] - 0.7) < 1e-6 for p in doubtful)


def test_a_cutoff_beyond_half_the_box_is_refused(state):
    with pytest.raises(gromos.GromosError, match="half"):
        state.neighbor_pairs(1.7)
    with pytest.raises(gromos.GromosError, match="half"):
        state.rdf(r_max=1.7)


def test_rdf(state, dtype):
    a, b = np.arange(0, N, 3), np.arange(1, N, 3)
    r, g = state.rdf(a, b, r_max=1.4, bins=28)
    np.testing.assert_allclose(r, (np.arange(28) + 0.5) * 0.05, rtol=1e-12)
    d = state.distance_array(a, b).ravel()
    counts, edges = np.histogram(d, bins=28, range=(0, 1.4))
    shells = 4 / 3 * np.pi * (edges[1:] ** 3 - edges[:-1] ** 3)
    expected = counts / (len(a) * len(b) / state.box.volume() * shells)
    # A distance within rounding of an edge may be counted on the other side.
    assert np.abs((g - expected) * (len(a) * len(b) / state.box.volume() * shells)).max() <= 2
    same, _ = state.rdf(a, r_max=1.4, bins=28), None
    r, g = state.rdf(r_max=1.4, bins=14)
    assert g[0] < 50  # an atom is no pair with itself


@pytest.mark.parametrize("dtype_of_atoms", [np.int32, np.int64])
def test_rdf_of_a_selection_with_itself(state, dtype_of_atoms, rng):
    atoms = np.sort(rng.permutation(N)[: N // 2]).astype(dtype_of_atoms)
    _, g = state.rdf(atoms, atoms.copy(), r_max=1.4, bins=28)
    for one in (atoms, atoms[::-1].copy()):  # ascending, and not
        np.testing.assert_array_equal(state.rdf(one, one, r_max=1.4, bins=28)[1], g)
    d = state.distance_array(atoms, atoms)[np.triu_indices(len(atoms), 1)]
    expected = 2 * np.count_nonzero(d < 1.4)
    shells = 4 / 3 * np.pi * np.diff((np.arange(29) * 0.05) ** 3)
    found = (g * len(atoms) * (len(atoms) - 1) / state.box.volume() * shells).sum()
    assert abs(found - expected) <= 2.0001  # a distance within rounding of r_max
    for wrong in (np.append(atoms, atoms[-1]), np.append(atoms, atoms[0])):
        with pytest.raises(gromos.InvalidArgumentError, match="twice"):
            state.rdf(wrong, wrong, r_max=1.4)


def test_rdf_of_an_ideal_gas_is_one(any_session):
    n = 20_000
    with gromos.State(n, session=any_session) as s:
        s.set(positions=np.random.default_rng(0).random((n, 3)) * 6, box=gromos.Box.rectangular(6, 6, 6))
        _, g = s.rdf(r_max=2.0, bins=20)
        # About n^2 v(r) / V pairs per bin: beyond the first bins the noise is under a percent.
        np.testing.assert_allclose(g[5:], 1.0, atol=0.02)


def test_rdf_in_vacuum_is_relative_to_the_sphere_of_r_max(state):
    state.box = gromos.Box.vacuum()
    a, b = [0, 5], [1, 2, 3]
    d = state.distance_array(a, b).ravel()
    r_max = float(d.max()) * 1.01
    _, g = state.rdf(a, b, r_max=r_max, bins=1)
    assert g[0] == pytest.approx(1.0, rel=1e-9)


# --- one result for everybody --------------------------------------------------------------------------------------


def test_results_do_not_depend_on_the_session(session, remote, rng):
    with gromos.State(N, name="same", session=session) as here:
        here.set(positions=rng.random((N, 3)), velocities=rng.normal(size=(N, 3)), box=gromos.Box.rectangular(2, 2, 2))
        there = gromos.attach("same", session=remote)
        for call in (
            lambda s: s.center_of_mass(),
            lambda s: s.radius_of_gyration(),
            lambda s: s.distance_array(),
            lambda s: s.neighbor_pairs(0.4)[0],
            lambda s: s.rdf(r_max=0.9)[1],
            lambda s: s.temperature(),
        ):
            assert np.array_equal(call(here), call(there))
        there.close()
        here.delete()


def test_reading_in_the_middle_of_an_own_edit_sees_it(session):
    with gromos.State(4, session=session) as s:
        with s.edit() as e:
            e.positions()[:] = 2
            assert s.center_of_geometry().tolist() == [2, 2, 2]
        assert s.center_of_geometry().tolist() == [2, 2, 2]


def test_threads_change_no_bit(make_daemon):
    """Long pair computations by one thread and by several, and by several clients at once."""
    alone, several = make_daemon("--threads", "1"), make_daemon("--threads", "4")
    rng = np.random.default_rng(8)
    positions = rng.random((20_000, 3), dtype=np.float32) * 6
    some, most = np.arange(0, 20_000, 7), np.arange(0, 20_000, 2)
    with alone.connect() as one, several.connect() as many:
        expected = None
        for session in (one, many):
            state = session.create(20_000, name="w")
            state.set_positions(positions)
            state.box = gromos.Box.rectangular(6, 6, 6)
            results = [state.distance_array(some, most), *state.neighbor_pairs(0.5), *state.rdf(most, r_max=0.9, bins=80)]
            if expected is None:
                expected = results
            for result, right in zip(results, expected, strict=True):
                np.testing.assert_array_equal(result, right)
        failures = []

        def work():
            try:
                with several.connect() as own:
                    there = own.attach("w")
                    for _ in range(5):
                        np.testing.assert_array_equal(there.neighbor_pairs(0.5)[1], expected[2])
                        np.testing.assert_array_equal(there.rdf(most, r_max=0.9, bins=80)[1], expected[4])
            except Exception as error:  # shown below
                failures.append(error)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(200)
        assert not failures

"""The short form of `make validate`: conservation, reversibility, virial and ensembles on small boxes of SPC water.

Runs are of one thread and fixed seeds, so that on one machine they always give the same numbers; bounds leave room for other processors'
rounding, which makes other trajectories after some picoseconds.
"""

import sys
from importlib.resources import files
from pathlib import Path

import gromos
import numpy as np
import pytest
from gromos import _parameter_blocks as blocks

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "validate"))
import spc  # noqa: E402

CUTOFF = 0.6  # nm; 64 molecules have a box edge of 1.25 nm
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def liquid(session):
    """64 molecules at 300 K, in the scheme verlet."""
    system = spc.lattice(4, session)
    spc.equilibrate(system, CUTOFF, 5.0)
    return system


def nve(scheme, **options):
    return spc.settled(spc.parameters(CUTOFF, scheme, **options))


def test_energy_does_not_drift(liquid):
    """6 ps at 2 fs. The long run bounds the drift at 0.005 kJ/mol/ns per atom; six picoseconds of 192 atoms only tell what a pair missed by
    the list, or a jump of the potential at the cutoff, would do: several."""
    energies = spc.record(spc.clone(liquid), nve("verlet"), 6.0, 5)
    drift = 1000 * np.polyfit(energies["time"], energies["total"] / liquid.num_atoms(), 1)[0]
    assert len(energies) > 300
    # The energy of so few atoms walks: slopes of such stretches scatter by 0.35.
    assert abs(drift) < 1.0, f"{drift:.4f} kJ/mol/ns per atom"
    # What leap-frog's averaged half steps ripple by; the kinetic energy alone fluctuates by 30 times as much.
    assert energies["total"].std() < 0.1 * energies["kinetic"].std()


def test_an_energy_that_walks_is_no_drift():
    """60 series of ripple and walk without a slope: the stated error is that of the slopes found, to a third (60 numbers tell it to a tenth).
    Planted: a slope of six such errors is found."""
    random, t = np.random.default_rng(7), 0.04 * np.arange(4000)
    series = random.normal(size=(60, 4000)) + np.cumsum(random.normal(scale=0.009, size=(60, 4000)), axis=1)
    for walk in (None, 0.009**2 / 0.04):
        found, error = np.array([spc.slope(t, y, walk) for y in series]).T
        assert 0.67 < found.std() / np.sqrt(np.mean(error**2)) < 1.5
    planted, error = spc.slope(t, series[0] + 6 * found.std() * t)
    assert planted > 3 * error


def test_the_energy_walks_by_the_kink_at_the_cutoff(liquid):
    """Each pair that crosses it brings an error of dt^2, a variance of dt^4: a factor of 16 between 2 and 1 fs, as well in float32, whose forces
    differ by far less. From 500 steps the factor comes out between 5 and 30, by where the liquid is; 1500 tell it to a third."""
    short = nve("verlet")
    short.dt = 0.001
    double, half, single = (spc.walk(spc.clone(liquid), p, 1500) for p in (nve("verlet"), short, nve("verlet", precision="float32")))
    assert 6.0 < double / half < 40.0
    assert 0.4 < single / double < 2.5


@pytest.mark.parametrize("scheme", ["verlet", "chargegroup"])
def test_momentum_is_conserved(liquid, scheme):
    """Of forces that sum to zero but for rounding: 200 steps times 1e-10 kJ/mol/nm."""
    system = spc.clone(liquid)
    before = spc.momentum(system.state.velocities())
    gromos.Simulation(system, nve(scheme)).step(200)
    assert np.abs(spc.momentum(system.state.velocities()) - before).max() < 1e-9


def test_motion_runs_backwards(liquid):
    """0.2 ps there and back. Rounding of 1e-16 nm grows with the collisions, e-fold in some 0.1 ps."""
    assert spc.reversal(spc.clone(liquid), nve("verlet"), 100) < 1e-9


def scaled(system, axis, h):
    """The box longer by 1 + h along an axis, molecules moved as wholes."""
    other = spc.clone(system)
    x = np.array(system.state.positions()).reshape(-1, 3, 3)
    edge = np.diag(system.state.box.vectors)
    x -= edge * np.rint((x - x[:, :1]) / edge)  # no molecule is torn
    center = np.einsum("a,mad->md", spc.MASSES / spc.MASS, x)
    x[..., axis] += h * center[:, None, axis]
    edges = edge.copy()
    edges[axis] *= 1 + h
    other.state.set(positions=x.reshape(-1, 3), box=gromos.Box.rectangular(*edges))
    return other


@pytest.mark.parametrize("scheme", ["verlet", "chargegroup"])
def test_virial_is_the_derivative_of_the_energy(liquid, scheme):
    """dU/dh along each axis is twice that element of the virial, molecules moved as wholes. Central differences: h^2 times the third
    derivative, and rounding 1e-9 / h. Over h = 1e-5 no pair may change sides of the charge-group cutoff, where the potential jumps: there
    h is smaller."""
    p = nve(scheme)
    p.pressurescale = blocks.PressureScale(couple="calc", virial="molecular")
    virial = np.array(gromos.Simulation(spc.clone(liquid), p).energies().virial_tensor)
    h = 1e-5 if scheme == "verlet" else 1e-7
    for axis in range(3):
        up, down = (gromos.Simulation(scaled(liquid, axis, side), p).energies().potential for side in (h, -h))
        assert (up - down) / (2 * h) == pytest.approx(2 * virial[axis, axis], rel=1e-3, abs=0.5)


def test_pressure_follows_from_virial_and_kinetic_energy(liquid):
    """P = 2 (E - W) / V, each element."""
    p = nve("verlet")
    p.pressurescale = blocks.PressureScale(couple="calc", virial="molecular")
    e = gromos.Simulation(spc.clone(liquid), p).step(1)
    expected = 2 * (np.array(e.kinetic_tensor) - np.array(e.virial_tensor)) / e.volume
    np.testing.assert_allclose(np.array(e.pressure_tensor), expected, rtol=1e-12, atol=1e-9)
    assert e.pressure == pytest.approx(np.trace(expected) / 3, rel=1e-12)


def canonical(found, spread, samples):
    """Distances of a mean and a variance from what they ought to be, both given as fractions of that, in standard errors of so many
    independent looks; `spread` is the right relative width."""
    return np.abs([found.mean() - 1, found.var(ddof=1) / spread**2 - 1]) / [spread / np.sqrt(samples), np.sqrt(2 / samples)]


def kinetic_distances(liquid, ps, thermostat="bussi", removed=3):
    """Of the kinetic energy, a look every 0.1 ps. `removed` degrees of freedom are what the engine is told that the motion of the whole
    takes; three is right."""
    p = spc.settled(spc.parameters(CUTOFF, kind="nvt", temperature=300.0, tau=0.02, thermostat=thermostat))
    p.boundcond.ndfmin = removed
    run = spc.record(spc.clone(liquid), p, ps, 50)
    kinetic = run["kinetic"][10:]
    dof = 6 * liquid.num_atoms() // 3 - 3
    return canonical(kinetic / (dof / 2 * spc.BOLTZMANN * 300.0), np.sqrt(2 / dof), len(kinetic))


def test_kinetic_energy_is_canonical(liquid):
    """110 looks 0.1 ps apart, two and more correlation times of the thermostat."""
    assert (kinetic_distances(liquid, 12.0) < 4.0).all()


def test_weak_coupling_is_not_canonical(liquid):
    """At this coupling time it holds the kinetic energy nearly fixed: the mean is right, the width is not."""
    mean, width = kinetic_distances(liquid, 12.0, "berendsen")
    assert mean < 4.0 < width


def test_wrong_degrees_of_freedom_are_found(liquid):
    """Planted: 30 of 381 too few, so that the thermostat keeps 8 % less energy; in standard errors of the mean, 0.7 %, eleven."""
    mean, _ = kinetic_distances(liquid, 12.0, removed=33)
    assert mean > 6.0


def test_degrees_of_freedom_of_a_solute(session):
    """The example: 12 atoms less 11 rigid bonds, and water less three distances a molecule; three for the motion of the whole, in proportion."""
    data = files("gromos") / "data"
    system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", data / "alanine.imd", session=session)
    p = gromos.InputParameters.from_file(data / "alanine.imd", session=session)
    counted = np.array([3 * 12 - 11, 6 * 1086])
    np.testing.assert_allclose(gromos.Simulation(system, p).energies().bath_dof, counted * (1 - 3 / counted.sum()), rtol=1e-12)


def gas(session, molecules, volume):
    """Dumbbells that do not see each other."""
    solvent = gromos.Solvent(["X", "Y"], [0, 0], [9.0, 9.0], [0.0, 0.0], constraints=[[0, 1]], lengths=[0.1])
    topology = gromos.Topology(solvent=solvent, type_names=["X"], lj=np.zeros((1, 1, 2)))
    edge = volume ** (1 / 3)
    first = np.random.default_rng(1).uniform(0.0, edge, (molecules, 1, 3))
    state = gromos.State(2 * molecules, num_temp_groups=2, dtype="float64", session=session)
    state.set(positions=(first + [[0.0, 0.0, 0.0], [0.1, 0.0, 0.0]]).reshape(-1, 3), box=gromos.Box.rectangular(edge, edge, edge))
    return gromos.System(topology, state)


def volume_distances(session, barostat):
    """An ideal gas: p(V) ~ V^N exp(-P V / kT), with the mean (N + 1) kT / P and the relative variance 1 / (N + 1)."""
    molecules, volume, kt = 27, 27.0, spc.BOLTZMANN * 300.0
    pressure = (molecules + 1) * kt / volume
    how = {"tau": 0.05, "tau_pressure": 0.1, "pressure": pressure, "compressibility": 1 / pressure, "barostat": barostat}
    p = gromos.InputParameters.npt(cutoffs=0.1, dt=0.004, seed=3, **how)
    p.pairlist.nsnb = 1000
    p.constraint.ntcs, p.comtransrot.nscm, p.boundcond.ndfmin = "shake", 0, 0
    # Nothing collides, so that translation and rotation need a bath each.
    p.multibath.baths = p.multibath.baths * 2
    p.multibath.sets = [blocks.DofSet(2 * molecules, 1, 2)]
    p.initialise.ntivel, p.initialise.tempi, p.initialise.ntishk = 1, 300.0, 3
    run = gromos.EnergyReporter(["volume"])
    gromos.Simulation(gas(session, molecules, volume), p, publish_every=100).run(42000, wait=True, progress=False, reporters=[run])
    return canonical(run["volume"][20:] / volume, 1 / np.sqrt(molecules + 1), len(run) - 20)


def test_stochastic_cell_rescaling_is_isobaric(session):
    """400 looks 0.4 ps apart, two correlation times of the volume and more."""
    assert (volume_distances(session, "stochastic-cell") < 4.0).all()


def test_weak_coupling_is_not_isobaric(session):
    """It holds the volume nearly fixed."""
    assert volume_distances(session, "berendsen")[1] > 8.0


@pytest.mark.parametrize("thermostat", ["bussi", "berendsen", "nose-hoover", "nose-hoover-chains"])
def test_what_a_bath_takes_up_is_counted(liquid, thermostat):
    """1.2 ps at 2 fs towards 340 K, in two runs, the second of which goes on where the first ended. The conserved energy ripples as the total
    energy does without a bath, 0.5 kJ/mol, and leap-frog's mean of two half steps moves by 0.6 % of what the kinetic energy gains."""
    p = spc.settled(spc.parameters(CUTOFF, kind="nvt", temperature=340.0, tau=0.05, thermostat=thermostat))
    system = spc.clone(liquid)
    first, second = spc.record(system, p, 0.6, 1), spc.record(system, p, 0.6, 1)
    total, reservoir = (np.concatenate([first[name], second[name]]) for name in ("total", "reservoir"))
    assert np.ptp(total) > 50.0
    assert reservoir[0] == pytest.approx(0.0, abs=5.0)
    conserved = total + reservoir
    assert abs(conserved[-150:].mean() - conserved[:150].mean()) < 0.6 + 0.006 * np.ptp(total)
    assert conserved.std() < 0.7 + 0.003 * np.ptp(total)

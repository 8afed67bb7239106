"""The same liquid from another engine: OpenMM's own non-bonded forces, constraints and integrator, at the same cutoff, density and temperature.
Its configurations are measured with the same functions as ours; their energies are those of our potential, which differs from its own by a
constant (see `second_opinion.py` for energies and forces of one configuration)."""

from __future__ import annotations

from collections.abc import Iterator

import gromos
import numpy as np
import openmm as mm
import spc
import water
from motion import cutoff_of
from run import Options, Row

EVERY = 100  # steps of 2 fs between looks
SOURCE = "OpenMM, platform CPU, Nose-Hoover thermostat of 1/ps"


def liquid_openmm(options: Options) -> Iterator[Row]:
    """Energy, structure and diffusion."""
    per_edge, ps = options.edge(6), options.length(60.0)
    cutoff, n = cutoff_of(per_edge), per_edge**3
    system = spc.lattice(per_edge)
    spc.equilibrate(system, cutoff, 20.0, precision="float32")
    p = water.settled(cutoff, "nvt", tau=1.0)
    start = np.array(system.state.positions(), dtype=np.float64)
    looks = round(ps / p.dt) // EVERY
    ours = run(spc.clone(system), p, looks)
    theirs = run_openmm(start, np.diag(system.state.box.vectors), cutoff, looks)
    about = f"{n} molecules, {cutoff:g} nm, {ps:g} ps at {water.TEMPERATURE:g} K"
    both = [measured(system, p, x) for x in (ours, theirs)]
    for what, unit in (("potential energy", "kJ/mol per molecule"), ("diffusion", "1e-9 m^2/s"), ("g of O-O from 0.265 to 0.29 nm", "")):
        (a, da), (b, db) = (m[what] for m in both)
        off = abs(a - b) / np.hypot(da, db)
        values = f"{a:.3f} ± {da:.3f} and {b:.3f} ± {db:.3f} {unit}".strip()
        yield Row(f"{what} ({about})", f"{values}, {off:.1f} standard errors apart", "3.5", SOURCE, off < 3.5)


def run(system: gromos.System, p: gromos.InputParameters, looks: int) -> spc.Array:
    places: list[spc.Array] = []
    look = gromos.CallbackReporter(lambda frame: places.append(np.array(frame.positions(), dtype=np.float64)))
    gromos.Simulation(system, p, publish_every=1000).run(2000, wait=True, progress=False)
    gromos.Simulation(system, p, publish_every=EVERY).run(looks * EVERY, wait=True, progress=False, reporters=[look])
    return np.array(places)


def run_openmm(start: spc.Array, edge: spc.Array, cutoff: float, looks: int) -> spc.Array:
    made = mm.System()
    made.setDefaultPeriodicBoxVectors(*(mm.Vec3(*row) for row in np.diag(edge)))
    force = mm.NonbondedForce()
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(cutoff)
    force.setReactionFieldDielectric(61.0)
    force.setUseDispersionCorrection(False)
    sigma, epsilon = (spc.C12 / spc.C6) ** (1 / 6), spc.C6**2 / (4 * spc.C12)
    for first in range(0, len(start), 3):
        for mass, charge in zip(spc.MASSES, (-0.82, 0.41, 0.41), strict=True):
            made.addParticle(float(mass))
            force.addParticle(charge, sigma, epsilon if charge < 0 else 0.0)
        for i, j, length in ((0, 1, 0.1), (0, 2, 0.1), (1, 2, 0.1 * np.sqrt(8 / 3))):
            made.addConstraint(first + i, first + j, float(length))
            force.addException(first + i, first + j, 0.0, 1.0, 0.0)
    made.addForce(force)
    integrator = mm.NoseHooverIntegrator(water.TEMPERATURE, 1.0, 0.002)
    context = mm.Context(made, integrator, mm.Platform.getPlatformByName("CPU"), {"Threads": "1"})
    context.setPositions(start)
    context.setVelocitiesToTemperature(water.TEMPERATURE, 1)
    integrator.step(5000)
    places = []
    for _ in range(looks):
        integrator.step(EVERY)
        places.append(context.getState(getPositions=True).getPositions(asNumpy=True).value_in_unit(mm.unit.nanometer))
    return np.array(places)


def measured(system: gromos.System, p: gromos.InputParameters, x: spc.Array) -> dict[str, tuple[float, float]]:
    """Each with its standard error."""
    n = len(x[0]) // 3
    edge = np.diag(system.state.box.vectors)
    oxygens = np.arange(0, 3 * n, 3)
    probe = spc.clone(system)
    one = gromos.Simulation(probe, p)
    energies, peaks = [], []
    for frame in x[::5]:
        probe.state.set(positions=frame)
        energies.append(one.single_point()[1].potential / n)
        r, g = probe.state.rdf(oxygens, oxygens, r_max=0.4, bins=80)
        peaks.append(g[(r > 0.265) & (r < 0.29)].mean())
    times = EVERY * p.dt * np.arange(len(x))
    return {
        "potential energy": spc.mean(np.array(energies)),
        "diffusion": water.coefficient(times, water.unfold(x[:, ::3], edge)),
        "g of O-O from 0.265 to 0.29 nm": spc.mean(np.array(peaks)),
    }

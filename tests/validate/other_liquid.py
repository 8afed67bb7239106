"""The same liquid from another engine: OpenMM's own non-bonded forces, constraints and integrator, at the same cutoff, density and temperature.
Its configurations are measured with the same functions as ours; their energies are those of our potential, which differs from its own by a
constant (see `second_opinion.py` for energies and forces of one configuration)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gromos
import numpy as np
import openmm as mm
import spc
import water
from gromos import _parameter_blocks as blocks
from motion import cutoff_of
from run import Options, Row

EVERY = 100  # steps of 2 fs between looks
SOURCE = "OpenMM, platform CPU, Nose-Hoover thermostat of 1/ps"
LANGEVIN = "OpenMM, platform CPU, Langevin dynamics with a friction of 1/ps"


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


WAYS = ("bussi float32", "bussi float64", "stochastic float32", "openmm 2 fs", "openmm 1 fs")


def energy_openmm(options: Options) -> Iterator[Row]:
    """The mean potential energy of a small box over nanoseconds, by our ways to keep a temperature and by OpenMM's Langevin dynamics. The errors
    are from fifty blocks of many correlation times each."""
    per_edge, ps = options.edge(4), options.length(4000.0)
    cutoff, n = cutoff_of(per_edge), per_edge**3
    found: dict[str, spc.Array] = {}
    for name in WAYS:
        if options.method not in (None, name.split()[0]) or options.precision not in (None, *name.split()[1:2]):
            continue
        path = None if options.keep is None else options.keep / f"energy-{'-'.join(name.split()[:2])}-{n}-{ps:g}.npy"
        if path is None or not path.exists():
            system = spc.lattice(per_edge)
            spc.equilibrate(system, cutoff, 20.0, precision="float32")
            found[name] = energies(system, cutoff, ps, *name.split()[:2]) / n
            if path is not None:
                np.save(path, found[name])
        else:
            found[name] = np.load(path)
    means = {name: spc.mean(series, 50) for name, series in found.items()}
    about = f"{n} molecules, {cutoff:g} nm, {ps:g} ps at {water.TEMPERATURE:g} K"
    for name, (value, error) in means.items():
        row = Row(f"potential energy, {name} ({about})", f"{value:.4f} ± {error:.4f} kJ/mol per molecule", "-", "-", None)
        if not name.startswith("openmm") and "openmm 2 fs" in means:
            theirs, uncertain = means["openmm 2 fs"]
            off = abs(value - theirs) / np.hypot(error, uncertain)
            row = Row(row.what, f"{row.measured}, {off:.1f} standard errors from OpenMM's", "3.5", LANGEVIN, off < 3.5)
        yield row


def energies(system: gromos.System, cutoff: float, ps: float, method: str, how: str) -> spc.Array:
    """Every 0.2 ps after a twentieth of the time, of our potential in all cases."""
    if method == "openmm":
        return energies_openmm(system, cutoff, ps, float(how) / 1000)
    p = water.settled(cutoff, "nvt", tau=0.5)
    p.precision = how
    if method == "stochastic":
        p.multibath = None
        p.stochdyn = blocks.StochDyn(ntsd=1, ntfr=1, cfric=1.0, tempsd=water.TEMPERATURE)
        p.initialise.ntisti = 1
    return spc.kept_record(None, system, p, ps, 100, 0.05 * ps)["potential"]


def energies_openmm(system: gromos.System, cutoff: float, ps: float, dt: float) -> spc.Array:
    p, one = water.settled(cutoff, "nvt"), spc.clone(system)
    p.precision = "float64"
    probe = gromos.Simulation(one, p)
    start, edge = np.array(system.state.positions(), dtype=np.float64), np.diag(system.state.box.vectors)
    integrator = mm.LangevinMiddleIntegrator(water.TEMPERATURE, 1.0, dt)
    series = []
    for frame in frames_openmm(start, edge, cutoff, integrator, round(ps / 0.2), round(0.2 / dt)):
        one.state.set(positions=frame)
        series.append(probe.single_point()[1].potential)
    return np.array(series)


def run(system: gromos.System, p: gromos.InputParameters, looks: int) -> spc.Array:
    places: list[spc.Array] = []
    look = gromos.CallbackReporter(lambda frame: places.append(np.array(frame.positions(), dtype=np.float64)))
    gromos.Simulation(system, p, publish_every=1000).run(2000, wait=True, progress=False)
    gromos.Simulation(system, p, publish_every=EVERY).run(looks * EVERY, wait=True, progress=False, reporters=[look])
    return np.array(places)


def run_openmm(start: spc.Array, edge: spc.Array, cutoff: float, looks: int) -> spc.Array:
    return np.array(list(frames_openmm(start, edge, cutoff, mm.NoseHooverIntegrator(water.TEMPERATURE, 1.0, 0.002), looks, EVERY)))


def frames_openmm(start: spc.Array, edge: spc.Array, cutoff: float, integrator: Any, looks: int, every: int) -> Iterator[spc.Array]:
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
    context = mm.Context(made, integrator, mm.Platform.getPlatformByName("CPU"), {"Threads": "1"})
    context.setPositions(start)
    context.setVelocitiesToTemperature(water.TEMPERATURE, 1)
    integrator.step(5000 + looks * every // 20)
    for _ in range(looks):
        integrator.step(every)
        yield context.getState(getPositions=True).getPositions(asNumpy=True).value_in_unit(mm.unit.nanometer)


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

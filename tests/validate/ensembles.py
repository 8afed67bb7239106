"""Ensembles, with the package physical_validation: M. R. Shirts, J. Chem. Theory Comput. 9 (2013) 909; P. T. Merz, M. R. Shirts, PLoS ONE
13 (2018) e0202764. What it gives are distances from what statistical mechanics says, in standard errors."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import gromos
import numpy as np

logging.getLogger("pymbar").setLevel(logging.ERROR)  # which greets on import
import physical_validation as pv  # noqa: E402
import spc  # noqa: E402
from motion import cutoff_of  # noqa: E402
from run import Options, Row  # noqa: E402

SIGMAS = 3.5
"""A right distribution is farther off in one of 2,000 tests."""
SOURCE = f"{SIGMAS:g} standard errors, physical_validation"
ATMOSPHERE = 0.06102  # kJ mol^-1 nm^-3
BAR = 16.6053886  # in 1 kJ mol^-1 nm^-3
UNITS = pv.data.UnitData(
    kb=spc.BOLTZMANN, energy_conversion=1, length_conversion=1, volume_conversion=1, temperature_conversion=1,
    pressure_conversion=BAR, time_conversion=1,
    energy_str="kJ/mol", length_str="nm", volume_str="nm^3", temperature_str="K", pressure_str="kJ/(mol nm^3)", time_str="ps",
)  # fmt: skip


def liquid(options: Options, room: float = 1.0) -> tuple[gromos.System, float]:
    """At 300 K, and the cutoff; `room` under 1 leaves room for the box to shrink."""
    per_edge = options.edge(5)
    cutoff = round(room * cutoff_of(per_edge, 0.7), 2)
    system = spc.lattice(per_edge)
    spc.equilibrate(system, cutoff, 10.0, precision="float32")
    return system, cutoff


def data(run: gromos.EnergyReporter, atoms: int, dt: float, **ensemble: Any) -> pv.data.SimulationData:
    volume = ensemble.pop("volume", None)
    return pv.data.SimulationData(
        units=UNITS,
        dt=dt,
        system=pv.data.SystemData(natoms=atoms, nconstraints=atoms, ndof_reduction_tra=3, ndof_reduction_rot=0),
        ensemble=pv.data.EnsembleData(natoms=atoms, volume=volume, **ensemble),
        observables=pv.data.ObservableData(
            kinetic_energy=run["kinetic"], potential_energy=run["potential"], total_energy=run["total"], volume=run["volume"],
            pressure=run["pressure"], temperature=run["temperature"], constant_of_motion=run["total"],
        ),
    )  # fmt: skip


def heat(system: gromos.System, cutoff: float, kind: str, ps: float, every: int = 25, **how: Any) -> tuple[gromos.EnergyReporter, float]:
    """From the liquid at 300 K to the state asked for (a fifth of the length), then the run."""
    p = spc.settled(spc.parameters(cutoff, kind=kind, precision="float32", **how))
    own = spc.clone(system)
    gromos.Simulation(own, p, publish_every=1000).run(round(0.2 * ps / p.dt), wait=True, progress=False)
    return spc.record(own, p, ps, every), float(np.prod(np.diag(own.state.box.vectors)))


def convergence(options: Options) -> Iterator[Row]:
    """The total energy of leap-frog fluctuates with the square of the time step."""
    system, cutoff = liquid(options)
    runs = []
    ps = options.length(5.0)
    for dt in (0.002, 0.001, 0.0005):
        p = spc.settled(spc.parameters(cutoff, dt=dt))
        run = spc.record(spc.clone(system), p, ps, 1)
        runs.append(data(run, system.num_atoms(), dt, ensemble="NVE", energy=run["total"].mean(), volume=run["volume"].mean()))
    worst = pv.integrator.convergence(runs, verbose=False)
    yield Row(
        f"total energy at 2, 1 and 0.5 fs, {ps:g} ps each, verlet float64, {cutoff:g} nm", f"ratios off by at most {worst:.2f}", "0.3",
        "fluctuations go with dt^2 (symplectic integrator)", worst < 0.3,
    )  # fmt: skip


def kinetic(options: Options) -> Iterator[Row]:
    """Mean and width of the kinetic energy at 300 K."""
    system, cutoff = liquid(options)
    ps = options.length(200.0)
    for thermostat in ("bussi", "nose-hoover", "nose-hoover-chains", "berendsen"):
        run, volume = heat(system, cutoff, "nvt", ps, temperature=300.0, tau=0.1, thermostat=thermostat)
        found = data(run, system.num_atoms(), 0.002, ensemble="NVT", temperature=300.0, volume=volume)
        mean, width = pv.kinetic_energy.distribution(found, strict=False, verbosity=0, bootstrap_seed=1)
        right = mean < SIGMAS and width < SIGMAS
        yield from judged(thermostat, f"{system.num_atoms() // 3} molecules, tau 0.1 ps, {ps:g} ps", f"mean {mean:.1f}, width {width:.1f}", right)


def distance(one: pv.data.SimulationData, two: pv.data.SimulationData) -> float:
    """From what the two distributions' ratio ought to be; infinitely far when too few independent looks overlap to compare them."""
    try:
        (off,) = pv.ensemble.check(one, two, verbosity=0, bootstrap_seed=1)
    except pv.util.error.InputError as error:
        if "overlap" not in str(error):
            raise
        return float("inf")
    return abs(float(off))


def judged(method: str, what: str, measured: str, right: bool) -> Iterator[Row]:
    expected = method != "berendsen"
    bound = SOURCE if expected else "expected to fail: weak coupling is not canonical"
    measured = "too few independent looks to compare" if measured == "inf" else measured + " standard errors"
    yield Row(f"{method}: {what}", measured, f"{SIGMAS:g}" if expected else "-", bound, right if expected else None)


def nvt(options: Options) -> Iterator[Row]:
    """Potential energies at two temperatures: the ratio of their distributions is exp(-(beta2 - beta1) U + const)."""
    system, cutoff = liquid(options)
    ps, atoms = options.length(200.0), system.num_atoms()
    hot = 300.0 + round(16 * np.sqrt(216 * 3 / atoms))
    for thermostat in ("bussi", "nose-hoover", "berendsen"):
        both = []
        for temperature in (300.0, hot):
            run, volume = heat(system, cutoff, "nvt", ps, temperature=temperature, tau=0.1, thermostat=thermostat)
            both.append(data(run, atoms, 0.002, ensemble="NVT", temperature=temperature, volume=volume))
        off = distance(*both)
        yield from judged(
            thermostat, f"potential energy, 300 and {hot:g} K, {atoms // 3} molecules, tau 0.1 ps, {ps:g} ps each", f"{off:.1f}", off < SIGMAS
        )


def npt(options: Options) -> Iterator[Row]:
    """Volumes at two pressures: the ratio of their distributions is exp(-beta (P2 - P1) V + const)."""
    system, cutoff = liquid(options, 0.85)
    ps, atoms = options.length(200.0), system.num_atoms()
    high = 60.0
    for barostat in ("stochastic-cell", "berendsen"):
        both = []
        for pressure in (ATMOSPHERE, high):
            how = dict(temperature=300.0, tau=0.1, tau_pressure=0.1, pressure=pressure, thermostat="bussi", barostat=barostat)
            run, _ = heat(system, cutoff, "npt", ps, **how)
            both.append(data(run, atoms, 0.002, ensemble="NPT", temperature=300.0, pressure=pressure))
        off = distance(*both)
        what = f"volume, 1 atm and {high * BAR:.0f} bar, {atoms // 3} molecules, taup 0.1 ps, {ps:g} ps each"
        yield from judged(barostat, what, f"{off:.1f}", off < SIGMAS)

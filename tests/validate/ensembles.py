"""Ensembles, with the package physical_validation: M. R. Shirts, J. Chem. Theory Comput. 9 (2013) 909; P. T. Merz, M. R. Shirts, PLoS ONE
13 (2018) e0202764. What it gives are distances from what statistical mechanics says, in standard errors.

Looks that are correlated in time are thinned by the package until they are not (its `trajectory.prepare`, with pymbar's statistical
inefficiency), and all errors are of what is left.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boxes
import numpy as np

logging.getLogger("pymbar").setLevel(logging.ERROR)  # which greets on import
import physical_validation as pv  # noqa: E402
import spc  # noqa: E402
from boxes import Box  # noqa: E402
from run import Options, Row  # noqa: E402

SIGMAS = 3.5
"""A right distribution is farther off in one of 2,000 tests."""
SOURCE = f"{SIGMAS:g} standard errors, physical_validation"
EXPECTED = "expected to fail: weak coupling is not canonical"
TEMPERATURE = 300.0
ATMOSPHERE = 0.06102  # kJ mol^-1 nm^-3
BAR = 16.6053886  # in 1 kJ mol^-1 nm^-3
UNITS = pv.data.UnitData(
    kb=spc.BOLTZMANN, energy_conversion=1, length_conversion=1, volume_conversion=1, temperature_conversion=1,
    pressure_conversion=BAR, time_conversion=1,
    energy_str="kJ/mol", length_str="nm", volume_str="nm^3", temperature_str="K", pressure_str="kJ/(mol nm^3)", time_str="ps",
)  # fmt: skip
THERMOSTATS = ("bussi", "nose-hoover", "nose-hoover-chains", "berendsen")
BAROSTATS = {"stochastic-cell": 0.1, "parrinello-rahman": 1.0, "berendsen": 2.0}
"""With coupling times, ps. Weak coupling as tight as 0.1 ps is not told from a right barostat: the noise of the pressure moves the box about as
far as it should."""


@dataclass
class Run:
    """The energies of a run in time, and what it was to be."""

    box: Box
    series: dict[str, spc.Array]
    ensemble: dict[str, Any]
    dt: float

    @property
    def ps(self) -> float:
        return float(self.series["time"][-1] - self.series["time"][0])

    def data(self, column: str = "kinetic", atoms: int | None = None, constraints: int | None = None) -> pv.data.SimulationData:
        """For the package. The three degrees of freedom of the whole's motion are taken from all in proportion."""
        box, s = self.box, self.series
        atoms, constraints = (box.atoms, box.constraints) if atoms is None else (atoms, constraints)
        lost = 3.0 * (3 * atoms - constraints) / (3 * box.atoms - box.constraints)
        return pv.data.SimulationData(
            units=UNITS,
            dt=self.dt,
            system=pv.data.SystemData(natoms=atoms, nconstraints=constraints, ndof_reduction_tra=lost, ndof_reduction_rot=0),
            ensemble=pv.data.EnsembleData(natoms=atoms, **self.ensemble),
            observables=pv.data.ObservableData(
                kinetic_energy=s[column], potential_energy=s["potential"], total_energy=s["total"], volume=s["volume"],
                pressure=s["pressure"], temperature=s["temperature"], constant_of_motion=s["total"],
            ),
        )  # fmt: skip


def run(options: Options, box: Box, kind: str, ps: float, seed: int, every: int = 25, **how: Any) -> Run:
    """From the liquid at 300 K to the state asked for (a fifth of the length), then the run."""
    p = box.parameters(kind=kind, precision="float32", tau=0.1, **how)
    p.seed = seed
    words = "-".join(f"{v:g}" if isinstance(v, float) else str(v) for v in how.values())
    name = f"{box.name}-{box.atoms}-{kind}-{words}-{seed}"
    series = spc.kept_record(None if options.keep is None else options.keep / f"{name}.npz", box.start, p, ps, every, 0.2 * ps)
    ensemble = {"ensemble": kind.upper(), "temperature": how["temperature"]}
    ensemble |= {"pressure": how["pressure"]} if kind == "npt" else {"volume": float(series["volume"][0])}
    return Run(box, series, ensemble, p.dt)


def convergence(options: Options) -> Iterator[Row]:
    """The total energy of leap-frog fluctuates with the square of the time step."""
    for box in (boxes.water(options.edge(5)), boxes.solute(options.molecules(216))):
        runs = []
        ps = options.length(5.0)
        for dt in (0.002, 0.001, 0.0005):
            p = box.parameters(dt=dt)
            p.constraint.ntcp0 = p.constraint.ntcs0 = 1e-9
            system = spc.clone(box.start())
            series = spc.record(system, p, ps, 1).to_dict()
            ensemble = {"ensemble": "NVE", "energy": series["total"].mean(), "volume": series["volume"].mean()}
            runs.append(Run(box, series, ensemble, dt).data())
        worst = pv.integrator.convergence(runs, verbose=False)
        yield Row(
            f"{box.about}: total energy at 2, 1 and 0.5 fs, {ps:g} ps each, verlet float64", f"ratios off by at most {worst:.2f}", "0.3",
            "fluctuations go with dt^2 (symplectic integrator)", worst < 0.3,
        )  # fmt: skip


def said(words: str, text: str) -> tuple[float, ...]:
    """The numbers of the line behind what the package headed with `words`, or on its line."""
    part = text[text.index(words) + len(words) :]
    return tuple(float(v) for v in re.findall(r"-?\d+\.\d+(?:e[+-]\d+)?", part)[:2])


def judged(method: str, what: str, measured: str, right: bool) -> Row:
    expected = method != "berendsen"
    return Row(f"{method}: {what}", measured, f"{SIGMAS:g}" if expected else "-", SOURCE if expected else EXPECTED, right if expected else None)


def kinetic(method: str, one: Run) -> Iterator[Row]:
    """Mean, width and shape of the kinetic energies; the mean gives the temperature, the width another."""
    for share in one.box.shares:
        data = one.data(share.column, share.atoms, share.constraints)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            mean, width = pv.kinetic_energy.distribution(data, strict=False, verbosity=1, bootstrap_seed=1)
        shape = pv.kinetic_energy.distribution(data, strict=True, verbosity=0)
        spread, scatter = variance(one, share)
        of_mean, of_width = (said(f"T({word}) =", out.getvalue()) for word in ("mu", "sigma"))
        measured = (
            f"{mean:.1f} by the mean ({of_mean[0]:.1f} ± {of_mean[1]:.1f} K), {width:.1f} by the width "
            f"({of_width[0]:.0f} ± {of_width[1]:.0f} K); Kolmogorov-Smirnov p = {shape:.2g}; variance {spread:.3f} ± {scatter:.3f}"
        )
        yield judged(
            method, f"kinetic energy of the {share.name}, {state(one)}", measured, mean < SIGMAS and width < SIGMAS and shape > 5e-4
        )


def variance(one: Run, share: boxes.Share, blocks: int = 30) -> tuple[float, float]:
    """Of the kinetic energy, in units of the canonical one, and its error from block means of the squares: what swings, as with Nose and
    Hoover's thermostat, has squares that are correlated otherwise than itself."""
    dof = (3 * share.atoms - share.constraints) * (1 - 3.0 / (3 * one.box.atoms - one.box.constraints))
    off = one.series[share.column] - one.series[share.column].mean()
    return spc.mean(off**2 / (0.5 * dof * (spc.BOLTZMANN * one.ensemble["temperature"]) ** 2), blocks)


def state(*runs: Run) -> str:
    """What the runs were, in words."""
    one = runs[0]
    words = " and ".join(f"{r.ensemble['temperature']:g} K" for r in runs) if len({r.ensemble["temperature"] for r in runs}) > 1 else (
        f"{one.ensemble['temperature']:g} K"
    )  # fmt: skip
    if "pressure" in one.ensemble:
        words += ", " + " and ".join(f"{r.ensemble['pressure'] * BAR:.0f} bar" for r in runs)
    return f"{words} ({one.box.about}, {' and '.join(f'{r.ps:.0f}' for r in runs)} ps)"


def ratio(method: str, quantity: str, one: Run, two: Run) -> Row:
    """The ratio of two distributions against what the difference of temperature or pressure says."""
    sign = "dP" if "pressure" in one.ensemble else "dT"
    data = one.data(), two.data()
    advised = pv.ensemble.estimate_interval(data[0], verbosity=0)[sign]
    spaced = (two.ensemble["pressure"] - one.ensemble["pressure"]) if sign == "dP" else two.ensemble["temperature"] - one.ensemble["temperature"]
    unit, factor = ("bar", BAR) if sign == "dP" else ("K", 1.0)
    what = f"{quantity}, {state(one, two)}, apart {spaced * factor:.0f} {unit}, advised {advised * factor:.0f}"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            (off,) = (abs(float(v)) for v in pv.ensemble.check(*data, verbosity=2, bootstrap_seed=1))
    except pv.util.error.InputError as error:
        if "overlap" not in str(error):
            raise
        return judged(method, what, "too few independent looks to compare", False)
    text = out.getvalue()
    text = text[text.index("Maximum Likelihood") :]
    found, error = said(f"Estimated {sign}", text)
    return judged(method, what, f"{off:.1f} ({abs(found) * factor:.1f} ± {error * factor:.1f} {unit} by the ratio)", off < SIGMAS)


def response(method: str, one: Run, two: Run) -> Row:
    """The variance of the volume, the mean of both pressures', against kT times what the mean volume gives way by a step of pressure. A step this
    wide bends the response by about one per cent."""
    kt, between = spc.BOLTZMANN * TEMPERATURE, two.ensemble["pressure"] - one.ensemble["pressure"]
    volumes = [run.series["volume"] for run in (one, two)]
    (first, unsure), (second, less) = (spc.mean(v, 20) for v in volumes)
    widths, errors = zip(*(spc.mean((v - v.mean()) ** 2, 20) for v in volumes), strict=True)
    given = kt * (first - second) / between
    found = sum(widths) / 2 / given
    error = found * np.hypot(np.hypot(*errors) / sum(widths), np.hypot(unsure, less) / (first - second))
    off = abs(found - 1) / error
    return judged(method, f"variance of the volume, {state(one, two)}, against kT dV/dP", f"{found:.2f} ± {error:.2f}, {off:.1f} off", off < SIGMAS)


def methods(options: Options, known: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in known if options.method in (None, name))


def canonical(options: Options, box: Box, ps: float) -> Iterator[Row]:
    """Kinetic energies, and potential energies at two temperatures: the ratio of their distributions is exp(-(beta2 - beta1) U + const)."""
    hot = TEMPERATURE + round(16 * np.sqrt(216 * 3 / box.atoms))
    for thermostat in methods(options, THERMOSTATS):
        both = [run(options, box, "nvt", ps, seed, temperature=t, thermostat=thermostat) for seed, t in ((1, TEMPERATURE), (2, float(hot)))]
        for one in both:
            yield from kinetic(thermostat, one)
        yield ratio(thermostat, "potential energy", *both)


def isobaric(options: Options, box: Box, ps: float) -> Iterator[Row]:
    """Kinetic energies, and volumes at two pressures: the ratio of their distributions is exp(-beta (P2 - P1) V + const)."""
    high = round(60 * np.sqrt(125 * 3 / box.atoms))
    for barostat in methods(options, tuple(BAROSTATS)):
        how = dict(thermostat="bussi", barostat=barostat, tau_pressure=BAROSTATS[barostat])
        both = [run(options, box, "npt", ps, seed, temperature=TEMPERATURE, pressure=p, **how) for seed, p in ((3, ATMOSPHERE), (4, float(high)))]
        for one in both if barostat != "berendsen" else ():
            yield from kinetic(barostat, one)
        yield response(barostat, *both)
        yield ratio(barostat, "volume", *both)


def nvt(options: Options) -> Iterator[Row]:
    yield from canonical(options, boxes.water(options.edge(5)), options.length(400.0))


def npt(options: Options) -> Iterator[Row]:
    yield from isobaric(options, boxes.water(options.edge(5), 0.85), options.length(500.0))


def solute_nvt(options: Options) -> Iterator[Row]:
    yield from canonical(options, boxes.solute(options.molecules(216)), options.length(200.0))


def solute_npt(options: Options) -> Iterator[Row]:
    yield from isobaric(options, boxes.solute(options.molecules(216), 0.85), options.length(300.0))

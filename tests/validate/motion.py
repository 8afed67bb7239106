"""Newton's equations alone: what they conserve, and that they run backwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gromos
import numpy as np
import spc
from run import Options, Row
from spc import Array

DRIFT = 0.005  # kJ/mol/ns per atom
PIECE = 5.0  # ps between two looks at what to keep
EVERY = 20  # steps


def cutoff_of(per_edge: int, most: float = 0.9) -> float:
    """The largest that fits the box with room for the buffer of the list, to a hundredth of a nm."""
    return float(min(most, np.floor(48 * per_edge * spc.SPACING) / 100))


def liquid(per_edge: int, kept: Path | None) -> gromos.System:
    """Equilibrated at 300 K, with the cutoff of a small box: that is quick."""
    system = spc.lattice(per_edge)
    if kept is not None and kept.exists():
        with np.load(kept) as stored:
            system.state.set(positions=stored["positions"], velocities=stored["velocities"])
        return system
    spc.equilibrate(system, cutoff_of(per_edge), 20.0, precision="float32")
    if kept is not None:
        np.savez(kept, positions=system.state.positions(), velocities=system.state.velocities())
    return system


def stretch(start: gromos.System, p: gromos.InputParameters, ps: float, kept: Path | None) -> dict[str, Array]:
    """Time, total energy and temperature of each twentieth step, momenta at the start and the end. Run in pieces; with a file to keep them in, a
    run that was stopped goes on."""
    system = spc.clone(start)
    begun = spc.momentum(system.state.velocities())
    series = {name: np.zeros(0) for name in ("time", "total", "temperature")}
    if kept is not None and kept.exists():
        with np.load(kept) as stored:
            system.state.set(positions=stored["positions"], velocities=stored["velocities"])
            series = {name: stored[name] for name in series}
    while len(series["time"]) == 0 or series["time"][-1] < ps - 1.5 * EVERY * p.dt:
        run = spc.record(system, p, min(PIECE, ps), EVERY)
        pieces = {"time": run["time"] - run["time"][0] + (series["time"][-1] + EVERY * p.dt if len(series["time"]) else 0.0)}
        series = {name: np.append(series[name], pieces.get(name, run[name])) for name in series}
        if kept is not None:
            part = kept.with_suffix(".part.npz")
            np.savez(part, positions=system.state.positions(), velocities=system.state.velocities(), **series)
            part.replace(kept)
    return series | {"begun": begun, "ended": spc.momentum(system.state.velocities())}


def nve(options: Options) -> Iterator[Row]:
    """260 ps of 1,000 molecules at 2 fs. The drift must be known to a third of its bound, else the run says nothing and has failed.

    What makes it uncertain is the walk of the energy: where a pair crosses the cutoff the reaction field's force ends with a kink, and a step
    across it errs by an amount that goes with (dt / cutoff)^2. Hence the largest cutoff that fits.
    """
    per_edge, ps = options.edge(10), options.length(260.0)
    keep = options.keep
    start = liquid(per_edge, keep / f"nve-start-{per_edge**3}.npz" if keep is not None else None)
    cases = [("verlet", "float64"), ("verlet", "float32"), ("chargegroup", "float64")]
    for scheme, precision in cases:
        if options.precision not in (None, precision) or options.method not in (None, scheme):
            continue
        radius = options.cutoff if options.cutoff is not None else cutoff_of(per_edge, 1.4)
        p = spc.settled(spc.parameters(radius, scheme, precision=precision))
        kept = keep / f"nve-{scheme}-{precision}-{per_edge**3}-{radius:g}.npz" if keep is not None else None
        run = stretch(start, p, ps, kept)
        walk = spc.walk(spc.clone(start), p, 1000) if scheme == "verlet" else None
        drift, error = (1000 * v / start.num_atoms() for v in spc.slope(run["time"], run["total"], walk))
        what = f"{scheme}, {precision}: {per_edge**3} molecules, {radius:g} nm, {ps:g} ps of 2 fs, {run['temperature'].mean():.0f} K: "
        if walk is not None:
            yield Row(what + "random walk", f"{walk:.4f} kJ^2/mol^2/ps", "-", "pairs that cross the cutoff", None)
        yield Row(
            what + "drift", f"{drift:+.5f} ± {error:.5f} kJ/mol/ns per atom", f"{DRIFT}, error under a third of it", "the project's requirement",
            abs(drift) < DRIFT and error < DRIFT / 3 if scheme == "verlet" and not options.quick else None,
        )  # fmt: skip
        momentum = float(np.abs(run["ended"] - run["begun"]).max())
        bound = 1e-6 if precision == "float64" else 1.0
        yield Row(what + "momentum", f"{momentum:.1e} u nm/ps", f"{bound:g}", "rounding of the forces' sum", momentum < bound)


def conserved(options: Options) -> Iterator[Row]:
    """The energy and what the bath took up, at constant temperature. Of a scheme that heats, this is what it does at the temperature it is
    used at: what the bath has to take out."""
    per_edge, ps = options.edge(10), options.length(200.0)
    keep, precision = options.keep, options.precision or "float64"
    start = liquid(per_edge, keep / f"nve-start-{per_edge**3}.npz" if keep is not None else None)
    radius = options.cutoff if options.cutoff is not None else cutoff_of(per_edge, 1.4)
    for scheme in ("verlet", "chargegroup"):
        if options.method not in (None, scheme):
            continue
        p = spc.settled(spc.parameters(radius, scheme, kind="nvt", precision=precision))
        kept = keep / f"conserved-{scheme}-{precision}-{per_edge**3}-{radius:g}.npz" if keep is not None else None
        run = spc.kept_record(kept, start, p, ps, EVERY, 0.0)
        uncoupled = spc.settled(spc.parameters(radius, scheme, precision=precision))
        walk = spc.walk(spc.clone(start), uncoupled, 1000) if scheme == "verlet" else None
        drift, error = (1000 * v / start.num_atoms() for v in spc.slope(run["time"], run["total"] + run["reservoir"], walk))
        length, kelvin = run["time"][-1] - run["time"][0], run["temperature"].mean()
        bounded = scheme == "verlet"
        yield Row(
            f"{scheme}, {precision}: {per_edge**3} molecules, {radius:g} nm, {length:.0f} ps of 2 fs, Bussi's thermostat, {kelvin:.1f} K: drift of "
            "energy and reservoir", f"{drift:+.5f} ± {error:.5f} kJ/mol/ns per atom", f"{DRIFT}, error under a third of it" if bounded else "-",
            "the project's requirement", abs(drift) < DRIFT and error < DRIFT / 3 if bounded and not options.quick else None,
        )  # fmt: skip


def reversal(options: Options) -> Iterator[Row]:
    """There and back: the distance from the start is rounding, grown with the collisions."""
    per_edge = options.edge(6)
    cutoff = cutoff_of(per_edge)
    start = spc.lattice(per_edge)
    spc.equilibrate(start, cutoff, 2.0, precision="float32")
    for scheme in ("verlet", "chargegroup"):
        p = spc.settled(spc.parameters(cutoff, scheme))
        # A list of charge groups that is kept for some steps is made at other steps on the way back: another Hamiltonian.
        p.pairlist.nsnb = 1
        for steps, bound in ((100, 1e-9), (500, 1e-6)):
            off = spc.reversal(spc.clone(start), p, steps)
            yield Row(
                f"{scheme}: {per_edge**3} molecules, {steps} steps of 2 fs and back", f"{off:.1e} nm", f"{bound:g} nm",
                "1e-16 nm of rounding, e-fold in some 0.05 to 0.1 ps", off < bound,
            )  # fmt: skip

"""Newton's equations alone: what they conserve, and that they run backwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import spc
from run import Options, Row

DRIFT = 0.005  # kJ/mol/ns per atom


def cutoff_of(per_edge: int, most: float = 0.9) -> float:
    """The largest that fits the box with room for the buffer of the list, to a hundredth of a nm."""
    return float(min(most, np.floor(48 * per_edge * spc.SPACING) / 100))


def nve(options: Options) -> Iterator[Row]:
    """200 ps of 1,000 molecules at 2 fs. The drift must be known to a third of its bound, else the run says nothing and has failed."""
    per_edge, ps = options.edge(10), options.length(200.0)
    cutoff = cutoff_of(per_edge)
    start = spc.lattice(per_edge)
    spc.equilibrate(start, cutoff, 20.0, precision="float32")
    cases = [("verlet", "float64"), ("verlet", "float32"), ("chargegroup", "float64")]
    for scheme, precision in cases:
        if options.precision not in (None, precision):
            continue
        radius = cutoff if scheme == "verlet" else cutoff_of(per_edge, 1.4)
        p = spc.settled(spc.parameters(radius, scheme, precision=precision))
        system = spc.clone(start)
        before = spc.momentum(system.state.velocities())
        length = ps if scheme == "verlet" else ps / 10
        run = spc.record(system, p, length, 20)
        after = spc.momentum(system.state.velocities())
        drift, error = (1000 * v / system.num_atoms() for v in spc.slope(run["time"], run["total"]))
        what = f"{scheme}, {precision}: {per_edge**3} molecules, {radius:g} nm, {length:g} ps of 2 fs, {run['temperature'].mean():.0f} K: "
        yield Row(
            what + "drift", f"{drift:+.5f} ± {error:.5f} kJ/mol/ns per atom", f"{DRIFT}, error under a third of it", "the project's requirement",
            abs(drift) < DRIFT and error < DRIFT / 3 if scheme == "verlet" and not options.quick else None,
        )  # fmt: skip
        momentum = float(np.abs(after - before).max())
        bound = 1e-6 if precision == "float64" else 1.0
        yield Row(what + "momentum", f"{momentum:.1e} u nm/ps", f"{bound:g}", "rounding of the forces' sum", momentum < bound)


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

"""What liquid SPC water is like.

Published: density, heat of vaporisation and diffusion coefficient at about 300 K and 1 atm depend on cutoff and treatment of long-range
forces, and the bounds cover what these papers have: H. J. C. Berendsen, J. R. Grigera, T. P. Straatsma, J. Phys. Chem. 91 (1987) 6269;
D. van der Spoel, P. J. van Maaren, H. J. C. Berendsen, J. Chem. Phys. 108 (1998) 10220; A. Glättli, X. Daura, W. F. van Gunsteren,
J. Chem. Phys. 116 (2002) 9811. The heat of vaporisation is RT less the potential energy of a molecule, without further corrections.
"""

from __future__ import annotations

from collections.abc import Iterator

import gromos
import numpy as np
import spc
from motion import cutoff_of
from run import Options, Row

GAS = spc.BOLTZMANN * 300.0
SOURCE = "literature at the head of water.py"
PEAK = "0.275 to 0.28 nm of O-O in SPC (Berendsen et al. 1981)"


def water(options: Options) -> Iterator[Row]:
    """200 ps of NPT for density, enthalpy and structure, then as long without baths for diffusion."""
    per_edge, ps = options.edge(10), options.length(200.0)
    cutoff = cutoff_of(per_edge, 1.4)
    system = spc.lattice(per_edge)
    spc.equilibrate(system, cutoff, 20.0, precision="float32")
    n = per_edge**3

    p = spc.settled(spc.parameters(cutoff, kind="npt", precision="float32", barostat="stochastic-cell", tau=0.1, tau_pressure=0.5))
    p.nonbonded.epsrf = 61.0
    gromos.Simulation(system, p, publish_every=1000).run(round(0.2 * ps / p.dt), wait=True, progress=False)
    oxygens = np.arange(0, 3 * n, 3)
    functions: list[np.ndarray] = []
    look = gromos.CallbackReporter(lambda frame: functions.append(system.state.rdf(oxygens, oxygens, r_max=0.5, bins=100)[1]), every=20)
    energies = gromos.EnergyReporter(["potential", "volume", "temperature"])
    gromos.Simulation(system, p, publish_every=25).run(round(ps / p.dt), wait=True, progress=False, reporters=[energies, look])
    about = f"{n} molecules, {cutoff:g} nm, NPT {ps:g} ps"
    density, error = spc.mean(n * spc.MASS / energies["volume"] * 1.66053907)
    yield within(f"density ({about})", density, error, "kg/m^3", 950.0, 995.0)
    heat, error = spc.mean(GAS - energies["potential"] / n)
    yield within(f"heat of vaporisation ({about})", heat, error, "kJ/mol", 40.0, 46.0)
    g = np.mean(functions, axis=0)
    top = int(np.argmax(g))
    place = 0.005 * (top + 0.5)
    yield Row(
        f"first peak of O-O ({about}, {len(functions)} looks)", f"{g[top]:.2f} at {place:.4f} nm", "2.5 to 3.1 at 0.270 to 0.285 nm", PEAK,
        bool(2.5 < g[top] < 3.1 and 0.27 < place < 0.285),
    )  # fmt: skip

    p = spc.settled(spc.parameters(cutoff, precision="float32"))
    times, places = diffuse(system, p, ps)
    d, error = coefficient(times, places)
    yield within(f"diffusion ({n} molecules, {cutoff:g} nm, NVE {ps:g} ps, no correction for the box)", d, error, "1e-9 m^2/s", 3.3, 5.0)


def within(what: str, value: float, error: float, unit: str, low: float, high: float) -> Row:
    return Row(what, f"{value:.4g} ± {error:.2g} {unit}", f"{low:g} to {high:g}", SOURCE, low < value < high)


def diffuse(system: gromos.System, p: gromos.InputParameters, ps: float) -> tuple[spc.Array, spc.Array]:
    """Oxygens every 0.2 ps, followed through the walls of the box; the motion of the whole taken off."""
    times: list[float] = []
    places: list[spc.Array] = []

    def look(frame: gromos.Frame) -> None:
        times.append(frame.time)
        places.append(np.array(frame.positions()[::3], dtype=np.float64))

    gromos.Simulation(system, p, publish_every=100).run(round(ps / p.dt), wait=True, progress=False, reporters=[gromos.CallbackReporter(look)])
    x = np.array(places)
    edge = np.diag(system.state.box.vectors)
    steps = np.diff(x, axis=0)
    steps -= edge * np.rint(steps / edge)
    x = np.concatenate([np.zeros_like(x[:1]), steps.cumsum(axis=0)])
    return np.array(times), x - x.mean(axis=1, keepdims=True)


def coefficient(times: spc.Array, x: spc.Array) -> tuple[float, float]:
    """Einstein's relation between 2 and 10 ps (a tenth and three tenths of a shorter run), origins everywhere; the error from groups of molecules."""
    every = float(np.median(np.diff(times)))
    length = times[-1] - times[0]
    first, last = (max(1, round(min(t, part * length) / every)) for t, part in ((2.0, 0.1), (10.0, 0.3)))
    lags = np.unique(np.linspace(first, last, 12).astype(int))
    squares = np.array([((x[lag:] - x[:-lag]) ** 2).sum(axis=2).mean(axis=0) for lag in lags])  # lag, molecule
    slopes = np.polyfit(lags * every, squares, 1)[0] / 6 * 1000  # nm^2/ps to 1e-9 m^2/s
    groups = np.array([part.mean() for part in np.array_split(slopes, 10)])
    return float(slopes.mean()), float(groups.std(ddof=1) / np.sqrt(10))

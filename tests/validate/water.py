"""What liquid SPC water is like: density, heat of vaporisation, structure, diffusion.

The runs cut everything off at 0.9 nm between atoms, with a reaction field of permittivity 61 beyond and Lennard-Jones energies shifted to
zero there. What that leaves out is added where a published number has it:

- dispersion beyond the cutoff, uniform liquid (Allen and Tildesley, Computer Simulation of Liquids, section 2.8): an energy of
  -(2 pi/3) rho C6 / rc^3 a molecule, as much again for the shift within, and a pressure of -(4 pi/3) rho^2 C6 / rc^3, turned into density
  with the compressibility that the fluctuations of the volume give;
- for diffusion the drag of the periodic images, 2.837297 kT / (6 pi eta L): I.-C. Yeh, G. Hummer, J. Phys. Chem. B 108 (2004) 15873.

RESULTS.md says what the bounds rest on, and which of the papers were read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import gromos
import numpy as np
import spc
from motion import cutoff_of
from run import Options, Row

TEMPERATURE = 300.0
KT = spc.BOLTZMANN * TEMPERATURE
DENSITY = 1.66053907  # kg/m^3 in 1 u/nm^3
BINS, REACH = 200, 0.8  # of the radial distribution, nm
VISCOSITY = 0.40 * 0.602214  # of SPC: 0.40 mPa s, in 1000 kJ ps/(mol nm^3), so that the drag is in 1e-9 m^2/s


@dataclass(frozen=True)
class Published:
    low: float
    high: float
    source: str


# With the cutoff, the reaction field and no correction of these runs, at 298.15 K; diffusion with the drag taken off as here.
MEASURED = "the same liquid by GROMACS, ATB group"
MEASURED_CUTOFF = 0.9
MEASURED_DENSITY = Published(955.0, 975.0, f"964.9 at 298.15 K: {MEASURED}")
MEASURED_DIFFUSION = Published(3.9, 4.7, f"4.23 at 298.15 K with 0.40 mPa s: {MEASURED}; Yeh and Hummer 2004")
PUBLISHED_DENSITY = Published(970.0, 1000.0, "985 ± 1 with dispersion, 298 K: Jorgensen and Jenson 1998; 1.5 % for the cutoffs of charges")
PUBLISHED_HEAT = Published(43.0, 45.5, "43.8 at 298 K: Wang et al. 2009; 44.0 is what SPC was fitted to (Berendsen et al. 1981)")
PUBLISHED_DIFFUSION = Published(3.6, 4.8, "3.6 to 4.3 in earlier work, Berendsen et al. 1987, van der Spoel et al. 1998")
PUBLISHED_PEAK = Published(0.272, 0.282, "0.275 to 0.28 nm, Berendsen et al. 1981, Jorgensen et al. 1983")
PEAK_HEIGHT = "2.8 to 2.9, Jorgensen et al. 1983, Mark and Nilsson 2001"


@dataclass
class Liquid:
    """What the runs gave: energies and volumes in time, g(r), and places of the oxygens at constant volume."""

    molecules: int
    cutoff: float
    series: dict[str, spc.Array]
    looks: int
    g: spc.Array
    edge: float
    times: spc.Array
    places: spc.Array

    @property
    def ps(self) -> float:
        return float(self.series["time"][-1] - self.series["time"][0])


def simulate(options: Options) -> Liquid:
    """NPT, then half as long at the mean volume, with a thermostat too slow to matter to diffusion."""
    per_edge, ps = options.edge(10), options.length(200.0)
    cutoff, n = cutoff_of(per_edge), per_edge**3
    path = None if options.keep is None else options.keep / f"liquid-{n}-{cutoff:g}-{ps:g}.npz"
    if path is not None and path.exists():
        with np.load(path) as kept:
            rest = {name: kept[name] for name in kept.files if name not in ("g", "times", "places", "looks", "edge")}
            return Liquid(n, cutoff, rest, int(kept["looks"]), kept["g"], float(kept["edge"]), kept["times"], kept["places"])
    system = spc.lattice(per_edge)
    spc.equilibrate(system, cutoff, 20.0, precision="float32")

    p = settled(cutoff, "npt", barostat="stochastic-cell", tau=0.1, tau_pressure=0.5)
    gromos.Simulation(system, p, publish_every=1000).run(round(0.2 * ps / p.dt), wait=True, progress=False)
    oxygens = np.arange(0, 3 * n, 3)
    functions: list[np.ndarray] = []

    def look(frame: gromos.Frame) -> None:
        functions.append(system.state.rdf(oxygens, oxygens, r_max=min(REACH, cutoff), bins=BINS)[1])

    energies = gromos.EnergyReporter(["potential", "volume", "temperature", "pressure"])
    looking = gromos.CallbackReporter(look, every=20)
    gromos.Simulation(system, p, publish_every=25).run(round(ps / p.dt), wait=True, progress=False, reporters=[energies, looking])
    series = energies.to_dict()

    p = settled(cutoff, "nvt", tau=1.0)
    resize(system, float(series["volume"].mean()))
    gromos.Simulation(system, p, publish_every=1000).run(round(0.05 * ps / p.dt), wait=True, progress=False)
    times, places = follow(system, p, 0.5 * ps)
    edge = float(system.state.box.vectors[0, 0])
    liquid = Liquid(n, cutoff, series, len(functions), np.mean(functions, axis=0), edge, times, places)
    if path is not None:
        np.savez(path, g=liquid.g, looks=liquid.looks, edge=edge, times=times, places=places.astype(np.float32), **series)
    return liquid


def settled(cutoff: float, kind: str, **how: object) -> gromos.InputParameters:
    p = spc.settled(spc.parameters(cutoff, kind=kind, precision="float32", temperature=TEMPERATURE, **how))
    p.nonbonded.epsrf = 61.0
    return p


def resize(system: gromos.System, volume: float) -> None:
    """To a cube of this volume, molecules moved as wholes."""
    x = np.array(system.state.positions(), dtype=np.float64).reshape(-1, 3, 3)
    before, after = float(system.state.box.vectors[0, 0]), volume ** (1 / 3)
    x -= before * np.rint((x - x[:, :1]) / before)
    x += (after / before - 1) * np.einsum("a,mad->md", spc.MASSES / spc.MASS, x)[:, None]
    system.state.set(positions=x.reshape(-1, 3), box=gromos.Box.rectangular(after, after, after))


def follow(system: gromos.System, p: gromos.InputParameters, ps: float) -> tuple[spc.Array, spc.Array]:
    """Oxygens every 0.2 ps."""
    times: list[float] = []
    places: list[spc.Array] = []

    def look(frame: gromos.Frame) -> None:
        times.append(frame.time)
        places.append(np.array(frame.positions()[::3], dtype=np.float64))

    gromos.Simulation(system, p, publish_every=100).run(round(ps / p.dt), wait=True, progress=False, reporters=[gromos.CallbackReporter(look)])
    return np.array(times), unfold(np.array(places), np.diag(system.state.box.vectors))


def unfold(x: spc.Array, edge: spc.Array) -> spc.Array:
    """Through the walls of the box, from the start; the motion of the whole taken off."""
    steps = np.diff(x, axis=0)
    steps -= edge * np.rint(steps / edge)
    x = np.concatenate([np.zeros_like(x[:1]), steps.cumsum(axis=0)])
    return np.asarray(x - x.mean(axis=1, keepdims=True))


def coefficient(times: spc.Array, x: spc.Array) -> tuple[float, float]:
    """1e-9 m^2/s, and the error from fifths of the run: molecules move together, so that groups of them are not independent."""
    length = len(times) // 5
    fifths = [einstein(times[k * length : (k + 1) * length], x[k * length : (k + 1) * length]) for k in range(5)]
    return einstein(times, x), float(np.std(fifths, ddof=1) / np.sqrt(5))


def einstein(times: spc.Array, x: spc.Array) -> float:
    """From the squares of displacements between 2 and 10 ps (a tenth and three tenths of a shorter run), origins everywhere."""
    every = float(np.median(np.diff(times)))
    length = times[-1] - times[0]
    first, last = (max(1, round(min(t, part * length) / every)) for t, part in ((2.0, 0.1), (10.0, 0.3)))
    lags = np.unique(np.linspace(first, last, 12).astype(int))
    squares = [((x[lag:] - x[:-lag]) ** 2).sum(axis=2).mean() for lag in lags]
    return float(np.polyfit(lags * every, squares, 1)[0] / 6 * 1000)


def density(liquid: Liquid) -> Iterator[Row]:
    volume = liquid.series["volume"]
    raw, error = spc.mean(liquid.molecules * spc.MASS / volume * DENSITY)
    compressibility = volume.var() / (KT * volume.mean())
    number = liquid.molecules / volume.mean()
    missing = 4 * np.pi / 3 * number**2 * spc.C6 / liquid.cutoff**3
    about = f"({liquid.molecules} molecules, {liquid.cutoff:g} nm, NPT {liquid.ps:.0f} ps)"
    if liquid.cutoff == MEASURED_CUTOFF:
        yield within(f"density {about}", raw, error, "kg/m^3", MEASURED_DENSITY)
    else:
        yield Row(f"density {about}", f"{raw:.1f} ± {error:.1f} kg/m^3", "-", "no paper has just this cutoff", None)
    whole = raw * (1 + compressibility * missing)
    yield within(f"density with the dispersion beyond the cutoff, {missing * 16.6:.0f} bar {about}", whole, error, "kg/m^3", PUBLISHED_DENSITY)


def heat(liquid: Liquid) -> Iterator[Row]:
    potential, volume = liquid.series["potential"], liquid.series["volume"]
    raw, error = spc.mean(KT - potential / liquid.molecules)
    tail = 2 * np.pi / 3 * liquid.molecules / volume.mean() * spc.C6 / liquid.cutoff**3
    about = f"({liquid.molecules} molecules, {liquid.cutoff:g} nm, NPT {liquid.ps:.0f} ps)"
    yield Row(f"heat of vaporisation {about}", f"{raw:.2f} ± {error:.2f} kJ/mol", "-", "energies are shifted at the cutoff", None)
    what = f"heat of vaporisation with shift and dispersion, {2 * tail:.2f} kJ/mol {about}"
    yield within(what, raw + 2 * tail, error, "kJ/mol", PUBLISHED_HEAT)


def structure(liquid: Liquid) -> Iterator[Row]:
    g, width = liquid.g, min(REACH, liquid.cutoff) / BINS
    r = width * (np.arange(BINS) + 0.5)
    number = liquid.molecules / liquid.series["volume"].mean()
    top = int(np.argmax(g))
    low = top + int(np.argmin(g[top : round(0.40 / width)]))
    around = float(4 * np.pi * number * (g[:low] * r[:low] ** 2).sum() * width)
    about = f"({liquid.looks} looks)"
    what, unit = f"first peak of O-O {about}: ", "nm"
    yield within(what + "place", float(r[top]), width / 2, unit, PUBLISHED_PEAK)
    yield Row(what + "height", f"{g[top]:.2f}", "2.6 to 3", PEAK_HEIGHT, 2.6 < g[top] < 3.0)
    yield Row(f"first minimum of O-O and neighbours up to it {about}", f"{g[low]:.2f} at {r[low]:.3f} nm, {around:.1f}", "-", "-", None)


def diffusion(liquid: Liquid) -> Iterator[Row]:
    d, error = coefficient(liquid.times, liquid.places)
    drag = 2.837297 * KT / (6 * np.pi * VISCOSITY * liquid.edge)
    ps = liquid.times[-1] - liquid.times[0]
    about = f"({liquid.molecules} molecules, {liquid.cutoff:g} nm, NVT {ps:.0f} ps)"
    yield within(f"diffusion in this box {about}", d, error, "1e-9 m^2/s", PUBLISHED_DIFFUSION)
    what = f"diffusion in a box without end, {drag:.2f} added {about}"
    if liquid.cutoff == MEASURED_CUTOFF:
        yield within(what, d + drag, error, "1e-9 m^2/s", MEASURED_DIFFUSION)
    else:
        yield Row(what, f"{d + drag:.2f} ± {error:.2f} 1e-9 m^2/s", "-", "Yeh and Hummer 2004, with 0.40 mPa s", None)


def within(what: str, value: float, error: float, unit: str, published: Published) -> Row:
    bound = f"{published.low:g} to {published.high:g}"
    return Row(what, f"{value:.4g} ± {error:.2g} {unit}", bound, published.source, published.low < value < published.high)


def water(options: Options) -> Iterator[Row]:
    """200 ps of NPT for density, energy and structure, then 100 ps for diffusion."""
    liquid = simulate(options)
    yield from density(liquid)
    yield from heat(liquid)
    yield from structure(liquid)
    yield from diffusion(liquid)

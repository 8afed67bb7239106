"""Boxes of SPC water from arrays, and what the checks of the physics measure on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gromos
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

# SPC, H. J. C. Berendsen, J. P. M. Postma, W. F. van Gunsteren, J. Hermans, in: Intermolecular Forces, Reidel (1981) 331.
C6, C12 = 2.617346e-03, 2.634129e-06  # kJ/mol nm^6, kJ/mol nm^12
MASS = 15.9994 + 2 * 1.008  # u
MASSES = np.array([15.9994, 1.008, 1.008])
BOLTZMANN = 0.00831441  # kJ/(mol K), of GROMOS force fields
ENERGIES = ["kinetic", "potential", "total", "reservoir", "temperature", "pressure", "volume"]
SPACING = (1 / 32.4) ** (1 / 3)  # nm; 32.4 molecules per nm^3 are 0.97 g/cm^3


def lattice(per_edge: int, session: gromos.Session | None = None, **options: Any) -> gromos.System:
    """per_edge^3 molecules at the density of SPC water, upright in turn along x, y and z, so that no direction is special."""
    lj = np.zeros((2, 2, 2))
    lj[0, 0] = C12, C6
    topology = gromos.Topology(solvent=gromos.Solvent.spc(0, 1), type_names=["OW", "HW"], lj=lj)
    n = per_edge**3
    oxygen = np.stack(np.meshgrid(*[np.arange(per_edge) * SPACING] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    half = np.radians(109.4712 / 2)
    positions = np.repeat(oxygen, 3, axis=0)
    for k in range(n):
        a, b = k % 3, (k + 1) % 3
        for atom, sign in ((1, 1), (2, -1)):
            positions[3 * k + atom, a] += 0.1 * np.cos(half)
            positions[3 * k + atom, b] += sign * 0.1 * np.sin(half)
    state = gromos.State(3 * n, dtype="float64", session=session, **options)
    state.set(positions=positions, box=gromos.Box.rectangular(*[per_edge * SPACING] * 3))
    return gromos.System(topology, state)


def parameters(cutoff: float, scheme: str = "verlet", kind: str = "nve", **options: Any) -> gromos.InputParameters:
    """Rigid water (SETTLE). `verlet`: one cutoff, a conductor beyond it, so that the electrostatic force ends smoothly there."""
    p = getattr(gromos.InputParameters, kind)(cutoffs=cutoff, **options)
    p.scheme = scheme
    p.constraint.ntcs = "settle"
    p.comtransrot.nscm = 0
    p.boundcond.ndfmin = 3  # nothing takes the momentum off, but it is zero at the start and stays so
    if scheme == "verlet":
        p.nonbonded.epsrf = 0.0
    return p


def settled(p: gromos.InputParameters) -> gromos.InputParameters:
    """The same for a start that has velocities and satisfies the constraints."""
    p = p.copy()
    p.initialise.ntivel = p.initialise.ntishk = p.initialise.nticom = 0
    return p


def equilibrate(system: gromos.System, cutoff: float, ps: float, temperature: float = 300.0, **options: Any) -> None:
    """From the lattice to a liquid: velocities from a Maxwell distribution, then a tight thermostat."""
    p = parameters(cutoff, kind="nvt", temperature=temperature, tau=0.05, **options)
    p.initialise.ntivel, p.initialise.tempi, p.initialise.ntishk, p.initialise.nticom, p.seed = 1, temperature, 3, 1, 4711
    first = p.copy()
    first.dt = 0.0005
    first.constraint.ntcs = "shake"  # SETTLE cannot take a start that is not settled
    first.constraint.ntcs0 = 1e-8
    gromos.Simulation(system, first, publish_every=1000).run(1000, wait=True, progress=False)
    gromos.Simulation(system, settled(p), publish_every=1000).run(round(ps / p.dt), wait=True, progress=False)


def clone(system: gromos.System) -> gromos.System:
    return gromos.System(system.topology, system.state.clone())


def record(system: gromos.System, p: gromos.InputParameters, ps: float, every: int) -> gromos.EnergyReporter:
    """Run and collect the energies of each `every`th step."""
    reporter = gromos.EnergyReporter(ENERGIES)
    gromos.Simulation(system, p, publish_every=every).run(round(ps / p.dt), wait=True, progress=False, reporters=[reporter])
    return reporter


def kept_record(
    path: Path | None, start: gromos.System | Callable[[], gromos.System], p: gromos.InputParameters, ps: float, every: int, before: float
) -> dict[str, Array]:
    """The energies of a run from a copy of `start`, all in one job, so that a thermostat's random numbers are one series; `before`, ps, is run
    and not looked at. With a path they are written there, and taken from there when they are."""
    if path is not None and path.exists():
        with np.load(path) as kept:
            return dict(kept)
    system = clone(start if isinstance(start, gromos.System) else start())
    if before:
        gromos.Simulation(system, p, publish_every=1000).run(round(before / p.dt), wait=True, progress=False)
    reporter = gromos.EnergyReporter(["bath_kinetic", *ENERGIES])
    job = gromos.Simulation(system, p, publish_every=every).run(round(ps / p.dt), reporters=[reporter])
    while True:
        try:
            job.wait(timeout=30.0, progress=False)
            break
        except gromos.TimeoutExpired:
            if path is not None and len(reporter):
                np.savez(path.with_suffix(".part.npz"), **reporter.to_dict())
    if path is not None:
        np.savez(path, **reporter.to_dict())
        path.with_suffix(".part.npz").unlink(missing_ok=True)
    return reporter.to_dict()


def slope(t: Array, y: Array, walk: float | None = None) -> tuple[float, float]:
    """Slope of y(t) and its standard error, where y ripples and may also walk at random, as an energy does by the rounding of its motion.

    Means over blocks, of 5 ps in long runs, so that the ripple does not remember, are a + b t + ripple + walk of independent steps. For
    each strength of the walk in units of the ripple's b follows by generalised least squares; the strengths are weighed by their restricted
    likelihood (Patterson and Thompson, Biometrika 58 (1971) 545). `walk`, its variance per unit of t, when that is known, makes the error
    that of this walk. The scatter about a straight line alone would take a walk for a slope and call it certain.
    """
    blocks = int(np.clip((t[-1] - t[0]) / 5, 10, 40))
    size = len(t) // blocks
    x, z = (a[: size * blocks].reshape(blocks, size).mean(axis=1) for a in (t, y))
    line = np.stack([np.ones(blocks), x - x.mean()], axis=1)
    steps = np.arange(1.0, blocks + 1)
    likelihood, gradient, variance = [], [], []
    for strength in [*([0.0] if walk is None else []), *np.geomspace(1e-4, 1e4, 81)]:
        v = np.eye(blocks) + strength * np.minimum.outer(steps, steps)
        inverse = np.linalg.inv(line.T @ np.linalg.solve(v, line))
        fit = inverse @ (line.T @ np.linalg.solve(v, z))
        rest = z - line @ fit
        square = rest @ np.linalg.solve(v, rest)
        scatter = square / (blocks - 2) if walk is None else walk * (x[1] - x[0]) / strength
        logarithms = (blocks - 2) * np.log(scatter) + np.linalg.slogdet(v)[1] - np.linalg.slogdet(inverse)[1]
        likelihood.append(-0.5 * (logarithms + square / scatter))
        gradient.append(fit[1])
        variance.append(scatter * inverse[1, 1])
    weight = np.exp(np.array(likelihood) - max(likelihood))
    weight /= weight.sum()
    mean_gradient = float(weight @ gradient)
    return mean_gradient, float(np.sqrt(weight @ (variance + (np.array(gradient) - mean_gradient) ** 2)))


def walk(system: gromos.System, p: gromos.InputParameters, steps: int) -> float:
    """How fast the energy walks at random: its variance per time, kJ^2/mol^2/ps.

    Leap-frog conserves E + (V'' - sum m a^2) dt^2 / 12 + ..., V'' the second derivative of the potential energy by time, up to dt^4 (Skeel
    and Hardy, SIAM J. Sci. Comput. 23 (2001) 1172), of which the fourth derivative is most and is fitted: without the ripple the walk
    shows within 50 steps. Leaves the State where it got to.
    """
    run = gromos.Simulation(system, p)
    total, potential, change = np.zeros((3, steps))
    before = np.array(system.state.velocities())
    for k in range(steps):
        energy = run.step(1)
        after = np.array(system.state.velocities())
        total[k], potential[k] = energy.total(), energy.potential
        change[k] = np.tile(MASSES, len(after) // 3) @ ((after - before) ** 2).sum(axis=1)
        before = after
    second = potential[2:] - 2 * potential[1:-1] + potential[:-2]
    refined = total[2:-2] + (second[1:-1] - change[2:-2]) / 12
    fourth = second[2:] - 2 * second[1:-1] + second[:-2]
    lag = 50
    way, ripple = refined[lag:] - refined[:-lag], fourth[lag:] - fourth[:-lag]
    return float(np.mean((way - (way @ ripple) / (ripple @ ripple) * ripple) ** 2) / (lag * p.dt))


def mean(y: Array, blocks: int = 10) -> tuple[float, float]:
    """Mean and its standard error from block means."""
    size = len(y) // blocks
    b = y[len(y) - size * blocks :].reshape(blocks, size).mean(axis=1)
    return float(b.mean()), float(b.std(ddof=1) / np.sqrt(blocks))


def momentum(velocities: npt.ArrayLike) -> Array:
    """Of the whole box, u nm/ps."""
    v = np.asarray(velocities, dtype=np.float64)
    return np.asarray(np.tile(MASSES, len(v) // 3) @ v)


def reversal(system: gromos.System, p: gromos.InputParameters, steps: int) -> float:
    """Leap-frog is its own inverse: from x(n) with -v(n - 1/2) it runs back. The largest distance from the start, nm.

    A State after n steps has x(n) and v(n - 1/2), so that x(n - 1) goes with the velocities of one step later.
    """
    run = gromos.Simulation(system, p)
    start = np.array(system.state.positions())
    run.step(steps - 1)
    turned = np.array(system.state.positions())
    run.step(1)
    system.state.set(positions=turned, velocities=-np.array(system.state.velocities()))
    run.step(steps - 1)
    off = np.array(system.state.positions()) - start
    edge = np.diag(system.state.box.vectors)
    return float(np.abs(off - edge * np.rint(off / edge)).max())

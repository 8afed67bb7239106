"""What the ensembles are tested on: a box of water, and a solute in water."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import gromos
import numpy as np
import spc
from gromos import _parameter_blocks as blocks
from motion import cutoff_of

SOLUTE = 12  # atoms of alanine dipeptide, united CH and CH3


@dataclass(frozen=True)
class Share:
    """Atoms whose kinetic energy is tested by itself: those of one bath."""

    name: str
    column: str
    atoms: int
    constraints: int


@dataclass(frozen=True)
class Box:
    """`start` makes a liquid at 300 K, `parameters` a way to run it, with the names of `spc.parameters`."""

    name: str
    about: str
    start: Callable[[], gromos.System]
    parameters: Callable[..., gromos.InputParameters]
    shares: tuple[Share, ...]

    @property
    def atoms(self) -> int:
        return sum(share.atoms for share in self.shares)

    @property
    def constraints(self) -> int:
        return sum(share.constraints for share in self.shares)


def water(per_edge: int, room: float = 1.0) -> Box:
    """per_edge^3 molecules; `room` under 1 leaves room for the box to shrink."""
    cutoff = round(room * cutoff_of(per_edge, 0.7), 2)
    n = 3 * per_edge**3

    @cache
    def start() -> gromos.System:
        system = spc.lattice(per_edge)
        spc.equilibrate(system, cutoff, 10.0, precision="float32")
        return system

    def parameters(**how: Any) -> gromos.InputParameters:
        return spc.settled(spc.parameters(cutoff, **how))

    return Box("water", f"{n // 3} molecules, {cutoff:g} nm", start, parameters, (Share("water", "kinetic", n, n),))


def solute(molecules: int, room: float = 1.0) -> Box:
    """The solute of the example and the water next to it. Two baths: the solute, the water."""
    edge = ((molecules + SOLUTE / 2) * spc.SPACING**3) ** (1 / 3)
    cutoff = round(room * min(0.8, 0.48 * edge), 2)
    n = 3 * molecules
    data = Path(str(files("gromos"))) / "data"

    def parameters(**how: Any) -> gromos.InputParameters:
        p = spc.settled(spc.parameters(cutoff, **how))
        if p.multibath is None:
            p.multibath = blocks.MultiBath(baths=[blocks.Bath(0.0, -1.0)])  # not coupled; the State counts two
        (bath,) = p.multibath.baths
        p.multibath.baths = [bath, bath]
        p.multibath.sets = [blocks.DofSet(SOLUTE, 1, 1), blocks.DofSet(SOLUTE + n, 2, 2)]
        return p

    @cache
    def start() -> gromos.System:
        topology = gromos.Topology.from_file(data / "alanine.top")
        box = gromos.Box.rectangular(edge, edge, edge)
        rough = gromos.State(SOLUTE + n, dtype="float64")
        rough.set(positions=carved(gromos.load(data / "alanine.cnf"), molecules), box=box)
        minimise(gromos.System(topology, rough), cutoff)
        state = gromos.State(SOLUTE + n, num_temp_groups=2, dtype="float64")
        state.set(positions=rough.positions(), box=box)
        system = gromos.System(topology, state)
        calm(system, parameters)
        return system

    with_bonds = gromos.Topology.from_file(data / "alanine.top").num_bonds()
    shares = (Share("solute", "bath_kinetic[0]", SOLUTE, with_bonds), Share("water", "bath_kinetic[1]", n, n))
    return Box("solute", f"alanine dipeptide in {molecules} molecules, {cutoff:g} nm", start, parameters, shares)


def carved(big: gromos.State, molecules: int) -> np.ndarray:
    """The solute and as many molecules as are nearest to its middle, in a cube."""
    x = np.array(big.positions(), dtype=np.float64)
    edge = np.diag(big.box.vectors)
    middle = x[:SOLUTE].mean(axis=0)
    water = x[SOLUTE:].reshape(-1, 3, 3)
    water = water - edge * np.rint((water[:, :1] - middle) / edge)
    near = np.argsort(np.abs(water[:, 0] - middle).max(axis=1))[:molecules]
    return np.concatenate([x[:SOLUTE], water[np.sort(near)].reshape(-1, 3)])


def minimise(system: gromos.System, cutoff: float) -> None:
    """Molecules that touch across the walls part."""
    p = spc.parameters(cutoff, kind="steepest_descent", num_steps=300)
    p.constraint.ntcs, p.constraint.ntcs0, p.initialise.ntishk = "shake", 1e-4, 1
    gromos.Simulation(system, p, publish_every=1000).run(300, wait=True, progress=False)


def calm(system: gromos.System, parameters: Callable[..., gromos.InputParameters]) -> None:
    """To a liquid at 300 K."""
    p = parameters(kind="nvt", tau=0.02, precision="float32")
    p.constraint.ntcs, p.constraint.ntcs0 = "shake", 1e-6
    p.initialise.ntivel, p.initialise.tempi, p.initialise.ntishk, p.initialise.nticom, p.seed = 1, 300.0, 3, 1, 4711
    p.dt = 0.0005
    gromos.Simulation(system, p, publish_every=1000).run(4000, wait=True, progress=False)
    p = parameters(kind="nvt", tau=0.05, precision="float32")
    gromos.Simulation(system, p, publish_every=1000).run(5000, wait=True, progress=False)

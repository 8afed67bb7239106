"""Energies and forces of the example system (alanine dipeptide in SPC water) from OpenMM, term by term, with forces written down anew from
the formulas: W. F. van Gunsteren et al., GROMOS manual vol. 2, chapter 5; I. G. Tironi, R. Sperb, P. E. Smith, W. F. van Gunsteren, J. Chem.
Phys. 102 (1995) 5451 for the reaction field. OpenMM's platform Reference computes in double precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gromos
import numpy as np
import openmm as mm
from run import Options, Row

CUTOFF, EPSILON = 1.4, 61.0
SOURCE = "OpenMM, platform Reference, double precision"
TERMS = ("bond", "angle", "improper", "dihedral", "lj", "coulomb")
TOLERANCES = {"float64": (1e-10, 1e-10), "float32": (1e-5, 5e-5)}
"""Relative, of energies and of forces. float64: sums of 1e6 pairs in another order. float32: a position in a box of 3 nm is rounded by
1.2e-7 nm, and forces of hydrogen bonds change by up to 1e5 kJ/mol/nm^2: 0.012 of 1,000 kJ/mol/nm for each neighbour."""


def openmm(options: Options) -> Iterator[Row]:
    """The scheme verlet: one cutoff between atoms, Lennard-Jones shifted to zero there. Bonds are not rigid here, and the solute is shaken by
    0.003 nm, so that every term acts."""
    data = Path(gromos.__file__).parent / "data"
    system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", dtype="float64")
    x = np.array(system.state.positions())
    solute = system.topology.num_solute_atoms()
    x[:solute] += np.random.default_rng(1).normal(0.0, 0.003, (solute, 3))
    system.state.set_positions(x)
    theirs, f = evaluate(system)
    theirs["coulomb"] += constant(system)
    scale = float(np.sqrt((f**2).sum(axis=1).mean()))
    for precision, (tolerance, of_forces) in TOLERANCES.items():
        p = gromos.InputParameters.nve(cutoffs=CUTOFF, constraints="solvent", precision=precision)
        p.scheme = "verlet"
        p.comtransrot.nscm = 0
        p.nonbonded.epsrf = EPSILON
        forces, energies = gromos.Simulation(system, p).single_point()
        for term in TERMS:
            ours, other = getattr(energies, term), theirs[term]
            off = abs(ours - other) / max(abs(other), 1.0)
            both = f"{ours:.10g} and {other:.10g} kJ/mol, relative {off:.1e}"
            yield Row(f"{precision}: {term} energy", both, f"{tolerance:g}", SOURCE, off < tolerance)
        off = float(np.abs(forces - f).max()) / scale
        what = f"{precision}: largest difference of a force, {system.num_atoms()} atoms"
        yield Row(what, f"{off:.1e} of the r.m.s. force, {scale:.0f} kJ/mol/nm", f"{of_forces:g}", SOURCE, off < of_forces)


def reaction_field() -> tuple[float, float]:
    """Half of C_rf / R^3, and (1 - C_rf / 2) / R, in the energy q q' (1/r - a r^2 - b)."""
    crf = 2 * (1 - EPSILON) / (1 + 2 * EPSILON)
    return crf / 2 / CUTOFF**3, (1 - crf / 2) / CUTOFF


def evaluate(system: gromos.System) -> tuple[dict[str, float], Any]:
    t = system.topology
    made = mm.System()
    edge = np.diag(system.state.box.vectors)
    made.setDefaultPeriodicBoxVectors(*(mm.Vec3(*row) for row in np.diag(edge)))
    for mass in t.masses:
        made.addParticle(float(mass))
    for number, term in enumerate(TERMS):
        for force in globals()[term](t):
            force.setForceGroup(number)
            made.addForce(force)
    context = mm.Context(made, mm.VerletIntegrator(0.001), mm.Platform.getPlatformByName("Reference"))
    context.setPositions(np.array(system.state.positions()))
    unit = mm.unit.kilojoule_per_mole
    energies = {
        term: context.getState(getEnergy=True, groups={number}).getPotentialEnergy().value_in_unit(unit) for number, term in enumerate(TERMS)
    }
    f = context.getState(getForces=True).getForces(asNumpy=True).value_in_unit(unit / mm.unit.nanometer)
    return energies, np.array(f)


def bond(t: gromos.Topology) -> Iterator[mm.Force]:
    force = mm.CustomBondForce("0.25*k*(r^2-b^2)^2")
    force.addPerBondParameter("k")
    force.addPerBondParameter("b")
    for (i, j), kind in zip(t.bonds.tolist(), t.bond_type, strict=True):
        force.addBond(i, j, [t.bond_types[kind, 0], t.bond_types[kind, 2]])
    yield periodic(force)


def angle(t: gromos.Topology) -> Iterator[mm.Force]:
    force = mm.CustomAngleForce("0.5*k*(cos(theta)-c)^2")
    force.addPerAngleParameter("k")
    force.addPerAngleParameter("c")
    for atoms, kind in zip(t.angles.tolist(), t.angle_type, strict=True):
        force.addAngle(*atoms, [t.angle_types[kind, 0], np.cos(np.radians(t.angle_types[kind, 2]))])
    yield periodic(force)


def improper(t: gromos.Topology) -> Iterator[mm.Force]:
    force = mm.CustomTorsionForce(f"0.5*k*d^2; d=(theta-a)*{180 / np.pi!r}")  # small: far from the jump at 180 degrees
    force.addPerTorsionParameter("k")
    force.addPerTorsionParameter("a")
    for atoms, kind in zip(t.impropers.tolist(), t.improper_type, strict=True):
        force.addTorsion(*atoms, [t.improper_types[kind, 0], np.radians(t.improper_types[kind, 1])])
    yield periodic(force)


def dihedral(t: gromos.Topology) -> Iterator[mm.Force]:
    force = mm.PeriodicTorsionForce()
    for atoms, kind in zip(t.dihedrals.tolist(), t.dihedral_type, strict=True):
        k, phase, multiplicity = t.dihedral_types[kind]
        force.addTorsion(*atoms, int(multiplicity), float(np.radians(phase)), float(k))
    yield periodic(force)


def periodic(force: Any) -> mm.Force:
    force.setUsesPeriodicBoundaryConditions(True)
    return force


def special_pairs(t: gromos.Topology) -> tuple[list[list[int]], list[list[int]], list[list[int]]]:
    """Solute exclusions, third neighbours, and pairs within each water molecule."""
    first = t.num_solute_atoms()
    water = [[m + a, m + b] for m in range(first, t.num_atoms(), 3) for a, b in ((0, 1), (0, 2), (1, 2))]
    return t.exclusions.tolist(), t.one_fours.tolist(), water


def pairs(t: gromos.Topology, energy: str, parameters: dict[str, Any], tables: dict[str, Any]) -> mm.Force:
    force = mm.CustomNonbondedForce(energy)
    for name, table in tables.items():
        force.addTabulatedFunction(name, mm.Discrete2DFunction(*table.shape, table.T.ravel().tolist()))
    for name in parameters:
        force.addPerParticleParameter(name)
    for row in zip(*parameters.values(), strict=True):
        force.addParticle([float(v) for v in row])
    for kind in special_pairs(t):
        for i, j in kind:
            force.addExclusion(i, j)
    force.setNonbondedMethod(force.CutoffPeriodic)
    force.setCutoffDistance(CUTOFF)
    force.setUseLongRangeCorrection(False)
    return force


def lj(t: gromos.Topology) -> Iterator[mm.Force]:
    shape = f"c12(a1,a2)*(r^-12-{CUTOFF**-12!r})-c6(a1,a2)*(r^-6-{CUTOFF**-6!r})"
    yield pairs(t, shape, {"a": t.types}, {"c12": t.lj[:, :, 0], "c6": t.lj[:, :, 1]})
    force = mm.CustomBondForce("c12*r^-12-c6*r^-6")  # third neighbours: not shifted
    force.addPerBondParameter("c12")
    force.addPerBondParameter("c6")
    for i, j in special_pairs(t)[1]:
        force.addBond(i, j, t.lj[t.types[i], t.types[j], 2:].tolist())
    yield periodic(force)


def coulomb(t: gromos.Topology) -> Iterator[mm.Force]:
    a, b = reaction_field()
    k = t.constants["four_pi_eps_i"]
    yield pairs(t, f"{k!r}*q1*q2*(1/r-{a!r}*r^2-{b!r})", {"q": t.charges}, {})
    force = mm.CustomBondForce(f"{k!r}*qq*(near/r-{a!r}*r^2-{b!r})")
    force.addPerBondParameter("qq")
    force.addPerBondParameter("near")
    excluded, third, _ = special_pairs(t)
    for kind, near in ((excluded, 0.0), (third, 1.0)):
        for i, j in kind:
            force.addBond(i, j, [t.charges[i] * t.charges[j], near])
    yield periodic(force)


def constant(system: gromos.System) -> float:
    """What has no force: each solute charge in its own reaction field, and the distances within rigid water."""
    t, (a, b) = system.topology, reaction_field()
    x = np.array(system.state.positions())
    edge = np.diag(system.state.box.vectors)
    i, j = np.array(special_pairs(t)[2]).T
    r = x[i] - x[j]
    r -= edge * np.rint(r / edge)
    inside = -a * float((t.charges[i] * t.charges[j]) @ (r**2).sum(axis=1))
    alone = -0.5 * b * float((t.charges[: t.num_solute_atoms()] ** 2).sum())
    return float(t.constants["four_pi_eps_i"]) * (inside + alone)

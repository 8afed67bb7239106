"""Make the example system: alanine dipeptide (ACE-ALA-NME, united atom) in about 1,080 SPC water molecules, in GROMOS files.

    python make_example.py OUTPUT_DIRECTORY [--equilibrate]

writes alanine.top (topology), alanine.imd (input of the run in the demo), equilibrate.imd and lattice.cnf: a start with the solute in
a cavity of a lattice of water molecules, with Maxwell velocities. The same seed gives the same files. With --equilibrate, which takes
some minutes, gromosd then runs equilibrate.imd from there, until the water has forgotten the lattice, and alanine.cnf is written: that
is the one which comes with the package.

Everything is made from published numbers:

- water: SPC, H. J. C. Berendsen, J. P. M. Postma, W. F. van Gunsteren, J. Hermans, in: Intermolecular Forces, Reidel (1981) 331;
- solute: GROMOS 54A7, N. Schmid et al., Eur. Biophys. J. 40 (2011) 843, which keeps from 53A6 what is not said there:
  C. Oostenbrink, A. Villa, A. E. Mark, W. F. van Gunsteren, J. Comput. Chem. 25 (2004) 1656.

Two simplifications: the harmonic constants of bonds and angles, which GROMOS files carry beside the quartic and cosine ones that the
force field is made of, follow from equal curvature at the minimum.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from math import cos, pi, radians, sin, sqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

BOLTZMANN = 0.00831441  # kJ/(mol K), as in the topology
TEMPERATURE = 300.0
SITES = (10, 10, 11)  # of the water lattice
CLEARANCE = 0.29  # nm, between a water oxygen and any solute atom at the start
WATER_DENSITY = 32.6  # molecules per nm^3: SPC at 300 K and 1 atm is at 0.976 g/cm^3
SOLUTE_VOLUME = 0.20  # nm^3
SEED = 20040405

# --- the force field -----------------------------------------------------------------------------------------------

# name: square roots of C6, C12 (first and second kind), 1-4 C6, 1-4 C12; kJ/mol, nm.
ATOM_TYPES = {
    "O": (0.04756, 1.000e-3, 1.130e-3, 0.04756, 0.8611e-3),
    "OW": (0.05116, 1.623e-3, 1.623e-3, 0.05116, 1.623e-3),
    "N": (0.04936, 1.523e-3, 1.943e-3, 0.04936, 1.301e-3),
    "C": (0.04838, 2.222e-3, 2.222e-3, 0.04838, 1.837e-3),
    "CH1": (0.07790, 9.850e-3, 9.850e-3, 0.05396, 1.933e-3),
    "CH3": (0.09805, 5.162e-3, 5.162e-3, 0.08278, 2.456e-3),
    "H": (0.0, 0.0, 0.0, 0.0, 0.0),
}
# For pairs that form hydrogen bonds the force field takes the second kind of C12 of the atom named first.
SECOND_KIND = {("N", "O"), ("N", "OW"), ("O", "OW")}

MASSES = {"O": 15.9994, "OW": 15.9994, "N": 14.0067, "C": 12.011, "CH1": 13.019, "CH3": 15.035, "H": 1.008}

BOND_TYPES = [(1.87e7, 0.100), (1.66e7, 0.123), (1.18e7, 0.133), (8.71e6, 0.147), (7.15e6, 0.153)]
N_H, C_O, C_N, N_CH, CH_C = range(5)

ANGLE_TYPES = [(520.0, 109.5), (460.0, 115.0), (610.0, 115.0), (685.0, 121.0), (700.0, 122.0), (415.0, 123.0), (730.0, 124.0)]
TETRAHEDRAL, H_N_CH, CH_C_N, CH_C_O, C_N_CH, C_N_H, O_C_N = range(7)

IMPROPER_TYPES = [(0.0510, 0.0), (0.102, 35.26439)]
PLANAR, CHIRAL = range(2)

DIHEDRAL_TYPES = [(33.5, 180.0, 2), (2.80, 0.0, 3), (0.70, 180.0, 6), (3.50, 180.0, 2), (0.40, 0.0, 6)]
OMEGA, PHI_3, PHI_6, PSI_2, PSI_6 = range(5)

# --- the molecule --------------------------------------------------------------------------------------------------

# residue, name, type, charge, whether a charge group ends
ATOMS = [
    (1, "CA", "CH3", 0.0, 1),
    (1, "C", "C", 0.45, 0),
    (1, "O", "O", -0.45, 1),
    (2, "N", "N", -0.31, 0),
    (2, "H", "H", 0.31, 1),
    (2, "CA", "CH1", 0.0, 0),
    (2, "CB", "CH3", 0.0, 1),
    (2, "C", "C", 0.45, 0),
    (2, "O", "O", -0.45, 1),
    (3, "N", "N", -0.31, 0),
    (3, "H", "H", 0.31, 1),
    (3, "CA", "CH3", 0.0, 1),
]
RESIDUES = ["ACE", "ALA", "NME"]
BONDS = [
    (0, 1, CH_C), (1, 2, C_O), (1, 3, C_N), (3, 4, N_H), (3, 5, N_CH), (5, 6, CH_C), (5, 7, CH_C), (7, 8, C_O), (7, 9, C_N),
    (9, 10, N_H), (9, 11, N_CH),
]  # fmt: skip
ANGLES = [
    (0, 1, 2, CH_C_O), (0, 1, 3, CH_C_N), (2, 1, 3, O_C_N), (1, 3, 4, C_N_H), (1, 3, 5, C_N_CH), (4, 3, 5, H_N_CH),
    (3, 5, 6, TETRAHEDRAL), (3, 5, 7, TETRAHEDRAL), (6, 5, 7, TETRAHEDRAL), (5, 7, 8, CH_C_O), (5, 7, 9, CH_C_N), (8, 7, 9, O_C_N),
    (7, 9, 10, C_N_H), (7, 9, 11, C_N_CH), (10, 9, 11, H_N_CH),
]  # fmt: skip
IMPROPERS = [(1, 0, 3, 2, PLANAR), (3, 1, 5, 4, PLANAR), (5, 3, 7, 6, CHIRAL), (7, 5, 9, 8, PLANAR), (9, 7, 11, 10, PLANAR)]
DIHEDRALS = [
    (0, 1, 3, 5, OMEGA), (1, 3, 5, 7, PHI_6), (1, 3, 5, 7, PHI_3), (3, 5, 7, 9, PSI_6), (3, 5, 7, 9, PSI_2), (5, 7, 9, 11, OMEGA),
]  # fmt: skip
# How each atom stands to three earlier ones: (bonded to, angle with, dihedral with), distance nm, angle and dihedral in degrees.
# A stretched backbone: phi = -120, psi = 120, peptide groups trans; CB on the side of an L-amino acid.
PHI, PSI = -120.0, 120.0
PLACED = {
    2: ((1, 0, 0), 0.123, 121.0, 0.0),
    3: ((1, 0, 2), 0.133, 115.0, 180.0),
    4: ((3, 1, 0), 0.100, 123.0, 0.0),
    5: ((3, 1, 0), 0.147, 122.0, 180.0),
    7: ((5, 3, 1), 0.153, 109.5, PHI),
    6: ((5, 3, 1), 0.153, 109.5, PHI - 120.0),
    9: ((7, 5, 3), 0.133, 115.0, PSI),
    8: ((7, 5, 3), 0.123, 121.0, PSI + 180.0),
    10: ((9, 7, 5), 0.100, 123.0, 0.0),
    11: ((9, 7, 5), 0.147, 122.0, 180.0),
}

OXYGEN_HYDROGEN = 0.1
HYDROGEN_HYDROGEN = 2 * OXYGEN_HYDROGEN * sqrt(2.0 / 3.0)  # at the tetrahedral angle, 109.47 degrees
WATER = [("OW", "OW", -0.82), ("HW1", "H", 0.41), ("HW2", "H", 0.41)]


def neighbours() -> list[dict[int, int]]:
    """Per atom: the others within three bonds and how many bonds away they are."""
    bonded: list[set[int]] = [set() for _ in ATOMS]
    for a, b, _ in BONDS:
        bonded[a].add(b)
        bonded[b].add(a)
    found = []
    for atom in range(len(ATOMS)):
        distance = {atom: 0}
        for bonds in (1, 2, 3):
            for other in [a for a, d in distance.items() if d == bonds - 1]:
                for next_one in bonded[other]:
                    distance.setdefault(next_one, bonds)
        found.append(distance)
    return found


def place_solute() -> Array:
    """(12, 3), nm; the centre of geometry in the origin."""
    x: Array = np.zeros((len(ATOMS), 3))
    x[1] = (0.153, 0.0, 0.0)
    for atom, ((bonded, angled, turned), length, angle, dihedral) in PLACED.items():
        reference = x[turned] if turned not in (bonded, angled) else np.array([0.0, -1.0, 0.0])
        axis = x[bonded] - x[angled]
        axis /= np.linalg.norm(axis)
        normal = np.cross(x[angled] - reference, axis)
        normal /= np.linalg.norm(normal)
        side = np.cross(normal, axis)
        theta, phi = radians(angle), radians(dihedral)
        x[atom] = x[bonded] + length * (-cos(theta) * axis + sin(theta) * cos(phi) * side + sin(theta) * sin(phi) * normal)
    x -= x.mean(axis=0)
    return x


def random_rotation(rng: np.random.Generator) -> Array:
    """Uniform over all rotations: from a unit quaternion."""
    a, b, c, d = (q := rng.normal(size=4)) / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (c * c + d * d), 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), 1 - 2 * (b * b + d * d), 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), 1 - 2 * (b * b + c * c)],
        ]
    )


def place_water(solute: Array, edge: float, rng: np.random.Generator) -> Array:
    """(n, 3, 3), nm: molecules on lattice points that are clear of the solute, turned at random. The origin is the box's middle."""
    half = HYDROGEN_HYDROGEN / 2
    height = sqrt(OXYGEN_HYDROGEN**2 - half**2)
    shape = np.array([[0.0, 0.0, 0.0], [half, 0.0, height], [-half, 0.0, height]])
    axes = [((np.arange(n) + 0.5) / n - 0.5) * edge for n in SITES]
    sites = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    apart = sites[:, None, :] - solute[None, :, :]
    apart -= edge * np.rint(apart / edge)
    clear = sites[np.sqrt((apart**2).sum(axis=-1)).min(axis=1) > CLEARANCE]
    return np.array([site + shape @ random_rotation(rng).T for site in clear])


def velocities(masses: Array, rng: np.random.Generator) -> Array:
    """Maxwell-Boltzmann at TEMPERATURE, the centre of mass at rest."""
    v: Array = rng.normal(size=(len(masses), 3)) * np.sqrt(BOLTZMANN * TEMPERATURE / masses)[:, None]
    v -= masses @ v / masses.sum()
    return v


# --- writing -------------------------------------------------------------------------------------------------------


def block(name: str, *lines: str) -> str:
    return "\n".join([name, *lines, "END", ""])


def lennard_jones(a: str, b: str) -> tuple[float, float, float, float]:
    """C12, C6, 1-4 C12, 1-4 C6 of a pair of atom types: products of square roots."""
    first, second = ATOM_TYPES[a], ATOM_TYPES[b]
    kind_a = 2 if (a, b) in SECOND_KIND else 1
    kind_b = 2 if (b, a) in SECOND_KIND else 1
    return first[kind_a] * second[kind_b], first[0] * second[0], first[4] * second[4], first[3] * second[3]


def terms(rows: Sequence[tuple[int, ...]]) -> tuple[list[str], list[str]]:
    """Lines of a block of force terms: those with a hydrogen atom, those without."""
    lines: tuple[list[str], list[str]] = ([], [])
    for *atoms, kind in rows:
        with_hydrogen = any(ATOMS[a][2] == "H" for a in atoms)
        lines[0 if with_hydrogen else 1].append("".join(f"{i + 1:7d}" for i in (*atoms, kind)))
    return lines


def term_blocks(name: str, rows: Sequence[tuple[int, ...]]) -> str:
    with_hydrogen, without = terms(rows)
    return block(name + "H", str(len(with_hydrogen)), *with_hydrogen) + block(name, str(len(without)), *without)


def topology() -> str:
    types = list(ATOM_TYPES)
    atoms = []
    for i, ((residue, name, kind, charge, ends), near) in enumerate(zip(ATOMS, neighbours(), strict=True)):
        excluded = sorted(a for a, d in near.items() if a > i and d in (1, 2))
        third = sorted(a for a, d in near.items() if a > i and d == 3)
        atoms.append(
            f"{i + 1:5d}{residue:5d} {name:>5s}{types.index(kind) + 1:4d}{MASSES[kind]:10.5f}{charge:10.5f}{ends:3d}{len(excluded):6d}"
            + "".join(f"{a + 1:6d}" for a in excluded)
        )
        atoms.append(" " * 43 + f"{len(third):6d}" + "".join(f"{a + 1:6d}" for a in third))
    pairs = []
    for j, second in enumerate(types):
        for i, first in enumerate(types[: j + 1]):
            pairs.append(f"{i + 1:5d}{j + 1:5d}" + "".join(f"{value:14.6e}" for value in lennard_jones(first, second)))
    n = len(ATOMS)
    water = [f"{i + 1:5d} {name:>5s}{types.index(kind) + 1:4d}{MASSES[kind]:10.5f}{q:10.5f}" for i, (name, kind, q) in enumerate(WATER)]
    return (
        block(
            "TITLE",
            "Alanine dipeptide (ACE-ALA-NME) in SPC water",
            "solute: GROMOS 54A7, N. Schmid et al., Eur. Biophys. J. 40 (2011) 843",
            "water: SPC, Berendsen et al. 1981",
        )
        + block("PHYSICALCONSTANTS", "# 1/(4 pi eps0), hbar, speed of light, Boltzmann", "138.9354", "0.0635078", "299792.458", "0.00831441")
        + block("TOPVERSION", "2.0")
        + block("ATOMTYPENAME", str(len(types)), *types)
        + block("RESNAME", str(len(RESIDUES)), *RESIDUES)
        + block("SOLUTEATOM", "# atom residue name type mass charge ends-group exclusions / third neighbours", str(n), *atoms)
        + block(
            "BONDSTRETCHTYPE",
            "# quartic kJ/(mol nm^4), harmonic kJ/(mol nm^2), length nm",
            str(len(BOND_TYPES)),
            *(f"{k:14.5e}{2 * k * length**2:14.5e}{length:14.5e}" for k, length in BOND_TYPES),
        )
        + term_blocks("BOND", BONDS)
        + block(
            "BONDANGLEBENDTYPE",
            "# in the cosine kJ/mol, in the angle kJ/(mol deg^2), angle deg",
            str(len(ANGLE_TYPES)),
            *(f"{k:14.5e}{k * (sin(radians(t)) * pi / 180) ** 2:14.5e}{t:14.5e}" for k, t in ANGLE_TYPES),
        )
        + term_blocks("BONDANGLE", ANGLES)
        + block(
            "IMPDIHEDRALTYPE", "# kJ/(mol deg^2), deg", str(len(IMPROPER_TYPES)), *(f"{k:14.5e}{angle:14.5e}" for k, angle in IMPROPER_TYPES)
        )
        + term_blocks("IMPDIHEDRAL", IMPROPERS)
        + block(
            "TORSDIHEDRALTYPE",
            "# kJ/mol, phase deg, multiplicity",
            str(len(DIHEDRAL_TYPES)),
            *(f"{k:10.5f}{phase:11.5f}{m:4d}" for k, phase, m in DIHEDRAL_TYPES),
        )
        + term_blocks("DIHEDRAL", DIHEDRALS)
        + block("CROSSDIHEDRALH", "0")
        + block("CROSSDIHEDRAL", "0")
        + block("LJPARAMETERS", "# types, C12, C6, 1-4 C12, 1-4 C6", str(len(pairs)), *pairs)
        + block("SOLUTEMOLECULES", "1", str(n))
        + block("TEMPERATUREGROUPS", "1", str(n))
        + block("PRESSUREGROUPS", "1", str(n))
        + block("LJEXCEPTIONS", "0")
        + block("SOLVENTATOM", str(len(WATER)), *water)
        + block(
            "SOLVENTCONSTR",
            "3",
            f"    1    2{OXYGEN_HYDROGEN:12.7f}",
            f"    1    3{OXYGEN_HYDROGEN:12.7f}",
            f"    2    3{HYDROGEN_HYDROGEN:12.7f}",
        )
    )


def configuration(title: str, x: Array, v: Array, edge: float) -> str:
    labels = [f"{residue:5d} {RESIDUES[residue - 1]:<5s} {name:<5s}" for residue, name, *_ in ATOMS]
    for molecule in range((len(x) - len(ATOMS)) // 3):
        labels += [f"{(molecule + 1) % 100000:5d} SOLV  {name:<5s}" for name, *_ in WATER]
    rows = [
        [f"{label}{i + 1:7d}" + "".join(f"{value:15.9f}" for value in row) for i, (label, row) in enumerate(zip(labels, a.tolist(), strict=True))]
        for a in (x, v)
    ]
    return (
        block("TITLE", title)
        + block("TIMESTEP", f"{0:15d}{0.0:15.9f}")
        + block("POSITION", *rows[0])
        + block("VELOCITY", *rows[1])
        + block("GENBOX", "1", f"{edge:15.9f}" * 3, f"{90.0:15.9f}" * 3, f"{0.0:15.9f}" * 3, f"{0.0:15.9f}" * 3)
    )


def parameters(title: str, molecules: int, steps: int, coupling: float, center_of_mass: int, every: int, step_size: float, generate: bool) -> str:
    atoms = len(ATOMS) + 3 * molecules
    return (
        block("TITLE", title)
        + block("SYSTEM", "# NPM NSM", f"1 {molecules}")
        + block(
            "INITIALISE",
            "# NTIVEL NTISHK NTINHT NTINHB",
            f"{int(generate)} {3 if generate else 0} 0 0",
            "# NTISHI NTIRTC NTICOM",
            "1 0 0",
            "# NTISTI",
            "0",
            "# IG TEMPI",
            f"{SEED} {TEMPERATURE:g}",
        )
        + block("STEP", "# NSTLIM T DT", f"{steps} 0 {step_size:g}")
        + block("BOUNDCOND", "# NTB NDFMIN", "1 3")
        + block(
            "MULTIBATH",
            "# weak coupling; two baths: solute, water",
            "0",
            "2",
            f"{TEMPERATURE:g} {coupling:g}",
            f"{TEMPERATURE:g} {coupling:g}",
            "# DOFSET: last atom, bath of the centre of mass, bath of the rest",
            "2",
            f"{len(ATOMS)} 1 1",
            f"{atoms} 2 2",
        )
        + block("COMTRANSROT", "# NSCM", str(center_of_mass))
        + block("PRINTOUT", "# NTPR NTPP", f"{every} 0")
        + block("WRITETRAJ", "# NTWX NTWSE NTWV NTWF NTWE NTWG NTWB", f"{every} 0 0 0 {every} 0 0")
        + block("CONSTRAINT", "# NTC", "3", "# NTCP NTCP0", "1 0.0001", "# NTCS NTCS0", "1 0.0001")
        + block(
            "FORCE",
            "# bonds angles impropers dihedrals electrostatics van-der-Waals",
            "0 1 1 1 1 1",
            "# energy groups: solute, water",
            f"2 {len(ATOMS)} {atoms}",
        )
        + block("PAIRLIST", "# ALGORITHM NSNB RCUTP RCUTL SIZE TYPE", "grid_cell 5 0.8 1.4 0.4 chargegroup")
        + block(
            "NONBONDED",
            "# NLRELE: reaction field",
            "1",
            "# APPAK RCRF EPSRF NSLFEXCL",
            "0 1.4 61 1",
            "# lattice sums: not used",
            "-1 1.4 2 1e-10 0",
            "10 10 10 100",
            "32 32 32 3 2 3 4",
            "100000 1.6 0 0",
            "0 33.3",
        )
    )


def equilibrate(directory: Path, edge: float) -> str:
    """The configuration after the run of equilibrate.imd from lattice.cnf: the solute in the middle of the box, all molecules whole."""
    import gromos

    params = gromos.InputParameters.from_file(directory / "equilibrate.imd")
    system = gromos.System.from_files(
        directory / "alanine.top", directory / "lattice.cnf", num_temp_groups=2, num_energy_groups=2, dtype="float64"
    )
    gromos.Simulation(system, params, publish_every=1000).run(wait=True)
    x, v = (np.array(a, dtype=np.float64) for a in (system.state.positions(), system.state.velocities()))
    solute, water = x[: len(ATOMS)], x[len(ATOMS) :].reshape(-1, 3, 3)
    solute -= edge * np.rint((solute - solute[5]) / edge)
    x -= solute.mean(axis=0)
    water -= edge * np.rint((water - water[:, :1]) / edge)
    water -= edge * np.rint(water[:, :1] / edge)
    title = f"Alanine dipeptide in SPC water, {system.state.time:g} ps after lattice.cnf of make_example.py, {TEMPERATURE:g} K"
    return configuration(title, x, v, edge)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--equilibrate", action="store_true", help="also run it and write alanine.cnf")
    options = parser.parse_args()
    directory: Path = options.directory
    directory.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    solute = place_solute()
    # How many molecules fit decides the edge, which hardly changes how many fit.
    edge = 3.2
    for _ in range(2):
        molecules = len(place_water(solute, edge, np.random.default_rng(SEED)))
        edge = round((molecules / WATER_DENSITY + SOLUTE_VOLUME) ** (1 / 3), 3)
    water = place_water(solute, edge, rng)
    x = np.concatenate([solute, water.reshape(-1, 3)])
    masses = np.array([MASSES[kind] for _, _, kind, _, _ in ATOMS] + [MASSES[kind] for _, kind, _ in WATER] * len(water))
    files = {
        "alanine.top": topology(),
        "lattice.cnf": configuration("Alanine dipeptide in SPC water: solute in the cavity of a lattice", x, velocities(masses, rng), edge),
        "equilibrate.imd": parameters("Equilibration: alanine dipeptide in SPC water", len(water), 10000, 0.02, 100, 500, 0.001, True),
        "alanine.imd": parameters("Alanine dipeptide in SPC water at 300 K", len(water), 1000, 0.1, 1000, 10, 0.002, False),
    }
    for name, text in files.items():
        (directory / name).write_text(text, encoding="ascii")
    if options.equilibrate:
        (directory / "alanine.cnf").write_text(equilibrate(directory, edge), encoding="ascii")
    print(f"{directory}: {len(x)} atoms, {len(water)} water molecules, box {edge} nm")


if __name__ == "__main__":
    main()

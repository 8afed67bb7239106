"""GROMOS topology files as text: written from arrays, and the parameter tables of a file the daemon has checked.

Layout and units: GROMOS manual, volume 4 (data structures and formats), molecular topology file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ._errors import InvalidArgumentError

if TYPE_CHECKING:
    from ._topology import Topology

__all__ = ["read_tables", "render"]

HYDROGEN_MASS = 1.1
"""Terms with an atom up to this mass (u) go to the blocks of terms with hydrogen."""


# --- writing -------------------------------------------------------------------------------------------------------


def render(topology: Topology) -> str:
    """The text of a topology file for the arrays of a topology."""
    t = topology
    n = t.num_solute_atoms()
    residues, residue_names = _residues(t)
    names = [_word("names", name or "X") for name in t.names[:n]]
    type_names = [_word("type_names", name) for name in t.type_names] or ["T1"]
    blocks = [
        ("TITLE", [line.replace("#", " ") for line in (t.title or "made from arrays").splitlines() if line.strip() != "END"]),
        ("PHYSICALCONSTANTS", ["# 1/(4 pi eps0), hbar, speed of light, Boltzmann", *(repr(float(v)) for v in t.constants.values())]),
        ("TOPVERSION", ["2.0"]),
        ("ATOMTYPENAME", [str(len(type_names)), *type_names]),
        ("RESNAME", [str(len(residue_names)), *residue_names]),
        ("SOLUTEATOM", _atoms(t, residues, names)),
    ]
    terms = (
        ("BONDSTRETCHTYPE", "BOND", "bond"),
        ("BONDANGLEBENDTYPE", "BONDANGLE", "angle"),
        ("IMPDIHEDRALTYPE", "IMPDIHEDRAL", "improper"),
        ("TORSDIHEDRALTYPE", "DIHEDRAL", "dihedral"),
    )
    for types_block, block, name in terms:
        table, rows = getattr(t, f"{name}_types"), getattr(t, f"{name}s")
        if len(rows) and not len(table):
            raise InvalidArgumentError(f"the topology has {len(rows)} {name}s without parameters: give '{name}_types'")
        blocks.append((types_block, [str(len(table)), *(_numbers(row, whole=2 if name == "dihedral" else None) for row in table)]))
        blocks += _term_blocks(t, block, rows, getattr(t, f"{name}_type"))
    if len(t.constraints):
        blocks.append(_listing("CONSTRAINT", t.constraints, t.constraint_type))
    count = len(type_names)
    pairs = [(i, j) for j in range(count) for i in range(j + 1)]
    lj = t.lj if len(t.lj) else np.zeros((1, 1, 4))
    blocks.append(("LJPARAMETERS", [str(len(pairs)), *(f"{i + 1} {j + 1} {_numbers(lj[i, j])}" for i, j in pairs)]))
    lasts = [int(m) for m in t.molecules if 0 < m <= n]
    blocks += [(block, [str(len(lasts)), *map(str, lasts)]) for block in ("SOLUTEMOLECULES", "TEMPERATUREGROUPS", "PRESSUREGROUPS")]
    blocks.append(("LJEXCEPTIONS", ["0"]))
    blocks += _solvent_blocks(t)
    return "".join(f"{name}\n" + "".join(f"{line}\n" for line in lines) + "END\n" for name, lines in blocks)


def _word(what: str, name: str) -> str:
    """A name as the file can hold it."""
    if not name or len(name) > 7 or re.search(r"[\s#]", name) or not name.isascii():
        raise InvalidArgumentError(f"'{what}' holds {name!r}; in a topology file a name is 1 to 7 ASCII characters without blanks and '#'")
    return name


def _numbers(values: Iterable[float], whole: int | None = None) -> str:
    """Numbers with all their digits; the one in column `whole` as a whole number."""
    return " ".join(str(int(v)) if k == whole else repr(float(v)) for k, v in enumerate(values))


def _residues(t: Topology) -> tuple[npt.NDArray[np.int64], list[str]]:
    """Residue numbers from 1 in order of appearance, and their names."""
    n = t.num_solute_atoms()
    if n == 0:
        return np.zeros(0, np.int64), ["NONE"]
    begins = np.concatenate([[True], np.diff(t.residues[:n]) != 0])
    begins[[m for m in t.molecules if m < n]] = True
    names = [_word("residue_names", t.residue_names[i] or "RES") for i in np.flatnonzero(begins)]
    return np.cumsum(begins), names


def _atoms(t: Topology, residues: npt.NDArray[np.int64], names: list[str]) -> list[str]:
    n = t.num_solute_atoms()
    ends = {int(g) - 1 for g in t.charge_groups}
    partners: dict[str, list[list[int]]] = {"exclusions": [[] for _ in range(n)], "one_fours": [[] for _ in range(n)]}
    for kind, lists in partners.items():
        for a, b in getattr(t, kind).tolist():
            lists[a].append(b + 1)
    lines = [str(n), "# atom residue name type mass charge ends-group exclusions / third neighbours"]
    for i in range(n):
        head = f"{i + 1} {residues[i]} {names[i]} {t.types[i] + 1} {float(t.masses[i])!r} {float(t.charges[i])!r} {int(i in ends)}"
        lines += [head, *(line for kind in partners for line in _listed(partners[kind][i]))]
    return lines


def _listed(numbers: list[int]) -> Iterator[str]:
    yield f"    {len(numbers)} " + " ".join(map(str, numbers[:8]))
    for k in range(8, len(numbers), 8):
        yield "      " + " ".join(map(str, numbers[k : k + 8]))


def _term_blocks(t: Topology, block: str, rows: npt.NDArray[np.int32], kinds: npt.NDArray[np.int32]) -> list[tuple[str, list[str]]]:
    light = (t.masses[rows] <= HYDROGEN_MASS).any(axis=1) if len(rows) else np.zeros(0, bool)
    return [_listing(name, rows[which], kinds[which]) for name, which in ((block + "H", light), (block, ~light))]


def _listing(block: str, rows: npt.NDArray[np.int32], kinds: npt.NDArray[np.int32]) -> tuple[str, list[str]]:
    lines = [" ".join(str(v + 1) for v in (*row, kind)) for row, kind in zip(rows.tolist(), kinds.tolist(), strict=True)]
    return block, [str(len(lines)), *lines]


def _solvent_blocks(t: Topology) -> list[tuple[str, list[str]]]:
    s = t.solvent
    if s is None:
        return [("SOLVENTATOM", ["0"]), ("SOLVENTCONSTR", ["0"])]
    atoms = [
        f"{i + 1} {_word('names', s.names[i])} {s.types[i] + 1} {float(s.masses[i])!r} {float(s.charges[i])!r}" for i in range(s.num_atoms())
    ]
    rows = zip(s.constraints.tolist(), s.lengths.tolist(), strict=True)
    constraints = [f"{a + 1} {b + 1} {length!r}" for (a, b), length in rows]
    return [("SOLVENTATOM", [str(len(atoms)), *atoms]), ("SOLVENTCONSTR", [str(len(constraints)), *constraints])]


# --- reading what the daemon does not send -------------------------------------------------------------------------


def read_tables(text: str) -> dict[str, Any]:
    """Parameters by type, exclusions and constants of a file that the daemon has read without fault."""
    blocks = _blocks(text)
    words = {name: " ".join(line.split("#")[0] for line in lines).split() for name, lines in blocks.items()}

    def table(block: str, columns: int) -> npt.NDArray[np.float64]:
        found = words.get(block, ["0"])
        count = int(found[0]) if found else 0
        return np.array(found[1 : 1 + count * columns], np.float64).reshape(count, columns)

    names = words.get("ATOMTYPENAME", ["0"])[1:]
    lj = np.zeros((len(names), len(names), 4))
    for row in table("LJPARAMETERS", 6):
        i, j = int(row[0]) - 1, int(row[1]) - 1
        lj[i, j] = lj[j, i] = row[2:]
    constants = [float(v) for v in words.get("PHYSICALCONSTANTS", [])]
    exclusions, one_fours = _partners(words.get("SOLUTEATOM", ["0"]))
    return {
        "title": "\n".join(blocks.get("TITLE", [])),
        "constants": dict(zip(("four_pi_eps_i", "hbar", "speed_of_light", "boltzmann"), constants, strict=False)),
        "type_names": names,
        "lj": lj,
        "bond_types": table("BONDSTRETCHTYPE", 3),
        "angle_types": table("BONDANGLEBENDTYPE", 3),
        "improper_types": table("IMPDIHEDRALTYPE", 2),
        "dihedral_types": table("TORSDIHEDRALTYPE", 3),
        "exclusions": exclusions,
        "one_fours": one_fours,
        "constraints": table("CONSTRAINT", 3).astype(np.int32),
        "solvent_constraints": table("SOLVENTCONSTR", 3),
    }


def _blocks(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.splitlines():
        word = line.split("#")[0].strip()
        if current is None:
            if word:
                current = found.setdefault(word, [])
        elif word == "END":
            current = None
        else:
            current.append(line)
    return found


def _partners(words: list[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    lists: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    at = 1
    for i in range(int(words[0])):
        at += 7
        for pairs in lists:
            count = int(words[at])
            pairs += [(i, int(w) - 1) for w in words[at + 1 : at + 1 + count]]
            at += 1 + count
    return tuple(np.array(pairs, np.int32).reshape(-1, 2) for pairs in lists)  # type: ignore[return-value]

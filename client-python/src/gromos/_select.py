"""Atoms by GROMOS atom specifiers.

    selection  = item { ";" item }                 (blanks separate too)
    item       = molecules ":" atoms | "all" | "none" | "not(" selection ")" | "minus(" selection ")"
    molecules  = "a" | "s" | number list           all of the solute, the solvent, or solute molecules by number
    atoms      = "a" | list of numbers, ranges and names | "res(" residues ":" atoms ")"
    residues   = list of numbers, ranges and names

Lists are separated by commas, ranges are written 3-7; everything counts from 1: atoms within their molecule (those of the solvent
through all its molecules), residues within their molecule. Names may hold ``*`` and ``?``. `not` leaves atoms out of everything,
wherever it stands in the selection and whatever names them; `minus` takes away what has been chosen so far.

Source: GROMOS manual, volume 5 (program library manual), atom specifiers. Of it, virtual atoms (va), files (file) and parameters in
expressions are not done here.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ._errors import IndexRangeError, InvalidArgumentError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from ._topology import Topology

__all__ = ["select"]

Mask = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]


def select(specifier: str, topology: Topology) -> IntArray:
    """Atoms by a GROMOS atom specifier.

    Parameters
    ----------
    specifier : str
        ``1:1-5`` atoms 1 to 5 of molecule 1; ``1:CA,C`` by name; ``a:CA`` in all molecules of the solute; ``1,3:res(5:CA)`` of residue
        5 in molecules 1 and 3; ``1:res(ALA:a)`` all atoms of residues named ALA; ``s:OW`` in the solvent; ``a:a`` the solute;
        ``s:a`` the solvent; ``all``; ``not(...)``, ``minus(...)``; several separated by ``;``. Counted from 1, as GROMOS does. Names may
        hold ``*`` and ``?``. A name after ``a:`` that no solute atom has is looked for in the solvent (``a:OW`` in a box of water).
    topology : Topology or System

    Returns
    -------
    numpy.ndarray of int32, (k,)
        Indices from 0, ascending, each once: what the methods of a State take as `atoms`.

    Raises
    ------
    InvalidArgumentError
        The specifier makes no sense; the message shows where.
    NotFoundError
        A name that no atom or residue there has.
    IndexRangeError
        A number that is not there.
    UnsupportedError
        Virtual atoms, files.

    Examples
    --------
    >>> import gromos
    >>> t = gromos.Topology([15.999, 1.008, 1.008] * 2, names=["OW", "HW1", "HW2"] * 2, molecules=[0, 3, 6])
    >>> gromos.select("a:OW", t)
    array([0, 3], dtype=int32)
    >>> gromos.select("2:1-2; 1:HW*", t)
    array([1, 2, 3, 4], dtype=int32)
    """
    found = getattr(topology, "topology", topology)
    if not isinstance(specifier, str):
        raise InvalidArgumentError(f"a selection must be text, not {type(specifier).__name__}")
    chosen, never = _Selector(found, specifier).selection(specifier)
    return np.flatnonzero(chosen & ~never).astype(np.int32)


class _Selector:
    """Evaluates one specifier on one topology."""

    def __init__(self, topology: Topology, whole: str) -> None:
        self.top = topology
        self.whole = whole
        self.n = topology.num_atoms()
        self.solute = topology.num_solute_atoms()
        self.names = np.array(topology.names, dtype=np.str_) if self.n else np.zeros(0, np.str_)
        self.starts = topology.molecules[topology.molecules <= self.solute]

    def wrong(self, text: str, why: str) -> InvalidArgumentError:
        where = "" if text == self.whole else f" (in {self.whole!r})"
        return InvalidArgumentError(f"atom specifier {text!r}{where}: {why}")

    # --- selections ------------------------------------------------------------------------------------------------

    def selection(self, text: str) -> tuple[Mask, Mask]:
        """What it chooses, and what its `not`s forbid."""
        chosen, never = np.zeros(self.n, bool), np.zeros(self.n, bool)
        items = list(self.items(text))
        if not items:
            raise self.wrong(text, "it is empty; `none` chooses nothing")
        for item in items:
            call = re.fullmatch(r"(\w+)\((.*)\)", item, re.DOTALL)
            if call and call[1] in ("not", "minus"):
                inside = self.inner(call[2])
                if call[1] == "not":
                    never |= inside
                else:
                    chosen &= ~inside
            elif call and call[1] in ("va", "file"):
                raise UnsupportedError(f"atom specifier {item!r}: {'virtual atoms' if call[1] == 'va' else 'files'} are not available here")
            elif item.lower() == "all":
                chosen[:] = True
            elif item.lower() not in ("none", "no"):
                chosen |= self.item(item)
        return chosen, never

    def inner(self, text: str) -> Mask:
        chosen, never = self.selection(text)
        return chosen & ~never

    def items(self, text: str) -> Iterator[str]:
        """The parts between semicolons or blanks outside parentheses."""
        depth, start = 0, 0
        text = re.sub(r"\s*([:,()-])\s*", r"\1", text)
        text = re.sub(r"\)(?=[\w*?])", ") ", text)
        for at, character in enumerate(text + ";"):
            depth += {"(": 1, ")": -1}.get(character, 0)
            if depth < 0:
                raise self.wrong(text, f"a ')' too many at character {at + 1}")
            if depth == 0 and (character == ";" or character.isspace()):
                if part := text[start:at].strip():
                    yield part
                start = at + 1
        if depth:
            raise self.wrong(text, "a ')' is missing")

    def item(self, text: str) -> Mask:
        molecules, colon, atoms = text.partition(":")
        if not colon or not molecules or not atoms:
            raise self.wrong(text, "expected MOLECULES:ATOMS, as in 1:CA, a:1-5 or s:OW")
        if molecules == "s":
            return self.solvent(text, atoms)
        if molecules == "a":
            numbers = list(range(len(self.starts) - 1))
        else:
            count = len(self.starts) - 1
            numbers = [k for part in molecules.split(",") for k in self.range(text, part, count, "molecule")]
        return self.within(text, atoms, [(int(self.starts[m]), int(self.starts[m + 1])) for m in numbers], anywhere=molecules == "a")

    def within(self, text: str, atoms: str, spans: list[tuple[int, int]], anywhere: bool) -> Mask:
        """Atoms of each of some molecules; a number or name must be found in one of them at least."""
        call = re.fullmatch(r"res\((.*)\)", atoms)
        residues = None
        if call:
            residues, colon, atoms = call[1].partition(":")
            if not colon or not residues or not atoms:
                raise self.wrong(text, "expected res(RESIDUES:ATOMS), as in 1:res(5:CA)")
        elif "(" in atoms:
            raise self.wrong(text, "only res(...) has parentheses here")
        mask = np.zeros(self.n, bool)
        for part in atoms.split(","):
            mask |= self.part(text, part, spans, residues, anywhere)
        return mask

    def part(self, text: str, part: str, spans: list[tuple[int, int]], residues: str | None, anywhere: bool) -> Mask:
        mask = np.zeros(self.n, bool)
        groups = [self.residue_atoms(text, residues, a, b) for a, b in spans] if residues else [np.arange(a, b) for a, b in spans]
        if residues and not any(len(group) for group in groups):
            raise NotFoundError(f"atom specifier {text!r}: no residue {residues} there")
        limits = [len(group) for group in groups]
        if part == "a":
            for group in groups:
                mask[group] = True
        elif _numeric(part):
            for group in groups:
                mask[group[self.range(text, part, max(limits, default=0), "atom", len(group))]] = True
        else:
            self.named(text, part, groups, mask)
            if not mask.any() and anywhere and not residues:
                self.named(text, part, [np.arange(self.solute, self.n)], mask)
            if not mask.any():
                raise NotFoundError(f"atom specifier {text!r}: no atom named {part} there{self.there(groups)}")
        return mask

    def solvent(self, text: str, atoms: str) -> Mask:
        if self.n == self.solute:
            raise NotFoundError(f"atom specifier {text!r}: there is no solvent")
        return self.within(text, atoms, [(self.solute, self.n)], anywhere=False)

    # --- parts -------------------------------------------------------------------------------------------------------

    def named(self, text: str, pattern: str, groups: list[npt.NDArray[np.intp]], mask: Mask) -> None:
        if not re.fullmatch(r"[^\s:;,()]+", pattern):
            raise self.wrong(text, f"{pattern!r} is neither a number, a range nor a name")
        matches = _matcher(pattern)
        for group in groups:
            names, where = np.unique(self.names[group], return_inverse=True)
            mask[group] = np.array([matches(str(name)) for name in names], bool)[where] if len(names) else False

    def residue_atoms(self, text: str, residues: str, first: int, end: int) -> npt.NDArray[np.intp]:
        """Atoms of the molecule [first, end) that belong to the residues."""
        ids = self.top.residues[first:end]
        begins = np.concatenate([[True], np.diff(ids) != 0])
        number = np.cumsum(begins) - 1  # of each atom's residue within the molecule
        names = [self.top.residue_names[first + i] for i in np.flatnonzero(begins)]
        wanted = np.zeros(len(names), bool)
        for part in residues.split(","):
            if part == "a":
                wanted[:] = True
            elif _numeric(part):
                wanted[self.range(text, part, self.most_residues(), "residue", len(names))] = True
            else:
                wanted |= np.array([_matcher(part)(name) for name in names], bool)
        return first + np.flatnonzero(wanted[number])

    def most_residues(self) -> int:
        per = (len(np.unique(self.top.residues[a:b])) for a, b in zip(self.starts[:-1], self.starts[1:], strict=True))
        return max([*per, self.top.num_solvent_molecules])

    def range(self, text: str, part: str, limit: int, what: str, available: int | None = None) -> list[int]:
        """Indices from 0 of a number or a range counted from 1; those beyond `available` left out."""
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
        if not match:
            raise self.wrong(text, f"{part!r} is no {what} number and no range of them")
        low, high = int(match[1]), int(match[2] or match[1])
        if low < 1 or high > limit:
            raise IndexRangeError(f"atom specifier {text!r}: {what} {low if low < 1 else high} does not exist; there are {limit}, counted from 1")
        if high < low:
            raise self.wrong(text, f"the range {part} runs backwards")
        return list(range(low - 1, min(high, limit if available is None else available)))

    def there(self, groups: list[npt.NDArray[np.intp]]) -> str:
        names = sorted({str(n) for group in groups for n in np.unique(self.names[group])} - {""})
        return f" (there are {', '.join(names[:12])}{', ...' if len(names) > 12 else ''})" if names else " (the atoms have no names)"


def _numeric(part: str) -> bool:
    return re.fullmatch(r"\d+(-\d+)?", part) is not None


def _matcher(pattern: str) -> Callable[[str], bool]:
    """Compares a name; only * and ? are special, and case counts."""
    compiled = re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
    return lambda name: compiled.match(name) is not None

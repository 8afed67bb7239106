"""Topology: what atoms there are, how they are connected and what acts between them; from GROMOS files or from arrays."""

from __future__ import annotations

import collections
import gzip
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt

from . import _select, _topology_text, _wire
from ._errors import FileAccessError, InvalidArgumentError, NotFoundError, ShapeError
from ._files import checked_text, read_bytes
from ._frames import checked_array
from ._session import Session, chosen_session

if TYPE_CHECKING:
    from ._state import State

__all__ = ["Solvent", "Topology"]

IntArray = npt.NDArray[np.int32]
RealArray = npt.NDArray[np.float64]

CONSTANTS: Final[Mapping[str, float]] = {"four_pi_eps_i": 138.9354, "hbar": 0.0635078, "speed_of_light": 299792.458, "boltzmann": 0.00831441}
"""1/(4 pi eps0) in kJ mol^-1 nm e^-2, hbar in kJ mol^-1 ps, c in nm/ps, k_B in kJ mol^-1 K^-1: those of GROMOS force fields."""

T = TypeVar("T")
Greeting = dict[str, Any]
"""What the daemon said to hello: another object after each reconnect, when the numbers of before are worth nothing."""

_forgotten: weakref.WeakKeyDictionary[Session, collections.deque[tuple[Greeting, int]]] = weakref.WeakKeyDictionary()
"""Topologies that are gone here and wait to be given back to the daemon."""


class Solvent:
    """One molecule of a solvent whose inner distances are rigid.

    Parameters
    ----------
    names : sequence of str
        Of its atoms.
    types : array_like of int, (k,)
        Atom types, into the topology's `type_names` and `lj`.
    masses : array_like, (k,)
        u.
    charges : array_like, (k,)
        e.
    constraints : array_like of int, (c, 2), optional
        Pairs of atoms whose distance is kept.
    lengths : array_like, (c,), optional
        nm.

    Examples
    --------
    >>> import gromos
    >>> gromos.Solvent.spc(oxygen=0, hydrogen=1).lengths
    array([0.1       , 0.1       , 0.1632993])
    """

    def __init__(
        self,
        names: Sequence[str],
        types: npt.ArrayLike,
        masses: npt.ArrayLike,
        charges: npt.ArrayLike,
        constraints: npt.ArrayLike | None = None,
        lengths: npt.ArrayLike | None = None,
    ) -> None:
        count = len(names)
        self.names = tuple(str(name) for name in names)
        self.types = _indices("types", types, (count,))
        self.masses = _reals("masses", masses, (count,))
        self.charges = _reals("charges", charges, (count,))
        pairs = _wire.array("constraints", np.zeros((0, 2), np.int32) if constraints is None else constraints, "int", "(m, 2)")
        if pairs.size and (pairs.min() < 0 or pairs.max() >= count):
            raise InvalidArgumentError(f"'constraints' holds atom {pairs.max()}; the molecule has {count}, counted from 0")
        self.constraints = _frozen(pairs.astype(np.int32))
        self.lengths = _reals("lengths", np.zeros(0) if lengths is None else lengths, (len(pairs),))
        if (self.masses <= 0).any():
            raise InvalidArgumentError("'masses' of the solvent must be above zero")

    @classmethod
    def spc(cls, oxygen: int, hydrogen: int) -> Self:
        """SPC water (Berendsen et al. 1981), with the numbers of its two atom types."""
        return cls(
            ("OW", "HW1", "HW2"), (oxygen, hydrogen, hydrogen), (15.9994, 1.008, 1.008), (-0.82, 0.41, 0.41),
            ((0, 1), (0, 2), (1, 2)), (0.1, 0.1, 0.1632993),
        )  # fmt: skip

    def num_atoms(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"<gromos.Solvent {' '.join(self.names)}>"


class Topology:
    """What atoms there are, how they are connected and what acts between them, as arrays.

    All indices count from 0. With its parameters (`types`, `lj`, `bond_types`, ...) a topology can be run; without them it still
    tells a State its masses and molecules.

    Parameters
    ----------
    masses : array_like, (n,)
        u, above zero.
    charges : array_like, (n,), optional
        e; zero if left out.
    names, residue_names : sequence of str, optional
        Of each atom, and of each atom's residue.
    residues : array_like of int, (n,), optional
        Number of each atom's residue.
    types : array_like of int, (n,), optional
        Atom type of each atom; 0 if left out.
    type_names : sequence of str, optional
    lj : array_like, (t, t, 2) or (t, t, 4), optional
        Lennard-Jones parameters of pairs of types: C12 (kJ mol^-1 nm^12), C6 (kJ mol^-1 nm^6), and the same for third neighbours
        (the normal ones if left out). Symmetric. Zero if left out.
    bonds, angles, dihedrals, impropers : array_like of int, (m, 2), (m, 3), (m, 4), (m, 4), optional
    bond_type, angle_type, dihedral_type, improper_type : array_like of int, (m,), optional
        Row of each term in the tables that follow; 0 if left out.
    bond_types : array_like, (k, 3), optional
        Quartic force constant (kJ mol^-1 nm^-4), harmonic one (kJ mol^-1 nm^-2), length (nm).
    constraints : array_like of int, (m, 2), optional
        Distances that are rigid besides the bonds that are (block CONSTRAINT): with the constraints "specified" these alone, with
        "hydrogen" and "all" these too.
    constraint_type : array_like of int, (m,), optional
        Row of each in `bond_types`, for its length; 0 if left out.
    angle_types : array_like, (k, 3), optional
        Force constant in the cosine (kJ mol^-1), in the angle (kJ mol^-1 deg^-2), angle (deg).
    dihedral_types : array_like, (k, 3), optional
        Force constant (kJ mol^-1), phase (deg), multiplicity.
    improper_types : array_like, (k, 2), optional
        Force constant (kJ mol^-1 deg^-2), angle (deg).
    exclusions, one_fours : array_like of int, (m, 2), optional
        Pairs of atoms without non-bonded interaction, and third neighbours with their own. Left out, they follow from the bonds
        and constraints: first and second neighbours are excluded.
    charge_groups : array_like of int, (k + 1,), optional
        First atom of each charge group, then the number of atoms. Left out: one for each residue of a molecule.
    molecules : array_like of int, (k + 1,), optional
        First atom of each molecule, then the number of atoms. If left out: atoms connected by bonds and constraints, where these
        stand together.
    solvent : Solvent, optional
        Repeated behind the atoms above, the solute, `num_solvent_molecules` times.
    num_solvent_molecules : int
        A System sets it so that its State's atoms are covered.
    title : str
    constants : mapping, optional
        In place of values of `gromos.Topology.constants`.

    Raises
    ------
    ShapeError, DTypeError, NotFiniteError, InvalidArgumentError

    Examples
    --------
    >>> import gromos
    >>> water = gromos.Topology([15.999, 1.008, 1.008] * 2, bonds=[[0, 1], [0, 2], [3, 4], [3, 5]])
    >>> water.num_atoms(), water.num_bonds(), water.num_molecules()
    (6, 4, 2)
    """

    def __init__(
        self,
        masses: npt.ArrayLike = (),
        charges: npt.ArrayLike | None = None,
        *,
        names: Sequence[str] | None = None,
        residue_names: Sequence[str] | None = None,
        residues: npt.ArrayLike | None = None,
        types: npt.ArrayLike | None = None,
        type_names: Sequence[str] | None = None,
        lj: npt.ArrayLike | None = None,
        bonds: npt.ArrayLike | None = None,
        bond_type: npt.ArrayLike | None = None,
        bond_types: npt.ArrayLike | None = None,
        constraints: npt.ArrayLike | None = None,
        constraint_type: npt.ArrayLike | None = None,
        angles: npt.ArrayLike | None = None,
        angle_type: npt.ArrayLike | None = None,
        angle_types: npt.ArrayLike | None = None,
        dihedrals: npt.ArrayLike | None = None,
        dihedral_type: npt.ArrayLike | None = None,
        dihedral_types: npt.ArrayLike | None = None,
        impropers: npt.ArrayLike | None = None,
        improper_type: npt.ArrayLike | None = None,
        improper_types: npt.ArrayLike | None = None,
        exclusions: npt.ArrayLike | None = None,
        one_fours: npt.ArrayLike | None = None,
        charge_groups: npt.ArrayLike | None = None,
        molecules: npt.ArrayLike | None = None,
        solvent: Solvent | None = None,
        num_solvent_molecules: int = 0,
        title: str = "",
        constants: Mapping[str, float] | None = None,
    ) -> None:
        count = np.size(masses) if np.ndim(masses) == 1 else 0
        self._n = count
        self._text: str | None = None
        self._numbers: weakref.WeakKeyDictionary[Session, tuple[Greeting, int]] = weakref.WeakKeyDictionary()
        self.title = title
        self.constants = {**CONSTANTS, **(constants or {})}
        if unknown := set(self.constants) - set(CONSTANTS):
            raise InvalidArgumentError(f"'constants' has no {sorted(unknown)[0]!r}; there are {', '.join(CONSTANTS)}")
        self.masses = _reals("masses", masses, (count,))
        if count and not (self.masses > 0).all():
            where = int(np.flatnonzero(self.masses <= 0)[0])
            raise InvalidArgumentError(f"'masses' holds {self.masses[where]} for atom {where}; every mass must be above zero")
        self.charges = _reals("charges", np.zeros(count) if charges is None else charges, (count,))
        self.names = _strings("names", names, count)
        self.residue_names = _strings("residue_names", residue_names, count)
        self.residues = _indices("residues", np.zeros(count, np.int32) if residues is None else residues, (count,))
        self.types = _indices("types", np.zeros(count, np.int32) if types is None else types, (count,))
        self._interactions(type_names, lj, solvent)
        self.bonds, self.bond_type, self.bond_types = self._term("bond", bonds, bond_type, bond_types, 2, 3)
        self.constraints, self.constraint_type = self._rows("constraint", constraints, constraint_type, 2, "bond_types", self.bond_types)
        self.angles, self.angle_type, self.angle_types = self._term("angle", angles, angle_type, angle_types, 3, 3)
        self.dihedrals, self.dihedral_type, self.dihedral_types = self._term("dihedral", dihedrals, dihedral_type, dihedral_types, 4, 3)
        self.impropers, self.improper_type, self.improper_types = self._term("improper", impropers, improper_type, improper_types, 4, 2)
        self._exclusions = None if exclusions is None else self._pairs("exclusions", exclusions)
        self._one_fours = None if one_fours is None else self._pairs("one_fours", one_fours)
        self.molecules = self._molecules(molecules)
        self.charge_groups = self._charge_groups(charge_groups)
        self.solvent = solvent
        self.num_solvent_molecules = 0
        if num_solvent_molecules:
            self._expand(num_solvent_molecules)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, num_solvent_molecules: int = 0, session: Session | None = None) -> Self:
        """Read a GROMOS topology (.top, .topo, also gzipped); the daemon reads and checks it.

        Parameters
        ----------
        path : path
        num_solvent_molecules : int
            Of the topology's solvent; a System sets it by itself.
        session : Session, optional

        Raises
        ------
        FileAccessError
        FileFormatError
            The message names line and block; `detail["faults"]` lists all faults of the file.

        Examples
        --------
        >>> import gromos
        >>> from pathlib import Path
        >>> t = gromos.Topology.from_file(Path(gromos.__file__).parent / "data" / "alanine.top")
        >>> t.num_atoms(), t.num_bonds(), t.names[:3]
        (12, 11, ('CA', 'C', 'O'))
        """
        data = read_bytes(path)
        return cls._from_bytes(data, os.path.basename(os.fspath(path)), num_solvent_molecules, session)

    @classmethod
    def from_text(cls, text: str, *, num_solvent_molecules: int = 0, session: Session | None = None) -> Self:
        """As `from_file`, from the text of such a file."""
        return cls._from_bytes(checked_text(text), "topology", num_solvent_molecules, session)

    @classmethod
    def _from_bytes(cls, data: bytes, name: str, num_solvent_molecules: int, session: Session | None) -> Self:
        session = chosen_session(session)
        made = session.commands.topology_create(data=np.frombuffer(data, np.uint8), name=name)
        got = session.commands.topology_get(topology=made.topology, num_solvent_molecules=1 if made.num_solvent_atoms else 0)
        text = data.decode("utf-8", errors="replace")
        n, arrays = made.num_atoms, got.arrays
        tables = _topology_text.read_tables(text)
        solvent = None
        if made.num_solvent_atoms:
            constraints = tables["solvent_constraints"]
            solvent = Solvent(
                got.atom_names[n:], arrays["types"][n:], arrays["masses"][n:], arrays["charges"][n:],
                constraints[:, :2].astype(np.int32) - 1, constraints[:, 2],
            )  # fmt: skip
        residues = arrays["residues"][:n]
        self = cls(
            arrays["masses"][:n],
            arrays["charges"][:n],
            names=got.atom_names[:n],
            residue_names=[got.residue_names[r] for r in residues],
            residues=residues,
            types=arrays["types"][:n],
            type_names=tables["type_names"],
            lj=tables["lj"],
            **{f"{term}s": arrays[f"{term}s"][:, :-1] for term in ("bond", "angle", "dihedral", "improper")},
            **{f"{term}_type": arrays[f"{term}s"][:, -1] for term in ("bond", "angle", "dihedral", "improper")},
            **{f"{term}_types": tables[f"{term}_types"] for term in ("bond", "angle", "dihedral", "improper")},
            constraints=tables["constraints"][:, :2] - 1,
            constraint_type=tables["constraints"][:, 2] - 1,
            exclusions=tables["exclusions"],
            one_fours=tables["one_fours"],
            molecules=_within(arrays["molecules"], n),
            charge_groups=_within(arrays["charge_groups"], n),
            solvent=solvent,
            num_solvent_molecules=num_solvent_molecules,
            title=tables["title"],
            constants=tables["constants"],
        )
        self._text = text
        self._remember(session, made.topology)
        return self

    # --- what there is -------------------------------------------------------------------------------------------

    def num_atoms(self) -> int:
        """Of solute and solvent."""
        return len(self.masses)

    def num_solute_atoms(self) -> int:
        return self._n

    def num_bonds(self) -> int:
        return len(self.bonds)

    def num_angles(self) -> int:
        return len(self.angles)

    def num_dihedrals(self) -> int:
        """Proper dihedrals."""
        return len(self.dihedrals)

    def num_impropers(self) -> int:
        return len(self.impropers)

    def num_molecules(self) -> int:
        return max(0, len(self.molecules) - 1)

    @property
    def atom_names(self) -> tuple[str, ...]:
        """The same as `names`."""
        return self.names

    @property
    def exclusions(self) -> IntArray:
        """Pairs of solute atoms without non-bonded interaction, (m, 2), the lower atom first; one_fours are not among them."""
        if self._exclusions is None:
            self._exclusions = _frozen(self._neighbours()[0])
        return self._exclusions

    @property
    def one_fours(self) -> IntArray:
        """Pairs of third neighbours, (m, 2)."""
        if self._one_fours is None:
            given = {tuple(pair) for pair in self.exclusions.tolist()}
            pairs = [pair for pair in self._neighbours()[1].tolist() if tuple(pair) not in given]
            self._one_fours = _frozen(np.array(pairs, np.int32).reshape(-1, 2))
        return self._one_fours

    def total_mass(self) -> float:
        """u"""
        return float(self.masses.sum())

    def total_charge(self) -> float:
        """e"""
        return float(self.charges.sum())

    def select(self, specifier: str) -> IntArray:
        """Atoms by a GROMOS atom specifier; see `gromos.select`."""
        return _select.select(specifier, self)

    def with_solvent(self, num_solvent_molecules: int) -> Topology:
        """The same with so many solvent molecules behind the solute.

        Raises
        ------
        InvalidArgumentError
            The topology describes no solvent.
        """
        copy = self.__class__.__new__(self.__class__)
        copy.__dict__.update(self.__dict__)
        for name in ("masses", "charges", "types", "residues", "names", "residue_names"):
            setattr(copy, name, getattr(self, name)[: self._n])
        copy.molecules, copy.charge_groups = _within(self.molecules, self._n), _within(self.charge_groups, self._n)
        copy.num_solvent_molecules = 0
        copy._expand(num_solvent_molecules)
        return copy

    def for_atoms(self, num_atoms: int) -> Topology:
        """The same with as many solvent molecules as make so many atoms.

        Raises
        ------
        ShapeError
            No whole number of solvent molecules does.
        """
        if num_atoms == self.num_atoms():
            return self
        per = self.solvent.num_atoms() if self.solvent is not None else 0
        if per == 0:
            raise ShapeError(f"the topology has {self.num_atoms()} atoms, the State {num_atoms}")
        count, rest = divmod(num_atoms - self._n, per)
        if rest or count < 0:
            raise ShapeError(
                f"the topology has {self._n} solute atoms and {per} in each solvent molecule; no number of those makes the State's {num_atoms}"
            )
        return self.with_solvent(count)

    def apply(self, state: State) -> None:
        """Tell a State its masses and molecules.

        Raises
        ------
        ShapeError
            The State has another number of atoms.
        """
        if state.num_atoms() != self.num_atoms():
            raise ShapeError(f"the topology has {self.num_atoms()} atoms, the State {state.num_atoms()}")
        if self._text is not None:
            # What the State's file brought along for a run (lattice shifts, averages, ...) stays valid this way.
            commands = state.session.commands
            self._use(state.session, lambda number: commands.topology_apply(state.uuid, topology=number))
            return
        if not state.describe().masses or not np.array_equal(state.masses(), self.masses):
            state.set_masses(self.masses)  # only then: a run goes on where the last one ended if nothing was changed since
        state.set_molecules(self.molecules)

    # --- as a file -----------------------------------------------------------------------------------------------

    def to_text(self) -> str:
        """The topology as a GROMOS topology file: the file it was read from, else written from its arrays.

        Raises
        ------
        InvalidArgumentError
            A term has no parameters.
        """
        return self._text if self._text is not None else _topology_text.render(self)

    def to_file(self, path: str | os.PathLike[str]) -> None:
        """Write `to_text` to a file, gzipped if its name ends in .gz.

        Raises
        ------
        FileAccessError, InvalidArgumentError
        """
        data = self.to_text().encode()
        try:
            Path(path).expanduser().write_bytes(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)
        except OSError as error:
            raise FileAccessError(f"{os.fspath(path)} cannot be written: {error.strerror}") from None

    def _use(self, session: Session, call: Callable[[int], T]) -> T:
        """Call with the topology's number at the daemon; once more when it turns out that the daemon was replaced meanwhile."""
        try:
            return call(self._number(session))
        except NotFoundError as error:
            if "topology" not in error.message:
                raise
        self._numbers.pop(session, None)
        return call(self._number(session))

    def _number(self, session: Session) -> int:
        """The topology's number at the daemon; sent there first if need be."""
        _release(session)
        known = self._numbers.get(session)
        if known is not None and known[0] is session._hello():
            return known[1]
        data = np.frombuffer(self.to_text().encode(), np.uint8)
        made = session.commands.topology_create(data=data, name=self.title.splitlines()[0] if self.title else "topology")
        self._remember(session, made.topology)
        return made.topology

    def _remember(self, session: Session, number: int) -> None:
        entry = (session._hello(), number)
        self._numbers[session] = entry
        waiting = _forgotten.setdefault(session, collections.deque())
        # Copies with other numbers of solvent molecules share the table: it is what must be gone.
        weakref.finalize(self._numbers, waiting.append, entry).atexit = False

    # --- making it -----------------------------------------------------------------------------------------------

    def _interactions(self, type_names: Sequence[str] | None, lj: npt.ArrayLike | None, solvent: Solvent | None) -> None:
        highest = max(self.types.max(initial=-1), -1 if solvent is None else solvent.types.max(initial=-1))
        if self.types.min(initial=0) < 0:
            raise InvalidArgumentError("'types' holds a negative number; atom types count from 0")
        count = int(highest) + 1
        if lj is not None:
            count = np.shape(lj)[0] if np.ndim(lj) == 3 else count
        elif type_names is not None:
            count = len(type_names)
        if highest >= count:
            raise InvalidArgumentError(f"'types' holds {highest}; 'lj' and 'type_names' have {count}, counted from 0")
        self.type_names = _strings("type_names", type_names if type_names is not None else [f"T{i + 1}" for i in range(count)], count, "types")
        if lj is None:
            self.lj = _frozen(np.zeros((count, count, 4)))
            return
        if np.ndim(lj) != 3 or np.shape(lj) not in ((count, count, 2), (count, count, 4)):
            raise ShapeError(f"'lj' has shape {np.shape(lj)}; it must be (t, t, 2) or (t, t, 4)")
        table = checked_array("lj", lj, np.shape(lj), np.dtype(np.float64))
        if not np.array_equal(table, table.transpose(1, 0, 2)):
            raise InvalidArgumentError("'lj' is not symmetric in the two types")
        self.lj = _frozen(np.concatenate([table, table], axis=2) if table.shape[2] == 2 else table)

    def _term(
        self, name: str, atoms: npt.ArrayLike | None, kind: npt.ArrayLike | None, table: npt.ArrayLike | None, width: int, columns: int
    ) -> tuple[IntArray, IntArray, RealArray]:
        rows = np.zeros((0, columns)) if table is None else np.asarray(table)
        types = _reals(f"{name}_types", rows if rows.size else np.zeros((0, columns)), (len(rows), columns))
        tuples, numbers = self._rows(name, atoms, kind, width, f"{name}_types", None if kind is None and table is None else types)
        return tuples, numbers, types

    def _rows(
        self, name: str, atoms: npt.ArrayLike | None, kind: npt.ArrayLike | None, width: int, table: str, types: RealArray | None
    ) -> tuple[IntArray, IntArray]:
        """Atoms of each term, and its row in a table; `types` None: there is none yet."""
        tuples = self._tuples(f"{name}s", atoms, width)
        numbers = _indices(f"{name}_type", np.zeros(len(tuples), np.int32) if kind is None else kind, (len(tuples),))
        if types is not None and (wrong := (numbers < 0) | (numbers >= len(types))).any():
            row = int(np.flatnonzero(wrong)[0])
            raise InvalidArgumentError(f"'{name}_type' holds {numbers[row]} in row {row}; '{table}' has {len(types)} rows, counted from 0")
        return tuples, numbers

    def _tuples(self, name: str, value: npt.ArrayLike | None, width: int) -> IntArray:
        array = _wire.array(name, np.zeros((0, width), np.int32) if value is None else value, "int", f"(m, {width})")
        outside = (array < 0) | (array >= self._n)
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise InvalidArgumentError(f"'{name}' holds atom {array[row, column]} in row {row}; there are {self._n} atoms, counted from 0")
        return _frozen(array.astype(np.int32))

    def _pairs(self, name: str, value: npt.ArrayLike) -> IntArray:
        pairs = np.sort(self._tuples(name, value, 2), axis=1)
        same = pairs[:, 0] == pairs[:, 1]
        if same.any():
            raise InvalidArgumentError(f"'{name}' pairs atom {pairs[same][0, 0]} with itself")
        return _frozen(np.unique(pairs, axis=0))

    def _neighbours(self) -> tuple[IntArray, IntArray]:
        """First and second neighbours along bonds and constraints as pairs, and third ones."""
        near: list[set[int]] = [set() for _ in range(self._n)]
        for a, b in [*self.bonds.tolist(), *self.constraints.tolist()]:
            near[a].add(b)
            near[b].add(a)
        close: set[tuple[int, int]] = set()
        third: set[tuple[int, int]] = set()
        for a in range(self._n):
            reached, shell = {a}, {a}
            for distance in (1, 2, 3):
                shell = {c for b in shell for c in near[b]} - reached
                reached |= shell
                (third if distance == 3 else close).update((a, b) for b in shell if b > a)
        return np.array(sorted(close), np.int32).reshape(-1, 2), np.array(sorted(third), np.int32).reshape(-1, 2)

    def _molecules(self, given: npt.ArrayLike | None) -> IntArray:
        n = self._n
        if given is not None:
            return _starts("molecules", given, n)
        # A molecule begins where nothing reaches across.
        crossing = np.zeros(n + 1, np.int64)
        links = np.concatenate([self.bonds, self.constraints])
        low, high = links.min(axis=1, initial=n), links.max(axis=1, initial=0)
        np.add.at(crossing, low + 1, 1)
        np.add.at(crossing, high + 1, -1)
        begins = np.flatnonzero(np.cumsum(crossing)[:n] == 0)
        return _frozen(np.append(begins, n).astype(np.int32))

    def _charge_groups(self, given: npt.ArrayLike | None) -> IntArray:
        if given is not None:
            return _starts("charge_groups", given, self._n)
        changes = np.flatnonzero(np.diff(self.residues)) + 1
        return _frozen(np.unique(np.concatenate([self.molecules, changes, [self._n]])).astype(np.int32))

    def _expand(self, count: int) -> None:
        """Put the solvent behind the solute."""
        count = _wire.integer("num_solvent_molecules", count)
        if count < 0:
            raise InvalidArgumentError(f"'num_solvent_molecules' is {count}; it must be at least 0")
        solvent = self.solvent
        if solvent is None:
            if count:
                raise InvalidArgumentError("the topology describes no solvent, so there can be no molecules of it")
            return
        per, first = solvent.num_atoms(), int(self.residues.max(initial=-1)) + 1
        self.masses = _frozen(np.concatenate([self.masses, np.tile(solvent.masses, count)]))
        self.charges = _frozen(np.concatenate([self.charges, np.tile(solvent.charges, count)]))
        self.types = _frozen(np.concatenate([self.types, np.tile(solvent.types, count)]))
        self.residues = _frozen(np.concatenate([self.residues, np.repeat(np.arange(first, first + count, dtype=np.int32), per)]))
        self.names = self.names + solvent.names * count
        self.residue_names = self.residue_names + ("SOLV",) * (per * count)
        starts = self._n + per * np.arange(1, count + 1, dtype=np.int32)
        self.molecules = _frozen(np.concatenate([self.molecules, starts]).astype(np.int32))
        self.charge_groups = _frozen(np.concatenate([self.charge_groups, starts]).astype(np.int32))
        self.num_solvent_molecules = count

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_numbers"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._numbers = weakref.WeakKeyDictionary()

    def __repr__(self) -> str:
        solvent = f", {self.num_solvent_molecules} of them of the solvent" if self.num_solvent_molecules else ""
        return (
            f"<gromos.Topology: {self.num_atoms()} atoms, {self.num_bonds()} bonds, {self.num_angles()} angles, "
            f"{self.num_dihedrals()} dihedrals, {self.num_molecules()} molecules{solvent}>"
        )


def _release(session: Session) -> None:
    """Give back the topologies nobody here has any more."""
    waiting = _forgotten.get(session)
    while waiting:
        try:
            owner, number = waiting.popleft()
        except IndexError:
            return
        if owner is session._hello():
            try:
                session.commands.topology_close(topology=number)
            except NotFoundError:
                pass


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _within(starts: IntArray, n: int) -> IntArray:
    """The starts of groups that lie in the first n atoms, closed with n."""
    return _frozen(np.asarray(starts)[np.asarray(starts) <= n].astype(np.int32))


def _starts(name: str, given: npt.ArrayLike, n: int) -> IntArray:
    starts = _wire.array(name, given, "int", "(k,)")
    if len(starts) < 1 or starts[0] != 0 or starts[-1] != n or (np.diff(starts) <= 0).any():
        raise InvalidArgumentError(f"'{name}' must ascend from 0 to the number of atoms, {n}")
    return _frozen(starts.astype(np.int32))


def _reals(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> RealArray:
    return _frozen(checked_array(name, value, shape, np.dtype(np.float64)))


def _indices(name: str, value: npt.ArrayLike, shape: tuple[int, ...]) -> IntArray:
    numbers = _wire.array(name, value, "int", "(n,)")
    if numbers.shape != shape:
        raise ShapeError(f"'{name}' has shape {numbers.shape}; it must be {shape}")
    return _frozen(numbers.astype(np.int32))


def _strings(name: str, values: Sequence[str] | None, count: int, what: str = "atoms") -> tuple[str, ...]:
    if values is None:
        return ("",) * count
    if len(values) != count:
        raise ShapeError(f"'{name}' has {len(values)} entries; there are {count} {what}")
    return tuple(str(value) for value in values)

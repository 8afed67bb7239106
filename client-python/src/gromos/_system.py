"""Configuration, Topology, System: what a simulation is made of."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from . import _wire
from ._energy import Energy
from ._errors import InvalidArgumentError, ShapeError, UnsupportedError
from ._files import load
from ._frames import checked_array
from ._session import Session
from ._state import State

__all__ = ["Configuration", "System", "Topology"]


class Configuration:
    """A State with its energies, as GROMOS keeps them together.

    Parameters
    ----------
    num_atoms : int
    num_temp_groups, num_energy_groups : int
    **options
        As for `State`.

    Examples
    --------
    >>> import gromos
    >>> c = gromos.Configuration(num_atoms=10, num_temp_groups=1, num_energy_groups=2)
    >>> c.current_state().num_atoms()
    10
    >>> c.current_energy().num_energy_groups
    2
    """

    __slots__ = ("_state",)

    def __init__(self, num_atoms: int, num_temp_groups: int = 1, num_energy_groups: int = 1, **options: Any) -> None:
        self._state = State(num_atoms, num_temp_groups, num_energy_groups, **options)

    @classmethod
    def from_state(cls, state: State) -> Self:
        """Around a State that exists."""
        self = cls.__new__(cls)
        self._state = state
        return self

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], **options: Any) -> Self:
        """From a file, as `gromos.load` reads it; same arguments."""
        return cls.from_state(load(path, **options))

    def current_state(self) -> State:
        """The State itself, not a copy."""
        return self._state

    def current_energy(self) -> Energy:
        """The State's energies: a live view."""
        return self._state.energies

    def num_atoms(self) -> int:
        return self._state.num_atoms()

    def __repr__(self) -> str:
        return f"<gromos.Configuration of {self._state!r}>"


class Topology:
    """What atoms there are and how they are connected, as arrays.

    Parameters
    ----------
    masses : array_like, (n,)
        u, above zero.
    charges : array_like, (n,), optional
        e; zero if left out.
    names : sequence of str, optional
        Names of the atoms.
    residue_names : sequence of str, optional
        Per atom.
    residues : array_like of int, (n,), optional
        Number of each atom's residue.
    bonds, angles, dihedrals, impropers : array_like of int, (m, 2), (m, 3), (m, 4), (m, 4), optional
    molecules : array_like of int, (k + 1,), optional
        First atom of each molecule, then the number of atoms. From the bonds if left out: atoms connected by bonds, where these
        stand together.

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
        bonds: npt.ArrayLike | None = None,
        angles: npt.ArrayLike | None = None,
        dihedrals: npt.ArrayLike | None = None,
        impropers: npt.ArrayLike | None = None,
        molecules: npt.ArrayLike | None = None,
    ) -> None:
        count = np.size(masses) if np.ndim(masses) == 1 else 0
        self.masses = _frozen(checked_array("masses", masses, (count,), np.dtype(np.float64)))
        if count and not (self.masses > 0).all():
            where = int(np.flatnonzero(self.masses <= 0)[0])
            raise InvalidArgumentError(f"'masses' holds {self.masses[where]} for atom {where}; every mass must be above zero")
        given = np.zeros(count) if charges is None else charges
        self.charges = _frozen(checked_array("charges", given, (count,), np.dtype(np.float64)))
        self.names = _strings("names", names, count)
        self.residue_names = _strings("residue_names", residue_names, count)
        numbers = np.zeros(count, np.int32) if residues is None else _wire.array("residues", residues, "int", "(n,)")
        if numbers.shape != (count,):
            raise ShapeError(f"'residues' has shape {numbers.shape}; it must be ({count},)")
        self.residues = _frozen(numbers.astype(np.int32))
        self.bonds = self._tuples("bonds", bonds, 2)
        self.angles = self._tuples("angles", angles, 3)
        self.dihedrals = self._tuples("dihedrals", dihedrals, 4)
        self.impropers = self._tuples("impropers", impropers, 4)
        self.molecules = self._molecules(molecules)

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Read a GROMOS topology.

        Raises
        ------
        UnsupportedError
            This version reads coordinates only.
        """
        raise UnsupportedError(
            f"{os.fspath(path)}: this version of gromos does not read topology files yet; build a Topology from arrays "
            "(gromos.Topology(masses, charges, bonds=...))"
        )

    def num_atoms(self) -> int:
        return len(self.masses)

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

    def total_mass(self) -> float:
        """u"""
        return float(self.masses.sum())

    def total_charge(self) -> float:
        """e"""
        return float(self.charges.sum())

    def apply(self, state: State) -> None:
        """Tell a State its masses and molecules.

        Raises
        ------
        ShapeError
            The State has another number of atoms.
        """
        if state.num_atoms() != self.num_atoms():
            raise ShapeError(f"the topology has {self.num_atoms()} atoms, the State {state.num_atoms()}")
        state.set_masses(self.masses)
        state.set_molecules(self.molecules)

    def _tuples(self, name: str, value: npt.ArrayLike | None, width: int) -> npt.NDArray[np.int32]:
        array = _wire.array(name, np.zeros((0, width), np.int32) if value is None else value, "int", f"(m, {width})")
        outside = (array < 0) | (array >= self.num_atoms())
        if outside.any():
            row, column = (int(i) for i in np.argwhere(outside)[0])
            raise InvalidArgumentError(
                f"'{name}' holds atom {array[row, column]} in row {row}; there are {self.num_atoms()} atoms, counted from 0"
            )
        return _frozen(array.astype(np.int32))

    def _molecules(self, given: npt.ArrayLike | None) -> npt.NDArray[np.int32]:
        n = self.num_atoms()
        if given is not None:
            starts = _wire.array("molecules", given, "int", "(k,)")
            if len(starts) < 1 or starts[0] != 0 or starts[-1] != n or (np.diff(starts) <= 0).any():
                raise InvalidArgumentError(f"'molecules' must ascend from 0 to the number of atoms, {n}")
            return _frozen(starts.astype(np.int32))
        # A molecule begins where no bond reaches across.
        crossing = np.zeros(n + 1, np.int64)
        low, high = self.bonds.min(axis=1, initial=n), self.bonds.max(axis=1, initial=0)
        np.add.at(crossing, low + 1, 1)
        np.add.at(crossing, high + 1, -1)
        begins = np.flatnonzero(np.cumsum(crossing)[:n] == 0)
        return _frozen(np.append(begins, n).astype(np.int32))

    def __repr__(self) -> str:
        return (
            f"<gromos.Topology: {self.num_atoms()} atoms, {self.num_bonds()} bonds, {self.num_angles()} angles, "
            f"{self.num_dihedrals()} dihedrals, {self.num_molecules()} molecules>"
        )


class System:
    """A topology and a configuration that belong together.

    Parameters
    ----------
    topology : Topology
    configuration : Configuration or State

    Raises
    ------
    ShapeError
        They have different numbers of atoms.
    """

    __slots__ = ("_configuration", "_topology")

    def __init__(self, topology: Topology, configuration: Configuration | State) -> None:
        if isinstance(configuration, State):
            configuration = Configuration.from_state(configuration)
        topology.apply(configuration.current_state())
        self._topology = topology
        self._configuration = configuration

    @classmethod
    def from_files(
        cls, topology: str | os.PathLike[str], configuration: str | os.PathLike[str], *, session: Session | None = None
    ) -> Self:
        """From a GROMOS topology and a configuration; raises UnsupportedError as `Topology.from_file` does."""
        return cls(Topology.from_file(topology), Configuration.from_file(configuration, session=session))

    @property
    def topology(self) -> Topology:
        return self._topology

    @property
    def configuration(self) -> Configuration:
        return self._configuration

    @property
    def state(self) -> State:
        return self._configuration.current_state()

    def num_atoms(self) -> int:
        return self._topology.num_atoms()

    def __repr__(self) -> str:
        return f"<gromos.System: {self._topology!r}, {self._configuration!r}>"


def _frozen(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    array = array.copy()
    array.flags.writeable = False
    return array


def _strings(name: str, values: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if values is None:
        return ("",) * count
    if len(values) != count:
        raise ShapeError(f"'{name}' has {len(values)} entries; there are {count} atoms")
    return tuple(str(value) for value in values)

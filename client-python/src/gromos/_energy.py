"""Energies: of a State, of a frame, or on their own."""

from __future__ import annotations

from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from . import _wire
from ._energy_base import Scalar
from ._energy_fields import EnergyFields
from ._errors import DTypeError, InvalidArgumentError, ShapeError

__all__ = ["BAR_PER_PRESSURE_UNIT", "Energy"]

BAR_PER_PRESSURE_UNIT: Final = 1e25 / 6.02214076e23
"""1 kJ mol^-1 nm^-3 in bar; Avogadro's number as the SI defines it."""

MAX_TEMPERATURE_GROUPS: Final = 1024
MAX_ENERGY_GROUPS: Final = 64


def _count(name: str, value: int, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise InvalidArgumentError(f"'{name}' must be an integer, not {type(value).__name__}")
    if not 1 <= value <= largest:
        raise InvalidArgumentError(f"'{name}' must be from 1 to {largest}, not {value}")
    return int(value)


class Energy(EnergyFields):
    """Energies by term, by temperature bath and by energy group, with temperatures, virial and pressure.

    All of it is one vector of float64, so an Energy can lie over the shared memory of a State and follow it. The vector holds what
    was stored; sums such as ``potential`` are stored too and do not follow by themselves when a term is assigned (see :meth:`sum_up`).

    Parameters
    ----------
    num_temperature_groups : int
        Temperature baths, 1 to 1024.
    num_energy_groups : int
        Energy groups, 1 to 64.

    Notes
    -----
    ``covalent = bond + angle + improper + dihedral + crossdihedral``; ``nonbonded = lj + coulomb``;
    ``potential = covalent + nonbonded``; ``special = constraint +`` all restraints; ``total() = kinetic + potential + special``.
    Units are kJ/mol, K, kJ mol^-1 nm^-3, nm^3; ``Energy.fields()`` has them all with their meaning.

    Examples
    --------
    >>> from gromos import Energy
    >>> e = Energy(1, 2)
    >>> e.bond, e.kinetic = 12.5, 100.0
    >>> e.pair_lj[0, 1] = -3.0
    >>> e.sum_up()
    >>> e.potential, e.total()
    (9.5, 109.5)
    >>> e.clear()
    >>> e.total()
    0.0
    """

    __slots__ = ()

    def __init__(self, num_temperature_groups: int = 1, num_energy_groups: int = 1) -> None:
        self._num_baths = _count("num_temperature_groups", num_temperature_groups, MAX_TEMPERATURE_GROUPS)
        self._num_groups = _count("num_energy_groups", num_energy_groups, MAX_ENERGY_GROUPS)
        self._array = np.zeros(self.length(self._num_baths, self._num_groups))

    @classmethod
    def from_array(cls, array: npt.NDArray[Any], num_temperature_groups: int, num_energy_groups: int) -> Self:
        """An Energy over an existing vector, without a copy; it follows the vector and is as writable as that is.

        Parameters
        ----------
        array : numpy.ndarray
            float64, shape ``(Energy.length(num_temperature_groups, num_energy_groups),)``.

        Raises
        ------
        ShapeError, DTypeError
            If the array is not such a vector.
        """
        baths = _count("num_temperature_groups", num_temperature_groups, MAX_TEMPERATURE_GROUPS)
        groups = _count("num_energy_groups", num_energy_groups, MAX_ENERGY_GROUPS)
        expected = (cls.length(baths, groups),)
        if not isinstance(array, np.ndarray) or array.dtype != np.float64:
            raise DTypeError(f"'array' must be a float64 array, not {getattr(array, 'dtype', type(array).__name__)}")
        if array.shape != expected:
            raise ShapeError(f"'array' must have shape {expected} for {baths} baths and {groups} energy groups, not {array.shape}")
        return cls._over(array, baths, groups)

    @classmethod
    def _over(cls, array: npt.NDArray[np.float64], baths: int, groups: int) -> Self:
        """from_array without its checks."""
        self = cls.__new__(cls)
        self._array, self._num_baths, self._num_groups = array, baths, groups
        return self

    @property
    def num_temperature_groups(self) -> int:
        """Number of temperature baths."""
        return self._num_baths

    @property
    def num_energy_groups(self) -> int:
        """Number of energy groups."""
        return self._num_groups

    @property
    def array(self) -> npt.NDArray[np.float64]:
        """The vector itself, all fields one after the other."""
        return self._array

    def total(self) -> float:
        """Kinetic + potential + special, kJ/mol."""
        return self.kinetic + self.potential + self.special

    def conserved(self) -> float:
        """What the equations of motion conserve: total() plus what baths have taken up since the run began, kJ/mol.

        Of a run of molecular dynamics it drifts and ripples as the total energy of an uncoupled run does, with every thermostat, the
        stochastic-cell barostat and the removal of overall motion. With stochastic dynamics it only says that the forces are those of
        the energy: what friction and random forces gave is what the kinetic energy gained beyond the forces' work. It is not exact
        for the Berendsen barostat unless that scales alike in all directions, nor for stochastic dynamics at constant pressure, for
        restraints to averages over time, and after an edit of the State.
        """
        return self.total() + self.reservoir

    @property
    def pressure_bar(self) -> float:
        """The pressure in bar.

        Examples
        --------
        >>> from gromos import Energy
        >>> e = Energy()
        >>> e.pressure = 0.06102
        >>> round(e.pressure_bar, 4)
        1.0133
        """
        return self.pressure * BAR_PER_PRESSURE_UNIT

    def pair(self, field: str, i: int, j: int) -> float:
        """The value of a pair field ("lj" or "coulomb") between energy groups i and j, in either order."""
        matrices = {"lj": self.pair_lj, "coulomb": self.pair_coulomb}
        if field not in matrices:
            raise InvalidArgumentError(f"'field' must be 'lj' or 'coulomb', not {field!r}")
        n = self._num_groups
        if not (0 <= i < n and 0 <= j < n):
            raise InvalidArgumentError(f"energy groups must be from 0 to {n - 1}, not {i} and {j}")
        return float(matrices[field][min(i, j), max(i, j)])

    def sum_up(self) -> None:
        """Compute every sum from what it is made of.

        A term for which any bath, group or pair value is not zero becomes the sum of those; otherwise it stays as it is. Then covalent,
        nonbonded, potential and special follow from the terms.
        """
        if self.bath_kinetic.any():
            self.kinetic = float(self.bath_kinetic.sum())
        for name in ("bond", "angle", "improper", "dihedral", "crossdihedral", *self._special_terms()):
            parts = getattr(self, f"group_{name}")
            if parts.any():
                setattr(self, name, float(parts.sum()))
        for name in ("lj", "coulomb"):
            parts = getattr(self, f"pair_{name}")
            if parts.any():
                setattr(self, name, float(parts.sum()))
        self.covalent = self.bond + self.angle + self.improper + self.dihedral + self.crossdihedral
        self.nonbonded = self.lj + self.coulomb
        self.potential = self.covalent + self.nonbonded
        self.special = sum(getattr(self, name) for name in self._special_terms())

    @classmethod
    def _special_terms(cls) -> list[str]:
        return ["constraint", *(name for name, field in cls.fields().items() if isinstance(field, Scalar) and name.endswith("_restraint"))]

    def to_dict(self, groups: bool = False) -> dict[str, Any]:
        """The scalars by name, with ``total``; with ``groups=True`` the tensors and the values per bath, group and pair too, as copies.

        Examples
        --------
        >>> from gromos import Energy
        >>> e = Energy(2, 1)
        >>> e.kinetic = 3.5
        >>> e.to_dict()["total"]
        3.5
        >>> e.to_dict(groups=True)["bath_kinetic"]
        array([0., 0.])
        """
        groups = _wire.flag("groups", groups)
        values: dict[str, Any] = {"total": self.total()}
        for name, field in self.fields().items():
            if isinstance(field, Scalar):
                values[name] = getattr(self, name)
            elif groups:
                values[name] = getattr(self, name).copy()
        return values

    def clear(self) -> None:
        """Set everything to zero."""
        self._array[...] = 0.0

    def copy(self) -> Self:
        """An Energy of its own with the values of now."""
        return self._over(self._array.copy(), self._num_baths, self._num_groups)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), self._array.copy(), self._num_baths, self._num_groups)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Energy):
            return NotImplemented
        same_groups = (self._num_baths, self._num_groups) == (other._num_baths, other._num_groups)
        return same_groups and bool(np.array_equal(self._array, other._array))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return (
            f"<Energy total={self.total():.6g} kinetic={self.kinetic:.6g} potential={self.potential:.6g} special={self.special:.6g} kJ/mol, "
            f"{self._num_baths} baths, {self._num_groups} energy groups>"
        )


def _restore(cls: type[Energy], array: npt.NDArray[np.float64], baths: int, groups: int) -> Energy:
    return cls._over(array, baths, groups)

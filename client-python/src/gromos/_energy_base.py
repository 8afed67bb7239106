"""How the fields of an energy vector are found in it. The fields themselves are in _energy_fields.py."""

from __future__ import annotations

from typing import Any, ClassVar, Self, overload

import numpy as np
import numpy.typing as npt

__all__ = ["EnergyBase", "Field", "PerBath", "PerGroup", "PerPair", "Scalar", "Tensor"]

Vector = npt.NDArray[np.float64]


class Field:
    """A field of the energy vector; on the class it describes itself, on an Energy it is the value.

    Attributes
    ----------
    name : str
        The attribute's name.
    unit : str
        "1" for a pure number.
    """

    name: str

    def __init__(self, index: int, unit: str, text: str) -> None:
        self.index = index
        self.unit = unit
        self.__doc__ = f"{text} ({unit})" if unit != "1" else text

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<energy field {self.name}: {self.__doc__}>"


class Scalar(Field):
    """One number."""

    @overload
    def __get__(self, energy: None, owner: type) -> Self: ...
    @overload
    def __get__(self, energy: EnergyBase, owner: type) -> float: ...
    def __get__(self, energy: EnergyBase | None, owner: type) -> Self | float:
        return self if energy is None else float(energy._array[self.index])

    def __set__(self, energy: EnergyBase, value: float) -> None:
        energy._array[self.index] = value


class ArrayField(Field):
    """Several numbers; a view into the vector, so that writing to it writes there."""

    def view(self, energy: EnergyBase) -> Vector:
        """The part of the vector this field is."""
        raise NotImplementedError

    @overload
    def __get__(self, energy: None, owner: type) -> Self: ...
    @overload
    def __get__(self, energy: EnergyBase, owner: type) -> Vector: ...
    def __get__(self, energy: EnergyBase | None, owner: type) -> Self | Vector:
        return self if energy is None else self.view(energy)

    def __set__(self, energy: EnergyBase, value: npt.ArrayLike) -> None:
        self.view(energy)[...] = value


class Tensor(ArrayField):
    """A 3x3 tensor."""

    def view(self, energy: EnergyBase) -> Vector:
        return energy._array[self.index : self.index + 9].reshape(3, 3)


class PerBath(ArrayField):
    """One number per temperature bath."""

    def view(self, energy: EnergyBase) -> Vector:
        n = energy._num_baths
        start = energy._head + self.index * n
        return energy._array[start : start + n]


class PerGroup(ArrayField):
    """One number per energy group."""

    def view(self, energy: EnergyBase) -> Vector:
        n = energy._num_groups
        start = energy._head + energy._counts[0] * energy._num_baths + self.index * n
        return energy._array[start : start + n]


class PerPair(ArrayField):
    """One number per pair of energy groups: (i, j) with i <= j; zero below the diagonal."""

    def view(self, energy: EnergyBase) -> Vector:
        n = energy._num_groups
        start = energy._head + energy._counts[0] * energy._num_baths + energy._counts[1] * n + self.index * n * n
        return energy._array[start : start + n * n].reshape(n, n)


class EnergyBase:
    """The vector and the numbers of groups."""

    __slots__ = ("_array", "_num_baths", "_num_groups")
    _array: Vector
    _num_baths: int
    _num_groups: int
    _head: ClassVar[int]
    _counts: ClassVar[tuple[int, int, int]]

    @classmethod
    def fields(cls) -> dict[str, Field]:
        """Every field by name, in the order of the vector.

        Examples
        --------
        >>> from gromos import Energy
        >>> Energy.fields()["pressure"].unit
        'kJ mol^-1 nm^-3'
        """
        found: dict[str, Any] = {}
        for klass in reversed(cls.__mro__):
            found.update({name: item for name, item in vars(klass).items() if isinstance(item, Field)})
        return found

    @classmethod
    def length(cls, num_temperature_groups: int, num_energy_groups: int) -> int:
        """How many numbers the vector has for so many groups."""
        baths, groups, pairs = cls._counts
        n = num_energy_groups
        return cls._head + baths * num_temperature_groups + groups * n + pairs * n * n

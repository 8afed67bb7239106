"""The periodic box: kind and edge vectors, in double precision."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from ._errors import DTypeError, InvalidArgumentError, NotFiniteError, ShapeError

__all__ = ["Box", "BoxDimensions", "BoxKind"]

Matrix = npt.NDArray[np.float64]


class BoxKind(enum.IntEnum):
    """Kinds of boxes, with the numbers they have in shared memory."""

    VACUUM = 0
    RECTANGULAR = 1
    TRICLINIC = 2
    TRUNCATED_OCTAHEDRON = 3


class BoxDimensions(NamedTuple):
    """Lengths of the three edges, nm."""

    a: float
    b: float
    c: float


class Box:
    """The periodic box of a system; a value that cannot be changed.

    Made by :meth:`vacuum`, :meth:`rectangular`, :meth:`triclinic`, :meth:`truncated_octahedron` or
    :meth:`from_lengths_and_angles`.

    Parameters
    ----------
    kind : BoxKind
        Or its number or name, such as ``"triclinic"``.
    vectors : array_like, shape (3, 3)
        The edge vectors a, b, c as rows, nm, right-handed. Rectangular boxes have a diagonal matrix, truncated octahedra the
        three equal edges of the cube they are cut from. Ignored for vacuum.

    Raises
    ------
    ShapeError, DTypeError, NotFiniteError, InvalidArgumentError
        If this is no box; the text says why. All but DTypeError (a TypeError) are ValueErrors too.

    Examples
    --------
    >>> from gromos import Box
    >>> box = Box.rectangular(3.0, 4.0, 5.0)
    >>> box.volume()
    60.0
    >>> box.dimensions()
    BoxDimensions(a=3.0, b=4.0, c=5.0)
    >>> box == Box.rectangular(3, 4, 5)
    True
    """

    __slots__ = ("_kind", "_vectors")
    _kind: BoxKind
    _vectors: Matrix

    def __init__(self, kind: BoxKind | int | str, vectors: npt.ArrayLike | None = None) -> None:
        checked_kind = _kind(kind)
        if checked_kind is BoxKind.VACUUM or vectors is None:
            matrix: Matrix = np.zeros((3, 3))
        else:
            matrix = _matrix(vectors)
        _check(checked_kind, matrix)
        self._fill(checked_kind, matrix)

    def _fill(self, kind: BoxKind, matrix: Matrix) -> None:
        matrix.flags.writeable = False
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_vectors", matrix)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Box cannot be changed; make another one (attribute {name!r})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a Box cannot be changed; make another one (attribute {name!r})")

    # --- making one

    @classmethod
    def vacuum(cls) -> Self:
        """No box: an isolated system."""
        return cls(BoxKind.VACUUM)

    @classmethod
    def rectangular(cls, a: float, b: float, c: float) -> Self:
        """A rectangular box with edges a, b, c along x, y, z, nm."""
        return cls(BoxKind.RECTANGULAR, np.diag(_numbers(a=a, b=b, c=c)))

    @classmethod
    def triclinic(cls, vectors: npt.ArrayLike) -> Self:
        """A triclinic box from its edge vectors.

        Parameters
        ----------
        vectors : Mat3 or array_like, shape (3, 3)
            Rows a, b, c, nm. A Mat3 holds float32; give an array where double precision matters.
        """
        return cls(BoxKind.TRICLINIC, vectors)

    @classmethod
    def truncated_octahedron(cls, a: float) -> Self:
        """A truncated octahedron cut from a cube of edge a, nm. Its volume is half the cube's."""
        return cls(BoxKind.TRUNCATED_OCTAHEDRON, np.diag(_numbers(a=a) * 3))

    @classmethod
    def from_lengths_and_angles(cls, lengths: Sequence[float], angles: Sequence[float] = (90.0, 90.0, 90.0)) -> Self:
        """A box from the lengths of its edges and the angles between them, a along x and b in the xy plane.

        Parameters
        ----------
        lengths : sequence of 3 floats
            a, b, c, nm. All zero: vacuum.
        angles : sequence of 3 floats
            alpha (between b and c), beta (a and c), gamma (a and b), degrees. All 90: rectangular.

        Examples
        --------
        >>> from gromos import Box
        >>> Box.from_lengths_and_angles((3, 3, 3), (90, 90, 60)).kind.name
        'TRICLINIC'
        """
        a, b, c = _three("lengths", lengths)
        alpha, beta, gamma = _three("angles", angles)
        if a == b == c == 0.0:
            return cls.vacuum()
        if alpha == beta == gamma == 90.0:
            return cls.rectangular(a, b, c)
        if not (0.0 < alpha < 180.0 and 0.0 < beta < 180.0 and 0.0 < gamma < 180.0):
            raise InvalidArgumentError(f"angles must lie between 0 and 180 degrees, not {alpha:g}, {beta:g}, {gamma:g}")
        ca, cb, cg, sg = _cos(alpha), _cos(beta), _cos(gamma), math.sin(math.radians(gamma))
        cy = (ca - cb * cg) / sg
        squared = 1.0 - cb * cb - cy * cy
        if squared <= 0.0:
            raise InvalidArgumentError(f"no cell has the angles {alpha:g}, {beta:g}, {gamma:g} degrees")
        return cls.triclinic([[a, 0.0, 0.0], [b * cg, b * sg, 0.0], [c * cb, c * cy, c * math.sqrt(squared)]])

    @classmethod
    def from_mdanalysis(cls, dimensions: npt.ArrayLike | None) -> Self:
        """A box from MDAnalysis dimensions ``[lx, ly, lz, alpha, beta, gamma]`` in Angstrom and degrees; None is vacuum."""
        if dimensions is None:
            return cls.vacuum()
        values = np.asarray(dimensions, dtype=np.float64)
        if values.shape != (6,):
            raise ShapeError(f"'dimensions' must have shape (6,), not {values.shape}")
        return cls.from_lengths_and_angles((values[:3] / 10.0).tolist(), values[3:].tolist())

    # --- what it is

    @property
    def kind(self) -> BoxKind:
        """Which kind of box this is."""
        return self._kind

    @property
    def vectors(self) -> Matrix:
        """Edge vectors a, b, c as rows, nm; float64, shape (3, 3), read-only; zero in vacuum."""
        return self._vectors

    @property
    def inverse(self) -> Matrix:
        """Inverse of :attr:`vectors`; zero in vacuum. ``positions @ box.inverse`` are fractional coordinates."""
        if self._kind is BoxKind.VACUUM:
            return np.zeros((3, 3))
        a, b, c = self._vectors
        columns = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
        return np.asarray(columns / self._determinant(), dtype=np.float64)

    def dimensions(self) -> BoxDimensions:
        """Lengths of the edges, nm; zero in vacuum, the cube's edge for a truncated octahedron."""
        a, b, c = np.sqrt((self._vectors**2).sum(axis=1)).tolist()
        return BoxDimensions(a, b, c)

    def angles(self) -> tuple[float, float, float]:
        """alpha (between b and c), beta (a and c), gamma (a and b), degrees; 90 each in vacuum.

        Examples
        --------
        >>> from gromos import Box
        >>> Box.rectangular(1, 2, 3).angles()
        (90.0, 90.0, 90.0)
        """
        if self._kind is not BoxKind.TRICLINIC:
            return (90.0, 90.0, 90.0)
        a, b, c = self._vectors
        return (_angle(b, c), _angle(a, c), _angle(a, b))

    def volume(self) -> float:
        """Volume, nm^3; 0 in vacuum, half the cube's for a truncated octahedron."""
        if self._kind is BoxKind.VACUUM:
            return 0.0
        return self._determinant() * (0.5 if self._kind is BoxKind.TRUNCATED_OCTAHEDRON else 1.0)

    def half_width(self) -> float:
        """Half the smallest distance between opposite faces, nm; infinite in vacuum.

        The largest cutoff for which one periodic image of each atom is enough.
        """
        if self._kind is BoxKind.VACUUM:
            return math.inf
        if self._kind is BoxKind.TRUNCATED_OCTAHEDRON:  # hexagonal faces are sqrt(3)/2 a apart
            return 0.25 * math.sqrt(3.0) * float(self._vectors[0, 0])
        a, b, c = self._vectors
        areas = [float(np.linalg.norm(face)) for face in (np.cross(b, c), np.cross(c, a), np.cross(a, b))]
        return 0.5 * self._determinant() / max(areas)

    def _determinant(self) -> float:
        return _determinant(self._vectors)

    # --- other forms

    def to_triclinic(self) -> Box:
        """The triclinic box with the same periodic images.

        A truncated octahedron becomes the cell of the body-centred lattice, spanned by half the diagonals of its cube; positions stay as
        they are.

        Examples
        --------
        >>> from gromos import Box
        >>> box = Box.truncated_octahedron(4.0)
        >>> box.to_triclinic().volume() == box.volume()
        True
        """
        if self._kind is BoxKind.VACUUM:
            raise InvalidArgumentError("vacuum has no edges; it has no triclinic form")
        if self._kind is not BoxKind.TRUNCATED_OCTAHEDRON:
            return Box(BoxKind.TRICLINIC, self._vectors)
        half = 0.5 * float(self._vectors[0, 0])
        return Box(BoxKind.TRICLINIC, half * np.array([[1.0, 1.0, -1.0], [-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]]))

    def to_standard(self) -> tuple[Box, Matrix]:
        """The same box turned so that a lies along x and b in the xy plane, and the rotation that does it.

        Returns
        -------
        box : Box
        rotation : numpy.ndarray, shape (3, 3)
            ``positions @ rotation.T`` are the positions that go with it.
        """
        if self._kind is not BoxKind.TRICLINIC:
            return self, np.eye(3)
        a, b, _ = self._vectors
        x = a / np.linalg.norm(a)
        z = np.cross(a, b)
        z = z / np.linalg.norm(z)
        rotation = np.stack([x, np.cross(z, x), z])
        turned = self._vectors @ rotation.T
        turned[0, 1:] = turned[1, 2] = 0.0
        return Box(BoxKind.TRICLINIC, turned), rotation

    def to_lengths_and_angles(self) -> tuple[BoxDimensions, tuple[float, float, float]]:
        """Lengths (nm) and angles (degrees); the inverse of :meth:`from_lengths_and_angles` for a box in standard orientation."""
        return self.dimensions(), self.angles()

    def to_mdanalysis(self) -> npt.NDArray[np.float32] | None:
        """MDAnalysis dimensions ``[lx, ly, lz, alpha, beta, gamma]`` in Angstrom and degrees; None in vacuum.

        Raises
        ------
        InvalidArgumentError
            For a box that these six numbers cannot say: a truncated octahedron, or a triclinic box that is not in standard
            orientation. ``box.to_triclinic().to_standard()`` gives one that they can, and the rotation for the positions.
        """
        if self._kind is BoxKind.VACUUM:
            return None
        cure = "; use to_triclinic().to_standard() and rotate the positions"
        if self._kind is BoxKind.TRUNCATED_OCTAHEDRON:
            raise InvalidArgumentError(f"MDAnalysis has no truncated octahedron{cure}")
        longest = max(self.dimensions())
        if max(abs(self._vectors[0, 1]), abs(self._vectors[0, 2]), abs(self._vectors[1, 2])) > 1e-6 * longest:
            raise InvalidArgumentError(f"MDAnalysis wants a along x and b in the xy plane{cure}")
        return np.array([*(10.0 * edge for edge in self.dimensions()), *self.angles()], dtype=np.float32)

    def _to_wire(self) -> tuple[int, list[float]]:
        """Kind and nine numbers row by row, as they are sent and as they stand in shared memory."""
        return int(self._kind), self._vectors.ravel().tolist()

    @classmethod
    def _from_wire(cls, kind: int, vectors: Sequence[float]) -> Self:
        """The inverse of _to_wire, for boxes that were checked when they were set."""
        self = cls.__new__(cls)
        self._fill(_kind(kind), np.array(vectors, dtype=np.float64).reshape(3, 3))
        return self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Box):
            return NotImplemented
        return self._kind == other._kind and bool((self._vectors == other._vectors).all())

    def __hash__(self) -> int:
        return hash((self._kind, tuple(self._vectors.ravel().tolist())))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restore, (type(self), *self._to_wire())

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        if self._kind is BoxKind.VACUUM:
            return "Box.vacuum()"
        if self._kind is BoxKind.TRICLINIC:
            return f"Box.triclinic({self._vectors.tolist()})"
        edges = self._vectors.diagonal().tolist()
        if self._kind is BoxKind.RECTANGULAR:
            return "Box.rectangular({}, {}, {})".format(*edges)
        return f"Box.truncated_octahedron({edges[0]})"


def _restore(cls: type[Box], kind: int, vectors: list[float]) -> Box:
    return cls._from_wire(kind, vectors)


def _kind(kind: BoxKind | int | str) -> BoxKind:
    try:
        if isinstance(kind, str):
            return BoxKind[kind.strip().upper().replace(" ", "_").replace("-", "_")]
        return BoxKind(kind)
    except (ValueError, KeyError):
        raise InvalidArgumentError(
            f"box kind {kind} is none of 0 (vacuum), 1 (rectangular), 2 (triclinic), 3 (truncated octahedron)"
        ) from None


def _numbers(**edges: float) -> list[float]:
    values = []
    for name, edge in edges.items():
        try:
            values.append(float(edge))
        except (TypeError, ValueError):
            raise DTypeError(f"box edge {name} must be a real number, not {type(edge).__name__}") from None
    return values


def _three(name: str, values: Sequence[float]) -> list[float]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (3,):
        raise ShapeError(f"'{name}' must have shape (3,), not {array.shape}")
    if not np.isfinite(array).all():
        raise NotFiniteError(f"'{name}' holds a number that is not finite")
    return [float(value) for value in array]


def _matrix(vectors: npt.ArrayLike) -> Matrix:
    array = np.asarray(vectors)
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"'vectors' must hold real numbers, not {array.dtype}")
    if array.shape != (3, 3):
        raise ShapeError(f"'vectors' must have shape (3, 3), not {array.shape}")
    return np.array(array, dtype=np.float64, order="C")


def _determinant(matrix: Matrix) -> float:
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = matrix.tolist()
    return float(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))


def _check(kind: BoxKind, matrix: Matrix) -> None:
    """The same checks, with the same words, as gd_box_check in server/core/box.c."""
    if kind is BoxKind.VACUUM:
        return
    longest = 0.0
    for i, (name, row) in enumerate(zip("abc", matrix.tolist(), strict=True)):
        for j, x in enumerate(row):
            if not math.isfinite(x):
                raise NotFiniteError(f"box vector {name} has a component that is not finite")
            if i != j and kind is not BoxKind.TRICLINIC and x != 0.0:
                raise InvalidArgumentError(f"box vector {name} is not along its axis; such a box is triclinic")
        length = math.sqrt(row[0] * row[0] + row[1] * row[1] + row[2] * row[2]) if kind is BoxKind.TRICLINIC else row[i]
        if length < 0.0:
            raise InvalidArgumentError(f"box edge {name} is {length:g} nm; it must be above 0")
        if not length > 0.0:
            raise InvalidArgumentError(f"box edge {name} has no length; a box without edges is vacuum")
        longest = max(longest, length)
    determinant = _determinant(matrix)
    if not determinant > 1e-9 * longest * longest * longest:
        raise InvalidArgumentError(
            f"box vectors are left-handed or lie in one plane (determinant {determinant:g} nm^3); a, b, c must be right-handed"
        )
    if kind is BoxKind.TRUNCATED_OCTAHEDRON:
        a, b, c = matrix.diagonal().tolist()
        if abs(b - a) > 1e-6 * a or abs(c - a) > 1e-6 * a:
            raise InvalidArgumentError(f"a truncated octahedron needs three equal edges, not {a:g}, {b:g}, {c:g} nm")


def _cos(degrees: float) -> float:
    return 0.0 if degrees == 90.0 else math.cos(math.radians(degrees))


def _angle(u: Matrix, v: Matrix) -> float:
    sine = float(np.linalg.norm(np.cross(u, v)))
    return math.degrees(math.atan2(sine, float(u @ v)))

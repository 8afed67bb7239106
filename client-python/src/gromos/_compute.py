"""Computing where the data is: what a State can be asked for, or told to do, without fetching its arrays.

Every method is one command. Sums are in double whatever the State's dtype; results come back small, or as shared memory when they
are large.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from . import _wire
from ._errors import ConflictError, DTypeError, ShapeError, UnsupportedError
from ._frames import AnyFrame, FloatArray, checked_array
from ._protocol import Commands

if TYPE_CHECKING:
    from ._ext import Mapping
    from ._frames import Remote
    from ._session import Session
    from ._state import State

__all__ = ["Atoms", "Bounds", "Compute", "Superposition"]

T = TypeVar("T")
TIMEOUT: Final = 10.0
Vector = npt.NDArray[np.float64]
Atoms = npt.ArrayLike | slice | None
"""Indices, a boolean mask over all atoms, or a slice; None is all atoms."""


class Bounds(NamedTuple):
    """The box that just holds the atoms."""

    lower: Vector
    """smallest x, y and z, nm"""
    upper: Vector
    """largest x, y and z, nm"""


class Superposition(NamedTuple):
    """How a State lies on a reference: ``r' = rotation @ (r - center) + reference_center``."""

    rmsd: float
    """nm"""
    rotation: npt.NDArray[np.float64]
    """(3, 3), rows"""
    center: Vector
    """of the State's atoms, nm"""
    reference_center: Vector
    """nm"""


class Compute:
    """The computing half of `State`."""

    __slots__ = ()

    if TYPE_CHECKING:
        _num_atoms: int
        _session: Session

        _identity: bytes

        def _call(self, command: str, args: dict[str, Any], /) -> dict[str, Any]: ...
        @property
        def _mapping(self) -> Mapping | None: ...
        def _remote_of(self) -> Remote: ...

    def center_of_mass(self, atoms: Atoms = None) -> Vector:
        """Centre of mass.

        Parameters
        ----------
        atoms : array_like, optional
            Indices, a boolean mask over all atoms, or a slice; all atoms if left out. Order and repeats count.

        Returns
        -------
        ndarray of float64, (3,)
            nm; summed in double whatever the State's dtype.

        Raises
        ------
        IndexRangeError
        """
        return Commands.state_center_of_mass(self, self._identity, atoms=self._indices("atoms", atoms)).value

    def center_of_geometry(self, atoms: Atoms = None) -> Vector:
        """Mean of the positions, nm; `atoms` as in `center_of_mass`."""
        return Commands.state_center_of_geometry(self, self._identity, atoms=self._indices("atoms", atoms)).value

    def radius_of_gyration(self, atoms: Atoms = None) -> float:
        """Mass-weighted radius of gyration about the centre of mass, nm; `atoms` as in `center_of_mass`."""
        return Commands.state_radius_of_gyration(self, self._identity, atoms=self._indices("atoms", atoms)).value

    def bounds(self, atoms: Atoms = None) -> Bounds:
        """Smallest and largest coordinates, nm; `atoms` as in `center_of_mass`."""
        result = Commands.state_bounds(self, self._identity, atoms=self._indices("atoms", atoms))
        return Bounds(result.lower, result.upper)

    def norms(self, array: Literal["positions", "velocities", "forces"] = "positions", atoms: Atoms = None) -> FloatArray:
        """Length of every atom's vector, (m,) in the array's unit; `atoms` as in `center_of_mass`."""
        return Commands.state_norms(self, self._identity, array=array, atoms=self._indices("atoms", atoms)).value

    def kinetic_energy(self, atoms: Atoms = None) -> float:
        """Sum of m v^2 / 2, kJ/mol; `atoms` as in `center_of_mass`."""
        return Commands.state_kinetic_energy(self, self._identity, atoms=self._indices("atoms", atoms)).value

    def temperature(self, atoms: Atoms = None, dof: float | None = None) -> float:
        """Temperature of the motion, 2 E_kin / (dof k_B).

        Parameters
        ----------
        atoms : array_like, optional
            As in `center_of_mass`.
        dof : float, optional
            Degrees of freedom; three per atom if left out.

        Returns
        -------
        float
            K
        """
        return Commands.state_temperature(self, self._identity, atoms=self._indices("atoms", atoms), dof=dof).value

    def translate(self, vector: npt.ArrayLike, atoms: Atoms = None, *, publish: bool = True) -> None:
        """Add a vector (nm) to the positions; one commit. `atoms` as in `center_of_mass`."""
        indices = self._indices("atoms", atoms)
        self._changing(lambda: Commands.state_translate(self, self._identity, vector=vector, atoms=indices, publish=publish))

    def rotate(
        self,
        matrix: npt.ArrayLike,
        about: npt.ArrayLike | None = None,
        atoms: Atoms = None,
        *,
        velocities: bool = True,
        publish: bool = True,
    ) -> None:
        """Rotate positions, and velocities with them; one commit.

        Parameters
        ----------
        matrix : Mat3 or array_like, (3, 3)
            Orthogonal, determinant +1 within 1e-6; ``r' = matrix @ (r - about) + about``.
        about : three floats, optional
            nm; the centre of geometry if left out.
        atoms : array_like, optional
            As in `center_of_mass`.
        """
        self._changing(lambda: Commands.state_rotate(
            self, self._identity,
            matrix=matrix,
            about=about,
            atoms=self._indices("atoms", atoms),
            velocities=velocities,
            publish=publish,
        ))

    def scale(
        self,
        factor: float,
        about: npt.ArrayLike | None = None,
        atoms: Atoms = None,
        *,
        box: bool | None = None,
        publish: bool = True,
    ) -> None:
        """Multiply distances from a point by a factor; one commit.

        Parameters
        ----------
        factor : float
            Above 0.
        about : three floats, optional
            The fixed point, nm; the origin if left out.
        atoms : array_like, optional
            As in `center_of_mass`.
        box : bool, optional
            Whether the box is scaled too; if left out, when all atoms are.
        """
        self._changing(lambda: Commands.state_scale(
            self, self._identity,
            factor=factor,
            about=about,
            atoms=self._indices("atoms", atoms),
            box=atoms is None if box is None else box,
            publish=publish,
        ))

    def wrap(self, by: Literal["atom", "molecule"] = "atom", *, publish: bool = True) -> None:
        """Put atoms, or whole molecules by their centres, back into the box; one commit.

        Raises
        ------
        NoTopologyError
            By molecule, and nobody said what the molecules are (`set_molecules`, `Topology.apply`).
        """
        self._changing(lambda: Commands.state_wrap(self, self._identity, by=by, publish=publish))

    def remove_com_motion(self, *, publish: bool = True) -> Vector:
        """Take the velocity of the centre of mass from all velocities; what was taken, nm/ps."""
        return self._changing(lambda: Commands.state_remove_com_motion(self, self._identity, publish=publish)).velocity

    def maxwell_velocities(self, temperature: float, *, seed: int = 0, remove_com: bool = True, publish: bool = True) -> None:
        """Draw velocities from the Maxwell-Boltzmann distribution; one commit.

        Parameters
        ----------
        temperature : float
            K
        seed : int
            The same seed gives the same velocities on every machine.
        remove_com : bool
            Whether the motion of the centre of mass is taken away.
        """
        self._changing(lambda: Commands.state_maxwell_velocities(
            self, self._identity, temperature=temperature, seed=seed, remove_com=remove_com, publish=publish
        ))

    def rmsd(
        self,
        reference: State | AnyFrame | npt.ArrayLike,
        atoms: Atoms = None,
        *,
        fit: bool = True,
        mass_weighted: bool = False,
    ) -> float:
        """Root mean square deviation from a reference, nm.

        Parameters
        ----------
        reference : State, frame or array_like, (n, 3)
            Positions of all atoms, nm.
        atoms : array_like, optional
            The atoms that are compared; as in `center_of_mass`.
        fit : bool
            After optimal superposition (Kabsch), without changing the State; False compares as it stands.
        mass_weighted : bool

        Raises
        ------
        ShapeError, IndexRangeError, NotFiniteError
        """
        value: float = self._superpose(reference, atoms, fit, mass_weighted)["value"]
        return value

    def superposition(
        self, reference: State | AnyFrame | npt.ArrayLike, atoms: Atoms = None, *, mass_weighted: bool = False
    ) -> Superposition:
        """The rotation and translation that `fit` would apply; arguments as in `rmsd`."""
        result = self._superpose(reference, atoms, True, mass_weighted)
        return Superposition(
            result["value"], _wire.matrix(result["rotation"]), _wire.vector(result["center"]), _wire.vector(result["reference_center"])
        )

    def _changing(self, call: Callable[[], T]) -> T:
        """A command that writes. For the daemon all threads of a session are one, so they are kept apart here."""
        mapping = self._mapping
        if mapping is None:
            lock = self._remote_of().lock
            lock.acquire(TIMEOUT)
            try:
                return call()
            finally:
                lock.release()
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                return call()
            except ConflictError as conflict:
                # Another thread has an edit open: wait for it. If it is this one, that is what the daemon complained of.
                try:
                    mapping.lease_acquire(max(0.0, deadline - time.monotonic()))
                except ConflictError:
                    raise conflict from None
                mapping.lease_release()

    def _superpose(self, reference: Any, atoms: Atoms, fit: bool, mass_weighted: bool) -> dict[str, Any]:
        """The result as it came: most calls want one number of it."""
        args = {"state": self._identity, **self._reference(reference)}
        args |= {"fit": _wire.flag("fit", fit), "mass_weighted": _wire.flag("mass_weighted", mass_weighted)}
        if atoms is not None:
            args["atoms"] = _wire.array("atoms", self._indices("atoms", atoms), "int", "(m,)")
        return self._call("state.rmsd", args)

    def fit(
        self,
        reference: State | AnyFrame | npt.ArrayLike,
        atoms: Atoms = None,
        *,
        mass_weighted: bool = False,
        publish: bool = True,
    ) -> float:
        """Superpose the State onto a reference: all atoms move, `atoms` decide how; one commit. Arguments as in `rmsd`.

        Returns
        -------
        float
            RMSD after the fit, nm.
        """
        return self._changing(lambda: Commands.state_fit(
            self, self._identity,
            **self._reference(reference),
            mass_weighted=mass_weighted,
            atoms=self._indices("atoms", atoms),
            publish=publish,
        )).value

    def distances(self, pairs: npt.ArrayLike) -> FloatArray:
        """Minimum-image distances of pairs of atoms.

        Parameters
        ----------
        pairs : array_like of int, (m, 2)

        Returns
        -------
        ndarray, (m,)
            nm

        Raises
        ------
        IndexRangeError, ShapeError
        """
        return Commands.state_distances(self, self._identity, pairs=pairs).value

    def distance_array(self, atoms_a: Atoms = None, atoms_b: Atoms = None) -> FloatArray:
        """Minimum-image distances between all of one set and all of another, (k, m) in nm; sets as in `center_of_mass`."""
        return Commands.state_distance_array(
            self, self._identity, atoms_a=self._indices("atoms_a", atoms_a), atoms_b=self._indices("atoms_b", atoms_b)
        ).value

    def neighbor_pairs(self, cutoff: float, atoms: Atoms = None) -> tuple[npt.NDArray[np.int32], FloatArray]:
        """All pairs within a cutoff, minimum image.

        Parameters
        ----------
        cutoff : float
            nm; at most half the box width.
        atoms : array_like, optional
            Pairs among these; as in `center_of_mass`.

        Returns
        -------
        pairs : ndarray of int32, (m, 2)
            Sorted, the smaller index first.
        distances : ndarray, (m,)
            nm
        """
        result = Commands.state_neighbor_pairs(self, self._identity, cutoff=cutoff, atoms=self._indices("atoms", atoms))
        return result.pairs, result.distances

    def rdf(
        self, atoms_a: Atoms = None, atoms_b: Atoms = None, *, r_max: float, bins: int = 100
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Radial distribution function between two sets of atoms; an atom is no pair with itself.

        Parameters
        ----------
        atoms_a, atoms_b : array_like, optional
            As in `center_of_mass`.
        r_max : float
            nm; at most half the box width.
        bins : int

        Returns
        -------
        r : ndarray, (bins,)
            Centres of the bins, nm.
        g : ndarray, (bins,)
        """
        result = Commands.state_rdf(
            self, self._identity,
            atoms_a=self._indices("atoms_a", atoms_a),
            atoms_b=self._indices("atoms_b", atoms_b),
            r_max=r_max,
            bins=bins,
        )
        return result.r, result.g

    # --- arguments -----------------------------------------------------------------------------------------------

    def _indices(self, name: str, atoms: Atoms) -> Any:
        if atoms is None or _wire.is_sent_as_is(atoms, "int", "(m,)"):
            return atoms
        if isinstance(atoms, slice):
            return np.arange(*atoms.indices(self._num_atoms), dtype=np.int64)
        if isinstance(atoms, str):
            raise UnsupportedError(f"'{name}' is a string; give indices or a boolean mask: topology.select({atoms!r}) makes indices of it")
        array = np.asarray(atoms)
        if array.dtype.char == "O" and array.ndim == 0:
            raise DTypeError(f"'{name}' is a {type(atoms).__name__}; give a list or an array of indices, a boolean mask, or a slice")
        if array.size == 0 and array.ndim == 1:
            return np.empty(0, np.int32)  # an empty list has no dtype of its own
        if array.dtype.char == "?" and array.shape != (self._num_atoms,):
            raise ShapeError(f"'{name}' is a mask of shape {array.shape}; the State has {self._num_atoms} atoms, so it must be ({self._num_atoms},)")
        return array

    def _reference(self, reference: Any) -> dict[str, Any]:
        if isinstance(reference, Compute):
            if reference._session is self._session or reference._session.endpoint == self._session.endpoint:
                return {"reference_state": reference._identity}
        if callable(getattr(reference, "positions", None)):
            reference = reference.positions()
        return {"reference": checked_array("reference", reference, (self._num_atoms, 3))}

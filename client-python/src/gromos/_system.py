"""Configuration and System: what a simulation is made of, beside its Topology."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

from ._energy import Energy
from ._errors import InvalidArgumentError
from ._files import load
from ._session import Dtype, Session
from ._state import State
from ._topology import Topology

if TYPE_CHECKING:
    from ._parameters import InputParameters

__all__ = ["Configuration", "System"]


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


class System:
    """A topology and a configuration that belong together.

    Parameters
    ----------
    topology : Topology
        If it describes a solvent it is repeated so that all atoms are covered.
    configuration : Configuration or State
        Told its masses and molecules.

    Raises
    ------
    ShapeError
        They have different numbers of atoms.
    """

    __slots__ = ("_configuration", "_topology")

    def __init__(self, topology: Topology, configuration: Configuration | State) -> None:
        if isinstance(configuration, State):
            configuration = Configuration.from_state(configuration)
        if not isinstance(topology, Topology) or not isinstance(configuration, Configuration):
            raise InvalidArgumentError(
                f"a System is made of a Topology and a Configuration or State, not of {type(topology).__name__} and "
                f"{type(configuration).__name__}; System.from_files takes paths"
            )
        state = configuration.current_state()
        self._topology = topology.for_atoms(state.num_atoms())
        self._topology.apply(state)
        self._configuration = configuration

    @classmethod
    def from_files(
        cls,
        topology: str | os.PathLike[str],
        configuration: str | os.PathLike[str],
        params: InputParameters | str | os.PathLike[str] | None = None,
        *,
        num_temp_groups: int | None = None,
        num_energy_groups: int | None = None,
        name: str | None = None,
        dtype: Dtype | None = None,
        session: Session | None = None,
    ) -> Self:
        """From a GROMOS topology and a configuration.

        Parameters
        ----------
        topology, configuration : path
        params : InputParameters or path, optional
            Of the runs to come: how many temperature baths and energy groups the State's energies have, and its dtype.
        num_temp_groups, num_energy_groups : int, optional
            The same one by one; 1 without `params`.
        name : str, optional
            Of the State.
        dtype : {"float32", "float64"}, optional
            Of the State. Left out: the precision of `params`, else float32. A run in float64 goes on exactly where a reader of the State
            saw it end if the State is float64 too.
        session : Session, optional

        Raises
        ------
        FileAccessError, FileFormatError, ShapeError

        Examples
        --------
        >>> import gromos
        >>> from pathlib import Path
        >>> data = Path(gromos.__file__).parent / "data"
        >>> system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", data / "alanine.imd")
        >>> system.num_atoms(), system.topology.num_solvent_molecules, system.state.num_temp_groups, str(system.state.dtype)
        (3270, 1086, 2, 'float64')
        """
        from ._parameters import InputParameters

        if params is not None and not isinstance(params, InputParameters):
            params = InputParameters.from_file(params, session=session)
        baths, groups = (1, 1) if params is None else (params.num_baths, params.num_energy_groups)
        if dtype is None:
            dtype = "float64" if params is not None and params.precision == "float64" else "float32"
        read = Topology.from_file(topology, session=session)
        state = load(
            configuration,
            name=name,
            dtype=dtype,
            session=session,
            num_temp_groups=baths if num_temp_groups is None else num_temp_groups,
            num_energy_groups=groups if num_energy_groups is None else num_energy_groups,
        )
        try:
            return cls(read, state)
        except BaseException:
            state.delete()  # or one with a name would stay
            raise

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

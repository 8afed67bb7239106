"""InputParameters: how a run goes, as the blocks of a GROMOS input file and as friendlier names for what is set most often."""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from . import _parameter_blocks as b
from ._blocks import Bath, Block, DofSet
from ._box import BoxKind
from ._energy import BAR_PER_PRESSURE_UNIT
from ._errors import FileAccessError, InvalidArgumentError
from ._files import checked_text, read_bytes
from ._session import Session, chosen_session

if TYPE_CHECKING:
    from ._system import System

__all__ = ["InputParameters"]

THERMOSTATS: Final = {
    "berendsen": "weak-coupling",
    "nose-hoover": "nose-hoover",
    "nose-hoover-chains": "nose-hoover-chains",
    "bussi": "bussi",
}
CONSTRAINTS: Final = {"none": "off", "solvent": "solvent", "hydrogen": "hydrogen", "all": "all", "specified": "specified"}
SCALINGS: Final = ("iso", "aniso", "full", "semianiso")
KINDS: Final = {
    BoxKind.VACUUM: "vacuum",
    BoxKind.RECTANGULAR: "rectangular",
    BoxKind.TRICLINIC: "triclinic",
    BoxKind.TRUNCATED_OCTAHEDRON: "truncoct",
}

# As the daemon names what it read, where that is not GROMOS's word in lower case: block, field there, field here.
RENAMED: Final[dict[str, dict[str, str]]] = {
    "STEP": {"t0": "t"},
    "MULTIBATH": {"thermostat": "algorithm", "chain_length": "num", "dof_sets": "sets"},
    "PRESSURESCALE": {"compressibility": "comp", "tau": "taup", "reference": "pres0"},
    "CONSTRAINT": {"solute": "ntcp", "solvent": "ntcs"},
    "FORCE": {"bond": "bonds", "angle": "angles", "improper": "impropers", "dihedral": "dihedrals", "energy_group_last": "nre"},
    "ROTTRANS": {"last": "rtclast"},
    "RANDOMNUMBERS": {"generator": "ntrng", "gsl_generator": "ntgsl"},
}
# A block is left out of what was read when this field of it is zero.
SWITCHES: Final = {
    "MULTIBATH": "present", "PRESSURESCALE": "couple", "POSITIONRES": "ntpor", "DISTANCERES": "ntdir", "ANGLERES": "ntalr",
    "DIHEDRALRES": "ntdlr", "JVALUERES": "ntjvr", "STOCHDYN": "ntsd", "ENERGYMIN": "ntem", "ROTTRANS": "rtc", "CGRAIN": "ntcgran",
}  # fmt: skip


class InputParameters:
    """How a run goes. Every block of a GROMOS input file is an attribute, with its fields by their GROMOS names in lower case.

    Blocks that switch something on are None until one is assigned. What is None within a block (the number of solvent molecules, the
    kind of box, the atoms of baths and energy groups) is taken from the System a run is made for.

    Attributes
    ----------
    system, initialise, step, boundcond, comtransrot, printout, writetraj, constraint, force, covalentform, pairlist, nonbonded,
    randomnumbers, gromosd : Block
        Always there.
    multibath, pressurescale, positionres, distanceres, angleres, dihedralres, jvalueres, stochdyn, energymin, rottrans, cgrain : Block or None
    title : str

    Raises
    ------
    InvalidArgumentError
        When a value is assigned that cannot be; the message names block, field and value.

    Examples
    --------
    >>> import gromos
    >>> p = gromos.InputParameters.nvt(temperature=300, num_steps=5000)
    >>> p.step.dt, p.dt, p.thermostat, p.temperature
    (0.002, 0.002, 'bussi', 300.0)
    >>> p.writetraj.ntwe = 10
    >>> p.cutoffs = 0.9, 1.2
    >>> type(p).fields()["STEP"]["dt"].unit
    'ps'
    >>> p.dt = -1
    Traceback (most recent call last):
    ...
    gromos._errors.InvalidArgumentError: block STEP, field DT: -1; it must be from 1e-12 to 1 ps
    """

    system: b.System
    initialise: b.Initialise
    step: b.Step
    boundcond: b.BoundCond
    multibath: b.MultiBath | None
    pressurescale: b.PressureScale | None
    comtransrot: b.ComTransRot
    printout: b.PrintOut
    writetraj: b.WriteTraj
    constraint: b.Constraint
    force: b.Force
    covalentform: b.CovalentForm
    pairlist: b.PairList
    nonbonded: b.Nonbonded
    positionres: b.PositionRes | None
    distanceres: b.DistanceRes | None
    angleres: b.AngleRes | None
    dihedralres: b.DihedralRes | None
    jvalueres: b.JvalueRes | None
    stochdyn: b.StochDyn | None
    energymin: b.EnergyMin | None
    rottrans: b.RotTrans | None
    cgrain: b.CGrain | None
    randomnumbers: b.RandomNumbers
    gromosd: b.Gromosd
    title: str

    def __init__(self, title: str = "", **values: Any) -> None:
        self.__dict__["title"] = str(title)
        for keyword, block in b.BLOCKS.items():
            self.__dict__[keyword.lower()] = None if keyword in SWITCHES else block()
        for name, value in values.items():
            setattr(self, name, value)

    # --- making ----------------------------------------------------------------------------------------------------

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, session: Session | None = None) -> Self:
        """Read a GROMOS input file (.imd, .in); the daemon reads and checks it.

        Raises
        ------
        FileAccessError, FileFormatError, UnsupportedError
            `detail["faults"]` lists all faults of the file.
        """
        return cls._from_bytes(read_bytes(path), os.path.basename(os.fspath(path)), session)

    @classmethod
    def from_text(cls, text: str, *, session: Session | None = None) -> Self:
        """As `from_file`, from the text of such a file."""
        return cls._from_bytes(checked_text(text), "input", session)

    @classmethod
    def _from_bytes(cls, data: bytes, name: str, session: Session | None) -> Self:
        session = chosen_session(session)
        return cls._from_blocks(session.commands.input_parse(data=np.frombuffer(data, np.uint8), name=name).blocks)

    @classmethod
    def _from_blocks(cls, blocks: Mapping[str, Any]) -> Self:
        self = cls(title=blocks.get("TITLE", ""))
        for keyword, kind in b.BLOCKS.items():
            given = dict(blocks.get(keyword, {}))
            if keyword in SWITCHES and not given.get(SWITCHES[keyword]):
                continue
            if keyword == "GROMOSD":
                pairs, pressure = blocks.get("PAIRLIST", {}), blocks.get("PRESSURESCALE", {})
                given |= {"scheme": pairs.get("scheme", 0), "buffer": max(pairs.get("buffer", -1.0), -1.0), "barostat": pressure.get("barostat", 0)}
            setattr(self, keyword.lower(), _block(kind, given))
        return self

    @classmethod
    def nve(cls, *, dt: float = 0.002, num_steps: int = 1000, cutoffs: tuple[float, float] | float | None = None, **options: Any) -> Self:
        """Constant energy: leap-frog, all bonds rigid, reaction field beyond the cutoff.

        Parameters
        ----------
        dt : float
            Time step, ps.
        num_steps : int
        cutoffs : (float, float) or float, optional
            Short-range and long-range cutoff, nm; one number for both. The reaction field begins at the long one. Left out: 0.8 and
            1.4, or 1.4 for both with the scheme verlet, which has one range.
        **options
            Any other property, such as ``constraints="hydrogen"``, ``seed=1``, ``precision="float32"``.
        """
        self = cls(title="made by gromos")
        if cutoffs is None:
            cutoffs = 1.4 if options.get("scheme") == "verlet" else (0.8, 1.4)
        self.dt, self.num_steps, self.cutoffs = dt, num_steps, cutoffs  # type: ignore[assignment,unused-ignore]
        self.constraints = "all"
        self.comtransrot.nscm = 1000
        for name, value in options.items():
            setattr(self, name, value)
        return self

    @classmethod
    def nvt(cls, *, temperature: float = 300.0, tau: float = 0.1, thermostat: str = "bussi", **options: Any) -> Self:
        """Constant temperature.

        Parameters
        ----------
        temperature : float
            K
        tau : float
            Coupling time, ps.
        thermostat : {"bussi", "berendsen", "nose-hoover", "nose-hoover-chains"}
            The Berendsen thermostat gives no canonical ensemble.
        **options
            As for `nve`.
        """
        self = cls.nve(**options)
        self.multibath = b.MultiBath(baths=[Bath(temperature, tau)])
        self.thermostat = thermostat
        return self

    @classmethod
    def npt(
        cls,
        *,
        temperature: float = 300.0,
        pressure: float = b.ATMOSPHERE,
        tau: float = 0.1,
        tau_pressure: float = 0.5,
        compressibility: float = 4.575e-4,
        thermostat: str = "bussi",
        barostat: str = "stochastic-cell",
        **options: Any,
    ) -> Self:
        """Constant temperature and pressure, isotropic.

        Parameters
        ----------
        temperature : float
            K
        pressure : float
            kJ mol^-1 nm^-3; the default is 1 atm.
        tau, tau_pressure : float
            Coupling times, ps.
        compressibility : float
            (kJ mol^-1 nm^-3)^-1; the default is water's.
        thermostat : {"bussi", "berendsen", "nose-hoover", "nose-hoover-chains"}
        barostat : {"stochastic-cell", "parrinello-rahman", "berendsen"}
            The Berendsen barostat gives no isobaric ensemble. That of Parrinello and Rahman oscillates with `tau_pressure` as its period:
            take some ps, and a box that is near its density already.
        **options
            As for `nve`.
        """
        self = cls.nvt(temperature=temperature, tau=tau, thermostat=thermostat, **options)
        self.pressurescale = b.PressureScale(taup=tau_pressure, comp=compressibility)
        self.pressure = pressure
        self.barostat = barostat
        return self

    @classmethod
    def steepest_descent(
        cls, *, num_steps: int = 1000, energy_change: float = 0.1, first_step: float = 0.01, largest_step: float = 0.05, **options: Any
    ) -> Self:
        """Energy minimisation along the forces.

        Parameters
        ----------
        num_steps : int
            At most.
        energy_change : float
            It ends when a step changes the energy by less, kJ/mol.
        first_step, largest_step : float
            nm
        **options
            As for `nve`.
        """
        self = cls.nve(num_steps=num_steps, **options)
        self.comtransrot.nscm = 0
        self.energymin = b.EnergyMin(ntem="steepest-descent", dele=energy_change, dx0=first_step, dxm=largest_step)
        return self

    @classmethod
    def fields(cls) -> dict[str, dict[str, Any]]:
        """Every field of every block: its keyword, unit, default and meaning."""
        return {keyword: dict(block.fields()) for keyword, block in b.BLOCKS.items()}

    def __setattr__(self, name: str, value: Any) -> None:
        kind = b.BLOCKS.get(name.upper())
        if kind is None or name != name.lower():
            if not hasattr(type(self), name) and name != "title":
                names = [*self._properties(), *(keyword.lower() for keyword in b.BLOCKS)]
                raise InvalidArgumentError(f"InputParameters has no {name!r}; there are {', '.join(names)}")
            object.__setattr__(self, name, value)
            return
        if value is None and name.upper() not in SWITCHES:
            raise InvalidArgumentError(f"block {name.upper()} is needed; it cannot be None")
        if value is not None and not isinstance(value, kind):
            raise InvalidArgumentError(f"block {name.upper()}: {value!r}; it must be a {kind.__module__}.{kind.__name__}")
        self.__dict__[name] = value

    @classmethod
    def _properties(cls) -> list[str]:
        return [name for name, item in vars(cls).items() if isinstance(item, property)]

    # --- what is set most often ------------------------------------------------------------------------------------

    @property
    def dt(self) -> float:
        """Time step, ps (STEP DT)."""
        return self.step.dt

    @dt.setter
    def dt(self, dt: float) -> None:
        self.step.dt = dt

    @property
    def num_steps(self) -> int:
        """Steps of a run (STEP NSTLIM)."""
        return self.step.nstlim

    @num_steps.setter
    def num_steps(self, num_steps: int) -> None:
        self.step.nstlim = num_steps

    @property
    def num_baths(self) -> int:
        """Temperature baths: what a State's `num_temp_groups` has to be."""
        return max(1, len(self.multibath.baths)) if self.multibath is not None else 1

    @property
    def num_energy_groups(self) -> int:
        """Energy groups: what a State's `num_energy_groups` has to be."""
        return len(self.force.nre) if self.force.nre is not None else 1

    @property
    def temperature(self) -> float | None:
        """Of the first bath, K; None without a thermostat. Assigning sets all baths, or the temperature of stochastic dynamics."""
        if self.multibath is not None and self.multibath.baths:
            return float(self.multibath.baths[0].temp0)
        return self.stochdyn.tempsd if self.stochdyn is not None else None

    @temperature.setter
    def temperature(self, temperature: float) -> None:
        if self.stochdyn is not None:
            self.stochdyn.tempsd = temperature
            return
        if self.multibath is None:
            self.multibath = b.MultiBath(algorithm="bussi")
        baths = self.multibath.baths or [Bath(300.0, 0.1)]
        self.multibath.baths = [(temperature, bath.tau) for bath in baths]

    @property
    def thermostat(self) -> str | None:
        """berendsen, nose-hoover, nose-hoover-chains or bussi; None for none. Assigning keeps temperatures."""
        if self.multibath is None:
            return None
        return next(name for name, word in THERMOSTATS.items() if word == self.multibath.algorithm)

    @thermostat.setter
    def thermostat(self, thermostat: str | None) -> None:
        if thermostat is None:
            self.multibath = None
            return
        word = _choice("thermostat", thermostat, THERMOSTATS)
        if self.multibath is None:
            self.multibath = b.MultiBath(baths=[Bath(300.0, 0.1)])
        self.multibath.algorithm = word

    @property
    def pressure(self) -> float | None:
        """Reference pressure, kJ mol^-1 nm^-3, the mean over the directions; None without pressure scaling."""
        if self.pressurescale is None:
            return None
        p = self.pressurescale.pres0
        return (p[0] + p[4] + p[8]) / 3.0

    @pressure.setter
    def pressure(self, pressure: float) -> None:
        if self.pressurescale is None:
            self.pressurescale = b.PressureScale()
        self.pressurescale.pres0 = (pressure, 0.0, 0.0, 0.0, pressure, 0.0, 0.0, 0.0, pressure)

    @property
    def pressure_bar(self) -> float | None:
        """`pressure` in bar."""
        return None if self.pressure is None else self.pressure * BAR_PER_PRESSURE_UNIT

    @pressure_bar.setter
    def pressure_bar(self, pressure: float) -> None:
        self.pressure = pressure / BAR_PER_PRESSURE_UNIT

    @property
    def barostat(self) -> str | None:
        """berendsen, stochastic-cell or parrinello-rahman; None for none."""
        return None if self.pressurescale is None or self.pressurescale.couple != "scale" else self.gromosd.barostat

    @barostat.setter
    def barostat(self, barostat: str | None) -> None:
        if barostat is None:
            self.pressurescale = None
            return
        self.gromosd.barostat = barostat
        if self.pressurescale is None:
            self.pressurescale = b.PressureScale()
        self.pressurescale.couple = "scale"

    @property
    def cutoffs(self) -> tuple[float, float]:
        """Short-range and long-range cutoff, nm. Assigning sets the radius of the reaction field to the long one; one number stands
        for both."""
        return self.pairlist.rcutp, self.pairlist.rcutl

    @cutoffs.setter
    def cutoffs(self, cutoffs: tuple[float, float] | float) -> None:
        try:
            short, long = cutoffs if isinstance(cutoffs, (tuple, list, np.ndarray)) else (cutoffs, cutoffs)
        except ValueError:
            raise InvalidArgumentError(f"block PAIRLIST, fields RCUTP and RCUTL: {cutoffs!r}; it must be two numbers, or one") from None
        before = self.pairlist.copy()
        self.pairlist.rcutp, self.pairlist.rcutl = short, long
        if self.pairlist.rcutl < self.pairlist.rcutp:
            self.pairlist = before
            raise InvalidArgumentError(f"block PAIRLIST, field RCUTL: {long!r}; it must be at least RCUTP, {short!r} nm")
        self.nonbonded.rcrf = long

    @property
    def constraints(self) -> str:
        """What is rigid: none, solvent, hydrogen (bonds with hydrogen too) or all (bonds). Assigning all switches bond forces off, the
        others on."""
        return next(name for name, word in CONSTRAINTS.items() if word == self.constraint.ntc)

    @constraints.setter
    def constraints(self, constraints: str) -> None:
        self.constraint.ntc = _choice("constraints", constraints, CONSTRAINTS)
        self.force.bonds = constraints != "all"

    @property
    def constraint_algorithm(self) -> str:
        """Of the solute: shake, lincs or flexshake (CONSTRAINT NTCP)."""
        return self.constraint.ntcp

    @constraint_algorithm.setter
    def constraint_algorithm(self, algorithm: str) -> None:
        self.constraint.ntcp = algorithm
        self.constraint.ntcp0 = 4 if self.constraint.ntcp == "lincs" else 1e-4

    @property
    def scheme(self) -> str:
        """Non-bonded scheme: chargegroup or verlet."""
        return self.gromosd.scheme

    @scheme.setter
    def scheme(self, scheme: str) -> None:
        self.gromosd.scheme = scheme

    @property
    def integrator(self) -> str:
        """leap-frog or velocity-verlet."""
        return self.gromosd.integrator

    @integrator.setter
    def integrator(self, integrator: str) -> None:
        self.gromosd.integrator = integrator

    @property
    def precision(self) -> str:
        """float64 or float32."""
        return self.gromosd.precision

    @precision.setter
    def precision(self, precision: str) -> None:
        self.gromosd.precision = precision

    @property
    def seed(self) -> int:
        """Of the random numbers (INITIALISE IG)."""
        return self.initialise.ig

    @seed.setter
    def seed(self, seed: int) -> None:
        self.initialise.ig = seed

    # --- a run's own -------------------------------------------------------------------------------------------------

    def copy(self) -> Self:
        """The same, to be changed on its own."""
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update({name: item.copy() if isinstance(item, Block) else item for name, item in self.__dict__.items()})
        return other

    def for_system(self, system: System) -> Self:
        """A copy in which everything left open (None) is as the System has it.

        Parameters
        ----------
        system : System

        Raises
        ------
        InvalidArgumentError
            What is given does not fit the System.
        """
        made, topology, n = self.copy(), system.topology, system.num_atoms()
        if made.system.nsm is None:
            made.system.nsm = topology.num_solvent_molecules
            if topology.num_solute_atoms() == 0:
                made.system.npm = 0
        elif made.system.nsm != topology.num_solvent_molecules:
            raise InvalidArgumentError(
                f"block SYSTEM, field NSM: {made.system.nsm}; the System has {topology.num_solvent_molecules} solvent molecules"
            )
        if made.boundcond.ntb is None:
            made.boundcond.ntb = KINDS[system.state.box.kind]
        if made.boundcond.ndfmin is None:
            made.boundcond.ndfmin = _removed(made.comtransrot.nscm, made.boundcond.ntb)
        if made.boundcond.ntb != "vacuum" and made.comtransrot.nscm < 0 and self.boundcond.ntb is None:
            raise InvalidArgumentError(f"block COMTRANSROT, field NSCM: {made.comtransrot.nscm}; rotation cannot be removed in a periodic box")
        if made.multibath is not None and made.multibath.baths and not made.multibath.sets:
            made.multibath.sets = [DofSet(n, 1, 1)]
        if made.force.nre is None:
            made.force.nre = [n]
        for block, field, last in (
            ("FORCE", "NRE", made.force.nre[-1]),
            ("MULTIBATH", "LAST", made.multibath.sets[-1].last if made.multibath is not None and made.multibath.sets else n),
        ):
            if last != n:
                raise InvalidArgumentError(f"block {block}, field {field}: {last}; the last one must be the System's last atom, {n}")
        return made

    def to_text(self, system: System | None = None) -> str:
        """The parameters as a GROMOS input file.

        Parameters
        ----------
        system : System, optional
            Needed when something is left open.

        Raises
        ------
        InvalidArgumentError
            Something is left open.
        """
        made = self if system is None else self.for_system(system)
        title = "".join(f"{line}\n" for line in self.title.splitlines() if line.strip() and line.strip() != "END")
        blocks = [getattr(made, keyword.lower()) for keyword in b.BLOCKS]
        return f"TITLE\n{title or 'made by gromos' + chr(10)}END\n" + "".join(block.render() for block in blocks if block is not None)

    def to_file(self, path: str | os.PathLike[str], system: System | None = None) -> None:
        """Write `to_text` to a file.

        Raises
        ------
        FileAccessError, InvalidArgumentError
        """
        data = self.to_text(system).encode()
        try:
            Path(path).expanduser().write_bytes(gzip.compress(data, mtime=0) if os.fspath(path).endswith(".gz") else data)
        except OSError as error:
            raise FileAccessError(f"{os.fspath(path)} cannot be written: {error.strerror}") from None

    def __eq__(self, other: object) -> bool:
        return self.__dict__ == other.__dict__ if isinstance(other, InputParameters) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        about = [f"{self.num_steps} steps of {self.dt:g} ps", self.scheme, self.precision]
        if self.energymin is not None:
            about.insert(0, str(self.energymin.ntem))
        if self.thermostat is not None:
            about.append(f"{self.thermostat} {self.temperature:g} K")
        if self.barostat is not None:
            about.append(f"{self.barostat} {self.pressure:g} kJ mol^-1 nm^-3")
        return f"<gromos.InputParameters: {', '.join(about)}>"


def _choice(name: str, value: Any, choices: Mapping[str, str]) -> str:
    if value not in choices:
        raise InvalidArgumentError(f"{name} is {value!r}; it must be one of {', '.join(choices)}")
    return choices[value]


def _removed(nscm: int, ntb: str | None) -> int:
    """Degrees of freedom without motion: the centre of mass, and in vacuum the rotation if it is removed."""
    return 0 if nscm == 0 else 6 if nscm < 0 and ntb == "vacuum" else 3


def _block(kind: type[Block], given: dict[str, Any]) -> Block:
    """A block from what the daemon understood."""
    renamed = RENAMED.get(kind.keyword, {})
    values = {renamed.get(name, name): value for name, value in given.items()}
    if kind is b.MultiBath:
        values["sets"] = [(last, com + 1, ir + 1) for last, com, ir in values.get("sets", ())]
        if values.get("num", 0) < 2:
            values.pop("num", None)
    if kind is b.Constraint:
        for side, algorithm in (("solute", "ntcp"), ("solvent", "ntcs")):
            order = values[algorithm] in (2, "lincs")
            values[f"{algorithm}0"] = values[f"{side}_lincs_order"] if order else values[f"{side}_tolerance"]
    if kind is b.EnergyMin and values["ntem"] in (0, 1):
        values = {name: value for name, value in values.items() if name not in ("cgim", "cgic")}  # not in such a file
    known = kind.fields()
    return kind(**{name: value for name, value in values.items() if name in known})

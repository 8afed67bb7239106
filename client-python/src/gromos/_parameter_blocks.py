"""Every block of an input file that the daemon reads, with its fields. See _blocks.py for what a block is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ._blocks import Bath, Block, DofSet, Lasts, Numbers, OpenWhole, OpenWord, Real, Rows, Switch, Whole, Word

__all__ = ["BLOCKS"]

FORCE_UNIT: Final = "kJ mol^-1 nm^-2"
PRESSURE_UNIT: Final = "kJ mol^-1 nm^-3"
ATMOSPHERE: Final = 0.06102
"""1 atm in kJ mol^-1 nm^-3, as GROMOS files have it."""


class System(Block):
    """SYSTEM: how many molecules."""

    keyword = "SYSTEM"
    npm = Whole("NPM", 1, "copies of the solute", high=1)
    nsm = OpenWhole("NSM", "solvent molecules; None: as many as the System has", high=10**8)


class Initialise(Block):
    """INITIALISE: what is done before the first step."""

    keyword = "INITIALISE"
    ntivel = Whole("NTIVEL", 0, "1: velocities from a Maxwell distribution at TEMPI", high=1)
    ntishk = Whole("NTISHK", 0, "constraints at the start: 1 positions, 2 velocities, 3 both", high=3)
    ntinht = Whole("NTINHT", 0, "1: the Nose-Hoover variables start at zero", high=1)
    ntinhb = Whole("NTINHB", 0, "0", high=0, only="there is no Nose-Hoover barostat")
    ntishi = Whole("NTISHI", 1, "1: lattice shifts start at zero; 0: from the configuration", high=1)
    ntirtc = Whole("NTIRTC", 0, "1: the reference of roto-translational constraints is the start", high=1)
    nticom = Whole("NTICOM", 0, "1: the centre of mass is stopped; 2: its rotation too", high=2)
    ntisti = Whole("NTISTI", 0, "1: stochastic integrals and the generator start anew", high=1)
    ig = Whole("IG", 210185, "seed of the random numbers")
    tempi = Real("TEMPI", 0.0, "temperature of the initial velocities", high=1e6, unit="K")


class Step(Block):
    """STEP: how long."""

    keyword = "STEP"
    nstlim = Whole("NSTLIM", 1000, "steps")
    t = Real("T", -1.0, "time at the start; -1: the configuration's", low=-1.0, unit="ps")
    dt = Real("DT", 0.002, "time step", low=1e-12, high=1.0, unit="ps")


class BoundCond(Block):
    """BOUNDCOND: the box."""

    keyword = "BOUNDCOND"
    ntb = OpenWord("NTB", {"truncoct": -1, "vacuum": 0, "rectangular": 1, "triclinic": 2}, "periodicity")
    ndfmin = OpenWhole("NDFMIN", "degrees of freedom taken off; None: what COMTRANSROT removes")


class MultiBath(Block):
    """MULTIBATH: thermostats."""

    keyword = "MULTIBATH"
    algorithm = Word("ALGORITHM", "weak-coupling", {"weak-coupling": 0, "nose-hoover": 1, "nose-hoover-chains": 2, "bussi": 3}, "thermostat")
    num = Whole("NUM", 3, "length of Nose-Hoover chains", low=2, high=32)
    baths = Rows("NBATHS", Bath, ((0.0, 1e6), (-1.0, 1e12)), "temperature (K) and coupling time (ps; -1: none) of each bath")
    sets = Rows(
        "DOFSET", DofSet, ((1, 1e18), (1, 32), (1, 32)), "last atom, bath of the molecules' motion, bath of the rest; none: all atoms, bath 1"
    )

    def lines(self) -> Iterator[str]:
        yield "# ALGORITHM"
        yield f"  {self.algorithm}" + (f"\n# NUM\n  {self.num}" if self.algorithm == "nose-hoover-chains" else "")
        yield "# NBATHS; TEMP0 TAU"
        yield MultiBath.baths.render(self.baths)
        yield "# DOFSET; LAST COM-BATH IR-BATH"
        yield MultiBath.sets.render(self.sets)


class PressureScale(Block):
    """PRESSURESCALE: the barostat."""

    keyword = "PRESSURESCALE"
    couple = Word("COUPLE", "scale", {"off": 0, "calc": 1, "scale": 2}, "nothing, pressure computed, box scaled")
    scale = Word("SCALE", "iso", {"off": 0, "iso": 1, "aniso": 2, "full": 3, "semianiso": 4}, "which way")
    comp = Real("COMP", 4.575e-4, "isothermal compressibility", unit="(kJ mol^-1 nm^-3)^-1")
    taup = Real("TAUP", 0.5, "coupling time", unit="ps")
    virial = Word("VIRIAL", "molecular", {"none": 0, "atomic": 1, "molecular": 2}, "virial")
    semi = Numbers("SEMI", (1, 1, 2), "which edges go together in semi-anisotropic scaling; 0: kept", whole=True)
    pres0 = Numbers("PRES0", (ATMOSPHERE, 0.0, 0.0, 0.0, ATMOSPHERE, 0.0, 0.0, 0.0, ATMOSPHERE), "reference pressure, row by row", PRESSURE_UNIT)


class ComTransRot(Block):
    """COMTRANSROT: removal of the whole system's motion."""

    keyword = "COMTRANSROT"
    nscm = Whole("NSCM", 0, "0: never; n: translation every n steps; -n: rotation too", low=None)


class PrintOut(Block):
    """PRINTOUT"""

    keyword = "PRINTOUT"
    ntpr = Whole("NTPR", 0, "steps between lines of output")
    ntpp = Whole("NTPP", 0, "0", high=0, only="transitions of dihedrals are not monitored")


class WriteTraj(Block):
    """WRITETRAJ: steps between what is written to files; 0: never."""

    keyword = "WRITETRAJ"
    ntwx = Whole("NTWX", 0, "positions (trc)")
    ntwse = Whole("NTWSE", 0, "0", high=0, only="frames are not selected by energy")
    ntwv = Whole("NTWV", 0, "velocities (trv)")
    ntwf = Whole("NTWF", 0, "forces (trf)")
    ntwe = Whole("NTWE", 0, "energies (tre)")
    ntwg = Whole("NTWG", 0, "0", high=0, only="there is no free-energy trajectory")
    ntwb = Whole("NTWB", 0, "0", high=0, only="there are no block averages")


CONSTRAINT_PARAMETERS: Final = ("off", "shake", "lincs", "flexshake", "settle", "m_shake")


class Constraint(Block):
    """CONSTRAINT: which distances are rigid, and how."""

    keyword = "CONSTRAINT"
    ntc = Word(
        "NTC",
        "all",
        {"off": 0, "solvent": 1, "hydrogen": 2, "all": 3, "specified": 4},
        "rigid: solvent, also bonds with hydrogen, all bonds; or what the topology's CONSTRAINT block lists (which 2 and 3 add, too)",
        numbers=True,
    )
    ntcp = Word("NTCP", "shake", {"off": 0, "shake": 1, "lincs": 2, "flexshake": 3}, "algorithm of the solute")
    ntcp0 = Real("NTCP0", 1e-4, "its relative tolerance; of lincs the order", low=1e-15, high=1e3)
    flexible_start = Whole("NTCP0(2)", 0, "flexshake: 1 lengths go on changing as the start's velocities say", high=1)
    flexible_mode = Whole("NTCP0(3)", 0, "flexshake: 0 lengths answer to kinetic and potential energy, 1 to forces only", high=1)
    ntcs = Word("NTCS", "shake", {"off": 0, "shake": 1, "lincs": 2, "settle": 4, "m_shake": 5}, "algorithm of the solvent")
    ntcs0 = Real("NTCS0", 1e-4, "its relative tolerance; of lincs the order", low=1e-15, high=1e3)

    def lines(self) -> Iterator[str]:
        yield "# NTC"
        yield f"  {Constraint.ntc.number(self.ntc)}"
        yield "# NTCP NTCP0"
        flexible = f" {self.flexible_start} {self.flexible_mode}" if self.ntcp == "flexshake" else ""
        yield f"  {_algorithm(self.ntcp, self.ntcp0)}{flexible}"
        yield "# NTCS NTCS0"
        yield f"  {_algorithm(self.ntcs, self.ntcs0)}"


def _algorithm(name: str, value: float) -> str:
    match name:
        case "off" | "settle":
            return name
        case "lincs":
            return f"{name} {int(value) if value >= 1 else 4}"
    return f"{name} {value!r}"


class Force(Block):
    """FORCE: which terms are computed, and the energy groups."""

    keyword = "FORCE"
    bonds = Switch("NTF(1)", True, "bonds that are not rigid")
    angles = Switch("NTF(2)", True, "angles")
    impropers = Switch("NTF(3)", True, "improper dihedrals")
    dihedrals = Switch("NTF(4)", True, "proper dihedrals")
    electrostatic = Switch("NTF(5)", True, "electrostatics")
    vdw = Switch("NTF(6)", True, "van der Waals")
    nre = Lasts("NRE", None, "last atom of each energy group, counted from 1; None: one group")


class CovalentForm(Block):
    """COVALENTFORM: functional forms."""

    keyword = "COVALENTFORM"
    ntbbh = Whole("NTBBH", 0, "bonds: 0 quartic, 1 harmonic", high=1)
    ntbah = Whole("NTBAH", 0, "angles: 0 harmonic in the cosine, 1 harmonic", high=1)
    ntbdn = Whole("NTBDN", 0, "dihedrals: 0 any phase, 1 phases 0 and 180 degrees only", high=1)


class PairList(Block):
    """PAIRLIST"""

    keyword = "PAIRLIST"
    algorithm = Word("ALGORITHM", "grid_cell", {"standard": 0, "grid": 1, "grid_cell": 2}, "how it is made")
    nsnb = Whole("NSNB", 5, "steps between two lists", low=1)
    rcutp = Real("RCUTP", 0.8, "short-range cutoff", unit="nm", high=1e6)
    rcutl = Real("RCUTL", 1.4, "long-range cutoff", unit="nm", high=1e6)
    size = Real("SIZE", 0.0, "grid cell; 0: chosen", unit="nm", high=1e6)
    type = Word("TYPE", "chargegroup", {"chargegroup": 0, "atomic": 1}, "what the cutoff is between")

    def lines(self) -> Iterator[str]:
        yield "# ALGORITHM NSNB RCUTP RCUTL SIZE TYPE"
        yield f"  {self.algorithm} {self.nsnb} {self.rcutp!r} {self.rcutl!r} {self.size or 'auto'} {self.type}"


class Nonbonded(Block):
    """NONBONDED: electrostatics. The lattice-sum fields are read and have no effect."""

    keyword = "NONBONDED"
    nlrele = Whole("NLRELE", 1, "1: reaction field, 0: cutoff, -1: reaction field with atomic cutoff", low=-1, high=1)
    appak = Real("APPAK", 0.0, "inverse Debye length", unit="nm^-1", high=1e6)
    rcrf = Real("RCRF", 1.4, "radius of the reaction field", unit="nm", high=1e6)
    epsrf = Real("EPSRF", 61.0, "permittivity outside; 0: a conductor", high=1e12)
    nslfexcl = Whole("NSLFEXCL", 1, "1: reaction field of self and excluded pairs", high=1)
    nshape = Whole("NSHAPE", -1, "lattice sums", low=-1, high=10)
    ashape = Real("ASHAPE", 1.4, "lattice sums")
    na2clc = Whole("NA2CLC", 2, "lattice sums", high=4)
    tola2 = Real("TOLA2", 1e-10, "lattice sums")
    epsls = Real("EPSLS", 0.0, "lattice sums")
    nkx = Whole("NKX", 10, "lattice sums")
    nky = Whole("NKY", 10, "lattice sums")
    nkz = Whole("NKZ", 10, "lattice sums")
    kcut = Real("KCUT", 100.0, "lattice sums")
    ngx = Whole("NGX", 32, "lattice sums")
    ngy = Whole("NGY", 32, "lattice sums")
    ngz = Whole("NGZ", 32, "lattice sums")
    nasord = Whole("NASORD", 3, "lattice sums", high=5)
    nfdord = Whole("NFDORD", 2, "lattice sums", high=5)
    nalias = Whole("NALIAS", 3, "lattice sums")
    nspord = Whole("NSPORD", 4, "lattice sums")
    nqeval = Whole("NQEVAL", 100000, "lattice sums")
    faccur = Real("FACCUR", 1.6, "lattice sums")
    nrdgrd = Whole("NRDGRD", 0, "lattice sums", high=1)
    nwrgrd = Whole("NWRGRD", 0, "lattice sums", high=1)
    nlrlj = Whole("NLRLJ", 0, "0", high=0, only="there is no long-range correction of Lennard-Jones terms")
    slvdns = Real("SLVDNS", 33.3, "solvent density of that correction")


class PositionRes(Block):
    """POSITIONRES: position restraints."""

    keyword = "POSITIONRES"
    ntpor = Whole("NTPOR", 0, "0 none, 1 restraints, 2 weighted with B-factors, 3 constraints", high=3)
    ntporb = Whole("NTPORB", 0, "1: reference positions and B-factors from the reference file", high=1)
    ntpors = Whole("NTPORS", 0, "1: reference positions are scaled with the box", high=1)
    cpor = Real("CPOR", 0.0, "force constant", unit=FORCE_UNIT)


class DistanceRes(Block):
    """DISTANCERES: distance restraints."""

    keyword = "DISTANCERES"
    ntdir = Whole("NTDIR", 0, "0 none, 1 plain, 2 weighted; negative: time-averaged", low=-2, high=2)
    ntdira = Whole("NTDIRA", 0, "1: averages from the configuration", high=1)
    cdir = Real("CDIR", 0.0, "force constant", unit=FORCE_UNIT)
    dir0 = Real("DIR0", 1.0, "deviation from which the force is constant", unit="nm")
    taudir = Real("TAUDIR", 0.0, "memory of time averages", unit="ps")
    forcescale = Whole("FORCESCALE", 0, "scaling of time-averaged forces", high=2)
    vdir = Whole("VDIR", 0, "1: they count in the virial", high=1)
    ntwdir = Whole("NTWDIR", 0, "steps between what is written (trs)")


class AngleRes(Block):
    """ANGLERES: angle restraints."""

    keyword = "ANGLERES"
    ntalr = Whole("NTALR", 0, "0 none, 1 plain, 2 weighted, 3 constraints", high=3)
    calr = Real("CALR", 0.0, "force constant", unit="kJ mol^-1 deg^-2")
    vares = Whole("VARES", 0, "1: they count in the virial", high=1)
    ntwalr = Whole("NTWALR", 0, "steps between what is written (trs)")
    tolbac = Real("TOLBAC", 1e-4, "tolerance of constraints")


class DihedralRes(Block):
    """DIHEDRALRES: dihedral restraints."""

    keyword = "DIHEDRALRES"
    ntdlr = Whole("NTDLR", 0, "0 none, 1 plain, 2 weighted, 3 constraints", high=3)
    cdlr = Real("CDLR", 0.0, "force constant", unit="kJ mol^-1 deg^-2")
    philin = Real("PHILIN", 180.0, "deviation from which the force is constant", unit="deg", low=-180.0, high=180.0)
    vdih = Whole("VDIH", 0, "1: they count in the virial", high=1)
    ntwdlr = Whole("NTWDLR", 0, "steps between what is written (trs)")
    toldac = Real("TOLDAC", 1e-4, "tolerance of constraints")


class JvalueRes(Block):
    """JVALUERES: J-value restraints."""

    keyword = "JVALUERES"
    ntjvr = Whole("NTJVR", 0, "0 none, 1 and 2 instantaneous, -1 and -2 time-averaged, -3 biquadratic", low=-3, high=2)
    ntjvra = Whole("NTJVRA", 0, "1: averages from the configuration", high=1)
    cjvr = Real("CJVR", 0.0, "force constant", unit="kJ mol^-1 Hz^-2 (Hz^-4)")
    taujvr = Real("TAUJVR", 0.0, "memory of time averages", unit="ps")
    njvrtars = Whole("NJVRTARS", 0, "scaling of time-averaged forces", high=1)
    njvrbiqw = Whole("NJVRBIQW", 0, "weights of the biquadratic form", high=2)
    le = Whole("LE", 0, "1: local elevation instead of the restraints' own form", high=1)
    ngrid = Whole("NGRID", 1, "points of local elevation on the circle", high=1000000)
    delta = Real("DELTA", 0.0, "deviation that costs nothing", unit="Hz")
    ntwjv = Whole("NTWJV", 0, "steps between what is written (trs)")


class StochDyn(Block):
    """STOCHDYN: stochastic dynamics."""

    keyword = "STOCHDYN"
    ntsd = Whole("NTSD", 0, "1: on", high=1)
    ntfr = Whole("NTFR", 1, "friction: 0 none, 1 CFRIC, 2 CFRIC times a factor per atom, 3 by neighbours", high=3)
    nsfr = Whole("NSFR", 0, "steps between two counts of neighbours")
    nbref = Whole("NBREF", 1, "neighbours of a buried atom")
    rcutf = Real("RCUTF", 0.3, "radius in which neighbours count", unit="nm", high=1e6)
    cfric = Real("CFRIC", 91.0, "friction", unit="ps^-1")
    tempsd = Real("TEMPSD", 300.0, "temperature of the random forces", unit="K", high=1e6)


class EnergyMin(Block):
    """ENERGYMIN: minimisation."""

    keyword = "ENERGYMIN"
    ntem = Word(
        "NTEM", "steepest-descent", {"off": 0, "steepest-descent": 1, "fletcher-reeves": 2, "polak-ribiere": 3}, "method", numbers=True
    )
    ncyc = Whole("NCYC", 0, "conjugate gradients: steps between restarts")
    dele = Real("DELE", 0.1, "ends when the energy changes by less", unit="kJ/mol")
    dx0 = Real("DX0", 0.01, "first step", unit="nm")
    dxm = Real("DXM", 0.05, "largest step", unit="nm")
    nmin = Whole("NMIN", 1, "steps at least")
    flim = Real("FLIM", 0.0, "largest force; 0: no limit", unit="kJ mol^-1 nm^-1")
    cgim = Whole("CGIM", 3, "conjugate gradients: interpolations", low=1)
    cgic = Real("CGIC", 1e-3, "conjugate gradients: how near the minimum along the line", unit="nm")

    def lines(self) -> Iterator[str]:
        conjugate = self.ntem in ("fletcher-reeves", "polak-ribiere")
        shown = {name: field for name, field in self.fields().items() if conjugate or name not in ("cgim", "cgic")}
        yield "# " + " ".join(field.keyword for field in shown.values())
        yield "  " + " ".join(field.render(self._values[name]) for name, field in shown.items())


class RotTrans(Block):
    """ROTTRANS: roto-translational constraints."""

    keyword = "ROTTRANS"
    rtc = Whole("RTC", 0, "1: on", high=1)
    rtclast = Whole("RTCLAST", 0, "last atom, counted from 1")


class CGrain(Block):
    """CGRAIN: coarse-grained interactions."""

    keyword = "CGRAIN"
    ntcgran = Whole("NTCGRAN", 0, "1: MARTINI's shifted form", high=1)
    eps = Real("EPS", 20.0, "permittivity between coarse-grained particles")
    epsm = Real("EPSM", 1.0, "permittivity between them and atoms")


class RandomNumbers(Block):
    """RANDOMNUMBERS"""

    keyword = "RANDOMNUMBERS"
    ntrng = Word("NTRNG", "gsl", {"g96": 0, "gsl": 1}, "generator", numbers=True)
    ntgsl = Whole("NTGSL", -1, "-1: mt19937", low=-1, high=-1)


class Gromosd(Block):
    """GROMOSD: what the original has no block for."""

    keyword = "GROMOSD"
    scheme = Word("scheme", "chargegroup", {"chargegroup": 0, "verlet": 1}, "non-bonded scheme")
    buffer = Real("buffer", -1.0, "verlet: list radius beyond the cutoff; -1: chosen", unit="nm", low=-1.0, high=1e3)
    integrator = Word("integrator", "leap-frog", {"leap-frog": 0, "velocity-verlet": 1}, "integrator")
    precision = Word("precision", "float64", {"float64": 0, "float32": 1}, "of positions and forces")
    barostat = Word("barostat", "berendsen", {"berendsen": 0, "stochastic-cell": 1, "parrinello-rahman": 2}, "of PRESSURESCALE")

    def lines(self) -> Iterator[str]:
        for name, field in self.fields().items():
            yield f"{field.keyword} {field.render(self._values[name])}"


BLOCKS: Final[dict[str, type[Block]]] = {
    block.keyword: block
    for block in (
        System, Initialise, Step, BoundCond, MultiBath, PressureScale, ComTransRot, PrintOut, WriteTraj, Constraint, Force, CovalentForm,
        PairList, Nonbonded, PositionRes, DistanceRes, AngleRes, DihedralRes, JvalueRes, StochDyn, EnergyMin, RotTrans, CGrain,
        RandomNumbers, Gromosd,
    )
}  # fmt: skip
"""By their names in the file, in its order."""

"""Reading GROMOS trajectories: energies (.tre), positions (.trc), velocities (.trv) and forces (.trf), plain or gzip.

Files are read here, on this machine, as strictly as the daemon reads its own: what is not understood is an error that names line and
block, and a file that ends in the middle of a frame is one too.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import numpy as np
import numpy.typing as npt

from ._box import Box
from ._errors import FileAccessError, FileFormatError, InvalidArgumentError

__all__ = ["EnergyTrajectory", "Trajectory", "TrajectoryFrame", "iter_trajectory", "read_energies", "read_trajectory"]

Array = npt.NDArray[np.float64]

TOTALS: Final = {
    "total": 0, "kinetic": 1, "potential": 2, "covalent": 3, "bond": 4, "angle": 5, "improper": 6, "dihedral": 7, "crossdihedral": 8,
    "nonbonded": 9, "lj": 10, "coulomb": 11, "special": 20, "constraint": 23, "distance_restraint": 24, "dihedral_restraint": 26,
    "position_restraint": 27, "jvalue_restraint": 28, "angle_restraint": 43,
}  # fmt: skip
"""Place of each named energy in "# totals" of block ENERGY03; the other places belong to methods that are not done here."""
NUM_TOTALS: Final = 52
MAGIC: Final = b"\x1f\x8b"


# --- blocks ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Block:
    """A block's lines without comments and blank ones, each with its number in the file."""

    path: Path
    name: str
    line: int
    lines: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def fault(self, text: str, line: int | None = None) -> NoReturn:
        raise FileFormatError(f"{self.path}:{self.line if line is None else line}: block {self.name}: {text}")

    def values(self) -> Array:
        """All numbers of the block, in their order."""
        try:
            return np.array(" ".join(self.lines).split(), dtype=np.float64)
        except ValueError:
            self._find_fault()

    def _find_fault(self) -> NoReturn:
        for line, number in zip(self.lines, self.numbers, strict=True):
            for word in line.split():
                try:
                    np.float64(word)
                except ValueError:
                    self.fault(f"'{word}' is not a number", number)
        self.fault("it does not hold numbers only")

    def rows(self) -> Array:
        """Three numbers in each line."""
        values = self.values()
        n = len(self.lines)
        if values.size != 3 * n:
            for line, number in zip(self.lines, self.numbers, strict=True):
                if len(line.split()) != 3:
                    self.fault(f"{len(line.split())} values in a line; expected 3", number)
        return values.reshape(n, 3)


def _open(path: Path) -> IO[str]:
    try:
        with open(path, "rb") as file:
            packed = file.read(2) == MAGIC
        return gzip.open(path, "rt", encoding="utf-8", errors="replace") if packed else open(path, encoding="utf-8", errors="replace")
    except OSError as error:
        raise FileAccessError(f"{path} cannot be read: {error.strerror or error}") from None


def _blocks(path: Path) -> Iterator[_Block]:
    block: _Block | None = None
    number = 0
    try:
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                text = line.partition("#")[0].strip()
                if block is None:
                    if text:
                        block = _Block(path, text.split()[0], number)
                elif text == "END":
                    yield block
                    block = None
                elif text or block.name == "TITLE":
                    block.lines.append(text)
                    block.numbers.append(number)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileAccessError):
            raise
        raise FileFormatError(f"{path}:{number + 1}: the compressed file is cut or damaged: {error}") from None
    if block is not None:
        block.fault("the file ends before its END")


def _path(path: str | os.PathLike[str]) -> Path:
    return Path(path).expanduser()


def _timestep(block: _Block) -> tuple[int, float]:
    values = block.values()
    if values.size != 2 or values[0] != np.floor(values[0]):
        block.fault("expected a step number and a time")
    return int(values[0]), float(values[1])


class _Numbers:
    """The numbers of a block, taken one section after the other."""

    def __init__(self, block: _Block) -> None:
        self._block = block
        self._values = block.values()
        self._at = 0

    def take(self, what: str, *shape: int) -> Array:
        count = int(np.prod(shape, dtype=np.int64))
        if self._values.size - self._at < count:
            self._block.fault(f"it ends where {what} should follow")
        self._at += count
        return self._values[self._at - count : self._at].reshape(shape)

    def count(self, what: str) -> int:
        value = float(self.take(what, 1)[0])
        if not 0 <= value <= 4096 or value != int(value):
            self._block.fault(f"{what} is {value:g}; expected a whole number from 0 to 4096")
        return int(value)

    def finish(self) -> None:
        if self._at != self._values.size:
            self._block.fault(f"{self._values.size - self._at} numbers too many")


# --- energies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EnergyTrajectory:
    """The energies of a run, f frames of them: arrays, float64 unless said otherwise.

    An energy by its name is ``e["kinetic"]``, shape (f,), kJ/mol; the names are `names`.

    Attributes
    ----------
    path : Path
    steps : (f,) int64
    times : (f,)
        ps
    totals : (f, 52)
        kJ/mol, as the file has them; `names` says which is which.
    baths : (f, b, 3)
        Kinetic energy of each temperature bath, of its centres of mass, and of the rest; kJ/mol.
    bonded : (f, g, 5)
        Bonds, angles, impropers, dihedrals, cross dihedrals of each energy group; kJ/mol.
    nonbonded : (f, g (g + 1) / 2, 6)
        Lennard-Jones, electrostatic and the parts of lattice sums for each pair of `pairs`; kJ/mol.
    special : (f, g, 13)
        Constraints, position, distance, distance-field, angle and dihedral restraints, ... of each group; kJ/mol.
    pairs : (g (g + 1) / 2, 2) int64
        Energy groups of each pair, from 0.
    mass : (f,)
        u. This and what follows is None where the file has no block VOLUMEPRESSURE03.
    temperatures : (f, b, 4)
        Of all, of the centres of mass, of the rest, K; and the factor velocities were scaled by.
    volume : (f,)
        nm^3
    boxes : (f, 3, 3)
        Rows a, b, c; nm. A truncated octahedron appears as its triclinic cell.
    pressure, virial, molecular_kinetic : (f,)
        kJ mol^-1 nm^-3, kJ/mol, kJ/mol
    pressure_tensor, virial_tensor, molecular_kinetic_tensor : (f, 3, 3)
        The same units.
    """

    path: Path
    steps: npt.NDArray[np.int64]
    times: Array
    totals: Array
    baths: Array
    bonded: Array
    nonbonded: Array
    special: Array
    pairs: npt.NDArray[np.int64]
    mass: Array | None
    temperatures: Array | None
    volume: Array | None
    boxes: Array | None
    pressure: Array | None
    virial: Array | None
    molecular_kinetic: Array | None
    pressure_tensor: Array | None
    virial_tensor: Array | None
    molecular_kinetic_tensor: Array | None

    @property
    def names(self) -> tuple[str, ...]:
        """What stands in `totals` by name."""
        return tuple(TOTALS)

    def __getitem__(self, name: str) -> Array:
        if name not in TOTALS:
            raise InvalidArgumentError(f"name is {name!r}; there are {', '.join(TOTALS)}")
        return self.totals[:, TOTALS[name]]

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"<gromos.EnergyTrajectory {self.path}: {len(self)} frames, {self.baths.shape[1]} baths, {self.bonded.shape[1]} energy groups>"


ENERGY_FIELDS: Final = ("totals", "baths", "bonded", "nonbonded", "special")
VOLUME_FIELDS: Final = (
    "mass", "temperatures", "volume", "boxes", "pressure", "virial", "molecular_kinetic", "pressure_tensor", "virial_tensor",
    "molecular_kinetic_tensor",
)  # fmt: skip


def _energy_block(block: _Block) -> dict[str, Array]:
    numbers = _Numbers(block)
    found = {"totals": numbers.take("a total energy", NUM_TOTALS)}
    found["baths"] = numbers.take("a bath's kinetic energy", numbers.count("the number of baths"), 3)
    groups = numbers.count("the number of energy groups")
    found["bonded"] = numbers.take("a bonded energy", groups, 5)
    found["nonbonded"] = numbers.take("a non-bonded energy", groups * (groups + 1) // 2, 6)
    found["special"] = numbers.take("a special energy", groups, 13)
    # Methods that are not done here: counted, and passed over.
    for what, columns in (("the number of EDS states", 6), ("the number of acceleration groups", 5), ("the number of lambdas", 12)):
        numbers.take(f"what {what} announces", numbers.count(what), columns)
    numbers.take("an energy of ABdih", 2)
    numbers.finish()
    return found


def _volume_block(block: _Block, baths: int) -> dict[str, Array]:
    numbers = _Numbers(block)
    found = {"mass": numbers.take("the mass")}
    count = numbers.count("the number of baths")
    if count != baths:
        block.fault(f"{count} baths; block ENERGY03 of the frame has {baths}")
    found["temperatures"] = numbers.take("a bath's temperature", count, 4)
    found["volume"] = numbers.take("the volume")
    found["boxes"] = numbers.take("a box vector", 3, 3)
    for name in ("pressure", "virial", "molecular_kinetic"):
        found[name] = numbers.take(f"the {name}")
    for name in ("pressure_tensor", "virial_tensor", "molecular_kinetic_tensor"):
        found[name] = numbers.take(f"the {name}", 3, 3)
    numbers.finish()
    return found


def read_energies(path: str | os.PathLike[str]) -> EnergyTrajectory:
    """Read a GROMOS energy trajectory (.tre, also gzip), as a run here or the original writes it.

    Parameters
    ----------
    path : path

    Returns
    -------
    EnergyTrajectory
        With as many frames as the file has.

    Raises
    ------
    FileAccessError, FileFormatError
        The message names line and block.

    Examples
    --------
    >>> import gromos, tempfile
    >>> from pathlib import Path
    >>> data = Path(gromos.__file__).parent / "data"
    >>> params = gromos.InputParameters.from_file(data / "alanine.imd")
    >>> params.writetraj.ntwe = 1
    >>> system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", params)
    >>> folder = tempfile.TemporaryDirectory()
    >>> job = gromos.Simulation(system, params).run(3, wait=True, progress=False, tre=Path(folder.name) / "run.tre")
    >>> e = gromos.read_energies(Path(folder.name) / "run.tre")
    >>> e.steps, e["potential"].shape, e.baths.shape
    (array([0, 1, 2]), (3,), (3, 2, 3))
    >>> folder.cleanup()
    """
    file = _path(path)
    steps: list[tuple[int, float]] = []
    frames: list[dict[str, Array]] = []
    due = False  # TIMESTEP was read, ENERGY03 not yet
    for block in _blocks(file):
        if block.name == "TIMESTEP" and not due:
            steps.append(_timestep(block))
            due = True
        elif block.name == "ENERGY03" and due:
            frames.append(_energy_block(block))
            if frames[0]["baths"].shape != frames[-1]["baths"].shape or frames[0]["bonded"].shape != frames[-1]["bonded"].shape:
                block.fault("its baths or energy groups are not as many as in the first frame")
            due = False
        elif block.name == "VOLUMEPRESSURE03" and frames and not due and "mass" not in frames[-1]:
            frames[-1] |= _volume_block(block, frames[-1]["baths"].shape[0])
        elif block.name not in ("TITLE", "ENEVERSION"):
            block.fault("not expected here; a frame is TIMESTEP, ENERGY03 and VOLUMEPRESSURE03")
    if due:
        raise FileFormatError(f"{file}: the last frame has no block ENERGY03: the file was cut")
    if not frames:
        raise FileFormatError(f"{file}: there is no frame in it (blocks TIMESTEP and ENERGY03)")
    whole = {name: np.stack([frame[name] for frame in frames]) for name in ENERGY_FIELDS}
    volumes: dict[str, Any] = {name: np.stack([frame[name] for frame in frames]) if all(name in f for f in frames) else None for name in VOLUME_FIELDS}
    groups = whole["bonded"].shape[1]
    return EnergyTrajectory(
        path=file,
        steps=np.array([step for step, _ in steps], np.int64),
        times=np.array([time for _, time in steps]),
        pairs=np.array([(i, j) for i in range(groups) for j in range(i, groups)], np.int64).reshape(-1, 2),
        **whole,
        **volumes,
    )


# --- vectors ---------------------------------------------------------------------------------------------------------

VECTORS: Final = {
    "POSITIONRED": "positions", "VELOCITYRED": "velocities", "FREEFORCERED": "forces", "CONSFORCERED": "constraint_forces",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrajectoryFrame:
    """One frame of a trajectory; what it does not hold is None.

    Attributes
    ----------
    step : int
    time : float
        ps
    positions : (n, 3) float64
        nm
    velocities : (n, 3) float64
        nm/ps
    forces, constraint_forces : (n, 3) float64
        kJ mol^-1 nm^-1
    box : Box
    """

    step: int
    time: float
    positions: Array | None = None
    velocities: Array | None = None
    forces: Array | None = None
    constraint_forces: Array | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Trajectory:
    """A whole trajectory, f frames of n atoms; what the file does not hold is None.

    Attributes
    ----------
    path : Path
    steps : (f,) int64
    times : (f,) float64
        ps
    positions : (f, n, 3) float64
        nm
    velocities : (f, n, 3) float64
        nm/ps
    forces, constraint_forces : (f, n, 3) float64
        kJ mol^-1 nm^-1
    boxes : list of Box
    """

    path: Path
    steps: npt.NDArray[np.int64]
    times: Array
    positions: Array | None
    velocities: Array | None
    forces: Array | None
    constraint_forces: Array | None
    boxes: list[Box] | None

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        held = [name for name in VECTORS.values() if getattr(self, name) is not None]
        return f"<gromos.Trajectory {self.path}: {len(self)} frames of {', '.join(held)}>"


def _rotation(degrees: Array) -> Array:
    """Rz(phi) Ry(theta) Rx(psi), as GENBOX means its Euler angles."""
    (cf, ct, cp), (sf, st, sp) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    z = np.array([[cf, -sf, 0.0], [sf, cf, 0.0], [0.0, 0.0, 1.0]])
    y = np.array([[ct, 0.0, st], [0.0, 1.0, 0.0], [-st, 0.0, ct]])
    x = np.array([[1.0, 0.0, 0.0], [0.0, cp, -sp], [0.0, sp, cp]])
    return np.asarray(z @ y @ x, np.float64)


def _box(block: _Block) -> Box:
    numbers = _Numbers(block)
    kind = float(numbers.take("the type of the box", 1)[0])
    lengths, angles, euler = (numbers.take(what, 3) for what in ("the lengths", "the angles", "the Euler angles"))
    numbers.take("the origin", 3)
    numbers.finish()
    try:
        match kind:
            case 0.0:
                return Box.vacuum()
            case 1.0:
                return Box.rectangular(*lengths.tolist())
            case -1.0:
                return Box.truncated_octahedron(float(lengths[0]))
            case 2.0:
                upright = Box.from_lengths_and_angles(lengths.tolist(), angles.tolist())
                return Box.triclinic(np.asarray(upright.vectors) @ _rotation(euler).T) if euler.any() else upright
    except InvalidArgumentError as error:
        block.fault(str(error))
    block.fault(f"the type of the box is {kind:g}; expected 0, 1, 2 or -1")


def iter_trajectory(path: str | os.PathLike[str]) -> Iterator[TrajectoryFrame]:
    """Frame by frame through a GROMOS trajectory of positions, velocities or forces (.trc, .trv, .trf, also gzip).

    Only one frame is in memory at a time. Frames before one that is damaged are given before the error is raised.

    Parameters
    ----------
    path : path

    Yields
    ------
    TrajectoryFrame

    Raises
    ------
    FileAccessError, FileFormatError
        The message names line and block.
    """
    file = _path(path)
    when: tuple[int, float] | None = None
    held: dict[str, Array] = {}
    box: Box | None = None

    def frame() -> TrajectoryFrame:
        assert when is not None
        return TrajectoryFrame(when[0], when[1], box=box, **held)

    for block in _blocks(file):
        name = VECTORS.get(block.name)
        if block.name == "TIMESTEP":
            if when is not None:
                if not held:
                    block.fault("the frame before it holds nothing")
                yield frame()
            when, held, box = _timestep(block), {}, None
        elif name is not None and when is not None and name not in held:
            held[name] = block.rows()
            if len({len(rows) for rows in held.values()}) > 1:
                block.fault(f"{len(held[name])} rows; the frame has {len(next(iter(held.values())))} atoms")
        elif block.name == "GENBOX" and when is not None and box is None:
            box = _box(block)
        elif block.name != "TITLE":
            block.fault("not expected here; a frame is TIMESTEP, vectors and GENBOX")
    if when is not None:
        if not held:
            raise FileFormatError(f"{file}: the last frame holds nothing: the file was cut")
        yield frame()


def read_trajectory(path: str | os.PathLike[str], *, every: int = 1) -> Trajectory:
    """Read a GROMOS trajectory of positions, velocities or forces (.trc, .trv, .trf, also gzip) as a whole.

    Parameters
    ----------
    path : path
    every : int
        Of the file's frames only each so many-th is kept, the first among them.

    Returns
    -------
    Trajectory

    Raises
    ------
    FileAccessError, FileFormatError
        The message names line and block; also where frames do not hold the same.

    See Also
    --------
    iter_trajectory : one frame at a time, for files larger than memory
    """
    if every < 1:
        raise InvalidArgumentError(f"every is {every}; expected 1 or more")
    file = _path(path)
    frames: list[TrajectoryFrame] = []
    for number, frame in enumerate(iter_trajectory(file)):
        if number % every:
            continue
        if frames and _shape(frame) != _shape(frames[0]):
            raise FileFormatError(f"{file}: the frame of step {frame.step} does not hold what the first one holds, or of other atoms")
        frames.append(frame)
    if not frames:
        raise FileFormatError(f"{file}: there is no frame in it (blocks TIMESTEP and one of {', '.join(VECTORS)})")
    vectors = {name: np.stack([getattr(f, name) for f in frames]) if getattr(frames[0], name) is not None else None for name in VECTORS.values()}
    boxes = [frame.box for frame in frames if frame.box is not None]
    return Trajectory(
        path=file,
        steps=np.array([frame.step for frame in frames], np.int64),
        times=np.array([frame.time for frame in frames]),
        boxes=boxes or None,
        **vectors,
    )


def _shape(frame: TrajectoryFrame) -> list[object]:
    held = [getattr(frame, name) for name in VECTORS.values()]
    return [None if rows is None else rows.shape for rows in held] + [frame.box is None]

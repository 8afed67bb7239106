"""Reading GROMOS special trajectories (.trs): what restraints were like along a run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from ._errors import FileFormatError
from ._trajectory import Array, _Block, _blocks, _path, _timestep

__all__ = ["SpecialTrajectory", "read_special"]

DATA: Final = {"DISRESDATA": ("distances", 3), "ANGRESDATA": ("angles", 2), "DIHRESDATA": ("dihedrals", 2)}
"""Blocks with a number of rows, then rows of so many numbers."""


@dataclass(frozen=True, slots=True)
class SpecialTrajectory:
    """The restraints along a run, f frames of them; what the file does not hold is None.

    Attributes
    ----------
    path : Path
    steps : (f,) int64
    times : (f,) float64
        ps
    distances : (f, m, 3) float64
        Of each distance restraint the distance (nm), its energy (kJ/mol), and the averaged distance (nm; 0 without averaging).
    angles, dihedrals : (f, m, 2) float64
        Of each restraint the angle (degrees) and its energy (kJ/mol).
    jvalue_atoms : (m, 4) int64
        Atoms of each J-value restraint, from 0.
    jvalues : (f, m) float64
        Averaged J-values, Hz.
    jvalue_elevations : (f, m, g) float64
        Of local elevation: how far each point of its grid is raised.
    """

    path: Path
    steps: npt.NDArray[np.int64]
    times: Array
    distances: Array | None
    angles: Array | None
    dihedrals: Array | None
    jvalue_atoms: npt.NDArray[np.int64] | None
    jvalues: Array | None
    jvalue_elevations: Array | None

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        held = [name for name in ("distances", "angles", "dihedrals", "jvalues") if getattr(self, name) is not None]
        return f"<gromos.SpecialTrajectory {self.path}: {len(self)} frames of {', '.join(held) or 'nothing'}>"


def _data(block: _Block, columns: int) -> Array:
    values = block.values()
    if values.size == 0 or values.size - 1 != columns * values[0]:
        block.fault(f"expected the number of restraints, and {columns} numbers of each")
    return values[1:].reshape(-1, columns)


def _atoms(block: _Block, rows: Array) -> Array:
    """From 1 in the file."""
    if (rows < 1).any() or (rows != np.floor(rows)).any():
        block.fault("expected the numbers of four atoms")
    return rows - 1


def _jvalues(block: _Block) -> dict[str, Array]:
    values = block.values()
    if values.size != 5 * len(block.lines):
        block.fault("expected four atoms and an averaged J-value in each line")
    rows = values.reshape(-1, 5)
    return {"jvalue_atoms": _atoms(block, rows[:, :4]), "jvalues": rows[:, 4]}


def _elevations(block: _Block) -> dict[str, Array]:
    """A line of four atoms, and one of the grid's points, in turn."""
    values, pairs = block.values(), len(block.lines) // 2
    width = values.size // pairs - 4 if pairs else 0
    if len(block.lines) != 2 * pairs or width < 1 or values.size != pairs * (4 + width):
        block.fault("expected four atoms in a line and a grid in the next, alike for all")
    rows = values.reshape(pairs, 4 + width)
    _atoms(block, rows[:, :4])
    return {"jvalue_elevations": rows[:, 4:]}


def _take(block: _Block, held: dict[str, Array]) -> None:
    """Into the frame, unless it is there already."""
    if block.name in DATA:
        name, columns = DATA[block.name]
        found = {name: _data(block, columns)}
    elif block.name == "JVALUERESEXPAVE":
        found = _jvalues(block)
    elif block.name == "JVALUERESEPS":
        found = _elevations(block)
    else:
        block.fault(f"not expected here; a frame is TIMESTEP and some of {', '.join(DATA)}, JVALUERESEXPAVE, JVALUERESEPS")
    if held.keys() & found.keys():
        block.fault("the frame has it already")
    held |= found


def read_special(path: str | os.PathLike[str]) -> SpecialTrajectory:
    """Read a GROMOS special trajectory (.trs, also gzip): the restraints of a run here or of the original.

    Parameters
    ----------
    path : path

    Returns
    -------
    SpecialTrajectory
        With as many frames as the file has.

    Raises
    ------
    FileAccessError, FileFormatError
        The message names line and block; also where frames do not hold the same.

    Examples
    --------
    >>> import gromos, tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "run.trs"
    ...     _ = file.write_text("TIMESTEP\\n 0 0.0\\nEND\\nDISRESDATA\\n1\\n 0.31 0.5 0.0\\nEND\\n")
    ...     s = gromos.read_special(file)
    >>> s.steps, s.distances
    (array([0]), array([[[0.31, 0.5 , 0.  ]]]))
    """
    file = _path(path)
    steps: list[tuple[int, float]] = []
    frames: list[dict[str, Array]] = []
    for block in _blocks(file):
        if block.name == "TIMESTEP":
            _check_alike(file, steps, frames)
            steps.append(_timestep(block))
            frames.append({})
        elif frames:
            _take(block, frames[-1])
        elif block.name != "TITLE":
            block.fault("it stands before the first TIMESTEP")
    if not frames:
        raise FileFormatError(f"{file}: there is no frame in it (block TIMESTEP)")
    _check_alike(file, steps, frames)
    whole = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
    atoms = whole.pop("jvalue_atoms", None)
    names = (*(name for name, _ in DATA.values()), "jvalues", "jvalue_elevations")
    return SpecialTrajectory(
        path=file,
        steps=np.array([step for step, _ in steps], np.int64),
        times=np.array([time for _, time in steps]),
        jvalue_atoms=None if atoms is None else atoms[0].astype(np.int64),
        **{name: whole.get(name) for name in names},
    )


def _check_alike(file: Path, steps: list[tuple[int, float]], frames: list[dict[str, Array]]) -> None:
    """The last frame against the first."""
    if not frames:
        return
    first, last = frames[0], frames[-1]
    alike = {name: rows.shape for name, rows in first.items()} == {name: rows.shape for name, rows in last.items()}
    if not alike or not np.array_equal(first.get("jvalue_atoms", np.zeros(0)), last.get("jvalue_atoms", np.zeros(0))):
        raise FileFormatError(f"{file}: the frame of step {steps[-1][0]} does not hold what the first one holds")

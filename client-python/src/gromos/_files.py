"""Files in and out: GROMOS formats by the daemon, others through MDAnalysis with units converted.

MDAnalysis counts in Angstrom, ps, Angstrom/ps and kJ/(mol Angstrom); everything here is nm, ps, nm/ps and kJ/(mol nm).
"""

from __future__ import annotations

import gzip
import os
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import _ext
from ._box import Box, BoxKind
from ._errors import FileAccessError, FileFormatError, InvalidArgumentError, UnsupportedError
from ._progress import track
from ._protocol import Commands
from ._session import Dtype, Session, chosen_session

if TYPE_CHECKING:
    from ._state import State

GROMOS_SUFFIXES: Final = (".cnf", ".g96")
ANGSTROM_PER_NM: Final = 10.0


def _suffix(path: Path) -> str:
    """The ending that tells the format; a .gz behind it does not."""
    name = path.name.lower()
    return Path(name.removesuffix(".gz")).suffix


def _file(path: str | os.PathLike[str]) -> Path:
    """The path in full, of what may be a file."""
    if not os.fspath(path):
        raise InvalidArgumentError("the path of the file is empty")
    file = Path(path).expanduser().absolute()
    if file.is_dir():
        raise FileAccessError(f"{file} is a directory")
    return file


def load(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    dtype: Dtype = "float32",
    session: Session | None = None,
    num_temp_groups: int = 1,
    num_energy_groups: int = 1,
    frame: int = 0,
    topology: str | os.PathLike[str] | None = None,
) -> State:
    """Read a file into a new State.

    GROMOS configurations (.cnf, .g96) are read by the daemon: positions, velocities, box, step and time. Everything else MDAnalysis
    reads (.gro, .pdb, .xtc, ...) comes through it, with units converted and masses where it knows them.

    Parameters
    ----------
    path : path
        The format follows from its ending.
    name : str, optional
        Of the new State.
    dtype : {"float32", "float64"}
    session : Session, optional
    num_temp_groups, num_energy_groups : int
    frame : int
        Which frame of a trajectory; counts from 0, negative from the end.
    topology : path, optional
        For formats that hold coordinates only (.xtc, .trr, .dcd): a file MDAnalysis takes atoms from.

    Returns
    -------
    State

    Raises
    ------
    FileAccessError, FileFormatError
        The message names line and block.
    UnsupportedError
        The format needs MDAnalysis, which is not installed.
    """
    from ._state import State

    session = chosen_session(session)
    file = _file(path)
    if _suffix(file) in GROMOS_SUFFIXES:
        if frame != 0:
            raise UnsupportedError(f"{file.name}: only the first frame of a GROMOS configuration is read")
        return load_gromos(
            file, name=name, dtype=dtype, session=session, num_temp_groups=num_temp_groups, num_energy_groups=num_energy_groups
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about guessed elements and missing fields: nothing a State holds
        universe = _universe(file, None if topology is None else _file(topology))
        contents = _contents(universe, frame, file)
    state = State(
        len(contents["positions"]),
        num_temp_groups,
        num_energy_groups,
        name=name,
        dtype=dtype,
        session=session,
    )
    try:
        state.set(**contents)
    except BaseException:
        state.delete()  # or one with a name would stay, empty
        raise
    return state


def _mdanalysis() -> Any:
    try:
        import MDAnalysis  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        raise UnsupportedError(
            "this format is read and written through MDAnalysis, which is not installed: pip install 'gromos[mdanalysis]'; GROMOS "
            "configurations (.cnf, .g96) need nothing"
        ) from None
    return MDAnalysis


def _universe(file: Path, topology: Path | None) -> Any:
    mda = _mdanalysis()
    for path in (file, topology):
        if path is not None and not os.access(path, os.R_OK):
            raise FileAccessError(f"{path} does not exist or cannot be read")
        if path is not None and not _suffix(path):
            raise UnsupportedError(f"{path}: the format follows from the ending (.cnf, .g96, .gro, .pdb, ...), and this name has none")
    try:
        return mda.Universe(str(topology), str(file)) if topology is not None else mda.Universe(str(file))
    except Exception as error:
        raise FileFormatError(f"{file}: MDAnalysis cannot read it: {error}") from error


def _contents(universe: Any, frame: int, file: Path) -> dict[str, Any]:
    try:
        universe.trajectory[frame]
    except (IndexError, EOFError, OSError) as error:
        raise InvalidArgumentError(f"{file} has {len(universe.trajectory)} frames, not number {frame}: {error}") from None
    step = universe.trajectory.ts
    contents: dict[str, Any] = {
        "positions": step.positions.astype(np.float64) / ANGSTROM_PER_NM,
        "box": Box.from_mdanalysis(step.dimensions),
        "time": float(step.time),
    }
    if "step" in step.data:
        contents["step"] = int(step.data["step"])
    if step.has_velocities:
        contents["velocities"] = step.velocities.astype(np.float64) / ANGSTROM_PER_NM
    if step.has_forces:
        contents["forces"] = step.forces.astype(np.float64) * ANGSTROM_PER_NM
    masses = getattr(universe.atoms, "masses", None)
    if masses is not None and len(masses) > 0 and np.isfinite(masses).all() and (np.asarray(masses) > 0).all():
        contents["masses"] = np.asarray(masses, dtype=np.float64)
    return contents


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's contents, uncompressed.

    Raises
    ------
    FileAccessError, FileFormatError
    """
    name = os.fspath(path)
    try:
        data = Path(path).expanduser().read_bytes()
    except OSError as error:
        raise FileAccessError(f"{name} cannot be read: {error.strerror}") from None
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"{name} is not a whole gzip file: {error}") from None


def checked_text(text: str) -> bytes:
    """The bytes of a file that is given as text.

    Raises
    ------
    InvalidArgumentError
    """
    if not isinstance(text, str):
        raise InvalidArgumentError(f"'text' must be the text of a file, not {type(text).__name__}")
    return text.encode(errors="surrogateescape")


def load_gromos(
    path: str | os.PathLike[str], *, name: str | None, dtype: Dtype, session: Session, num_temp_groups: int, num_energy_groups: int
) -> State:
    """Read a GROMOS configuration, whatever its name."""
    from ._state import State

    file = Path(path).expanduser().absolute()
    groups = {"num_temperature_groups": num_temp_groups, "num_energy_groups": num_energy_groups}
    loaded = State.__new__(State)
    if session.local:
        loaded._open(session, session.commands.state_load(path=str(file), name=name, dtype=dtype, **groups).state)
    else:
        # The daemon is on another machine: the file travels.
        data = np.frombuffer(read_bytes(file), np.uint8)
        loaded._open(session, session.commands.state_read(data=data, file=str(file), name=name, dtype=dtype, **groups).state)
    return loaded


def save(
    state: State,
    path: str | os.PathLike[str],
    *,
    title: str | None = None,
    names: Any = None,
    resnames: Any = None,
    resids: Any = None,
) -> None:
    """See `State.to_file`."""
    file = _file(path)
    if _suffix(file) in GROMOS_SUFFIXES:
        if not state.session.local:
            raise UnsupportedError(f"{file.name}: a daemon on another machine writes GROMOS files there only; use a local session")
        options = {} if title is None else {"title": title}
        Commands.state_save(state, state._identity, path=str(file), **options)
        return
    write_frames(file, [state.snapshot()], state.masses(), names=names, resnames=resnames, resids=resids)


def write_frames(
    path: str | os.PathLike[str],
    frames: Any,
    masses: Any = None,
    *,
    names: Any = None,
    resnames: Any = None,
    resids: Any = None,
) -> None:
    """Write frames (one for a structure file, any number for a trajectory) through MDAnalysis, units converted."""
    mda = _mdanalysis()
    file = Path(path)
    writer = None
    if not _suffix(file):
        raise UnsupportedError(f"{file}: the format follows from the ending (.cnf, .g96, .gro, .pdb, ...), and this name has none")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for frame in track(frames, None, f"writing {file.name}", "frame"):
                universe = _empty_universe(mda, frame, masses, names, resnames, resids)
                if writer is None:
                    writer = mda.Writer(str(file), n_atoms=frame.num_atoms())
                writer.write(universe.atoms)
    except (OSError, PermissionError) as error:
        raise FileAccessError(f"{file} cannot be written: {error}") from error
    except (TypeError, ValueError, NotImplementedError) as error:
        raise UnsupportedError(f"{file}: MDAnalysis cannot write it: {error}") from error
    finally:
        if writer is not None:
            writer.close()


def _empty_universe(mda: Any, frame: Any, masses: Any, names: Any, resnames: Any, resids: Any) -> Any:
    n = frame.num_atoms()
    residues = np.asarray(resids) if resids is not None else np.ones(n, dtype=int)
    if residues.shape != (n,):
        raise InvalidArgumentError(f"'resids' has shape {residues.shape}; it must be ({n},)")
    distinct, index = np.unique(residues, return_inverse=True)
    universe = mda.Universe.empty(n, n_residues=len(distinct), atom_resindex=index, trajectory=True, velocities=True)
    universe.add_TopologyAttr("names", [str(x) for x in names] if names is not None else ["X"] * n)
    universe.add_TopologyAttr("resids", distinct)
    per_residue = ["SYS"] * len(distinct)
    if resnames is not None:
        for atom, residue in enumerate(index):
            per_residue[residue] = str(resnames[atom])
    universe.add_TopologyAttr("resnames", per_residue)
    if masses is not None:
        universe.add_TopologyAttr("masses", np.asarray(masses))
    box: Box = frame.box
    positions = np.asarray(frame.positions(), dtype=np.float64)
    velocities = np.asarray(frame.velocities(), dtype=np.float64) if frame.has(_ext.VELOCITIES) else np.zeros((n, 3))
    if box.kind is not BoxKind.VACUUM:
        try:
            dimensions = box.to_mdanalysis()
        except InvalidArgumentError:
            box, rotation = box.to_triclinic().to_standard()
            positions, velocities = positions @ rotation.T, velocities @ rotation.T
            dimensions = box.to_mdanalysis()
        universe.dimensions = dimensions
    universe.atoms.positions = positions * ANGSTROM_PER_NM
    universe.atoms.velocities = velocities * ANGSTROM_PER_NM
    universe.trajectory.ts.data["time"] = frame.time
    universe.trajectory.ts.data["step"] = frame.step
    return universe

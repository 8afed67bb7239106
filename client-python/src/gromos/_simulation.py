"""Simulation: a System, parameters, and the runs they make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _wire
from ._energy import Energy
from ._errors import ConflictError, FileAccessError, InvalidArgumentError, UnsupportedError
from ._files import read_bytes
from ._interrupts import HeldInterrupts
from ._job import Job
from ._parameter_blocks import EnergyMin
from ._parameters import InputParameters
from ._protocol import Commands, JobDescribeResult
from ._reporters import Reporter
from ._system import System

__all__ = ["Restraints", "Simulation", "SinglePoint"]

Bytes = npt.NDArray[np.uint8]
FILES: Final = ("trc", "trv", "trf", "tre", "trs", "fin")


class SinglePoint(NamedTuple):
    """Forces and energies of a State as it is."""

    forces: npt.NDArray[Any]
    """(n, 3), kJ mol^-1 nm^-1"""
    energies: Energy


class Restraints:
    """What a run is held to, each a GROMOS file: its path, or its contents as bytes.

    Whether and how strongly they act is said by the parameters (`positionres`, `distanceres`, ...).

    Parameters
    ----------
    posresspec : path or bytes, optional
        Which atoms' positions are restrained (POSRESSPEC).
    refpos : path or bytes, optional
        Reference positions and B-factors (REFPOSITION, BFACTOR).
    distrest : path or bytes, optional
        Distance restraints.
    angrest, dihrest : path or bytes, optional
        Angle and dihedral restraints.
    jval : path or bytes, optional
        J-value restraints.

    Raises
    ------
    FileAccessError, FileFormatError
    """

    names: Final = ("posresspec", "refpos", "distrest", "angrest", "dihrest", "jval")

    def __init__(
        self,
        *,
        posresspec: str | os.PathLike[str] | bytes | None = None,
        refpos: str | os.PathLike[str] | bytes | None = None,
        distrest: str | os.PathLike[str] | bytes | None = None,
        angrest: str | os.PathLike[str] | bytes | None = None,
        dihrest: str | os.PathLike[str] | bytes | None = None,
        jval: str | os.PathLike[str] | bytes | None = None,
    ) -> None:
        given = dict(zip(self.names, (posresspec, refpos, distrest, angrest, dihrest, jval), strict=True))
        self._data: dict[str, Bytes] = {name: _data(value) for name, value in given.items() if value is not None}

    def __repr__(self) -> str:
        return f"<gromos.Restraints: {', '.join(self._data) or 'none'}>"


class Simulation:
    """A System, how it is to move, and the runs that follow. Its arguments are attributes, which hold from the next run on.

    Parameters
    ----------
    system : System
        Its State is where runs start and what they move.
    params : InputParameters
        Looked at when a run is started; change them between runs as you like.
    restraints : Restraints, optional
    threads : int
        For one run; at most what the daemon has.
    publish_every : int
        Steps between the frames others see.

    Raises
    ------
    InvalidArgumentError, ConflictError
        Parameters and System do not fit together.

    Notes
    -----
    A run goes on bit for bit where the last one on this State ended if nothing was changed in between: ``run(50)`` twice is
    ``run(100)``, on a float64 State with the same number of threads.

    Examples
    --------
    >>> import gromos
    >>> from pathlib import Path
    >>> data = Path(gromos.__file__).parent / "data"
    >>> params = gromos.InputParameters.from_file(data / "alanine.imd")
    >>> system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", params)
    >>> simulation = gromos.Simulation(system, params)
    >>> simulation.forces().shape
    (3270, 3)
    >>> energies = simulation.step(2)
    >>> energies.bath_temperature.shape
    (2,)
    """

    __slots__ = ("params", "publish_every", "restraints", "system", "threads")

    def __init__(
        self, system: System, params: InputParameters, *, restraints: Restraints | None = None, threads: int = 1, publish_every: int = 10
    ) -> None:
        if not isinstance(system, System):
            raise InvalidArgumentError(f"'system' must be a System, not {type(system).__name__}")
        if restraints is not None and not isinstance(restraints, Restraints):
            raise InvalidArgumentError(f"'restraints' must be Restraints, not {type(restraints).__name__}")
        if not isinstance(params, InputParameters):
            raise InvalidArgumentError(f"'params' must be InputParameters, not {type(params).__name__}")
        self.system = system
        self.params = params
        self.restraints = restraints if restraints is not None else Restraints()
        self.threads = _wire.count("threads", threads, 1)
        self.publish_every = _wire.count("publish_every", publish_every, 1)
        self._check(params)

    def run(
        self,
        steps: int | None = None,
        *,
        wait: bool = False,
        progress: bool | None = None,
        reporters: Sequence[Reporter] = (),
        trc: str | os.PathLike[str] | None = None,
        trv: str | os.PathLike[str] | None = None,
        trf: str | os.PathLike[str] | None = None,
        tre: str | os.PathLike[str] | None = None,
        trs: str | os.PathLike[str] | None = None,
        fin: str | os.PathLike[str] | None = None,
        continue_run: bool = True,
        resume: bool = False,
    ) -> Job:
        """Start a run as a job of the daemon.

        Parameters
        ----------
        steps : int, optional
            In place of `params.num_steps`.
        wait : bool
            Come back when it has ended.
        progress : bool, optional
            With `wait`: whether a bar is shown; see `Job.wait`.
        reporters : sequence of Reporter
            See every frame of this run.
        trc, trv, trf, tre, trs : path, optional
            Trajectories of positions, velocities, forces, energies and restraints, written on the daemon's machine as often as
            `params.writetraj` says. Gzipped where the name ends in .gz. Where that of `trc` ends in .h5 or .h5md the file is H5MD, for
            h5py, MDAnalysis and others: every `ntwx` steps positions, box, energies, temperature and pressure, and velocities and
            forces if `ntwv` and `ntwf` are not 0. (For a file whose writer is killed just while it writes HDF5 gives no guarantee;
            GROMOS files are whole up to the last frame.)
        fin : path, optional
            The final configuration.
        continue_run : bool
            Go on exactly where the last run on this State ended, if nothing was changed since: with what a State does not hold (random
            numbers, baths, averages, the pair list).
        resume : bool
            Have the daemon start it again by itself after it was killed.

        Returns
        -------
        Job

        Raises
        ------
        ConflictError
            The State has another number of temperature baths or energy groups, or a job already; with `wait`, this thread edits it.
        FileFormatError, InvalidArgumentError, FileAccessError, ShapeError, UnsupportedError
        SimulationFailedError, CancelledError
            With `wait`.

        Notes
        -----
        An interrupt (Ctrl-C) before this comes back cancels the run. One that comes while the run is being started waits until it is, so that
        it can be cancelled; a second one does not wait.
        """
        steps = None if steps is None else _wire.count("steps", steps)
        files = {"trc": trc, "trv": trv, "trf": trf, "tre": tre, "trs": trs, "fin": fin}
        return self._run(self.params, -1 if steps is None else steps, files, reporters, continue_run, resume, wait=wait, progress=progress)

    def step(self, n: int = 1) -> Energy:
        """Make n steps and give the energies of the last one.

        Raises
        ------
        SimulationFailedError and what `run` raises
        """
        return self._run(self.params, _wire.count("n", n, 1)).energies

    def minimize(self, steps: int | None = None, *, progress: bool | None = None) -> JobDescribeResult:
        """Minimise the energy, with `params.energymin`, or by steepest descent if that is None.

        Parameters
        ----------
        steps : int, optional
            At most; `params.num_steps` if left out.
        progress : bool, optional

        Returns
        -------
        JobDescribeResult
            `step` tells after how many steps it converged, `message` how it ended.

        Raises
        ------
        SimulationFailedError and what `run` raises
        """
        steps = None if steps is None else _wire.count("steps", steps)
        params = self.params
        if params.energymin is None or params.energymin.ntem == "off":
            params = params.copy()
            params.energymin = EnergyMin()
            # A minimisation has no temperature, and its box stays.
            params.multibath = params.pressurescale = params.stochdyn = None
            params.comtransrot.nscm = 0
            if self.system.state.num_temp_groups != 1 and self.params.multibath is not None:
                params.multibath = self.params.multibath.copy()
        return self._run(params, -1 if steps is None else steps, progress=progress).describe()

    def forces(self) -> npt.NDArray[Any]:
        """Forces of the State as it is, (n, 3) in kJ mol^-1 nm^-1: those that follow from positions, without constraint forces. A copy."""
        return self.single_point().forces

    def energies(self) -> Energy:
        """Energies of the State as it is."""
        return self.single_point().energies

    def single_point(self) -> SinglePoint:
        """Forces and energies of the State as it is. Nothing moves; the State's forces and energies are replaced.

        Raises
        ------
        what `run` raises
        """
        energies = self._run(self.params, 0).energies
        return SinglePoint(np.array(self.system.state.forces()), energies)

    # --- inside ------------------------------------------------------------------------------------------------------

    def _check(self, params: InputParameters) -> str:
        state = self.system.state
        text = params.to_text(self.system)
        for what, needed, there, name in (
            ("temperature baths", params.num_baths, state.num_temp_groups, "num_temp_groups"),
            ("energy groups", params.num_energy_groups, state.num_energy_groups, "num_energy_groups"),
        ):
            if needed != there:
                raise ConflictError(
                    f"the parameters have {needed} {what}, the State was made for {there}: make it with {name}={needed}, "
                    "or load it with System.from_files(topology, configuration, params)"
                )
        return text

    def _run(
        self,
        params: InputParameters,
        steps: int,
        files: dict[str, str | os.PathLike[str] | None] | None = None,
        reporters: Sequence[Reporter] = (),
        continue_run: bool = True,
        resume: bool = False,
        *,
        wait: bool = True,
        progress: bool | None = False,
    ) -> Job:
        """A job, started and as a rule waited for. There is no moment at which an interrupt leaves one behind that nobody knows of."""
        wait = _wire.flag("wait", wait)
        progress = None if progress is None else _wire.flag("progress", progress)
        continue_run, resume = _wire.flag("continue_run", continue_run), _wire.flag("resume", resume)
        if wait and self.system.state._edited_here:
            raise ConflictError("a run inside an edit of this session begins when the edit has ended: finish the edit first, or do not wait")
        with HeldInterrupts() as interrupts:
            try:
                job = self._start(params, steps, files or {}, reporters, continue_run, resume)
            except KeyboardInterrupt as interrupt:
                interrupt.add_note("a run was just being started: if it was, gromos.jobs() has it first, and its cancel() ends it")
                raise
            try:
                interrupts.release()
                if wait:
                    job._end(None, progress)
                return job
            except Exception:
                raise
            except BaseException as interrupt:
                job._cancel_after(interrupt)
                raise

    def _start(
        self,
        params: InputParameters,
        steps: int,
        files: dict[str, str | os.PathLike[str] | None],
        reporters: Sequence[Reporter],
        continue_run: bool,
        resume: bool,
    ) -> Job:
        state = self.system.state
        text = self._check(params)
        if isinstance(reporters, Reporter) or not all(isinstance(reporter, Reporter) for reporter in reporters):
            raise InvalidArgumentError("'reporters' must be a list of Reporters, such as [gromos.EnergyReporter()]")
        paths: dict[str, Any] = {name: _output(name, path) for name, path in files.items() if path is not None}
        if paths and not state.session.local:
            raise UnsupportedError(f"'{next(iter(paths))}': files are written on the daemon's machine; over a remote session collect frames instead")
        begun: list[Reporter] = []
        if state.session.local:
            state.snapshot()  # a first frame for those who attach before the run has published one
        try:
            for reporter in reporters:
                reporter._begin(state)
                begun.append(reporter)
            made = self.system.topology._use(
                state.session,
                lambda number: Commands.job_start(
                    state,
                    state._identity,
                    topology=number,
                    input=np.frombuffer(text.encode(), np.uint8),
                    steps=steps,
                    publish_every=self.publish_every,
                    threads=self.threads,
                    continue_run=continue_run,
                    resume=resume,
                    **(paths | self.restraints._data),
                ),
            )
        except BaseException:
            for reporter in begun:
                reporter.close()
            raise
        job = Job(made.job, state.session)
        job._state = state
        job._reporters = begun
        for reporter in begun:
            reporter._follow(job)
        return job

    def __repr__(self) -> str:
        return f"<gromos.Simulation of {self.system!r} with {self.params!r}>"


def _data(value: str | os.PathLike[str] | bytes) -> Bytes:
    return np.frombuffer(value if isinstance(value, bytes) else read_bytes(value), np.uint8)


def _output(name: str, path: str | os.PathLike[str]) -> str:
    """An absolute path that can be written: the daemon has its own working folder."""
    full = os.path.abspath(os.path.expanduser(os.fspath(path)))
    if not os.path.isdir(os.path.dirname(full)):
        raise FileAccessError(f"'{name}': the directory of {full} does not exist")
    return full

"""Job: long work in the daemon, watched and steered from here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from . import _progress, _wire
from ._energy import Energy
from ._errors import CancelledError, GromosError, SimulationFailedError, TimeoutExpired
from ._interrupts import HeldInterrupts
from ._protocol import JobDescribeResult
from ._session import Session, chosen_session
from ._state import State

if TYPE_CHECKING:
    from ._reporters import Reporter

__all__ = ["Job", "LogLine", "jobs"]

ENDED: Final = ("done", "failed", "cancelled")
LOOK: Final = 0.5
"""Seconds between two looks while a bar is shown."""
PATIENCE: Final = 5.0


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of what a job said; as text, its time of day and the line.

    Attributes
    ----------
    number : int
        Counted from 0 as lines come.
    time : datetime
        By the daemon's clock, in the time zone of this process.
    level : str
        info, warning or error.
    text : str
    """

    number: int
    time: datetime
    level: str
    text: str

    def __str__(self) -> str:
        mark = "" if self.level == "info" else f"{self.level}: "
        return f"{self.time:%Y-%m-%d %H:%M:%S}  {mark}{self.text}"


class Job:
    """A run in the daemon. It goes on without this object, and without this process.

    Made by `Simulation.run`; `gromos.jobs` lists what there is.

    Parameters
    ----------
    number : int
        The job's number at its daemon.
    session : Session, optional
        The default one if left out.

    Examples
    --------
    >>> import gromos
    >>> from pathlib import Path
    >>> data = Path(gromos.__file__).parent / "data"
    >>> params = gromos.InputParameters.from_file(data / "alanine.imd")
    >>> system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", params)
    >>> job = gromos.Simulation(system, params).run(5)
    >>> job.wait(timeout=60, progress=False).status
    'done'
    >>> system.state.step
    5
    """

    def __init__(self, number: int, session: Session | None = None) -> None:
        self._number = _wire.count("number", number, 1)
        self._session = chosen_session(session)
        self._state: State | None = None
        self._reporters: list[Reporter] = []

    # --- looking ---------------------------------------------------------------------------------------------------

    @property
    def number(self) -> int:
        """The job's number at its daemon."""
        return self._number

    @property
    def session(self) -> Session:
        return self._session

    @property
    def state(self) -> State:
        """The State it runs on, which follows it frame by frame."""
        if self._state is None:
            self._state = self._session.attach(self.describe().state)
        return self._state

    def describe(self) -> JobDescribeResult:
        """How far it is: status, step, steps, time, elapsed, ns_per_day, left, message, threads, energies, phases.

        Raises
        ------
        NotFoundError
            The daemon does not remember this job.
        """
        return self._session.commands.job_describe(job=self._number)

    progress = describe

    @property
    def status(self) -> str:
        """queued, running, paused, done, failed or cancelled."""
        return self.describe().status

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def energies(self) -> Energy:
        """Of the last published step: values, which do not follow."""
        state = self.state
        return Energy.from_array(np.array(self.describe().energies, np.float64), state.num_temp_groups, state.num_energy_groups)

    def log(self, after: int = 0) -> list[LogLine]:
        """What the job said: its input in words, how it goes, changes and edits, warnings, and how it ended.

        The daemon keeps the newest 256 lines, while the job runs and after, also under another daemon that took the job over.

        Parameters
        ----------
        after : int
            Lines that are there already: only those from this number on are fetched.

        Raises
        ------
        NotFoundError
            The daemon does not remember this job.

        Examples
        --------
        >>> import gromos
        >>> for job in gromos.jobs()[:1]:
        ...     print(*job.log(), sep="\\n")  # doctest: +SKIP
        """
        found = self._session.commands.job_log(job=self._number, after=after)
        return [
            LogLine(found.first + k, datetime.fromtimestamp(line["time"]).astimezone(), line["level"], line["text"])
            for k, line in enumerate(found.lines)
        ]

    # --- steering --------------------------------------------------------------------------------------------------

    def pause(self) -> None:
        """Stop at the next step. The State can be edited meanwhile.

        Raises
        ------
        ConflictError
            The job has ended.
        """
        self._session.commands.job_pause(job=self._number)

    def resume(self) -> None:
        """Go on after a pause.

        Raises
        ------
        ConflictError
            The job has ended.
        """
        self._session.commands.job_resume(job=self._number)

    def cancel(self) -> None:
        """End at the next step; the State keeps what was reached, files are closed properly. A job that has ended stays as it is."""
        self._session.commands.job_cancel(job=self._number)

    def change(
        self,
        *,
        temperature: float | None = None,
        bath: int = 0,
        tau: float | None = None,
        pressure: float | None = None,
        publish_every: int | None = None,
        energies_every: int | None = None,
        positions_every: int | None = None,
    ) -> None:
        """Change what may be changed while it runs, from the next step on.

        Parameters
        ----------
        temperature, tau : float, optional
            K and ps, of temperature bath `bath`, counted from 0; a tau of -1 uncouples it.
        bath : int
        pressure : float, optional
            Isotropic reference, kJ mol^-1 nm^-3.
        publish_every : int, optional
            Steps between frames.
        energies_every, positions_every : int, optional
            Steps between what is written to the energy and position trajectories.

        Raises
        ------
        ConflictError
            The job has ended.
        InvalidArgumentError
        """
        self._session.commands.job_change(
            job=self._number,
            bath=bath,
            temperature=temperature,
            tau=tau,
            pressure=pressure,
            publish_every=publish_every,
            energies_every=energies_every,
            positions_every=positions_every,
        )

    # --- waiting ---------------------------------------------------------------------------------------------------

    def wait(self, timeout: float | None = None, *, progress: bool | None = None) -> JobDescribeResult:
        """Sleep until the job has ended. Interrupting the wait (Ctrl-C) leaves the job running; the KeyboardInterrupt says how to end it.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever.
        progress : bool, optional
            Whether a progress bar is shown; left out: in a terminal and in a notebook, unless `gromos.progress` silenced it.

        Returns
        -------
        JobDescribeResult
            As from `describe`.

        Raises
        ------
        SimulationFailedError
            With the daemon's message; the State keeps the last good step.
        CancelledError
            Somebody cancelled it.
        TimeoutExpired
            It has not ended; it goes on.
        """
        try:
            return self._end(timeout, progress)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note(f"job {self._number} goes on; gromos.Job({self._number}).cancel() ends it")
            raise

    def _end(self, timeout: float | None, progress: bool | None) -> JobDescribeResult:
        about = self._await(timeout, progress)
        for reporter in self._reporters:
            reporter._finish()
        if about.status == "failed":
            raise SimulationFailedError(about.message, command="job.wait", detail={"job": about.job, "step": about.step, "time": about.time})
        if about.status == "cancelled":
            raise CancelledError(f"job {about.job} was cancelled after {about.step} of {about.steps} steps", command="job.wait")
        return about

    def result(self, timeout: float | None = None) -> Energy:
        """Wait, and give the energies of the last step.

        Raises
        ------
        SimulationFailedError, CancelledError, TimeoutExpired
        """
        self.wait(timeout)
        return self.energies

    def _cancel_after(self, interrupt: BaseException) -> None:
        """Cancel the job because of an interrupt, and say there what has become of it. One more Ctrl-C waits until that is done."""
        try:
            with HeldInterrupts():
                self.cancel()
        except GromosError as error:
            interrupt.add_note(f"job {self._number} could not be cancelled and may go on; gromos.Job({self._number}).cancel() ends it: {error}")
        else:
            interrupt.add_note(f"job {self._number} was cancelled; its State keeps what was reached")

    def _await(self, timeout: float | None, progress: bool | None) -> JobDescribeResult:
        timeout = _wire.seconds("timeout", timeout)
        progress = _progress.enabled() if progress is None else _wire.flag("progress", progress)
        deadline = None if timeout is None else time.monotonic() + timeout
        bar = None
        piece = PATIENCE
        if progress:
            bar, piece = _Bar(), LOOK
        try:
            while True:
                left = piece if deadline is None else min(piece, max(0.0, deadline - time.monotonic()))
                self._session.commands.job_wait(job=self._number, timeout=left)
                about = self.describe()
                if bar is not None:
                    bar.show(about)
                if about.status in ENDED:
                    return about
                if deadline is not None and time.monotonic() >= deadline:
                    raise TimeoutExpired(
                        f"job {about.job} is {about.status} after {timeout:g} s: {about.step} of {about.steps} steps", command="job.wait"
                    )
        finally:
            if bar is not None:
                bar.close()

    def __repr__(self) -> str:
        return f"<gromos.Job {self._number} on {self._session.endpoint}>"

    def _repr_html_(self) -> str:
        import html

        about = self.describe()
        part = 100.0 * about.step / about.steps if about.steps else 100.0
        rows = [
            ("status", about.status),
            ("step", f"{about.step:,} of {about.steps:,} ({part:.0f} %)"),
            ("time", f"{about.time:g} ps"),
            ("speed", f"{about.ns_per_day:.3g} ns/day"),
            ("left", f"{about.left:.0f} s" if about.left >= 0 else ""),
            ("message", about.message),
        ]
        cells = "".join(f"<tr><th>{k}</th><td>{html.escape(v)}</td></tr>" for k, v in rows if v)
        return f"<table><caption>gromos.Job {self._number}</caption>{cells}</table>"


class _Bar:
    """A bar that follows the daemon's word, with speed and total energy beside it."""

    def __init__(self) -> None:
        self._bar: Any = None

    def show(self, about: JobDescribeResult) -> None:
        if self._bar is None:
            self._bar = _progress._bar(total=max(about.steps, about.step), desc="md", unit="step", dynamic_ncols=True)
        bar = self._bar
        text = "" if about.status == "running" or about.status in ENDED else f"{about.status} "
        if about.ns_per_day > 0:
            text += f"{about.ns_per_day:.3g} ns/day"
        if len(about.energies):
            text += f" E={np.sum(about.energies[:3]):.6g} kJ/mol"  # kinetic + potential + special
        bar.set_postfix_str(text.strip(), refresh=False)
        bar.n = about.step
        bar.refresh()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def jobs(session: Session | None = None) -> list[Job]:
    """The jobs a daemon remembers, newest first.

    Parameters
    ----------
    session : Session, optional
        The default one if left out.

    Examples
    --------
    >>> import gromos
    >>> [job.status for job in gromos.jobs() if job.status == "queued"]
    []
    """
    session = chosen_session(session)
    return [Job(int(about["job"]), session) for about in session.commands.job_list().jobs]

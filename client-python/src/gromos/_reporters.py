"""Reporters: what happens to the frames of a run as they are published."""

from __future__ import annotations

import csv
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from . import _wire
from ._energy import Energy
from ._energy_base import PerBath, PerGroup, PerPair, Scalar
from ._errors import FileAccessError, GromosError, InvalidArgumentError, UnsupportedError
from ._frames import AnyFrame, Frames
from ._job import ENDED, Job
from ._state import State

__all__ = ["CSVReporter", "CallbackReporter", "EnergyReporter", "Reporter"]

QUIET: Final = 0.2
"""Seconds without a frame after which it is looked whether the job has ended."""
LOOK: Final = 0.1
"""Seconds between two looks at the energies a job has kept."""
DEFAULT_FIELDS: Final = (
    "total", "kinetic", "potential", "special", "covalent", "bond", "angle", "improper", "dihedral", "nonbonded", "lj", "coulomb",
    "reservoir", "temperature", "pressure", "volume", "bath_temperature",
)  # fmt: skip


class Reporter:
    """Sees every published frame of a run, in a thread of its own.

    Give it to ``Simulation.run(..., reporters=[...])``, or let it `watch` any State that moves. It ends with the job, or when it is
    closed; after `Job.wait` it has seen the last frame.

    Parameters
    ----------
    every : int
        Only each so-manieth frame.

    Attributes
    ----------
    missed : int
        Frames that went by while it was busy.
    """

    def __init__(self, every: int = 1) -> None:
        self._every = _wire.count("every", every, 1)
        self._frames: Frames | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._job: Job | None = None
        self._failure: BaseException | None = None

    def report(self, frame: AnyFrame) -> None:
        """Called for each frame; what a subclass is made for. The frame is only to be kept if few are."""
        raise NotImplementedError

    def watch(self, state: State) -> Self:
        """Look at a State until `close`."""
        self._begin(state)
        self._start()
        return self

    @property
    def missed(self) -> int:
        return self._frames.missed if self._frames is not None else 0

    def close(self) -> None:
        """Stop looking; twice is fine. What was collected stays.

        Raises
        ------
        whatever `report` raised
        """
        self._stop.set()
        self._finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_free(self, state: State) -> None:
        if not isinstance(state, State):
            raise InvalidArgumentError(f"a reporter watches a State, not {type(state).__name__}")
        if self._thread is not None and self._thread.is_alive():
            raise InvalidArgumentError("this reporter still looks at another run; close it first, or make another one")
        self._stop.clear()
        self._failure = None

    def _begin(self, state: State) -> None:
        """Take frames from now on."""
        self._check_free(state)
        self._frames = state.frames("every", every=self._every)

    def _follow(self, job: Job) -> None:
        self._job = job
        self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="gromos-reporter", daemon=True)
        self._thread.start()

    def _finish(self) -> None:
        """Wait until the last frame is seen."""
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        if self._frames is not None:
            self._frames.close()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure

    def _look(self) -> None:
        """Report frames until the end."""
        frames = self._frames
        assert frames is not None
        last = False
        while True:
            frame = frames._next(QUIET)
            if frame is not None:
                self.report(frame)
                del frame
            elif last:
                return
            else:
                # One more look after the end: the last frame may have come in between.
                last = self._stop.is_set() or (self._job is not None and self._job.status in ENDED)

    def _run(self) -> None:
        try:
            self._look()
        except GromosError as error:
            self._failure = error
        except Exception as error:
            self._failure = error
            error.add_note("raised by a reporter of a run")


class CallbackReporter(Reporter):
    """Calls a function with each frame.

    Parameters
    ----------
    call : callable
        Takes a Frame.
    every : int
    """

    def __init__(self, call: Callable[[AnyFrame], object], every: int = 1) -> None:
        super().__init__(every)
        if not callable(call):
            raise InvalidArgumentError(f"'call' must be a function that takes a frame, not {type(call).__name__}")
        self._call = call

    def report(self, frame: AnyFrame) -> None:
        self._call(frame)


class EnergyReporter(Reporter):
    """Collects energies, temperatures and pressure of each published step.

    Of a run it is given to it takes them from what the job itself keeps, so that no step is missed however fast the run is (several
    thousand steps may pile up). Watching a State it looks at frames.

    Parameters
    ----------
    fields : sequence of str, or str, optional
        Names of `Energy.fields()`, or ``total``; those with one number per bath, group or pair become several columns
        (``bath_temperature[0]``). Left out: the terms of the energy, temperatures, pressure and volume. ``"all"``: everything.
    every : int
        Only each so-manieth frame.

    Examples
    --------
    >>> import gromos
    >>> s = gromos.State(10)
    >>> with gromos.EnergyReporter(["kinetic", "bath_temperature"]).watch(s) as energies:
    ...     s.set_positions(s.positions())
    >>> energies.columns
    ('step', 'time', 'kinetic', 'bath_temperature[0]')
    >>> energies.to_numpy().shape
    (1, 4)
    """

    def __init__(self, fields: Sequence[str] | str | None = None, every: int = 1) -> None:
        super().__init__(every)
        known = Energy.fields()
        names = list(DEFAULT_FIELDS) if fields is None else ["total", *known] if fields == "all" else [fields] if isinstance(fields, str) else list(fields)
        for name in names:
            if name != "total" and name not in known:
                raise InvalidArgumentError(f"energies have no field {name!r}; there are total, {', '.join(known)}")
        self._fields = names
        self._groups = (1, 1)
        self._lost = 0
        self._lock = threading.Lock()
        self._columns: tuple[str, ...] = ("step", "time")
        self._rows: list[npt.NDArray[np.float64]] = []

    def watch(self, state: State) -> Self:
        """Look at a State's frames until `close`."""
        super()._begin(state)
        self._job = None
        self._start()
        return self

    @property
    def missed(self) -> int:
        """Steps that went by unseen."""
        return super().missed + self._lost

    def report(self, frame: AnyFrame) -> None:
        self._add(frame.step, frame.time, frame.energies)

    def _begin(self, state: State) -> None:
        self._check_free(state)
        self._frames = None
        self._groups = (state.num_temp_groups, state.num_energy_groups)

    def _look(self) -> None:
        if self._job is None:
            super()._look()
            return
        job, commands, have = self._job, self._job.session.commands, 0
        while True:
            ended = self._stop.is_set() or job.status in ENDED
            while True:
                got = commands.job_energies(job=job.number, after=have)
                if got.count < have:
                    have = 0  # the daemon was replaced; the job began its record anew
                    continue
                self._lost += got.first - have
                for number, row in enumerate(got.rows, got.first + 1):
                    if number % self._every == 0:
                        self._add(int(row[0]), float(row[1]), Energy.from_array(row[2:], *self._groups))
                have = got.first + len(got.rows)
                if have >= got.count:
                    break
            if ended:
                return
            commands.job_wait(job=job.number, timeout=LOOK)

    def _add(self, step: int, time: float, energies: Energy) -> None:
        row = [float(step), time]
        columns = ["step", "time"]
        for name in self._fields:
            if name == "total":
                columns.append(name)
                row.append(energies.total())
                continue
            value = np.asarray(getattr(energies, name))
            columns += _columns(name, value)
            row += value.ravel().tolist() if not isinstance(Energy.fields()[name], PerPair) else value[np.triu_indices(len(value))].tolist()
        with self._lock:
            self._columns = tuple(columns)
            self._rows.append(np.array(row))

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, once a frame was seen."""
        return self._columns

    def unit(self, column: str) -> str:
        """Unit of a column.

        Raises
        ------
        InvalidArgumentError
            No energy has this name.
        """
        if column in ("step", "time", "total"):
            return {"step": "", "time": "ps", "total": "kJ/mol"}[column]
        try:
            return Energy.fields()[column.split("[")[0]].unit
        except KeyError:
            raise InvalidArgumentError(f"energies have no field {column!r}; there are step, time, total, {', '.join(Energy.fields())}") from None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, column: str) -> npt.NDArray[np.float64]:
        """One column over all frames seen so far."""
        array = self.to_numpy()
        if column not in self._columns:
            raise InvalidArgumentError(f"there is no column {column!r}; there are {', '.join(self._columns)}")
        return array[:, self._columns.index(column)]

    def clear(self) -> None:
        """Forget what was collected."""
        with self._lock:
            self._rows.clear()

    def to_numpy(self) -> npt.NDArray[np.float64]:
        """Everything so far, (frames, columns)."""
        with self._lock:
            return np.array(self._rows).reshape(len(self._rows), len(self._columns))

    def to_dict(self) -> dict[str, npt.NDArray[Any]]:
        """Columns by name; steps as whole numbers."""
        array = self.to_numpy()
        return {name: array[:, k].astype(np.int64) if name == "step" else array[:, k] for k, name in enumerate(self._columns)}

    def to_pandas(self) -> Any:
        """As a pandas DataFrame, one row per frame.

        Raises
        ------
        UnsupportedError
            pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise UnsupportedError("to_pandas needs pandas, which is not installed: pip install pandas; to_numpy and to_csv need nothing") from None
        return pandas.DataFrame(self.to_dict())

    def to_polars(self) -> Any:
        """As a Polars DataFrame, one row per frame.

        Raises
        ------
        UnsupportedError
            Polars is not installed.
        """
        try:
            import polars  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise UnsupportedError("to_polars needs Polars, which is not installed: pip install polars; to_numpy and to_csv need nothing") from None
        return polars.DataFrame(self.to_dict())

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file with a line of names above.

        Raises
        ------
        FileAccessError
        """
        try:
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(self._columns)
                writer.writerows([int(row[0]), *map(repr, row[1:].tolist())] for row in self.to_numpy())
        except OSError as error:
            raise FileAccessError(f"{os.fspath(path)} cannot be written: {error.strerror}") from None

    def plot(self, columns: Sequence[str] = ("total", "potential", "kinetic"), axes: Any = None) -> Any:
        """Draw columns over time.

        Parameters
        ----------
        columns : sequence of str
        axes : matplotlib Axes, optional
            New ones if left out.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        UnsupportedError
            Matplotlib is not installed.
        """
        if axes is None:
            axes = _pyplot().subplots()[1]
        axes.clear()
        data = self.to_dict()
        for column in columns:
            if column not in data and len(self):
                raise InvalidArgumentError(f"there is no column {column!r}; there are {', '.join(self._columns)}")
            axes.plot(data["time"] if len(self) else [], data.get(column, []), label=column)
        axes.set_xlabel("time / ps")
        axes.set_ylabel(" or ".join(dict.fromkeys(self.unit(column) for column in columns)))
        axes.legend(loc="best")
        return axes

    def live_plot(self, columns: Sequence[str] = ("total", "potential", "kinetic"), interval: float = 1.0, timeout: float | None = None) -> Any:
        """Draw columns over time and renew the picture until the run ends, in a window or in a notebook.

        Parameters
        ----------
        columns : sequence of str
        interval : float
            Seconds between pictures.
        timeout : float, optional
            Stop drawing after so many seconds.

        Returns
        -------
        matplotlib Axes
        """
        timeout = _wire.seconds("timeout", timeout)
        if _wire.seconds("interval", interval) is None:
            raise InvalidArgumentError(f"'interval' is {interval}; it must be a number of seconds")
        pyplot = _pyplot()
        axes = self.plot(columns)
        deadline = None if timeout is None else time.monotonic() + timeout
        while self._thread is not None and self._thread.is_alive() and (deadline is None or time.monotonic() < deadline):
            _show(pyplot, axes.figure, interval)
            self.plot(columns, axes)
        _show(pyplot, axes.figure, 0.001)
        return axes


class CSVReporter(EnergyReporter):
    """Writes energies to a CSV file as they come, a line per frame.

    Parameters
    ----------
    path : path
    fields, every
        As for `EnergyReporter`.
    """

    def __init__(self, path: str | os.PathLike[str], fields: Sequence[str] | str | None = None, every: int = 1) -> None:
        super().__init__(fields, every)
        try:
            self._file = open(path, "w", newline="", encoding="utf-8")
        except OSError as error:
            raise FileAccessError(f"{os.fspath(path)} cannot be written: {error.strerror}") from None
        self._writer = csv.writer(self._file)

    def _add(self, step: int, time: float, energies: Energy) -> None:
        super()._add(step, time, energies)
        row = self._rows[-1]
        if len(self) == 1:
            self._writer.writerow(self.columns)
        self._writer.writerow([int(row[0]), *map(repr, row[1:].tolist())])
        self._file.flush()

    def _finish(self) -> None:
        super()._finish()
        self._file.close()


def _columns(name: str, value: npt.NDArray[np.float64]) -> list[str]:
    field = Energy.fields()[name]
    if isinstance(field, Scalar):
        return [name]
    if isinstance(field, (PerBath, PerGroup)):
        return [f"{name}[{i}]" for i in range(len(value))]
    n = len(value)
    if isinstance(field, PerPair):
        return [f"{name}[{i},{j}]" for i in range(n) for j in range(i, n)]
    return [f"{name}[{i},{j}]" for i in range(n) for j in range(n)]


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise UnsupportedError("pictures need Matplotlib, which is not installed: pip install 'gromos[plot]'") from None
    return pyplot


def _show(pyplot: Any, figure: Any, seconds: float) -> None:
    """Renew a picture and let its window live for a moment."""
    from ._progress import _in_notebook

    if _in_notebook():
        from IPython.display import clear_output, display  # type: ignore[import-not-found,unused-ignore]

        clear_output(wait=True)
        display(figure)  # type: ignore[no-untyped-call,unused-ignore]
        time.sleep(seconds)
    elif pyplot.get_backend().lower() == "agg":
        time.sleep(seconds)  # no window to be drawn
    else:
        pyplot.pause(seconds)

"""The command `gromos md`: a run from GROMOS files to GROMOS files, with the original's own arguments.

    gromos md @topo FILE @conf FILE @input FILE [@fin FILE] [@trc FILE] [@tre FILE] ...

Every argument can be written --topo FILE as well; ``@f FILE`` (or --f) takes more arguments from a file. Exit status: 0 when the run
is done, 1 when it failed, 2 when something is wrong with arguments or files (each fault on a line of its own), 130 when interrupted.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final, NoReturn, TypeVar

import numpy as np

from . import _progress
from ._errors import (
    CancelledError,
    ConflictError,
    FileAccessError,
    FileFormatError,
    GromosError,
    InvalidArgumentError,
    NameTakenError,
    ShapeError,
    SimulationFailedError,
    UnsupportedError,
)
from ._files import load_gromos, read_bytes
from ._interrupts import HeldInterrupts
from ._job import Job
from ._parameters import InputParameters
from ._protocol import JobDescribeResult
from ._session import Session
from ._state import State

__all__ = ["main"]

T = TypeVar("T")

INPUTS: Final = {
    "topo": "topology",
    "conf": "configuration to start from",
    "input": "how the run goes",
    "posresspec": "which positions are restrained",
    "refpos": "reference positions and B-factors",
    "distrest": "distance restraints",
    "angrest": "angle restraints",
    "dihrest": "dihedral restraints",
    "jval": "J-value restraints",
}
OUTPUTS: Final = {
    "fin": "final configuration",
    "trc": "positions, every NTWX steps; a name in .h5 or .h5md makes it H5MD, which holds energies too, and with NTWV and NTWF velocities and forces",
    "tre": "energies, every NTWE steps",
    "trf": "forces, every NTWF steps",
    "trv": "velocities, every NTWV steps",
    "trs": "restraints",
}
OPTIONS: Final = {
    "precision": "float32 or float64 (default: what the input says, else float64)",
    "scheme": "chargegroup or verlet (default: what the input says, else chargegroup)",
    "threads": "threads to compute with (default 1)",
    "name": "name of the State, for others to attach to",
    "publish-every": "steps between the frames others see (default 10)",
    "endpoint": "the daemon: ipc://DIR/zmq (default $GROMOSD_ENDPOINT, else this user's, started if none runs); --daemon is the same",
}
FLAGS: Final = {
    "keep": "leave the named State with the daemon when the run is over",
    "quiet": "print nothing but faults",
    "resume": "have the daemon start the run again by itself after it was killed",
}
REQUIRED: Final = ("topo", "conf", "input")
ALIASES: Final = {"daemon": "endpoint"}
MISSING_HERE: Final = {
    "pttopo": "a perturbation topology", "trg": "a free-energy trajectory", "bae": "block-averaged energies",
    "bag": "block-averaged free energies", "order": "order-parameter restraints", "rdc": "RDC restraints", "xray": "X-ray restraints",
    "lud": "a local-elevation database", "led": "local-elevation coordinates", "qmmm": "a QM/MM specification",
    "anatrj": "a trajectory to analyse", "repout": "replica exchange", "repdat": "replica exchange", "friction": "friction coefficients",
    "gamd": "Gaussian accelerated dynamics", "bsleus": "B&S-LEUS", "distanceres": "this spelling; it is @distrest",
}  # fmt: skip
INPUT_ERRORS: Final = (
    FileFormatError, UnsupportedError, InvalidArgumentError, ShapeError, FileAccessError, ConflictError, NameTakenError,
)  # fmt: skip
ENDING: Final = 60.0
"""Seconds a cancelled job is given to close its files."""


@dataclass
class Options:
    """The command line, taken apart; `faults` says everything that is wrong with it."""

    files: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)
    help: bool = False

    def number(self, name: str, default: int) -> int:
        text = self.values.get(name, str(default))
        if not re.fullmatch(r"[1-9]\d{0,8}", text):
            self.faults.append(f"{name} is {text!r}; it must be a whole number of at least 1")
            return default
        return int(text)


def main(arguments: list[str], endpoint: str | None = None, server_key: str | None = None, client_key: str | None = None) -> int:
    """Run the command; the exit status."""
    options = parse(arguments)
    if options.help:
        print(_usage())
        return 0
    if endpoint is not None:
        options.values.setdefault("endpoint", endpoint)
    run = _Run(options)
    if options.faults and not run.data:
        return _faulty(options.faults)
    previous = _on_terminate()
    try:
        with Session(options.values.get("endpoint") or os.environ.get("GROMOSD_ENDPOINT"), server_key=server_key, client_key=client_key, name="gromos md") as session:
            return run.go(session)
    except _Faults as faults:
        return _faulty(faults.all)
    except KeyboardInterrupt:
        return 130
    except GromosError as error:
        print(f"gromos md: {error}", file=sys.stderr)
        return _faulty(options.faults) if options.faults else 1
    finally:
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _on_terminate() -> Any:
    """SIGTERM is as good as Ctrl-C; what was there before."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    try:
        return signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        return None  # not the main thread


def _faulty(faults: list[str]) -> int:
    for fault in dict.fromkeys(faults):
        print(f"gromos md: {fault}", file=sys.stderr)
    return 2


def _usage() -> str:
    lines = [
        "usage: gromos md @topo FILE @conf FILE @input FILE [@fin FILE] [@trc FILE] [@tre FILE] [@trf FILE] ...",
        "",
        "Run molecular dynamics or a minimisation from GROMOS files. Every argument is written @topo FILE or --topo FILE. Files",
        "whose name ends in .gz are read and written gzipped.",
    ]
    for title, names in (("files that are read", INPUTS), ("files that are written", OUTPUTS), ("options", OPTIONS), ("switches", FLAGS)):
        lines += ["", f"{title}:", *(f"  @{name:<14}{text}{' (needed)' if name in REQUIRED else ''}" for name, text in names.items())]
    lines += ["", "  @f             a file with more arguments; # begins a comment", "  --help         this text"]
    return "\n".join(lines)


# --- arguments -----------------------------------------------------------------------------------------------------


def parse(arguments: list[str]) -> Options:
    """Take a command line apart; faults are collected, not raised."""
    options = Options()
    _take(options, list(arguments), from_file=False)
    for name in REQUIRED:
        if name not in options.files and not options.help:
            options.faults.append(f"@{name} FILE ({INPUTS[name]}) is missing")
    return options


def _take(options: Options, words: list[str], from_file: bool) -> None:
    for written, name, values in _groups(options, words):
        name = ALIASES.get(name.replace("_", "-"), name.replace("_", "-"))
        if name in ("help", "h"):
            options.help = True
        elif name in FLAGS:
            if values:
                options.faults.append(f"{written} takes no value, not {values[0]!r}")
            options.flags.add(name)
        elif name == "f":
            _argument_file(options, written, values, from_file)
        elif name in MISSING_HERE:
            options.faults.append(f"{written}: {MISSING_HERE[name]} is not available here")
        elif name not in INPUTS and name not in OUTPUTS and name not in OPTIONS:
            options.faults.append(f"{written} is no argument of this command; see gromos md --help")
        elif len(values) != 1:
            options.faults.append(f"{written} needs one value" + (f", not {len(values)}: {' '.join(values)}" if values else ""))
        else:
            table = options.values if name in OPTIONS else options.files
            if name in table:
                options.faults.append(f"{written} is given twice: {table[name]} and {values[0]}")
            table[name] = values[0]


def _groups(options: Options, words: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each argument as it was written, its name, and the words behind it."""
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        match = re.fullmatch(r"(?:@|--)([A-Za-z][\w-]*)(?:=(.*))?|-(h|q)", word, re.DOTALL)
        if match is None:
            options.faults.append(f"{word!r} belongs to no argument; arguments begin with @ or --")
            continue
        name = {"h": "help", "q": "quiet"}.get(match[3], "") if match[3] else match[1].lower()
        values = [] if match[2] is None else [match[2]]
        while at < len(words) and not words[at].startswith(("@", "--")):
            values.append(words[at])
            at += 1
        yield word.split("=")[0], name, values


def _argument_file(options: Options, written: str, values: list[str], from_file: bool) -> None:
    if len(values) != 1 or from_file:
        options.faults.append(f"{written} needs one file" if not from_file else f"{written} cannot stand in an argument file itself")
        return
    try:
        text = read_bytes(values[0]).decode("utf-8", errors="replace")
    except GromosError as error:
        options.faults.append(f"{written}: {error}")
        return
    _take(options, [word for line in text.splitlines() for word in line.split("#")[0].split()], from_file=True)


# --- the run -------------------------------------------------------------------------------------------------------


class _Faults(Exception):
    """What is wrong with the files, all of it."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.all = faults


class _Run:
    """One run, from checked options to the exit status."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.quiet = "quiet" in options.flags
        self.threads = options.number("threads", 1)
        self.publish_every = options.number("publish-every", 10)
        for name, choices in (("precision", ("float32", "float64")), ("scheme", ("chargegroup", "verlet"))):
            if options.values.get(name, choices[0]) not in choices:
                options.faults.append(f"{name} is {options.values.pop(name)!r}; it must be {' or '.join(choices)}")
        if "keep" in options.flags and "name" not in options.values:
            options.faults.append("--keep needs --name: a State without a name ends with this command")
        self.data: dict[str, bytes] = {}
        for name in INPUTS:
            if (path := options.files.get(name)) is not None:
                try:
                    self.data[name] = read_bytes(path)
                except GromosError as error:
                    options.faults.append(f"@{name}: {error}")
        self.outputs = {name: os.path.abspath(options.files[name]) for name in OUTPUTS if name in options.files}
        for name, path in self.outputs.items():
            if not os.path.isdir(os.path.dirname(path)):
                options.faults.append(f"@{name}: the directory of {path} does not exist")
        self.check_distinct()

    def check_distinct(self) -> None:
        """No file is written twice, and none that is read but for @fin in place of @conf, which is read before."""
        used: dict[str, str] = {}
        for name, path in {**{name: self.options.files[name] for name in self.data}, **self.outputs}.items():
            full = os.path.realpath(path)
            other = used.setdefault(full, name)
            if name in OUTPUTS and other != name and (other, name) != ("conf", "fin") and (os.path.isfile(full) or not os.path.exists(full)):
                self.options.faults.append(f"@{name} and @{other} are the same file, {path}; it would be overwritten")

    def go(self, session: Session) -> int:
        state, topology, params = self.prepare(session)
        name = self.options.values.get("name")
        try:
            with HeldInterrupts() as interrupts:
                try:
                    job = self.start(session, state, topology)
                except KeyboardInterrupt:
                    print("gromos md: the run was just being started: if it was, gromos jobs lists it first, and gromos cancel ends it", file=sys.stderr)
                    raise
                return self.watch(job, params, interrupts)
        finally:
            if name is not None and "keep" not in self.options.flags:
                state.delete(force=True)
            state.close()

    def say(self, text: str) -> None:
        if not self.quiet:
            print(f"gromos md: {text}", flush=True)

    def input(self) -> bytes:
        """The input file's bytes, with what the command line says put in."""
        names: tuple[str, ...] = ("scheme", "precision")
        chosen = {name: self.options.values[name] for name in names if name in self.options.values}
        return with_extension(self.data["input"], chosen)

    def prepare(self, session: Session) -> tuple[State, int, InputParameters]:
        """What a run needs, at the daemon. Every file is looked at before anything is said."""
        faults = list(self.options.faults)

        def look(name: str, read: Callable[[], T]) -> T | None:
            if name not in self.data:
                return None
            try:
                return read()
            except INPUT_ERRORS as error:
                faults.extend(_all(error))
                return None

        params = look("input", lambda: InputParameters._from_bytes(self.input(), self.options.files["input"], session))
        made = look("topo", lambda: session.commands.topology_create(data=np.frombuffer(self.data["topo"], np.uint8), name=self.options.files["topo"]))
        for name, data in self.data.items():
            if name not in REQUIRED:
                look(name, lambda: session.commands.restraints_check(kind=name, data=np.frombuffer(data, np.uint8), name=self.options.files[name]))  # noqa: B023
        state = look("conf", lambda: self.load(session, params))
        if params is not None and made is not None and state is not None:
            npm, nsm = params.system.npm, params.system.nsm or 0
            atoms = npm * made.num_atoms + nsm * made.num_solvent_atoms
            if atoms != state.num_atoms():
                faults.append(
                    f"{self.options.files['input']}: block SYSTEM: NPM {npm} and NSM {nsm} make {atoms} atoms of this topology; "
                    f"the configuration has {state.num_atoms()}"
                )
        if faults and state is not None:
            if state.name is not None:
                state.delete(force=True)
            state.close()
        if faults or params is None or made is None or state is None:
            raise _Faults(faults)
        try:
            # So that others see masses and molecules; the run itself takes them from its own topology.
            session.commands.topology_apply(state.uuid, topology=made.topology)
        except (ShapeError, InvalidArgumentError):
            pass  # a solute that NPM 0 leaves out
        return state, made.topology, params

    def load(self, session: Session, params: InputParameters | None) -> State:
        return load_gromos(
            self.options.files["conf"],
            name=self.options.values.get("name"),
            dtype=params.precision if params is not None else "float64",  # type: ignore[arg-type]
            session=session,
            num_temp_groups=params.num_baths if params is not None else 1,
            num_energy_groups=params.num_energy_groups if params is not None else 1,
        )

    def start(self, session: Session, state: State, topology: int) -> Job:
        state.snapshot()  # a first frame for those who attach before the run has published one
        restraints: dict[str, Any] = {name: np.frombuffer(data, np.uint8) for name, data in self.data.items() if name not in REQUIRED}
        try:
            made = session.commands.job_start(
                state.uuid,
                topology=topology,
                input=np.frombuffer(self.input(), np.uint8),
                publish_every=self.publish_every,
                threads=self.threads,
                resume="resume" in self.options.flags,
                **(restraints | self.outputs),
            )
        except INPUT_ERRORS as error:
            raise _Faults([self.named(fault) for fault in _all(error)]) from None
        job = Job(made.job, session)
        job._state = state
        return job

    def named(self, fault: str) -> str:
        """A fault the daemon found in bytes it got, with the name of the file they came from."""
        name, colon, rest = fault.partition(":")
        return f"{self.options.files[name]}:{rest}" if colon and name in self.options.files else fault

    def announce(self, state: State, params: InputParameters) -> None:
        self.say(
            f"{state.num_atoms()} atoms, {params.num_steps} steps of {params.dt:g} ps, {params.scheme}, {params.precision}, "
            f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        )
        self.say(f"attach with gromos.attach({state.name or str(state.uuid)!r}, session=gromos.connect({state.session.endpoint!r}))")
        for output, rate in (("trc", "ntwx"), ("trv", "ntwv"), ("trf", "ntwf"), ("tre", "ntwe")):
            if output in self.outputs and getattr(params.writetraj, rate) == 0:
                self.say(f"@{output}: {rate.upper()} is 0 in the input, so nothing is written to it")

    def watch(self, job: Job, params: InputParameters, interrupts: HeldInterrupts) -> int:
        try:
            interrupts.release()
            self.announce(job.state, params)
            about = job.wait(progress=False if self.quiet else _progress.enabled())
        except KeyboardInterrupt:
            # One more Ctrl-C ends this command when the job has been told; the job then ends by itself.
            with HeldInterrupts():
                job.cancel()
            about = job._await(ENDING, False)
            self.say(f"interrupted after {about.step} of {about.steps} steps; the files are complete up to there")
            return 130
        except SimulationFailedError as error:
            about = job.describe()
            if about.step == 0 and not re.match(r"step \d", error.message):
                # It did not come to a step: what the files ask for together cannot be done.
                raise _Faults([f"the run cannot start: {error.message}"]) from None
            print(f"gromos md: the run failed after {about.step} of {about.steps} steps, at {about.time:g} ps: {error.message}", file=sys.stderr)
            return 1
        except CancelledError as error:
            print(f"gromos md: {error}", file=sys.stderr)
            return 1
        self.summary(about)
        return 0

    def summary(self, about: JobDescribeResult) -> None:
        spent = {name: seconds for name, seconds in about.phases.items() if seconds > 0}
        whole = sum(spent.values()) or 1.0
        shares = ", ".join(f"{name} {100 * seconds / whole:.0f} %" for name, seconds in sorted(spent.items(), key=lambda item: -item[1]))
        rate = about.step / about.elapsed if about.elapsed > 0 else 0.0
        self.say(f"{about.step} steps done in {about.elapsed:.2f} s, {rate:.1f} steps/s ({shares})" + (f"; {about.message}" if about.message else ""))
        for name, path in self.outputs.items():
            if os.path.exists(path):
                self.say(f"@{name:<4} {path}")


def _all(error: GromosError) -> list[str]:
    faults = error.detail.get("faults")
    return [str(fault) for fault in faults] if faults else [error.message]


def with_extension(data: bytes, chosen: dict[str, str]) -> bytes:
    """An input file with keywords of the block GROMOSD set; everything else stays as it is."""
    if not chosen:
        return data
    lines = data.decode("utf-8", errors="surrogateescape").splitlines()
    inside = False
    for at, line in enumerate(lines):
        word = line.split("#")[0].strip()
        if word == "GROMOSD":
            inside = True
        elif inside and word == "END":
            # The last of two says what holds.
            lines[at:at] = [f"{name} {value}" for name, value in chosen.items()]
            break
    else:
        lines += ["GROMOSD", *(f"{name} {value}" for name, value in chosen.items()), "END"]
    return ("\n".join(lines) + "\n").encode("utf-8", errors="surrogateescape")

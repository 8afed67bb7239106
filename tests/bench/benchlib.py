"""What the parts of the benchmark share: turns, samples, verdicts, places, daemons, C helpers.

Everything compared is measured in turns in one run: each candidate does a short batch, then the next; a round is one batch of each,
and the order changes from round to round. A ratio is the median of the ratios within a round, so that what disturbs the machine
disturbs both of its sides. Verdicts:

    ok       the ratio (or value) keeps the target
    MISS     it does not, and neither do the better quarter of the rounds
    unclear  the median does not, the better quarter of the rounds does: the machine was too noisy to tell
    -        stated, without a target
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import importlib.util
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import gromos

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
Turn = Callable[[], float | Sequence[float]]


# --- samples ---------------------------------------------------------------------------------------------------------


@dataclass
class Sample:
    """Times of one candidate, a list per round, in seconds."""

    rounds: list[list[float]] = field(default_factory=list)

    def add(self, values: float | Sequence[float]) -> None:
        self.rounds.append([values] if isinstance(values, int | float) else list(values))

    @property
    def values(self) -> list[float]:
        return [v for one in self.rounds for v in one]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, q: float) -> float:
        values = sorted(self.values)
        return values[round(q * (len(values) - 1))]

    def medians(self) -> list[float]:
        return [statistics.median(one) for one in self.rounds]


def sample_of(values: Sequence[float]) -> Sample:
    """A sample that was not taken in turns; every value is a round."""
    return Sample([[v] for v in values])


def take_turns(candidates: dict[str, Turn], seconds: float, least: int = 5, most: int = 2000) -> dict[str, Sample]:
    """Rounds of one batch each, for about so long. Each candidate returns one time or several, in seconds."""
    names = list(candidates)
    samples = {name: Sample() for name in names}
    for name in names:
        candidates[name]()  # a rehearsal
    until = time.monotonic() + seconds
    for number in range(most):
        if number >= least and time.monotonic() > until:
            break
        for name in names[number % len(names) :] + names[: number % len(names)]:
            samples[name].add(candidates[name]())
    return samples


def timed(call: Callable[[], Any], count: int) -> Turn:
    """A turn of `count` calls, timed one by one."""

    def turn() -> list[float]:
        clock = time.perf_counter
        times = []
        for _ in range(count):
            start = clock()
            call()
            times.append(clock() - start)
        return times

    return turn


def looped(call: Callable[[], Any], count: int) -> Turn:
    """A turn of `count` calls in one piece, for what is too short to be timed alone. The empty loop is taken off."""
    steps = [None] * count

    def turn() -> float:
        clock = time.perf_counter
        start = clock()
        for _ in steps:
            pass
        empty = clock() - start
        start = clock()
        for _ in steps:
            call()
        return (clock() - start - empty) / count

    return turn


# --- report ----------------------------------------------------------------------------------------------------------


def show(seconds: float) -> str:
    """A time with three digits and a unit."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if abs(seconds) * factor >= 1:
            return f"{seconds * factor:.3g} {unit}" if abs(seconds) * factor < 1000 else f"{seconds * factor:.0f} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def spread(sample: Sample) -> str:
    return f"{show(sample.median)} ({show(sample.quantile(0.25))} - {show(sample.quantile(0.75))})"


@dataclass
class Report:
    """Prints a line as soon as it is known and keeps what stands in the last table."""

    rows: list[tuple[str, str, str, str, str, str]] = field(default_factory=list)
    quick: bool = False

    def title(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def note(self, text: str) -> None:
        print(f"   {text}", flush=True)

    def skip(self, what: str, why: str) -> None:
        self.row(what, "", "", "", "", f"skipped: {why}")

    def row(self, what: str, where: str, ours: str, yardstick: str, target: str, verdict: str) -> None:
        self.rows.append((what, where, ours, yardstick, target, verdict))
        print(f"   {what:52} {where:10} {ours:34} {yardstick:52} {target:10} {verdict}", flush=True)

    def against(
        self,
        what: str,
        ours: Sample,
        yardstick: Sample,
        name: str,
        most: float | None = None,
        least: float | None = None,
        where: str = "",
    ) -> None:
        """ours / yardstick at most `most`; or yardstick / ours at least `least` (so many times better)."""
        above, below = (yardstick, ours) if least is not None else (ours, yardstick)
        ratios = [a / b for a, b in zip(above.medians(), below.medians(), strict=True)]
        middle = statistics.median(ratios)
        low, high = _quartiles(ratios)
        word = "better" if least is not None else "of it"
        text = f"{name} {show(yardstick.median)}: x {middle:.3g} ({low:.3g}-{high:.3g}) {word}"
        if most is not None:
            self.row(what, where, spread(ours), text, f"<= {most:g}", judge(middle <= most, low <= most))
        elif least is not None:
            self.row(what, where, spread(ours), text, f">= {least:g}", judge(middle >= least, high >= least))
        else:
            self.row(what, where, spread(ours), text, "", "-")

    def below(self, what: str, ours: Sample, most: float, where: str = "", name: str = "") -> None:
        """ours at most `most` seconds."""
        verdict = judge(ours.median <= most, ours.quantile(0.25) <= most)
        self.row(what, where, spread(ours), name, f"<= {show(most)}", verdict)

    def state(self, what: str, ours: Sample, where: str = "", name: str = "") -> None:
        self.row(what, where, spread(ours), name, "", "-")

    def counts(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in self.rows:
            verdict = row[5].split(":")[0]
            found[verdict] = found.get(verdict, 0) + 1
        return found


def judge(kept: bool, kept_when_quiet: bool) -> str:
    return "ok" if kept else "unclear" if kept_when_quiet else "MISS"


def _quartiles(values: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return ordered[round(0.25 * (len(ordered) - 1))], ordered[round(0.75 * (len(ordered) - 1))]


# --- places ----------------------------------------------------------------------------------------------------------

ALL_CPUS = sorted(os.sched_getaffinity(0))


def pin(pid: int, cpus: Sequence[int]) -> None:
    """All threads of a process onto these processors."""
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), cpus)


def places() -> list[tuple[str, list[int], list[int]]]:
    """Name, processors of the one side, of the other."""
    first, last = ALL_CPUS[:1], ALL_CPUS[-1:]
    found = [("same core", first, first), ("free", ALL_CPUS, ALL_CPUS)]
    if first != last:
        found.insert(1, ("two cores", first, last))
    return found


@contextlib.contextmanager
def placed(here: Sequence[int], others: Sequence[int], pids: Sequence[int]) -> Iterator[None]:
    pin(os.getpid(), here)
    for pid in pids:
        pin(pid, others)
    try:
        yield
    finally:
        for pid in (os.getpid(), *pids):
            with contextlib.suppress(FileNotFoundError):
                pin(pid, ALL_CPUS)


def cpu_seconds(pid: int) -> float:
    """Processor time of all threads, to the nanosecond where the kernel tells."""
    try:
        return sum(
            int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) for thread in os.listdir(f"/proc/{pid}/task")
        ) * 1e-9
    except (OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- daemons and helpers ---------------------------------------------------------------------------------------------


class Daemon:
    """A daemon in a folder of its own."""

    def __init__(self, build: Path, *options: str) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gd-bench-"))
        self.endpoint = f"ipc://{self.directory}/zmq"
        reader, writer = os.pipe()
        command = [str(build / "gromosd"), "--directory", str(self.directory), "--ready-fd", str(writer), "--log-level", "error"]
        with open(self.directory / "stderr", "ab") as log:
            self.process = subprocess.Popen(
                [*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writer,)
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.readline().strip()
        if answer != "ready":
            raise RuntimeError(f"the daemon did not start: {answer} {(self.directory / 'stderr').read_text()}")

    @property
    def pid(self) -> int:
        return self.process.pid

    def connect(self) -> gromos.Session:
        return gromos.connect(self.endpoint, default=False)

    def __enter__(self) -> Daemon:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)


class Helper:
    """A process of ours that answers lines."""

    def __init__(self, *command: str | Path, ready: bool = False, pass_fds: Sequence[int] = ()) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=pass_fds
        )
        if ready and self.read().strip() != "ready":
            raise RuntimeError(f"{command[0]} did not start")

    @property
    def pid(self) -> int:
        return self.process.pid

    def read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"a helper of the benchmark ended with status {self.process.wait()}")
        return line

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def ask(self, line: str) -> str:
        self.tell(line)
        return self.read()

    def nanoseconds(self, line: str) -> list[float]:
        return [int(word) * 1e-9 for word in self.ask(line).split()]

    def __enter__(self) -> Helper:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def build_extension(name: str) -> ModuleType:
    """The Python extension of name.c, built in a temporary folder."""
    folder = tempfile.mkdtemp(prefix="gd-bench-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = Path(folder) / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-O3", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", str(HERE / f"{name}.c"), "-o", str(target)]
    subprocess.run(command, check=True)
    return load_extension(name, target)


def load_extension(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def library(path: Path) -> ctypes.CDLL:
    return ctypes.CDLL(str(path))


def machine(build: Path) -> list[str]:
    """What this ran on."""
    import platform

    import numpy
    import zmq

    cpu = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    load = " ".join(f"{x:.1f}" for x in os.getloadavg())
    with Daemon(build) as daemon, daemon.connect() as session:
        kernels = session.info().kernels
    return [
        f"{cpu}, {len(ALL_CPUS)} processors, load {load}, Linux {platform.release()}",
        f"kernels {kernels}; gromos {gromos.__version__}, Python {platform.python_version()}, NumPy {numpy.__version__}, "
        f"pyzmq {zmq.__version__} (libzmq {zmq.zmq_version()})",
    ]


def run_text(*command: str | Path, timeout: float = 600) -> str:
    """The output of a benchmark that stands by itself."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        print(done.stdout)
        raise RuntimeError(f"{command[0]} ended with status {done.returncode}")
    return done.stdout


def python() -> str:
    return sys.executable

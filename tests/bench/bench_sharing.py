"""Sharing: publishing, waking readers in other processes, one writer with many readers, and a daemon that dies."""

from __future__ import annotations

import contextlib
import itertools
import json
import mmap
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zmq

import gromos
from benchlib import (
    HERE, Daemon, Helper, Report, Sample, build_extension, cpu_seconds, judge, pin, places, placed, python, run_text, sample_of, show,
)  # fmt: skip
from redis_wire import Redis

READER = HERE / "sharing_reader.py"
ATOMS = 100_000
RATE = 500.0


# --- publishing ------------------------------------------------------------------------------------------------------


def publishing(report: Report, build: Path, seconds: float) -> None:
    """The table of bench_frames: publishing in one process, without messages."""
    report.title(f"publishing {ATOMS:,} atoms, positions and velocities, beside memcpy of the same bytes (bench_frames, one thread)")
    text = run_text(build / "bench_frames", str(ATOMS))
    readers = 0
    scans: dict[int, float] = {}
    for line in text.splitlines():
        print("   " + line)
        if found := re.match(r"(\d+) readers", line):
            readers = int(found.group(1))
        if found := re.match(r"  choose a slot.* ([\d.]+) us", line):
            scans[readers] = float(found.group(1))
        if found := re.match(r"  publish +([\d.]+) us \(([\d.]+) to ([\d.]+)\) +([\d.]+) of the plain copy", line):
            median, low, high, ratio = (float(word) for word in found.groups())
            report.rows.append(
                (f"publish, {readers} readers with pins", "one", f"{median:g} us ({low:g} us - {high:g} us)", f"memcpy: x {ratio:g} of it",
                 "<= 1.2", judge(ratio <= 1.2, ratio * low / median <= 1.2))
            )  # fmt: skip
        if found := re.match(r"  wake (\d+) sleepers +([\d.]+) us", line):
            report.rows.append((f"futex wake of {found.group(1)} sleepers", "free", f"{found.group(2)} us", "", "", "-"))
    most = max(scans)
    each = (scans[most] - scans[0]) / most * 1e-6
    report.row("scan of the pins, per reader (4 pins, looked at twice)", "one", show(each), "", "", "-")


# --- waking ----------------------------------------------------------------------------------------------------------


class Woken:
    """A reader that waits for one thing, and the post that wakes it."""

    def __init__(self, mode: str, post: Callable[[Callable[[], None]], None], *arguments: str, pass_fds: Sequence[int] = ()) -> None:
        self.descriptor = os.memfd_create(mode)
        os.ftruncate(self.descriptor, 4096)
        self.memory = mmap.mmap(self.descriptor, 4096)
        self.post = post
        shared = str(self.descriptor)
        self.helper = Helper(python(), READER, "wake", mode, shared, *arguments, ready=True, pass_fds=(self.descriptor, *pass_fds))
        self.stamps = memoryview(self.memory)[128:136].cast("q")

    def stamp(self) -> None:
        self.stamps[0] = time.monotonic_ns()

    def finish(self) -> list[float]:
        """What it saw, seconds."""
        self.memory[0] = 1
        for _ in range(20):
            self.post(self.stamp)
            time.sleep(0.01)
            if self.helper.process.poll() is not None:
                break
        late = json.loads(self.helper.read())["late"]
        return [ns * 1e-9 for ns in late[:-1]]


def in_rounds(values: Sequence[float], rounds: int) -> Sample:
    size = len(values) // rounds
    return Sample([list(values[i * size : (i + 1) * size]) for i in range(rounds)])


def waking(report: Report, build: Path, seconds: float) -> None:
    report.title("from a writer's commit to the return of the wait in another Python process (the reader sleeps)")
    extension = build_extension("bare_wake")
    for where, here, there in places():
        late = wake_times(build, extension, here, there, seconds, spin=False)
        rounds = max(4, min(len(v) for v in late.values()) // 20)
        samples = {name: in_rounds(values, rounds) for name, values in late.items()}
        ours = samples["gromos"]
        report.against("state.wait(), commit without a frame", ours, samples["futex"], "futex in a C extension", most=1.3, where=where)
        report.against("   the same", ours, samples["eventfd"], "eventfd in a C extension", where=where)
        least = {"same core": 3.0, "two cores": 2.0}.get(where)
        report.against("   the same", ours, samples["zmq"], "ZeroMQ PUB/SUB", least=least, where=where)
        report.state("frames(), published through the daemon, 1,000 atoms", samples["frames"], where=where)
    if len(places()) > 2:
        _, here, there = places()[1]
        late = wake_times(build, extension, here, there, seconds / 2, spin=True)
        report.state("state.wait(spin=): looks before it sleeps", sample_of(late["spin"]), where="two cores")


def wake_times(build: Path, extension: Any, here: Sequence[int], there: Sequence[int], seconds: float, spin: bool) -> dict[str, list[float]]:
    with contextlib.ExitStack() as stack:
        daemon = stack.enter_context(Daemon(build))
        session = stack.enter_context(daemon.connect())
        woken = session.create(1000, name="woken")
        context = zmq.Context()
        stack.callback(context.term)
        publisher = stack.enter_context(context.socket(zmq.PUB))
        publisher.setsockopt(zmq.LINGER, 0)
        event = os.eventfd(0, os.EFD_NONBLOCK)
        stack.callback(os.close, event)
        readers: dict[str, Woken] = {}

        def start(mode: str, post: Callable[[Callable[[], None]], None], *arguments: str, pass_fds: Sequence[int] = ()) -> None:
            readers[mode] = Woken(mode, post, *arguments, pass_fds=pass_fds)
            stack.enter_context(readers[mode].helper)

        def commit(state: gromos.State, publish: bool) -> Callable[[Callable[[], None]], None]:
            def post(stamp: Callable[[], None]) -> None:
                edit = state.edit(publish=publish)
                with edit:
                    edit.step = edit.step + 1
                    stamp()

            return post

        def post_futex(stamp: Callable[[], None]) -> None:
            stamp()
            extension.futex_post(memoryview(readers["futex"].memory)[64:68])

        def post_eventfd(stamp: Callable[[], None]) -> None:
            stamp()
            os.eventfd_write(event, 1)

        def post_zmq(stamp: Callable[[], None]) -> None:
            stamp()
            publisher.send(b"12345678")

        if spin:
            start("spin", commit(woken, False), daemon.endpoint, "woken")
        else:
            path = f"ipc://{daemon.directory}/pub"
            publisher.bind(path)
            framed = session.create(1000, name="framed")
            start("gromos", commit(woken, False), daemon.endpoint, "woken")
            start("frames", commit(framed, True), daemon.endpoint, "framed")
            start("futex", post_futex, extension.__file__)
            start("eventfd", post_eventfd, extension.__file__, str(event), pass_fds=(event,))
            start("zmq", post_zmq, path)
        pids = [reader.helper.pid for reader in readers.values()]
        with placed(here, there, pids):
            pin(daemon.pid, here)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                for reader in readers.values():
                    reader.post(reader.stamp)
                    time.sleep(0.0015)
            return {mode: reader.finish() for mode, reader in readers.items()}


# --- one writer, many readers ----------------------------------------------------------------------------------------


def readers(report: Report, build: Path, seconds: float) -> None:
    report.title(f"one writer, {ATOMS:,} atoms, {RATE:g} frames/s, readers that sum each frame (all free)")
    costs: dict[int, float] = {}
    counts = (1, 16) if report.quick else (1, 4, 16)
    with Daemon(build) as daemon, daemon.connect() as session:
        state = session.create(ATOMS, name="streamed", slots=128)
        report.note(f"load of the machine {os.getloadavg()[0]:.1f}: a reader that gets no processor for 2 ms misses a frame with policy latest,")
        report.note("one that gets none for 256 ms (128 slots) with policy every")
        array = np.random.default_rng(3).random((ATOMS, 3), dtype=np.float32)
        state.set_positions(array)
        for policy, most in (("latest", 1.0), ("every", 0.0)):
            for count in counts:
                with crowd(policy, count, daemon.endpoint) as readers_:
                    first = state.version + 1
                    before = cpu_seconds(daemon.pid)
                    ends, each = pace(lambda: state.set_positions(array), seconds)
                    sent = len(ends)
                    spent = (cpu_seconds(daemon.pid) - before) / sent
                    lost, gaps = finish(readers_, sent)
                report.note(f"{policy}, {count} readers: " + where_lost(first, ends, gaps))
                costs[count] = min(costs.get(count, spent), spent)
                verdict = judge(max(lost) <= most, statistics.median(lost) <= most)
                report.row(
                    f"gromos, {policy}, {count} readers", "free", f"{sent / seconds:.0f}/s, writer {show(each)} a frame",
                    f"missed {statistics.median(lost):.3g} % (most {max(lost):.3g} %), daemon {show(spent)} of CPU a frame",
                    f"<= {most:g} %", verdict,
                )  # fmt: skip
        skipped = state.describe().skipped
    growth = (costs[counts[-1]] - costs[counts[0]]) / (counts[-1] - counts[0])
    report.row("daemon's CPU a frame for each further reader", "free", show(growth), "the wake-up; nothing is copied for it", "", "-")
    report.note(f"publishes skipped because every slot was held: {skipped}")
    for name, run in (("ZeroMQ PUB/SUB", with_zmq), ("Redis", with_redis)):
        for count in counts[-1:] if report.quick else counts:
            run(report, name, count, array, seconds)


@contextlib.contextmanager
def crowd(mode: str, count: int, *arguments: str) -> Iterator[list[Helper]]:
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(Helper(python(), READER, "sum", mode, *arguments)) for _ in range(count)]
        for reader in started:
            if reader.read().strip() != "ready":
                raise RuntimeError("a reader did not start")
        yield started


def pace(send: Callable[[], object], seconds: float) -> tuple[list[float], float]:
    """Call it RATE times a second, late ones at once; when each call ended (monotonic seconds), and the median time of one."""
    start = time.monotonic()
    times: list[float] = []
    ends: list[float] = []
    while (now := time.monotonic()) < start + seconds:
        due = start + len(times) / RATE
        if now < due:
            time.sleep(due - now)
        before = time.monotonic()
        send()
        ends.append(time.monotonic())
        times.append(ends[-1] - before)
    return ends, statistics.median(times)


def finish(readers_: Sequence[Helper], sent: int) -> tuple[list[float], list[list[tuple[int, int]]]]:
    """Per cent of the frames each reader did not see, and the versions after and before each gap."""
    time.sleep(0.3)
    for reader in readers_:
        reader.tell("stop")
    told = [json.loads(reader.read()) for reader in readers_]
    return [100.0 * max(0, sent - answer["seen"]) / sent for answer in told], [answer.get("gaps", []) for answer in told]


def where_lost(first: int, ends: Sequence[float], gaps: Sequence[Sequence[Sequence[int]]]) -> str:
    """What the frames that readers did not see have in common. first: the version of the first one."""
    early = [b - a < 0.5 / RATE for a, b in itertools.pairwise(ends)]
    missed = [version - first for reader in gaps for after, before in reader for version in range(after + 1, before)]
    known = [number for number in missed if 0 <= number < len(early)]
    late = sum(early[number] for number in known)
    return (
        f"{sum(early)} of {len(ends)} frames came less than {0.5e3 / RATE:g} ms before the next, when the writer was late; "
        f"readers missed {late} of these in all, and {len(known) - late} others"
    )


def with_zmq(report: Report, name: str, count: int, array: np.ndarray[Any, Any], seconds: float) -> None:
    folder = tempfile.mkdtemp(prefix="gd-bench-")
    context = zmq.Context()
    publisher = context.socket(zmq.PUB)
    publisher.setsockopt(zmq.SNDHWM, 16)
    publisher.setsockopt(zmq.LINGER, 0)
    publisher.bind(f"ipc://{folder}/pub")
    with crowd("zmq", count, f"ipc://{folder}/pub") as readers_:
        before = cpu_seconds(os.getpid())
        ends, each = pace(lambda: publisher.send(array), seconds)
        sent = len(ends)
        spent = (cpu_seconds(os.getpid()) - before) / sent
        other(report, name, count, sent, seconds, each, spent, finish(readers_, sent)[0])
    publisher.close()
    context.term()
    shutil.rmtree(folder, ignore_errors=True)


def with_redis(report: Report, name: str, count: int, array: np.ndarray[Any, Any], seconds: float) -> None:
    # The server and its checker are one binary, which goes by the name it is called with; redis-tools has it without the service.
    binary = shutil.which("redis-server") or shutil.which("redis-check-rdb")
    if binary is None:
        report.skip(f"{name}, {count} readers", "redis-tools is not installed")
        return
    folder = tempfile.mkdtemp(prefix="gd-bench-")
    path = f"{folder}/redis"
    options = ["--port", "0", "--unixsocket", path, "--save", "", "--client-output-buffer-limit", "pubsub 256mb 0 0", "--dir", folder]
    with subprocess.Popen(["redis-server", *options], executable=binary, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 10
            while not os.path.exists(path) and time.monotonic() < until:
                time.sleep(0.02)
            client, data = Redis(path), array.tobytes()
            with crowd("redis", count, path) as readers_:
                before = cpu_seconds(server.pid)
                ends, each = pace(lambda: client.call("PUBLISH", "frames", data), seconds)
                sent = len(ends)
                spent = (cpu_seconds(server.pid) - before) / sent
                other(report, name, count, sent, seconds, each, spent, finish(readers_, sent)[0])
        finally:
            server.kill()
            server.wait()
    shutil.rmtree(folder, ignore_errors=True)


def other(
    report: Report, name: str, count: int, sent: int, seconds: float, each: float, spent: float, lost: Sequence[float]
) -> None:  # fmt: skip
    seen = sent / seconds * (1 - statistics.median(lost) / 100)
    report.row(
        f"{name}, {count} readers", "free", f"{sent / seconds:.0f}/s, writer {show(each)} a frame",
        f"a reader sees {seen:.0f}/s, missed {statistics.median(lost):.3g} %, sender {show(spent)} of CPU a frame", "", "-",
    )  # fmt: skip


# --- death of the daemon ---------------------------------------------------------------------------------------------


def restart(report: Report, build: Path, seconds: float) -> None:
    clients = 4
    report.title(f"SIGKILL of the worker of gromosd --keep, healthy for a second, until {clients} clients have been served again (free)")
    times: list[float] = []
    with Daemon(build, "--keep") as daemon, contextlib.ExitStack() as stack:
        sessions = [stack.enter_context(daemon.connect()) for _ in range(clients)]
        states = [session.create(1000, name=f"kept-{i}") for i, session in enumerate(sessions)]
        for step in range(3 if report.quick else 8):
            time.sleep(1.2)
            for state in states:
                state.set(step=step)
            times.append(time_restart(sessions, states, step))
    sample = sample_of(times)
    report.below("a ping and an edit of every client answered", sample, 0.3, where="free", name=f"worst {show(max(times))}")


def time_restart(sessions: Sequence[gromos.Session], states: Sequence[gromos.State], step: int) -> float:
    served: list[float] = [0.0] * len(sessions)
    worker = sessions[0].info().pid

    def ask(number: int) -> None:
        while True:
            try:
                sessions[number].ping()
                if states[number].step != step:
                    raise RuntimeError("a State came back with other contents")
                states[number].set(step=step)
                served[number] = time.perf_counter()
                return
            except gromos.GromosError:
                time.sleep(0.002)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(sessions))]
    start = time.perf_counter()
    os.kill(worker, signal.SIGKILL)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(served) - start

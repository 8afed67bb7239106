#!/usr/bin/env python3
"""Soak: many processes create, attach, edit, read, clone, rename, delete and leave in random order, and nothing may grow.

    soak.py [--build DIR] [--minutes M] [--processes P] [--seed S] [--cycles C]

The time is cut into cycles. In each the processes, local and remote, work at random; at its end they let go of everything and rest, and
what is there is measured: descriptors, segments, threads and memory of the daemon, and descriptors, threads, mappings and memory of
every process. The first cycles warm up (pools, caches, arenas); after them every count must stay as it is, and memory within a
limit. The last line is `N passed, N failed`.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from ports import free_port  # noqa: E402

NAMES = [f"pool-{i}" for i in range(6)]
WARM_UP = 2
SESSION_TTL = 2.0  # remote sessions end this long after their last sign of life
DAEMON_GROWTH = 8 << 20  # bytes; arenas of the allocator settle within this
CLIENT_GROWTH = 24 << 20
COUNTS = ("descriptors", "segments", "mapped segments", "threads")
SETTLE = 3 * SESSION_TTL + 4  # seconds


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(pid: int) -> dict[str, int]:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    targets = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            targets.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {
        "descriptors": sum(not t.startswith("/memfd:") and not t.startswith("/proc/") for t in targets),
        "segments": sum(t.startswith("/memfd:") for t in targets),
        "mapped segments": sum("/memfd:" in line for line in maps),
        "threads": int(status["Threads"]),
        "memory": int(status["RssAnon"].split()[0]) * 1024,
    }


def settle(pid: int, before: list[dict[str, int]], growth: int) -> dict[str, int]:
    """What a process has in the end. Sockets, threads and freed memory are let go of a little after they were last used, so it is measured
    until there is no more than ever `before`, or long enough: what leaks stays."""
    most = {what: max(entry[what] for entry in before) for what in COUNTS} if before else {"segments": 0, "mapped segments": 0}
    memory = min((entry["memory"] for entry in before), default=1 << 62) + growth
    deadline = time.monotonic() + SETTLE
    while True:
        gc.collect()
        now = measure(pid)
        if (now["memory"] < memory and all(now[what] <= count for what, count in most.items())) or time.monotonic() > deadline:
            return now
        time.sleep(0.1)


class Daemon:
    def __init__(self, binary: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gd-soak-"))
        self.tcp = f"tcp://127.0.0.1:{free_port()}"
        reader, writer = os.pipe()
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [str(binary), "--directory", str(self.directory), "--ready-fd", str(writer), "--listen", self.tcp, "--plain-loopback",
                 "--log-level", "warn", "--session-ttl", str(SESSION_TTL)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writer,),
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            if (answer := pipe.readline().strip()) != "ready":
                raise RuntimeError(f"the daemon did not start: {answer}")
        self.endpoint = f"ipc://{self.directory}/zmq"


# --- one process -------------------------------------------------------------------------------------------------------


class Worker:
    """Works while told so; `states` and `held` are what it has open."""

    def __init__(self, endpoint: str, seed: int) -> None:
        self.endpoint = endpoint
        self.random = random.Random(seed)
        self.session: Any = None
        self.states: list[Any] = []
        self.held: list[Any] = []
        self.done = 0
        self.refused = 0
        self.wrong: list[str] = []
        self.ends: list[dict[str, int]] = []

    def pick(self) -> Any:
        import gromos

        if not self.states or self.random.random() < 0.1:
            if self.random.random() < 0.5:
                self.states.append(self.session.attach(self.random.choice(NAMES)))
            else:
                self.states.append(gromos.State(self.random.randrange(1, 4000), session=self.session))
        return self.random.choice(self.states)

    def create(self) -> None:
        import gromos

        name = self.random.choice(NAMES) if self.random.random() < 0.5 else None
        size = self.random.choice((1, 10, 300, 5000, 40000))
        self.states.append(
            gromos.State(size, 1, 2, name=name, session=self.session, dtype=self.random.choice(("float32", "float64")))
        )

    def edit(self) -> None:
        state = self.pick()
        with state.edit(timeout=2, publish=self.random.random() < 0.7) as e:
            positions = e.positions()
            value = positions[0, 0] + 1
            positions[:] = value
            e.step = e.step + 1
            if self.random.random() < 0.2:
                raise InterruptedError

    def set_arrays(self) -> None:
        import numpy as np

        state = self.pick()
        state.set_velocities(np.full((state.num_atoms(), 3), 0.5), timeout=2)

    def read(self) -> None:
        state = self.pick()
        with state.snapshot() as f:
            positions = f.positions()
            if positions.min() != positions.max():
                self.wrong.append(f"torn frame {f.step}")
            if self.random.random() < 0.3:
                self.held.append(positions)
        if len(self.held) > 10:
            del self.held[self.random.randrange(len(self.held))]

    def follow(self) -> None:
        for n, _ in enumerate(self.pick().frames(timeout=0.01)):
            if n > 3:
                break

    def compute(self) -> None:
        state = self.pick()
        state.center_of_geometry()
        state.radius_of_gyration()
        state.bounds()

    def clone(self) -> None:
        self.states.append(self.pick().clone())

    def let_go(self) -> None:
        if self.states:
            state = self.states.pop(self.random.randrange(len(self.states)))
            if self.random.random() < 0.5:
                state.close()

    def delete(self) -> None:
        if self.random.random() < 0.3:
            self.pick().delete(force=self.random.random() < 0.5)

    def in_threads(self) -> None:
        state = self.pick()

        def bump() -> None:
            import gromos

            try:
                for _ in range(3):
                    with state.edit(timeout=2) as e:
                        e.positions()[:] += 1
            except gromos.GromosError:
                pass

        threads = [threading.Thread(target=bump) for _ in range(3)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def in_a_child(self) -> None:
        """The child connects anew and ends; what it inherited is its parent's."""
        if not self.session.local:
            return
        pid = os.fork()
        if pid == 0:
            try:
                self.session.ping()
            finally:
                os._exit(0)
        os.waitpid(pid, 0)

    def reconnect(self) -> None:
        import gromos

        self.states.clear()
        self.session.close()
        self.session = gromos.connect(self.endpoint, default=False)

    def work(self, seconds: float) -> None:
        import gromos

        actions = ([self.create] * 3 + [self.edit] * 12 + [self.set_arrays] * 4 + [self.read] * 12 + [self.follow] * 3 + [self.compute] * 4
                   + [self.clone] + [self.let_go] * 8 + [self.delete] * 2 + [self.in_threads] + [self.in_a_child] + [self.reconnect])
        end = time.monotonic() + seconds
        if self.session is None:
            self.session = gromos.connect(self.endpoint, default=False)
        while time.monotonic() < end:
            try:
                self.random.choice(actions)()
                self.done += 1
            except InterruptedError:
                self.done += 1
            except (gromos.NotFoundError, gromos.NameTakenError, gromos.StateDeletedError, gromos.ConflictError, gromos.LeaseTimeoutError,
                    gromos.LeaseLostError, gromos.StaleGenerationError):
                self.refused += 1  # others were quicker
            except gromos.GromosError as error:
                self.wrong.append(repr(error))

    def rest(self) -> None:
        self.states.clear()
        self.held.clear()
        gc.collect()
        if self.session is not None:
            self.session.close()
            self.session = None
        gc.collect()


def serve(worker: Worker, orders: Any, answers: Any) -> None:
    for line in orders:
        order, seconds = line.split()
        if order == "work":
            worker.work(float(seconds))
        elif order == "rest":
            worker.rest()
            worker.ends.append(settle(os.getpid(), worker.ends, CLIENT_GROWTH))
        answer = {"done": worker.done, "refused": worker.refused, "wrong": worker.wrong[:3], "ends": worker.ends}
        print(json.dumps(answer), file=answers, flush=True)


class Process:
    def __init__(self, endpoint: str, seed: int, others: list[Process]) -> None:
        order_reader, order_writer = os.pipe()
        answer_reader, answer_writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            for other in others:
                other.orders.close()
                other.answers.close()
            os.close(order_writer)
            os.close(answer_reader)
            status = 1
            try:
                with os.fdopen(order_reader) as orders, os.fdopen(answer_writer, "w") as answers:
                    serve(Worker(endpoint, seed), orders, answers)
                status = 0
            finally:
                os._exit(status)
        os.close(order_reader)
        os.close(answer_writer)
        self.orders = os.fdopen(order_writer, "w")
        self.answers = os.fdopen(answer_reader)

    def order(self, text: str) -> None:
        print(text, file=self.orders, flush=True)

    def answer(self) -> dict[str, Any]:
        line = self.answers.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} died")
        result: dict[str, Any] = json.loads(line)
        return result


# --- the whole -----------------------------------------------------------------------------------------------------------


class Findings:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def expect(self, good: bool, what: str) -> None:
        self.passed += good
        self.failed += not good
        if not good:
            print(f"FAILED: {what}", flush=True)


def sweep(endpoint: str) -> None:
    """Deletes the named States, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            import gromos

            with gromos.connect(endpoint, default=False) as session:
                for state in session.states():
                    session.attach(state.uuid).delete(force=True)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        raise RuntimeError("the States could not be deleted")


def compare(findings: Findings, who: str, history: list[dict[str, int]], growth: int) -> None:
    """What leaks grows from cycle to cycle. A count may also swing by what is kept for reuse at the moment it is taken, so the end is held
    against the most of the first half behind the warm-up, not against one moment of it."""
    last = history[-1]
    early = history[WARM_UP - 1 : max(WARM_UP, (len(history) + 1) // 2)]
    for what in COUNTS:
        settled = max(entry[what] for entry in early)
        findings.expect(last[what] <= settled, f"{who}: {what} went from {settled} to {last[what]}: {[h[what] for h in history]}")
    grown = last["memory"] - early[0]["memory"]
    findings.expect(grown < growth, f"{who}: memory grew by {grown >> 10} KiB: {[h['memory'] >> 10 for h in history]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--cycles", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.cycles <= WARM_UP:
        parser.error(f"at least {WARM_UP + 1} cycles")
    import gromos  # noqa: F401  before the first fork

    gromos.progress(False)
    findings = Findings()
    daemon = Daemon((options.build / "gromosd").resolve())
    processes: list[Process] = []
    history: dict[str, list[dict[str, int]]] = {}
    total: dict[str, Any] = {}
    try:
        for i in range(options.processes):
            endpoint = daemon.tcp if i % 4 == 3 else daemon.endpoint
            processes.append(Process(endpoint, options.seed * 1000 + i, processes))
        for cycle in range(options.cycles):
            for order in (f"work {options.minutes * 60 / options.cycles}", "rest 0"):
                for p in processes:
                    p.order(order)
                answers = [p.answer() for p in processes]
            sweep(daemon.endpoint)
            ends = history.setdefault("daemon", [])
            ends.append(settle(daemon.process.pid, ends, DAEMON_GROWTH))
            for i, answer in enumerate(answers):
                history[f"process {i}"] = answer["ends"]
                for text in answer["wrong"]:
                    findings.expect(False, f"process {i}: {text}")
            total = {k: sum(a[k] for a in answers) for k in ("done", "refused")}
            print(f"cycle {cycle + 1}: {total['done']} actions, {total['refused']} refused; daemon {history['daemon'][-1]}", flush=True)
            if findings.failed:
                break
        findings.expect(total["done"] > 20 * total["refused"] / 19, "hardly anything was done")
        if len(history["daemon"]) > WARM_UP:
            for who, measured in history.items():
                compare(findings, who, measured, DAEMON_GROWTH if who == "daemon" else CLIENT_GROWTH)
            findings.expect(history["daemon"][-1]["segments"] == 0, "the daemon has segments of States that are gone")
        log = (daemon.directory / "log").read_text(errors="replace")
        findings.expect(" error " not in log, f"errors in the log: {log[-2000:]}")
        daemon.process.send_signal(signal.SIGTERM)
        findings.expect(daemon.process.wait(20) == 0, "the daemon stops with status 0")
    except (RuntimeError, OSError) as error:
        findings.expect(False, f"{type(error).__name__}: {error}")
    finally:
        for p in processes:
            os.kill(p.pid, signal.SIGKILL)
        if daemon.process.poll() is None:
            daemon.process.kill()
        if findings.failed:
            print(f"log: {daemon.directory}")
        else:
            shutil.rmtree(daemon.directory, ignore_errors=True)
    print(f"{findings.passed} passed, {findings.failed} failed")
    return 0 if findings.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The kill harness: clients and the daemon are killed at random instants, and nothing may be lost that was told to be done.

    crash.py [--build DIR] [--kills N] [--seed S] [--long]

Editors, readers, remote editors and clients that misbehave (clients.py) work on four named States of a daemon with --keep, and two
assigners each on one of its own, whole arrays without frames, most of their time in the middle of a copy. A
schedule from a fixed seed kills them (SIGKILL), stops some for longer than a lease may be held (SIGSTOP) and kills the daemon's worker.
Every so often all clients are killed at once and everything is looked at:

    content      every State is one edit's work, whole, in live memory and in its newest frame
    accounted    each number up to the content was made by exactly one edit that was told so, or by one that could not know
    lasting      nothing that was told to be done is missing; nothing that was told to be undone counts twice
    let go       no lease is held, nobody waits, no session but the one that asks, no pin
    descriptors  the daemon has as many as at the start, and as many segments as its States need
    memory       what the daemon has allocated by itself does not grow with the kills
    log          every death of the worker, every eviction and rollback stands there, assigners were met in the middle of a copy (looked for
                 from 500 kills on), no edit was undone in part, and no error that was not made

The last line is `N passed, N failed`. The schedule depends on the seed alone; the instants are the machine's.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(Path(__file__).resolve().parent), str(ROOT / "tests")]

from ports import free_port  # noqa: E402

CAST = ("editor", "editor", "editor", "reader", "reader", "churner", "remote_editor", "half_a_message", "half_a_door",
        "assigner epsilon", "assigner zeta")
LEASE_LIMIT = 1.0
SESSION_TTL = 1.0
PATIENCE = 60.0
"""Seconds after which what was to come does not come any more, also on a machine with other work."""


# --- the daemon ------------------------------------------------------------------------------------------------------


class Daemon:
    def __init__(self, binary: Path) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gd-crash-"))
        self.tcp = f"tcp://127.0.0.1:{free_port()}"
        reader, writer = os.pipe()
        with open(self.directory / "log", "ab") as log:
            self.keeper = subprocess.Popen(
                [str(binary), "--keep", "--directory", str(self.directory), "--ready-fd", str(writer), "--listen", self.tcp,
                 "--plain-loopback", "--lease-limit", str(LEASE_LIMIT), "--session-ttl", str(SESSION_TTL)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writer,),
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            if (answer := pipe.readline().strip()) != "ready":
                raise RuntimeError(f"the daemon did not start: {answer}\n{self.log()}")

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def worker(self) -> int:
        """Its pid; 0 while there is none."""
        try:
            children = Path(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children").read_text().split()
        except OSError:
            return 0
        return int(children[0]) if children else 0

    def answers(self) -> bool:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            try:
                door.connect(str(self.directory / "door"))
            except OSError:
                return False
        return True

    def kill_worker(self) -> float:
        """Seconds until the door is open again."""
        pid = self.worker()
        assert pid != 0, "there is no worker to kill"
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        while time.monotonic() - began < PATIENCE and (self.worker() in (0, pid) or not self.answers()):
            time.sleep(0.002)
        return time.monotonic() - began

    def stop(self) -> int:
        self.keeper.send_signal(signal.SIGTERM)
        return self.keeper.wait(PATIENCE)


def descriptors(pid: int) -> dict[str, int]:
    """Kinds of a process's descriptors: segments by name, the others together."""
    kinds: collections.Counter[str] = collections.Counter()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
        except OSError:
            continue
        kinds[target.split()[0].removeprefix("/memfd:") if target.startswith("/memfd:") else "other"] += 1
    return dict(kinds)


def as_at_the_start(now: dict[str, int], first: dict[str, int]) -> bool:
    """The same segments, and no more of other kinds."""
    same = {k: v for k, v in now.items() if k != "other"} == {k: v for k, v in first.items() if k != "other"}
    return same and now.get("other", 0) <= first["other"]


def anonymous(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


# --- looking, in a process of its own ---------------------------------------------------------------------------------


def in_child(function: Any, *args: Any) -> Any:
    """Calls a function in a forked process and returns what it returns, through JSON: this process never has a session."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            answer = {"result": function(*args)}
        except BaseException as error:  # noqa: BLE001
            answer = {"error": repr(error)}
        with os.fdopen(writer, "w") as pipe:
            json.dump(answer, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    answer = json.loads(text or '{"error": "the looking process died"}')
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["result"]


def make_states(endpoint: str) -> None:
    import gromos
    from clients import ASSIGNED, ATOMS

    with gromos.connect(endpoint, default=False) as session:
        for name, atoms in (ATOMS | ASSIGNED).items():
            session.create(atoms, name=name, slots=6)


def delete_states(endpoint: str) -> None:
    import gromos

    with gromos.connect(endpoint, default=False) as session:
        for state in session.states():  # also one without a name that survived the worker and waits for its client
            try:
                session.attach(state.uuid).delete(force=True)
            except (gromos.NotFoundError, gromos.StateDeletedError):
                pass  # its time was over just now


def numbers_of(whole: Any, edited: bool) -> list[float]:
    """What must be one number: smallest and largest of each array and the step; of an assigner's State those of the positions."""
    arrays = (whole.positions(), whole.velocities()) if edited else (whole.positions(),)
    return [float(v) for a in arrays for v in (a.min(), a.max())] + ([float(whole.step)] if edited else [])


def look(endpoint: str) -> dict[str, Any]:
    import gromos
    from clients import ASSIGNED, NAMES

    names = (*NAMES, *ASSIGNED)
    with gromos.connect(endpoint, default=False) as session:
        began = time.monotonic()
        while True:  # until the dead are buried: the remote ones when they have been silent for too long
            sessions = [s for s in session.sessions() if s["session"] != session.number]
            about = {s.name: s for s in session.states()}
            local = [s for s in sessions if s["local"]]
            if not local and "let_go" not in locals():
                let_go = time.monotonic() - began
            if not sessions and len(about) == len(names) and not any(s.lease or s.waiters for s in about.values()):
                break
            if time.monotonic() - began > SESSION_TTL * 2 + PATIENCE:
                break
            time.sleep(0.01)
        states = {}
        for name in names:
            if name not in about:
                continue
            state = session.attach(name)
            live = numbers_of(state, name in NAMES)
            with state.snapshot() as f:
                frame = numbers_of(f, name in NAMES)
            one = about[name]
            states[name] = {"live": live, "frame": frame, "version": one.version, "generation": one.generation,
                            "lease": one.lease, "waiters": one.waiters, "sessions": one.sessions}
            state.close()
        others = [s for s in session.states() if s.name not in names]
        return {"states": states, "sessions": sessions, "let_go": locals().get("let_go", -1.0),
                "others": sum(s.sessions > 0 for s in others), "orphans": sum(s.sessions == 0 for s in others)}


# --- the journal against the content ----------------------------------------------------------------------------------


@dataclass
class Findings:
    passed: int = 0
    failed: list[str] = field(default_factory=list)

    def expect(self, good: bool, what: str) -> None:
        if good:
            self.passed += 1
        else:
            self.failed.append(what)
            print(f"FAILED: {what}", flush=True)


def account(findings: Findings, journal: Path, states: dict[str, Any]) -> dict[str, int]:
    told: dict[tuple[str, int], int] = collections.Counter()
    begun: dict[tuple[str, int], int] = collections.Counter()
    undone: dict[tuple[str, int], int] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    for line in journal.read_text().splitlines():
        kind, *rest = line.split()
        kinds[kind] += 1
        if kind == "!":
            findings.expect(False, line)
        elif kind == "b":
            begun[rest[0], int(rest[1])] += 1
        elif kind == "d":
            told[rest[0], int(rest[1])] += 1
        elif kind in "lr":
            undone[rest[0], int(rest[1])] += 1
    for name, state in states.items():
        content = int(state["live"][0])
        missing = [v for (n, v) in told if n == name and v > content]
        twice = [v for (n, v), count in told.items() if n == name and count > 1]
        unexplained = [v for v in range(1, content + 1) if not told[name, v] and begun[name, v] <= undone[name, v]]
        findings.expect(not missing, f"{name}: edits told to be done are missing: {missing[:5]}, content {content}")
        findings.expect(not twice, f"{name}: two edits were told they made the same step: {twice[:5]}")
        findings.expect(not unexplained, f"{name}: nobody made {unexplained[:5]} (of {content})")
    return dict(kinds)


# --- the schedule -----------------------------------------------------------------------------------------------------


@dataclass
class Show:
    daemon: Daemon
    journal: Path
    random: random.Random
    cast: dict[int, str] = field(default_factory=dict)
    stopped: dict[int, float] = field(default_factory=dict)
    kills: int = 0
    stops: int = 0
    worker_kills: int = 0
    downtimes: list[float] = field(default_factory=list)
    let_go: list[float] = field(default_factory=list)

    def enter(self, role: str) -> None:
        from clients import start

        self.cast[start(role, self.daemon.directory, self.journal, self.random.getrandbits(32), self.daemon.tcp)] = role

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.stopped.pop(pid, None)
        del self.cast[pid]
        self.kills += 1

    def kill_one(self) -> None:
        pid = self.random.choice(sorted(self.cast))
        role = self.cast[pid]
        self.kill(pid)
        self.enter(role)

    def stop_one(self) -> None:
        editors = sorted(p for p, role in self.cast.items() if role.split()[0] in ("editor", "assigner") and p not in self.stopped)
        if editors:
            pid = self.random.choice(editors)
            os.kill(pid, signal.SIGSTOP)
            self.stopped[pid] = time.monotonic() + LEASE_LIMIT * (0.5 + self.random.random())
            self.stops += 1

    def go_on(self) -> None:
        for pid in [p for p, until in self.stopped.items() if until <= time.monotonic()]:
            os.kill(pid, signal.SIGCONT)
            del self.stopped[pid]

    def act(self) -> None:
        """One act: kills one after the other."""
        for _ in range(self.random.randrange(40, 60)):
            time.sleep(self.random.random() * 0.05)
            self.go_on()
            chance = self.random.random()
            if chance < 0.05:
                self.stop_one()
            elif chance < 0.08:
                self.downtimes.append(self.daemon.kill_worker())
                self.worker_kills += 1
            else:
                self.kill_one()

    def clear_stage(self) -> None:
        for pid in sorted(self.cast):
            self.kill(pid)


def check_log(findings: Findings, daemon: Daemon, kills: int, worker_kills: int, generations: int) -> None:
    from clients import ASSIGNED

    log = daemon.log()
    deaths = len(re.findall(r"the worker died of signal 9", log))
    findings.expect(deaths == worker_kills, f"log: {worker_kills} kills of the worker, {deaths} in the log")
    moved = len(re.findall(r"now generation \d+|an edit of session \d+ was under way", log))
    findings.expect(moved >= generations, f"log: {generations} new generations, {moved} lines about them")
    undone = collections.Counter(re.findall(r"(?:rolled back \(|rollback )(\w+)", log))
    findings.expect(undone["partly"] == 0, f"log: {undone['partly']} edits were undone in part")
    middle = len(re.findall(rf"(?:{'|'.join(ASSIGNED)}): edit rolled back", log))
    findings.expect(middle > 0 or kills < 500, "log: no assigner was killed in the middle of a copy")
    print(f"undone by the daemon: {dict(undone)}, {middle} of them assigners in the middle of a copy")
    errors = [line for line in log.splitlines() if re.search(r"\berror\b", line) and "the worker died of signal 9" not in line]
    findings.expect(not errors, f"log: errors that nobody made: {errors[:3]}")
    clients = (daemon.directory / "clients").read_text(errors="replace")
    findings.expect("Traceback" not in clients, f"a client ended by itself: {clients[-1500:]}")


def inspect(findings: Findings, show: Show, endpoint: str, empty: dict[str, int]) -> dict[str, Any]:
    show.clear_stage()
    seen = in_child(look, endpoint)
    show.let_go.append(seen["let_go"])
    from clients import ASSIGNED, NAMES

    findings.expect(sorted(seen["states"]) == sorted([*NAMES, *ASSIGNED]), f"States: {sorted(seen['states'])}")
    findings.expect(not seen["others"], f"{seen['others']} States without a name have sessions")
    # one that survived the daemon waits a while for its client to come back
    findings.expect(seen["orphans"] <= show.worker_kills, f"{seen['orphans']} States of dead clients are left")
    findings.expect(not seen["sessions"], f"sessions of dead clients are left: {seen['sessions']}")
    for name, state in seen["states"].items():
        findings.expect(len(set(state["live"])) == 1, f"{name}: live memory is {state['live']}")
        findings.expect(len(set(state["frame"])) == 1, f"{name}: the newest frame is {state['frame']}")
        findings.expect(state["lease"] == 0 and state["waiters"] == 0, f"{name}: lease {state['lease']}, {state['waiters']} wait")
    kinds = account(findings, show.journal, seen["states"])
    until = time.monotonic() + PATIENCE
    while (now := descriptors(show.daemon.worker())).get("other", 0) > empty["other"] and time.monotonic() < until:
        time.sleep(0.02)
    findings.expect(now.get("other", 0) <= empty["other"], f"descriptors: {empty} at the start, {now} now")
    return {"kinds": kinds, **seen}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--kills", type=int, default=250)
    parser.add_argument("--seed", type=int, default=20240607)
    parser.add_argument("--long", action="store_true", help="3000 kills")
    parser.add_argument("--keep-files", action="store_true")
    options = parser.parse_args()
    kills = 3000 if options.long else options.kills

    import clients  # noqa: F401  everything is imported before the first fork

    findings = Findings()
    daemon = Daemon((options.build / "gromosd").resolve())
    endpoint = f"ipc://{daemon.directory}/zmq"
    show = Show(daemon, daemon.directory / "journal", random.Random(options.seed))
    show.journal.touch()
    (daemon.directory / "clients").touch()
    began = time.monotonic()
    try:
        while "gromosd-counters" not in descriptors(daemon.keeper.pid):  # handed over before it was ready, but perhaps not taken yet
            time.sleep(0.01)
        empty = {"worker": descriptors(daemon.worker()), "keeper": descriptors(daemon.keeper.pid)}
        in_child(make_states, endpoint)
        in_child(look, endpoint)
        memory = 0
        last: dict[str, Any] = {}
        while show.kills < kills and not findings.failed:
            for role in CAST:
                show.enter(role)
            show.act()
            last = inspect(findings, show, endpoint, empty["worker"])
            if memory == 0:
                memory = anonymous(daemon.worker())
        grown = anonymous(daemon.worker()) - memory
        findings.expect(grown < 16 << 20, f"memory: the worker's own grew by {grown} bytes")
        check_log(findings, daemon, show.kills, show.worker_kills, sum(s["generation"] - 1 for s in last.get("states", {}).values()))
        in_child(delete_states, endpoint)
        deadline = time.monotonic() + PATIENCE
        for who, pid in (("worker", daemon.worker()), ("keeper", daemon.keeper.pid)):
            while not (clean := as_at_the_start(now := descriptors(pid), empty[who])) and time.monotonic() < deadline:
                time.sleep(0.1)
            findings.expect(clean, f"descriptors of the {who} with all States deleted: {now}, at the start {empty[who]}")
        findings.expect(daemon.stop() == 0, "the daemon stops with status 0")
    except BaseException as error:
        findings.expect(False, f"{type(error).__name__}: {error}")
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        for pid in list(show.cast):
            os.kill(pid, signal.SIGKILL)
        if daemon.keeper.poll() is None:
            worker = daemon.worker()
            daemon.keeper.kill()
            if worker:
                os.kill(worker, signal.SIGKILL)
        kinds = last.get("kinds", {}) if "last" in locals() else {}
        contents = {n: int(s["live"][0]) for n, s in last.get("states", {}).items()} if "last" in locals() else {}
        moves = sum(s["generation"] - 1 for s in last.get("states", {}).values()) if "last" in locals() else 0
        print(f"seed {options.seed}: {show.kills} clients killed, {show.stops} stopped, the worker killed {show.worker_kills} times, "
              f"{time.monotonic() - began:.0f} s")
        print(f"edits: {kinds.get('b', 0)} begun, {kinds.get('d', 0)} told done, {kinds.get('r', 0)} undone by their holder, "
              f"{kinds.get('l', 0)} told lost, {kinds.get('u', 0)} not known; contents {contents}, {moves} new generations")
        if show.downtimes:
            times = sorted(show.downtimes)
            print(f"door open again after the worker's death: median {times[len(times) // 2] * 1e3:.0f} ms, longest {times[-1] * 1e3:.0f} ms; "
                  f"dead local sessions gone after at most {max(show.let_go, default=0) * 1e3:.0f} ms of looking")
        if options.keep_files or findings.failed:
            print(f"log and journal: {daemon.directory}")
        else:
            shutil.rmtree(daemon.directory, ignore_errors=True)
    print(f"{findings.passed} passed, {len(findings.failed)} failed")
    return 0 if not findings.failed else 1


if __name__ == "__main__":
    sys.exit(main())

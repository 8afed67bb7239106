"""One molecular system, five processes that look at it at once.

    python demo.py [--out demo-output] [--steps 500]

starts a daemon of its own, then a process that loads alanine dipeptide in water under a name and runs molecular dynamics on it, and four
that watch: one has the temperature and the energies live, one a radial distribution function, one fits the solute and says how far it
has gone, and one comes over tcp with keys, as a notebook on another machine would. At the end it checks that all of them saw the same
numbers, that the local ones looked at the same memory, and that a change by one is seen by all. Exit status 0 only if every check holds.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import gromos
from gromos import _private
from gromos.cli import main as gromos_command
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
LIMIT = 58.0  # s for everything, unless --limit says otherwise
LOCAL = ("thermometer", "rdf", "fit")
console = Console() if sys.stdout.isatty() else Console(width=130)


class Failed(Exception):
    """Something the demo promises did not hold."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self.end - time.monotonic())


class Daemon:
    """A gromosd in a folder of its own, with a tcp address and keys."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="gromosd-demo-"))
        self.endpoint = f"ipc://{self.directory}/zmq"
        self.client_key = self.directory / "notebook.key"
        self.tcp = f"tcp://127.0.0.1:{free_port()}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def server_key(self) -> str:
        return (self.directory / "server.key_secret.public").read_text().strip()

    def start(self) -> None:
        """What a person does: `gromos keygen notebook.key`, the public half into authorized_keys, start the daemon."""
        public = keygen(self.client_key)
        keys = self.directory / "authorized_keys"
        keys.write_text(f"{public} reader notebook\n")
        keys.chmod(0o600)
        reader, writer = os.pipe()
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen(
                [_private.find_binary(), "--directory", self.directory, "--listen", self.tcp, "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.readline().strip()
        if answer != "ready":
            raise Failed(f"the daemon did not start: {answer or self.log()}")

    def log(self) -> str:
        return "\n".join((self.directory / "log").read_text(errors="replace").splitlines()[-8:])

    def stop(self) -> int:
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def keygen(path: Path) -> str:
    """`gromos keygen PATH`: writes the secret half; the public half is what it prints."""
    import contextlib
    import io

    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if gromos_command(["keygen", str(path)]) != 0:
            raise Failed(f"no key could be made at {path}")
    return printed.getvalue().strip()


class Process:
    """One of the demo's processes: takes words, gives events."""

    def __init__(self, name: str, deadline: Deadline, script: str, *arguments: object) -> None:
        self.name = name
        self.deadline = deadline
        self.events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.errors: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()
        threading.Thread(target=self._read_errors, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "live":
                console.print(f"  {event['text']}", style="dim", highlight=False)
            else:
                self.events.put(event)
        self.events.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)

    def tell(self, word: str) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(word + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # hear() says why

    def hear(self, event: str) -> dict[str, Any]:
        try:
            heard = self.events.get(timeout=self.deadline.left())
        except queue.Empty:
            raise Failed(f"{self.name} said nothing for too long; the demo is bounded to {self.deadline.seconds:g} s") from None
        if heard is None or heard["event"] != event:
            time.sleep(0.2)
            raise Failed(f"{self.name} ended early: {''.join(self.errors[-12:]).strip() or heard}")
        return heard

    def ask(self, word: str, event: str) -> dict[str, Any]:
        self.tell(word)
        return self.hear(event)

    def end(self) -> None:
        self.tell("end")
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def who_did_what(ready: dict[str, Any], done: dict[str, Any]) -> Table:
    table = Table(title="Who did what", title_justify="left")
    for column, justify in (("process", "left"), ("pid", "right"), ("opened in", "right"), ("versions seen", "right"),
                            ("each time", "left"), ("cost", "right"), ("found", "left")):  # fmt: skip
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for name, d in done.items():
        frames = f"{d['first']}-{d['last']}" + (f" ({d['frames']})" if "frames" in d else "")
        opened = f"{ready[name]['attach_us'] / 1000:.2f} ms"
        table.add_row(name, str(ready[name]["pid"]), opened, frames, d["what"], f"{d['us']:,.0f} us", d["result"])
    return table


def who_saw_what(looks: dict[str, Any], again: dict[str, Any]) -> Table:
    table = Table(title="What they saw in the end", title_justify="left")
    for column, justify in (("process", "left"), ("version", "right"), ("step", "right"), ("positions (sha256)", "left"),
                            ("memory (device inode)", "left"), ("positions()", "right"), ("atom 0 after a write, x/nm", "right")):  # fmt: skip
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for name, look in looks.items():
        owner = look["owner"] or "its own, fetched over tcp"
        after = f"{again[name]['atom'][0]:.4f}"
        table.add_row(name, str(look["version"]), str(look["step"]), look["positions"], owner, f"{look['us']:.2f} us", after)
    return table


def same(what: str, values: dict[str, Any]) -> str:
    """The one value all have, or Failed."""
    if len({json.dumps(v) for v in values.values()}) != 1:
        raise Failed(f"{what} differ: {values}")
    return str(next(iter(values.values())))


def run(out: Path, steps: int, limit: float, daemon: Daemon, processes: dict[str, Process]) -> dict[str, Any]:
    deadline = Deadline(limit)
    daemon.start()
    console.print(f"gromosd {gromos.__version__} at {daemon.endpoint} and {daemon.tcp}", highlight=False)

    processes["mover"] = Process("mover", deadline, "mover.py", daemon.endpoint, steps, out)
    ready = {"mover": processes["mover"].hear("ready")}
    atoms = ready["mover"]["atoms"]
    console.print(f"loaded {atoms} atoms as 'alanine'; {len(LOCAL)} processes attach by that name, one comes over tcp", highlight=False)
    for role in LOCAL:
        processes[role] = Process(role, deadline, "watchers.py", role, daemon.endpoint, out)
    processes["notebook"] = Process(
        "notebook", deadline, "watchers.py", "notebook", daemon.tcp, out, daemon.server_key, daemon.client_key
    )
    for role in (*LOCAL, "notebook"):
        ready[role] = processes[role].hear("ready")
    for process in reversed(processes.values()):  # the mover last, when all are looking
        process.tell("go")
    done = {name: process.hear("done") for name, process in processes.items()}

    looks = {name: process.ask("look", "look") for name, process in processes.items()}
    wrote = processes["fit"].ask("write", "wrote")
    again = {name: process.ask("again", "again") for name, process in processes.items()}

    console.print(who_did_what(ready, done))
    console.print(who_saw_what(looks, again))
    same("versions", {name: look["version"] for name, look in looks.items()})
    same("positions", {name: look["positions"] for name, look in looks.items()})
    centers = [look["center"] for look in looks.values()]
    if max(abs(a - b) for center in centers for a, b in zip(center, centers[0], strict=True)) > 0.0:
        raise Failed(f"the centres of mass differ: {centers}")
    inode = same("the mappings", {name: looks[name]["owner"] for name in ("mover", *LOCAL)})
    if not inode or looks["notebook"]["owner"]:
        raise Failed(f"local arrays must lie in shared memory and remote ones in private memory: {looks}")
    same("atom 0 after the write", {"writer": wrote["atom"], **{name: a["atom"] for name, a in again.items()}})
    same("versions after the write", {"writer": wrote["version"], **{name: a["version"] for name, a in again.items()}})
    if not 0 < done["mover"]["steps"] <= steps or looks["mover"]["step"] != done["mover"]["steps"]:
        raise Failed(f"{steps} steps were asked for, {done['mover']['steps']} made, and the State is at step {looks['mover']['step']}")
    for picture in ("rdf.png", "energies.png"):
        if (out / picture).stat().st_size < 10_000:
            raise Failed(f"{picture} is too small to show anything")
    console.print(
        f"The arrays of {1 + len(LOCAL)} processes lie in one piece of memory ({inode}); a write by one is in all of them.\n"
        f"Pictures and numbers are in {out}: rdf.png, energies.png, final.cnf, report.json",
        highlight=False,
    )
    return {"ready": ready, "done": done, "looks": looks, "after_write": again}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="where the picture and the report go (default demo-output)")
    parser.add_argument("--steps", type=int, default=500, help="how many steps of 2 fs the run makes, at most (default 500)")
    parser.add_argument("--limit", type=float, default=LIMIT, help=f"seconds after which it has failed (default {LIMIT:g})")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    daemon = Daemon()
    processes: dict[str, Process] = {}
    status = 1
    try:
        report = run(options.out.resolve(), options.steps, options.limit, daemon, processes)
        (options.out / "report.json").write_text(json.dumps(report, indent=2) + "\n")
        status = 0
    except (Failed, gromos.GromosError, OSError) as error:
        console.print(f"demo: {error}", style="bold red", highlight=False)
    finally:
        for process in reversed(processes.values()):
            process.end()
        if daemon.stop() != 0 and status == 0:
            console.print(f"demo: the daemon did not stop cleanly:\n{daemon.log()}", style="bold red")
            status = 1
        shutil.rmtree(daemon.directory, ignore_errors=True)
    return status


if __name__ == "__main__":
    sys.exit(main())

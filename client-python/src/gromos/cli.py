"""The command `gromos`: look at a daemon and what it holds.

    gromos ping | info | ls | top | info NAME | events | evict SESSION | shutdown | keygen FILE
    gromos jobs | log JOB | pause JOB | resume JOB | cancel JOB
    gromos md @topo FILE @conf FILE @input FILE ...   a run; see cli_md.py
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from . import _private, cli_md
from ._errors import FileAccessError, GromosError, NoDaemonError
from ._job import Job
from ._session import Session
from ._version import __version__

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status: 0, 1 for an error of the daemon, 2 for wrong usage."""
    arguments = sys.argv[1:] if arguments is None else arguments
    given, rest = _split_md(arguments)
    options = _parser().parse_args(given)
    try:
        if rest is not None:
            return cli_md.main(rest, options.endpoint, options.server_key, options.client_key)
        return int(options.run(options) or 0)
    except GromosError as error:
        print(f"gromos: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _split_md(arguments: list[str]) -> tuple[list[str], list[str] | None]:
    """What stands before and after the command md, which has its own way of arguments; None if it is another command."""
    at = 0
    while at < len(arguments) and arguments[at].startswith("-"):
        at += 1 if "=" in arguments[at] or arguments[at] in ("-h", "--help", "--version") else 2
    if at < len(arguments) and arguments[at] == "md":
        return arguments[: at + 1], arguments[at + 1 :]
    return arguments, None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gromos", description="Look at a gromosd and the States it holds.")
    parser.add_argument("--version", action="version", version=f"gromos {__version__}")
    parser.add_argument("--endpoint", metavar="URL", help="ipc://DIR/zmq or tcp://HOST:PORT; default $GROMOSD_ENDPOINT, else this user's daemon")
    parser.add_argument("--server-key", metavar="KEY", help="the daemon's public key (text or file); default $GROMOSD_SERVER_KEY")
    parser.add_argument("--client-key", metavar="FILE", help="this client's secret key; default $GROMOSD_CLIENT_KEY")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, run: Any, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(run=run)
        return command

    ping = add("ping", _ping, "Ask for signs of life and time them.")
    ping.add_argument("--count", "-c", type=_count, default=10, help="how many (default 10)")
    add("ls", _ls, "List the States.")
    info = add("info", _info, "Show the daemon, or one State.")
    info.add_argument("state", nargs="?", help="name or uuid")
    top = add("top", _top, "States and sessions, live.")
    top.add_argument("--interval", "-i", type=_interval, default=1.0, metavar="S", help="seconds between looks (default 1)")
    top.add_argument("--count", "-n", type=_count, default=0, help="end after so many looks (default: never)")
    events = add("events", _events, "Tell what happens to the States, a line each, until Ctrl-C.")
    events.add_argument("--count", "-n", type=_count, default=0, help="end after so many (default: never)")
    evict = add("evict", _evict, "End a session by force; what it was editing is rolled back.")
    evict.add_argument("session", type=int, help="number, as `gromos top` shows it")
    delete = add("rm", _rm, "Delete a State.")
    delete.add_argument("state", help="name or uuid")
    delete.add_argument("--force", action="store_true", help="even while somebody writes it")
    add("jobs", _jobs, "List the jobs the daemon remembers.")
    log = add("log", _log, "Show what a job said.")
    log.add_argument("--follow", "-f", action="store_true", help="go on until it has ended")
    pause = add("pause", _steer, "Stop a job at its next step.")
    resume = add("resume", _steer, "Let a paused job go on.")
    cancel = add("cancel", _steer, "End a job at its next step; its State keeps what was reached.")
    for command, steer in ((log, None), (pause, Job.pause), (resume, Job.resume), (cancel, Job.cancel)):
        command.add_argument("job", type=int, help="number, as `gromos jobs` shows it")
        command.set_defaults(steer=steer)
    shutdown = add("shutdown", _shutdown, "Stop the daemon.")
    shutdown.add_argument("--force", action="store_true", help="even while there are named States")
    add("md", None, "Run molecular dynamics from GROMOS files; gromos md --help tells more.")
    keygen = add("keygen", _keygen, "Make a key for remote sessions; prints the public half.")
    keygen.add_argument("file", help="the secret key is written here, readable by you only")
    return parser


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return number


def _interval(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= 86400.0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0 to 86400")
    return seconds


def _session(options: argparse.Namespace) -> Session:
    """A session to a daemon that runs; looking at one must not start one."""
    endpoint = options.endpoint or os.environ.get("GROMOSD_ENDPOINT")
    if endpoint is None:
        directory = _private.instance_directory()
        if _private.owner_pid(directory) is None:
            raise NoDaemonError(f"no daemon runs for this user ({directory})")
        endpoint = f"ipc://{directory}/zmq"
    return Session(endpoint, server_key=options.server_key, client_key=options.client_key, timeout=30.0, name="gromos")


def _ping(options: argparse.Namespace) -> None:
    with _session(options) as session:
        session.ping()
        times = sorted(session.ping() * 1e6 for _ in range(options.count))
        print(f"{session.endpoint}: {len(times)} answers, median {statistics.median(times):.0f} us, slowest {times[-1]:.0f} us")


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _states_table(session: Session) -> Table:
    from rich.table import Table

    table = Table(title="States", title_justify="left")
    table.add_column("name or uuid")
    for column in ("atoms", "dtype", "version", "step", "time/ps", "memory", "frames", "skipped", "open in", "lease", "waiting"):
        table.add_column(column, justify="right")
    for s in session.states():
        lease = {0: "", 1: "daemon"}.get(s.lease, str(s.lease))
        table.add_row(
            s.name or str(s.uuid), f"{s.num_atoms}", s.dtype, f"{s.version}", f"{s.step}", f"{s.time:g}", _bytes(s.bytes), f"{s.published}",
            f"{s.skipped}", f"{s.sessions}", lease, f"{s.waiters}",
        )  # fmt: skip
    return table


def _sessions_table(session: Session) -> Table:
    from rich.table import Table

    table = Table(title="Sessions", title_justify="left")
    for column in ("session", "client", "user", "where", "pid", "States", "frames held", "memory", "age/s"):
        table.add_column(column, justify="left" if column in ("client", "user", "where") else "right")
    for s in session.sessions():
        where = "local" if s.get("local") else "remote"
        table.add_row(
            str(s.get("session")), str(s.get("client", "")), str(s.get("user", "")), where, str(s.get("pid") or ""), str(s.get("states", "")),
            str(s.get("pins", "")), _bytes(s.get("bytes", 0)), f"{s.get('age', 0):.0f}",
        )  # fmt: skip
    return table


def _print(*things: Any) -> None:
    from rich.console import Console

    console = Console(markup=False, emoji=False) if sys.stdout.isatty() else Console(markup=False, emoji=False, width=160)
    for thing in things:
        console.print(thing)


def _ls(options: argparse.Namespace) -> None:
    with _session(options) as session:
        _print(_states_table(session))


def _info(options: argparse.Namespace) -> None:
    from dataclasses import fields

    with _session(options) as session:
        about: Any = session.info() if options.state is None else session.commands.state_describe(options.state)
        for field in fields(about):
            value = getattr(about, field.name)
            if isinstance(value, dict) and field.name == "parameters":
                for name, setting in value.items():
                    print(f"  {name:<24}{setting}")
            else:
                print(f"{field.name:<26}{value}")


def _top(options: argparse.Namespace) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    with _session(options) as session:

        def look() -> Group:
            stats = session.stats()
            line = (
                f"{session.endpoint}  {stats.sessions} sessions  {stats.states} States  {_bytes(stats.bytes)}  "
                f"{stats.requests} requests  {stats.published} frames published, {stats.skipped} skipped  "
                f"daemon {_bytes(stats.resident)}, {stats.descriptors} descriptors"
            )
            return Group(Text(line), _states_table(session), _sessions_table(session))

        if not sys.stdout.isatty():
            for number in range(max(1, options.count)):
                if number:
                    time.sleep(options.interval)
                _print(look())
            return
        with Live(look(), console=Console(markup=False, emoji=False), auto_refresh=False, screen=options.count == 0) as live:
            number = 1
            while options.count == 0 or number < options.count:
                time.sleep(options.interval)
                live.update(look(), refresh=True)
                number += 1


def _events(options: argparse.Namespace) -> None:
    with _session(options) as session, session.events() as events:
        for number, event in enumerate(events, 1):
            who = f" (session {event.session})" if event.session else ""
            print(f"{time.strftime('%H:%M:%S')}  {event.what:10s} {event.name or event.state}: {event.text}{who}", flush=True)
            if event.missed:
                print(f"{'':10s}{event.missed} earlier ones were left out")
            if number == options.count:
                break


def _evict(options: argparse.Namespace) -> None:
    with _session(options) as session:
        session.evict(options.session)
        print(f"session {options.session} ended")


def _rm(options: argparse.Namespace) -> None:
    with _session(options) as session:
        session.commands.state_delete(options.state, force=options.force)


def _jobs(options: argparse.Namespace) -> None:
    from rich.table import Table

    table = Table(title="Jobs", title_justify="left")
    for column in ("job", "State", "status", "step", "of", "time/ps", "ns/day", "left/s", "message"):
        table.add_column(column, justify="left" if column in ("State", "status", "message") else "right")
    with _session(options) as session:
        for j in session.commands.job_list().jobs:
            table.add_row(
                f"{j['job']}", j["state_name"] or str(UUID(bytes=j["state"])), j["status"], f"{j['step']}", f"{j['steps']}", f"{j['time']:g}",
                f"{j['ns_per_day']:.3g}", f"{j['left']:.0f}" if j["left"] >= 0 else "", j["message"],
            )  # fmt: skip
        _print(table)


def _log(options: argparse.Namespace) -> None:
    with _session(options) as session:
        job, seen = Job(options.job, session), 0
        while True:
            ended = job.ended  # asked first: what it said before its end is then in the lines
            for line in job.log(after=seen):
                print(line, flush=True)
                seen = line.number + 1
            if ended or not options.follow:
                return
            session.commands.job_wait(job=options.job, timeout=0.5)


def _steer(options: argparse.Namespace) -> None:
    with _session(options) as session:
        options.steer(Job(options.job, session))


def _shutdown(options: argparse.Namespace) -> None:
    with _session(options) as session:
        directory = session._directory
        pid = _private.owner_pid(directory) if directory is not None else None
        session.shutdown(force=options.force)
    # Until it is gone: the next command may start another one in its place.
    while directory is not None and pid is not None and _private.owner_pid(directory) == pid and os.path.exists(f"/proc/{pid}"):
        time.sleep(0.02)


def _keygen(options: argparse.Namespace) -> None:
    import zmq

    public, secret = (key.decode() for key in zmq.curve_keypair())
    path = Path(options.file).expanduser()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise FileAccessError(f"{path} cannot be made: {error.strerror}") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f'public-key = "{public}"\nsecret-key = "{secret}"\n')
    print(public)


if __name__ == "__main__":
    sys.exit(main())

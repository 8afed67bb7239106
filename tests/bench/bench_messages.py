"""Messages: the round trip of a command, and what the daemon spends on one under load."""

from __future__ import annotations

from pathlib import Path

import zmq

import gromos
from benchlib import Daemon, Helper, Report, Sample, cpu_seconds, places, placed, take_turns, timed

PING = b"\x84\xa1v\x01\xa2id\xce\x00\x00\x00\x07\xa3cmd\xa4ping\xa4args\x80"
CONNECTIONS = 32


def run(report: Report, build: Path, seconds: float) -> None:
    with Daemon(build) as daemon:
        endpoint = f"ipc://{daemon.directory}/echo"
        with Helper(build / "bench" / "echo_router", endpoint, ready=True) as echo:
            round_trip(report, daemon, echo, endpoint, seconds)
            load(report, build, daemon, echo, endpoint, seconds)


def round_trip(report: Report, daemon: Daemon, echo: Helper, endpoint: str, seconds: float) -> None:
    report.title("ping from Python over ipc; the yardstick is a bare C ROUTER that echoes the same bytes")
    context = zmq.Context()
    sockets = []
    for address in (endpoint, daemon.endpoint):
        socket = context.socket(zmq.DEALER)
        socket.connect(address)
        sockets.append(socket)

    def raw(socket: zmq.Socket[bytes]) -> None:
        socket.send(PING)
        socket.recv()

    with daemon.connect() as session:
        session.ping()
        for where, here, there in places():
            with placed(here, there, [daemon.pid, echo.pid]):
                samples = take_turns(
                    {
                        "ours": timed(session.ping, 40),
                        "raw": timed(lambda: raw(sockets[1]), 40),
                        "echo": timed(lambda: raw(sockets[0]), 40),
                    },
                    seconds,
                )
            report.against("session.ping()", samples["ours"], samples["echo"], "pyzmq to the echo", most=1.15, where=where)
            report.against("the daemon alone (both plain pyzmq)", samples["raw"], samples["echo"], "pyzmq to the echo", where=where)
    for socket in sockets:
        socket.close(0)
    context.term()


def load(report: Report, build: Path, daemon: Daemon, echo: Helper, endpoint: str, seconds: float) -> None:
    report.title(f"{CONNECTIONS} connections of a C load generator: processor time of the server for one request")
    generator = build / "bench" / "load_generator"
    with Helper(generator, daemon.endpoint, str(CONNECTIONS)) as ours, Helper(generator, endpoint, str(CONNECTIONS)) as bare:
        rates: dict[str, list[float]] = {"ours": [], "echo": []}

        def burst(name: str, helper: Helper, pid: int) -> float:
            before = cpu_seconds(pid)
            count, nanoseconds = (int(word) for word in helper.ask("200").split())
            rates[name].append(count / nanoseconds * 1e9)
            return (cpu_seconds(pid) - before) / count

        for where, here, there in places():
            for name in rates:
                rates[name].clear()
            with placed(here, there, [daemon.pid, echo.pid]), placed(here, here, [ours.pid, bare.pid]):
                samples = take_turns(
                    {"ours": lambda: burst("ours", ours, daemon.pid), "echo": lambda: burst("echo", bare, echo.pid)}, seconds
                )
            report.against("processor time per request", samples["ours"], samples["echo"], "the echo", most=1.5, where=where)
            middle = {name: Sample([values]).median for name, values in rates.items()}
            report.note(f"requests per second: daemon {middle['ours']:,.0f}, echo {middle['echo']:,.0f}")


def ping_time(session: gromos.Session) -> float:
    """Median of a few pings, seconds."""
    values = timed(session.ping, 50)()
    assert not isinstance(values, float)
    return Sample([list(values)]).median

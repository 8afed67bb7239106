"""Descriptors run out: connections too many are closed at once, work goes on, and nobody ends the daemon that way."""

import resource
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import gromos
import pytest
from conftest import wait_until

LIMIT = 400


@pytest.fixture
def short(make_daemon):
    """A daemon of few descriptors."""
    daemon = make_daemon(tcp=True)
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    return daemon


def connect(kind, daemon):
    if kind == "tcp":
        host, port = daemon.tcp.removeprefix("tcp://").split(":")
        s = socket.create_connection((host, int(port)))
    else:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET if kind == "door" else socket.SOCK_STREAM)
        s.setblocking(False)
        try:
            s.connect(str(daemon.directory / ("door" if kind == "door" else "zmq")))
        except BlockingIOError:  # the queue of those that wait is full
            time.sleep(0.01)
    s.setblocking(False)
    return s


def threads_time(daemon):
    return [sum(map(int, f.read_text().rsplit(")", 1)[1].split()[11:13])) for f in Path(f"/proc/{daemon.pid}/task").glob("*/stat")]


def is_refused(session):
    try:
        session.create(10)
    except gromos.OutOfMemoryError as error:
        assert "descriptors open" in str(error)
        return True
    return False


@pytest.mark.parametrize("kind", ["zmq", "tcp", "door"])
def test_a_flood_of_connections_ends_nobody(short, kind):
    with short.connect() as session, ExitStack() as stack:
        s = session.create(100, name="held")
        s.set_positions(s.positions() + 1)

        def more_connections():
            """Those before may have ended: they say nothing."""
            for _ in range(3 * LIMIT):
                stack.enter_context(connect(kind, short))

        more_connections()
        wait_until(lambda: "connections were closed at once" in short.log(), what="the warning")
        assert short.descriptors() <= LIMIT - 60
        assert session.ping() > 0 and (s.positions() == 1).all()
        s.set_positions(s.positions() + 1)  # what is there can be worked with, also by a command
        assert s.center_of_geometry()[0] == 2
        before = threads_time(short)
        time.sleep(1.0)
        assert max(b - a for a, b in zip(before, threads_time(short), strict=True)) < 80, "nobody polls in vain"
        wait_until(lambda: is_refused(session) or more_connections(), what="a refusal")
    wait_until(lambda: short.descriptors() < 100, what="their end")
    with short.connect() as session:
        assert session.attach("held").version == 2
        assert session.create(10).num_atoms() == 10
    assert short.log().count("connections were closed at once") == 1
    assert short.stop() == 0


def test_without_a_single_descriptor_left(short):
    """The limit falls below what is open: even the reserve is gone."""
    with short.connect() as session, ExitStack() as stack:
        s = session.create(100)
        resource.prlimit(short.pid, resource.RLIMIT_NOFILE, (3, LIMIT))
        for kind in ("zmq", "tcp", "door"):
            for _ in range(50):
                stack.enter_context(connect(kind, short))
        wait_until(lambda: "connections were closed at once" in short.log(), what="the warning")
        assert session.ping() > 0
        resource.prlimit(short.pid, resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
        s.set_positions(s.positions() + 1)
        with short.connect() as other:
            assert other.ping() > 0
    assert short.stop() == 0


def test_whoever_says_nothing_is_hung_up_on(short):
    with connect("tcp", short) as quiet, connect("zmq", short) as local:
        for s in (quiet, local):
            s.setblocking(True)
            s.settimeout(60)
            while s.recv(1000):  # its greeting, then the end
                pass

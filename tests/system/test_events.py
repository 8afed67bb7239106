"""What happens to States is told to whoever listens, here and over tcp."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import gromos
from gromos._events import _event
from conftest import Daemon, wait_until
from md_water import parameters, water
from test_contention import child


@pytest.fixture
def d(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon("--lease-limit", "0.3", tcp=True)


@pytest.fixture(params=["local", "remote"])
def listener(request: pytest.FixtureRequest, d: Daemon) -> gromos.Session:
    return d.connect() if request.param == "local" else d.connect_tcp()


def test_the_life_of_a_state(d: Daemon, listener: gromos.Session) -> None:
    session = d.connect()
    with listener.events(timeout=60) as events:
        s = gromos.State(num_atoms=5, name="one", session=session)
        session.commands.state_rename(s.uuid, name="two")
        s.delete()
        got = [next(events) for _ in range(3)]
    assert [(e.what, e.name) for e in got] == [("created", "one"), ("renamed", "two"), ("deleted", "two")]
    assert all(e.state == s.uuid and isinstance(e.state, uuid.UUID) and e.missed == 0 for e in got)
    assert got[0].session == got[1].session == session.number and got[0].text


def test_one_state_alone(d: Daemon, listener: gromos.Session) -> None:
    session = d.connect()
    a, b = (gromos.State(num_atoms=5, name=name, session=session) for name in "ab")
    with listener.events(listener.attach("b"), timeout=60) as events:
        a.delete()
        b.delete()
        assert next(events).name == "b"


def test_nothing_happens(d: Daemon, listener: gromos.Session) -> None:
    with listener.events(timeout=0.1) as events:
        assert list(events) == []
        assert events.timed_out


def test_a_killed_editor(d: Daemon, listener: gromos.Session) -> None:
    s = gromos.State(num_atoms=5, name="edited", session=d.connect())

    def edit_and_die() -> None:
        with gromos.attach("edited", session=d.connect()).edit() as e:
            e.positions()[:] = 1
            os.kill(os.getpid(), signal.SIGKILL)

    with listener.events(timeout=60) as events:
        os.waitpid(child(edit_and_die), 0)
        event = next(events)
    assert (event.what, event.name) == ("undone", "edited") and event.session > 1 and "ended" in event.text
    assert (s.positions() == 0).all()


def test_a_stopped_editor(d: Daemon, listener: gromos.Session) -> None:
    s = gromos.State(num_atoms=5, name="stopped", session=d.connect())

    def edit_and_stop() -> None:
        with gromos.attach("stopped", session=d.connect()).edit() as e:
            e.positions()[:] = 1
            os.kill(os.getpid(), signal.SIGSTOP)

    with listener.events(timeout=60) as events:
        pid = child(edit_and_stop)
        os.waitpid(pid, os.WUNTRACED)
        with s.edit(timeout=60):
            pass
        event = next(events)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (event.what, event.generation) == ("generation", 2) and "too long" in event.text


def test_a_remote_editor_that_holds_too_long(d: Daemon, listener: gromos.Session) -> None:
    s = gromos.State(num_atoms=5, name="held", session=d.connect())
    remote = d.connect_tcp()
    with listener.events(timeout=60) as events, pytest.raises(gromos.LeaseLostError):
        with gromos.attach("held", session=remote).edit() as e:
            e.positions()[:] = 1
            with s.edit(timeout=60, publish=False):
                pass
            event = next(events)
            assert (event.what, event.session) == ("lease_lost", remote.number)


def test_a_slow_listener_is_told_what_it_missed(d: Daemon) -> None:
    """Events that nobody reads cost bounded memory: what does not fit is counted, and the next one that goes out says so."""
    session, changes = d.connect(), 8000
    s = gromos.State(num_atoms=5, name="a", session=session)
    before = d.resident()
    got: list[gromos.StateEvent] = []
    with d.connect().events() as slow:
        for turn in range(changes):
            session.commands.state_rename(s.uuid, name="ab"[turn % 2] * 100)
        assert d.resident() - before < 16 << 20
        # What was left out last is said by an event that finds room again.
        name = ""
        while not got or got[-1].name != name:
            got += events_until_quiet(slow)
            if not got or got[-1].name != name:
                name = f"last {changes}"
                session.commands.state_rename(s.uuid, name=name)
                changes += 1
    assert sum(event.missed for event in got) > 0
    assert sum(1 + event.missed for event in got) == changes


def events_until_quiet(events: gromos.Events) -> Iterator[gromos.StateEvent]:
    while (got := events._subscription.receive(1.0)) is not None:
        yield _event(got[0])


def test_listening_ends(d: Daemon, listener: gromos.Session) -> None:
    events = [listener.events(timeout=1) for _ in range(3)]
    events[0].close()
    events[0].close()
    assert list(events[0]) == []
    listener.close()
    gromos.State(num_atoms=5, name="later", session=d.connect())


def test_the_number_of_listeners_is_limited(make_daemon: Callable[..., Daemon]) -> None:
    session = make_daemon("--session-subscriptions", "2").connect()
    kept = [session.events() for _ in range(2)]
    with pytest.raises(gromos.QuotaExceededError, match="session_subscriptions"):
        session.events()
    kept[0].close()
    session.events().close()


def test_runs_are_told(d: Daemon, listener: gromos.Session) -> None:
    system = water(d.connect(), name="wet")
    with listener.events(timeout=60) as events:
        gromos.Simulation(system, parameters(20)).run(wait=True, progress=False)
        got = [next(events) for _ in range(2)]
    assert [(e.what, e.name) for e in got] == [("run", "wet")] * 2
    assert "started" in got[0].text and "done" in got[1].text


def test_a_daemon_that_comes_back_is_listened_to(make_daemon: Callable[..., Daemon]) -> None:
    d = make_daemon("--keep")
    session = d.connect()
    s = gromos.State(num_atoms=5, name="kept", session=session)
    with session.events(timeout=60) as events:
        children = Path(f"/proc/{d.pid}/task/{d.pid}/children")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: session.ping() > 0)
        got: list[gromos.StateEvent] = []
        listening = threading.Thread(target=lambda: got.append(next(events)))
        listening.start()
        turn = 0
        while listening.is_alive():  # what happens before it listens again is not told
            turn += 1
            session.commands.state_rename(s.uuid, name=f"name {turn}")
            listening.join(0.1)
    assert [event.what for event in got] == ["renamed"]


def test_the_command_line(d: Daemon) -> None:
    session = d.connect()
    command = [sys.executable, "-m", "gromos", "--endpoint", d.endpoint, "events", "--count", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: session.stats().sessions == 2)
        wait_until(lambda: "events.subscribe" in session.stats().commands)
        s = gromos.State(num_atoms=5, name="shown", session=session)
        s.set_positions(np.ones((5, 3)))
        s.delete()
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert process.returncode == 0
    assert "created" in lines[0] and "shown" in lines[0] and "deleted" in lines[1]

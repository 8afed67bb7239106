"""Calls at the door: what computing commands of local sessions go over, and what becomes of it when either side dies or lies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import gromos
import msgpack
import numpy as np
import pytest
from conftest import Daemon, bring_to_a_stop, wait_until
from fake_door import CALLS, FakeDoor
from gromos import _ext, _wire
from test_door import Peer

CALL_MAGIC = 0x4744434C
HEAD = struct.Struct("<II16I")
MOST = 160 * 1024
N = 3000
LARGE = 400_000  # atoms: a pass over them runs on a worker


def packet(*parts: bytes, magic: int = CALL_MAGIC, count: int | None = None, lengths: list[int] | None = None) -> bytes:
    lengths = [len(part) for part in parts] if lengths is None else lengths
    body = b"".join(part + bytes(-len(part) % 8) for part in parts[:-1]) + (parts[-1] if parts else b"")
    return HEAD.pack(magic, len(parts) if count is None else count, *lengths, *([0] * (16 - len(lengths)))) + body


def parts_of(data: bytes) -> list[bytes]:
    magic, count, *lengths = HEAD.unpack_from(data)
    assert magic == CALL_MAGIC
    parts, at = [], HEAD.size
    for i, length in enumerate(lengths[:count]):
        parts.append(data[at : at + length])
        at += length if i == count - 1 else length + -length % 8
    assert at == len(data)
    return parts


def command(name: str, number: int = 1, **args: object) -> bytes:
    return msgpack.packb({"v": 1, "id": number, "cmd": name, "args": args})


class Caller(Peer):
    """A peer of the real door with a connection for calls, of which it has the bare socket."""

    def line(self) -> socket.socket:
        [fd] = self.ask(CALLS)["fds"]
        line = socket.socket(fileno=fd)
        line.settimeout(60)
        return line


def ask(line: socket.socket, *parts: bytes) -> dict:
    line.send(packet(*parts))
    return msgpack.unpackb(parts_of(line.recv(MOST))[0])


@pytest.fixture
def state(own_daemon):
    with own_daemon.connect() as session:
        s = session.create(N, name="w")
        s.set_positions(np.random.default_rng(3).random((N, 3), dtype=np.float32) * 3)
        s.box = gromos.Box.rectangular(3.0, 3.0, 3.0)
        yield s


def lines_of(session: gromos.Session) -> list[_ext.CallLine]:
    return session._link.transport._free


def sockets(pid: int | str = "self") -> int:
    names = Path(f"/proc/{pid}/fd")
    count = 0
    for name in os.listdir(names):
        try:
            count += os.readlink(names / name).startswith("socket:")
        except FileNotFoundError:
            pass
    return count


# ---- what goes there


def test_computing_goes_over_the_door_and_the_rest_over_zeromq(state, own_daemon):
    session = state.session
    state.center_of_mass()
    state.translate([0.1, 0, 0])
    assert len(lines_of(session)) == 1
    line = lines_of(session)[0]
    session.ping()
    state.describe()
    assert lines_of(session) == [line]


def test_answers_are_those_of_zeromq(state):
    """In parts, in a segment, and as numbers; asked with atoms in the message, in argument memory, and with none."""
    session = state.session
    door, plain = session._link.transport, session._link.transport._zmq
    rng = np.random.default_rng(9)
    few, many = rng.permutation(N)[:200], rng.permutation(N)[:2900]
    identity = state.uuid.bytes
    for name, args in (
        ("state.center_of_mass", {}),
        ("state.bounds", {"atoms": few}),
        ("state.radius_of_gyration", {"atoms": many}),
        ("state.norms", {"atoms": few}),  # 800 bytes: a part
        ("state.distance_array", {"atoms_a": few, "atoms_b": few}),  # 160 kB: a segment, where ZeroMQ has a part
        ("state.distance_array", {"atoms_a": few, "atoms_b": many}),  # 2.3 MB: a segment
        ("state.rdf", {"atoms_a": few, "r_max": 1.0, "bins": 50}),  # two parts
    ):
        request = _wire.encode(name, {"state": identity, **args})
        answers = []
        for transport in (door, plain):
            message, parts = transport.roundtrip(request, 60.0)
            assert message["ok"], message
            result = message["result"]
            if _wire.refers(result):
                _wire.attach_arrays(result, parts, session._link.door.result)
            answers.append(result)
        assert answers[0].keys() == answers[1].keys()
        for key, value in answers[0].items():
            np.testing.assert_array_equal(value, answers[1][key])


def test_errors_come_over_the_door_too(state):
    with pytest.raises(gromos.IndexRangeError, match="atoms\\[1\\] is 3000; indices go from 0 to 2999"):
        state.center_of_mass([0, N])
    with pytest.raises(gromos.InvalidArgumentError):
        state.rdf([0], [1], r_max=-1.0)
    assert len(lines_of(state.session)) == 1


def test_threads_have_a_connection_each(state):
    session, errors, together = state.session, [], threading.Barrier(8)
    expected = state.norms()

    def work() -> None:
        try:
            for _ in range(50):
                together.wait(60)
                np.testing.assert_array_equal(state.norms(), expected)
        except Exception as error:  # shown below
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert not errors
    assert 1 <= len(lines_of(session)) <= 8


def test_when_there_are_no_more_the_call_goes_over_zeromq():
    d = Daemon("--session-requests", "2")
    with d.connect() as session:
        state = session.create(10)
        held = [session._link.door.line() for _ in range(2)]
        with pytest.raises(gromos.QuotaExceededError, match="2 connections for calls, as many as it may have requests"):
            session._link.door.line()
        assert state.center_of_mass().tolist() == [0, 0, 0]
        assert not lines_of(session)
        held.pop().close()
        # The daemon hears of it on a socket of its own.
        wait_until(lambda: state.center_of_mass() is not None and len(lines_of(session)) == 1, what="a free connection")
        held.pop().close()
    assert d.stop() == 0
    d.remove()


# ---- waiting


def held_elsewhere(daemon: Daemon):
    """Another session, which may hold a State."""
    return daemon.connect(name="holder")


@contextlib.contextmanager
def held(daemon: Daemon, name: str):
    """While another session edits the State."""
    with held_elsewhere(daemon) as other, other.attach(name).edit(publish=False):
        yield


def test_a_time_limit_ends_the_wait_and_the_connection(own_daemon):
    with own_daemon.connect(timeout=0.2) as session, held_elsewhere(own_daemon) as other:
        state = session.create(5, name="w")
        state.center_of_mass()
        first = lines_of(session)[0]
        with other.attach("w").edit():
            with pytest.raises(gromos.TimeoutExpired, match="state.center_of_mass: no answer within 0.2 s"):
                state.center_of_mass()
            assert not lines_of(session)
        session.timeout = None
        assert state.center_of_mass().tolist() == [0, 0, 0]
        assert lines_of(session) != [first]


def test_a_wait_of_any_length_is_answered(own_daemon):
    """Longer than one slice of the client's wait."""
    with own_daemon.connect() as session, held_elsewhere(own_daemon) as other:
        state = session.create(5, name="w")
        there = other.attach("w")
        answers = []
        with there.edit() as edit:
            thread = threading.Thread(target=lambda: answers.append(state.center_of_geometry()))
            thread.start()
            wait_until(lambda: other.commands.state_describe("w").waiters == 1, what="the waiter")
            thread.join(0.2)
            assert not answers
            edit.set_positions(np.ones((5, 3)))
        thread.join(60)
        assert answers[0].tolist() == [1, 1, 1]


INTERRUPTED = """
import os, signal, sys, threading
import gromos
session = gromos.connect(sys.argv[1], default=False)
state = session.attach("w")
watch = gromos.connect(sys.argv[1], default=False)

def press():
    while watch.commands.state_describe("w").waiters == 0:
        pass
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Thread(target=press, daemon=True).start()
try:
    state.center_of_mass()
except KeyboardInterrupt:
    print("interrupted", flush=True)
sys.stdin.readline()
print(state.center_of_mass()[0], flush=True)
"""


def test_ctrl_c_ends_the_wait(own_daemon):
    with held_elsewhere(own_daemon) as other:
        there = other.create(5, name="w")
        with there.edit() as edit:
            child = subprocess.Popen(
                [sys.executable, "-c", INTERRUPTED, own_daemon.endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            assert child.stdout.readline() == "interrupted\n"
            edit.set_positions(np.ones((5, 3)))
        assert child.communicate("\n", 60)[0] == "1.0\n"
        assert child.returncode == 0


# ---- death


def test_a_reading_call_in_flight_is_asked_again(own_daemon):
    d = own_daemon
    with d.connect() as session:
        state = session.create(LARGE)
        state.center_of_mass()
        bring_to_a_stop(d.pid)
        answers = []

        def call() -> None:
            try:
                answers.append(state.center_of_mass())
            except gromos.GromosError as error:
                answers.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        wait_until(lambda: not lines_of(session), what="the call on its way")
        d.kill()
        d.start()
        thread.join(100)
        # Sent again to the new daemon, which has nothing of the old one.
        assert isinstance(answers[0], (gromos.NotFoundError, gromos.StateDeletedError))


def test_a_writing_call_in_flight_is_not(own_daemon):
    d = own_daemon
    with d.connect() as session:
        state = session.create(5)
        state.center_of_mass()
        line = lines_of(session)[0]
        sent = threading.Event()

        class Watched:
            """The line, and when it is asked: it is on its way as soon as a thread is inside."""

            def ask(self, request, number):
                sent.set()
                return line.ask(request, number)

            wait, close = line.wait, line.close

        lines_of(session)[:] = [Watched()]
        bring_to_a_stop(d.pid)
        answers = []

        def call() -> None:
            try:
                state.translate([1, 0, 0])
            except gromos.GromosError as error:
                answers.append(error)

        thread = threading.Thread(target=call)
        thread.start()
        assert sent.wait(60)
        thread.join(0.2)  # a slice of the wait has passed: it was sent
        d.kill()
        d.start()
        thread.join(100)
        assert isinstance(answers[0], gromos.OutcomeUnknownError)
        assert answers[0].command == "state.translate"


def test_what_was_not_sent_is_sent_to_the_next_daemon(own_daemon):
    with own_daemon.connect() as session:
        session.create(5).center_of_mass()
        own_daemon.kill()
        own_daemon.start()
        with own_daemon.connect() as other:
            there = other.create(5, name="w")
            there.set_positions(np.ones((5, 3)))
            assert session.commands.state_center_of_mass("w").value.tolist() == [1, 1, 1]


def test_a_client_that_dies_in_a_call_leaves_nothing(own_daemon):
    d = own_daemon
    with d.connect() as session:
        large = session.create(LARGE, name="w")
        before = sockets(d.pid)
        code = (
            "import gromos, sys\ns = gromos.connect(sys.argv[1], default=False).attach('w')\nprint(1, flush=True)\n"
            "while True:\n    s.center_of_mass(); s.translate([0.0, 0.0, 0.0])"
        )
        for _ in range(5):
            child = subprocess.Popen([sys.executable, "-c", code, d.endpoint], stdout=subprocess.PIPE)
            assert child.stdout.readline() == b"1\n"
            child.kill()
            child.wait(60)
            child.stdout.close()
        wait_until(lambda: len(session.sessions()) == 1, what="the end of their sessions")
        wait_until(lambda: sockets(d.pid) <= before, what="the end of their connections")
        assert large.center_of_mass().shape == (3,)


def test_a_session_that_ends_in_a_call_on_a_worker(own_daemon):
    """The reply finds nobody; the daemon goes on."""
    d = own_daemon
    with d.connect() as session:
        session.create(LARGE, name="w")
        for _ in range(5):
            with Caller(d) as peer:
                line = peer.line()
                line.send(packet(command("state.radius_of_gyration", state="w")))
            line.close()
        assert session.attach("w").center_of_mass().shape == (3,)


def test_an_evicted_session_calls_anew(own_daemon):
    with own_daemon.connect() as session, own_daemon.connect() as admin:
        state = session.create(5, name="w")
        state.center_of_mass()
        admin.evict(session.number)
        assert state.center_of_mass().tolist() == [0, 0, 0]
        assert len(lines_of(session)) == 1


def test_a_forked_child_has_none_of_its_parents_connections(state):
    session = state.session
    state.center_of_mass()
    before = sockets()
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            inherited = sockets()
            mine = state.center_of_mass().tolist()
            os.write(writer, f"{inherited} {mine == state.positions().mean(axis=0).tolist() or len(mine)}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        inherited = int(pipe.read().split()[0])
    os.waitpid(pid, 0)
    assert inherited <= before - 2  # neither the door nor the connection for calls
    assert state.center_of_mass().shape == (3,) and len(lines_of(session)) == 1


def test_a_closed_session_closes_its_connections(own_daemon):
    with own_daemon.connect() as watch:
        before = sockets(own_daemon.pid)
        session = own_daemon.connect()
        session.create(5).center_of_mass()
        assert sockets(own_daemon.pid) > before
        session.close()
        wait_until(lambda: len(watch.sessions()) == 1 and sockets(own_daemon.pid) <= before, what="the end of its connections")


# ---- a client that lies


def test_what_is_not_for_the_door_is_refused_there(own_daemon):
    with own_daemon.connect() as session:
        session.create(5, name="w")
        with Caller(own_daemon) as peer, peer.line() as line:
            for name in ("ping", "hello", "state.delete", "events.subscribe", "shutdown"):
                error = ask(line, command(name, 4))
                assert not error["ok"] and error["id"] == 4
                assert error["error"]["code"] == "invalid_message"
                assert f"{name} is asked for over ZeroMQ, not at the door" in error["error"]["message"]
            assert ask(line, command("state.center_of_mass", 5, state="w"))["result"]["value"] == [0, 0, 0]


BAD = {
    "too short": b"x",
    "head cut": packet(command("ping"))[: HEAD.size - 1],
    "magic": packet(command("ping"), magic=1),
    "no part": packet(count=0),
    "too many parts": packet(b"x", count=17),
    "longer than it is": packet(b"x" * 8, lengths=[9]),
    "length near 2**32": packet(b"x" * 8, lengths=[0xFFFFFFFF]),
    "second part outside": packet(b"x" * 8, b"y", lengths=[8, 2]),
    "bytes behind": packet(b"x" * 8) + b"y",
    "gap outside": packet(b"x", count=2, lengths=[1, 0]),
    "too long": packet(bytes(MOST)),
    "empty": b"",
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_no_packet_ends_that_connection_alone(own_daemon, what):
    with own_daemon.connect() as session:
        session.create(5, name="w")
        with Caller(own_daemon) as peer, peer.line() as good:
            with peer.line() as bad:
                bad.send(BAD[what])
                assert bad.recv(100) == b""
            assert ask(good, command("state.center_of_mass", state="w"))["ok"]
            assert own_daemon.process.poll() is None


def test_what_is_a_packet_of_nonsense_is_answered(own_daemon):
    with Caller(own_daemon) as peer, peer.line() as line:
        for head in (b"", b"\xc1", b"\xdf\xff\xff\xff\xff", msgpack.packb([1]), msgpack.packb({"v": 9, "id": 1, "cmd": "x", "args": {}})):
            assert not ask(line, head)["ok"]
        for parts in ((b"",), (b"x",) * 15):
            reply = ask(line, command("state.center_of_mass", 7, state="nobody"), *parts)
            assert reply["id"] == 7 and reply["error"]["code"] == "not_found"


def test_random_packets(own_daemon):
    rng = np.random.default_rng(int(os.environ.get("GROMOS_TEST_SEED", "20240601")))
    whole = packet(command("state.norms", state="w"), b"abc")
    with own_daemon.connect() as session, Caller(own_daemon) as peer:
        session.create(5, name="w")
        for _ in range(300):
            data = bytearray(whole)
            for _ in range(rng.integers(1, 6)):
                data[rng.integers(0, len(data))] = rng.integers(0, 256)
            with peer.line() as line:
                line.send(bytes(data[: rng.integers(1, len(data) + 1)]))
                line.recv(MOST)  # an answer or the end
        assert session.attach("w").center_of_mass().shape == (3,)


def test_who_does_not_take_replies_loses_the_connection(own_daemon):
    with own_daemon.connect() as session:
        session.create(4000, name="w")
        with Caller(own_daemon) as peer, peer.line() as line:
            line.settimeout(None)
            request = packet(command("state.norms", state="w"))  # 16 kB of answer each
            with pytest.raises((BrokenPipeError, ConnectionResetError)):
                while True:
                    line.send(request)
            # A hang-up is not a reason to end the session.
            with peer.line() as other:
                assert ask(other, command("state.center_of_mass", state="w"))["ok"]


# ---- a daemon that lies


@pytest.fixture
def line(tmp_path):
    with FakeDoor(str(tmp_path / "door")) as fake:
        door = _ext.Door(fake.path, "1.0", 60.0)
        ours = door.line()
        theirs = fake.calls[0]
        theirs.settimeout(60)
        yield ours, theirs


PLAIN = _wire.encode("state.center_of_mass", {"state": "w"})


def asked(ours: _ext.CallLine, theirs: socket.socket, answer: bytes | None, request: _wire.Request = PLAIN) -> object:
    """What ask() gives, or raises, when the other side sends this to request 3."""
    outcome: list[object] = []

    def ask_and_wait() -> None:
        try:
            got = ours.ask(request, 3)
            while got is None:
                got = ours.wait()
            outcome.append(got)
        except Exception as error:
            outcome.append(error)

    thread = threading.Thread(target=ask_and_wait)
    thread.start()
    sent = theirs.recv(MOST)
    if answer is None:
        theirs.shutdown(socket.SHUT_RDWR)
    else:
        theirs.send(answer)
    thread.join(60)
    assert parts_of(sent) == [request.head(3), *(part.tobytes() for part in request.parts)]
    return outcome[0]


REPLY = {"v": 1, "id": 3, "ok": True, "result": {}}


def test_a_packet_each_way(line):
    request = _wire.encode("x", {"a": np.arange(5, dtype=np.int32), "b": np.zeros((0, 2), np.float32), "c": np.ones((3, 3))})
    message, parts = asked(*line, packet(msgpack.packb(REPLY), b"abc", b"", b"defghijkl"), request)
    assert message == REPLY and parts == (b"abc", b"", b"defghijkl")


@pytest.mark.parametrize("what", [what for what in BAD if what != "empty"])
def test_an_answer_that_is_no_packet(line, what):
    error = asked(*line, BAD[what])
    assert isinstance(error, gromos.InvalidMessageError) and "no answer to a call" in error.message


OTHER = [msgpack.packb(REPLY | {"id": other}) for other in (4, 2, 3 + 2**32, -1, None, "3")]


@pytest.mark.parametrize("head", [b"", b"\xc1", msgpack.packb([1]), msgpack.packb({"v": 1}), msgpack.packb(REPLY)[:-1], *OTHER])
def test_an_answer_that_is_no_message(line, head):
    assert isinstance(asked(*line, packet(head)), gromos.InvalidMessageError)


def test_a_hang_up_after_the_request(line):
    assert isinstance(asked(*line, None), ConnectionResetError)


def test_a_hang_up_before_the_request(line):
    ours, theirs = line
    theirs.close()
    with pytest.raises(BrokenPipeError):
        ours.ask(PLAIN, 1)
    ours.close()
    ours.close()
    with pytest.raises(BrokenPipeError, match="closed"):
        ours.ask(PLAIN, 1)
    with pytest.raises(BrokenPipeError, match="closed"):
        ours.wait()


def test_what_is_too_long_for_this_way_is_not_sent(line):
    ours, theirs = line
    with pytest.raises(OSError, match="long"):
        ours.ask(_wire.encode("state.norms", {"state": "w" * MOST}), 1)
    message, _ = asked(ours, theirs, packet(msgpack.packb(REPLY)))
    assert message == REPLY


@pytest.mark.parametrize("arguments", [(), (PLAIN,), (PLAIN, "1"), (b"x", 1), (PLAIN.with_parts((b"y",)), 1), (PLAIN.with_parts((np.zeros(1),) * 16), 1)])
def test_wrong_arguments(line, arguments):
    with pytest.raises(TypeError):
        line[0].ask(*arguments)


def test_arrays_stay_in_memory_until_the_answer(state, own_daemon):
    """A line that is waited for has the argument memory; one that is given up leaves it to the daemon."""
    session, pairs = state.session, np.zeros((2000, 2), np.int32)
    request = _wire.encode("state.distances", {"state": state.uuid.bytes, "pairs": pairs})
    door = session._link.door
    line = door.line()
    with held(own_daemon, "w"):
        assert line.ask(request, 1) is None
        assert door.put((pairs,)) is None  # taken
        message = None
    while message is None:
        message = line.wait()
    assert message[0]["ok"]
    first = door.put((pairs,))
    assert first is not None
    door.put_done(True)
    with held(own_daemon, "w"):
        assert line.ask(request, 2) is None
        line.close()
        assert door.put((pairs,)) is None  # the daemon, which has yet to read it, gives no other in its place
    wait_until(lambda: door.put((pairs,)) is not None, what="other memory")
    door.put_done(True)


def test_a_signal_while_it_waits(line):
    ours, _ = line
    seen = []
    old = signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
    try:
        timer = threading.Timer(0.01, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        assert ours.ask(PLAIN, 1) is None
        timer.join()
        while not seen:
            assert ours.wait() is None
    finally:
        signal.signal(signal.SIGUSR1, old)

"""Hostile bytes: mutated messages, garbage on every socket, connections that end in the middle. The daemon answers or hangs up, serves
everybody else as before, and does not grow."""

import array
import os
import random
import socket
import struct
import time

import gromos
import msgpack
import numpy as np
import pytest
import zmq
from conftest import wait_until
from gromos import _session, _wire
from test_golden import MESSAGES

COUNT = 10_000
SEED = int(os.environ.get("GROMOS_TEST_SEED", "20240601"))


def raw_connection(d, session=None):
    s = zmq.Context.instance().socket(zmq.DEALER)
    s.linger = 0
    s.rcvtimeo = 60000
    s.connect(d.endpoint)
    if session is not None:
        s.send(_wire.encode("hello", _session._greeting(session._name, session._link.door.token)).head(1))
        assert msgpack.unpackb(s.recv())["ok"]
    return s


def mutate(rng, parts):
    parts = [bytearray(p) for p in parts]
    for _ in range(rng.randint(1, 4)):
        part = rng.choice(parts)
        kind = rng.randrange(8)
        if kind == 0 and part:  # another byte
            part[rng.randrange(len(part))] = rng.randrange(256)
        elif kind == 1 and part:  # another bit
            part[rng.randrange(len(part))] ^= 1 << rng.randrange(8)
        elif kind == 2:  # an end too early
            del part[rng.randint(0, len(part)) :]
        elif kind == 3:  # something in between
            at = rng.randint(0, len(part))
            part[at:at] = bytes(rng.randrange(256) for _ in range(rng.randint(1, 8)))
        elif kind == 4 and part:  # a piece twice
            at = rng.randrange(len(part))
            part[at:at] = part[at : at + rng.randint(1, 16)]
        elif kind == 5 and part:  # a claimed length
            at = rng.randrange(len(part))
            part[at : at + 5] = bytes([rng.choice([0xC6, 0xC9, 0xDB, 0xDD, 0xDF])]) + struct.pack(">I", rng.getrandbits(32))
        elif kind == 6 and len(parts) > 1:
            parts.remove(part)
        elif kind == 7:
            parts.insert(rng.randint(0, len(parts)), bytearray(rng.randrange(256) for _ in range(rng.randrange(40))))
    return [bytes(p) for p in parts]


LIMITS = ("--session-states", "20", "--session-bytes", "100000000")


def test_ten_thousand_mutated_messages(make_daemon):
    run_mutated_messages(make_daemon(*LIMITS))


def run_mutated_messages(d):
    rng = random.Random(SEED)
    seeds = [m.parts for m in MESSAGES if m.kind == "request"]
    refused = 0
    with d.connect() as session, d.connect() as bystander:
        state = gromos.State(3, name="w", session=bystander)
        state.set_positions(np.ones((3, 3)))
        with raw_connection(d, session) as raw:
            early = 0
            for start in range(0, COUNT, 50):
                for _ in range(50):
                    raw.send_multipart(mutate(rng, rng.choice(seeds)))
                for _ in range(50):
                    reply = msgpack.unpackb(raw.recv_multipart()[0])
                    assert set(reply) in ({"v", "id", "ok", "result"}, {"v", "id", "ok", "error"})
                    if not reply["ok"]:
                        refused += 1
                        assert reply["error"]["code"] != "internal", reply
                        assert reply["error"]["message"]
                if start == COUNT // 5:
                    early = d.resident()
        assert refused > COUNT // 2
        assert bystander.ping() < 5
        assert state.num_atoms() == 3
        wait_until(lambda: d.resident() - early < 4 << 20, 20.0, "the daemon's memory to be given back")


def test_the_measure_of_memory_sees_a_leak(make_daemon):
    """What the test above relies on: things kept for every message show."""
    d = make_daemon("--session-states", "100000")
    with d.connect() as session:
        before = d.resident()
        for i in range(3000):
            session.commands.state_create(num_atoms=1, name=f"kept-{i}")
        assert d.resident() - before > 1 << 20


@pytest.mark.parametrize("count", [17, 40])
def test_too_many_parts(daemon, session, count):
    with raw_connection(daemon, session) as raw:
        raw.send_multipart([msgpack.packb({"v": 1, "id": 9, "cmd": "ping"})] + [b"x"] * (count - 1))
        reply = msgpack.unpackb(raw.recv())
        assert reply["error"]["code"] == "invalid_message"
        raw.send(msgpack.packb({"v": 1, "id": 10, "cmd": "ping"}))
        assert msgpack.unpackb(raw.recv())["id"] == 10


def test_a_map_too_large(daemon, session):
    with raw_connection(daemon, session) as raw:
        raw.send(msgpack.packb({"v": 1, "id": 9, "cmd": "state.describe", "args": {"state": "x" * 70000}}))
        assert msgpack.unpackb(raw.recv())["error"]["code"] == "invalid_message"


def test_nothing_but_ping_and_hello_before_hello(daemon):
    with raw_connection(daemon) as raw:
        raw.send(msgpack.packb({"v": 1, "id": 1, "cmd": "ping"}))
        assert msgpack.unpackb(raw.recv())["ok"]
        for command in ("info", "stats", "state.list", "shutdown", "sessions"):
            raw.send(msgpack.packb({"v": 1, "id": 2, "cmd": command}))
            assert msgpack.unpackb(raw.recv())["error"]["code"] == "not_authorized"
        raw.send(_wire.encode("hello", {"protocol": 1, "version": "x", "token": bytes(32)}).head(3))
        assert msgpack.unpackb(raw.recv())["error"]["code"] == "not_authorized"


def unix(d, name, kind):
    s = socket.socket(socket.AF_UNIX, kind)
    s.settimeout(60)
    for _ in range(12000):
        try:
            s.connect(str(d.directory / name))
            return s
        except BlockingIOError:  # the queue of connections is full
            time.sleep(0.005)
    raise AssertionError("no connection")


def test_garbage_where_zeromq_listens(own_daemon):
    d = own_daemon
    rng = random.Random(SEED)
    with d.connect() as session:
        before = d.descriptors()
        for _ in range(100):
            with unix(d, "zmq", socket.SOCK_STREAM) as s:
                try:
                    s.sendall(rng.randbytes(rng.choice([0, 1, 10, 64, 1000])))
                except (BrokenPipeError, ConnectionResetError):
                    pass
        # Half a message after a proper greeting: the frame announces more than comes.
        greeting = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
        for _ in range(20):
            with unix(d, "zmq", socket.SOCK_STREAM) as s:
                s.sendall(greeting + b"\x04\x1a\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER" + b"\x01\x7fhalf a message")
        assert session.ping() < 5
        wait_until(lambda: d.descriptors() <= before + 2, what="closing of the connections")


def test_garbage_at_the_door(own_daemon):
    d = own_daemon
    rng = random.Random(SEED)
    hello = struct.pack("<IIII16s128sQ24x", 0x44474F52, 1, 1, 0, bytes(16), b"0.1.0", 0)
    assert len(hello) == 192
    with d.connect() as session:
        state = gromos.State(5, session=session)
        state.center_of_mass()  # has a connection of its own from here on
        before, sessions = d.descriptors(), session.stats().sessions
        for i in range(300):
            with unix(d, "door", socket.SOCK_SEQPACKET) as s:
                try:
                    if i % 3:
                        s.sendall(hello)
                        s.recv(4096)
                    for _ in range(5):
                        packet = bytearray(hello)
                        for _ in range(rng.randint(1, 6)):
                            packet[rng.randrange(4 if i % 2 else 0, 192)] = rng.randrange(256)
                        s.sendall(packet[: rng.choice([192, 192, 192, 191, 1, 0])] + rng.randbytes(rng.choice([0, 0, 0, 5])))
                except (BrokenPipeError, ConnectionResetError):
                    pass
        assert session.ping() < 5
        assert state.center_of_mass().tolist() == [0, 0, 0]
        wait_until(lambda: d.descriptors() <= before, what="closing of the doors")
        wait_until(lambda: session.stats().sessions == sessions, what="end of the sessions")
        state.close()


def test_descriptors_sent_to_the_door_are_not_kept(own_daemon):
    d = own_daemon
    with d.connect() as session:
        before = d.descriptors()
        hello = struct.pack("<IIII16s128sQ24x", 0x44474F52, 1, 1, 0, bytes(16), b"0.1.0", 0)
        reader, writer = os.pipe()
        doors = []
        for _ in range(20):
            s = unix(d, "door", socket.SOCK_SEQPACKET)
            doors.append(s)
            try:
                s.sendmsg([hello], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [writer] * 8))])
            except (BrokenPipeError, ConnectionResetError):
                pass
        session.ping()
        os.close(writer)
        for s in doors:
            s.close()
        wait_until(lambda: d.descriptors() <= before, what="closing of the descriptors")
        assert os.read(reader, 1) == b""
        os.close(reader)

"""The door as it is on the wire: States made through it meet what state.create meets, and their masses are there when somebody looks."""

from __future__ import annotations

import mmap
import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import gromos
import numpy as np
import pytest
from conftest import bring_to_a_stop, wait_until
from fake_door import CALLS, COMMIT, CREATE, HELLO, LAYOUT, LEASE_WORD, MAGIC, OPEN, REPLY, REQUEST, UNSET
from gromos import _binding

LIVE, WRITE, FRAMES, MASSES = 1, 2, 4, 8
FLOAT64, FRAME_FORCES = 1, 2
SEED = int(os.environ.get("GROMOS_TEST_SEED", "20240601"))
MASSES_BIT = 1 << 3
LEASE_LOST = -17


class Peer:
    """A client that says what it is told to."""

    def __init__(self, daemon, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(60)
        self.socket.connect(f"{daemon.directory}/door")
        if hello:
            for fd in self.ask(HELLO, name=b"0.1.0")["fds"]:
                os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, op, flags=0, uuid=bytes(16), name=b"", number=0, more=(1, 1, 0)):
        self.socket.send(REQUEST.pack(MAGIC, op, 1, flags, uuid, name, number, *more))

    def receive(self):
        """The reply's fields, or None after a hang-up."""
        packet, fds, _flags, _address = socket.recv_fds(self.socket, 4096, 8)
        if not packet:
            return None
        magic, op, code, count, _protocol, session, uuid, name, generation, *rest = REPLY.unpack(packet)
        assert magic == MAGIC and count == len(fds)
        return {
            "op": op, "code": code, "session": session, "uuid": uuid, "name": name.rstrip(b"\0").decode(), "generation": generation,
            "text": rest[-1].rstrip(b"\0").decode(), "fds": fds,
        }  # fmt: skip

    def ask(self, op, **fields):
        self.send(op, **fields)
        return self.receive()


def view(fd):
    """The whole segment, read-only."""
    return mmap.mmap(fd, os.fstat(fd).st_size, prot=mmap.PROT_READ)


def masses_of(memory, atoms):
    """As the head of the segment has it: the array's own offset."""
    offset = struct.unpack_from("<8Q", memory, 72)[3]
    return np.frombuffer(memory, np.float64, atoms, offset)


def known(session):
    return {state.uuid.bytes for state in session.states()}


def unset(memory):
    return struct.unpack_from("<I", memory, UNSET)[0]


def test_a_state_made_at_the_door(own_daemon):
    d = own_daemon
    with d.connect() as session, Peer(d) as peer:
        assert "state.create" not in session.stats().commands
        made = peer.ask(CREATE, name="Wässer".encode(), number=100, more=(2, 3, 5), flags=FLOAT64 | FRAME_FORCES)
        assert (made["op"], made["code"], made["name"], made["generation"]) == (CREATE, 0, "Wässer", 1)
        memory = view(made["fds"][0])
        assert struct.unpack_from("<I", memory, 0)[0] == LAYOUT and memory[8:24] == made["uuid"]
        with pytest.raises(PermissionError):
            mmap.mmap(made["fds"][0], 4096, prot=mmap.PROT_WRITE)

        state = session.attach("Wässer")
        about = state.describe()
        assert about.uuid.bytes == made["uuid"]
        assert (about.num_atoms, about.dtype, about.num_temperature_groups, about.num_energy_groups) == (100, "float64", 2, 3)
        assert (about.slots, about.sessions, about.masses) == (5, 2, False)
        assert state.positions().dtype == np.float64 and not state.positions().any() and not state.energies.to_dict()["kinetic"]
        with state.snapshot() as frame:
            assert frame.forces().shape == (100, 3)
        assert f"created {about.uuid} Wässer: 100 atoms, float64, by session {made['session']}" in d.log()
        assert session.stats().commands["state.create"][:2] == [1, 0]  # one, without an error
        os.close(made["fds"][0])


@pytest.mark.parametrize("atoms", [10, 300_000])  # inline and on a worker
def test_its_life_is_that_of_any_state(own_daemon, atoms):
    d = own_daemon
    with d.connect() as session:
        with Peer(d) as peer:
            for name in (b"", b"stays"):
                made = peer.ask(CREATE, name=name, number=atoms)
                assert made["code"] == 0
                os.close(made["fds"][0])
            assert len(session.states()) == 2
        wait_until(lambda: [s.name for s in session.states()] == ["stays"], what="end of the State without a name")
        session.attach("stays").delete()
        assert session.states() == []


BAD = {
    "no atoms": {"number": 0},
    "too many atoms": {"number": 500_000_001},
    "more atoms than any number": {"number": 2**64 - 1},
    "no temperature groups": {"number": 5, "more": (0, 1, 0)},
    "too many temperature groups": {"number": 5, "more": (1025, 1, 0)},
    "no energy groups": {"number": 5, "more": (1, 0, 0)},
    "too many energy groups": {"number": 5, "more": (1, 65, 0)},
    "energy groups beyond any product": {"number": 5, "more": (2**32 - 1, 2**32 - 1, 0)},
    "one slot": {"number": 5, "more": (1, 1, 1)},
    "too many slots": {"number": 5, "more": (1, 1, 257)},
    "an unknown flag": {"number": 5, "flags": 4},
    "a control character": {"number": 5, "name": b"a\nb"},
    "a name like a uuid": {"number": 5, "name": b"123e4567-e89b-12d3-a456-426614174000"},
    "a name that is no text": {"number": 5, "name": b"\xff\xfe"},
}


@pytest.mark.parametrize("what", BAD)
def test_bad_requests_are_refused(daemon, session, what):
    before = known(session)
    with Peer(daemon) as peer:
        reply = peer.ask(CREATE, **BAD[what])
        assert reply["code"] == -4 and reply["text"] and not reply["fds"], reply
        good = peer.ask(CREATE, number=5)  # and the connection stands
        assert good["code"] == 0
        os.close(good["fds"][0])
        assert known(session) - before == {good["uuid"]}


def test_both_ways_refuse_alike(make_daemon):
    """The same code and the same words for a taken name, a quota and the daemon's limit, whichever way the State is asked for."""
    d = make_daemon("--session-states", "2", "--max-bytes", "10000000")
    with d.connect() as session, Peer(d) as peer:
        first = session.create(5, name="taken")

        def alike(atoms, name, code):
            reply = peer.ask(CREATE, number=atoms, name=name.encode())
            with pytest.raises(gromos.GromosError) as command:
                session.commands.state_create(num_atoms=atoms, name=name or None)
            with pytest.raises(type(command.value)) as door:
                session.create(atoms, name=name or None)
            assert reply["code"] == code and reply["text"] == command.value.message == door.value.message
            assert door.value.command == command.value.command == "state.create"

        alike(5, "taken", -10)
        alike(300_000, "", -2)
        kept = [session.create(5)]
        for _ in range(2):
            os.close(peer.ask(CREATE, number=5)["fds"][0])
        alike(5, "", -3)
        del first, kept


def test_what_the_request_cannot_say_goes_by_command(session, monkeypatch):
    for wrong in ({"num_atoms": -1}, {"num_atoms": 2**70}, {"num_atoms": 5, "name": "x" * 128}, {"num_atoms": 5, "name": ""},
                  {"num_atoms": 5, "slots": -1}, {"num_atoms": 5, "num_energy_groups": 2**33}):  # fmt: skip
        with pytest.raises(gromos.InvalidArgumentError) as caught:
            session.create(**wrong)
        assert any(argument in str(caught.value) for argument in wrong)
    monkeypatch.setattr(_binding, "DOOR_ATOMS", 4)
    with session.create(np.int64(4)) as small, session.create(5, name="by-command", dtype="float64", frame_forces=True) as large:
        assert small.num_atoms() == 4 and large.positions().dtype == np.float64
        assert large.masses().tolist() == [1.0] * 5
        large.delete()


def test_malformed_packets_end_the_connection(daemon, session):
    before = known(session)
    whole = REQUEST.pack(MAGIC, CREATE, 1, 0, bytes(16), b"", 5, 1, 1, 0)
    endless = REQUEST.pack(MAGIC, CREATE, 1, 0, bytes(16), b"n" * 128, 5, 1, 1, 0)
    other = REQUEST.pack(MAGIC, CALLS + 1, 1, 0, bytes(16), b"", 5, 1, 1, 0)
    magic = REQUEST.pack(MAGIC + 1, CREATE, 1, 0, bytes(16), b"", 5, 1, 1, 0)
    for packet in (whole[:-1], whole + b"\0", whole[:4], endless, other, magic):
        with Peer(daemon) as peer:
            peer.socket.send(packet)
            assert peer.receive() is None
    with Peer(daemon, hello=False) as peer:
        peer.socket.send(whole)
        assert peer.receive() is None
    assert known(session) <= before


def test_mutated_requests_are_answered_or_end_the_connection(make_daemon):
    d = make_daemon("--max-bytes", "20000000")
    rng = random.Random(SEED)
    codes = set()
    with d.connect() as session:
        before = d.descriptors()
        for _ in range(200):
            with Peer(d) as peer:
                for _ in range(5):
                    packet = bytearray(REQUEST.pack(MAGIC, CREATE, 1, 0, bytes(16), b"mutated", rng.choice([5, 100_000, 300_000]), 1, 1, 0))
                    for _ in range(rng.randint(0, 3)):
                        packet[rng.randrange(8, 192)] = rng.randrange(256)
                    peer.socket.send(packet)
                    reply = peer.receive()
                    codes.add(reply["code"])
                    for fd in reply["fds"]:
                        os.close(fd)
            for state in session.states():
                if state.name:
                    session.attach(state.uuid).delete()
        assert {0, -2, -4, -10} <= codes <= {0, -2, -4, -10}  # made; too large; impossible; the name is taken
        wait_until(lambda: session.states() == [] and d.descriptors() <= before, what="end of what was made")


def test_whoever_hangs_up_while_a_large_state_is_made(own_daemon):
    d = own_daemon
    rng = random.Random(4)
    with d.connect() as session:
        session.ping()
        before = d.descriptors()
        for i in range(30):
            with Peer(d) as peer:
                peer.send(CREATE, number=400_000, name=b"" if i % 2 else f"n{i}".encode())
                peer.send(CREATE, number=400_000)  # waits its turn
                time.sleep(rng.random() * 0.02)
        wait_until(lambda: session.stats().sessions == 1, what="end of the sessions")  # what is made for them later is given up
        for state in session.states():
            assert state.name and state.sessions == 0
            session.attach(state.name).delete()
        wait_until(lambda: d.descriptors() <= before, what="closing of what was made for nobody")
        assert session.create(300_000).num_atoms() == 300_000


def test_a_daemon_that_dies_meanwhile(make_daemon):
    """A State with a name may exist or not; one without has ended with its maker's connection."""
    for name, error in (("named", gromos.OutcomeUnknownError), (None, gromos.NoDaemonError)):
        d = make_daemon()
        before = doors()
        session = d.connect()
        [mine] = doors() - before
        bring_to_a_stop(d.pid)

        def kill_when_asked(d=d, mine=mine):
            wait_until(lambda: unread(mine) > 0, what="the request")
            d.kill()

        killing = threading.Thread(target=kill_when_asked)
        killing.start()
        with pytest.raises(error):
            session.create(10, name=name)
        killing.join()
        session.close()


def doors():
    """The ends of doors in this process."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            with socket.socket(fileno=os.dup(int(name))) as s:
                if s.type == socket.SOCK_SEQPACKET:
                    found.add(int(name))
        except OSError:
            pass  # no socket, or closed while it was looked at
    return found


def unread(fd):
    """Bytes that were sent and lie at the other end."""
    return struct.unpack("i", fcntl.ioctl(fd, termios.TIOCOUTQ, bytes(4)))[0]


# ---- the masses of a new State ----


def test_masses_are_written_when_somebody_looks(daemon, session):
    with Peer(daemon) as peer, Peer(daemon) as other:
        made = peer.ask(CREATE, number=300_000)
        memory = view(made["fds"][0])
        assert unset(memory) == MASSES_BIT
        assert not masses_of(memory, 300_000).any()
        state = session.attach(made["uuid"])
        state.set_positions(np.ones((300_000, 3)))
        with state.edit() as e:
            e.positions()[:] = 2
        state.snapshot().release()
        state.center_of_geometry()
        assert unset(memory) == MASSES_BIT  # nobody has looked yet
        replies = []
        for one in (peer, other):
            one.send(OPEN, uuid=made["uuid"], flags=MASSES)
        for one in (peer, other):
            replies.append(one.receive())
        assert [(r["code"], r["fds"]) for r in replies] == [(0, []), (0, [])]
        assert unset(memory) == 0
        assert (masses_of(memory, 300_000) == 1.0).all()
        assert np.shares_memory(state.masses(), state.masses()) and (state.masses() == 1.0).all()
        os.close(made["fds"][0])


LOOKS = {
    "masses": lambda s: s.masses(),
    "a copy": lambda s: s.masses("c"),
    "in an edit": lambda s: _in_an_edit(s),
    "elsewhere": lambda s: _elsewhere(s),
    "remote": lambda s: s._session.commands.state_get(s._uuid, arrays=["masses"]).arrays["masses"],
    "a clone": lambda s: s.clone().masses(),
}


def _in_an_edit(state):
    with state.edit() as e:
        return e.masses().copy()


def _elsewhere(state):
    with gromos.connect(state._session.endpoint, default=False) as session:
        return session.attach(state._uuid).masses().copy()


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("atoms", [1, 1000, 250_001])
def test_every_way_to_look_at_new_masses(session, look, atoms):
    with session.create(atoms) as state:
        assert np.array_equal(LOOKS[look](state), np.ones(atoms))
        assert np.array_equal(state.masses(), np.ones(atoms))


def test_new_masses_in_computations(session):
    with session.create(3) as state:
        state.set_positions([[0, 0, 0], [3, 0, 0], [0, 6, 0]])
        assert state.center_of_mass().tolist() == [1, 2, 0]
    with session.create(2) as state:
        state.set_velocities([[1, 0, 0], [0, 2, 0]])
        assert state.kinetic_energy() == pytest.approx(2.5, rel=1e-12)  # exact but for the order of the sum


def test_masses_that_were_given_stay(session, daemon):
    given = np.arange(1.0, 6.0)
    with session.create(5) as state:
        state.set_masses(given)  # never looked at before
        with Peer(daemon) as peer:
            assert peer.ask(OPEN, uuid=state._uuid.bytes, flags=MASSES)["code"] == 0
        assert np.array_equal(state.masses(), given)
        with pytest.raises(RuntimeError), state.edit() as e:
            e.masses()[:] = 9
            raise RuntimeError
        assert np.array_equal(state.masses(), given)
    with session.create(5) as state:
        with pytest.raises(RuntimeError), state.edit() as e:
            e.masses()[:] = 9
            raise RuntimeError
        assert np.array_equal(state.masses(), np.ones(5))


def test_new_masses_without_a_daemon(own_daemon):
    """What a State's masses are can be told when nobody is left to write them."""
    session = own_daemon.connect()
    state, deleted = session.create(7), session.create(8, name="deleted")
    memory = deleted._mapping
    deleted.delete()
    assert memory.masses.tolist() == [1.0] * 8
    mapping = state._mapping
    own_daemon.kill()
    for masses, writable in ((mapping.masses, False), (mapping.array(3, "c"), True)):
        assert masses.tolist() == [1.0] * 7 and masses.flags.writeable is writable
    session.close()


@pytest.mark.parametrize("looked", [False, True])
def test_new_masses_survive_a_daemon(make_daemon, looked):
    d = make_daemon("--keep")
    with d.connect() as session:
        state, given = session.create(6, name="new"), session.create(6, name="given")
        given.set_masses(np.arange(1.0, 7.0))
        if looked:
            assert state.masses().tolist() == [1.0] * 6
        pid = session.info().pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: session.info().pid != pid, what="the next worker")
        with d.connect() as other:
            assert other.attach("new").masses().tolist() == [1.0] * 6
            assert other.attach("given").masses().tolist() == [1, 2, 3, 4, 5, 6]
        assert state.masses().tolist() == [1.0] * 6


def test_new_masses_in_the_next_generation(make_daemon):
    d = make_daemon("--lease-limit", "1")
    with d.connect() as session, d.connect() as other:
        state = session.create(6, name="moved")
        with pytest.raises(gromos.LeaseLostError), state.edit():
            other.attach("moved").set_positions(np.ones((6, 3)), timeout=60)
        assert state.generation == 2
        assert state.masses().tolist() == [1.0] * 6


WITHOUT_DESCRIPTORS = """
import os, resource, sys
import gromos

with gromos.connect(sys.argv[1], default=False) as session:
    session.create(1, name="other").delete()
    attached = session.attach("theirs")
    made = [session.create(10), session.create(10)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 5, hard))
    for name in [None, "mine"]:
        try:
            while True:
                made.append(session.create(10, name=name))
                name = None
        except gromos.OutOfMemoryError as error:
            assert "descriptors" in str(error), error
    try:
        attached.snapshot()
        session.attach("another")
    except gromos.OutOfMemoryError as error:
        assert "descriptors" in str(error), error
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for state in made:
        state.set_positions([[1.0, 2.0, 3.0]] * 10)
    assert len(session.attach("another").positions()) == 20
    print(len(made), len([s for s in session.states() if s.num_atoms == 10]), "mine" in [s.name for s in session.states()])
"""


def test_a_client_without_descriptors_loses_nothing(own_daemon):
    """It is told so, what it has stays, and no State is made that it cannot map."""
    with own_daemon.connect() as session:
        for name in ("theirs", "another"):
            session.create(20, name=name)
        done = subprocess.run([sys.executable, "-c", WITHOUT_DESCRIPTORS, own_daemon.endpoint], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    made, there, mine = done.stdout.split()
    assert int(made) > 2 and made == there
    assert mine == "False"


def test_a_lease_word_scribbled_over_during_a_commit(own_daemon):
    """While a frame is copied the daemon's record says who holds the lease, whatever a client writes: the second commit is refused, and the
    daemon, which has one copy of a State under way at a time, goes on."""
    d = own_daemon
    atoms, word, rng = 1_000_000, struct.Struct("<I"), random.Random(SEED)
    with d.connect() as session, Peer(d) as one, Peer(d) as other:
        state = gromos.State(atoms, name="large", session=session)
        opened = [peer.ask(OPEN, name=b"large", flags=WRITE) for peer in (one, other)]
        memory = mmap.mmap(opened[0]["fds"][0], 0)
        for _ in range(40):
            word.pack_into(memory, LEASE_WORD, opened[0]["session"])
            one.send(COMMIT, flags=3, uuid=opened[0]["uuid"])
            time.sleep(rng.uniform(0, 3e-3))  # the commit may not have begun, or be over
            word.pack_into(memory, LEASE_WORD, opened[1]["session"])
            other.send(COMMIT, flags=3, uuid=opened[0]["uuid"])
            replies = [one.receive(), other.receive()]
            assert None not in replies, d.log()[-2000:]
            # Which came first is open, and whether the second came during the first or after it.
            assert {reply["code"] for reply in replies} <= {0, LEASE_LOST}
            word.pack_into(memory, LEASE_WORD, 0)
        memory.close()
        for reply in opened:
            for fd in reply["fds"]:
                os.close(fd)
        with state.edit() as e:
            e.positions()[:] = 1
        assert session.ping() < 60 and (state.positions() == 1).all()


@pytest.mark.parametrize("name", ["a\0b", "\udc80", "half \ud83d"])
def test_what_is_no_text_for_a_name_is_no_name(own_daemon, name):
    with own_daemon.connect() as session:
        for use in (session.attach, lambda text: session.create(5, name=text), session.create(5).rename):
            with pytest.raises(gromos.InvalidArgumentError):
                use(name)

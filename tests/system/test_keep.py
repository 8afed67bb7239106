"""The holder of a daemon's memory: how many descriptors it can keep (their names come back in one variable of the environment, which may
have 128 KiB), what it hands to the next worker, and that it waits for one that cannot start."""

import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import BINARY, wait_until
from fake_door import LEASE_WORD
from md_water import parameters, water

MANY = 2000


def worker_of(daemon):
    """The process that serves, under the one that keeps; None while there is none."""
    found = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return int(found[0]) if found else None


@pytest.mark.skipif(resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 5 * MANY, reason="the machine allows too few descriptors")
def test_thousands_of_states_survive(make_daemon):
    d = make_daemon("--keep", "--session-states", str(MANY))
    with d.connect() as session:
        for number in range(MANY):
            session.create(1, name=f"s{number}")
        session.attach("s0").set_positions([[1, 2, 3]])
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        children = Path(f"/proc/{d.pid}/task/{d.pid}/children")
        worker = int(children.read_text().split()[0])
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: children.read_text().split() not in ([], [str(worker)]), what="a new worker")
        assert {s.name for s in session.states()} == {f"s{number}" for number in range(MANY)}
        assert session.attach("s0").positions().tolist() == [[1, 2, 3]]


def test_a_full_holder_is_reported(runtime_dir):
    """systemd says how many descriptors it takes; what is beyond is not sent, and the daemon says that it is not protected."""
    room = 8
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        holder.bind(str(runtime_dir / "notify"))
        holder.settimeout(60)
        process = subprocess.Popen(
            [BINARY],
            env={**os.environ, "NOTIFY_SOCKET": str(runtime_dir / "notify"), "FDSTORE": str(room), "GROMOSD_RUNTIME_DIR": str(runtime_dir)},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            names = []
            while not names:  # the counters come before READY=1
                names += stored(holder)
            while holder.recv(4096) != b"READY=1":
                pass
            with gromos.connect(f"ipc://{runtime_dir}/default/zmq", default=False) as session:
                assert session.info().protected
                states = [session.create(1, name=f"s{number}") for number in range(room)]  # two descriptors each
                assert not session.info().protected
                while len(names) < room:
                    names += stored(holder)
                holder.setblocking(False)
                with pytest.raises(BlockingIOError):
                    holder.recv(4096)
                assert len(set(names)) == room
                for state in states:
                    state.delete()
        finally:
            process.terminate()
            said = process.communicate(timeout=60)[1]
    assert said.count(f"the holder has room for no more than {room} descriptors") == 1


def stored(holder):
    """The name a message stores a descriptor under, if it does."""
    data, descriptors, _, _ = socket.recv_fds(holder, 4096, 4)
    for descriptor in descriptors:
        os.close(descriptor)
    lines = dict(line.split("=", 1) for line in data.decode().splitlines())
    return [lines["FDNAME"]] if descriptors else []


def test_the_death_of_the_holder_is_noticed(make_daemon):
    """Also while nothing is to be handed over; and the lock names who serves now."""
    daemon = make_daemon("--keep")
    with daemon.connect() as session:
        s = gromos.State(3, name="seen", session=session)
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        worker = session.info().pid
        try:
            os.kill(daemon.pid, signal.SIGKILL)
            wait_until(lambda: not session.info().protected, what="the holder to be missed")
            s.time = 2.0
            assert s.time == 2.0 and session.info().pid == worker
            second = subprocess.run([BINARY, "--directory", daemon.directory], capture_output=True, text=True, timeout=200)
            assert second.returncode == 1 and f"another gromosd (pid {worker}) serves" in second.stderr
        finally:
            os.kill(worker, signal.SIGTERM)
        wait_until(lambda: not (daemon.directory / "zmq").exists(), what="the worker to end")
    assert "the holder of the segments is gone" in daemon.log()


def test_a_worker_that_cannot_start_is_tried_again(make_daemon, tmp_path):
    """The file of settings was spoilt while the daemon ran; a crash later the States wait until it is put right."""
    good, bad = "[gromosd]\nlog_level = info\n", "[gromosd]\nlog_lvel = info\n"
    config = tmp_path / "gromosd.conf"
    config.write_text(good)
    d = make_daemon("--keep", "--config", str(config))
    with d.connect() as session:
        session.create(1, name="precious").set_positions([[1, 2, 3]])
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        config.write_text(bad)
        os.kill(worker_of(d), signal.SIGKILL)
        wait_until(lambda: d.log().count("there is no setting 'log_lvel'") >= 2, what="a second try")
        assert "the worker could not start (exit status 1" in d.log()
        assert d.process.poll() is None
        config.write_text(good)
        wait_until(lambda: (d.directory / "zmq").exists(), what="a worker that serves")
        assert session.attach("precious").positions().tolist() == [[1, 2, 3]]
    assert d.stop() == 0


def test_a_holder_can_be_ended_while_no_worker_starts(make_daemon, tmp_path):
    config = tmp_path / "gromosd.conf"
    config.write_text("")
    d = make_daemon("--keep", "--config", str(config))
    config.write_text("nonsense")
    os.kill(worker_of(d), signal.SIGKILL)
    wait_until(lambda: "the worker could not start" in d.log(), what="the first try")
    d.stop()


def test_a_worker_has_no_descriptors_of_its_holder(make_daemon):
    """Who waits for the end of what the daemon says to its starter would wait for ever; and one lock is enough."""
    d = make_daemon("--keep")

    def links(pid):
        return [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]

    worker = links(worker_of(d))
    assert worker.count(str(d.directory / "lock")) == 1
    assert not {link for link in worker if link.startswith("socket:")} & set(links(d.pid))
    # Both ends of its own pipes; of the starter's, which is closed after the answer, it had one.
    wait_until(lambda: all(links(worker_of(d)).count(p) == 2 for p in links(worker_of(d)) if p.startswith("pipe:")), what="the end of the answer")


def test_all_descriptors_are_handed_on_where_there_are_few(make_daemon, tmp_path):
    """What a run leaves for the next one is the holder's alone, so that it may have more than half of what a process may open."""
    limited = tmp_path / "gromosd"
    limited.write_text(f'#!/bin/sh\nulimit -n 700 && exec "{BINARY}" "$@"\n')
    limited.chmod(0o755)
    d = make_daemon("--keep", binary=limited)
    with d.connect() as session:
        names = []
        with pytest.raises(gromos.OutOfMemoryError, match="descriptors"):
            while True:
                system = water(session, name=f"w{len(names)}")
                names.append(system.state.name)
                gromos.Simulation(system, parameters(1)).run().wait()
        names = {s.name for s in session.states()}
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        assert len(os.listdir(f"/proc/{d.pid}/fd")) > 330
        first = worker_of(d)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: d.process.poll() is not None or worker_of(d) not in (None, first), what="a new worker")
        assert d.process.poll() is None, d.log()[-2000:]
        assert {s.name for s in session.states()} == names


@pytest.mark.parametrize("kept_in", ["frame", "undo"])
def test_without_memory_to_undo_an_edit_the_state_waits_for_it(make_daemon, kept_in):
    """A client may still write where it was writing when the daemon died, so that undoing its edit takes new memory. The State was lost."""
    atoms, infinite = 100_000, resource.RLIM_INFINITY
    d = make_daemon("--keep")
    with d.connect() as session, d.connect() as other:
        state = session.create(atoms, name="edited")
        state.set_positions(np.ones((atoms, 3)), publish=kept_in == "frame")
        if kept_in == "frame":
            with state.snapshot():
                pass  # whoever has looked at the ring keeps old content there
        wait_until(lambda: session.info().protected, what="everything to be handed over")
        edit = state.edit().__enter__()
        edit.positions()[:] = 2
        first = worker_of(d)
        resource.prlimit(d.pid, resource.RLIMIT_FSIZE, (1 << 20, infinite))  # for memory too; the next worker has it as well
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: worker_of(d) not in (None, first), what="a new worker")
        assert [s.name for s in other.states()] == ["edited"], d.log()
        assert "cannot be undone yet" in d.log()
        found = other.attach("edited")
        with pytest.raises(gromos.LeaseTimeoutError):
            found.edit(timeout=0.5).__enter__()
        resource.prlimit(worker_of(d), resource.RLIMIT_FSIZE, (infinite, infinite))
        with found.edit(timeout=60) as e:
            assert (e.positions() == 1).all()
        assert "rollback done" in d.log()
        with pytest.raises(gromos.LeaseLostError):
            edit.rollback()


class Holder:
    """What keeps descriptors, in Python: as systemd does, and like it handing them to the next daemon."""

    def __init__(self, folder):
        self.folder, self.fds, self.history = folder, {}, []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(folder / "notify"))
        self.socket.settimeout(60)

    def start(self):
        given = sorted(self.fds.items())

        def hand_over():
            for number, (_name, fd) in enumerate(given):
                os.dup2(fd, 500 + number)  # out of the way: the place of one may be that of another
            for number in range(len(given)):
                os.dup2(500 + number, 3 + number)
                os.close(500 + number)

        names = {"LISTEN_FDS": str(len(given)), "LISTEN_FDNAMES": ":".join(name for name, _fd in given)}
        with open(self.folder / "log", "ab") as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$0" "$@"', BINARY, "--directory", self.folder / "d"],
                env={**os.environ, **names, "NOTIFY_SOCKET": str(self.folder / "notify")},
                stderr=log,
                close_fds=False,
                preexec_fn=hand_over,
            )
        self.hear(lambda: self.history[-1] == "READY=1")
        return process

    def hear(self, until):
        """Takes messages until the condition holds after one."""
        while True:
            data, received, _, _ = socket.recv_fds(self.socket, 4096, 4)
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            name = fields.get("FDNAME")
            if "FDSTORE" in fields:
                self.fds[name] = received[0]
            elif "FDSTOREREMOVE" in fields:
                os.close(self.fds.pop(name))
            self.history.append(data.decode() if name is None else f"{'-' if 'FDSTOREREMOVE' in fields else '+'}{name}")
            if until():
                return

    def close(self):
        self.socket.close()
        for fd in self.fds.values():
            os.close(fd)


@pytest.mark.parametrize("died", ["before the old record went", "after"])
def test_a_record_is_renewed_before_the_old_one_goes(tmp_path, died):
    """A State without a record is lost, so at no instant may the holder be without one; and of two the newer one counts."""
    holder = Holder(tmp_path)
    process = holder.start()
    try:
        with gromos.connect(f"ipc://{tmp_path}/d/zmq", default=False) as session:
            session.create(6, name="s")
            holder.hear(lambda: holder.history[-1] == "+1.k0")
            session.attach("s").set_molecules([0, 3, 6])
            holder.hear(lambda: holder.history[-1] == ("+1.k1" if died == "before the old record went" else "-1.k0"))
            assert holder.history[holder.history.index("+1.k0") :].count("-1.k0") == (died == "after")
            assert "+1.k1" in holder.history
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
            if died == "before the old record went":
                while select.select([holder.socket], [], [], 0)[0]:
                    holder.socket.recv(4096)  # what it said after that is unsaid
            process = holder.start()
            state = session.attach("s")
            assert state.describe().molecules == 2
            assert {name for name in holder.fds if name.startswith("1.k")} == {"1.k1"}
            state.set_molecules([0, 2, 4, 6])
            holder.hear(lambda: holder.history[-1] == "-1.k1")
            assert {name for name in holder.fds if name.startswith("1.k")} == {"1.k2"}
            state.delete()
            holder.hear(lambda: not any(name.startswith("1.") for name in holder.fds))
    finally:
        process.kill()
        process.wait(60)
        holder.close()


def test_masses_of_a_topology_are_not_written_over_the_only_ones(tmp_path):
    """A daemon that dies while it writes them leaves some of each; where the old ones are there too its successor puts them back. Frames do
    not carry masses, so that there must be an undo segment."""
    data = Path(gromos.__file__).parent / "data"
    holder = Holder(tmp_path)
    process = holder.start()
    try:
        with gromos.connect(f"ipc://{tmp_path}/d/zmq", default=False) as session:
            state = session.load(data / "alanine.cnf", name="s")
            with state.snapshot():
                pass  # positions and velocities stand in a frame
            gromos.System(gromos.Topology.from_file(data / "alanine.top", session=session), state)
            assert state.masses().max() > 15
            state.delete()
            holder.hear(lambda: holder.history[-1] == "-1.k1")
        assert "+1.u1" in holder.history
    finally:
        process.kill()
        process.wait(60)
        holder.close()


@pytest.mark.parametrize("dirty", [0, 1 << 2])
def test_a_state_left_half_written_has_a_version_of_its_own(tmp_path, dirty):
    """A run keeps no forces aside. Whoever has the arrays of a version, as a remote session has, must see that these are others."""
    holder = Holder(tmp_path)
    process = holder.start()
    try:
        with gromos.connect(f"ipc://{tmp_path}/d/zmq", default=False) as session:
            session.create(6, name="s").set_positions(np.ones((6, 3)))
            holder.hear(lambda: "+1.f1" in holder.history)
            version = session.attach("s").version
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
            # As the daemon leaves it when it dies while it writes: its own number in the lease word, what it had begun to change marked.
            with mmap.mmap(holder.fds["1.l1"], 0) as live:
                struct.pack_into("<II", live, LEASE_WORD, 1, dirty)
                forces = struct.unpack_from("<5Q", live, 72)[2]
                struct.pack_into("<f", live, forces, 7.0 if dirty else 0.0)
            process = holder.start()
            state = session.attach("s")
            assert state.version == version + (dirty != 0)
            assert state.forces()[0, 0] == (7.0 if dirty else 0.0) and (state.positions() == 1).all()
            with state.snapshot() as frame:
                assert frame.version == state.version
    finally:
        process.kill()
        process.wait(60)
        holder.close()


@pytest.mark.parametrize("names, status", [("", 2), ("0.o0:0.c0", 2), ("0.c0:1.l1:1.k0", 1)])
@pytest.mark.parametrize("options", [["--threads", "many"], ["--thraeds", "2"], ["--checkpoint-dir", "relative"]])
def test_where_states_wait_a_wrong_setting_is_to_be_tried_again(tmp_path, options, names, status):
    """Status 2 tells systemd not to; then it lets go of the States."""
    count = names.count(":") + 1 if names else 0
    start = 'LISTEN_PID=$$ exec "$0" "$@" ' + " ".join(f"{3 + k}</dev/null" for k in range(count))
    done = subprocess.run(
        ["/bin/sh", "-c", start, BINARY, "--directory", tmp_path / "d", *options],
        env={**os.environ, "NOTIFY_SOCKET": "@nobody", "LISTEN_FDS": str(count), "LISTEN_FDNAMES": names},
        timeout=60,
    )
    assert done.returncode == status

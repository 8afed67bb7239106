"""How many descriptors a holder can keep: their names come back in one variable of the environment, which may have 128 KiB."""

import os
import resource
import signal
import socket
import subprocess
from pathlib import Path

import gromos
import pytest
from conftest import BINARY, wait_until

MANY = 2000


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

"""The private daemon: started when needed, found again, gone when idle, and clear words when something is in the way."""

import os
import resource
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import gromos
import pytest
from conftest import BINARY, wait_until
from gromos import _private, _session

SCRIPT = """
import gromos, sys
s = gromos.connect()
print(s.info().pid, s.endpoint)
"""


def run(code, expect=0, **environment):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, **environment},
    )
    assert done.returncode == expect, done.stderr
    return done.stdout if expect == 0 else done.stderr


def test_started_when_needed_and_found_again(runtime_dir):
    first = run(SCRIPT).split()
    assert first[1] == f"ipc://{runtime_dir}/default/zmq"
    assert run(SCRIPT).split() == first
    assert stat.S_IMODE(os.stat(runtime_dir / "default").st_mode) == 0o700


def test_nothing_hangs_on_it(runtime_dir):
    """A pipeline ends though the daemon lives on: its standard streams are not those of its starter."""
    done = subprocess.run(
        ["/bin/sh", "-c", f"{sys.executable} -c 'import gromos; gromos.connect()' 2>&1 | cat"], timeout=200, capture_output=True, text=True
    )
    assert done.stdout == ""
    pid = _private.owner_pid(runtime_dir / "default")
    assert pid is not None
    for number in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{number}") in ("/dev/null", str(runtime_dir / "default" / "log"))
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0)


def test_many_processes_at_once_start_one(runtime_dir):
    children = [subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = {child.communicate(timeout=200)[0] for child in children}
    assert all(child.returncode == 0 for child in children)
    assert len(answers) == 1


def test_it_ends_when_idle_but_not_while_it_holds_named_states(runtime_dir, tmp_path):
    short = tmp_path / "gromosd"
    short.write_text(f'#!/bin/sh\nexec {BINARY} --idle-timeout 0.3 "$@"\n')
    short.chmod(0o755)
    run('import gromos; gromos.State(5, name="kept"); gromos.State(5)', GROMOSD_BINARY=str(short))
    directory = runtime_dir / "default"
    pid = _private.owner_pid(directory)
    assert pid is not None
    run('import gromos, time; time.sleep(1); gromos.attach("kept").delete()', GROMOSD_BINARY=str(short))
    wait_until(lambda: _private.owner_pid(directory) is None, what="end of the idle daemon")
    assert not (directory / "door").exists()
    assert run(SCRIPT, GROMOSD_BINARY=str(short)).split()[0] != str(pid)


def test_one_that_ends_before_it_is_found_is_started_again(runtime_dir, monkeypatch, tmp_path):
    short = tmp_path / "gromosd"
    short.write_text(f'#!/bin/sh\nexec {BINARY} --idle-timeout 0.1 "$@"\n')
    short.chmod(0o755)
    monkeypatch.setenv("GROMOSD_BINARY", str(short))
    start, starts = _private.start, []

    def start_slowly(directory):
        start(directory)
        starts.append(directory)
        if len(starts) == 1:
            wait_until(lambda: _private.owner_pid(directory) is None, what="its end")

    monkeypatch.setattr(_private, "start", start_slowly)
    with gromos.Session() as session:
        session.ping()
    assert len(starts) > 1


def test_a_killed_one_is_replaced(runtime_dir):
    pid = int(run(SCRIPT).split()[0])
    os.kill(pid, 9)
    assert int(run(SCRIPT).split()[0]) != pid


def test_it_can_be_killed_altogether(runtime_dir):
    with gromos.Session() as s:
        before = s.info().pid
        for pid in (_private.owner_pid(runtime_dir / "default"), before):
            os.kill(pid, 9)
        assert s.info().pid != before


def test_its_states_survive_a_crash(runtime_dir):
    with gromos.Session() as s:
        state = gromos.State(5, name="kept", session=s)
        state.set_positions([[1, 2, 3]] * 5)
        wait_until(lambda: s.info().protected, what="everything to be handed over")
        os.kill(s.info().pid, 9)
        assert s.attach("kept").positions()[4].tolist() == [1, 2, 3]
        state.delete()


def test_a_session_replaces_it_by_itself(runtime_dir):
    with gromos.Session() as s:
        pid = s.info().pid
        os.kill(pid, 9)
        assert s.info().pid != pid


def test_no_program(runtime_dir, monkeypatch):
    monkeypatch.setenv("GROMOSD_BINARY", "/nowhere/gromosd")
    with pytest.raises(gromos.NoDaemonError, match="GROMOSD_BINARY"):
        gromos.Session()


def test_the_program_is_found_on_path(monkeypatch, tmp_path):
    monkeypatch.delenv("GROMOSD_BINARY")
    monkeypatch.setattr(_private, "__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(gromos.NoDaemonError, match="make"):
        _private.find_binary()
    shutil.copy(BINARY, tmp_path / "gromosd")
    assert _private.find_binary() == tmp_path / "gromosd"


def test_a_program_that_fails_is_quoted(runtime_dir, monkeypatch, tmp_path):
    broken = tmp_path / "gromosd"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("GROMOSD_BINARY", str(broken))
    with pytest.raises(gromos.NoDaemonError, match="ended before it was ready"):
        gromos.Session()
    broken.write_text('#!/bin/sh\n# --private --directory DIR --ready-fd FD\necho error: the disk is on fire > /proc/self/fd/$5\n')
    with pytest.raises(gromos.NoDaemonError, match="the disk is on fire"):
        gromos.Session()


# --- the runtime directory -----------------------------------------------------------------------------------------


def test_a_missing_parent(monkeypatch, tmp_path):
    monkeypatch.setenv("GROMOSD_RUNTIME_DIR", str(tmp_path / "not" / "there"))
    with pytest.raises(gromos.FileAccessError, match="GROMOSD_RUNTIME_DIR"):
        gromos.Session()


def test_a_symbolic_link(runtime_dir, tmp_path):
    (tmp_path / "real").mkdir(mode=0o700)
    (runtime_dir / "default").symlink_to(tmp_path / "real")
    with pytest.raises(gromos.FileAccessError, match="symbolic link"):
        gromos.Session()


def test_a_file_in_its_place(runtime_dir):
    (runtime_dir / "default").write_text("")
    with pytest.raises(gromos.FileAccessError, match="not a directory"):
        gromos.Session()


def test_open_to_others(runtime_dir):
    (runtime_dir / "default").mkdir(mode=0o700)
    (runtime_dir / "default").chmod(0o755)
    with pytest.raises(gromos.FileAccessError, match="chmod 0700"):
        gromos.Session()
    (runtime_dir / "default").chmod(0o700)
    runtime_dir.chmod(0o777)
    with pytest.raises(gromos.FileAccessError, match="chmod 0700"):
        gromos.Session()
    runtime_dir.chmod(0o700)


def test_of_another_user(runtime_dir, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(gromos.FileAccessError, match="belongs to user"):
        gromos.Session()


def test_a_path_too_long_for_a_socket(monkeypatch, tmp_path):
    monkeypatch.setenv("GROMOSD_RUNTIME_DIR", str(tmp_path / ("x" * 120)))
    with pytest.raises(gromos.NoDaemonError, match="at most 107.*GROMOSD_RUNTIME_DIR"):
        gromos.Session()
    with pytest.raises(gromos.NoDaemonError, match="107"):
        gromos.connect(f"ipc:///tmp/{'x' * 120}/zmq", default=False)


def test_where_it_lives(monkeypatch):
    monkeypatch.setenv("GROMOSD_RUNTIME_DIR", "/a")
    assert _private.instance_directory() == Path("/a/default")
    monkeypatch.delenv("GROMOSD_RUNTIME_DIR")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/5")
    assert _private.instance_directory("other") == Path("/run/user/5/gromosd/other")
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert _private.instance_directory() == Path(f"/tmp/gromosd-{os.getuid()}/default")


def test_too_few_descriptors(runtime_dir, monkeypatch):
    used = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (used + 5, 4096))
    with pytest.raises(gromos.NoDaemonError, match="ulimit -n"):
        gromos.Session()


def limited_daemon(tmp_path, descriptors):
    """A program that runs the daemon with so many descriptors, which it cannot raise."""
    program = tmp_path / "gromosd"
    program.write_text(f'#!/bin/sh\nulimit -n {descriptors}\nexec {BINARY} "$@"\n')
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("keep", [(), ("--keep",)])
def test_a_daemon_with_too_few_descriptors_says_so(make_daemon, tmp_path, keep):
    with pytest.raises(RuntimeError, match="may open 64 descriptors.*at least 256.*ulimit -n"):
        make_daemon(*keep, binary=limited_daemon(tmp_path, 64))


@pytest.mark.parametrize("keep", [(), ("--keep",)])
def test_a_daemon_that_runs_out_of_descriptors_goes_on(make_daemon, tmp_path, keep):
    """Without the check in server/core/segment.c libzmq ends the daemon here."""
    daemon = make_daemon(*keep, binary=limited_daemon(tmp_path, 300))
    with daemon.connect() as s:
        pid = s.info().pid
        states = []
        with pytest.raises(gromos.OutOfMemoryError, match="descriptors open.*ulimit -n"):
            for i in range(100):
                states.append(gromos.State(10, name=f"state-{i}", session=s))
                states[-1].set_positions([[0, 0, i]] * 10)
        assert len(states) > 5
        for _ in range(40):
            with pytest.raises(gromos.OutOfMemoryError, match="descriptors open"):
                daemon.connect()
        s.ping()
        for state in states:
            state.delete()
            state.close()
        with daemon.connect() as other, gromos.State(10, session=other) as state:
            state.set_positions([[1, 2, 3]] * 10)
        assert s.info().pid == pid


def test_something_else_in_the_place_of_the_door(runtime_dir):
    (runtime_dir / "default").mkdir(mode=0o700)
    (runtime_dir / "default" / "door").write_text("")
    with pytest.raises(gromos.NoDaemonError, match="default/door is no socket.*remove it"):
        gromos.Session()


# --- a daemon of another version -----------------------------------------------------------------------------------


def test_an_older_daemon(own_daemon, monkeypatch):
    from gromos import _errors

    def refuse(path, version):
        raise _errors.ProtocolMismatchError("the client speaks protocol 1, this daemon (version 0.0.1) 0")

    monkeypatch.setattr(_session._ext, "Door", refuse)
    with pytest.raises(gromos.ProtocolMismatchError) as caught:
        own_daemon.connect()
    text = str(caught.value)
    assert "0.0.1" in text
    assert gromos.__version__ in text
    assert f"kill {own_daemon.pid}" in text


def test_another_protocol_over_the_wire(own_daemon, monkeypatch):
    from gromos import _protocol

    monkeypatch.setattr(_protocol, "PROTOCOL_VERSION", 99)
    with pytest.raises(gromos.ProtocolMismatchError, match="99.*1"):
        own_daemon.connect_tcp()


def test_a_second_daemon_on_the_same_instance_refuses(own_daemon):
    done = subprocess.run([str(BINARY), "--directory", str(own_daemon.directory)], capture_output=True, text=True, timeout=200)
    assert done.returncode != 0
    assert str(own_daemon.pid) in done.stderr
    with own_daemon.connect() as s:
        s.ping()

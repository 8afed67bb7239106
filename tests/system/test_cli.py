"""The command `gromos`."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import gromos
import numpy as np
import pytest
from gromos import cli

from conftest import wait_until


@pytest.fixture
def run(daemon, capsys, monkeypatch):
    monkeypatch.setenv("GROMOSD_ENDPOINT", daemon.endpoint)

    def run(*arguments, status=0):
        assert cli.main(list(arguments)) == status
        return capsys.readouterr()

    return run


@pytest.fixture
def state(session):
    with gromos.State(123, name="for the table", session=session) as s:
        s.set_positions(np.zeros((123, 3)))
        yield s
        s.delete()


def test_ping(run):
    assert "3 answers, median" in run("ping", "-c", "3").out


def test_ls_shows_the_states(run, state):
    line = next(line for line in run("ls").out.splitlines() if "for the table" in line)
    assert "123" in line
    assert "float32" in line


def test_names_are_shown_as_they_are(run, session):
    """Also those that would be marks of the library that draws the tables."""
    for name in ("a[red]b[/red]", "x[/b]", ":smile:"):
        with gromos.State(3, name=name, session=session) as s:
            assert name in run("ls").out and name in run("top", "-n", "1").out
            s.delete()


@pytest.mark.parametrize("arguments", [("ping", "-c", "0"), ("top", "-i", "-1"), ("top", "-i", "nan"), ("top", "-n", "-3"), ("events", "-n", "x")])
def test_numbers_that_cannot_be(run, arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2 and f"{arguments[2]!r} is no" in capsys.readouterr().err


def test_info_of_the_daemon_and_of_a_state(run, state):
    assert "kernels" in run("info").out
    assert "lease_limit" in run("info").out
    out = run("info", "for the table").out
    assert str(state.uuid) in out
    assert "num_atoms" in out
    assert "no State" in run("info", "nobody", status=1).err


def test_top_shows_states_and_sessions(run, state, session):
    out = run("top", "-n", "2", "-i", "0.01").out
    assert out.count("for the table") == 2
    assert "frames published" in out
    assert "tests" in out  # the session's own name


def test_jobs_and_their_logs(run, session):
    data = Path(gromos.__file__).parent / "data"
    params = gromos.InputParameters.from_file(data / "alanine.imd", session=session)
    system = gromos.System.from_files(data / "alanine.top", data / "alanine.cnf", params, name="for the jobs", session=session)
    job = gromos.Simulation(system, params).run(10**7)
    number = str(job.number)
    wait_until(lambda: "begins at step" in run("log", number).out, what="the first lines")
    run("pause", number)
    wait_until(lambda: job.status == "paused", what="the pause")
    line = next(line for line in run("jobs").out.splitlines() if "for the jobs" in line)
    assert number in line and "paused" in line and "10000000" in line
    run("resume", number)
    run("cancel", number)
    out = run("log", "--follow", number).out
    assert "paused after" in out and out.splitlines()[-1].endswith("of 10000000 steps") and "warning: cancelled" in out
    assert "no job" in run("log", "999999", status=1).err
    system.state.delete()


def test_evict(run, daemon):
    victim = daemon.connect_tcp(name="victim")
    assert "ended" in run("evict", str(victim.number)).out
    assert "gromos:" in run("evict", "999999", status=1).err
    victim.close()


def test_rm(run, session):
    gromos.State(3, name="to go", session=session)
    run("rm", "to go")
    assert "no State" in run("rm", "to go", status=1).err


def test_looking_starts_no_daemon(capsys, monkeypatch, runtime_dir):
    assert cli.main(["ls"]) == 1
    assert "no daemon runs" in capsys.readouterr().err
    assert not (runtime_dir / "default").exists()


def test_shutdown(own_daemon, capsys):
    with own_daemon.connect() as s:
        gromos.State(3, name="in the way", session=s)
    assert cli.main(["--endpoint", own_daemon.endpoint, "shutdown"]) == 1
    assert "force" in capsys.readouterr().err
    assert cli.main(["--endpoint", own_daemon.endpoint, "shutdown", "--force"]) == 0
    assert own_daemon.process.wait(60) == 0


def test_keygen(run, tmp_path):
    path = tmp_path / "key"
    public = run("keygen", str(path)).out.strip()
    assert len(public) == 40
    assert public in path.read_text()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "cannot be made" in run("keygen", str(path), status=1).err


def test_usage(capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert gromos.__version__ in capsys.readouterr().out


def test_python_m_gromos(daemon):
    done = subprocess.run(
        [sys.executable, "-m", "gromos", "--endpoint", daemon.endpoint, "ping", "-c", "1"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout

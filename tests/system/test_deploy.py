"""What deploy/ says is true of the program: the example configuration, the systemd units, the container file."""

from __future__ import annotations

import json
import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import gromos
from conftest import BINARY, ROOT, Daemon, free_port

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


def options_of_the_program() -> set[str]:
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"--([a-z][a-z-]+)", text))


def test_example_configuration_follows_from_the_table_of_settings() -> None:
    done = subprocess.run([sys.executable, DEPLOY / "make_config.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_example_configuration_is_read_and_shows_the_defaults(tmp_path: Path, make_daemon: Callable[..., Daemon]) -> None:
    """With the # taken away from every line the daemon has the settings it has without a file."""
    text = (DEPLOY / "gromosd.conf").read_text()
    active, count = re.subn(r"^#(\w+ =)", r"\1", text, flags=re.MULTILINE)
    assert count == (ROOT / "server/service/settings.def").read_text().count("\nGD_SETTING(")
    (tmp_path / "all.conf").write_text(active)
    (tmp_path / "none.conf").write_text(text)
    found = []
    for name in ("all.conf", "none.conf"):
        with make_daemon("--config", str(tmp_path / name)).connect() as session:
            found.append({k: v for k, v in session.info().parameters.items() if k != "directory"})
    assert found[0] == found[1]
    assert set(re.findall(r"^#?(\w+) =", text, re.MULTILINE)) == {*found[0], "directory"}


def test_a_wrong_setting_ends_with_the_status_the_units_know(tmp_path: Path) -> None:
    (tmp_path / "wrong.conf").write_text("[gromosd]\nthreads = many\n")
    done = subprocess.run([BINARY, "--config", tmp_path / "wrong.conf"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "threads" in done.stderr and "many" in done.stderr
    for unit in UNITS:
        assert "RestartPreventExitStatus=2" in unit.read_text()


def exec_start(unit: Path) -> list[str]:
    return shlex.split(re.findall(r"^ExecStart=(.*)$", unit.read_text(), re.MULTILINE)[0])


def test_there_are_a_user_unit_and_a_system_unit() -> None:
    assert [u.name for u in UNITS] == ["gromosd-user.service", "gromosd.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_unit_starts_a_daemon_that_tells_systemd(unit: Path, tmp_path: Path, runtime_dir: Path) -> None:
    """The command line of the unit, with the folders of this test: READY=1 comes, and a named State's memory is handed over."""
    text = unit.read_text()
    assert "Type=notify" in text and int(re.findall(r"FileDescriptorStoreMax=(\d+)", text)[0]) >= 1024
    program, *arguments = exec_start(unit)
    assert program == "/usr/local/bin/gromosd"
    places = {"/etc/gromosd": DEPLOY, "/run/gromosd": runtime_dir / "default", "/var/lib/gromosd": tmp_path}
    for known, here in places.items():
        arguments = [a.replace(known, str(here)) for a in arguments]
    arguments = [a.replace("0.0.0.0:5870", f"127.0.0.1:{free_port()}") for a in arguments]

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as holder:
        holder.bind(str(runtime_dir / "notify"))
        holder.settimeout(60)
        process = subprocess.Popen(
            [BINARY, *arguments],
            env={**os.environ, "NOTIFY_SOCKET": str(runtime_dir / "notify"), "GROMOSD_RUNTIME_DIR": str(runtime_dir)},
            stderr=subprocess.DEVNULL,
        )
        try:
            word = ""
            while word != "READY=1":
                word, descriptors = receive(holder)
            with gromos.connect(f"ipc://{runtime_dir}/default/zmq", default=False) as session:
                state = gromos.State(100, name="kept", session=session)
                while not re.search(r"^FDNAME=1\.l", word, re.MULTILINE):  # the first State's live arrays
                    word, descriptors = receive(holder)
                assert word.startswith("FDSTORE=1\n") and descriptors == 1
                state.delete()
        finally:
            process.terminate()
            assert process.wait(60) == 0


def receive(holder: socket.socket) -> tuple[str, int]:
    """A line of the sd_notify protocol and how many descriptors came with it."""
    data, descriptors, _, _ = socket.recv_fds(holder, 4096, 16)
    for descriptor in descriptors:
        os.close(descriptor)
    return data.decode(), len(descriptors)


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_unit_files_named_in_comments_exist(unit: Path) -> None:
    for name in re.findall(r"deploy/[\w./-]+", unit.read_text()):
        assert (ROOT / name.rstrip(".")).exists(), name


def test_options_in_deploy_are_those_of_the_program() -> None:
    known = options_of_the_program()
    assert len(known) > 20
    entrypoint = re.findall(r"^ENTRYPOINT (.*)$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)[0]
    for words in (*(exec_start(u) for u in UNITS), json.loads(entrypoint)):
        assert {w[2:] for w in words if w.startswith("--")} <= known


def test_container_file_copies_what_exists() -> None:
    copied = re.findall(r"^COPY (\S+) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    assert len(copied) == 5
    assert [c for c in copied if not (ROOT / c).exists()] == []


@pytest.mark.skipif('VERSION_ID="12"' not in Path("/etc/os-release").read_text(), reason="the container is Debian 12")
def test_container_file_installs_the_libraries_of_the_program() -> None:
    linked = subprocess.run(["objdump", "-p", BINARY], capture_output=True, text=True, check=True).stdout
    names = re.findall(r"NEEDED +(\S+)", linked)
    assert len(names) > 5
    owners = subprocess.run(["dpkg", "-S", *(f"*-linux-gnu/{name}" for name in names)], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"^([^:]+):", owners, re.MULTILINE)) - {"libc6"}
    installed = re.findall(r"--no-install-recommends (.*) \\$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)[0].split()
    assert needed <= set(installed)

"""The units of deploy/ under systemd itself: States, frames and sessions over the death and the restart of the daemon.

Each test installs a copy of a unit, with names and folders of its own, until it has ended: with the system's manager as root, else with the
manager of the user.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import gromos
import numpy as np
import pytest
import zmq
from conftest import BINARY, ROOT, free_port, wait_until

IS_ROOT = os.geteuid() == 0
SYSTEMCTL = ["systemctl"] if IS_ROOT else ["systemctl", "--user"]
PLACE = Path("/run/systemd/system") if IS_ROOT else Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "systemd/user"


def systemctl(*words: str) -> str:
    return subprocess.run([*SYSTEMCTL, *words], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def usable() -> bool:
    try:
        done = subprocess.run([*SYSTEMCTL, "is-system-running"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.strip() in ("running", "degraded", "starting")


pytestmark = pytest.mark.skipif(not usable(), reason="no systemd runs here (as root the system's, else the user's)")


class Unit:
    """A copy of deploy/systemd/`file`, changed by pairs of a regular expression and what replaces it."""

    def __init__(self, file: str, *changes: tuple[str, str]) -> None:
        self.name = f"gromosd-test-{os.getpid()}"
        text = (ROOT / "deploy/systemd" / file).read_text()
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            assert count > 0, pattern
        self.file = PLACE / f"{self.name}.service"
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.file.write_text(text)
        systemctl("daemon-reload")
        try:
            systemctl("start", self.name)
        except subprocess.CalledProcessError:
            self.remove()
            raise

    def about(self, what: str) -> str:
        return systemctl("show", "--property", what, "--value", self.name)

    def kill(self) -> None:
        before = self.about("MainPID")
        systemctl("kill", "--signal=KILL", self.name)
        wait_until(lambda: self.about("MainPID") not in ("0", before) and self.about("ActiveState") == "active", 20, "a new daemon")

    def remove(self) -> None:
        systemctl("stop", self.name)
        result, left = self.about("Result"), self.about("NFileDescriptorStore")
        self.file.unlink()
        systemctl("daemon-reload")
        assert (result, left) == ("success", "0")


@pytest.fixture
def user_unit(runtime_dir: Path) -> Iterator[Unit]:
    unit = Unit("gromosd-user.service", ("^ExecStart=.*", f"ExecStart={BINARY} --directory {runtime_dir}/default"))
    yield unit
    unit.remove()


def test_a_session_goes_on_after_the_death_of_the_daemon(user_unit: Unit, runtime_dir: Path) -> None:
    with gromos.connect(f"ipc://{runtime_dir}/default/zmq", default=False) as session:
        state = session.create(100, name="kept")
        expected = np.random.default_rng(1).normal(size=(100, 3)).astype(np.float32)
        for what in (user_unit.kill, user_unit.kill, lambda: systemctl("restart", user_unit.name)):
            expected += 1
            with state.edit() as edit:
                edit.positions()[:] = expected
            version = state.version
            assert session.info().protected
            what()
            assert session.ping() > 0
            for same in (state, session.attach("kept")):
                assert (same.positions() == expected).all() and same.version == version
                with same.snapshot() as frame:
                    assert (frame.positions() == expected).all() and frame.version == version
        state.delete()


@pytest.fixture
def system_unit(tmp_path: Path) -> Iterator[tuple[Unit, str, Path]]:
    """It sees neither home folders nor /tmp: the program and its settings appear in /usr/local/bin."""
    name, address = f"gromosd-test-{os.getpid()}", f"tcp://127.0.0.1:{free_port()}"
    key = tmp_path / "client.key"
    public, secret = (half.decode() for half in zmq.curve_keypair())
    key.write_text(secret + "\n")
    keys = tmp_path / "authorized_keys"
    keys.write_text(f"{public} writer test\n")
    keys.chmod(0o644)
    binds = f"TemporaryFileSystem=/usr/local/bin\nBindReadOnlyPaths={BINARY}:/usr/local/bin/gromosd {keys}:/usr/local/bin/authorized_keys " \
            f"{ROOT}/deploy/gromosd.conf:/usr/local/bin/gromosd.conf"
    unit = Unit(
        "gromosd.service",
        ("^User=gromosd$", "User=nobody"),
        ("^Group=gromosd$", "Group=nogroup"),
        ("^(RuntimeDirectory|StateDirectory)=gromosd$", rf"\1={name}"),
        ("^Type=notify$", f"Type=notify\n{binds}"),
        ("/etc/gromosd/", "/usr/local/bin/"),
        ("/var/lib/gromosd/authorized_keys$", "/usr/local/bin/authorized_keys"),
        ("/(run|var/lib)/gromosd", rf"/\1/{name}"),
        ("tcp://0.0.0.0:5870", address),
    )
    yield unit, address, key
    systemctl("stop", name)
    systemctl("clean", "--what=all", name)
    unit.remove()


@pytest.mark.skipif(not IS_ROOT, reason="the unit for the machine is started by root")
def test_the_sandboxed_unit_serves_over_tcp_and_survives(system_unit: tuple[Unit, str, Path]) -> None:
    unit, address, key = system_unit
    server_key = Path(f"/var/lib/{unit.name}/server.key.public").read_text().strip()
    with gromos.connect(address, server_key=server_key, client_key=key, default=False) as session:
        state = session.create(100, name="kept")
        state.set_positions(np.ones((100, 3)))
        radius, version = state.radius_of_gyration(), state.version
        unit.kill()
        assert session.attach("kept").version == version
        assert (state.positions() == 1).all() and state.radius_of_gyration() == radius
        state.set_positions(np.zeros((100, 3)))
        assert state.version == version + 1
        state.delete()

"""What the system tests share: real daemons in folders of their own, sessions to them, and nothing of the user's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from ports import free_port  # noqa: E402, F401  tests take it from here


def _binary() -> Path:
    chosen = os.environ.get("GROMOSD_BINARY")
    path = Path(chosen) if chosen else ROOT / "build" / "gromosd"
    if not os.access(path, os.X_OK):
        pytest.exit(f"{path} does not exist: build the daemon first (make)", 1)
    return path.resolve()


BINARY = _binary()
os.environ["GROMOSD_BINARY"] = str(BINARY)
for name in ("GROMOSD_ENDPOINT", "GROMOSD_SERVER_KEY", "GROMOSD_CLIENT_KEY"):
    os.environ.pop(name, None)

# Private daemons of the tests live here; set before anything can start one.
_runtime = tempfile.mkdtemp(prefix="gd-")
os.environ["GROMOSD_RUNTIME_DIR"] = _runtime

import gromos  # noqa: E402

# Whoever starts the tests in the background has Ctrl-C ignored, and children inherit that; some tests press it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

gromos.progress(False)


def wait_until(condition: Callable[[], bool], timeout: float = 60.0, what: str = "the condition") -> None:
    """Fails when the condition does not come true in time. The time is there to end a test that hangs: a slow machine is no failure."""
    deadline = time.monotonic() + timeout
    while True:
        late = time.monotonic() > deadline  # before the last look, however long that one takes
        if condition():
            return
        if late:
            pytest.fail(f"{what} did not come true within {timeout} s")
        time.sleep(0.01)


def bring_to_a_stop(pid: int) -> None:
    """SIGSTOP, and until every thread stands still: one that has not yet come so far would take what is sent now."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    wait_until(lambda: all(task.read_text().rpartition(")")[2].split()[0] == "T" for task in tasks.glob("*/stat")), what="the standstill")


class Daemon:
    """A daemon in a folder of its own. `options` are its command line."""

    def __init__(self, *options: str, tcp: bool = False, directory: Path | None = None, binary: Path = BINARY) -> None:
        self.binary = binary
        self.directory = directory if directory is not None else Path(tempfile.mkdtemp(prefix="gd-"))
        self.endpoint = f"ipc://{self.directory}/zmq"
        self.options = list(options)
        self.tcp = ""
        if tcp:
            self.tcp = f"tcp://127.0.0.1:{free_port()}"
            self.options += ["--listen", self.tcp, "--plain-loopback"]
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        reader, writer = os.pipe()
        with open(self.directory / "stderr", "ab") as log:
            self.process = subprocess.Popen(
                [str(self.binary), "--directory", str(self.directory), "--ready-fd", str(writer), *self.options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(writer,),
            )
        os.close(writer)
        with os.fdopen(reader) as pipe:
            answer = pipe.readline().strip()
        if answer != "ready":
            self.process.wait(60)
            raise RuntimeError(f"the daemon did not start: {answer}\n{self.log()}")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return "".join(p.read_text(errors="replace") for p in (self.directory / "stderr", self.directory / "log") if p.exists())

    def connect(self, **options: object) -> gromos.Session:
        return gromos.connect(self.endpoint, default=False, **options)  # type: ignore[arg-type]

    def connect_tcp(self, **options: object) -> gromos.Session:
        return gromos.connect(self.tcp, default=False, **options)  # type: ignore[arg-type]

    def stop(self) -> int:
        """A clean stop; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(60)

    def resident(self) -> int:
        """Bytes of memory the daemon has resident, its shared segments not counted."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
        return 0

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def remove(self) -> None:
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.kill()  # nothing of a failed test is to be at work beside the next ones
            shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def daemon() -> Iterator[Daemon]:
    """One for all tests that do not harm it; it answers at ipc and at tcp."""
    d = Daemon(tcp=True)
    yield d
    status = d.stop()
    log = d.log()
    d.remove()
    assert status == 0, f"the daemon ended with status {status}\n{log[-4000:]}"


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    """One that the test may kill."""
    d = Daemon(tcp=True)
    yield d
    d.remove()


@pytest.fixture
def make_daemon() -> Iterator[Callable[..., Daemon]]:
    made: list[Daemon] = []

    def make(*options: str, **more: object) -> Daemon:
        made.append(Daemon(*options, **more))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for d in made:
        d.remove()


@pytest.fixture(scope="session")
def session(daemon: Daemon) -> Iterator[gromos.Session]:
    s = daemon.connect(name="tests")
    yield s
    s.close()


@pytest.fixture(scope="session")
def remote(daemon: Daemon) -> Iterator[gromos.Session]:
    s = daemon.connect_tcp(name="tests over tcp")
    yield s
    s.close()


@pytest.fixture(params=["local", "remote"])
def any_session(request: pytest.FixtureRequest) -> gromos.Session:
    """The same test over shared memory and over tcp."""
    found: gromos.Session = request.getfixturevalue("session" if request.param == "local" else "remote")
    return found


@pytest.fixture
def runtime_dir(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A runtime directory of the test's own; private daemons in it are ended."""
    path = Path(tempfile.mkdtemp(prefix="gd-"))
    monkeypatch.setenv("GROMOSD_RUNTIME_DIR", str(path))
    yield path
    _end_private(path)


def _end_private(runtime: Path) -> None:
    from gromos import _private

    for lock in runtime.glob("*/lock"):
        pid = _private.owner_pid(lock.parent)
        if pid is not None:
            try:
                os.kill(pid, signal.SIGTERM)
                wait_until(lambda: _private.owner_pid(lock.parent) is None, what=f"end of the private daemon {pid}")
            except ProcessLookupError:
                pass
    shutil.rmtree(runtime, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    from gromos import _session

    _session._close_all()
    _end_private(Path(_runtime))

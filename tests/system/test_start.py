"""A start that fails: one line says the cause, the same to whoever waits for it, and the exit status is the documented one."""

import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from conftest import BINARY

BAD_SETTING, FAILED = 2, 1


def start(*options: object, **environment: str) -> tuple[int, list[str], str]:
    """Exit status, lines of the log, and the line for the starter."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as pipe:
        process = subprocess.Popen(
            [str(BINARY), "--ready-fd", str(writer), *map(str, options)],
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(writer,),
            env={**os.environ, **environment},
        )
        os.close(writer)
        try:
            _, errors = process.communicate(timeout=200)
        finally:
            process.kill()
        return process.returncode, errors.splitlines(), pipe.read()


def config(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def opened(path: Path, mode: int) -> Path:
    path.mkdir()
    path.chmod(mode)
    return path


CASES = {
    "taken": (FAILED, "another gromosd|runs already", lambda d, taken: ["--directory", taken]),
    "folder": (FAILED, "/proc/nowhere", lambda d, taken: ["--directory", "/proc/nowhere"]),
    "port": (FAILED, "in use", lambda d, taken: ["--directory", d, "--log-level", "warn", "--listen", f"tcp://127.0.0.1:{taken}"]),
    "not tcp": (BAD_SETTING, "listen = 'udp://127.0.0.1:1'", lambda d, taken: ["--directory", d, "--listen", "udp://127.0.0.1:1"]),
    "no port": (BAD_SETTING, "port must be a number from 0", lambda d, taken: ["--directory", d, "--listen", "tcp://127.0.0.1:99999"]),
    "word for port": (BAD_SETTING, "port must be a number from 0", lambda d, taken: ["--directory", d, "--listen", "tcp://127.0.0.1:x"]),
    "open folder": (FAILED, "has mode 0755, others may enter it", lambda d, taken: ["--directory", opened(d / "open", 0o755)]),
    "open runtime": (FAILED, "has mode 1777, others may write to it", lambda d, taken: ["--runtime-dir", opened(d / "open", 0o1777)]),
    "size": (BAD_SETTING, "max_bytes = '2X' is not a whole number .* bytes, such as", lambda d, taken: ["--directory", d, "--max-bytes", "2X"]),
    "no section": (
        BAD_SETTING,
        "line 1: 'threads' stands before any section; put \\[gromosd\\] above it",
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "threads = 1\n")],
    ),
    "plain": (BAD_SETTING, "plain_loopback", lambda d, taken: ["--directory", d, "--plain-loopback", "--listen", "tcp://0.0.0.0:1"]),
    "cpu": (BAD_SETTING, "never", lambda d, taken: ["--directory", d, "--cpu", "never"]),
    "level": (BAD_SETTING, "log_level = 'loud'", lambda d, taken: ["--directory", d, "--log-level", "loud"]),
    "log": (FAILED, "/proc/nowhere/log", lambda d, taken: ["--directory", d, "--log-file", "/proc/nowhere/log"]),
    "level in a file": (
        BAD_SETTING,
        "/a.conf, line 3: log_level = 'loud' is none of error, warn, info, debug",
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "[gromosd]\nthreads = 1\nlog_level = loud\n")],
    ),
    "cpu in a file": (
        BAD_SETTING,
        '/a.conf, line 2: cpu is "never"',
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "[gromosd]\ncpu = never\n")],
    ),
    "log in a file": (
        FAILED,
        "/a.conf, line 2: cannot open the log /proc/nowhere/log: No such file",
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "[gromosd]\nlog_file = /proc/nowhere/log\n")],
    ),
    "port in a file": (
        FAILED,
        "/a.conf, line 3: .*in use",
        lambda d, taken: ["--directory", d, "--config",
                          config(d / "a.conf", f"[gromosd]\nlog_level = warn\nlisten = tcp://127.0.0.1:{taken}\n")],
    ),  # fmt: skip
    "checkpoints": (
        FAILED,
        "command line: checkpoint_dir /proc/nowhere cannot be made: No such file or directory",
        lambda d, taken: ["--directory", d, "--checkpoint-dir", "/proc/nowhere"],
    ),
    "checkpoints in a file": (
        FAILED,
        "/a.conf, line 2: checkpoint_dir /proc/version cannot be written to: Not a directory",
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "[gromosd]\ncheckpoint_dir = /proc/version\n")],
    ),
    "checkpoints nobody may write": (
        FAILED,
        "checkpoint_dir /proc/self/fd cannot be written to: ",
        lambda d, taken: ["--directory", d, "--checkpoint-dir", "/proc/self/fd"],
    ),
    "value": (BAD_SETTING, "threads", lambda d, taken: ["--directory", d, "--threads", "-3"]),
    "no file": (FAILED, "nowhere.conf", lambda d, taken: ["--directory", d, "--config", d / "nowhere.conf"]),
    "twice": (
        BAD_SETTING,
        "'threads' is given twice, in line 2 and in line 4",
        lambda d, taken: ["--directory", d, "--config", config(d / "a.conf", "[gromosd]\nthreads = 1\nlog_level = info\nthreads = 1\n")],
    ),
}
@pytest.mark.parametrize("keep", [False, True], ids=["alone", "kept"])
@pytest.mark.parametrize("case", CASES)
def test_a_failed_start_tells_its_cause_once(case, keep, make_daemon, tmp_path):
    status, cause, options = CASES[case]
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        taken = make_daemon().directory if case == "taken" else listener.getsockname()[1]
        code, lines, answer = start(*options(tmp_path, taken), *(["--keep"] if keep else []))
    assert code == status, lines
    assert len(lines) == 1 and re.search(cause, lines[0]), lines
    assert answer.startswith("error: ") and answer.count("\n") == 1
    assert lines[0].endswith(answer.removeprefix("error: ").strip()), (answer, lines)


def test_a_folder_of_others_is_left_as_it_is(tmp_path):
    """It may be one that is everybody's, named by mistake."""
    folder = opened(tmp_path / "open", 0o1777)
    assert start("--runtime-dir", folder)[0] == FAILED
    assert folder.stat().st_mode & 0o7777 == 0o1777 and not list(folder.iterdir())


def test_sizes_have_units(make_daemon):
    with make_daemon("--max-bytes", "3G", "--state-bytes=512K").connect() as session:
        settings = session.info().parameters
        assert int(settings["max_bytes"]) == 3 * 2**30 and int(settings["state_bytes"]) == 512 * 2**10


def test_a_relative_folder_is_named_in_full(tmp_path):
    with subprocess.Popen([BINARY, "--runtime-dir", "here"], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert f"ipc://{tmp_path}/here/default/zmq" in process.stderr.readline()
        finally:
            process.terminate()


def test_a_stop_that_was_asked_for_ends_with_0_and_says_so(make_daemon):
    daemon = make_daemon()
    assert daemon.stop() == 0
    assert daemon.log().rstrip().endswith("stopped")


def test_the_statuses_are_documented():
    text = " ".join(subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout.split())
    assert "exit status is 0 after a stop that was asked for, 2 when a setting or the command line is wrong and no States wait for it, 1 when" in text

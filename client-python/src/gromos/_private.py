"""The private daemon: found if it runs, started if it does not.

One per user and instance. It is detached (a session of its own, standard streams closed, working directory /), so nothing hangs
on it; the next process finds it by its runtime directory; named States survive a crash of it (--keep); it ends by itself when
idle. Processes that start at once queue at a lock file, so that one of them starts it and the others find it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import select
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ._errors import FileAccessError, NoDaemonError

MAX_SOCKET_PATH: Final = 107
"""Bytes that fit into sockaddr_un."""
DESCRIPTORS_NEEDED: Final = 32
START_TIMEOUT: Final = 20.0


def base_directory() -> Path:
    """Where instances of this user live: $GROMOSD_RUNTIME_DIR, $XDG_RUNTIME_DIR/gromosd or /tmp/gromosd-<uid>."""
    if chosen := os.environ.get("GROMOSD_RUNTIME_DIR"):
        return Path(chosen).absolute()
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime).absolute() / "gromosd"
    return Path(f"/tmp/gromosd-{os.getuid()}")


def instance_directory(instance: str = "default") -> Path:
    return base_directory() / instance


def check_socket_path(directory: Path) -> None:
    """NoDaemonError if the sockets in this directory would have names that no socket address holds."""
    length = len(os.fsencode(directory / "door"))
    if length > MAX_SOCKET_PATH:
        raise NoDaemonError(
            f"the path {directory}/door has {length} bytes, a socket's name has at most {MAX_SOCKET_PATH}: "
            "set GROMOSD_RUNTIME_DIR to a shorter directory"
        )


def check_directory(directory: Path, closed: bool = True) -> None:
    """FileAccessError unless this is a real directory of this user's own that nobody else can enter (or, not `closed`, write)."""
    about = os.lstat(directory)
    if stat.S_ISLNK(about.st_mode):
        raise FileAccessError(f"{directory} is a symbolic link; a runtime directory must be a directory itself: remove the link")
    if not stat.S_ISDIR(about.st_mode):
        raise FileAccessError(f"{directory} is not a directory: remove it or set GROMOSD_RUNTIME_DIR")
    if about.st_uid != os.geteuid():
        raise FileAccessError(
            f"{directory} belongs to user {about.st_uid}, not to {os.geteuid()}: set GROMOSD_RUNTIME_DIR to a directory of your own"
        )
    if about.st_mode & (0o077 if closed else 0o022):
        raise FileAccessError(
            f"{directory} has mode {stat.S_IMODE(about.st_mode):04o}, others may {'enter' if closed else 'write'}: "
            f"run chmod 0700 {directory}"
        )


def prepare_directory(directory: Path) -> None:
    """Make the instance's directory and the one above it where they are missing; check both."""
    check_socket_path(directory)
    for path in (directory.parent, directory):
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError as error:
            raise FileAccessError(
                f"the runtime directory {path} cannot be made: {error.strerror}; set GROMOSD_RUNTIME_DIR to a directory you can write"
            ) from None
        check_directory(path, closed=path is directory)


def check_descriptors() -> None:
    """NoDaemonError if the process is about to run out of descriptors (libzmq would end it without a word)."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return
    try:
        used = len(os.listdir("/proc/self/fd")) - 1
    except OSError as error:
        raise NoDaemonError(f"this process cannot open another file: {error.strerror}; raise the limit with ulimit -n") from None
    if used + DESCRIPTORS_NEEDED > soft:
        raise NoDaemonError(
            f"this process has {used} of {soft} descriptors open and a session needs up to {DESCRIPTORS_NEEDED} more: "
            "raise the limit with ulimit -n, or close files"
        )


def find_binary() -> Path:
    """The daemon's program: $GROMOSD_BINARY, beside the package, in the source tree's build/, on PATH."""
    if chosen := os.environ.get("GROMOSD_BINARY"):
        if os.access(chosen, os.X_OK) and not os.path.isdir(chosen):
            return Path(chosen).absolute()
        raise NoDaemonError(f"GROMOSD_BINARY is {chosen}, which is no program that can be run")
    here = Path(__file__).resolve().parent
    candidates = [here / "bin" / "gromosd"]
    if len(here.parents) > 2:
        candidates.append(here.parents[2] / "build" / "gromosd")
    for candidate in candidates:
        if os.access(candidate, os.X_OK):
            return candidate
    if found := shutil.which("gromosd"):
        return Path(found).absolute()
    tried = ", ".join(str(c) for c in candidates)
    raise NoDaemonError(f"the program gromosd is neither at {tried} nor on PATH: build it with `make`, or set GROMOSD_BINARY")


@contextlib.contextmanager
def start_lock(directory: Path, timeout: float = START_TIMEOUT) -> Iterator[None]:
    """One process at a time may start a daemon in this directory."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(directory / "start-lock", flags, 0o600)
    except OSError as error:
        raise FileAccessError(f"{directory}/start-lock cannot be opened: {error.strerror}") from None
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NoDaemonError(
                        f"another process has been starting a daemon in {directory} for {timeout:g} s; see {directory}/log"
                    ) from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def owner_pid(directory: Path) -> int | None:
    """The process that holds the instance: None if nobody has its lock (a pid in a file may be anybody's by now)."""
    try:
        descriptor = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        about = os.fstat(descriptor)
        text = os.read(descriptor, 32)
    finally:
        os.close(descriptor)
    try:
        pid = int(text.split()[0])
    except (ValueError, IndexError):
        return None
    return pid if _is_locked(about, pid) else None


def _is_locked(about: os.stat_result, pid: int) -> bool:
    """Whether somebody, presumably `pid`, has a file locked with flock; found out without touching the lock.

    The file is known by device and inode; where the kernel names others there (overlay file systems) the pid has to do.
    """
    name = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}:{about.st_ino}"
    try:
        locks = Path("/proc/locks").read_text()
    except OSError:
        return True
    # 1: FLOCK  ADVISORY  WRITE 708 00:13:1234 0 EOF
    return any("FLOCK" in line and (name in line.split() or str(pid) in line.split()[4:5]) for line in locks.splitlines())


def start(directory: Path, timeout: float = START_TIMEOUT) -> None:
    """Start a private daemon and wait until it serves.

    Raises
    ------
    NoDaemonError
        With the daemon's own words, or the end of its log.
    """
    binary = find_binary()
    reader, writer = os.pipe()
    try:
        try:
            # The shell ends at once: the daemon is nobody's child here, so no zombie stays when it ends.
            subprocess.run(
                [
                    "/bin/sh",
                    "-c",
                    '"$@" & ',
                    "sh",
                    str(binary),
                    "--private",
                    "--directory",
                    str(directory),
                    "--ready-fd",
                    str(writer),
                    "--log-file",
                    str(directory / "log"),
                    "--keep",
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(writer,),
                start_new_session=True,
                cwd="/",
                check=True,
                timeout=timeout,
            )
        finally:
            os.close(writer)
        answer = _read_line(reader, timeout)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoDaemonError(f"{binary} cannot be started: {error}") from None
    finally:
        os.close(reader)
    if answer == "ready":
        return
    if answer is None:
        raise NoDaemonError(f"{binary} did not say that it is ready within {timeout:g} s{_log_end(directory)}")
    if answer.startswith("error:"):
        raise NoDaemonError(f"the private daemon did not start: {answer[6:].strip()}")
    raise NoDaemonError(f"{binary} ended before it was ready{_log_end(directory)}")


def _read_line(descriptor: int, timeout: float) -> str | None:
    """The first line from a pipe without its end; what came if the pipe closed before; None when the time ran out."""
    deadline = time.monotonic() + timeout
    text = b""
    while b"\n" not in text:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        if not select.select([descriptor], [], [], left)[0]:
            return None
        piece = os.read(descriptor, 4096)
        if not piece:
            break
        text += piece
    return text.split(b"\n")[0].decode(errors="replace").strip()


def _log_end(directory: Path) -> str:
    path = directory / "log"
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return f"; the end of {path}:\n" + "\n".join(lines[-5:]) if lines else ""

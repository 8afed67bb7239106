"""The tests of hostile input are tested themselves: a daemon with a check taken out, or with a leak put in, must not pass them.

Each daemon here is the real one with one source file compiled anew, a line of it changed.
"""

import re
import shlex
import subprocess
from pathlib import Path

import gromos
import pytest
from conftest import BINARY, ROOT, Daemon
from test_golden import MESSAGES, ask
from test_hostile import LIMITS, run_mutated_messages

BUILD = BINARY.parent


def shell(command):
    done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return done.stdout


def libraries():
    """As the Makefile links: what the machine has stands in config.mk."""
    found = dict(re.findall(r"^(\w+)\s*:?=\s*(.*)$", (BUILD / "config.mk").read_text(), re.M))
    packages = f"libuv libzmq {found.get('MSGPACK', 'msgpack')} inih {found.get('HDF5', '')}"
    return shell(f"pkg-config --libs {packages}").strip() + " -lz -lm -lpthread"


def planted(folder: Path, source: str, before: str, after: str) -> Path:
    text = (ROOT / source).read_text()
    assert text.count(before) == 1, f"{source} has changed: {before!r} stands there {text.count(before)} times"
    changed = folder / Path(source).name
    changed.write_text(text.replace(before, after))
    binary = folder / "gromosd"
    archives = " ".join(shlex.quote(str(BUILD / f"libgd_{layer}.a")) for layer in ("service", "io", "engine", "kernels", "core"))
    shell(f"gcc -std=c17 -O1 -Iserver -I. -D_GNU_SOURCE -fPIC -fvisibility=hidden -c {changed} -o {folder}/planted.o")
    # The changed object comes first, so that the library's own is not taken.
    shell(
        f"gcc -o {binary} {BUILD}/server/main.o {folder}/planted.o -Wl,--start-group {archives} -Wl,--end-group -rdynamic "
        f"-pthread {libraries()}"
    )
    return binary


CHECKS = {
    "depth": ("server/service/codec.c", "if (++depth > max_depth)", "if (++depth > SCAN_DEPTH_LIMIT - 1)", "nested-too-deep"),
    "bytes of an array": ("server/service/dispatch.c", " || bytes != array->bytes)", ")", "shape-too-many-bytes"),
    "finite": ("server/service/dispatch.c", "if (!isfinite(out[i]))", "if (0)", "vector-nan"),
    "number of a part": ("server/service/dispatch.c", "if (part < 1 || part > parts->count)", "if (part < 1)", "part-2-of-1"),
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_missing_check_is_found_by_the_golden_messages(tmp_path, name):
    source, before, after, message = CHECKS[name]
    chosen = next(m for m in MESSAGES if m.name == message)
    d = Daemon(binary=planted(tmp_path, source, before, after))
    try:
        with d.connect() as session:
            try:
                reply = ask(d, session, chosen.parts)
            except Exception:
                return  # it died of it: found as well
            assert reply["ok"] or reply["error"]["code"] != chosen.expected
    finally:
        d.kill()
        d.remove()


def test_a_daemon_of_another_protocol_is_told_apart(tmp_path):
    """No fault, but the same trick: a daemon that was left running from another version."""
    d = Daemon(
        binary=planted(
            tmp_path,
            "server/service/door.c",
            '#include "service/door_internal.h"\n',
            '#include "service/door_internal.h"\n#include "proto/gd_errors.h"\n#undef GD_PROTOCOL_VERSION\n#define GD_PROTOCOL_VERSION 7\n',
        )
    )
    try:
        with pytest.raises(gromos.ProtocolMismatchError) as caught:
            d.connect()
        text = str(caught.value)
        assert "protocol 7" in text or " 7" in text
        assert gromos.__version__ in text
        assert f"kill {d.pid}" in text
    finally:
        d.kill()
        d.remove()


def test_a_leak_is_found_by_the_mutated_messages(tmp_path):
    d = Daemon(
        *LIMITS,
        binary=planted(
            tmp_path,
            "server/service/codec.c",
            "    gd_pack_str(&packer, err->text);\n",
            "    gd_pack_str(&packer, err->text);\n    memset(malloc(1500), 1, 1500);\n",
        ),
    )
    try:
        with pytest.raises(pytest.fail.Exception, match="memory to be given back"):
            run_mutated_messages(d)
    finally:
        d.kill()
        d.remove()

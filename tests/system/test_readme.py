"""Every command of the README, run as it stands there, in its order, as a new user would.

Blocks run in a folder and a home of their own, Python blocks each in an interpreter of its own. What only a reader can know is put
in: the name of the machine, the port, and the two public keys. The run of `gromos md` is cut short.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import gromos
from conftest import BINARY, ROOT, free_port, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"(?:<!-- test: ([^\n]*) -->\n)?```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    remark: str
    language: str
    text: str


BLOCKS = [Block(remark or "", language, text) for remark, language, text in BLOCK.findall(README)]


def targets() -> set[str]:
    """Of the Makefile."""
    found: set[str] = set()
    for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"([\w .-]+):(?!=)", line):
            found.update(match.group(1).split())
    return found


def test_what_it_tells_to_make_can_be_made() -> None:
    named = re.findall(r"^ {4}make (\w+)", README, re.MULTILINE) + re.findall(r"`make (\w+)`", README)
    assert {"demo", "test"} <= set(named)
    assert set(named) <= targets()


def test_the_files_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:proto|server|client-python|tests|deploy)/[\w./-]*)`", README)) | set(re.findall(r"`([A-Z]+\.md)`", README))
    assert len(named) > 8
    assert [n for n in sorted(named) if not (ROOT / n).exists()] == []


def test_blocks_are_of_known_languages() -> None:
    assert {b.language for b in BLOCKS} == {"sh", "python"}
    assert sum(b.language == "python" for b in BLOCKS) >= 3


class Reader:
    """Somebody who follows the README."""

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.public_key = self.server_key = ""
        (folder / "build").mkdir()
        (folder / "build" / "gromosd").symlink_to(BINARY)
        shutil.copytree(ROOT / "client-python/src/gromos/data", data := folder / "client-python/src/gromos/data")
        run = (data / "alanine.imd").read_text()
        assert "\n1000 0 0.002\n" in run
        (data / "alanine.imd").write_text(run.replace("\n1000 0 0.002\n", "\n20 0 0.002\n"))
        self.commands = 0
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "GROMOSD_RUNTIME_DIR": str(runtime),
            "GROMOSD_BINARY": str(BINARY),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }

    def filled_in(self, text: str) -> str:
        text = text.replace("tcp://node:5870", f"tcp://127.0.0.1:{self.port}").replace("0.0.0.0:5870", f"127.0.0.1:{self.port}")
        return text.replace("PUBLIC_KEY", self.public_key).replace("SERVER_KEY\"", self.server_key + '"')

    def shell(self, text: str) -> str:
        # To a file: what is left running in the background would hold a pipe open. To one of its own: that goes on writing there.
        self.commands += 1
        path = self.folder / f"shell-output-{self.commands}"
        with open(path, "w", encoding="utf-8") as log:
            done = subprocess.run(
                ["sh", "-e", "-c", self.filled_in(text)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=200,
            )
        output = path.read_text(encoding="utf-8")
        assert done.returncode == 0, f"{text}\n{output}"
        return output

    def python(self, text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", self.filled_in(text)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        assert done.stderr == ""
        return done.stdout

    def run(self, block: Block) -> str:
        if block.language == "python":
            return self.python(block.text)
        output = self.shell(block.text)
        if block.remark == "prints PUBLIC_KEY":
            self.public_key = output.strip()
            assert len(self.public_key) == 40
        if "--listen" in block.text:
            wait_until(self.listens, what="a daemon that listens")
            self.server_key = (self.folder / ".config/gromosd/server.key.public").read_text().strip()
        return output

    def listens(self) -> bool:
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0


def test_as_written(tmp_path: Path, runtime_dir: Path) -> None:
    reader = Reader(tmp_path, runtime_dir)
    outputs = []
    todo = [b for b in BLOCKS if b.remark != "setup"]
    for block in todo:
        outputs.append(reader.run(block))
        if len(outputs) == 1:
            check_first_session(outputs[0], runtime_dir)
    assert (tmp_path / "energies.tre").read_text().count("ENERGY03") == 2
    assert (tmp_path / "positions.trc").read_text().count("POSITIONRED") == 2
    printed = [output for block, output in zip(todo, outputs, strict=True) if block.language == "python"]
    assert "(3270" not in printed[1] and printed[1].count("\n") == 2  # atom 0, then the frame; nobody wrote meanwhile
    # Remote: 100 points 0.1 nm apart on a line have this radius of gyration; 6 digits are printed at least.
    expected = 0.1 * np.sqrt((100**2 - 1) / 12)
    assert abs(float(printed[-1].split()[0]) - expected) < 1e-6
    reader.shell("gromos shutdown --force")
    assert not reader.listens()


def check_first_session(output: str, runtime: Path) -> None:
    """What the first block left behind: the State under its name, moved by 0.1 nm along x, two commits later."""
    assert "alanine" in output and "3270" in output
    from importlib.resources import files

    lines = (files("gromos") / "data" / "alanine.cnf").read_text().splitlines()
    first = [float(c) for c in lines[lines.index("POSITION") + 1].split()[-3:]]
    with gromos.connect(f"ipc://{runtime}/default/zmq", default=False) as session:
        state = session.attach("alanine")
        # float32 of the file's nine decimals, and one addition in float32.
        assert np.allclose(state.positions()[0], np.array(first) + [0.1, 0, 0], rtol=0, atol=5e-7)
        assert state.version == 1

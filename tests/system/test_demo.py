"""What `make demo` runs, shorter: it must hold, and it must fail when something does not hold."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import gromos
from conftest import ROOT, Daemon

EXAMPLES = ROOT / "client-python" / "examples"
DATA = ROOT / "client-python" / "src" / "gromos" / "data"
LIMIT = "200"  # s; a slow machine is no failure


def run_demo(out: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, EXAMPLES / "demo.py", "--out", out, "--limit", LIMIT, *options],
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )


def test_demo_holds(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "out", "--steps", "50")
    assert done.returncode == 0, done.stdout + done.stderr
    for picture in ("rdf.png", "energies.png"):
        assert (tmp_path / "out" / picture).read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "final.cnf").read_text().startswith("TITLE")
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    local = ["mover", "thermometer", "rdf", "fit"]
    assert sorted(report["looks"]) == sorted([*local, "notebook"])
    assert len({report["looks"][name]["owner"] for name in local}) == 1
    assert report["looks"]["notebook"]["owner"] == ""
    assert len({look["positions"] for look in report["looks"].values()}) == 1
    assert len({report["ready"][name]["pid"] for name in report["ready"]}) == 5


def test_demo_fails_without_a_daemon(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "out", GROMOSD_BINARY="/bin/false")
    assert done.returncode == 1
    assert "did not start" in done.stdout


def test_demo_fails_when_a_watcher_finds_a_fault(tmp_path: Path) -> None:
    """A copy of the demo whose thermometer works with other masses than the daemon: its comparison must end the demo."""
    copy = tmp_path / "examples"
    copy.mkdir()
    for path in EXAMPLES.glob("*.py"):
        text = path.read_text()
        if path.name == "watchers.py":
            assert text.count("masses, dof = np.asarray(state.masses())") == 1
            text = text.replace("masses, dof = np.asarray(", "masses, dof = 1.01 * np.asarray(")
        (copy / path.name).write_text(text)
    done = subprocess.run(
        [sys.executable, copy / "demo.py", "--out", tmp_path / "out", "--limit", LIMIT, "--steps", "40"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 1
    assert "check failed" in done.stdout and "are not what NumPy finds" in done.stdout


def test_example_system_is_made_by_its_generator(tmp_path: Path) -> None:
    """Topology and input are what make_example.py writes; the start differs, as it was equilibrated, but it is the same system."""
    subprocess.run([sys.executable, EXAMPLES / "make_example.py", tmp_path], check=True, capture_output=True)
    for name in ("alanine.top", "alanine.imd"):
        assert (tmp_path / name).read_text() == (DATA / name).read_text()
    ours, made = ((folder / name).read_text().split("\nEND\n") for folder, name in ((DATA, "alanine.cnf"), (tmp_path, "lattice.cnf")))

    def labels(blocks: list[str], name: str) -> list[str]:
        rows = [row for block in blocks if block.startswith(name + "\n") for row in block.split("\n")[1:]]
        return [row[:24] for row in rows]

    assert labels(ours, "POSITION") == labels(made, "POSITION")
    assert len(labels(ours, "POSITION")) == len(labels(ours, "VELOCITY")) == 3270
    assert [b for b in ours if b.startswith("GENBOX")] == [b for b in made if b.startswith("GENBOX")]


def test_example_system_is_water_with_a_peptide(daemon: Daemon) -> None:
    with daemon.connect() as session, gromos.load(DATA / "alanine.cnf", session=session) as s:
        x = np.asarray(s.positions(), dtype=np.float64)
        water = x[12:].reshape(-1, 3, 3)
        assert len(water) >= 1000
        # Rigid SPC, constrained to a relative 1e-4.
        bonds = np.linalg.norm(water[:, 1:] - water[:, :1], axis=-1)
        assert np.abs(bonds - 0.1).max() < 2e-5
        assert np.abs(np.linalg.norm(water[:, 1] - water[:, 2], axis=-1) - 0.1632993).max() < 4e-5
        # The cavity closed around the solute, and nothing overlaps with it.
        heavy = np.delete(np.arange(12), [4, 10])
        nearest = s.distance_array(heavy, np.arange(12, len(x), 3)).min()
        assert 0.24 < nearest < 0.33
        # In the middle of the box, which is at the origin.
        assert np.abs(x[:12].mean(axis=0)).max() < 1e-6
        assert np.abs(water[:, 0]).max() <= s.box.dimensions().a / 2
        # An L-amino acid: the improper at CA (N, C, CB seen from it) is positive.
        n, ca, cb, c = x[[3, 5, 6, 7]]
        assert np.linalg.det(np.array([n - ca, c - ca, cb - ca])) > 0

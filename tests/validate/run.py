#!/usr/bin/env python3
"""Checks of the physics on SPC water and the example system, long form.

    tests/validate/run.py [--build DIR] [--quick] [--per-edge N] [--ps PS] [--precision float64|float32]
                          [--cutoff NM] [--method NAME] [--keep DIR] [part ...]

Parts: nve, conserved, reversal, convergence, nvt, npt, solute-nvt, solute-npt, water, openmm, liquid-openmm, energy-openmm; all if none is
named. Each prints its lines of the table: what was measured with its standard error, the bound, where the bound comes from. `--ps` is the length of the runs, `--per-edge` the number of
molecules along an edge of the box; --quick is a tenth of the length with 125 molecules, too short to judge a drift by. `--method` takes
one thermostat or barostat of the ensembles, one of the ways of energy-openmm, or one scheme of nve, whose cutoff is that of `--cutoff`; with `--keep` what these runs gave
stays in a folder, and is not run again. Exit status 1 when a bound is missed.

The finite differences of every term are in tests/unit/test_engine_forces.c, the virial there and in tests/system/test_physics.py.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclass
class Row:
    """One line of the table. `passed` None: measured and stated, no bound."""

    what: str
    measured: str
    bound: str
    source: str
    passed: bool | None


@dataclass
class Options:
    per_edge: int | None
    ps: float | None
    quick: bool
    precision: str | None
    cutoff: float | None = None
    method: str | None = None
    keep: Path | None = None

    def length(self, usual: float) -> float:
        return self.ps if self.ps is not None else usual / 10 if self.quick else usual

    def edge(self, usual: int) -> int:
        return self.per_edge if self.per_edge is not None else min(usual, 5) if self.quick else usual

    def molecules(self, usual: int) -> int:
        return self.per_edge**3 if self.per_edge is not None else min(usual, 125) if self.quick else usual


PARTS = {
    "nve": "motion", "conserved": "motion", "reversal": "motion", "convergence": "ensembles", "nvt": "ensembles", "npt": "ensembles",
    "solute-nvt": "ensembles", "solute-npt": "ensembles", "water": "water", "openmm": "second_opinion", "liquid-openmm": "other_liquid", "energy-openmm": "other_liquid",
}  # fmt: skip
"""Functions, and the module each is in."""
NEEDS = {"ensembles": "physical_validation", "second_opinion": "openmm", "other_liquid": "openmm"}


def part(name: str) -> Callable[[Options], Iterator[Row]]:
    """Its packages are installed when they are not there: the other tests do not need them."""
    module = PARTS[name]
    if module in NEEDS and importlib.util.find_spec(NEEDS[module]) is None:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(HERE / "requirements.txt")]
        subprocess.run(command, check=True)
        importlib.invalidate_caches()
    found: Callable[[Options], Iterator[Row]] = getattr(importlib.import_module(module), name.replace("-", "_"))
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--build", default=str(ROOT / "build"), help="where the daemon is")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--per-edge", type=int)
    parser.add_argument("--ps", type=float)
    parser.add_argument("--precision", help="float64 or float32; of energy-openmm also 1 or 2 (fs)")
    parser.add_argument("--cutoff", type=float)
    parser.add_argument("--method")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("part", nargs="*")
    given = parser.parse_args()
    os.environ.setdefault("GROMOSD_BINARY", str(Path(given.build).resolve() / "gromosd"))
    if unknown := [name for name in given.part if name not in PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    import gromos

    gromos.progress(False)
    if given.keep is not None:
        given.keep.mkdir(parents=True, exist_ok=True)
    options = Options(given.per_edge, given.ps, given.quick, given.precision, given.cutoff, given.method, given.keep)
    failed = 0
    for name in given.part or PARTS:
        begun = time.monotonic()
        for row in part(name)(options):
            word = {True: "pass", False: "FAIL", None: "stated"}[row.passed]
            failed += word == "FAIL"  # also for NumPy's False
            print(f"| {name} | {row.what} | {row.measured} | {row.bound} | {row.source} | {word} |", flush=True)
        print(f"<!-- {name}: {time.monotonic() - begun:.0f} s -->", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

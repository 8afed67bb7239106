#!/usr/bin/env python3
"""Runs the models in this folder through spin and holds each result against what it must be.

Usage: run.py [--build DIR] [--long] [--cc CC]

A line of the table is one exhaustive search: the model, the property, the bounds or the planted fault, states explored, result.
Without a fault the search must finish and find nothing; with one it must find an error. Safety runs check assertions and
invalid end states (somebody asleep for ever); liveness runs check `progress` under weak fairness. Exit status 0 when all is as it
must be, 1 otherwise, 2 when spin or a compiler is missing.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Run:
    model: str
    defines: tuple[str, ...] = ()
    liveness: bool = False
    fault: str = ""
    long: bool = False

    @property
    def property(self) -> str:
        safety = {"ring": "torn, overwritten", "wake": "lost", "lease": "two holders, half/lost edit, lost", "undo": "whole"}
        return "progress" if self.liveness else safety[self.model]


RUNS = (
    # The ring as it is.
    Run("ring", ("TWO_NEWEST", "READS=1")),
    Run("ring", ("WITH_HISTORY", "READS=1")),
    Run("ring", ("WITH_KEEPER", "READS=1")),
    Run("ring", ("SLOTS=2", "TWO_NEWEST")),
    Run("ring", ("SLOTS=2", "WITH_KEEPER", "READS=1"), liveness=True),
    Run("ring", ("WITH_KEEPER", "READS=1", "PUBLISHES=3"), liveness=True),
    Run("ring", ("TWO_NEWEST",), long=True),
    Run("ring", ("SLOTS=2", "WITH_HISTORY", "PUBLISHES=5"), long=True),
    Run("ring", ("TWO_NEWEST", "PUBLISHES=5"), long=True),
    Run("ring", ("WITH_KEEPER", "READS=1"), liveness=True, long=True),
    # The ring with faults.
    Run("ring", fault="NO_RECHECK"),
    Run("ring", ("WITH_HISTORY",), fault="NO_RECHECK"),
    Run("ring", fault="EARLY_SEQUENCE"),
    Run("ring", fault="CHECK_BEFORE_PIN"),
    Run("ring", fault="NO_CLEAR"),
    Run("ring", ("SLOTS=2", "WITH_KEEPER", "READS=1"), fault="WAIT_FOR_PIN", liveness=True),
    # Sleeping readers.
    Run("wake"),
    Run("wake", ("COMMITS=3",), liveness=True),
    Run("wake", fault="VERSION_AFTER_WAKE"),
    Run("wake", fault="WORD_AFTER_VERSION"),
    Run("wake", fault="NO_BUMP"),
    Run("wake", fault="BUMP_AFTER_WAKE"),
    # The lease.
    Run("lease"),
    Run("lease", ("CLIENTS=2", "ROUNDS=2", "GIVE_UPS=2")),
    Run("lease", ("DEATHS=0", "GIVE_UPS=0", "EVICTIONS=0", "ROUNDS=2")),
    Run("lease", ("CLIENTS=2", "ROUNDS=2"), liveness=True),
    Run("lease", ("CLIENTS=3", "ROUNDS=2"), long=True),
    Run("lease", ("CLIENTS=3",), liveness=True, long=True),
    Run("lease", fault="BLIND_BIT"),
    Run("lease", fault="GIVE_BY_STORE"),
    Run("lease", fault="EVICT_IN_PLACE"),
    Run("lease", fault="RESCUE_BEFORE_SEIZE"),
    Run("lease", fault="GRANT_BEFORE_UNDO"),
    Run("lease", fault="NO_WAKE"),
    Run("lease", fault="STALE_AFTER_WORD"),
    Run("lease", fault="SLEEP_BLINDLY"),
    Run("lease", fault="IGNORE_DEATH"),
    Run("lease", fault="KEEP_SLEEPING_PLACE"),
    Run("lease", ("ROUNDS=2", "DEATHS=0"), fault="FORGET_GRANT"),
    # Old content kept on the way.
    Run("undo"),
    Run("undo", ("EDITS=5",), long=True),
    Run("undo", fault="KEPT_LATE"),
    Run("undo", fault="KEPT_EARLY"),
    Run("undo", fault="KEPT_FROM_BEFORE"),
    Run("undo", fault="DIRTY_AFTER"),
    Run("undo", fault="MARKS_FIRST"),
    Run("undo", fault="UNMARK_BLINDLY"),
)


def command(args: list[str], cwd: pathlib.Path) -> str:
    done = subprocess.run(args, cwd=cwd, capture_output=True, text=True, timeout=600)
    if done.returncode != 0 and not args[0].endswith("pan"):
        raise RuntimeError(f"{' '.join(args)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def search(run: Run, cc: str, folder: pathlib.Path) -> tuple[int, int, bool]:
    """Errors found, states stored, and whether the search was exhaustive."""
    defines = [f"-D{d}" for d in (*run.defines, *([run.fault] if run.fault else []))]
    command(["spin", *defines, "-a", str(HERE / f"{run.model}.pml")], folder)
    how = ["-DNFAIR=3"] if run.liveness else ["-DSAFETY", "-DNOCLAIM"]
    command([cc, "-O0" if run.fault else "-O2", "-w", "-DCOLLAPSE", "-DMEMLIM=6000", *how, "-o", "pan", "pan.c"], folder)
    text = command(["./pan", "-m1000000", *(["-a", "-f"] if run.liveness else [])], folder)
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"^\s*([0-9.e+]+) states, stored", text, re.MULTILINE)
    whole = "Search not completed" not in text and "max search depth too small" not in text and "out of memory" not in text
    if errors is None or states is None:
        raise RuntimeError(f"{run}: unexpected output of the checker:\n{text}")
    return int(errors[1]), int(float(states[1])), whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, help="where to work (default: a temporary folder)")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--long", action="store_true", help="the larger bounds too; some minutes and gigabytes")
    options = parser.parse_args()
    for tool in ("spin", options.cc):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed (Debian: apt-get install spin gcc)", file=sys.stderr)
            return 2
    passed = failed = 0
    print(f"{'model':6} {'property':33} {'bounds or planted fault':58} {'states':>10} {'s':>6}  result")
    for run in RUNS:
        if run.long and not options.long:
            continue
        if options.build is not None:
            options.build.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=options.build) as folder:
            began = time.monotonic()
            errors, states, whole = search(run, options.cc, pathlib.Path(folder))
            took = time.monotonic() - began
        good = errors > 0 if run.fault else errors == 0 and whole
        passed, failed = passed + good, failed + (not good)
        if run.fault:
            result = "fault found" if good else "FAULT NOT FOUND"
        else:
            result = "holds" if good else ("VIOLATED" if errors else "NOT EXHAUSTED")
        what = " ".join((*run.defines, *([f"fault {run.fault}"] if run.fault else []))) or "-"
        print(f"{run.model:6} {run.property:33} {what:58} {states:10} {took:6.1f}  {result}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())

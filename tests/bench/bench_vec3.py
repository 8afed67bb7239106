#!/usr/bin/env python3
"""Small vectors: Vec3 beside an empty C method, Python lists, tuples and NumPy.

    python tests/bench/bench_vec3.py [--rounds 400] [--check]

Every line is the time of one pass of a loop with the operation in it, loop included (its own cost is the first line). All operations take
turns within a short round, so that a change of the machine's mood hits all of them; shown are the median over rounds, the middle half, and
the median of the ratio to dot in the same round. --check exits with 1 if a promise is broken; the promises are such ratios.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shlex
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import timeit
from pathlib import Path
from types import ModuleType

import numpy as np

import gromos

HERE = Path(__file__).resolve().parent
SETUP = """
from gromos import Vec3, Mat3
import numpy as np
e = empty_method.Empty()
a, b = Vec3(1.0, 2.0, 3.0), Vec3(4.0, 5.0, 6.0)
m = Mat3([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
p, q = [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]
n, o = np.array(p, np.float32), np.array(q, np.float32)
dot, cross, norm = np.dot, np.cross, np.linalg.norm
"""
LOOP, EMPTY, EMPTY_OF, LISTS = "the loop", "C method, no argument", "C method, one argument", "list, three products"
OPERATIONS = {
    LOOP: "pass",
    EMPTY: "e.nothing()",
    EMPTY_OF: "e.nothing_of(b)",
    "dot": "a.dot(b)",
    "add": "a + b",
    "sub": "a - b",
    "cross": "a.cross(b)",
    "scale": "a * 2.0",
    "normalize": "a.normalize()",
    "distance": "a.distance(b)",
    "length": "a.length()",
    "construct": "Vec3(1.0, 2.0, 3.0)",
    "==": "a == b",
    "to_numpy": "a.to_numpy()",
    "Mat3 @ Vec3": "m @ a",
    "Mat3 @ Mat3": "m @ m",
    "Mat3 inverse": "m.inverse()",
    LISTS: "p[0] * q[0] + p[1] * q[1] + p[2] * q[2]",
    "tuple of sums": "(p[0] + q[0], p[1] + q[1], p[2] + q[2])",
    "np.dot": "dot(n, o)",
    "np add": "n + o",
    "np.cross": "cross(n, o)",
    "np.linalg.norm": "norm(n)",
}
SLOW = {"np.cross": 400, "np.linalg.norm": 40, "np.dot": 10, "np add": 10}
WITHIN_OF_DOT = ("add", "sub", "cross", "scale", "normalize", "distance", "length")


def build_empty_method() -> ModuleType:
    """The module of empty_method.c."""
    folder = tempfile.mkdtemp(prefix="gromos-bench-")
    target = Path(folder) / f"empty_method{sysconfig.get_config_var('EXT_SUFFIX')}"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-O3", "-shared", "-fPIC", f"-I{sysconfig.get_path('include')}", str(HERE / "empty_method.c"), "-o", str(target)]
    subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location("empty_method", target)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(rounds: int, loops: int) -> dict[str, list[float]]:
    """Nanoseconds of every operation in every round."""
    names = {"empty_method": build_empty_method()}
    timers = {name: timeit.Timer(code, SETUP, globals=names) for name, code in OPERATIONS.items()}
    times: dict[str, list[float]] = {name: [] for name in OPERATIONS}
    for _ in range(rounds):
        for name, timer in timers.items():
            count = max(1, loops // SLOW.get(name, 1))
            times[name].append(timer.timeit(count) / count * 1e9)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--loops", type=int, default=4_000)
    parser.add_argument("--check", action="store_true", help="exit with 1 if a promise is broken")
    arguments = parser.parse_args()
    times = measure(arguments.rounds, arguments.loops)
    median = {name: statistics.median(values) for name, values in times.items()}

    def ratio(above: str, below: str) -> float:
        return statistics.median(x / y for x, y in zip(times[above], times[below], strict=True))

    print(f"Small vectors: gromos {gromos.__version__}, Python {platform.python_version()}, NumPy {np.__version__}, {arguments.rounds} rounds")
    print(f"{'operation':26} {'ns':>8}  {'middle half':>17}  {'of dot':>6}")
    for name, values in times.items():
        low, _, high = statistics.quantiles(values, n=4)
        print(f"{name:26} {median[name]:8.1f}  {low:8.1f} {high:8.1f}  {ratio(name, 'dot'):6.2f}")
    promises = [("dot / empty C method with one argument", ratio("dot", EMPTY_OF), "<=", 1.4)]
    promises.append(("list expression / dot", ratio(LISTS, "dot"), ">=", 3.0))
    promises += [(f"{name} / dot", ratio(name, "dot"), "<=", 1.5) for name in WITHIN_OF_DOT]
    broken = 0
    print()
    for text, value, relation, bound in promises:
        kept = value <= bound if relation == "<=" else value >= bound
        broken += not kept
        print(f"{text:40} {value:5.2f}  {relation} {bound}  {'kept' if kept else 'BROKEN'}")
    return 1 if broken and arguments.check else 0


if __name__ == "__main__":
    sys.exit(main())

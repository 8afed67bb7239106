#!/usr/bin/env python3
"""The benchmark: every part beside what a user would take instead, or beside the least the machine allows.

    python tests/bench/run.py --build build [--quick] [names]        (make bench BENCH="--quick names")

Names are memory, messages, vec3, kernels, compute, frames, wake, readers, restart and md; all of them if none is given. --quick takes about two
minutes, the whole under ten. Every line says where its processes ran: on the same core, on two cores, or free.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
import traceback
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent))

import gromos  # noqa: E402
from benchlib import Report, machine  # noqa: E402

# name: module, function, seconds for each comparison in the whole form and in the quick one
PARTS = {
    "memory": ("bench_memory", "run", 3.0, 0.8),
    "messages": ("bench_messages", "run", 3.0, 0.8),
    "vec3": ("bench_compute", "vectors", 20.0, 4.0),
    "kernels": ("bench_compute", "kernels", 60.0, 10.0),
    "compute": ("bench_compute", "calls", 2.0, 0.5),
    "frames": ("bench_sharing", "publishing", 1.0, 1.0),
    "wake": ("bench_sharing", "waking", 5.0, 1.5),
    "readers": ("bench_sharing", "readers", 6.0, 2.0),
    "restart": ("bench_sharing", "restart", 10.0, 1.0),
    "md": ("bench_md", "run", 6.0, 2.0),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build"), help="the build directory")
    parser.add_argument("--quick", action="store_true", help="about two minutes")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a target is missed")
    parser.add_argument("names", nargs="*", choices=[[], *PARTS], help="parts")
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    os.environ["GROMOSD_BINARY"] = str(build / "gromosd")
    gromos.progress(False)
    report = Report(quick=arguments.quick)
    print("gromosd: medians (middle half); ratios of measurements taken in turns, as the median over rounds (middle half)")
    for line in machine(build):
        print(line, flush=True)
    start = time.monotonic()
    for name in arguments.names or PARTS:
        module, function, whole, quick = PARTS[name]
        try:
            getattr(importlib.import_module(module), function)(report, build, quick if arguments.quick else whole)
        except Exception:  # the other parts are still worth having
            traceback.print_exc()
            report.row(name, "", "", "", "", "FAILED")
    print(f"\n== all lines, after {time.monotonic() - start:.0f} s")
    for row in report.rows:
        print("   {:52} {:10} {:34} {:60} {:10} {}".format(*row))
    counts = report.counts()
    print("   " + ", ".join(f"{counts[word]} {word}" for word in ("ok", "MISS", "unclear", "-", "skipped", "FAILED") if word in counts))
    return 1 if "FAILED" in counts or (arguments.check and "MISS" in counts) else 0


if __name__ == "__main__":
    sys.exit(main())

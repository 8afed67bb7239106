"""The process that has the system: it loads it under a name and runs molecular dynamics on it, while others watch.

    python mover.py ENDPOINT STEPS OUTPUT_DIRECTORY

The run is a job of the daemon. It would go on without this process; the State follows it, and every few steps a frame is published.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gromos
from demo_common import NAME, PUBLISH_EVERY, Clock, data, final_look, hear, owner_of, say

ENOUGH = 20.0
"""Seconds after which the run is ended where it is, so that the demo is short on a slow machine too."""


def main() -> None:
    endpoint, steps, out = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    session = gromos.connect(endpoint, name="mover")
    params = gromos.InputParameters.from_file(data("alanine.imd"))
    loading = Clock()
    system = loading.call(
        gromos.System.from_files, data("alanine.top"), data("alanine.cnf"), name=NAME, session=session, num_temp_groups=2, num_energy_groups=2
    )
    state = system.state
    kept = state.positions()
    state.snapshot().release()  # the first frame, so that those who watch have one to begin with
    say(event="ready", pid=os.getpid(), attach_us=loading.median(), atoms=state.num_atoms(), owner=owner_of(kept))

    hear()  # "go"
    first = state.version
    job = gromos.Simulation(system, params, publish_every=PUBLISH_EVERY).run(steps, fin=out / "final.cnf")
    try:
        job.wait(timeout=ENOUGH)
    except gromos.TimeoutExpired:
        job.cancel()
        try:
            job.wait(timeout=ENOUGH)
        except gromos.CancelledError:
            pass
    run, frames = job.describe(), state.describe()
    say(
        event="done", steps=run.step, first=first, last=state.version, us=run.elapsed / run.step * 1e6, published=frames.published,
        skipped=frames.skipped, what="one step of 2 fs", result=f"{run.step} steps, {run.step * 2e-6 / run.elapsed * 86400:.2f} ns/day; final.cnf",
    )  # fmt: skip
    final_look(state, kept)


if __name__ == "__main__":
    main()

"""Molecular dynamics of rigid SPC water: steps per second, and where a step's time goes.

The original engine's figures are its own measured elsewhere (md++ 1.6.0, double precision, one core of a 2.9 GHz Sapphire Rapids server, its
fastest loops: hard-coded SPC, SETTLE, NSNB 5), GROMACS's those of an AVX-512 build on the same server, mixed precision: orientation, not a
ratio of one run. Where GROMACS is installed here, it takes turns with the daemon at the end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import gromos

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "validate"))

import gromacs  # noqa: E402
import spc  # noqa: E402
from benchlib import Report, Turn, take_turns  # noqa: E402

# molecules per edge, scheme, precision, short and long cutoff, and what others reach on one core in steps/s
RUNS = [
    (10, "chargegroup", "float64", 1.4, 1.4, "md++ 74"),
    (10, "chargegroup", "float64", 0.9, 1.4, "md++ 136"),
    (10, "verlet", "float64", 1.0, 1.0, ""),
    (10, "verlet", "float32", 1.0, 1.0, "GROMACS 856"),
    (20, "chargegroup", "float64", 1.4, 1.4, "md++ 8.5"),
    (20, "chargegroup", "float64", 0.9, 1.4, "md++ 14.8"),
    (20, "verlet", "float32", 1.0, 1.0, "GROMACS 115"),
]


def _measure(session: gromos.Session, per_edge: int, scheme: str, precision: str, short: float, long: float, threads: int, seconds: float) -> tuple[float, str]:
    """Steps per second of computing, and the share of each phase in it."""
    system = spc.lattice(per_edge, session=session)
    p = spc.parameters(long, scheme=scheme)
    p.pairlist.rcutp = short
    p.precision = precision
    p.initialise.ntivel = p.initialise.ntishk = 0
    simulation = gromos.Simulation(system, p, publish_every=1_000_000, threads=threads)
    trial = simulation.run(10, wait=True, progress=False).describe()
    steps = max(10, int(seconds * trial.step / max(trial.elapsed, 1e-6)))
    done = simulation.run(steps, wait=True, progress=False).describe()
    total = sum(done.phases.values()) or 1.0
    shares = ", ".join(f"{name} {100 * spent / total:.0f} %" for name, spent in done.phases.items() if spent > 0.005 * total)
    system.state.close()
    return done.step / done.elapsed, shares


def _beside_gromacs(report: Report, session: gromos.Session, seconds: float) -> None:
    name = gromacs.version()
    if not name:
        report.skip("GROMACS beside it", "no gmx is installed (package gromacs)")
        return
    for per_edge in (10, 20):
        with tempfile.TemporaryDirectory(prefix="gd-bench-gmx-") as text:
            folder, steps = Path(text), round(seconds * 900_000 / per_edge**3)
            system, p = spc.lattice(per_edge, session=session), spc.parameters(1.0)
            p.precision = "float32"
            p.initialise.ntivel = p.initialise.ntishk = 0
            simulation = gromos.Simulation(system, p, publish_every=1_000_000, threads=1)
            gromacs.prepare(folder, system.state, spc.C6, spc.C12, 1.0, p.dt)

            def ours(simulation: gromos.Simulation = simulation, steps: int = steps) -> float:
                done = simulation.run(steps, wait=True, progress=False).describe()
                return done.elapsed / done.step

            def theirs(folder: Path = folder, steps: int = steps, dt: float = p.dt) -> float:
                return gromacs.seconds_per_step(folder, 2 * steps, dt)

            turns: dict[str, Turn] = {"ours": ours, "theirs": theirs}
            times = take_turns(turns, 6 * seconds, least=3)
            report.against(f"{per_edge**3} SPC, verlet float32, 1.0 nm, 1 thread: a step", times["ours"], times["theirs"], name, most=1.0)
            system.state.close()


def run(report: Report, build: Path, seconds: float) -> None:
    """Every run with one thread and with two."""
    with tempfile.TemporaryDirectory(prefix="gd-bench-md-") as folder:
        daemon = subprocess.Popen([str(build / "gromosd"), "--directory", folder, "--log-level", "error"])
        try:
            session = _connect(f"ipc://{folder}/zmq")
            for per_edge, scheme, precision, short, long, others in RUNS:
                for threads in (1, 2):
                    speed, shares = _measure(session, per_edge, scheme, precision, short, long, threads, seconds)
                    name = f"{per_edge**3} SPC, {scheme} {precision}, {short}/{long} nm, {threads} thread{'s' if threads > 1 else ''}"
                    report.row(name, "free", f"{speed:.1f} steps/s, {speed * 0.1728:.1f} ns/day", shares, others if threads == 1 else "", "-")
            _beside_gromacs(report, session, seconds)
            session.close()
        finally:
            daemon.terminate()
            daemon.wait(20)


def _connect(endpoint: str) -> gromos.Session:
    for _ in range(100):
        try:
            return gromos.connect(endpoint, default=False)
        except gromos.NoDaemonError:
            time.sleep(0.05)
    return gromos.connect(endpoint, default=False)

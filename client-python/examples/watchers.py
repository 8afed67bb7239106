"""The processes that look on. Each attaches to the State by its name and does something useful with what it sees, at the same time.

    python watchers.py thermometer|rdf|fit ENDPOINT OUTPUT_DIRECTORY
    python watchers.py notebook ENDPOINT OUTPUT_DIRECTORY SERVER_KEY CLIENT_KEY_FILE
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import gromos
from demo_common import NAME, NUM_SOLUTE, Clock, data, degrees_of_freedom, final_look, hear, owner_of, say

QUIET = 1.5  # s without a new frame: the run is over
BOLTZMANN = 0.00831446261815324  # kJ/(mol K)
R_MAX, BINS = 1.2, 240


class Seen:
    """Which versions and steps a watcher saw."""

    def __init__(self) -> None:
        self.versions: list[int] = []
        self.steps: list[int] = []

    def add(self, frame: Any) -> None:
        self.versions.append(frame.version)
        self.steps.append(frame.step)

    def fields(self) -> dict[str, Any]:
        if not self.versions:
            raise SystemExit("no frame came")
        return {"first": self.versions[0], "last": self.versions[-1], "frames": len(self.versions), "step": self.steps[-1]}


def require(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"check failed: {what}")


def thermometer(state: gromos.State, _: Path) -> dict[str, Any]:
    """Centre of mass and temperature, live: asked of the daemon, and worked out from a frame with NumPy."""
    seen, cost = Seen(), Clock()
    temperatures, compared, shown = [], 0, 0.0
    masses = np.asarray(state.masses())
    water, dof = slice(NUM_SOLUTE, None), degrees_of_freedom(state.num_atoms())
    for frame in state.frames("latest", timeout=QUIET):
        with frame as f:
            center, temperature = cost.call(lambda: (state.center_of_mass(), state.temperature(water, dof=dof)))
            seen.add(f)
            temperatures.append(temperature)
            # The frame does not move; the live State may have gone on meanwhile. Where it has not, both must agree.
            if state.version == f.version:
                v = f.velocities()[water].astype(np.float64)
                by_hand = (masses[water, None] * v**2).sum() / (dof * BOLTZMANN)
                require(abs(by_hand - temperature) < 1e-5 * by_hand, f"temperature {temperature} of the daemon, {by_hand} by NumPy")
                by_hand_center = masses @ f.positions().astype(np.float64) / masses.sum()
                require(bool(np.allclose(by_hand_center, center, atol=1e-9)), f"centre of mass {center}, {by_hand_center} by NumPy")
                compared += 1
            if time.monotonic() - shown > 0.5:
                shown = time.monotonic()
                say(event="live", text=f"step {f.step:4d}   {temperature:6.1f} K   centre of mass {center[0]:.4f} {center[1]:.4f} {center[2]:.4f} nm")
    require(compared > 0, "no frame could be compared with the live State")
    low, high = min(temperatures), max(temperatures)
    return {
        **seen.fields(),
        "us": cost.median(),
        "what": "centre of mass and temperature",
        "result": f"{low:.1f} to {high:.1f} K; {compared} times equal to NumPy's",
    }


def rdf(state: gromos.State, out: Path) -> dict[str, Any]:
    """The O-O radial distribution function, averaged over what was seen, as a picture."""
    seen, cost = Seen(), Clock()
    oxygens = np.arange(NUM_SOLUTE, state.num_atoms(), 3)
    total = np.zeros(BINS)
    r = np.zeros(BINS)
    for frame in state.frames("latest", timeout=QUIET):
        with frame as f:
            r, g = cost.call(state.rdf, oxygens, oxygens, r_max=R_MAX, bins=BINS)
            total += g
            seen.add(f)
    fields = seen.fields()
    g = total / fields["frames"]
    top = int(np.argmax(g))
    require(0.26 < r[top] < 0.30, f"the first peak of g(O-O) is at {r[top]:.3f} nm; in water it is at 0.275 nm")
    far = float(g[r > 1.0].mean())
    require(abs(far - 1.0) < 0.05, f"g(O-O) is {far:.3f} beyond 1 nm; it must go to 1")
    draw(r, g, out / "rdf.png", fields["frames"])
    return {
        **fields,
        "us": cost.median(),
        "what": f"rdf of {len(oxygens)} with {len(oxygens)} atoms",
        "result": f"first peak {g[top]:.2f} at {r[top]:.3f} nm; rdf.png",
    }


def draw(r: npt.NDArray[np.float64], g: npt.NDArray[np.float64], path: Path, frames: int) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=120, layout="constrained")
    axes.plot(r, g, color="#1f5fa8")
    axes.axhline(1.0, color="0.7", linewidth=0.8, zorder=0)
    axes.set(xlabel="r / nm", ylabel="g(r)", title=f"Water oxygens, mean of {frames} looks", xlim=(0, r[-1]), ylim=(0, None))
    figure.savefig(path)


def fit(state: gromos.State, _: Path) -> dict[str, Any]:
    """How far the solute is from its start, as it lies and after the best superposition."""
    seen, cost = Seen(), Clock()
    solute = np.arange(NUM_SOLUTE)
    start = gromos.load(data("alanine.cnf"), session=state.session)
    reference = np.array(start.positions())
    before, after = [], []
    for frame in state.frames("latest", timeout=QUIET):
        with frame as f:
            after.append(cost.call(state.rmsd, reference, atoms=solute))
            before.append(state.rmsd(reference, atoms=solute, fit=False))
            seen.add(f)
    # A fit moves all atoms; on a clone nobody else notices.
    clone = state.clone()
    by_daemon = clone.fit(reference, atoms=solute)
    by_hand = kabsch(np.asarray(state.snapshot().positions()[solute], dtype=np.float64), reference[solute].astype(np.float64))
    require(abs(by_daemon - by_hand) < 1e-6, f"RMSD after the fit {by_daemon} of the daemon, {by_hand} by NumPy")
    moved = np.asarray(clone.positions()[solute], dtype=np.float64) - reference[solute]
    require(abs(np.sqrt((moved**2).sum(axis=1).mean()) - by_hand) < 1e-6, "the clone was fitted")
    return {
        **seen.fields(),
        "us": cost.median(),
        "what": "best superposition of the solute",
        "result": f"RMSD up to {max(before):.3f} nm as it lies, {max(after):.4f} nm fitted",
    }


def kabsch(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> float:
    """RMSD after the best rotation (W. Kabsch, Acta Cryst. A32 (1976) 922), for comparison."""
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    u, s, vt = np.linalg.svd(x.T @ y)
    s[-1] *= np.sign(np.linalg.det(u @ vt))
    return float(np.sqrt(max(0.0, ((x**2).sum() + (y**2).sum() - 2 * s.sum()) / len(x))))


def notebook(state: gromos.State, _: Path) -> dict[str, Any]:
    """The same from another machine: frames come over tcp, encrypted; what is computed in the daemon comes as a number."""
    require(not state.session.local, "the notebook is meant to be remote")
    seen, cost = Seen(), Clock()
    masses = np.asarray(state.masses())
    compared = 0
    for frame in state.frames("latest", timeout=QUIET):
        seen.add(frame)
        center = cost.call(state.center_of_mass)
        if state.version == frame.version:
            by_hand = masses @ frame.positions().astype(np.float64) / masses.sum()
            require(bool(np.allclose(by_hand, center, atol=1e-9)), f"centre of mass {center}, {by_hand} by NumPy")
            compared += 1
    return {
        **seen.fields(),
        "us": cost.median(),
        "what": "centre of mass, over tcp",
        "result": f"{len(seen.versions)} frames of {frame.positions().nbytes / 1024:.0f} KiB fetched; {compared} equal",
    }


ROLES = {"thermometer": thermometer, "rdf": rdf, "fit": fit, "notebook": notebook}


def main() -> None:
    role, endpoint, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    keys = dict(zip(("server_key", "client_key"), sys.argv[4:6], strict=False))
    session = gromos.connect(endpoint, name=role, **keys)
    attaching = Clock()
    state = attaching.call(gromos.attach, NAME, session=session)
    kept = state.positions()
    # `kept` is the very memory the mover writes, if this process is local: held from now to the end.
    say(event="ready", pid=os.getpid(), attach_us=attaching.median(), owner=owner_of(kept))
    hear()  # "go"
    say(event="done", **ROLES[role](state, out))
    final_look(state, kept if session.local else None)


if __name__ == "__main__":
    main()

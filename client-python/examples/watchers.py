"""The processes that look on. Each attaches to the State by its name and does something useful with what it sees, at the same time.

    python watchers.py thermometer|rdf|fit ENDPOINT OUTPUT_DIRECTORY
    python watchers.py notebook ENDPOINT OUTPUT_DIRECTORY SERVER_KEY CLIENT_KEY_FILE
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import gromos
from demo_common import NAME, NUM_SOLUTE, Clock, data, degrees_of_freedom, final_look, hear, owner_of, say

QUIET = 3.0  # s without a new frame: is the run over?
BOLTZMANN = 0.00831446261815324  # kJ/(mol K)
R_MAX, BINS = 1.2, 240
Array = npt.NDArray[np.float64]


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


def frames(state: gromos.State) -> Iterator[Any]:
    """The newest frame, again and again until the run has ended."""
    while True:
        yield from state.frames("latest", timeout=QUIET)
        jobs = gromos.jobs(state.session)
        if jobs and all(job.ended for job in jobs):
            return


def require(condition: bool, what: str) -> None:
    if not condition:
        raise SystemExit(f"check failed: {what}")


def thermometer(state: gromos.State, out: Path) -> dict[str, Any]:
    """Centre of mass and temperature, live: asked of the daemon, and worked out from the same memory with NumPy; and the energies, drawn."""
    seen, cost = Seen(), Clock()
    rows, asked, agreed, shown = [], 0, 0, 0.0
    masses, dof = np.asarray(state.masses()), degrees_of_freedom(state.num_atoms())
    solute = np.arange(NUM_SOLUTE)
    for frame in frames(state):
        with frame as f:
            with state.edit(publish=False):  # between two steps: both look at the same one
                center, temperature = cost.call(lambda: (state.center_of_mass(solute), state.temperature(dof=dof)))
                by_hand = look_at(state, masses, dof)
            seen.add(f)
            if (total := f.energies.total()) != 0.0:  # the start has no energies yet
                rows.append((f.time, temperature, f.energies.kinetic, f.energies.potential, total))
        agreed += abs(by_hand[0] - temperature) < 1e-5 * temperature and np.allclose(by_hand[1], center, atol=1e-9)
        asked += 1
        if rows and time.monotonic() - shown > 1.5:
            shown = time.monotonic()
            say(
                event="live",
                text=f"step {seen.steps[-1]:5d}   {temperature:6.1f} K   total energy {rows[-1][4]:10.1f} kJ/mol   "
                f"solute at {center[0]:7.4f} {center[1]:7.4f} {center[2]:7.4f} nm",
            )
    require(agreed == asked, f"{asked - agreed} of {asked} answers of the daemon are not what NumPy finds")
    t, temperatures, kinetic, potential, energy = (np.array(column) for column in zip(*rows, strict=True))
    draw_energies(t, {"kinetic": kinetic, "potential": potential, "total": energy}, temperatures, out / "energies.png")
    require(bool(abs(temperatures.mean() - 300.0) < 15.0), f"the mean temperature is {temperatures.mean():.1f} K; the baths are at 300 K")
    drift = np.polyfit(t, energy, 1)[0] / state.num_atoms() if len(t) > 1 else 0.0
    return {
        **seen.fields(),
        "us": cost.median(),
        "what": "centre of mass and temperature",
        "result": f"{temperatures.mean():.1f} K; total energy {drift:+.3f} kJ/mol/ps per atom; "
        f"{agreed} of {asked} answers as NumPy finds them; energies.png",
    }


def look_at(frame: Any, masses: Array, dof: float) -> tuple[float, Array]:
    """Temperature of a frame, or of the live State, and where its solute is, by NumPy."""
    v, x = frame.velocities().astype(np.float64), frame.positions()[:NUM_SOLUTE].astype(np.float64)
    m = masses[:NUM_SOLUTE]
    return float(masses @ (v**2).sum(axis=1) / (dof * BOLTZMANN)), m @ x / m.sum()


def draw_energies(t: Array, energies: dict[str, Array], temperatures: Array, path: Path) -> None:
    pyplot = plotting()
    figure, axes = pyplot.subplots(nrows=4, figsize=(6, 6), dpi=120, sharex=True, layout="constrained")
    for panel, (name, values) in zip(axes, {**energies, "temperature": temperatures}.items(), strict=True):
        panel.plot(t, values, color="#1f5fa8")
        panel.set_ylabel(f"{name}\n{'K' if name == 'temperature' else 'kJ/mol'}")
    axes[-1].set_xlabel("t / ps")
    figure.savefig(path)


def rdf(state: gromos.State, out: Path) -> dict[str, Any]:
    """The O-O radial distribution function, averaged over what was seen, as a picture."""
    seen, cost = Seen(), Clock()
    oxygens = np.arange(NUM_SOLUTE, state.num_atoms(), 3)
    total: Array = np.zeros(BINS)
    r: Array = np.zeros(BINS)
    for frame in frames(state):
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


def plotting() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def draw(r: Array, g: Array, path: Path, frames: int) -> None:
    pyplot = plotting()
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
    for frame in frames(state):
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


def kabsch(x: Array, y: Array) -> float:
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
    for frame in frames(state):
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
        "result": f"{len(seen.versions)} frames of {frame.positions().nbytes / 1024:.0f} KiB fetched; {compared} compared with NumPy",
    }


ROLES = {"thermometer": thermometer, "rdf": rdf, "fit": fit, "notebook": notebook}


def main() -> None:
    role, endpoint, out = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    server_key, client_key = sys.argv[4:6] if len(sys.argv) > 4 else (None, None)
    session = gromos.connect(endpoint, name=role, server_key=server_key, client_key=client_key)
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

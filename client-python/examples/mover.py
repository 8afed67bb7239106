"""The process that has the system: it loads it under a name, and moves it while others watch.

    python mover.py ENDPOINT STEPS

What moves it here is plain: every water molecule swings about its place with its own frequency, the solute turns and vibrates. Each
step is one edit of the State, that is one commit that everybody sees as a whole. An engine in its place would do the same.
"""

from __future__ import annotations

import os
import sys
import time

import numpy as np
import numpy.typing as npt

import gromos
from demo_common import NAME, NUM_SOLUTE, Clock, data, final_look, hear, owner_of, say

STEP = 0.002  # ps
PAUSE = 0.008  # s between steps, so that a demo lasts long enough to watch
TURN = 2.0  # rad/ps, of the solute about the z axis
VIBRATION = 0.005  # nm, of the solute's atoms

Array = npt.NDArray[np.float64]


class Shaking:
    """Positions and velocities at any time, exact: a crystal of rigid molecules on springs, and a turning solute."""

    def __init__(self, positions: Array, velocities: Array, masses: Array) -> None:
        rng = np.random.default_rng(1)
        self.start = positions
        waters = (len(positions) - NUM_SOLUTE) // 3
        m = masses[NUM_SOLUTE:].reshape(waters, 3, 1)
        v = velocities[NUM_SOLUTE:].reshape(waters, 3, 3)
        # A molecule goes with the velocity of its centre of mass, which it has when it passes its place.
        self.velocity = np.sqrt(2.0) * (m * v).sum(axis=1) / m.sum(axis=1)
        self.frequency = rng.uniform(80.0, 160.0, size=(waters, 1))  # rad/ps
        self.phase = rng.uniform(0.0, 2.0 * np.pi, size=(waters, 3))
        self.solute = positions[:NUM_SOLUTE] - positions[:NUM_SOLUTE].mean(axis=0)
        self.center = positions[:NUM_SOLUTE].mean(axis=0)
        self.direction = rng.normal(size=(NUM_SOLUTE, 3))

    def at(self, t: float) -> tuple[Array, Array]:
        """Positions in nm and velocities in nm/ps at the time t in ps."""
        x, v = self.start.copy(), np.empty_like(self.start)
        angle = self.frequency * t + self.phase
        x[NUM_SOLUTE:] += np.repeat(self.velocity / self.frequency * (np.sin(angle) - np.sin(self.phase)), 3, axis=0)
        v[NUM_SOLUTE:] = np.repeat(self.velocity * np.cos(angle), 3, axis=0)
        c, s = np.cos(TURN * t), np.sin(TURN * t)
        turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
        speed = TURN * np.array([[-s, -c, 0.0], [c, -s, 0.0], [0.0, 0.0, 0.0]])
        shape = self.solute + VIBRATION * np.sin(50.0 * t) * self.direction
        x[:NUM_SOLUTE] = self.center + shape @ turn.T
        v[:NUM_SOLUTE] = shape @ speed.T + VIBRATION * 50.0 * np.cos(50.0 * t) * self.direction @ turn.T
        return x, v


def masses_of(topology: str, num_atoms: int) -> Array:
    """Masses of all atoms from the blocks SOLUTEATOM and SOLVENTATOM of a topology."""
    blocks = {name: rows for name, *rows in (part.split("\n") for part in topology.split("\nEND\n"))}

    def rows(name: str, column: int) -> list[float]:
        lines = [line.split() for line in blocks[name] if not line.startswith("#")][1:]
        return [float(words[column]) for words in lines if len(words) > column and "." in words[column]]

    solute, solvent = rows("SOLUTEATOM", 4), rows("SOLVENTATOM", 3)
    return np.array(solute + solvent * ((num_atoms - len(solute)) // len(solvent)))


def load(session: gromos.Session) -> gromos.State:
    """The example system as a State that others find by its name."""
    state = gromos.load(data("alanine.cnf"), name=NAME, session=session)
    n = state.num_atoms()
    state.set_masses(masses_of(data("alanine.top").read_text(), n))
    state.set_molecules([0, *range(NUM_SOLUTE, n + 1, 3)])
    return state


def main() -> None:
    endpoint, steps = sys.argv[1], int(sys.argv[2])
    session = gromos.connect(endpoint, name="mover")
    loading = Clock()
    state = loading.call(load, session)
    kept = state.positions()
    say(event="ready", pid=os.getpid(), attach_us=loading.median(), atoms=state.num_atoms(), owner=owner_of(kept))
    motion = Shaking(*(np.asarray(a, dtype=np.float64) for a in (state.positions(), state.velocities(), state.masses())))

    hear()  # "go"
    commit = Clock()
    first = state.version

    def one_step(x: Array, v: Array, step: int) -> None:
        with state.edit() as e:
            e.positions()[:] = x
            e.velocities()[:] = v
            e.step, e.time = step, step * STEP

    for step in range(1, steps + 1):
        x, v = motion.at(step * STEP)
        commit.call(one_step, x, v, step)
        time.sleep(PAUSE)
    frames = state.describe()
    say(
        event="done", steps=steps, first=first, last=state.version, us=commit.median(), published=frames.published, skipped=frames.skipped,
        result=f"{steps} steps of {STEP * 1000:g} fs written", what="edit and commit of one step",
    )  # fmt: skip
    final_look(state, kept)


if __name__ == "__main__":
    main()

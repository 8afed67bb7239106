"""A small box of water and parameters for it, for tests that need runs and not their physics."""

import gromos
import numpy as np

SPACING = 0.31  # nm, between molecules at the start


def water(session, n=27, name=None, dtype="float64", **options):
    """n (a cube) SPC molecules on a lattice, as a System without files."""
    lj = np.zeros((2, 2, 2))
    lj[0, 0] = 2.634129e-06, 2.617346e-03  # C12, C6 of SPC's oxygen
    topology = gromos.Topology(solvent=gromos.Solvent.spc(0, 1), type_names=["OW", "HW"], lj=lj)
    edge = round(n ** (1 / 3))
    grid = np.stack(np.meshgrid(*[np.arange(edge) * SPACING] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    half = np.radians(109.4712 / 2)
    shape = 0.1 * np.array([[0.0, 0.0, 0.0], [np.cos(half), np.sin(half), 0.0], [np.cos(half), -np.sin(half), 0.0]])
    turned = np.stack([np.roll(shape, k, axis=1) for k in range(3)])
    positions = (grid + turned[np.arange(n) % 3]).reshape(-1, 3)
    state = gromos.State(3 * n, dtype=dtype, name=name, session=session, **options)
    state.set(positions=positions, box=gromos.Box.rectangular(*[edge * SPACING] * 3))
    return gromos.System(topology, state)


def parameters(steps, every=5):
    """300 K, kept by a thermostat that draws random numbers; random velocities first; trajectories every few steps."""
    p = gromos.InputParameters.nvt(num_steps=steps, cutoffs=0.4, temperature=300.0, thermostat="bussi")
    p.initialise.ntivel, p.initialise.tempi, p.seed = 1, 300.0, 4711
    p.initialise.ntishk = 3
    p.comtransrot.nscm = 0
    p.writetraj.ntwx = p.writetraj.ntwv = p.writetraj.ntwe = every
    return p


def same(a, b):
    """Whether two States are equal, bit for bit: arrays, energies, step, time, box."""
    arrays = all(np.array_equal(getattr(a, n)(), getattr(b, n)()) for n in ("positions", "velocities", "forces"))
    return arrays and a.energies.to_dict() == b.energies.to_dict() and (a.step, a.time, a.box) == (b.step, b.time, b.box)

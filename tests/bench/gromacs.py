"""GROMACS beside the scheme `verlet`, where a `gmx` is installed: the same water, cutoff and time step on one core, in turns.

The package of a distribution is built for processors of long ago; what one built for this machine reaches is higher.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import gromos

TOPOLOGY = """[ defaults ]
1 1 no 1.0 1.0
[ atomtypes ]
OW 15.9994 0.0 A {c6:.9e} {c12:.9e}
HW  1.0080 0.0 A 0.0 0.0
[ moleculetype ]
SOL 2
[ atoms ]
1 OW 1 SOL OW  1 -0.82 15.9994
2 HW 1 SOL HW1 1  0.41  1.0080
3 HW 1 SOL HW2 1  0.41  1.0080
[ settles ]
1 1 0.1 0.163299
[ exclusions ]
1 2 3
2 1 3
3 1 2
[ system ]
water
[ molecules ]
SOL {molecules}
"""

PARAMETERS = """integrator = md
dt = {dt}
nsteps = -1
cutoff-scheme = Verlet
coulombtype = reaction-field
epsilon-rf = 0
rcoulomb = {cutoff}
rvdw = {cutoff}
gen-vel = yes
gen-temp = 300
nstcomm = 100
nstenergy = 1000
nstcalcenergy = 100
nstlog = 0
"""

NAMES = ("OW", "HW1", "HW2")


def version() -> str:
    """Of the installed one, with what it was built for; empty if there is none."""
    if shutil.which("gmx") is None:
        return ""
    text = subprocess.run(["gmx", "-quiet", "--version"], capture_output=True, text=True, check=True).stdout
    found = [match.group(1) if (match := re.search(what, text)) else "?" for what in (r"GROMACS version:\s*([\d.]+)", r"SIMD instructions:\s*(\S+)")]
    return f"GROMACS {found[0]} ({found[1]})"


def prepare(folder: Path, state: gromos.State, c6: float, c12: float, cutoff: float, dt: float) -> None:
    """Files for `seconds_per_step` from a State of three-site water."""
    positions, edges = state.positions(), state.box.dimensions()
    lines = ["water", f"{len(positions)}"]
    lines += [f"{(i // 3 + 1) % 100000:5d}{'SOL':5s}{NAMES[i % 3]:>5s}{(i + 1) % 100000:5d}{x:8.3f}{y:8.3f}{z:8.3f}"
              for i, (x, y, z) in enumerate(positions.tolist())]
    lines.append(" ".join(f"{edge:.5f}" for edge in edges))
    (folder / "water.gro").write_text("\n".join(lines) + "\n")
    (folder / "water.top").write_text(TOPOLOGY.format(c6=c6, c12=c12, molecules=len(positions) // 3))
    (folder / "water.mdp").write_text(PARAMETERS.format(dt=dt, cutoff=cutoff))
    _gmx(folder, "grompp", "-f", "water.mdp", "-c", "water.gro", "-p", "water.top", "-o", "water.tpr", "-maxwarn", "9")


def seconds_per_step(folder: Path, steps: int, dt: float) -> float:
    """Of the second half of so many steps on one core, as mdrun itself tells."""
    _gmx(folder, "mdrun", "-s", "water.tpr", "-deffnm", "run", "-nt", "1", "-pin", "off", "-nsteps", f"{steps}", "-resethway", "-noconfout")
    found = re.search(r"^Performance:\s+([\d.]+)", (folder / "run.log").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError(f"{folder}/run.log tells no performance")
    return 86400.0 * dt / (1000.0 * float(found.group(1)))


def _gmx(folder: Path, *arguments: str) -> None:
    done = subprocess.run(["gmx", "-quiet", "-nobackup", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"gmx {arguments[0]} ended with status {done.returncode}: {done.stderr[-2000:]}")

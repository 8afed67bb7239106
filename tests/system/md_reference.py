"""The original engine's output against ours, file by file: what the tests of molecular dynamics compare with.

A number passes within the largest of one unit in its last printed digit, a relative 1e-8, and three times what two builds of the
original differ by (engine_noise of case.json). "Relative" is of the larger of the number and, where it is a component or a sum, the largest
of what it stands with: a sum of large terms that cancel is not known better than its terms.
"""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator
from pathlib import Path

RELATIVE = 1e-8
TEXT = ("TITLE", "ENEVERSION", "STOCHINT", "BFACTOR")
"""Blocks without numbers that a run makes (BFACTOR: the original writes a value for restrained atoms only)."""
EXTRA = ("CONSFORCERED", "VELOCITY", "NHCVARIABLES")
"""Blocks that are written where the original has none: forces of SETTLE, M_SHAKE and LINCS; velocities after a minimisation; the one
variable of a Nose-Hoover bath."""
SUMS = (0, 2, 3, 9, 46, 47)  # of the totals of ENERGY03: total, potential, covalent, nonbonded, two more totals


def reference_folder() -> Path | None:
    """$GROMOS_REFERENCE_DIR; set and missing is a failure."""
    chosen = os.environ.get("GROMOS_REFERENCE_DIR")
    if not chosen:
        return None
    folder = Path(chosen)
    assert folder.is_dir(), f"GROMOS_REFERENCE_DIR is {folder}, which does not exist"
    return folder


def case_arguments(case: Path) -> list[str]:
    """The input files of a case as arguments of the command."""
    about = json.loads((case / "case.json").read_text())
    given = about.get("md_args")
    if given is None:
        files = about["files"]
        given = {"@topo": files["topology"], "@conf": files["configuration"], "@input": files["parameters"]}
        given |= {f"@{name}": files[name] for name in ("posresspec", "refpos", "distrest") if name in files}
    return [word for name, file in given.items() for word in (name, str(case / file))]


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode()


def blocks(text: str) -> Iterator[tuple[str, list[str]]]:
    name, lines = "", []
    for line in text.splitlines():
        word = line.strip()
        if not name:
            name, lines = word, []
        elif word == "END":
            yield name, lines
            name = ""
        else:
            lines.append(line)
    assert not name, f"block {name} is not closed"


def digit(word: str) -> float:
    """One unit in the last printed digit."""
    mantissa, _, exponent = word.lower().partition("e")
    decimals = len(mantissa.partition(".")[2])
    return 10.0 ** (int(exponent or 0) - decimals)


class Comparison:
    """Counts numbers compared, and keeps those that differ."""

    def __init__(self, case: Path) -> None:
        about = json.loads((case / "case.json").read_text()).get("engine_noise", {})
        energies = about.get("energy_max_abs", {})
        self.noise = {
            "energy": max([v for v in energies.values() if v is not None], default=0.0),
            "force": max(about.get("force_max_abs_first") or 0.0, about.get("force_max_abs_last") or 0.0),
            "position": about.get("final_pos_max_abs") or 0.0,
            "velocity": about.get("final_vel_max_abs") or 0.0,
        }
        self.compared = 0
        self.wrong: list[str] = []

    def row(self, where: str, expected: list[str], got: list[str], noise: float = 0.0, scale: float = 0.0) -> None:
        assert len(expected) == len(got), f"{where}: {len(expected)} numbers expected, {len(got)} written"
        for e, g in zip(expected, got, strict=True):
            a, b = float(e), float(g)
            limit = max(1.01 * digit(e), RELATIVE * max(abs(a), scale), 3.0 * noise)
            self.compared += 1
            if not abs(a - b) <= limit:
                self.wrong.append(f"{where}: {e} expected, {g} written, allowed {limit:.2g}")

    def file(self, kind: str, expected: Path, got: Path) -> None:
        ours = list(blocks(text_of(got)))
        theirs = list(blocks(text_of(expected)))
        common = {name for name, _ in ours} & {name for name, _ in theirs} - set(TEXT)
        for missing in {name for name, _ in theirs} - {name for name, _ in ours} - set(TEXT):
            # Lattice shifts that are all zero need not be said.
            assert missing == "LATTICESHIFTS", f"{kind}: block {missing} is missing"
            zeros = {word for name, lines in theirs if name == missing for line in lines for word in line.split()}
            assert zeros == {"0"}, f"{kind}: block {missing} is missing"
        for extra in {name for name, _ in ours} - {name for name, _ in theirs} - set(TEXT):
            assert extra in EXTRA, f"{kind}: block {extra} was not expected"
        ours = [block for block in ours if block[0] in common]
        theirs = [block for block in theirs if block[0] in common]
        # When a minimisation has converged the original writes the frame before the last once more, not the last.
        times = [k for k, (name, _) in enumerate(theirs) if name == "TIMESTEP"]
        if len(times) > 1 and theirs[times[-1]] == theirs[times[-2]]:
            del theirs[times[-1] :], ours[times[-1] :]
        assert [name for name, _ in ours] == [name for name, _ in theirs], f"{kind}: blocks in another order or number"
        for number, ((name, want), (_, have)) in enumerate(zip(theirs, ours, strict=True)):
            self.block(f"{kind} block {number} {name}", name, want, have)

    def block(self, where: str, name: str, want: list[str], have: list[str]) -> None:
        if name == "ENERGY03":
            self.energies(where, want, have)
        elif name == "VOLUMEPRESSURE03":
            self.pressure(where, want, have)
        else:
            labels = 24 if name in ("POSITION", "VELOCITY", "REFPOSITION") else 0
            noise = {"POSITION": "position", "POSITIONRED": "position", "VELOCITY": "velocity", "VELOCITYRED": "velocity"}.get(name)
            noise = "force" if "FORCE" in name else noise
            limit = self.noise[noise] if noise else 0.0
            self.rows(where, [line[labels:] for line in data(want)], [line[labels:] for line in data(have)], limit)

    def rows(self, where: str, want: list[str], have: list[str], noise: float) -> None:
        assert len(want) == len(have), f"{where}: {len(want)} rows expected, {len(have)} written"
        for k, (w, h) in enumerate(zip(want, have, strict=True)):
            numbers = [word for word in w.split() if is_number(word)]
            scale = sum(float(word) ** 2 for word in numbers) ** 0.5
            self.row(f"{where} row {k + 1}", numbers, [word for word in h.split() if is_number(word)], noise, scale)

    def energies(self, where: str, want: list[str], have: list[str]) -> None:
        self.baths: list[float] = []
        for (part, w), (other, h) in zip(parts(want), parts(have), strict=True):
            assert part == other
            if part == "totals":
                scale = max((abs(float(v)) for v in w), default=0.0)
                for k, (e, g) in enumerate(zip(w, h, strict=True)):
                    self.row(f"{where} totals {k}", [e], [g], self.noise["energy"], scale if k in SUMS else 0.0)
            elif part == "baths":
                for k in range(1, len(w), 3):
                    self.baths.append(float(w[k]))
                    self.row(f"{where} bath {k // 3 + 1}", w[k : k + 3], h[k : k + 3], self.noise["energy"], abs(float(w[k])))
            elif part == "nonbonded":
                for k in range(0, len(w), 6):
                    self.row(f"{where} pair {k // 6 + 1}", w[k : k + 6], h[k : k + 6], self.noise["energy"], abs(float(w[k])))
            else:
                self.row(f"{where} {part}", w, h, self.noise["energy"])

    def pressure(self, where: str, want: list[str], have: list[str]) -> None:
        volume = 0.0
        for (part, w), (other, h) in zip(parts(want), parts(have), strict=True):
            assert part == other
            values = [float(v) for v in w]
            if part == "temperature":
                for k in range(1, len(w), 4):
                    kinetic = self.baths[k // 4]
                    noise = self.noise["energy"] * values[k] / kinetic if kinetic else 0.0
                    self.row(f"{where} temperatures {k // 4 + 1}", w[k : k + 3], h[k : k + 3], noise, values[k])
                    self.row(f"{where} scaling {k // 4 + 1}", [w[k + 3]], [h[k + 3]])
            elif part == "pressure":
                # Three means, then three tensors; the pressure is a difference of kinetic energy and virial.
                largest = [max(map(abs, values[3 + 9 * t : 12 + 9 * t])) for t in range(3)]
                largest[0] = max(largest[0], 2.0 * max(largest[1:]) / (volume or 1.0))
                for t, noise in enumerate((2.0 * self.noise["energy"] / (volume or 1.0), self.noise["energy"], self.noise["energy"])):
                    places = [t, *range(3 + 9 * t, 12 + 9 * t)]
                    self.row(f"{where} tensor {t}", [w[k] for k in places], [h[k] for k in places], noise, largest[t])
            else:
                volume = values[0] if part == "volume" else volume
                self.row(f"{where} {part}", w, h, 0.0, max(map(abs, values[1:])) if part == "volume" else 0.0)


def data(lines: list[str]) -> list[str]:
    return [line for line in lines if line.strip() and not line.lstrip().startswith("#")]


def is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def parts(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Numbers by the comment above them."""
    found: list[tuple[str, list[str]]] = [("", [])]
    for line in lines:
        if line.lstrip().startswith("#"):
            found.append((line.strip("# \t"), []))
        else:
            found[-1][1].extend(line.split())
    return found


def compare(case: Path, written: dict[str, Path]) -> Comparison:
    """Hold what was written (by argument name) against the case's expected files."""
    expected = case / "expected"
    names = {
        "tre": ("energies.tre", "energies.tre.gz"),
        "trf": ("forces.trf", "forces.trf.gz"),
        "trc": ("trajectory.trc", "trajectory.trc.gz"),
        "fin": ("final.conf", "final.conf.gz"),
    }
    comparison = Comparison(case)
    for kind, candidates in names.items():
        for name in candidates:
            if (expected / name).exists():
                comparison.file(kind, expected / name, written[kind])
    return comparison

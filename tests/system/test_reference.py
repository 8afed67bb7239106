"""Every reference case: what the original engine computed, number by number.

The cases lie outside the project; GROMOS_REFERENCE_DIR says where. Unset: one skip that says how many cases were not run
(79 when this was written). Set and not there: a failure. Each case is run by the program tests/reference/run_case.c, which
holds the tolerances.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

KNOWN_CASES = 79
VARIABLE = "GROMOS_REFERENCE_DIR"


def _folder() -> Path | None:
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else None


def _cases() -> list[Path]:
    folder = _folder()
    if folder is None or not folder.is_dir():
        return []
    return sorted(path.parent for path in folder.glob("*/*/case.json"))


def _run_case() -> Path:
    chosen = os.environ.get("GROMOSD_RUN_CASE")
    if chosen:
        return Path(chosen)
    return Path(os.environ["GROMOSD_BINARY"]).parent / "run_case"


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(_run_case()), *options, str(folder)], capture_output=True, text=True, timeout=300, check=False
    )


def test_reference_cases_are_there() -> None:
    folder = _folder()
    if folder is None:
        pytest.skip(f"{KNOWN_CASES} reference cases not run: {VARIABLE} is not set")
    assert folder.is_dir(), f"{VARIABLE} is {folder}, which does not exist"
    assert len(_cases()) >= KNOWN_CASES, f"{len(_cases())} cases under {folder}, at least {KNOWN_CASES} are expected"
    assert _run_case().is_file(), f"{_run_case()} is not built"


@pytest.mark.parametrize("folder", _cases(), ids=lambda path: path.name)
def test_reference_case(folder: Path) -> None:
    result = _run(folder)
    assert result.returncode == 0, f"\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize("folder", _cases(), ids=lambda path: path.name)
def test_reference_case_in_float32(folder: Path) -> None:
    """Pair functions in single precision: the first ten steps, to multiples of its epsilon."""
    result = _run(folder, "--precision", "float32")
    assert result.returncode == 0, f"\n{result.stdout}{result.stderr}"


@pytest.mark.parametrize(
    "folder",
    [path for path in _cases() if path.name in {"p_npt_iso", "p_egroups", "w_npt_aniso", "p_atomic_cutoff"}],
    ids=lambda path: path.name,
)
def test_reference_case_on_two_threads(folder: Path) -> None:
    """Sums in another order: the same numbers within the same tolerances."""
    result = _run(folder, "--threads", "2")
    assert result.returncode == 0, f"\n{result.stdout}{result.stderr}"

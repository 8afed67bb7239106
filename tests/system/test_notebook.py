"""The notebook of tests/notebook and the examples in the docstrings run as they stand, with no daemon started beforehand."""

import doctest
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import gromos
import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "notebook" / "first_steps.py"


def test_first_steps(runtime_dir, tmp_path):
    done = subprocess.run([sys.executable, "-W", "error", str(NOTEBOOK)], capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "a State with 10000 atoms" in done.stdout


MODULES = [f"gromos.{m.name}" for m in pkgutil.iter_modules(gromos.__path__) if m.name not in ("_ext", "__main__")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = sum(bool(t.examples) for name in MODULES for t in finder.find(importlib.import_module(name)))
    assert found > 15

"""tests/run.py counts what a suite's output says, also what a sanitizer says of a test that has passed."""

import importlib.util
import sys

import pytest
from conftest import ROOT

GOOD = """\
[====] Synthesis: Tested: 280 | Passing: 280 | Failing: 0 | Crashing: 0
scalar  against scalar: 40051995 comparisons, 0 differ
"""
FATAL = """\
==8352==Can't open /proc/8345/task for reading.
==8345==LeakSanitizer has encountered a fatal error.
==8345==HINT: For debugging, try setting environment variable LSAN_OPTIONS=verbosity=1:log_threads=1
==8345==HINT: LeakSanitizer does not work under ptrace (strace, gdb, etc)
"""
LEAK = """\
==311==ERROR: LeakSanitizer: detected memory leaks
SUMMARY: AddressSanitizer: 24 byte(s) leaked in 1 allocation(s).
"""
UNDEFINED = "server/core/box.c:14:9: runtime error: shift exponent 64 is too large for 64-bit type 'long'\n"


@pytest.fixture(scope="module")
def runner():
    spec = importlib.util.spec_from_file_location("suite_runner", ROOT / "tests" / "run.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_what_is_sound_counts_as_passed(runner):
    assert runner.count_sanitized(GOOD) == runner.Outcome(passed=281, failed=0)


@pytest.mark.parametrize("said", [FATAL, LEAK, UNDEFINED])
def test_what_a_sanitizer_says_counts_as_failed_and_is_shown(runner, said):
    outcome = runner.count_sanitized(said + GOOD)
    assert (outcome.passed, outcome.failed) == (281, 1)
    assert runner.failures(said + GOOD)

#!/usr/bin/env python3
"""Runs the test suites one after the other and says what each did.

    tests/run.py [--build DIR] [suite ...]      all suites if none is named

A suite's output goes to DIR/test-logs/NAME.log and, when it fails, to the terminal. A suite that ran nothing has failed. What
was skipped is listed with its reason. The last line is `N passed, N failed, N skipped`.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass
class Outcome:
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)


def count_criterion(text: str) -> Outcome:
    found = re.findall(r"Tested:\s*(\d+).*?Passing:\s*(\d+).*?Failing:\s*(\d+).*?Crashing:\s*(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", text))
    total = Outcome()
    for _tested, passing, failing, crashing in found:
        total.passed += int(passing)
        total.failed += int(failing) + int(crashing)
    return total


def count_pytest(text: str) -> Outcome:
    total = Outcome()
    for line in text.splitlines():
        if re.match(r"=+ .* in [\d.]+s", line):
            for number, word in re.findall(r"(\d+) (passed|failed|errors?)", line):
                if word == "passed":
                    total.passed += int(number)
                else:
                    total.failed += int(number)
        if match := re.match(r"SKIPPED \[(\d+)\] (.*)", line):
            total.skipped += [match.group(2)] * int(match.group(1))
    return total


def count_lines(text: str) -> Outcome:
    """`N passed, N failed` lines."""
    total = Outcome()
    for passed, failed in re.findall(r"^(?:\w+: )?(\d+) passed, (\d+) failed", text, re.MULTILINE):
        total.passed += int(passed)
        total.failed += int(failed)
    return total


def count_kernels(text: str) -> Outcome:
    """A variant each: `avx2 against scalar: N comparisons, M differ`."""
    total = Outcome()
    for compared, differ in re.findall(r"against scalar: (\d+) comparisons, (\d+) differ", text):
        total.passed += int(compared) > 0 and int(differ) == 0
        total.failed += int(compared) == 0 or int(differ) > 0
    return total


def count_mypy(text: str) -> Outcome:
    if match := re.search(r"no issues found in (\d+) source files", text):
        return Outcome(passed=int(match.group(1)))
    return Outcome(failed=max(1, len(re.findall(r": error:", text))))


def count_sanitized(text: str) -> Outcome:
    """Unit tests and kernels. Leaks are looked for when a test has ended and passed: one found, or a search that failed, counts by itself."""
    unit, kernels = count_criterion(text), count_kernels(text)
    found = len(re.findall(r"^==\d+==(?:ERROR: )?\w+Sanitizer\b|: runtime error: ", text, re.MULTILINE))
    return Outcome(passed=unit.passed + kernels.passed, failed=unit.failed + kernels.failed + found)


def count_fuzz(text: str) -> Outcome:
    """One target each: libFuzzer says how many inputs it ran, the replayer how many files."""
    return Outcome(passed=len(re.findall(r"^(?:Done [1-9]\d* runs|.*\b[1-9]\d* files? replayed|[1-9]\d* files?)", text, re.MULTILINE)))


@dataclass(frozen=True)
class Suite:
    name: str
    what: str
    command: list[str]
    count: Callable[[str], Outcome]
    limit: float = 600.0


def make(build: Path, *words: str) -> str:
    return " ".join(["make", "--no-print-directory", "-j2", f"B={build}", *words])


def suites(build: Path) -> list[Suite]:
    python = str(ROOT / ".venv/bin/python")
    asan = f"{build}/asan"
    sanitized = f"B={asan} SAN=address,undefined OPT=-O1"
    fuzzed = f"B={build}/fuzz CC=clang SAN=address,undefined OPT=-O1 CFLAGS=-fsanitize=fuzzer-no-link"
    seconds = os.environ.get("FUZZ_SECONDS", "8")
    fuzz_all = (
        f"for n in $(ls tests/fuzz/fuzz_*.c | grep -v replay | sed 's,.*/fuzz_,,;s,[.]c$,,'); do "
        f"mkdir -p {build}/fuzz/new/$n && {build}/fuzz/fuzz_$n -max_total_time={seconds} -rss_limit_mb=2048 -timeout=10 -print_final_stats=0 "
        f"-artifact_prefix={build}/fuzz/ {build}/fuzz/new/$n tests/fuzz/corpus/$n || exit 1; done"
    )
    shell = ["sh", "-e", "-c"]
    return [
        Suite("lint", "layers, generated files", [python, "tests/lint.py"], count_lines),
        Suite("types", "mypy --strict on the client", [*shell, f"cd client-python && ../.venv/bin/mypy"], count_mypy),
        Suite("unit", "C, Criterion", [*shell, f"{make(build, str(build) + '/unit_tests')} && {build}/unit_tests -j2"], count_criterion),
        Suite("kernels", "every variant against scalar", [*shell, f"{make(build, str(build) + '/kernel_check')} && {build}/kernel_check && {build}/kernel_check --planted"], count_kernels),
        Suite(
            "sanitized",
            "the C tests under AddressSanitizer and UndefinedBehaviorSanitizer",
            [*shell, f"make --no-print-directory -j2 {sanitized} {asan}/unit_tests {asan}/kernel_check && "
                     f"{asan}/unit_tests -j2 && {asan}/kernel_check"],
            count_sanitized,
            2400.0,
        ),
        Suite("fuzz", f"libFuzzer, {seconds} s a target",
              [*shell, f"make --no-print-directory -j2 {fuzzed} fuzz-binaries && {fuzz_all}"], count_fuzz, 2400.0),
        Suite("race", "ThreadSanitizer, torture, planted bugs", [*shell, make(build, "race")], count_lines, 1800.0),
        Suite("models", "spin", [*shell, make(build, "spin")], count_lines),
        Suite("crash", "clients and the daemon killed at random, short form",
              [*shell, f"{make(build, 'all')} && {python} tests/crash/crash.py --build {build} --kills 150"], count_lines, 1800.0),
        Suite("soak", "many processes at random, short form",
              [*shell, f"{make(build, 'all')} && {python} tests/soak/soak.py --build {build} --minutes 0.5"], count_lines),
        Suite("python", "pytest against real daemons", [python, "-m", "pytest", "-c", "tests/system/pytest.ini", "tests/system"], count_pytest, 1800.0),
    ]


def run(suite: Suite, log: Path, environment: dict[str, str]) -> tuple[Outcome, float, str]:
    begin = time.monotonic()
    with open(log, "wb") as file:
        try:
            code = subprocess.run(suite.command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                  env=environment, timeout=suite.limit).returncode
            trouble = "" if code == 0 else f"exit status {code}"
        except subprocess.TimeoutExpired:
            trouble = f"not done within {suite.limit:.0f} s"
    text = log.read_text(errors="replace")
    outcome = suite.count(text)
    if not trouble and outcome.failed:
        trouble = f"{outcome.failed} failed"
    if not trouble and not outcome.passed:
        trouble = "ran nothing"
    return outcome, time.monotonic() - begin, trouble


def failures(text: str) -> list[str]:
    """The lines of a log that name what failed, the last few."""
    named = re.compile(r"\bFAIL(ED)?\b|^ERROR|==ERROR|==\w+Sanitizer\b|\berror:")
    return [line[:300] for line in text.splitlines() if named.search(line)][-12:]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=Path)
    parser.add_argument("suite", nargs="*")
    arguments = parser.parse_args()
    chosen = suites(arguments.build)
    if unknown := set(arguments.suite) - {s.name for s in chosen}:
        parser.error(f"no suite {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in chosen)}")
    chosen = [s for s in chosen if not arguments.suite or s.name in arguments.suite]

    logs = arguments.build / "test-logs"
    logs.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GROMOSD_BINARY": str((ROOT / arguments.build / "gromosd").resolve()),
                   "GROMOSD_BUILD": str((ROOT / arguments.build).resolve())}
    total = Outcome()
    troubles = []
    for suite in chosen:
        print(f"{suite.name:10s} {suite.what} ...", flush=True)
        outcome, seconds, trouble = run(suite, logs / f"{suite.name}.log", environment)
        total.passed += outcome.passed
        total.failed += outcome.failed
        total.skipped += [f"{suite.name}: {reason}" for reason in outcome.skipped]
        if trouble:
            troubles.append(suite.name)
            total.failed += 0 if outcome.failed else 1
            print("".join((logs / f"{suite.name}.log").read_text(errors="replace").splitlines(keepends=True)[-60:]))
        print(f"{'':10s} {outcome.passed} passed, {outcome.failed} failed, {len(outcome.skipped)} skipped, {seconds:.0f} s"
              f"{'  <-- ' + trouble if trouble else ''}", flush=True)
    if total.skipped:
        print("skipped:")
        for reason in total.skipped:
            print(f"  {reason}")
    if troubles:
        print(f"failed suites: {', '.join(troubles)} (logs in {logs})")
        for name in troubles:
            for line in failures((logs / f"{name}.log").read_text(errors="replace")):
                print(f"  {name}: {line}")
    print(f"{total.passed} passed, {total.failed} failed, {len(total.skipped)} skipped")
    return 1 if troubles or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())

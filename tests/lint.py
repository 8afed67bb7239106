#!/usr/bin/env python3
"""What a compiler does not say: layers, where main() is, generated files.

Exit status 1 if something is wrong; the last line counts what was checked.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# A layer may include itself and what stands to its right; engine and io do not know each other.
MAY_INCLUDE = {
    "main": {"service", "io", "engine", "kernels", "core", "proto"},
    "service": {"service", "io", "engine", "kernels", "core", "proto"},
    "io": {"io", "kernels", "core", "proto"},
    "engine": {"engine", "kernels", "core", "proto"},
    "kernels": {"kernels", "core", "proto"},
    "core": {"core", "proto"},
    "proto": {"proto"},
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path: Path) -> str | None:
    parts = path.relative_to(ROOT).parts
    if parts[0] == "proto":
        return "proto"
    if parts[0] == "server":
        return parts[1] if len(parts) > 2 else "main"
    return None


def check_layers() -> tuple[int, list[str]]:
    faults = []
    count = 0
    for path in sorted([*ROOT.glob("server/**/*.[ch]"), *ROOT.glob("proto/*.h")]):
        layer = layer_of(path)
        if layer is None:
            continue
        count += 1
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            target = name.split("/")[0] if "/" in name else layer
            if target in MAY_INCLUDE and target not in MAY_INCLUDE[layer]:
                faults.append(f"{path.relative_to(ROOT)}: layer {layer} must not include {name}")
    return count, faults


def check_no_main_in_layers() -> tuple[int, list[str]]:
    paths = sorted(ROOT.glob("server/*/*.c"))
    faults = [
        f"{p.relative_to(ROOT)}: main() belongs in server/main.c"
        for p in paths
        if re.search(r"^int main\(", p.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    return len(paths), faults


def check_generated() -> tuple[int, list[str]]:
    done = subprocess.run([sys.executable, str(ROOT / "proto/generate.py"), "--check"], capture_output=True, text=True)
    return 1, done.stderr.splitlines() if done.returncode else []


def main() -> int:
    passed = failed = 0
    for name, check in (("layers", check_layers), ("main", check_no_main_in_layers), ("generated", check_generated)):
        count, faults = check()
        for fault in faults:
            print(f"{name}: {fault}")
        failed += len(faults)
        passed += max(count - len(faults), 0)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())

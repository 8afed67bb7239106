#!/usr/bin/env python3
"""Generate everything that follows from the protocol definition.

    python3 proto/generate.py            write the generated files
    python3 proto/generate.py --check    exit 1 and name every file that differs from what would be written
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE))
sys.dont_write_bytecode = True

import gen_c  # noqa: E402
import model as protocol_model  # noqa: E402


def outputs(model: protocol_model.Model) -> dict[Path, Callable[[], str]]:
    files: dict[Path, Callable[[], str]] = {
        HERE / "gd_errors.h": lambda: gen_c.render_errors(model),
        ROOT / "server/service/commands_generated.h": lambda: gen_c.render_commands(model),
        ROOT / "server/service/commands_generated.c": lambda: gen_c.render_table(model),
    }
    if importlib.util.find_spec("gen_energies"):
        import gen_energies

        files[HERE / "gd_energies.h"] = gen_energies.render
        files[ROOT / "client-python/src/gromos/_energy_fields.py"] = gen_energies.render_python
    if importlib.util.find_spec("gen_python"):
        import gen_python

        files[ROOT / "client-python/src/gromos/_protocol.py"] = lambda: gen_python.render(model)
    if importlib.util.find_spec("gen_docs"):
        import gen_docs

        files[HERE / "PROTOCOL.md"] = lambda: gen_docs.render(model)
    return files


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is stale")
    arguments = parser.parse_args()
    stale = 0
    for path, render in outputs(protocol_model.load()).items():
        text = render()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if arguments.check:
            print(f"{path.relative_to(ROOT)} is stale: run python3 proto/generate.py", file=sys.stderr)
            stale += 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Writes deploy/gromosd.conf from the table of settings, server/service/settings.def.

    python3 deploy/make_config.py            write it
    python3 deploy/make_config.py --check    exit 1 if it differs from what would be written
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE.parent / "server" / "service" / "settings.def"
OUTPUT = HERE / "gromosd.conf"
STRING = r'"((?:[^"\\]|\\.)*)"'
ROW = re.compile(rf"^GD_SETTING\((\w+), (\w+), ({STRING}|[^,]+), ([^,]+), ([^,]+), {STRING}, {STRING}\)$")

HEAD = """\
# Settings of gromosd, with their defaults: take the # away from a line to change it. Read with `gromosd --config FILE`; the command
# line wins over the file. Numbers of bytes may end in K, M, G or T (powers of 1024). Made by deploy/make_config.py from
# server/service/settings.def.

[gromosd]
"""


@dataclass(frozen=True)
class Setting:
    name: str
    kind: str
    default: str
    unit: str
    text: str


def settings() -> list[Setting]:
    found = []
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("GD_SETTING"):
            continue
        match = ROW.match(line)
        if match is None:
            raise SystemExit(f"{TABLE}: not understood: {line}")
        name, kind, default, _, _, _, unit, text = match.groups()
        if kind == "bool":
            default = "yes" if default == "1" else "no"
        elif kind == "str":
            default = ast.literal_eval(default)
        found.append(Setting(name, kind, default, unit, ast.literal_eval(f'"{text}"')))
    return found


def render() -> str:
    parts = [HEAD]
    for s in settings():
        words = f"{s.text} ({s.unit})" if s.unit else s.text
        parts.append("\n".join(textwrap.wrap(words, 118, initial_indent="# ", subsequent_indent="# ")) + f"\n#{s.name} = {s.default}".rstrip() + "\n")
    return "\n".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is stale")
    if parser.parse_args().check:
        if OUTPUT.exists() and OUTPUT.read_text(encoding="utf-8") == render():
            return 0
        print(f"{OUTPUT} is stale: run python3 deploy/make_config.py", file=sys.stderr)
        return 1
    OUTPUT.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

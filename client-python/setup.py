"""Build of the C extension gromos._ext; everything else is in pyproject.toml.

The extension shares the headers of proto/ with the daemon, so it is built from a full source tree. It uses nothing beyond the
baseline of the architecture (SSE2 on x86-64, NEON on arm64), so one build serves every machine.
"""

import os
from pathlib import Path

import numpy
from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

if not (ROOT / "proto" / "gd_types.h").exists():
    raise SystemExit(f"gromos is built from the project's source tree: {ROOT / 'proto'} with the shared headers is missing")

extension = Extension(
    "gromos._ext",
    sources=sorted(str(path.relative_to(HERE)) for path in (HERE / "src" / "ext").glob("*.c")),
    depends=[os.path.relpath(path, HERE) for folder in (HERE / "src" / "ext", ROOT / "proto") for path in sorted(folder.glob("*.h"))],
    include_dirs=[os.path.relpath(ROOT, HERE), "src/ext", numpy.get_include()],
    define_macros=[("_GNU_SOURCE", None)],
    extra_compile_args=["-O3", "-std=c17", "-fvisibility=hidden", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"],
    extra_link_args=["-pthread"],
)

setup(ext_modules=[extension])

#!/usr/bin/env python3
"""Generate everything that follows from the protocol definition.

    python3 proto/generate.py            write the generated files
    python3 proto/generate.py --check    exit 1 and name every file that differs from what would be written

Input:  errors.toml, events.toml, commands/*.toml in this folder.
Output: gd_errors.h (C codes), ../server/service/commands_generated.h (dispatch table),
        ../client-python/src/gromos/_protocol.py (typed stubs), PROTOCOL.md (the protocol page).
"""

"""The protocol definition as Python objects: reads and checks the .toml files of this folder."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

TYPES = {"int", "float", "str", "bool", "bytes", "uuid", "state", "vec3", "mat3", "box", "array", "list", "map"}
ROLES = ("anyone", "reader", "writer", "admin")
LEASES = ("none", "read", "write")
"""What a command does to its State's live arrays; it runs under the lease unless it is none."""
RUNS = ("inline", "size", "worker")
"""inline: on the loop thread. size: on a worker when the State is large. worker: always on a worker."""


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: str
    text: str = ""
    unit: str = ""
    optional: bool = False
    default: Any = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    dtype: str = ""
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Error:
    name: str
    code: int
    cls: str
    mixin: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    summary: str
    role: str
    run: str
    lease: str
    local: bool
    door: bool
    noun: str
    args: tuple[Field, ...]
    result: tuple[Field, ...]
    errors: tuple[str, ...]

    @property
    def c_name(self) -> str:
        return self.name.replace(".", "_")


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    text: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Model:
    protocol: dict[str, int]
    errors: tuple[Error, ...]
    commands: tuple[Command, ...]
    events: tuple[Event, ...]


def _field(raw: dict[str, Any], where: str) -> Field:
    raw = dict(raw)
    raw["choices"] = tuple(raw.get("choices", ()))
    field = Field(**raw)
    if field.type not in TYPES:
        raise ValueError(f"{where}: field {field.name} has unknown type {field.type!r}")
    if field.type == "array" and not (field.dtype and field.shape):
        raise ValueError(f"{where}: array {field.name} needs dtype and shape")
    return field


def _load(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def load() -> Model:
    errors = tuple(
        Error(name, raw["code"], raw["class"], raw.get("mixin", ""), raw["text"])
        for name, raw in _load(HERE / "errors.toml")["errors"].items()
    )
    if len({e.code for e in errors}) != len(errors):
        raise ValueError("errors.toml: a code is used twice")
    known = {e.name for e in errors}

    commands: list[Command] = []
    for path in sorted((HERE / "commands").glob("*.toml")):
        document = _load(path)
        defaults = document.get("defaults", {})
        for raw in document["command"]:
            where = f"{path.name}: {raw['name']}"
            args = tuple(_field(defaults[a] if isinstance(a, str) else a, where) for a in raw["args"])
            command = Command(
                name=raw["name"],
                summary=raw["summary"],
                role=raw["role"],
                run=raw.get("run", "inline"),
                lease=raw.get("lease", "none"),
                local=raw.get("local", False),
                door=document.get("door", False),
                noun=path.stem,
                args=args,
                result=tuple(_field(r, where) for r in raw["result"]),
                errors=tuple(raw.get("errors", ())),
            )
            if command.role not in ROLES or command.run not in RUNS or command.lease not in LEASES:
                raise ValueError(f"{where}: unknown role {command.role!r}, run {command.run!r} or lease {command.lease!r}")
            if unknown := set(command.errors) - known:
                raise ValueError(f"{where}: unknown errors {sorted(unknown)}")
            commands.append(command)
    commands.sort(key=lambda c: c.name)
    if len({c.name for c in commands}) != len(commands):
        raise ValueError("a command is defined twice")

    events = tuple(
        Event(name, raw["text"], tuple(_field(f, f"event {name}") for f in raw["fields"]))
        for name, raw in _load(HERE / "events.toml")["events"].items()
    )
    return Model(_load(HERE / "protocol.toml")["protocol"], errors, tuple(commands), events)

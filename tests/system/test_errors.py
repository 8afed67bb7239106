"""The exception tree and the public names."""

import copy
import pickle
import sys
from pathlib import Path

import gromos
import pytest
from gromos import _errors, _protocol

ROOT = Path(__file__).resolve().parents[2]

PUBLIC = {
    "Bounds", "Box", "BoxDimensions", "BoxKind", "Configuration", "Edit", "Energy", "Frame", "Frames", "Mat3", "RemoteEdit",
    "RemoteFrame", "Session", "State", "StateDescribeResult", "Superposition", "System", "Topology", "Vec3", "__version__", "attach",
    "connect", "default_session", "load", "progress",
    "CSVReporter", "CallbackReporter", "EnergyReporter", "InputParameters", "Job", "JobDescribeResult", "LogLine", "Reporter", "Restraints",
    "Simulation", "SinglePoint", "Solvent", "StateCheckpointResult", "jobs", "restore", "select", "EnergyTrajectory", "Trajectory",
    "TrajectoryFrame", "iter_trajectory", "read_energies", "read_trajectory", "Events", "StateEvent",
    "SpecialTrajectory", "read_special",
}  # fmt: skip


def test_public_names():
    errors = {info.cls for info in _protocol.ERRORS.values()} | {"GromosError"}
    assert set(gromos.__all__) == PUBLIC | errors
    for name in gromos.__all__:
        assert hasattr(gromos, name), name


def test_every_error_of_the_protocol_has_its_class():
    for name, info in _protocol.ERRORS.items():
        cls = _errors.CLASSES[name]
        assert cls.__name__ == info.cls
        assert cls.code == name
        assert cls.__doc__ == info.text
        assert issubclass(cls, gromos.GromosError)
        if info.mixin:
            assert issubclass(cls, getattr(__import__("builtins"), info.mixin))
        assert f"+-- {info.cls} " in _errors.__doc__
        assert type(_errors.from_number(info.code, "text")) is cls
    assert set(_errors.CLASSES) == set(_protocol.ERRORS)


def test_an_error_carries_command_code_and_request():
    error = _errors.from_reply({"code": "not_found", "message": "no 'w'", "detail": {"a": 1}}, "state.get", 9)
    assert isinstance(error, gromos.NotFoundError)
    assert isinstance(error, LookupError)
    assert (error.code, error.command, error.request_id, error.detail, str(error)) == ("not_found", "state.get", 9, {"a": 1}, "no 'w'")


def test_a_code_from_the_future_is_still_an_error():
    error = _errors.from_reply({"code": "too_blue", "message": "m"}, "ping", 1)
    assert type(error) is gromos.GromosError
    assert "too_blue" in str(error)


@pytest.mark.parametrize("cls", sorted(_errors.CLASSES.values(), key=lambda c: c.__name__), ids=lambda c: c.__name__)
def test_errors_pickle_and_copy(cls):
    error = cls("what", command="ping", request_id=4, detail={"k": 2})
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is cls
        assert (other.args, str(other), other.command, other.request_id, other.detail) == (("what",), "what", "ping", 4, {"k": 2})


def test_generated_files_are_fresh():
    sys.path.insert(0, str(ROOT / "proto"))
    sys.dont_write_bytecode = True
    try:
        import generate
        import model

        for path, render in generate.outputs(model.load()).items():
            assert path.read_text() == render(), f"{path} is stale: run python3 proto/generate.py"
    finally:
        sys.path.remove(str(ROOT / "proto"))

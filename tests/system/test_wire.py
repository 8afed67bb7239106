"""The wire format without a daemon: arguments to bytes, bytes to replies."""

import uuid
from random import Random

import gromos
import msgpack
import numpy as np
import pytest
from gromos import _protocol, _wire


def test_version_is_that_of_the_protocol():
    assert _wire.VERSION == _protocol.PROTOCOL_VERSION


def test_a_request_is_a_map_with_four_fields():
    request = _wire.encode("state.create", {"num_atoms": 7, "name": "w"})
    assert msgpack.unpackb(request.head(5)) == {"v": 1, "id": 5, "cmd": "state.create", "args": {"num_atoms": 7, "name": "w"}}
    assert msgpack.unpackb(request.head(2**32 + 3))["id"] == 3


def test_arrays_become_parts():
    pairs = np.arange(8, dtype="<i4").reshape(4, 2)[::2]
    request = _wire.encode("state.distances", {"state": b"0" * 16, "pairs": pairs})
    assert msgpack.unpackb(request.head(1))["args"]["pairs"] == {"part": 1, "dtype": "i4", "shape": [2, 2]}
    assert request.parts[0].tobytes() == pairs.tobytes()


def test_an_array_given_twice_is_sent_once():
    atoms, equal = np.arange(5, dtype=np.int32), np.arange(5, dtype=np.int32)
    request = _wire.encode("state.rdf", {"state": b"0" * 16, "atoms_a": atoms, "atoms_b": atoms, "other": equal})
    args = msgpack.unpackb(request.head(1))["args"]
    assert [args[name]["part"] for name in ("atoms_a", "atoms_b", "other")] == [1, 1, 2]
    assert [part is atoms for part in request.parts] == [True, False]


def test_what_cannot_be_sent_is_named():
    with pytest.raises(gromos.InvalidArgumentError, match="state.create"):
        _wire.encode("state.create", {"name": object()})
    with pytest.raises(gromos.InvalidArgumentError):
        _wire.encode("state.create", {"num_atoms": 2**70})


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([0, 2, 1], "<i8", [0, 2, 1]),
        (np.array([3], np.int32), "<i4", [3]),
        (np.array([3], np.uint8), "<i4", [3]),
        (np.array([3], np.uint32), "<i8", [3]),
        (np.array([3], ">i4"), "<i4", [3]),
        ([True, False, True], "<i8", [0, 2]),
        (range(3), "<i8", [0, 1, 2]),
        (slice(1, 4), "<i8", [1, 2, 3]),
        ([], "<i4", []),
    ],
)
def test_index_arguments(value, dtype, expected):
    array = _wire.array("atoms", value, "int", "(m,)")
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([0.5], gromos.DTypeError),
        (["a"], gromos.DTypeError),
        ([[0, 1]], gromos.ShapeError),
        (3, gromos.ShapeError),
        ([[0], [1, 2]], gromos.ShapeError),
        (np.array([2**63], np.uint64), gromos.IndexRangeError),
        (slice(None), gromos.InvalidArgumentError),
        ([1 + 2j], gromos.DTypeError),
        ([None], gromos.DTypeError),
    ],
)
def test_index_arguments_that_are_refused(value, error):
    with pytest.raises(error, match="'atoms'"):
        _wire.array("atoms", value, "int", "(m,)")


def test_real_arrays_keep_single_precision_and_widen_the_rest():
    assert _wire.array("a", np.zeros((2, 3), np.float32), "float", "(n, 3)").dtype == np.float32
    assert _wire.array("a", [[1, 2, 3]], "float", "(n, 3)").dtype == np.float64
    assert _wire.array("a", np.zeros((1, 3), np.float16), "float", "(n, 3)").dtype == np.float32
    with pytest.raises(gromos.ShapeError, match=r"\(3, 2\).*\(n, 3\)"):
        _wire.array("a", np.zeros((3, 2)), "float", "(n, 3)")
    with pytest.raises(gromos.DTypeError):
        _wire.array("a", np.zeros((2, 3), complex), "float", "(n, 3)")


def test_small_arguments():
    assert _wire.vec3("v", gromos.Vec3(1, 2, 3)) == [1.0, 2.0, 3.0]
    assert _wire.mat3("m", np.eye(3)) == [1, 0, 0, 0, 1, 0, 0, 0, 1]
    assert _wire.integer("i", np.int16(4)) == 4
    assert _wire.number("x", np.float32(0.5)) == 0.5
    assert _wire.box("box", gromos.Box.rectangular(1, 2, 3)) == {"kind": 1, "vectors": [1, 0, 0, 0, 2, 0, 0, 0, 3]}
    u = uuid.uuid4()
    assert _wire.state("state", u) == u.bytes == _wire.state("state", u.bytes)
    assert _wire.state("state", "name") == "name"


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: _wire.vec3("v", [1, 2]), gromos.ShapeError),
        (lambda: _wire.vec3("v", [1, 2, np.nan]), gromos.NotFiniteError),
        (lambda: _wire.vec3("v", ["a", "b", "c"]), gromos.DTypeError),
        (lambda: _wire.mat3("v", np.zeros((3, 4))), gromos.ShapeError),
        (lambda: _wire.integer("v", 1.0), gromos.InvalidArgumentError),
        (lambda: _wire.integer("v", "1"), gromos.InvalidArgumentError),
        (lambda: _wire.number("v", "x"), gromos.InvalidArgumentError),
        (lambda: _wire.number("v", float("inf")), gromos.NotFiniteError),
        (lambda: _wire.box("v", [1, 2, 3]), gromos.InvalidArgumentError),
        (lambda: _wire.state("v", 7), gromos.InvalidArgumentError),
        (lambda: _wire.state("v", b"short"), gromos.InvalidArgumentError),
        (lambda: _wire.state("v", ""), gromos.InvalidArgumentError),
        (lambda: _wire.state("v", "a\0b"), gromos.InvalidArgumentError),
        (lambda: _wire.state("v", "\udc80"), gromos.InvalidArgumentError),
    ],
)
def test_small_arguments_that_are_refused(call, error):
    with pytest.raises(error, match="'v'"):
        call()


def test_results_get_their_arrays():
    data = np.arange(6, dtype="<f4")
    result = {"a": {"part": 1, "dtype": "f4", "shape": [2, 3]}, "deep": {"b": {"part": 2, "dtype": "u1", "shape": [3]}}, "n": 1}
    _wire.attach_arrays(result, [data.tobytes(), b"xyz"])
    assert (result["a"] == data.reshape(2, 3)).all()
    assert result["deep"]["b"].tobytes() == b"xyz"
    assert not result["a"].flags.writeable


def test_a_result_says_whether_it_names_parts():
    part = {"part": 1, "dtype": "f4", "shape": [2]}
    segment = {"segment": 1, "offset": 0, "bytes": 4, "dtype": "f4", "shape": [1]}
    assert _wire.names_parts({"a": 1, "b": part}) and _wire.names_parts({"a": segment, "deep": {"b": part}})
    assert not _wire.names_parts({"a": [part], "b": segment, "c": {"part": 1}})
    assert _wire.refers({"a": segment}) and not _wire.refers({"a": [part], "b": 1})


def test_results_in_shared_memory_are_fetched_once_for_all_arrays():
    segment = np.arange(10, dtype="<f8").tobytes()
    asked = []

    def fetch(number, nbytes):
        asked.append((number, nbytes))
        return segment

    result = {
        "a": {"segment": 5, "offset": 0, "bytes": 16, "dtype": "f8", "shape": [2]},
        "b": {"segment": 5, "offset": 64, "bytes": 16, "dtype": "f8", "shape": [1, 2]},
    }
    _wire.attach_arrays(result, [], fetch)
    assert asked == [(5, 80)]
    assert result["a"].tolist() == [0, 1]
    assert result["b"].tolist() == [[8, 9]]


@pytest.mark.parametrize(
    ("result", "parts"),
    [
        ({"a": {"part": 1, "dtype": "f4", "shape": [2]}}, []),
        ({"a": {"part": 0, "dtype": "f4", "shape": [2]}}, [b"12345678"]),
        ({"a": {"part": 1, "dtype": "f4", "shape": [3]}}, [b"12345678"]),
        ({"a": {"segment": 1, "offset": 0, "bytes": 4, "dtype": "f4", "shape": [1]}}, []),
    ],
)
def test_results_that_do_not_fit_are_refused(result, parts):
    with pytest.raises(gromos.InvalidMessageError):
        _wire.attach_arrays(result, parts)


def random_value(random, depth=0):
    kind = random.choice("niifftbBLM" if depth < 5 else "niifftbB")
    size = random.choice([0, 1, 3, 15, 16, 31, 32, 255, 256, 65536] if depth == 0 else [0, 1, 3, 16, 40])
    match kind:
        case "n":
            return random.choice([None, True, False])
        case "i":
            bits = random.choice([1, 5, 7, 8, 15, 16, 31, 32, 63, 64])
            return random.choice([2**bits - 1, -(2 ** min(bits, 63)), -(2 ** min(bits, 63)) + 1, random.getrandbits(bits)])
        case "f":
            return random.choice([0.0, -1.5, float("inf"), 1e-320, random.gauss(0, 1e10)])
        case "t" | "b":
            text = "".join(random.choices("ab\u00e5\u4e2d\U0001f600", k=size))
            return text if kind == "t" else text.encode()
        case "B":
            return random.randbytes(size)
        case "L":
            return [random_value(random, depth + 1) for _ in range(min(size, 40))]
    return {f"key {i}": random_value(random, depth + 1) for i in range(min(size, 40))}


def test_replies_are_read_as_msgpack_does():
    random = Random(7)
    for _ in range(1500):
        message = {"id": 1, "ok": True, "result": random_value(random)}
        data = msgpack.packb(message, use_single_float=random.random() < 0.2)
        assert _wire.decode(data) == msgpack.unpackb(data)
        end = random.randrange(len(data))
        with pytest.raises(gromos.InvalidMessageError):
            _wire.decode(data[:end])
        with pytest.raises(gromos.InvalidMessageError):
            _wire.decode(data + b"\x00")


def test_replies_that_lie_about_their_lengths_take_no_memory():
    for head in (b"\xdd", b"\xdf", b"\xdb", b"\xc6"):
        with pytest.raises(gromos.InvalidMessageError):
            _wire.decode(b"\x83\xa2id\x01\xa2ok\xc3\xa6result" + head + b"\xff\xff\xff\xff" + bytes(100))
    with pytest.raises(gromos.InvalidMessageError, match="too deep"):
        _wire.decode(b"\x91" * 100_000)


def test_bytes_damaged_anywhere_are_read_or_refused():
    random = Random(11)
    for _ in range(3000):
        data = bytearray(msgpack.packb({"id": 1, "ok": True, "result": {"a": {"part": 1, "dtype": "f8", "shape": [2, 3]}, "t": "text"}}))
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            result = _wire.decode(bytes(data)).get("result")
            if isinstance(result, dict):
                _wire.attach_arrays(result, [bytes(48)])
        except gromos.InvalidMessageError:
            pass


def test_arrays_of_a_result_are_as_numpy_makes_them():
    memory = bytes(range(256))
    for dtype in ("f4", "f8", "i4", "i8", "u1"):
        for shape in ((), (3,), (2, 3), (1, 1, 2), (0, 3), (5, 1)):
            result = {"a": {"segment": 9, "offset": 3, "bytes": 100, "dtype": dtype, "shape": list(shape)}}
            _wire.attach_arrays(result, [], lambda number, nbytes: memory)
            expected = np.ndarray(shape, f"<{dtype}", memory, 3)
            assert np.array_equal(result["a"], expected, equal_nan=dtype[0] == "f")
            assert (result["a"].dtype, result["a"].shape) == (expected.dtype, expected.shape)
            assert result["a"].strides == expected.strides or result["a"].size == 0
            for flag in ("C_CONTIGUOUS", "F_CONTIGUOUS", "ALIGNED", "WRITEABLE", "OWNDATA"):
                assert result["a"].flags[flag] == expected.flags[flag] or result["a"].size == 0, flag


def test_an_array_keeps_the_memory_it_lies_in():
    memory = bytearray(64)
    result = {"a": {"part": 1, "dtype": "u1", "shape": [64]}}
    _wire.attach_arrays(result, [memory])
    with pytest.raises(BufferError):
        memory.clear()
    del result["a"]
    memory.clear()


@pytest.mark.parametrize(
    "about",
    [
        {"part": "1", "dtype": "f4", "shape": [1]},
        {"part": -1, "dtype": "f4", "shape": [1]},
        {"part": 2**70, "dtype": "f4", "shape": [1]},
        {"part": 1, "dtype": "f2", "shape": [1]},
        {"part": 1, "dtype": 4, "shape": [1]},
        {"part": 1, "dtype": "f4", "shape": 1},
        {"part": 1, "dtype": "f4", "shape": [-1]},
        {"part": 1, "dtype": "f4", "shape": [2**62, 8]},
        {"part": 1, "dtype": "f4", "shape": ["1"]},
        {"part": 1, "dtype": "f4", "shape": [0] * 100},
        {"segment": 1, "offset": 62, "bytes": 4, "dtype": "f4", "shape": [1]},
        {"segment": 1, "offset": 2**63, "bytes": 2**63, "dtype": "f4", "shape": [1]},
        {"segment": 1, "offset": None, "bytes": 4, "dtype": "f4", "shape": [1]},
        {"segment": 1, "bytes": 4, "dtype": "f4", "shape": [1]},
    ],
)
def test_arrays_described_wrongly_are_refused(about):
    with pytest.raises(gromos.InvalidMessageError):
        _wire.attach_arrays({"a": about}, [bytes(64)], lambda number, nbytes: bytes(64))


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\x01", msgpack.packb([1]), msgpack.packb({"id": 1}), msgpack.packb(5)])
def test_what_is_no_reply_is_refused(data):
    with pytest.raises(gromos.InvalidMessageError):
        _wire.decode(data)


@pytest.mark.parametrize(
    "value",
    [None, True, False, "", "x" * 31, "x" * 32, "ä" * 200, "x" * 70_000, b"", b"x" * 255, b"x" * 256, b"x" * 70_000, bytearray(b"ab"), 0.1, -0.0,
     float("inf"), [], list(range(15)), list(range(16)), list(range(70_000)), (1, [2.5, "a"]), {}, {str(i): i for i in range(16)}]
    + [sign * (2**power + off) for power in (0, 5, 7, 8, 15, 16, 31, 32, 63) for off in (-1, 0) for sign in (1, -1)]
    + [2**64 - 1],
    ids=lambda value: repr(value)[:20],
)
def test_requests_are_the_bytes_that_msgpack_makes(value):
    request = _wire.encode("state.create", {"value": value, "more": [value]})
    assert request.head(258) == msgpack.packb({"v": 1, "id": 0x10203, "cmd": "state.create", "args": {"value": value, "more": [value]}}).replace(
        b"\xce\x00\x01\x02\x03", b"\xce\x00\x00\x01\x02", 1
    )


def endless():
    value = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value", [object(), 2**64, -(2**63) - 1, "\ud800", np.float32(1), endless(), np.zeros(2, complex), np.zeros(2, ">f8"), [np.zeros(2)]], ids=lambda v: type(v).__name__
)
def test_what_no_request_can_hold_is_refused(value):
    with pytest.raises(gromos.InvalidArgumentError, match=r"state\.create: an argument cannot be sent"):
        _wire.encode("state.create", {"value": value})


def test_where_arrays_lie_in_memory_stands_behind_the_arguments():
    request = _wire.encode("state.distances", {"state": b"0" * 16, "pairs": np.zeros((2, 2), "<i4")})
    message = msgpack.unpackb(request.in_memory([7, 0, 2**40]).head(1))
    assert message["memory"] == [7, 0, 2**40]
    assert message["args"]["pairs"]["part"] == 1
    assert len(message) == 5
    assert request.in_memory([7, 0, 8]).parts == ()
    with pytest.raises(TypeError):
        request.with_parts([])
    with pytest.raises(TypeError):
        request.head("1")

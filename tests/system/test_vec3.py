"""gromos.Vec3 against Python floats (double) and NumPy float32.

Arithmetic is specified to the last bit: sums of products are formed in double in the order x, y, z, vectors are rounded once to
float32. So the expected values below are computed by the same formula in Python floats and compared for equality, no tolerance.
"""

import collections.abc
import copy
import doctest
import gc
import inspect
import io
import math
import os
import pickle
import random
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gromos
from gromos import Mat3, Vec3

# the same examples in every run, and no limit that depends on how busy the machine is
examples = settings(max_examples=200, derandomize=True, database=None, deadline=None)

float32s = st.floats(width=32)
finite32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
vectors = st.builds(Vec3, finite32, finite32, finite32)
scalars = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)


def rounded(*components):
    """The Vec3 of doubles rounded once to float32, by NumPy."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        return Vec3.from_numpy(np.array(components, dtype=np.float64).astype(np.float32))


def same_bits(a, b):
    return a.to_numpy().tobytes() == b.to_numpy().tobytes()


# --- making one


def test_components_are_float32_of_what_was_given():
    v = Vec3(0.1, -2, np.float64(3.5))
    assert (v.x, v.y, v.z) == (float(np.float32(0.1)), -2.0, 3.5)
    assert type(v.x) is float


def test_keywords():
    assert Vec3(z=3, x=1, y=2) == Vec3(1, 2, 3) == Vec3(1, z=3, y=2) == Vec3.__new__(Vec3, 1, 2, z=3)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Vec3(), TypeError, "three numbers x, y, z (0 given)"),
        (lambda: Vec3(1, 2), TypeError, "(2 given)"),
        (lambda: Vec3(1, 2, 3, 4), TypeError, "(4 given)"),
        (lambda: Vec3([1, 2, 3]), TypeError, "Vec3.from_numpy"),
        (lambda: Vec3(1, 2, w=3), TypeError, "'w'"),
        (lambda: Vec3(1, 2, x=3), TypeError, "x twice"),
        (lambda: Vec3.__new__(Vec3, 1, 2), TypeError, "(2 given)"),
        (lambda: Vec3(1, "2", 3), TypeError, "y must be a real number, not str"),
        (lambda: Vec3(1, 2, None), TypeError, "z must be a real number"),
        (lambda: Vec3(1j, 2, 3), TypeError, "x must be a real number"),
        (lambda: Vec3(10**400, 2, 3), OverflowError, "too large"),
        (lambda: Vec3.from_numpy([1, 2]), ValueError, "must have shape (3,), not (2,)"),
        (lambda: Vec3.from_numpy(np.zeros((1, 3))), ValueError, "not (1, 3)"),
        (lambda: Vec3.from_numpy(5.0), ValueError, "not ()"),
        (lambda: Vec3.from_numpy(["a", "b", "c"]), TypeError, "real numbers, not <U1"),
        (lambda: Vec3.from_numpy(np.zeros(3, complex)), TypeError, "complex128"),
        (lambda: Vec3.from_numpy([None, 1, 2]), TypeError, "object"),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


class Number:
    def __float__(self):
        return 2.5


class Broken:
    def __float__(self):
        raise RuntimeError("no number today")


def test_anything_with_float():
    assert Vec3(Number(), True, np.float32(1.5)) == Vec3(2.5, 1, 1.5)
    with pytest.raises(RuntimeError, match="no number today"):
        Vec3(0, Broken(), 0)


def test_beyond_float32_becomes_infinite_and_nan_is_taken():
    v = Vec3(1e300, -1e300, math.nan)
    assert v.x == math.inf and v.y == -math.inf and math.isnan(v.z)
    assert Vec3.from_numpy(np.array([1e300, 0, 0])).x == math.inf


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", ">f8", "f2", "i1", "u8", "?", "longdouble"])
def test_from_numpy_types(dtype):
    assert Vec3.from_numpy(np.array([1, 0, 1], dtype=dtype)) == Vec3(1, 0, 1)


def test_from_numpy_strided_unaligned_readonly():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert Vec3.from_numpy(a[:, 1]) == Vec3(1, 5, 9)
    assert Vec3.from_numpy(a[0, 2::-1]) == Vec3(2, 1, 0)
    raw = np.frombuffer(b"\0" + np.array([1, 2, 3], np.float32).tobytes(), dtype=np.uint8)
    assert Vec3.from_numpy(raw[1:].view(np.float32)) == Vec3(1, 2, 3)
    assert Vec3.from_numpy((1, 2, 3)) == Vec3.from_numpy(Vec3(1, 2, 3)) == Vec3(1, 2, 3)


# --- a value


def test_cannot_be_changed():
    v = Vec3(1, 2, 3)
    for name in ("x", "y", "z", "w"):
        with pytest.raises((AttributeError, TypeError)):
            setattr(v, name, 0.0)
    with pytest.raises(TypeError):
        v[0] = 1.0
    with pytest.raises(TypeError):
        Vec3.dot = None
    with pytest.raises(TypeError):
        type("Sub", (Vec3,), {})


def test_equality_and_hash():
    a, b = Vec3(1, 2, 3), Vec3(1, 2, 3)
    assert a == b and not a != b and hash(a) == hash(b) and a is not b
    assert a != Vec3(1, 2, 4) and a != Vec3(2, 1, 3)
    assert Vec3(0.0, 0.0, 0.0) == Vec3(-0.0, 0.0, -0.0) and hash(Vec3(0.0, 0.0, 0.0)) == hash(Vec3(-0.0, 0.0, -0.0))
    nan = Vec3(math.nan, 0, 0)
    assert nan != nan and not nan == nan
    assert a != (1, 2, 3) and (a == "abc") is False and a != None  # noqa: E711
    assert {a: 1}[b] == 1
    for operation in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(a, operation)(b) is NotImplemented


def test_hash_spreads():
    grid = [Vec3(x, y, z) for x in range(20) for y in range(20) for z in range(20)]
    hashes = {hash(v) for v in grid}
    assert len(hashes) == len(grid)
    buckets = {h & 0x3FFF for h in hashes}
    assert len(buckets) > 5500  # 8000 balls into 16384 urns at random leave 6330 occupied


def test_copy_and_pickle():
    v = Vec3(0.1, -0.0, math.inf)
    assert copy.copy(v) is v and copy.deepcopy([v])[0] is v
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert same_bits(pickle.loads(pickle.dumps(v, protocol)), v)


def test_repr():
    assert repr(Vec3(1, 2.5, -0.1)) == str(Vec3(1, 2.5, -0.1)) == "Vec3(1.0, 2.5, -0.1)"
    assert repr(Vec3(1e10, math.inf, math.nan)) == "Vec3(1e+10, inf, nan)"


@examples
@given(vectors)
def test_repr_reads_back(v):
    assert same_bits(eval(repr(v)), v)


def test_format():
    v = Vec3(1, 2.5, -3)
    assert f"{v}" == repr(v)
    assert f"{v:.2f}" == "Vec3(1.00, 2.50, -3.00)" == format(v, ".2f")
    assert f"{v:6.1f}" == "Vec3(   1.0,    2.5,   -3.0)"
    with pytest.raises(ValueError, match="format"):
        f"{v:nonsense}"
    with pytest.raises(TypeError):
        v.__format__(3)


# --- sequence


def test_sequence():
    v = Vec3(1, 2, 3)
    assert len(v) == 3 and list(v) == [1.0, 2.0, 3.0] and tuple(reversed(v)) == (3.0, 2.0, 1.0)
    assert [v[i] for i in (0, 1, 2, -1, -2, -3)] == [1, 2, 3, 3, 2, 1]
    assert v[np.int64(1)] == 2.0 and v[:2] == (1.0, 2.0) and v[::-1] == (3.0, 2.0, 1.0)
    assert 2.0 in v and 5.0 not in v
    x, y, z = v
    assert (x, y, z) == (1, 2, 3)
    for index in (3, -4, 10**30, -(10**30)):
        with pytest.raises(IndexError):
            v[index]
    for key in ("x", 1.0, (0, 1), None):
        with pytest.raises(TypeError):
            v[key]
    assert isinstance(v, collections.abc.Iterable) and isinstance(v, collections.abc.Hashable)


def test_match():
    match Vec3(1, 2, 3):
        case Vec3(a, b, z=c):
            assert (a, b, c) == (1, 2, 3)
        case _:
            pytest.fail("no match by class")
    match Vec3(1, 2, 3):
        case [a, *rest]:
            assert (a, rest) == (1, [2, 3])
        case _:
            pytest.fail("no match as a sequence")


# --- arithmetic


@examples
@given(vectors, vectors)
def test_sums_are_float32_sums(a, b):
    with np.errstate(over="ignore"):
        assert same_bits(a + b, Vec3.from_numpy(a.to_numpy() + b.to_numpy()))
        assert same_bits(a - b, Vec3.from_numpy(a.to_numpy() - b.to_numpy()))
    assert same_bits(-a, Vec3.from_numpy(-a.to_numpy())) and +a is a


@examples
@given(vectors, scalars)
def test_scaling_is_rounded_once(a, s):
    expected = rounded(a.x * s, a.y * s, a.z * s)
    assert same_bits(a * s, expected) and same_bits(s * a, expected)
    assert same_bits(a * np.float64(s), expected) and same_bits(np.float64(s) * a, expected)
    if abs(s) > 1e-30:
        assert same_bits(a / s, rounded(a.x / s, a.y / s, a.z / s))


@examples
@given(vectors, finite32)
def test_scaling_by_float32_is_numpys(a, s):
    with np.errstate(all="ignore"):
        assert same_bits(a * np.float32(s), Vec3.from_numpy(a.to_numpy() * np.float32(s)))
        assert same_bits(np.float32(s) * a, Vec3.from_numpy(np.float32(s) * a.to_numpy()))
        if s != 0:
            assert same_bits(a / np.float32(s), Vec3.from_numpy(a.to_numpy() / np.float32(s)))


@examples
@given(vectors, vectors)
def test_products(a, b):
    assert a.dot(b) == a.x * b.x + a.y * b.y + a.z * b.z
    assert a.length_squared() == a.x * a.x + a.y * a.y + a.z * a.z == a.dot(a)
    assert a.length() == abs(a) == math.sqrt(a.length_squared())
    dx, dy, dz = a.x - b.x, a.y - b.y, a.z - b.z
    assert a.distance(b) == math.sqrt(dx * dx + dy * dy + dz * dz) == b.distance(a)
    expected = rounded(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x)
    assert same_bits(a.cross(b), expected)


@examples
@given(vectors)
def test_normalize(a):
    length = a.length()
    if length == 0.0:
        with pytest.raises(ValueError, match="its length is zero"):
            a.normalize()
        return
    unit = a.normalize()
    assert same_bits(unit, rounded(a.x / length, a.y / length, a.z / length))
    assert unit.length() == pytest.approx(1.0, abs=2.0**-23)  # each component is off by 2^-25 at most


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_normalize_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="not finite"):
        Vec3(1, bad, 0).normalize()


def test_no_overflow_or_underflow_on_the_way():
    big, small = Vec3(3e38, 3e38, 3e38), Vec3(1e-45, 0, 0)
    assert big.length() == pytest.approx(3e38 * math.sqrt(3), rel=1e-7)  # 3e38 is rounded to float32
    assert big.dot(big) == pytest.approx(2.7e77, rel=1e-6)
    assert small.length() == small.x > 0 and small.normalize() == Vec3(1, 0, 0)


def test_wrong_operands():
    v = Vec3(1, 2, 3)
    with pytest.raises(TypeError, match=r"dot\(\) or cross\(\)"):
        v * v
    for operation in (lambda: v + 1, lambda: 1 - v, lambda: v + (1, 2, 3), lambda: 1 / v, lambda: v * "a", lambda: v * None, lambda: v @ v,
                      lambda: v / v, lambda: v * 1j, lambda: v**2, lambda: v % 2, lambda: v + Mat3.identity(), lambda: np.float64(1) + v):
        with pytest.raises(TypeError):
            operation()
    for zero in (0, 0.0, -0.0, np.float32(0), False):
        with pytest.raises(ZeroDivisionError):
            v / zero
    with pytest.raises(OverflowError):
        v * 10**400
    for method in ("dot", "cross", "distance"):
        with pytest.raises(TypeError, match=rf"{method}\(\) takes a Vec3, not list"):
            getattr(v, method)([1, 2, 3])
        with pytest.raises(TypeError):
            getattr(v, method)()


def test_augmented_assignment_makes_a_new_value():
    v = w = Vec3(1, 2, 3)
    v += Vec3(1, 1, 1)
    v *= 2
    assert v == Vec3(4, 6, 8) and w == Vec3(1, 2, 3)


# --- NumPy


def test_to_numpy_is_a_fresh_array():
    v = Vec3(1, 2, 3)
    a = v.to_numpy()
    assert a.dtype == np.float32 and a.shape == (3,) and a.strides == (4,) and a.flags.c_contiguous and a.flags.owndata and a.flags.writeable
    a[:] = 0
    assert v == Vec3(1, 2, 3)


def test_asarray_is_a_view_that_keeps_the_vector():
    v = Vec3(1, 2, 3)
    a = np.asarray(v)
    assert a.dtype == np.float32 and a.tolist() == [1, 2, 3] and not a.flags.writeable
    assert np.asarray(v).__array_interface__["data"][0] == a.__array_interface__["data"][0]
    assert a.__array_interface__["data"][0] % 16 == 0
    count = sys.getrefcount(v)
    b = np.asarray(v)
    assert sys.getrefcount(v) > count
    del b
    assert sys.getrefcount(v) == count
    del v
    trash = [Vec3(9, 9, 9) for _ in range(1000)]  # would take the place of a freed vector
    assert a.tolist() == [1, 2, 3] and len(trash) == 1000
    assert np.asarray(Vec3(1, 2, 3), dtype=np.float64).dtype == np.float64
    assert np.array([Vec3(1, 2, 3), Vec3(4, 5, 6)]).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_buffer():
    view = memoryview(Vec3(1, 2, 3))
    assert view.format == "f" and view.shape == (3,) and view.strides == (4,) and view.readonly and view.nbytes == 12
    assert bytes(view) == np.array([1, 2, 3], np.float32).tobytes() and view.tolist() == [1, 2, 3]
    with pytest.raises(TypeError):
        view[0] = 1.0
    with pytest.raises((TypeError, BufferError), match="read"):
        io.BytesIO(b"0" * 12).readinto(Vec3(1, 2, 3))


def test_arrays_as_operands():
    v = Vec3(1, 2, 3)
    p = np.arange(12, dtype=np.float32).reshape(4, 3)
    for moved in (p + v, v + p):
        assert isinstance(moved, np.ndarray) and moved.dtype == np.float32 and np.array_equal(moved, p + v.to_numpy())
    assert np.array_equal(p - v, p - v.to_numpy()) and np.array_equal(v - p, v.to_numpy() - p)
    assert np.array_equal(p * v, p * v.to_numpy()) and np.array_equal(v * p, p * v.to_numpy())
    assert np.array_equal(p / v, p / v.to_numpy()) and np.array_equal(v / (p + 1), v.to_numpy() / (p + 1))
    assert np.array_equal(p @ v, p @ v.to_numpy()) and np.array_equal(v @ p.T, v.to_numpy() @ p.T)
    assert np.array_equal(p == v, p == v.to_numpy()) and np.array_equal(v != p, p != v.to_numpy())
    assert np.array_equal(np.add(p, v), p + v.to_numpy()) and np.linalg.norm(v) == np.float32(v.length())
    q = p.copy()
    q += v
    assert np.array_equal(q, p + v.to_numpy())
    with pytest.raises(ValueError, match="broadcast"):
        v + np.zeros((4, 2))


# --- objects: the free list, references, threads


def test_nothing_leaks():
    a, b = Vec3(1, 2, 3), Vec3(4, 5, 6)
    array = np.zeros(3)

    def work():
        for _ in range(200):
            a + b, a - b, a * 2, 2.0 * a, a / 2, -a, a.cross(b), a.normalize(), a.dot(b), a.length(), a.distance(b), abs(a)
            a == b, hash(a), repr(a), f"{a:.1f}", list(a), a[1], a[:], a.to_numpy(), np.asarray(a), array + a, a == array
            Vec3(1, 2, 3), Vec3(x=1, y=2, z=3), Vec3.__new__(Vec3, 1, y=2, z=3), Vec3.from_numpy(array), pickle.loads(pickle.dumps(a)), memoryview(a)
            for wrong in (lambda: a + 1, lambda: Vec3(1, 2), lambda: Vec3(1, 2, "3"), lambda: a.dot(1), lambda: a * a, lambda: a[7], lambda: a / 0,
                          lambda: Vec3.from_numpy([1]), lambda: Vec3.from_numpy("a"), lambda: Vec3(0, 0, 0).normalize(), lambda: Vec3(1, 2, w=1)):
                try:
                    wrong()
                except (TypeError, ValueError, IndexError, ZeroDivisionError):
                    pass

    references = sys.getrefcount(Vec3), sys.getrefcount(a), sys.getrefcount(None)
    for _ in range(3):
        work()

    def growth():
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(5):
            work()
        gc.collect()
        return abs(sys.getallocatedblocks() - before)

    # 1000 rounds of about 60 objects; the rest is the interpreter's own and that of other threads, so the best of three counts.
    assert min(growth() for _ in range(3)) < 100
    assert abs(sys.getrefcount(Vec3) - references[0]) < 10 and sys.getrefcount(a) == references[1]


def test_numbers_that_are_kept_do_not_change():
    """Methods that give numbers use a float again that nobody has."""
    a, b = Vec3(1, 2, 3), Vec3(4, 5, 6)
    first, second, third = a.dot(b), a.length_squared(), b.dot(b)
    kept = [Vec3(i, 1, 0).dot(Vec3(1, 1, 1)) for i in range(1000)]
    box = {"d": a.distance(b)}
    last = None
    for i in range(1000):
        before, last = last, Vec3(i, 0, 0).length()
        assert (before, last) == (None if i == 0 else i - 1, i)
        assert Vec3(i, 0, 0).dot(Vec3(2, 0, 0)) + Vec3(i, 0, 0).dot(Vec3(3, 0, 0)) == 5 * i
    assert (first, second, third) == (32.0, 14.0, 77.0) and kept == [i + 1.0 for i in range(1000)]
    assert box["d"] == 27**0.5 and [a.x, a[0], a[1], *a] == [1.0, 1.0, 2.0, 1.0, 2.0, 3.0]


def test_more_than_the_free_list_holds():
    before = sys.getallocatedblocks()
    for _ in range(3):
        many = [Vec3(i, 2 * i, 3 * i) for i in range(5000)]
        assert all(v.x == i and v.y == 2 * i and v.z == 3 * i for i, v in enumerate(many))
        addresses = {id(v) for v in many}
        assert len(addresses) == 5000 and all(address % 16 == 0 for address in addresses)
        del many, addresses
    gc.collect()
    assert sys.getallocatedblocks() - before < 400  # at most 256 kept vectors and some of the interpreter's own


@examples
@given(st.lists(float32s, min_size=30, max_size=30))
def test_recycled_vectors_hold_their_own_numbers(numbers):
    live = {}
    choose = random.Random(1)
    for step, value in enumerate(numbers * 20):
        live[choose.randrange(50)] = (Vec3(value, step, -step), value, step)
        for vector, x, n in live.values():
            assert (vector.x == x or x != x) and vector.y == n and vector.z == -n


def test_threads():
    wrong = []
    start = threading.Barrier(8)

    def work(k):
        start.wait()
        v = Vec3(k, k, k)
        for i in range(5000):
            w = v + Vec3(i, 0, 0)
            if w.x != k + i or (w - v).dot(Vec3(1, 1, 1)) != i or w.cross(w) != Vec3(0, 0, 0):
                wrong.append((k, i))

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(old)
    assert not wrong


def test_under_pythons_debug_allocator():
    code = "from gromos import Vec3, Mat3; v = [Vec3(i, i, i) for i in range(1000)]; assert sum(v, Vec3(0, 0, 0)) == Vec3(499500, 499500, 499500); "
    code += "m = [Mat3.identity() * i for i in range(500)]; assert all(id(x) % 16 == 0 for x in v + m); assert m[3].inverse()[0, 0] > 0.3"
    subprocess.run([sys.executable, "-X", "dev", "-c", code], check=True, timeout=200, env={"PYTHONMALLOC": "debug", "PATH": "/usr/bin:/bin"})


# --- types and documentation

TYPES = """
from collections.abc import Hashable
from typing import Any, assert_type
import numpy as np
import numpy.typing as npt
from gromos import Box, BoxDimensions, BoxKind, Energy, Mat3, Vec3

a, b, m, s = Vec3(1, 2.0, np.float32(3)), Vec3.from_numpy([1, 2, 3]), Mat3.identity(), 2.0
points = np.zeros((4, 3), np.float32)
assert_type(a + b, Vec3)
assert_type(a * s, Vec3)
assert_type(s * a, Vec3)
assert_type(3 * a, Vec3)
assert_type(-(a / 2), Vec3)
assert_type(a.dot(b), float)
assert_type(a[0], float)
assert_type(a[:2], tuple[float, ...])
assert_type([x for x in a], list[float])
assert_type(a.to_numpy(), npt.NDArray[np.float32])
assert_type(a + points, npt.NDArray[Any])
assert_type(m @ a, Vec3)
assert_type(m @ m, Mat3)
assert_type(m[0], Vec3)
assert_type(m[0, 1], float)
assert_type(Box.rectangular(1, 2, 3).dimensions(), BoxDimensions)
assert_type(Box.triclinic(m).kind, BoxKind)
assert_type(Energy(1, 1).kinetic, float)
assert_type(Energy(1, 1).pair_lj, npt.NDArray[np.float64])
np.asarray(a)
np.asarray(m)
key: Hashable = (a, m)
a * b  # type: ignore[operator]
a.x = 1.0  # type: ignore[misc]
a + 1  # type: ignore[operator]
"""


@pytest.mark.timeout(240)  # mypy reads NumPy's stubs first
def test_types(tmp_path):
    snippet = tmp_path / "snippet.py"
    snippet.write_text(TYPES)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--python-version", "3.11", "--config-file", os.devnull, str(snippet)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr



def test_documented():
    for klass in (Vec3, Mat3):
        assert klass.__module__ == "gromos"
        for name in vars(klass):
            if not name.startswith("_"):
                assert getattr(klass, name).__doc__, f"{klass.__name__}.{name}"
    assert str(inspect.signature(Vec3)) == "(x, y, z)"
    assert str(inspect.signature(Vec3.dot)) == "(self, other, /)"


@pytest.mark.parametrize("klass", [Vec3, Mat3])
def test_examples(klass):
    tests = [test for test in doctest.DocTestFinder().find(klass, klass.__name__, module=gromos) if test.examples]
    assert len(tests) > 8
    for test in tests:
        assert doctest.DocTestRunner().run(test).failed == 0

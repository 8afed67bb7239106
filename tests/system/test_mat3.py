"""gromos.Mat3 against NumPy.

Products are formed in double and rounded once to float32, so they are compared for equality with the same formula in doubles. The
inverse is compared with numpy.linalg.inv in double; its tolerance is stated there.
"""

import copy
import gc
import math
import pickle
import sys
import threading
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gromos import Box, Mat3, Vec3

# the same examples in every run, and no limit that depends on how busy the machine is
examples = settings(max_examples=200, derandomize=True, database=None, deadline=None)

elements = st.floats(width=32, min_value=-1e6, max_value=1e6)
matrices = st.lists(elements, min_size=9, max_size=9).map(lambda m: Mat3(np.array(m).reshape(3, 3)))
vectors = st.builds(Vec3, elements, elements, elements)
scalars = st.floats(min_value=-1e20, max_value=1e20)
NINE = Mat3([[1, 2, 3], [4, 5, 6], [7, 8, 10]])


def double(value):
    return np.asarray(value).astype(np.float64)


def once(array):
    """Doubles rounded once to float32."""
    with np.errstate(under="ignore"):
        return np.asarray(array, dtype=np.float64).astype(np.float32)


def same(matrix, array):
    return np.array_equal(matrix.to_numpy(), array)


# --- making one


def test_every_way_of_making_one():
    rows = [[1, 2, 3], [4, 5, 6], [7, 8, 10]]
    a, b, c = (Vec3(*row) for row in rows)
    for matrix in (Mat3(rows), Mat3(np.array(rows)), Mat3.from_numpy(rows), Mat3.from_rows(a, b, c), Mat3.from_rows(*rows), Mat3([a, b, c]),
                   Mat3.from_cols(a, b, c).transpose(), Mat3.from_cols((1, 4, 7), np.array([2, 5, 8]), [3, 6, 10]), Mat3(NINE)):
        assert matrix == NINE
    assert same(Mat3.identity(), np.eye(3)) and Mat3(NINE) is NINE
    for dtype in ("f8", ">f4", "i2", "?"):
        assert same(Mat3.from_numpy(np.eye(3, dtype=dtype)), np.eye(3))
    assert same(Mat3.from_numpy(np.arange(36.0).reshape(6, 6)[::2, 1::2]), np.arange(36.0).reshape(6, 6)[::2, 1::2])


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Mat3(), TypeError, "Mat3.identity"),
        (lambda: Mat3(1, 2, 3), TypeError, "one argument"),
        (lambda: Mat3(rows=np.eye(3)), TypeError, "one argument"),
        (lambda: Mat3([1, 2, 3]), ValueError, "must have shape (3, 3), not (3,)"),
        (lambda: Mat3(np.eye(4)), ValueError, "not (4, 4)"),
        (lambda: Mat3.from_numpy(np.zeros(9)), ValueError, "not (9,)"),
        (lambda: Mat3(np.eye(3) * 1j), TypeError, "complex128"),
        (lambda: Mat3([["a"] * 3] * 3), TypeError, "real numbers"),
        (lambda: Mat3.from_cols(Vec3(1, 2, 3)), TypeError, "three vectors (1 given)"),
        (lambda: Mat3.from_cols(Vec3(1, 2, 3), [1, 2], Vec3(1, 2, 3)), ValueError, "vector 1 must have shape (3,), not (2,)"),
        (lambda: Mat3.from_rows(1, 2, 3), ValueError, "vector 0"),
        (lambda: Mat3.from_rows(Vec3(1, 2, 3), Vec3(1, 2, 3), "abc"), ValueError, "vector 2"),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


# --- a value


def test_value():
    other = Mat3(NINE.to_numpy())
    assert other == NINE and hash(other) == hash(NINE) and not other != NINE and other is not NINE
    assert NINE != NINE.transpose() and hash(NINE) != hash(NINE.transpose())
    assert Mat3(np.zeros((3, 3))) == Mat3(-np.zeros((3, 3))) and hash(Mat3(np.zeros((3, 3)))) == hash(Mat3(-np.zeros((3, 3))))
    nan = Mat3(np.full((3, 3), math.nan))
    assert nan != nan and NINE != 1 and NINE != None and {NINE: 1}[other] == 1  # noqa: E711
    assert copy.copy(NINE) is NINE and copy.deepcopy(NINE) is NINE
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(NINE, protocol)) == NINE
    with pytest.raises(TypeError):
        NINE[0, 0] = 1.0
    with pytest.raises(TypeError):
        type("Sub", (Mat3,), {})
    with pytest.raises(TypeError):
        NINE < other  # noqa: B015


@examples
@given(matrices)
def test_repr_reads_back(m):
    assert eval(repr(m)) == m


def test_indexing():
    a = NINE.to_numpy()
    assert len(NINE) == 3 and [tuple(row) for row in NINE] == [tuple(row) for row in a.tolist()]
    for i in range(-3, 3):
        assert NINE[i] == NINE.row(i) == Vec3(*a[i]) and NINE.col(i) == Vec3(*a[:, i])
        for j in range(-3, 3):
            assert NINE[i, j] == a[i, j] == NINE[np.int8(i), np.int64(j)]
    for bad in (3, -4, (0, 3), (-4, 0), 10**30):
        with pytest.raises(IndexError):
            NINE[bad]
    with pytest.raises(IndexError, match="column must be in 0..2 or -3..-1, not 3"):
        NINE.col(3)
    for bad in ("a", 1.0, (0,), (0, 1, 2), (0, slice(None)), slice(None), None):
        with pytest.raises(TypeError):
            NINE[bad]


# --- arithmetic


@examples
@given(matrices, matrices)
def test_sums(m, n):
    assert same(m + n, m.to_numpy() + n.to_numpy()) and same(m - n, m.to_numpy() - n.to_numpy()) and same(-m, -m.to_numpy()) and +m is m


@examples
@given(matrices, scalars)
def test_scaling(m, s):
    with np.errstate(over="ignore", under="ignore"):
        expected = once(double(m) * s)
        assert same(m * s, expected) and same(s * m, expected) and same(np.float64(s) * m, expected)
        if abs(s) > 1e-20:
            assert same(m / s, once(double(m) / s))


def product(m, v):
    """The specified order of the three terms, which numpy.matmul does not promise."""
    m, v = double(m), double(v)
    return np.array([m[i, 0] * v[0] + m[i, 1] * v[1] + m[i, 2] * v[2] for i in range(3)])


@examples
@given(matrices, matrices, vectors)
def test_products(m, n, v):
    assert np.array_equal((m @ v).to_numpy(), once(product(m, v))) and m.mul_vec3(v) == m @ v
    assert same(m @ n, np.stack([once(product(m, n.col(j))) for j in range(3)], axis=1))
    assert m @ Mat3.identity() == m == Mat3.identity() @ m
    assert same(m.transpose(), m.to_numpy().T) and m.transpose().transpose() == m


@examples
@given(matrices)
def test_determinant(m):
    (a, b, c), (d, e, f), (g, h, i) = [[Fraction(x) for x in row] for row in double(m).tolist()]
    exact = a * (e * i - f * h) + b * (f * g - d * i) + c * (d * h - e * g)
    # six products of three, each through at most four roundings of 2^-53, none above the product of the columns' lengths
    bound = float(np.prod(np.linalg.norm(double(m), axis=0)))
    assert abs(Fraction(m.determinant()) - exact) <= Fraction(32 * 2.0**-53 * bound + 1e-300)


@examples
@given(matrices)
def test_inverse(m):
    a = double(m)
    lengths = np.linalg.norm(a, axis=0)
    assume(lengths.min() > 1e-10 and abs(np.linalg.det(a)) > 1e-6 * np.prod(lengths))
    exact = np.linalg.inv(a)
    assume(abs(exact).max() < 1e37)
    # float32 rounds each element by 2^-24 of itself; the error in double is 2^-53 times the condition, here at most about 1e6
    scale = (1.0 / lengths)[:, None] * np.ones(3)
    tolerance = 2.0**-23 * abs(exact) + 1e-8 * scale + 1e-44
    assert (abs(m.inverse().to_numpy() - exact) <= tolerance).all()


def test_inverse_of_ill_scaled_matrices():
    for tiny in (1e-3, 1e-12, 1e-20):
        assert Mat3(np.diag([1, tiny, 1])).inverse()[1, 1] == pytest.approx(1 / tiny, rel=3e-7)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((3, 3)),
        [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        [[1, 0, 0], [0, 1, 0], [0, 0, 0]],
        [[1e30, 1e30, 0], [1e30, 1e30, 0], [0, 0, 1]],
        np.outer([0.1, 0.3, 0.7], [1.0, 2.0, 4.0]),
        # third column = first + second, exactly; in double the determinant comes out as rounding alone, not as zero
        [[8073775, 5668892, 13742667], [4984782, 3014286, 7999068], [3224195, 2657042, 5881237]],
    ],
)
def test_no_inverse_of_singular_matrices(rows):
    with pytest.raises(ValueError, match="determinant is zero"):
        Mat3(rows).inverse()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_no_inverse_of_what_is_not_finite(bad):
    with pytest.raises(ValueError, match="not finite"):
        Mat3([[bad, 0, 0], [0, 1, 0], [0, 0, 1]]).inverse()


def test_rotation_keeps_lengths():
    angle = 0.7
    turn = Mat3([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    v = Vec3(1, 2, 3)
    # elements of the matrix and of the result are rounded to float32: 2^-24 each, on a length below 4
    assert (turn @ v).length() == pytest.approx(v.length(), abs=8 * 2.0**-24 * 4)
    assert np.allclose((turn @ turn.transpose()).to_numpy(), np.eye(3), atol=4 * 2.0**-24)
    assert turn.determinant() == pytest.approx(1.0, abs=4 * 2.0**-24)


def test_wrong_operands():
    for operation in (lambda: NINE * NINE, lambda: NINE * Vec3(1, 2, 3), lambda: Vec3(1, 2, 3) * NINE):
        with pytest.raises(TypeError, match="@"):
            operation()
    for operation in (lambda: NINE + 1, lambda: NINE @ 2, lambda: NINE * "a", lambda: 1 / NINE, lambda: NINE @ (1, 2, 3), lambda: NINE**2,
                      lambda: Vec3(1, 2, 3) @ NINE, lambda: NINE + Vec3(1, 2, 3), lambda: NINE.mul_vec3([1, 2, 3])):
        with pytest.raises(TypeError):
            operation()
    with pytest.raises(ZeroDivisionError):
        NINE / 0


# --- NumPy


def test_numpy():
    a = NINE.to_numpy()
    assert a.dtype == np.float32 and a.shape == (3, 3) and a.flags.c_contiguous and a.flags.owndata and a.flags.writeable
    view = np.asarray(NINE)
    assert np.array_equal(view, a) and not view.flags.writeable and view.dtype == np.float32
    assert view.__array_interface__["data"][0] == np.asarray(NINE).__array_interface__["data"][0]
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert np.array_equal(points @ NINE, points @ a) and np.array_equal(NINE @ points.T, a @ points.T)
    assert np.array_equal(NINE + a, a + a) and np.array_equal(a * NINE, a * a) and (NINE == a).all() and not (a != NINE).any()
    assert np.linalg.det(NINE) == pytest.approx(-3.0, rel=1e-5)
    buffer = memoryview(NINE)
    assert buffer.shape == (3, 3) and buffer.tolist() == a.tolist() and buffer.readonly
    m = Mat3(a * 2)
    held = np.asarray(m)
    del m
    trash = [Mat3.identity() * i for i in range(500)]
    assert np.array_equal(held, a * 2) and len(trash) == 500


def test_as_a_box():
    cell = Mat3.from_rows(Vec3(3, 0, 0), Vec3(1, 3, 0), Vec3(0.5, 0.5, 3))
    assert np.array_equal(Box.triclinic(cell).vectors, double(cell))


# --- objects


def test_nothing_leaks():
    v, a = Vec3(1, 2, 3), np.eye(3)

    def work():
        for _ in range(200):
            NINE + NINE, NINE - NINE, NINE * 2, 2.0 * NINE, NINE / 2, -NINE, NINE @ NINE, NINE @ v, NINE.inverse(), NINE.transpose()
            NINE.determinant(), NINE[0], NINE[1, 2], NINE.row(0), NINE.col(1), list(NINE), repr(NINE), hash(NINE), NINE == NINE, NINE == a, NINE @ a
            Mat3(a), Mat3.from_rows(v, v, v), Mat3.from_cols([1, 2, 3], v, v), pickle.loads(pickle.dumps(NINE)), memoryview(NINE), np.asarray(NINE)
            for wrong in (lambda: Mat3([1]), lambda: NINE @ 1, lambda: NINE[7], lambda: NINE[0, "a"], lambda: NINE / 0, lambda: Mat3.from_rows(v, v, 1),
                          lambda: Mat3(np.zeros((3, 3))).inverse(), lambda: NINE.col("a"), lambda: NINE * NINE):
                try:
                    wrong()
                except (TypeError, ValueError, IndexError, ZeroDivisionError):
                    pass

    references = sys.getrefcount(Mat3), sys.getrefcount(NINE)
    for _ in range(3):
        work()

    def growth():
        gc.collect()
        before = sys.getallocatedblocks()
        for _ in range(5):
            work()
        gc.collect()
        return abs(sys.getallocatedblocks() - before)

    # 1000 rounds of about 50 objects; the rest is the interpreter's own and that of other threads, so the best of three counts.
    assert min(growth() for _ in range(3)) < 100
    assert abs(sys.getrefcount(Mat3) - references[0]) < 10 and sys.getrefcount(NINE) == references[1]


def test_threads():
    wrong = []

    def work(k):
        m = Mat3.identity() * (k + 1)
        for i in range(3000):
            n = m + Mat3.identity() * i
            if n[1, 1] != k + 1 + i or n.determinant() != float(k + 1 + i) ** 3 or (n @ Vec3(1, 0, 0)).x != k + 1 + i:
                wrong.append((k, i))

    old = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(old)
    assert not wrong

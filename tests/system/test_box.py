"""gromos.Box: its own properties, and word for word the checks and numbers of the daemon's box (server/core/box.c).

The daemon's code is compiled into a library here and called beside it. Volumes, inverses and widths agree to 1e-12: both are doubles,
a few operations each on cells that are far from flat.
"""

import copy
import ctypes
import doctest
import itertools
import math
import os
import pickle
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gromos
from gromos import Box, BoxKind, Mat3

# the same examples in every run, and no limit that depends on how busy the machine is
examples = settings(max_examples=200, derandomize=True, database=None, deadline=None)

ROOT = Path(__file__).resolve().parents[2]
TRICLINIC = [[3.0, 0.0, 0.0], [1.0, 3.5, 0.0], [-0.5, 0.7, 4.0]]
BOXES = [Box.vacuum(), Box.rectangular(3, 4, 5), Box.triclinic(TRICLINIC), Box.truncated_octahedron(4.0)]


class CBox(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_int32), ("reserved", ctypes.c_int32), ("vectors", (ctypes.c_double * 3) * 3)]


class CError(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("text", ctypes.c_char * 1024)]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory):
    """The daemon's box functions."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    assert compiler, "a C compiler is needed; the project is built with one"
    target = tmp_path_factory.mktemp("box") / "box.so"
    sources = [str(ROOT / "server/core" / name) for name in ("box.c", "err.c")]
    flags = ["-std=c17", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared", "-I", str(ROOT / "server"), "-I", str(ROOT)]
    subprocess.run([*compiler.split(), *flags, *sources, "-o", str(target), "-lm"], check=True, timeout=120)
    library = ctypes.CDLL(str(target))
    library.gd_box_volume.restype = library.gd_box_half_width.restype = ctypes.c_double
    return library


def c_box(kind, vectors):
    return CBox(kind, 0, ((ctypes.c_double * 3) * 3)(*((ctypes.c_double * 3)(*row) for row in vectors)))


def verdicts(library, kind, vectors):
    """(message or None) from the daemon and from Python."""
    error = CError()
    code = library.gd_box_check(ctypes.byref(c_box(kind, vectors)), ctypes.byref(error))
    theirs = error.text.decode() if code else None
    try:
        Box(kind, vectors)
    except gromos.GromosError as caught:
        codes = {-4: gromos.InvalidArgumentError, -14: gromos.NotFiniteError}
        assert code and type(caught) is codes[code], (code, caught)
        return theirs, str(caught)
    return theirs, None


# --- beside the daemon


@pytest.mark.parametrize("kind", [-1, 0, 1, 2, 3, 4, 99])
@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((3, 3)),
        np.eye(3),
        np.diag([1.0, 2.0, 3.0]),
        np.diag([1.0, -2.0, 3.0]),
        np.diag([1.0, 0.0, 3.0]),
        np.diag([2.0, 2.000001, 2.0]),
        np.diag([2.0, 2.00001, 2.0]),
        np.diag([2.0, 2.0, 1.9999]),
        np.diag([1e-200, 1e-200, 1e-200]),
        np.diag([-1.0, -1.0, 1.0]),
        np.array(TRICLINIC),
        np.array(TRICLINIC)[[1, 0, 2]],
        np.array([[1, 0, 0], [0, 1, 0], [1, 1, 0.0]]),
        np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1e-9]]),
        np.array([[1, 0, 0], [0, 1, 0], [1, 1, 1e-7]]),
        np.diag([math.nan, 1, 1]),
        np.diag([1, 1, math.inf]),
        np.array([[1, 0, 0], [0, 1, -math.inf], [0, 0, 1]]),
    ],
    ids=str,
)
def test_same_verdict_as_the_daemon(daemon, kind, vectors):
    theirs, ours = verdicts(daemon, kind, vectors.tolist())
    assert ours == theirs


@examples
@given(st.integers(0, 3), st.lists(st.sampled_from([0.0, -0.0, 1.0, 1.0, 2.0, -1.0, 0.5, 1e-10, 3.3, math.inf, math.nan]), min_size=9, max_size=9))
def test_same_verdict_on_anything(daemon, kind, numbers):
    theirs, ours = verdicts(daemon, kind, np.array(numbers).reshape(3, 3).tolist())
    assert ours == theirs


@pytest.mark.parametrize("box", BOXES, ids=repr)
def test_same_numbers_as_the_daemon(daemon, box):
    theirs = c_box(int(box.kind), box.vectors.tolist())
    assert box.volume() == pytest.approx(daemon.gd_box_volume(ctypes.byref(theirs)), rel=1e-12)
    assert box.half_width() == pytest.approx(daemon.gd_box_half_width(ctypes.byref(theirs)), rel=1e-12)
    inverse = ((ctypes.c_double * 3) * 3)()
    daemon.gd_box_inverse(ctypes.byref(theirs), inverse)
    assert np.allclose(box.inverse, np.array([list(row) for row in inverse]), rtol=1e-12, atol=1e-15)


def test_kinds_have_the_numbers_of_the_shared_header():
    header = (ROOT / "proto/gd_types.h").read_text()
    for kind in BoxKind:
        assert f"GD_BOX_{kind.name} = {kind.value}," in header
    assert header.count("GD_BOX_") == len(BoxKind)


# --- making one


def test_rectangular():
    box = Box.rectangular(3, np.float32(4), 5.5)
    assert box.kind is BoxKind.RECTANGULAR and box.dimensions() == (3.0, 4.0, 5.5) and box.dimensions().c == 5.5
    assert box.vectors.dtype == np.float64 and np.array_equal(box.vectors, np.diag([3, 4, 5.5]))
    assert box.volume() == 66.0 and box.half_width() == 1.5 and box.angles() == (90.0, 90.0, 90.0)


def test_vacuum():
    box = Box.vacuum()
    assert box.kind is BoxKind.VACUUM == 0 and box.volume() == 0.0 and box.half_width() == math.inf
    assert box.dimensions() == (0, 0, 0) and not box.vectors.any() and not box.inverse.any()


def test_triclinic():
    box = Box.triclinic(TRICLINIC)
    assert box.volume() == pytest.approx(np.linalg.det(TRICLINIC), rel=1e-14)
    assert np.allclose(box.inverse @ box.vectors, np.eye(3), atol=1e-15)
    assert box == Box("triclinic", TRICLINIC) == Box(2, TRICLINIC)
    assert Box.triclinic(Mat3(np.diag([1, 2, 3]))) == Box.triclinic(np.diag([1, 2, 3]))
    assert Box.triclinic(np.diag([1, 2, 3])) != Box.rectangular(1, 2, 3)


def test_truncated_octahedron():
    box = Box.truncated_octahedron(4.0)
    assert box.volume() == 32.0 and box.dimensions() == (4, 4, 4) and box.half_width() == pytest.approx(math.sqrt(3), rel=1e-15)


def test_truncated_octahedron_as_triclinic_has_the_same_images():
    box = Box.truncated_octahedron(4.0)
    cell = box.to_triclinic()
    assert cell.kind is BoxKind.TRICLINIC and cell.volume() == box.volume()
    assert cell.half_width() == pytest.approx(math.sqrt(2), rel=1e-14)  # a parallelepiped's faces are nearer than the octahedron's
    lattice = [np.array(n) @ cell.vectors for n in itertools.product(range(-3, 4), repeat=3)]
    # the images of a truncated octahedron are the corners and the centres of its cubes
    images = {tuple(4.0 * np.array(n) + shift) for n in itertools.product((-1, 0, 1), repeat=3) for shift in (0.0, 2.0)}
    found = {tuple(point.tolist()) for point in lattice}
    assert images <= found
    assert all(np.allclose(point / 2.0 % 1.0, 0.0) and len({round(x / 2.0) % 2 for x in point}) == 1 for point in lattice)
    with pytest.raises(gromos.InvalidArgumentError, match="vacuum"):
        Box.vacuum().to_triclinic()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: Box.rectangular(3, 0, 5), gromos.InvalidArgumentError, "box edge b has no length"),
        (lambda: Box.rectangular(3, -4, 5), gromos.InvalidArgumentError, "box edge b is -4 nm; it must be above 0"),
        (lambda: Box.rectangular(3, math.nan, 5), gromos.NotFiniteError, "box vector b"),
        (lambda: Box.rectangular(3, "4nm", 5), gromos.DTypeError, "box edge b must be a real number, not str"),
        (lambda: Box.truncated_octahedron(None), gromos.DTypeError, "box edge a"),
        (lambda: Box.triclinic(np.eye(2)), gromos.ShapeError, "'vectors' must have shape (3, 3), not (2, 2)"),
        (lambda: Box.triclinic(np.eye(3) * 1j), gromos.DTypeError, "complex128"),
        (lambda: Box.triclinic([["a"] * 3] * 3), gromos.DTypeError, "real numbers"),
        (lambda: Box("round"), gromos.InvalidArgumentError, "box kind round is none of 0 (vacuum)"),
        (lambda: Box(7, np.eye(3)), gromos.InvalidArgumentError, "box kind 7 is none of"),
        (lambda: Box("rectangular"), gromos.InvalidArgumentError, "no length"),
        (lambda: Box.from_lengths_and_angles((1, 2)), gromos.ShapeError, "'lengths' must have shape (3,), not (2,)"),
        (lambda: Box.from_lengths_and_angles((1, 2, 3), (90, 90, 200)), gromos.InvalidArgumentError, "between 0 and 180"),
        (lambda: Box.from_lengths_and_angles((1, 2, 3), (10, 10, 90)), gromos.InvalidArgumentError, "no cell has the angles"),
        (lambda: Box.from_lengths_and_angles((1, 2, 3), (math.nan, 90, 90)), gromos.NotFiniteError, "'angles'"),
        (lambda: Box.from_mdanalysis([1, 2, 3]), gromos.ShapeError, "(6,)"),
    ],
)
def test_wrong_arguments(call, error, words):
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value) and isinstance(caught.value, (ValueError, TypeError))


# --- a value


@pytest.mark.parametrize("box", BOXES, ids=repr)
def test_value(box):
    assert eval(repr(box)) == box and pickle.loads(pickle.dumps(box)) == box and copy.deepcopy(box) is box is copy.copy(box)
    assert hash(pickle.loads(pickle.dumps(box))) == hash(box) and pickle.loads(pickle.dumps(box)).kind is box.kind
    assert not pickle.loads(pickle.dumps(box)).vectors.flags.writeable
    assert [other == box for other in BOXES].count(True) == 1 and box != "box" and box != None  # noqa: E711
    for name in ("kind", "vectors", "_vectors", "color"):
        with pytest.raises(AttributeError):
            setattr(box, name, None)
    with pytest.raises(AttributeError, match="cannot be changed"):
        del box._vectors
    with pytest.raises(ValueError, match="read-only"):
        box.vectors[0, 0] = 1.0
    assert Box._from_wire(*box._to_wire()) == box and len(box._to_wire()[1]) == 9


def test_does_not_follow_the_array_it_was_made_from():
    array = np.diag([1.0, 2.0, 3.0])
    box = Box.triclinic(array)
    array[:] = 0.0
    assert box.volume() == 6.0 and array.flags.writeable


def test_zero_and_minus_zero():
    box = Box.triclinic(-np.zeros((3, 3)) + np.eye(3))
    other = Box.triclinic(np.where(np.eye(3), np.eye(3), -0.0))
    assert box == other and hash(box) == hash(other)


# --- lengths and angles


@examples
@given(
    st.tuples(*[st.floats(0.5, 20)] * 3),
    st.tuples(*[st.floats(55, 115)] * 3),
)
def test_lengths_and_angles_come_back(lengths, angles):
    try:
        box = Box.from_lengths_and_angles(lengths, angles)
    except gromos.InvalidArgumentError as refused:
        cosines = [math.cos(math.radians(x)) for x in angles]
        assert 1 - sum(c * c for c in cosines) + 2 * math.prod(cosines) < 1e-8, refused
        return
    back, turned = box.to_lengths_and_angles()
    # atan2 of doubles: some epsilons, more where the cell is flat
    assert back == pytest.approx(lengths, rel=1e-10) and turned == pytest.approx(angles, rel=1e-8)
    x, y, z = box.vectors
    assert x[1] == x[2] == y[2] == 0.0 and min(x[0], y[1]) > 0


def test_right_angles_are_rectangular():
    assert Box.from_lengths_and_angles((1, 2, 3)) == Box.rectangular(1, 2, 3)
    assert Box.from_lengths_and_angles((0, 0, 0)) == Box.vacuum()
    assert Box.from_lengths_and_angles((1, 2, 3), (90, 90, 60)).vectors[2].tolist() == [0.0, 0.0, 3.0]


def test_standard_orientation():
    angle = 0.4
    turn = np.array([[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0], [0, 0, 1]])
    turn = turn @ turn[[2, 0, 1]][:, [2, 0, 1]]
    box = Box.triclinic(TRICLINIC @ turn.T)
    standard, rotation = box.to_standard()
    assert np.allclose(standard.vectors, TRICLINIC, atol=1e-14) and np.allclose(box.vectors @ rotation.T, TRICLINIC, atol=1e-14)
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-15) and np.linalg.det(rotation) == pytest.approx(1.0)
    same, nothing = Box.rectangular(1, 2, 3).to_standard()
    assert same == Box.rectangular(1, 2, 3) and np.array_equal(nothing, np.eye(3))


def test_mdanalysis_dimensions():
    from MDAnalysis.lib.mdamath import triclinic_box, triclinic_vectors

    assert Box.vacuum().to_mdanalysis() is None and Box.from_mdanalysis(None) == Box.vacuum()
    assert Box.rectangular(3, 4, 5).to_mdanalysis().tolist() == [30, 40, 50, 90, 90, 90]
    assert Box.from_mdanalysis([30, 40, 50, 90, 90, 90]) == Box.rectangular(3, 4, 5)
    box = Box.triclinic(TRICLINIC)
    dimensions = box.to_mdanalysis()
    assert dimensions.dtype == np.float32
    # float32 dimensions: 6e-8 relative on lengths and angles
    assert np.allclose(dimensions, triclinic_box(*(10.0 * box.vectors)), rtol=3e-7)
    assert np.allclose(triclinic_vectors(dimensions) / 10.0, TRICLINIC, atol=3e-6)
    assert np.allclose(Box.from_mdanalysis(dimensions).vectors, TRICLINIC, atol=3e-6)
    octahedron = Box.truncated_octahedron(4.0)
    with pytest.raises(gromos.InvalidArgumentError, match="no truncated octahedron; use to_triclinic"):
        octahedron.to_mdanalysis()
    with pytest.raises(gromos.InvalidArgumentError, match="a along x"):
        octahedron.to_triclinic().to_mdanalysis()
    dimensions = octahedron.to_triclinic().to_standard()[0].to_mdanalysis()
    edge = 20 * math.sqrt(3)
    corner = math.degrees(math.acos(-1 / 3))
    assert np.allclose(dimensions, [edge, edge, edge, corner, corner, corner], rtol=3e-7)


def test_examples():
    result = doctest.testmod(gromos._box)
    assert result.failed == 0 and result.attempted > 8

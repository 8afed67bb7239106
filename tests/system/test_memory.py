"""Promises P1, P2 and P4: the layout of the arrays, one memory for everybody, read-only by default."""

import ctypes
import gc
import mmap
import os
import subprocess
import sys
import weakref
from pathlib import Path

import gromos
import numpy as np
import pytest


def mapping_of(address):
    """The line of /proc/self/maps that holds an address: (permissions, inode, file offset of the address)."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions, offset, _, inode, *_ = line.split()
        start, end = (int(x, 16) for x in span.split("-"))
        if start <= address < end:
            return permissions, int(inode), int(offset, 16) + address - start
    raise AssertionError(f"{address:#x} is not mapped")


def is_mapped(inode):
    """Whether memory of that inode is mapped; files on a disk have inodes of their own."""
    return any(line.split()[4] == str(inode) and "/memfd:" in line for line in Path("/proc/self/maps").read_text().splitlines())


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 1000, 12345])
def test_p1_layout(session, n, dtype):
    with gromos.State(n, dtype=dtype, session=session) as s:
        size = np.dtype(dtype).itemsize
        for array in (s.positions(), s.velocities(), s.forces()):
            assert array.shape == (n, 3)
            assert array.dtype == dtype
            assert array.flags.c_contiguous
            assert array.strides == (3 * size, size)
            assert address(array) % 64 == 0
        assert s.masses().dtype == np.float64
        assert address(s.masses()) % 64 == 0
        # Arrays stand a whole number of 16 atoms apart, and what is between is zero.
        padded = -(-n // 16) * 16 * 3 * size
        assert address(s.velocities()) - address(s.positions()) >= padded


def test_p1_padding_stays_zero(session):
    n = 17
    with gromos.State(n, session=session) as s:
        s.set_positions(np.ones((n, 3)))
        s.translate([1, 1, 1])
        s.scale(2.0)
        # The mapping is readable beyond the array, up to a whole number of 16 atoms.
        view = np.ctypeslib.as_array((ctypes.c_float * (32 * 3)).from_address(address(s.positions())))
        assert (view[: 3 * n] == 4).all()
        assert not view[3 * n :].any()


def test_p2_the_same_memory_every_time(session):
    with gromos.State(1000, session=session) as s:
        first = s.positions()
        assert address(s.positions()) == address(first)
        other = gromos.attach(s.uuid, session=session)
        assert address(other.positions()) == address(first)
        s.set_positions(np.ones((1000, 3)))
        assert (first == 1).all()
        assert address(s.positions()) == address(first)


CHILD = """
import sys, numpy as np, gromos
sys.path.insert(0, {tests!r})
from test_memory import mapping_of, address
s = gromos.connect({endpoint!r}).attach({name!r})
a = s.positions()
print(*mapping_of(address(a)), a.sum(dtype=np.float64))
s.set_velocities(np.full(a.shape, 3.0))
"""


def run_child(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_p2_the_same_memory_in_another_process(session, daemon):
    with gromos.State(1000, name="p2", session=session) as s:
        s.set_positions(np.arange(3000).reshape(1000, 3))
        permissions, inode, offset = mapping_of(address(s.positions()))
        output = run_child(CHILD.format(tests=os.path.dirname(__file__), endpoint=daemon.endpoint, name="p2")).split()
        assert output[1:3] == [str(inode), str(offset)]
        assert float(output[3]) == 2999 * 3000 / 2
        assert (s.velocities() == 3).all()
        s.delete()


def test_p2_asking_costs_the_same_for_any_size(session):
    # No timing here: the same kind of object over the same kind of mapping, and no memory of its own.
    with gromos.State(10, session=session) as small, gromos.State(2_000_000, session=session) as large:
        for s in (small, large):
            assert s.positions().base is not None
            assert not s.positions().flags.owndata


def test_p2_arrays_outlive_handles_sessions_and_states(own_daemon):
    session = own_daemon.connect()
    s = gromos.State(100, session=session)
    s.set_positions(np.ones((100, 3)))
    array = s.positions()
    row = array[3:5]
    s.delete()
    s.close()
    session.close()
    del s, array
    gc.collect()
    own_daemon.kill()
    assert (row == 1).all()


def test_p2_memory_goes_with_the_last_array(session):
    s = gromos.State(500_000, session=session)
    s.set_positions(np.zeros((500_000, 3)))
    identity = s.uuid
    array = s.positions()
    inode = mapping_of(address(array))[1]
    gone = weakref.ref(s)
    s.close()
    del s
    gc.collect()
    assert gone() is None
    assert is_mapped(inode)
    del array
    gc.collect()
    assert not is_mapped(inode)
    with pytest.raises(gromos.NotFoundError):
        gromos.attach(identity, session=session)


def test_p4_arrays_are_read_only(session):
    with gromos.State(10, session=session) as s:
        for array in (s.positions(), s.velocities(), s.forces(), s.masses(), s.energies.array):
            assert not array.flags.writeable
            with pytest.raises(ValueError):
                array[...] = 1
            with pytest.raises(ValueError):
                array.flags.writeable = True


def test_p4_a_reader_maps_without_the_right_to_write(session):
    with gromos.State(10, session=session) as s:
        assert mapping_of(address(s.positions()))[0] == "r--s"
        with s.edit() as e:
            assert mapping_of(address(e.positions()))[0] == "rw-s"
            assert mapping_of(address(s.positions()))[0] == "r--s"


def test_p4_arrays_of_an_edit_turn_private_when_it_ends(session):
    with gromos.State(10, session=session) as s:
        with s.edit() as e:
            kept = e.positions()
            kept[:] = 1
        try:
            kept[:] = 5
        except ValueError:
            pass  # read-only is as good
        assert (s.positions() == 1).all()


WRITER = """
import ctypes, gromos
s = gromos.connect({endpoint!r}).attach({name!r})
ctypes.memset(s.positions().ctypes.data, 0, 4)
"""


def test_p4_writing_past_numpy_is_a_fault_of_the_writer(session, daemon):
    with gromos.State(10, name="p4", session=session) as s:
        s.set_positions(np.ones((10, 3)))
        done = subprocess.run([sys.executable, "-c", WRITER.format(endpoint=daemon.endpoint, name="p4")], capture_output=True, timeout=200)
        assert done.returncode == -11
        assert (s.positions() == 1).all()
        s.delete()


def test_p4_descriptors_are_sealed_and_closed_to_others(session):
    with gromos.State(10, session=session) as s:
        s.snapshot()
        inode = mapping_of(address(s.positions()))[1]
        found = 0
        for number in os.listdir("/proc/self/fd"):
            try:
                about = os.stat(f"/proc/self/fd/{number}")
                name = os.readlink(f"/proc/self/fd/{number}")
            except FileNotFoundError:
                continue
            if about.st_ino != inode or not name.startswith("/memfd:"):
                continue
            found += 1
            assert about.st_mode & 0o777 == 0o600
            with pytest.raises(OSError):
                os.ftruncate(int(number), 10)
            with pytest.raises(OSError):
                os.ftruncate(int(number), about.st_size + mmap.PAGESIZE)
        assert found <= 2


def test_a_private_copy_follows_nothing(session):
    with gromos.State(10, session=session) as s:
        mine = s.positions(mode="c")
        mine[0] = 7
        s.set_positions(np.ones((10, 3)))
        assert mine[0].tolist() == [7, 7, 7]
        assert (s.positions() == 1).all()
        assert s.positions(mode="c") is not mine

"""Large arrays of requests lie in shared memory that the client writes; the daemon believes nothing of what it finds there."""

import ctypes
import os
import re
import threading
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import Daemon
from gromos import _wire

N = 20_000
pids = []  # of the daemon


@pytest.fixture(scope="module")
def state():
    d = Daemon()
    pids[:] = [d.pid]
    with d.connect() as session:
        s = session.create(N)
        s.set_positions(np.random.default_rng(5).random((N, 3), dtype=np.float32) * 4)
        s.box = gromos.Box.rectangular(4.0, 4.0, 4.0)
        yield s
    d.kill()
    d.remove()


def pairs_of(seed, count=30_000, dtype=np.int32):
    return np.random.default_rng(seed).integers(0, N, (count, 2), dtype=dtype)


def exact(state, pairs):
    x = state.positions().astype(np.float64)
    d = x[pairs[:, 0]] - x[pairs[:, 1]]
    d -= 4.0 * np.rint(d / 4.0)
    return np.sqrt((d * d).sum(axis=1))


def right(state, pairs):
    return np.allclose(state.distances(pairs), exact(state, pairs), rtol=1e-5, atol=1e-6)


def mapped(process):
    return re.findall(r" r[w-]-s .* (\d+) .*gromosd-arguments", Path(f"/proc/{process}/maps").read_text())


def memory(pid=None):
    """What this process shares with a daemon, if none is named that of these tests; sessions of other tests have memory of their own."""
    theirs = mapped(pid or pids[0])
    return [inode for inode in mapped("self") if inode in theirs]


def ask(state, pairs, where, parts=()):
    """state.distances with `where` for its argument memory, whatever that is."""
    request = _wire.encode("state.distances", {"state": state.uuid.bytes, "pairs": pairs})
    inside = request.in_memory(where)
    if parts:
        inside = inside.with_parts(parts)
    reply, _ = state.session._link.transport.roundtrip(inside, 60.0)
    return reply["error"]["code"] if not reply["ok"] else None


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_large_arguments_go_through_memory(state, dtype):
    assert right(state, pairs_of(1, dtype=dtype))
    assert len(memory()) == 1
    assert right(state, pairs_of(2, 400_000, dtype))  # more than there was
    assert len(memory()) == 1
    assert right(state, pairs_of(3, 3))
    assert right(state, pairs_of(4, 3_000_000, dtype))  # more than there may be: in the message
    assert right(state, pairs_of(5, dtype=dtype)[::2])  # as does what is not contiguous, made so


def test_two_arrays_of_one_request(state):
    a, b = np.arange(0, N, 1), np.arange(17_000, N)
    array = state.distance_array(a, b)
    i, j = np.arange(0, N, 97), np.arange(0, 3000, 31)
    some = np.array([(k, 17_000 + m) for k in i for m in j], np.int32)
    np.testing.assert_allclose(array[np.ix_(i, j)].ravel(), exact(state, some), rtol=1e-5, atol=1e-6)
    reference = state.positions() + np.float32(0.5)
    assert state.rmsd(reference) < 1e-5 and abs(state.rmsd(reference, fit=False) - 0.75**0.5) < 1e-5


def test_threads_share_it(state):
    wrong = []

    def work(seed):
        pairs = pairs_of(seed)
        wrong.extend(k for k in range(30) if not right(state, pairs))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_memory_without_an_answer_is_not_written_again(state):
    door = state.session._link.door
    arrays = (pairs_of(1),)
    first = door.put(arrays)
    assert first[1:] == [0, arrays[0].nbytes] and door.put(arrays) is None  # taken
    door.put_done(True)
    again = door.put(arrays)
    assert again == first
    door.put_done(False)
    other = door.put(arrays)
    assert other[0] != first[0]
    door.put_done(True)
    assert ask(state, arrays[0], first) == "not_found"
    with pytest.raises(TypeError):
        door.put([1])
    assert door.put(()) is None and door.put((1,)) is None


def test_what_is_said_about_memory_is_checked(state):
    pairs = pairs_of(1)
    door = state.session._link.door
    number, offset, count = door.put((pairs,))
    try:
        assert ask(state, pairs, [number, offset, count]) is None
        for where in (
            [number],
            [number, 0],
            [number, offset, count, 0],
            [number, -1, count],
            [number, 1 << 40, count],
            [number, offset, 1 << 63],
            [number, (1 << 64) - 64, count],
            [number, offset, "x"],
            ["x", offset, count],
            [number, offset, None],
            [number, *[0, 8] * 40],
        ):
            assert ask(state, pairs, where) in ("invalid_message", "invalid_argument"), where
        assert ask(state, pairs, [number, offset, count - 8]) == "invalid_shape"
        assert ask(state, pairs, [number + 1, offset, count]) == "not_found"
        assert ask(state, pairs, [number, offset, count], parts=(pairs,)) == "invalid_message"
        assert ask(state, pairs, [number, offset + 4, count]) is None  # no boundary is asked for
    finally:
        door.put_done(True)
    assert right(state, pairs)


def test_memory_of_another_session_is_not_reached(state):
    pairs = pairs_of(1)
    where = state.session._link.door.put((pairs,))
    state.session._link.door.put_done(True)
    with gromos.connect(state.session.endpoint) as other:
        twin = gromos.attach(state.uuid, session=other)
        assert ask(twin, pairs, where) == "not_found"


def test_memory_that_changes_under_the_daemon_harms_nobody(state):
    """Indices are copied, some at a time, before they are checked: what changes later is not used."""
    pairs = pairs_of(1)
    bad = np.full_like(pairs, 2**31 - 1)
    door = state.session._link.door
    where = door.put((pairs,))
    stop = threading.Event()
    inode = memory()[0]
    start = next(line.split("-")[0] for line in Path("/proc/self/maps").read_text().splitlines() if f" {inode} " in line)
    def scribble():
        while not stop.is_set():
            for array in (bad, pairs):
                ctypes.memmove(int(start, 16), array.ctypes.data, array.nbytes)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        seen = {ask(state, pairs, where) for _ in range(300)}
    finally:
        stop.set()
        thread.join()
        door.put_done(True)
    assert seen <= {None, "index_out_of_range"}
    assert right(state, pairs)


def test_memory_that_is_read_is_not_replaced(state):
    """A request that waits for its State's lease will read its pairs where they lie."""
    pairs = pairs_of(1)
    with gromos.connect(state.session.endpoint) as mine:
        twin = gromos.attach(state.uuid, session=mine)
        door = mine._link.door
        answers = []
        with state.edit():
            where = door.put((pairs,))
            waiting = threading.Thread(target=lambda: answers.append(ask(twin, pairs, where)))
            waiting.start()
            while not state.describe().waiters:
                pass
            door.put_done(False)
            assert door.put((pairs,)) is None  # the daemon refuses other memory
        waiting.join()
        assert answers == [None]
        assert door.put((pairs,))[0] != where[0]
        door.put_done(True)


def test_a_forked_child_uses_its_own(state):
    assert right(state, pairs_of(1))
    child = os.fork()
    if child == 0:
        good = not memory() and right(state, pairs_of(2)) and len(memory()) == 1
        os._exit(0 if good else 1)
    for _ in range(20):
        assert right(state, pairs_of(3))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_memory_arguments_go_in_the_message():
    d = Daemon("--result-pool", "0")
    with d.connect() as session:
        s = session.create(N)
        s.box = gromos.Box.rectangular(4.0, 4.0, 4.0)
        assert right(s, pairs_of(1)) and memory(d.pid) == []
    d.kill()
    d.remove()

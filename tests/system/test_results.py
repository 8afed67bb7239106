"""Large results lie in shared memory that comes again: never while somebody still has the array, never to another session.

Which memory an array lies in is told by the inode of its mapping in /proc/self/maps. The rule is tested itself: a daemon that does not wait
for the client to let go of a result must not pass.
"""

import contextlib
import gc
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import gromos
import numpy as np
import pytest
from conftest import ROOT, Daemon, wait_until
from test_planted import planted

N = 80_000  # lengths of all of them: 320 kB, above what travels in messages


@pytest.fixture
def one():
    d = Daemon()
    with d.connect() as session:
        yield make_state(session)
    d.kill()
    d.remove()


def make_state(session, seed=3):
    state = session.create(N)
    state.set_positions(np.random.default_rng(seed).random((N, 3), dtype=np.float32))
    return state


earlier = set()
"""Inodes of what sessions of other tests have kept for their next results."""


@pytest.fixture(autouse=True)
def nothing_of_others():
    earlier.clear()
    earlier.update(number for _, _, number in mappings())


def mappings():
    """Start, end and inode of the results this process has mapped since the test began."""
    found = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ (\d+) .*gromosd-result", Path("/proc/self/maps").read_text(), re.M)
    every = [(int(start, 16), int(end, 16), int(inode)) for start, end, inode in found]
    return [entry for entry in every if entry[2] not in earlier]


def inode(array):
    return next(number for start, end, number in mappings() if start <= array.ctypes.data < end)


def expected(state, factor=1.0):
    x = state.positions().astype(np.float64)
    return np.sqrt((x * x).sum(axis=1)) * factor


def in_daemon(pid):
    found = []
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            if "gromosd-result" in os.readlink(f"/proc/{pid}/fd/{descriptor}"):
                found.append(descriptor)
    return found


def right(state, array):
    return np.allclose(array, expected(state), rtol=1e-6, atol=0)


def test_an_array_that_is_held_does_not_change(one):
    held = []
    for k in range(20):  # more than are kept for reuse
        one.scale(1.01)
        held.append((one.norms(), expected(one)))
        if k % 3 == 2:
            del held[k // 3]
    for array, right_answer in held:
        np.testing.assert_allclose(array, right_answer, rtol=1e-6)
    addresses = {inode(array) for array, _ in held}
    assert len(addresses) == len(held)


def test_what_was_let_go_of_comes_again(one):
    first = one.norms()
    where, address = inode(first), first.ctypes.data
    del first
    one.scale(2.0)
    second = one.norms()
    assert inode(second) == where and second.ctypes.data == address
    assert right(one, second)
    third = one.norms()  # while the second is held
    assert inode(third) != where
    del second
    assert inode(one.norms()) == where
    assert right(one, third)


def test_a_part_of_an_array_holds_all_of_it(one):
    part = one.norms()[100:200:3]
    before, where = part.copy(), inode(part)
    one.scale(3.0)
    other = one.norms()
    assert inode(other) != where
    np.testing.assert_array_equal(part, before)
    view = memoryview(part)
    del part
    again = one.norms()
    assert inode(again) not in (where, inode(other))
    np.testing.assert_array_equal(np.asarray(view), before)


def test_results_of_one_reply_are_held_by_each_of_its_arrays():
    d = Daemon()
    with d.connect() as session:
        state = session.create(20_000)
        state.set_positions(np.random.default_rng(1).random((20_000, 3)) * 5)
        state.box = gromos.Box.rectangular(5.0, 5.0, 5.0)
        pairs, distances = state.neighbor_pairs(0.4)
        kept = distances.copy()
        where = inode(pairs)
        del pairs
        state.scale(1.01, box=True)
        more, _ = state.neighbor_pairs(0.4)
        assert inode(more) != where
        np.testing.assert_array_equal(distances, kept)
        del distances, more, _
        assert inode(state.neighbor_pairs(0.4)[0]) in {number for _, _, number in mappings()}
    d.kill()
    d.remove()


def test_another_size_finds_other_memory_and_the_right_numbers(one):
    for count in (N, 70_000, N // 2 + 40_000, N, 79_999, 66_000):
        atoms = np.arange(count)
        np.testing.assert_allclose(one.norms(atoms=atoms), expected(one)[:count], rtol=1e-6)
    small = one.distance_array(np.arange(300), np.arange(300))
    large = one.distance_array(np.arange(3000), np.arange(1000))
    assert inode(small) != inode(large)
    np.testing.assert_array_equal(large[:300, :300], small)


def test_no_session_is_given_what_another_had():
    d = Daemon()
    seen = []
    for seed in range(3):
        with d.connect() as session:
            state = make_state(session, seed)
            arrays = [state.norms() for _ in range(3)]
            seen += [inode(a) for a in arrays]
            assert all(right(state, a) for a in arrays)
            del arrays
            seen.append(inode(state.norms()))
            assert seen[-1] in seen[-4:-1]
            seen.pop()
    assert len(set(seen)) == 9
    d.kill()
    d.remove()


def test_two_sessions_at_once_have_nothing_in_common():
    d = Daemon()
    with d.connect() as a, d.connect() as b:
        x, y = make_state(a, 1), make_state(b, 2)
        for _ in range(5):
            mine, yours = x.norms(), y.norms()
            assert inode(mine) != inode(yours) and right(x, mine) and right(y, yours)
            del mine
            theirs = y.norms()
            assert right(x, x.norms()) and right(y, theirs) and right(y, yours)
    d.kill()
    d.remove()


def test_the_setting_bounds_it():
    def kept(*options):
        d = Daemon(*options)
        with d.connect() as session:
            state = make_state(session)
            arrays = [state.norms() for _ in range(4)]
            number = len(in_daemon(d.process.pid)) // 2  # one descriptor to write through, one for readers
            assert all(right(state, a) for a in arrays)
            del arrays
            assert right(state, state.norms())
            left = len(mappings())
        d.kill()
        d.remove()
        return number, left

    assert kept("--result-pool", "0") == (0, 0)
    assert kept("--result-pool", str(700_000)) == (2, 2)
    number, left = kept()
    assert number == 4 and left == 4


def test_idle_memory_is_given_back(one):
    arrays = [one.norms() for _ in range(3)]
    gone = {inode(a) for a in arrays}
    del arrays
    wait_until(lambda: not in_daemon(pid_of(one)), what="the daemon's end of it")
    usage = [line for line in Path("/proc/self/smaps").read_text().splitlines() if "gromosd-result" in line or line.startswith("Rss:")]
    resident = [usage[i + 1] for i, line in enumerate(usage) if "gromosd-result" in line]
    assert all(line.split()[1] == "0" for line in resident)
    fresh = one.norms()
    assert right(one, fresh) and inode(fresh) not in gone
    assert {number for _, _, number in mappings()} == {inode(fresh)}


def pid_of(state):
    return state.session.info().pid


def test_an_array_outlives_session_and_daemon():
    d = Daemon()
    session = d.connect()
    state = make_state(session)
    array, answer = state.norms(), expected(state)
    session.close()
    np.testing.assert_allclose(array, answer, rtol=1e-6)
    d.kill()
    np.testing.assert_allclose(array, answer, rtol=1e-6)
    del state, session, array
    gc.collect()
    assert mappings() == []
    d.remove()


def test_what_a_forked_child_has_is_not_written_again(one):
    array, answer = one.norms(), expected(one)
    where = inode(array)
    ready, go = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.write(ready[1], b"x")
        os.read(go[0], 1)  # until the parent has let go and computed again
        same = np.allclose(array, answer, rtol=1e-6)
        del array
        os._exit(0 if same else 1)
    os.read(ready[0], 1)
    del array
    one.scale(7.0)
    others = [one.norms() for _ in range(3)]
    assert where not in {inode(a) for a in others}
    os.write(go[1], b"x")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    later = {inode(a) for a in others}
    del others
    assert inode(one.norms()) in later  # what was made after the fork comes again
    for descriptor in (*ready, *go):
        os.close(descriptor)


def test_the_memory_of_a_killed_client_goes(one):
    code = (
        "import sys, time, gromos, numpy as np\n"
        f"state = gromos.connect(sys.argv[1]).create({N})\n"
        "held = [state.norms() for _ in range(3)]\n"
        "idle = state.norms(); del idle\n"
        "print('ready', flush=True); time.sleep(600)\n"
    )
    endpoint = one.session.endpoint
    with subprocess.Popen([sys.executable, "-c", code, endpoint], stdout=subprocess.PIPE, cwd=ROOT) as client:
        assert client.stdout.readline() == b"ready\n"
        assert len(in_daemon(pid_of(one))) == 8
        client.send_signal(signal.SIGKILL)
    wait_until(lambda: not in_daemon(pid_of(one)), what="the end of the client's results")


def hammer(state, turns):
    """Threads that compute, hold some and let go of others; the first wrong array or error, or None."""
    wrong = []
    right_answer = {}
    for k in range(4):
        right_answer[k] = expected(state)[k * 1000 : k * 1000 + 70_000]

    def work(k):
        atoms = np.arange(k * 1000, k * 1000 + 70_000)
        held = []
        for turn in range(turns):
            try:
                held.append(state.norms(atoms=atoms))
            except gromos.GromosError as error:
                wrong.append(error)
            if turn % 2 and held:
                del held[0]
            if len(held) > 5:
                held.clear()
            wrong.extend((k, turn) for array in held if not np.allclose(array, right_answer[k], rtol=1e-6))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong[0] if wrong else None


def test_threads_do_not_get_each_others_results(one):
    assert hammer(one, 40) is None


@pytest.mark.parametrize(
    "before, after",
    [
        (".returned, memory_order_acquire) != place->number)", ".taken, memory_order_acquire) != place->number && !place->fetched)"),
        ("place->state == GD_POOLED_IDLE && fits(", "(place->state == GD_POOLED_IDLE || place->state == GD_POOLED_LENT) && fits("),
    ],
)
def test_a_daemon_that_does_not_wait_is_found(tmp_path, before, after):
    d = Daemon(binary=planted(tmp_path, "server/service/result_pool.c", before, after))
    try:
        with d.connect() as session:
            state = make_state(session)
            with pytest.raises(AssertionError):
                test_an_array_that_is_held_does_not_change(state)
            assert hammer(state, 10) is not None
    finally:
        d.kill()
        d.remove()

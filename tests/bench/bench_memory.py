"""Memory: views, attaching, creating, writing, frames and edits by one process."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gromos
from benchlib import Daemon, Helper, Report, Sample, Turn, looped, places, placed, sample_of, take_turns, timed

LARGE = 1_000_000


def run(report: Report, build: Path, seconds: float) -> None:
    with Daemon(build) as daemon, daemon.connect() as session:
        views(report, session, seconds)
        edits(report, session, seconds)
        writing(report, session, seconds)
        attaching(report, build, daemon, seconds)
        creating(report, build, daemon, session, seconds)


def views(report: Report, session: gromos.Session, seconds: float) -> None:
    report.title("views and frames: no copy, whatever the size (one process)")
    small, large = session.create(1000), session.create(LARGE)

    def snapshot(state: gromos.State) -> Turn:
        def take() -> None:
            with state.snapshot():
                pass

        return looped(take, 2000)

    samples = take_turns(
        {
            "small": looped(small.positions, 5000),
            "large": looped(large.positions, 5000),
            "frame, small": snapshot(small),
            "frame, large": snapshot(large),
        },
        seconds,
    )
    report.below("state.positions(), 1,000 atoms", samples["small"], 0.2e-6)
    report.below("state.positions(), 1,000,000 atoms", samples["large"], 0.2e-6)
    report.against("state.positions(), the large State", samples["large"], samples["small"], "the small one", most=1.2)
    report.below("with state.snapshot(), 1,000 atoms", samples["frame, small"], 2e-6)
    report.below("with state.snapshot(), 1,000,000 atoms", samples["frame, large"], 2e-6)
    small.close()
    large.close()


def edits(report: Report, session: gromos.Session, seconds: float) -> None:
    report.title("edits, uncontended")
    state, one = session.create(100_000), session.create(1)
    state.snapshot().release()
    one.snapshot().release()
    array = np.random.default_rng(1).random((100_000, 3), dtype=np.float32)
    into = np.zeros_like(array)
    # As in the ring, a frame goes where the oldest one was.
    ring = itertools.cycle([np.zeros((2, *array.shape), np.float32) for _ in range(state.describe().slots)])

    def nothing(publish: bool, target: gromos.State) -> None:
        with target.edit(publish=publish):
            pass

    def handed_out() -> None:
        with state.edit() as e:
            e.positions()[:] = array

    def copies() -> None:
        slot = next(ring)
        np.copyto(into, array)
        np.copyto(slot[0], into)
        np.copyto(slot[1], array)

    samples = take_turns(
        {
            "empty": looped(lambda: nothing(False, state), 2000),
            "door": timed(lambda: nothing(True, one), 20),
            "written": timed(lambda: state.set_positions(array), 20),
            "handed out": timed(handed_out, 20),
            "copies": timed(copies, 20),
        },
        seconds,
    )
    report.below("with edit(publish=False), nothing written", samples["empty"], 3e-6)
    report.state("commit through the door, 1 atom: the round trip", samples["door"], where="free")
    both = Sample([[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(samples["copies"].rounds, samples["door"].rounds, strict=True)])
    report.against("set_positions published, 100,000 atoms", samples["written"], both, "3 copies + round trip", most=1.3, where="free")
    report.against("e.positions()[:] = a, published, 100,000 atoms", samples["handed out"], both, "3 copies + round trip", most=1.3, where="free")
    report.note("copies: the caller's array into the State (1); the State's positions and velocities into the frame (2); the old")
    report.note("content is not copied, it stands in the newest frame. What was written into the edit's own arrays is read once more at the commit")
    state.close()
    one.close()


def writing(report: Report, session: gromos.Session, seconds: float) -> None:
    report.title("set_positions(a, publish=False) beside np.copyto (one process)")
    for atoms, count in ((50_000, 20), (LARGE, 2)):
        with session.create(atoms) as state:
            single = np.random.default_rng(2).random((atoms, 3), dtype=np.float32)
            writing_one(report, state, single, count, seconds)
            writing_one(report, state, single.astype(np.float64), count, seconds)
    report.note("copies: publish=False 1, the caller's array into the State, every number looked at on the way. The old content is kept until the")
    report.note("commit: in the newest frame, when that has it (as here after each commit that published, not timed and done before np.copyto too);")
    report.note("else in the undo memory, 1 copy more: that is each call of a chain without frames")
    report.note("publish=True adds 1 copy of positions and velocities into the frame; an edit() that hands arrays out adds 1 copy of")
    report.note("each into the undo memory, unless the newest frame holds the old content already")


def writing_one(report: Report, state: gromos.State, array: np.ndarray, count: int, seconds: float) -> None:
    into, aside = np.zeros(array.shape, np.float32), np.zeros(array.shape, np.float32)

    def ours() -> None:
        state.set_positions(array, publish=False)

    def copyto() -> None:
        np.copyto(into, array)

    def two() -> None:
        np.copyto(aside, into)
        np.copyto(into, array)

    def framed(call: Callable[[], None]) -> Turn:
        """Before each call a commit that publishes: the caches are as it leaves them, for both that are compared."""

        def turn() -> list[float]:
            times = []
            for _ in range(count):
                state.set_positions(array)
                times += timed(call, 1)()
            return times

        return turn

    what = f"{array.dtype}, {len(array):,} atoms"
    after = take_turns({"ours": framed(ours), "copyto": framed(copyto)}, seconds)
    chain = take_turns({"ours": timed(ours, count), "copyto": timed(copyto, count), "two": timed(two, count)}, seconds)
    report.against(f"{what}, the frame has the old ones", after["ours"], after["copyto"], "np.copyto", most=1.25)
    report.against(f"{what}, chain without frames", chain["ours"], chain["copyto"], "np.copyto")
    report.against(f"{what}, chain without frames", chain["ours"], chain["two"], "np.copyto twice", most=1.25)


def attaching(report: Report, build: Path, daemon: Daemon, seconds: float) -> None:
    report.title("attach, 1,000,000 atoms, warm process")
    with daemon.connect() as owner, daemon.connect() as session:
        state = owner.create(LARGE, name="attached")
        bytes_ = state.describe().bytes
        path = daemon.directory / "bare"
        bare = build / "bench" / "bare_memory"
        with Helper(bare, "serve", path, str(bytes_), ready=True) as server, Helper(bare, "measure", path, str(bytes_)) as client:

            def attach() -> list[float]:
                times = []
                for _ in range(20):
                    start = time.perf_counter()
                    attached = session.attach("attached")
                    times.append(time.perf_counter() - start)
                    attached.close()
                    del attached
                return times

            for where, here, there in places():
                with placed(here, there, [daemon.pid, server.pid]), placed(here, here, [client.pid]):
                    samples = take_turns({"ours": attach, "bare": lambda: client.nanoseconds("attach 20")}, seconds / 2)
                report.against("attach", samples["ours"], samples["bare"], "connect + SCM_RIGHTS + mmap in C", most=3.0, where=where)
        state.delete()


def creating(report: Report, build: Path, daemon: Daemon, session: gromos.Session, seconds: float) -> None:
    report.title("create a State")
    numbers = itertools.count()
    with Helper(build / "bench" / "bare_memory", "measure", "-", "0") as bare, session.create(1, name="stays"):
        for atoms in (1000, 50_000, LARGE):
            state = session.create(atoms)
            bytes_ = state.describe().bytes
            state.close()
            count = 10 if atoms < LARGE else 2

            def create(atoms: int = atoms, count: int = count) -> list[float]:
                times = []
                for _ in range(count):
                    start = time.perf_counter()
                    made = session.create(atoms, name=f"made-{next(numbers)}")
                    times.append(time.perf_counter() - start)
                    made.delete()
                    made.close()
                    del made
                    session.attach("stays").close()  # the daemon has let go of it, too: what the door is told is done in order
                    session.ping()
                return times

            def masses(atoms: int = atoms) -> list[float]:
                with session.create(atoms) as made:
                    start = time.perf_counter()
                    made.masses()
                    taken = time.perf_counter() - start
                session.attach("stays").close()
                return [taken]

            line = f"create {bytes_} {count}"

            def create_bare(line: str = line) -> list[float]:
                return bare.nanoseconds(line)

            for where, here, there in places():
                with placed(here, there, [daemon.pid]), placed(here, there, [bare.pid]):
                    turns: dict[str, Turn] = {"ours": create, "bare": create_bare, "ping": timed(session.ping, 20), "masses": masses}
                    samples = take_turns(turns, seconds / 3)
                both = [a + b for a, b in zip(samples["bare"].medians(), samples["ping"].medians(), strict=True)]
                report.against(
                    f"create, {atoms:,} atoms ({bytes_ / 1e6:.3g} MB)", samples["ours"], sample_of(both),
                    "memfd + fallocate + mmap + seal + ping", most=1.3, where=where,
                )
                report.state("   the first look at its masses, which writes them", samples["masses"], where)

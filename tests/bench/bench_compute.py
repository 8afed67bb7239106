"""Computing: small vectors, kernels beside plain C, and whole calls from Python beside the libraries people use."""

from __future__ import annotations

import ctypes
import re
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import gromos
from benchlib import HERE, Daemon, Report, Sample, Turn, judge, library, places, placed, python, run_text, show, take_turns, timed

Array = npt.NDArray[Any]
ATOMS = 100_000
KERNEL_MOST = 1.5
TRIAD_LEAST = 0.7


# --- small vectors ---------------------------------------------------------------------------------------------------


def vectors(report: Report, build: Path, seconds: float) -> None:
    report.title("Vec3 beside an empty C method, lists and NumPy (bench_vec3.py, one process)")
    text = run_text(python(), HERE / "bench_vec3.py", "--rounds", str(max(40, int(seconds * 12))))
    print("\n".join("   " + line for line in text.splitlines()))
    for line in text.splitlines():
        found = re.match(r"(.+ / .+?) +([\d.]+) +(<=|>=) ([\d.]+) +(kept|BROKEN)", line)
        if found:
            what, value, relation, bound, verdict = found.groups()
            report.rows.append((f"Vec3: {what}", "", f"x {value}", "", f"{relation} {bound}", "ok" if verdict == "kept" else "MISS"))


# --- kernels beside plain loops --------------------------------------------------------------------------------------


def kernels(report: Report, build: Path, seconds: float) -> None:
    """The best variant of this processor; kernel_check --bench by itself shows all."""
    report.title("kernels beside a plain C loop (-O3 -march=native), one thread (kernel_check --bench)")
    for atoms in (ATOMS, 10 * ATOMS):
        lines = run_text(build / "kernel_check", "--bench", str(atoms), "best").splitlines()
        best = lines[0].rsplit(" ", 1)[-1]
        for line in lines:
            print("   " + line, flush=True)
        for line in lines:
            judge_kernel(report, line, best, atoms)


def judge_kernel(report: Report, line: str, best: str, atoms: int) -> None:
    head = re.match(rf"(.+?) +{best} +(f\d+) +\d+ +([\d.]+) us \(([\d.]+)-([\d.]+)\)", line)
    if head is None:
        return
    name, kind, median, low, high = head.groups()
    ours = f"{show(float(median) * 1e-6)} ({show(float(low) * 1e-6)} - {show(float(high) * 1e-6)})"
    fast = float(low) / float(median)
    loop = re.search(r"loop +([\d.]+) us +ratio +([\d.]+)", line)
    triad = re.search(r"([\d.]+) of triad", line)
    what = f"{name}, {kind}, {atoms:,} atoms"
    if atoms == ATOMS and loop is not None:
        ratio = float(loop.group(2))
        verdict = judge(ratio <= KERNEL_MOST, ratio * fast <= KERNEL_MOST)
        report.rows.append((what, "one", ours, f"plain C {show(float(loop.group(1)) * 1e-6)}: x {ratio:g}", f"<= {KERNEL_MOST:g}", verdict))
    elif atoms > ATOMS and triad is not None:
        share = float(triad.group(1))
        verdict = judge(share >= TRIAD_LEAST, share / fast >= TRIAD_LEAST)
        report.rows.append((what, "one", ours, f"{share:g} of the triad's bandwidth", f">= {TRIAD_LEAST:g}", verdict))


# --- whole calls -----------------------------------------------------------------------------------------------------


class Case:
    """100,000 atoms at the density of water, in a State and in what the other libraries want."""

    def __init__(self, session: gromos.Session, seed: int = 5) -> None:
        random = np.random.default_rng(seed)
        self.edge = float((ATOMS / 100.0) ** (1 / 3))
        self.state = session.create(ATOMS)
        with self.state.edit() as edit:
            edit.set_positions(random.random((ATOMS, 3)) * self.edge)
            edit.set_velocities(random.normal(size=(ATOMS, 3)))
            edit.set_masses(np.where(np.arange(ATOMS) % 3 == 0, 15.9994, 1.008))
            edit.box = gromos.Box.rectangular(self.edge, self.edge, self.edge)
        self.reference = self.state.clone()
        with self.reference.edit() as edit:
            edit.set_positions(self.state.positions() + random.normal(scale=0.02, size=(ATOMS, 3)))
        self.x, self.v, self.m = self.state.positions(), self.state.velocities(), self.state.masses()
        self.y = self.reference.positions()
        self.pairs = random.integers(0, ATOMS, (ATOMS, 2), dtype=np.int32)
        self.oxygens = np.arange(0, ATOMS, 3, dtype=np.int32)
        self.box = (ctypes.c_double * 3)(self.edge, self.edge, self.edge)
        self.cell = np.array([self.edge, self.edge, self.edge, 90, 90, 90], np.float32)


def address(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def native(function: Any, *arguments: Any) -> Turn:
    """One call of kernel_calls.c, which times itself."""
    function.restype = ctypes.c_int64
    keep = arguments

    def turn() -> float:
        nanoseconds = function(*[address(a) if isinstance(a, np.ndarray) else a for a in keep])
        if nanoseconds < 0:
            raise RuntimeError("a kernel failed")
        return float(nanoseconds) * 1e-9

    return turn


def many(turn: Turn, count: int) -> Turn:
    def turns() -> list[float]:
        values = []
        for _ in range(count):
            value = turn()
            assert isinstance(value, float)
            values.append(value)
        return values

    return turns


def after(kernel: Turn, call: Callable[[], Any], count: int) -> Turn:
    """A turn of calls timed one by one, each right after the kernel ran on this processor."""
    once = timed(call, 1)

    def turn() -> list[float]:
        times = []
        for _ in range(count):
            kernel()
            value = once()
            assert not isinstance(value, float)
            times += value
        return times

    return turn


def limit(samples: dict[str, Sample], ping: str) -> Sample:
    """Kernel + 1.15 ping, a value for each round."""
    return Sample([[k + 1.15 * p] for k, p in zip(samples["kernel"].medians(), samples[ping].medians(), strict=True)])


def n_of(count: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(count)


def calls(report: Report, build: Path, seconds: float) -> None:
    report.title(f"whole calls from Python on {ATOMS:,} atoms, float32: kernel + 1.15 ping is the limit; others on the same data")
    lib = library(build / "bench" / "kernel_calls.so")
    lib.kc_init.restype = ctypes.c_char_p
    report.note(f"kernels {lib.kc_init().decode()}, timed in this process over the same memory and the same selections of atoms")
    report.note("same core: client, daemon and its workers on one; two cores: the client on one, all of the daemon on the other")
    with Daemon(build) as daemon, daemon.connect() as session:
        case = Case(session)
        out = np.zeros(16)
        small = (case.x, case.m, n_of(ATOMS), out)
        others = elsewhere(case, report)
        tools: dict[str, tuple[Callable[[], Any], Turn, Turn, int]] = {}

        def add(name: str, call: Callable[[], Any], arguments: tuple[Any, ...], count: int = 5, plain: tuple[Any, ...] | None = None) -> None:
            """`plain`: the arguments of the plain loop, where it is given its atoms already picked out."""
            loop = native(getattr(lib, f"pl_{name}"), *(arguments if plain is None else plain))
            tools[name] = (call, native(getattr(lib, f"kc_{name}"), *arguments), loop, count)

        state = case.state
        add("center_of_mass", state.center_of_mass, small)
        add("radius_of_gyration", state.radius_of_gyration, small)
        add("kinetic_energy", state.kinetic_energy, (case.v, case.m, n_of(ATOMS), out))
        add("rmsd", lambda: state.rmsd(case.reference), (case.x, case.y, n_of(ATOMS), out))
        add("wrap", lambda: state.wrap(publish=False), (case.x.copy(), n_of(ATOMS), case.box))
        distances = np.zeros(ATOMS, np.float32)
        add("distances", lambda: state.distances(case.pairs), (case.x, n_of(ATOMS), case.pairs, n_of(ATOMS), case.box, distances))
        for name in tools:
            whole(report, session, daemon.pid, name, tools[name], others.get(name, {}), seconds)
        tools.clear()
        some = np.arange(10_000, dtype=np.int32)
        block, other = np.zeros((2, 1000, 10_000), np.float32)  # one each: what the other wrote last would be in the caches still
        array = (case.x, n_of(ATOMS), some, n_of(1000), some, n_of(10_000), case.box, block)
        packed = (case.x, n_of(10_000), n_of(1000), case.box, other)
        add("distance_array", lambda: state.distance_array(some[:1000], some), array, 2, packed)
        room = 22_000_000
        found, lengths = np.zeros((room, 2), np.int32), np.zeros(room, np.float32)
        cutoff = ctypes.c_double(1.0)
        arguments = (case.x, n_of(ATOMS), case.box, cutoff, found, lengths, n_of(room))
        add("neighbor_pairs", lambda: state.neighbor_pairs(1.0), arguments, 1)
        counts, oxygen = np.zeros(200, np.uint64), np.ascontiguousarray(case.x[case.oxygens])
        rdf = (case.x, n_of(ATOMS), case.oxygens, n_of(len(oxygen)), case.box, cutoff, n_of(200), counts)
        packed = (oxygen, n_of(len(oxygen)), case.box, cutoff, n_of(200), counts)
        add("rdf", lambda: state.rdf(case.oxygens, case.oxygens, r_max=1.0, bins=200), rdf, 1, packed)
        for name in tools:
            whole(report, session, daemon.pid, name, tools[name], others.get(name, {}), seconds)
        report.note("The limit is that of small arguments and results and of warm caches: a kernel goes through 2 MB, and a ping after it is the")
        report.note("slower for it; distances() sends 0.8 MB there, rdf() 0.13 MB; large results come in memory that was used before")
        accuracy(report, case)


def whole(
    report: Report,
    session: gromos.Session,
    pid: int,
    name: str,
    tool: tuple[Callable[[], Any], Turn, Turn, int],
    others: dict[str, Callable[[], Any]],
    seconds: float,
) -> None:
    call, kernel, plain, count = tool
    turns = {"ours": timed(call, count), "kernel": many(kernel, count), "plain": many(plain, count), "ping": timed(session.ping, 10)}
    for label, here, there in places():
        one_core = here == there and len(here) == 1 and count >= 5
        with placed(here, there, [pid]):
            samples = take_turns(turns | ({"cold": after(kernel, session.ping, count)} if one_core else {}), seconds, least=3)
        report.against(f"{name}()", samples["ours"], limit(samples, "ping"), "kernel + 1.15 ping", most=1.0, where=label)
        if one_core:  # what a ping costs when a kernel has been through the caches, as one has in the call: stated, no limit
            report.against(f"{name}()", samples["ours"], limit(samples, "cold"), "kernel + 1.15 ping after it", where=label)
    report.against(f"{name}: the kernel", samples["kernel"], samples["plain"], "plain C loop", most=KERNEL_MOST, where="one")
    slow = name in ("neighbor_pairs", "rdf", "distance_array")
    for library_name, other in others.items():
        if slow and report.quick:
            report.note(f"{name} with {library_name}: seconds; left out of the quick form")
            continue
        start = time.perf_counter()
        try:
            other()
        except Exception as error:  # what a library of another version cannot do is said, and is no fault of ours
            report.note(f"{name} with {library_name}: {type(error).__name__}: {error}")
            continue
        once = time.perf_counter() - start
        times = timed(other, min(7, int(seconds / max(once, 1e-6))))()
        assert not isinstance(times, float)
        sample = Sample([list(times) or [once]])
        faster = sample.median / samples["ours"].median
        report.row(f"{name} with {library_name}", "one", show(sample.median), f"the whole call of ours: {faster:.3g} times faster", "", "-")


def elsewhere(case: Case, report: Report) -> dict[str, dict[str, Callable[[], Any]]]:
    """The same work with what people use now."""
    x, y, v, m = case.x, case.y, case.v, case.m
    edge = np.float32(case.edge)
    total = m.sum()

    def radius() -> float:
        d = x - (m @ x) / total
        return float(np.sqrt((m * (d * d).sum(axis=1)).sum() / total))

    def kabsch() -> float:
        a, b = x - x.mean(axis=0), y - y.mean(axis=0)
        u, s, vt = np.linalg.svd(a.T @ b)
        s[-1] *= np.sign(np.linalg.det(u @ vt))
        return float(np.sqrt(max(0.0, ((a * a).sum() + (b * b).sum() - 2 * s.sum()) / len(a))))

    def minimum_image() -> Array:
        d = x[case.pairs[:, 0]] - x[case.pairs[:, 1]]
        d -= edge * np.rint(d / edge)
        return np.asarray(np.sqrt((d * d).sum(axis=1)))

    found: dict[str, dict[str, Callable[[], Any]]] = {
        "center_of_mass": {"NumPy": lambda: m @ x / total},
        "radius_of_gyration": {"NumPy": radius},
        "kinetic_energy": {"NumPy": lambda: 0.5 * np.einsum("i,ij,ij->", m, v, v)},
        "rmsd": {"NumPy": kabsch},
        "wrap": {"NumPy": lambda: x - edge * np.floor(x / edge)},
        "distances": {"NumPy": minimum_image},
        "distance_array": {},
        "neighbor_pairs": {},
        "rdf": {},
    }
    for add in (add_scipy, add_mdtraj, add_mdanalysis):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                add(case, found)
        except ImportError as error:
            report.skip(add.__name__.removeprefix("add_"), f"not installed ({error})")
    return found


def add_scipy(case: Case, found: dict[str, dict[str, Callable[[], Any]]]) -> None:
    from scipy.spatial import cKDTree
    from scipy.spatial.distance import cdist

    inside = np.mod(case.x.astype(np.float64), case.edge)
    found["distance_array"]["SciPy cdist (no periodicity)"] = lambda: cdist(case.x[:1000], case.x[:10_000])
    found["neighbor_pairs"]["SciPy cKDTree"] = lambda: cKDTree(inside, boxsize=case.edge).query_pairs(1.0, output_type="ndarray")


def add_mdtraj(case: Case, found: dict[str, dict[str, Callable[[], Any]]]) -> None:
    import mdtraj

    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(ATOMS // 3 + 1):
        residue = topology.add_residue("HOH", chain)
        for element in ("oxygen", "hydrogen", "hydrogen"):
            if topology.n_atoms < ATOMS:
                topology.add_atom(element[0].upper(), getattr(mdtraj.element, element), residue)

    def trajectory(x: Array) -> Any:
        return mdtraj.Trajectory(
            np.array(x)[None], topology, unitcell_lengths=np.full((1, 3), case.edge, np.float32), unitcell_angles=np.full((1, 3), 90.0, np.float32)
        )

    one, two = trajectory(case.x), trajectory(case.y)
    found["center_of_mass"]["mdtraj"] = lambda: mdtraj.compute_center_of_mass(one)
    found["radius_of_gyration"]["mdtraj"] = lambda: mdtraj.compute_rg(one)
    found["rmsd"]["mdtraj"] = lambda: mdtraj.rmsd(one, two)
    found["distances"]["mdtraj"] = lambda: mdtraj.compute_distances(one, case.pairs)
    everyone = np.arange(ATOMS)
    found["neighbor_pairs"]["mdtraj (neighbours of all)"] = lambda: mdtraj.compute_neighborlist(one, 1.0)
    assert len(everyone) == one.n_atoms


def add_mdanalysis(case: Case, found: dict[str, dict[str, Callable[[], Any]]]) -> None:
    import MDAnalysis
    from MDAnalysis.analysis import rms
    from MDAnalysis.lib import distances as lib

    universe = MDAnalysis.Universe.empty(ATOMS, n_residues=ATOMS, atom_resindex=np.arange(ATOMS), trajectory=True)
    universe.add_TopologyAttr("masses", case.m)
    atoms = universe.atoms
    atoms.positions = case.x * 10
    cell = case.cell.copy()
    cell[:3] *= 10
    universe.dimensions = cell
    x, y = np.array(case.x * 10), np.array(case.y * 10)
    left, right = x[case.pairs[:, 0]], x[case.pairs[:, 1]]
    oxygen = np.ascontiguousarray(x[case.oxygens])
    found["center_of_mass"]["MDAnalysis"] = lambda: atoms.center_of_mass()
    found["radius_of_gyration"]["MDAnalysis"] = lambda: atoms.radius_of_gyration()
    found["rmsd"]["MDAnalysis"] = lambda: rms.rmsd(x, y, superposition=True)
    found["wrap"]["MDAnalysis"] = lambda: lib.apply_PBC(x, cell)
    found["distances"]["MDAnalysis"] = lambda: lib.calc_bonds(left, right, box=cell)
    found["distance_array"]["MDAnalysis"] = lambda: lib.distance_array(x[:1000], x[:10_000], box=cell)
    found["neighbor_pairs"]["MDAnalysis"] = lambda: lib.self_capped_distance(x, 10.0, box=cell)
    found["rdf"]["MDAnalysis"] = lambda: np.histogram(lib.capped_distance(oxygen, oxygen, 10.0, box=cell)[1], bins=200, range=(0, 10))


def accuracy(report: Report, case: Case) -> None:
    """Beside speed: how far the sums are off a double-precision answer."""
    a, b = (p.astype(np.float64) - p.astype(np.float64).mean(axis=0) for p in (case.x, case.y))
    u, s, vt = np.linalg.svd(a.T @ b)
    s[-1] *= np.sign(np.linalg.det(u @ vt))
    exact = float(np.sqrt(((a * a).sum() + (b * b).sum() - 2 * s.sum()) / len(a)))
    ours = case.state.rmsd(case.reference)
    c, d = (p - p.mean(axis=0) for p in (case.x, case.y))
    u, s32, vt = np.linalg.svd(c.T @ d)
    single = float(np.sqrt(max(0.0, float(((c * c).sum() + (d * d).sum() - 2 * s32.sum()) / len(c)))))
    report.note(f"RMSD off the double-precision value: ours {abs(ours / exact - 1):.1e}, float32 Kabsch in NumPy {abs(single / exact - 1):.1e}")

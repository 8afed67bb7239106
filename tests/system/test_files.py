"""Files: GROMOS configurations by the daemon, others through MDAnalysis, units converted."""

import os

import gromos
import MDAnalysis
import numpy as np
import pytest

N = 30


@pytest.fixture
def state(session):
    rng = np.random.default_rng(2)
    with gromos.State(N, dtype="float64", session=session) as s:
        s.set(
            positions=rng.random((N, 3)) * 3,
            velocities=rng.normal(size=(N, 3)) * 0.3,
            box=gromos.Box.rectangular(3.0, 3.5, 4.0),
            time=1.5,
            step=750,
            masses=np.full(N, 12.0),
        )
        yield s


@pytest.mark.parametrize("suffix", [".cnf", ".g96"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gromos_there_and_back(state, session, tmp_path, suffix, dtype):
    path = tmp_path / f"out{suffix}"
    state.to_file(path, title="thirty atoms")
    text = path.read_text()
    assert "thirty atoms" in text
    with gromos.load(path, session=session, dtype=dtype) as again:
        # Nine decimals in the file; float32 resolves 2.4e-7 at 3 nm.
        tolerance = 1e-9 if dtype == "float64" else 3e-7
        np.testing.assert_allclose(again.positions(), state.positions(), atol=tolerance)
        np.testing.assert_allclose(again.velocities(), state.velocities(), atol=tolerance)
        assert (again.time, again.step) == (1.5, 750)
        np.testing.assert_allclose(again.box.vectors, state.box.vectors, atol=1e-9)
        assert again.dtype == dtype


@pytest.mark.parametrize(
    "box",
    [
        gromos.Box.vacuum(),
        gromos.Box.truncated_octahedron(4.0),
        gromos.Box.triclinic([[3.0, 0, 0], [0.5, 2.9, 0], [-0.4, 0.6, 3.1]]),
    ],
    ids=lambda b: b.kind.name,
)
def test_boxes_in_gromos_files(state, session, tmp_path, box):
    state.box = box
    state.to_file(tmp_path / "box.cnf")
    with gromos.load(tmp_path / "box.cnf", session=session) as again:
        assert again.box.kind == box.kind
        np.testing.assert_allclose(again.box.vectors, box.vectors, atol=1e-8)


def test_what_is_written_is_the_newest_commit(state, tmp_path, session):
    with state.edit() as e:
        e.positions()[:] = 99
    state.to_file(tmp_path / "x.cnf")
    with gromos.State.from_file(tmp_path / "x.cnf", session=session, name="from-file") as s:
        assert (s.positions() == 99).all()
        s.delete()


@pytest.mark.parametrize("suffix", [".gro", ".pdb"])
def test_other_formats_there_and_back(state, session, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    state.to_file(path, names=["C"] * N, resnames=["ETH"] * N, resids=np.arange(N) // 2 + 1)
    universe = MDAnalysis.Universe(str(path)) if suffix == ".gro" else None
    if universe is not None:
        np.testing.assert_allclose(universe.atoms.positions / 10, state.positions(), atol=6e-4)
        assert universe.atoms.names[0] == "C"
        assert len(universe.residues) == N // 2
    with gromos.load(path, session=session) as again:
        np.testing.assert_allclose(again.positions(), state.positions(), atol=6e-4)
        np.testing.assert_allclose(again.box.vectors, state.box.vectors, atol=1e-3)
        if suffix == ".gro":
            np.testing.assert_allclose(again.velocities(), state.velocities(), atol=6e-5)


def test_octahedra_are_written_as_the_cell_they_are(state, session, tmp_path):
    state.box = gromos.Box.truncated_octahedron(4.0)
    state.to_file(tmp_path / "o.gro")
    with gromos.load(tmp_path / "o.gro", session=session) as again:
        assert again.box.volume() == pytest.approx(32.0, rel=1e-4)
        pairs = [[0, 1], [5, 17], [3, 29]]
        np.testing.assert_allclose(again.distances(pairs), state.distances(pairs), atol=2e-3)


def test_frames_of_a_trajectory(session, tmp_path):
    from gromos._files import write_frames

    with gromos.State(N, session=session, slots=8) as s:
        s.box = gromos.Box.rectangular(3, 3, 3)
        for i in range(4):
            s.set(positions=np.full((N, 3), 0.1 * i), time=0.5 * i, step=i)
        write_frames(tmp_path / "t.xtc", s.history()[-4:])
        s.to_file(tmp_path / "t.gro")
        with gromos.load(tmp_path / "t.xtc", topology=tmp_path / "t.gro", frame=2, session=session) as third:
            np.testing.assert_allclose(third.positions(), 0.2, atol=6e-4)
            assert third.time == pytest.approx(1.0)
        with gromos.load(tmp_path / "t.xtc", topology=tmp_path / "t.gro", frame=-1, session=session) as last:
            np.testing.assert_allclose(last.positions(), 0.3, atol=6e-4)
        with pytest.raises(gromos.InvalidArgumentError, match="4 frames"):
            gromos.load(tmp_path / "t.xtc", topology=tmp_path / "t.gro", frame=9, session=session)


def test_a_remote_session_reads_other_formats_itself(state, remote, tmp_path):
    state.to_file(tmp_path / "r.gro")
    with gromos.load(tmp_path / "r.gro", session=remote) as s:
        np.testing.assert_allclose(s.positions(), state.positions(), atol=6e-4)
        with pytest.raises(gromos.UnsupportedError, match="local session"):
            s.to_file(tmp_path / "r.cnf")
    state.to_file(tmp_path / "r.cnf.gz")
    with gromos.load(tmp_path / "r.cnf.gz", session=remote, dtype="float64") as s, gromos.load(tmp_path / "r.cnf.gz", dtype="float64", session=state.session) as here:
        # The bytes travel; the daemon reads them as it reads a file of its own.
        assert (np.asarray(s.positions()) == here.positions()).all()
        assert s.box == here.box
    (tmp_path / "broken.cnf").write_text("POSITION\nnonsense\nEND\n")
    with pytest.raises(gromos.FileFormatError, match=r"broken\.cnf"):
        gromos.load(tmp_path / "broken.cnf", session=remote)


def test_files_that_are_not_there(session, state, tmp_path):
    for name in ("no.cnf", "no.gro"):
        with pytest.raises(gromos.FileAccessError, match=name):
            gromos.load(tmp_path / name, session=session)
    for name in ("no/where.cnf", "no/where.gro"):
        with pytest.raises(gromos.FileAccessError):
            state.to_file(tmp_path / name)
    with pytest.raises(gromos.UnsupportedError):
        state.to_file(tmp_path / "x.unknown")


def test_paths_that_are_no_files(session, state, tmp_path):
    for path in (tmp_path, tmp_path / "folder.cnf"):
        path.mkdir(exist_ok=True)
        with pytest.raises(gromos.FileAccessError, match="is a directory"):
            gromos.load(path, session=session)
        with pytest.raises(gromos.FileAccessError, match="is a directory"):
            state.to_file(path)
    with pytest.raises(gromos.FileAccessError, match="is a directory"):
        state.checkpoint(tmp_path)
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(gromos.FileAccessError, match="pipe.h5: is a device or a pipe, not a regular file"):
        state.checkpoint(tmp_path / "pipe.h5")
    for call in (lambda path: gromos.load(path, session=session), state.to_file):
        with pytest.raises(gromos.InvalidArgumentError, match="the path of the file is empty"):
            call("")
    (tmp_path / "system").write_text("no ending")
    with pytest.raises(gromos.UnsupportedError, match="the format follows from the ending"):
        gromos.load(tmp_path / "system", session=session)
    with pytest.raises(gromos.UnsupportedError, match="the format follows from the ending"):
        state.to_file(tmp_path / "system")


def test_a_checkpoint_goes_where_a_link_leads(session, state, tmp_path):
    (tmp_path / "latest.h5").symlink_to("fifth.h5")
    (tmp_path / "fifth.h5").write_text("old")
    state.checkpoint(tmp_path / "latest.h5")
    assert (tmp_path / "latest.h5").is_symlink()
    assert gromos.restore(tmp_path / "fifth.h5", "", session=session).num_atoms() == state.num_atoms()


def test_a_file_that_cannot_be_taken_up_leaves_no_state(session, tmp_path):
    pytest.importorskip("MDAnalysis")
    (tmp_path / "nan.gro").write_text("title\n    1\n    1SOL     OW    1     nan   0.000   0.000\n   1.0 1.0 1.0\n")
    with pytest.raises(gromos.NotFiniteError):
        gromos.load(tmp_path / "nan.gro", name="broken", session=session)
    with pytest.raises(gromos.NotFoundError):
        gromos.attach("broken", session=session)


def test_a_pipe_keeps_nobody_waiting(session, state, tmp_path):
    """Opening one that nobody writes to waits for ever, and a daemon that waits cannot stop."""
    os.mkfifo(tmp_path / "pipe.cnf")
    with pytest.raises(gromos.FileAccessError, match="pipe.cnf: is not a regular file"):
        gromos.load(tmp_path / "pipe.cnf", session=session)


def test_a_file_cut_in_the_middle_names_block_and_line(state, session, tmp_path):
    state.to_file(tmp_path / "whole.cnf")
    lines = (tmp_path / "whole.cnf").read_text().splitlines(keepends=True)
    before = session.stats().states
    for cut in range(1, len(lines) - 1, 3):
        path = tmp_path / "cut.cnf"
        path.write_text("".join(lines[:cut]))
        try:
            gromos.load(path, session=session).close()
        except gromos.FileFormatError as error:
            assert "cut.cnf" in str(error)
            assert any(word in str(error) for word in ("line", "block", "POSITION")), error
    path.write_text("".join(lines[: len(lines) // 3]))
    with pytest.raises(gromos.FileFormatError, match="POSITION|VELOCITY"):
        gromos.load(path, session=session)
    session.ping()
    assert session.stats().states <= before


def test_a_file_with_nonsense_in_a_number(state, session, tmp_path):
    state.to_file(tmp_path / "whole.cnf")
    lines = (tmp_path / "whole.cnf").read_text().splitlines()
    where = next(i for i, line in enumerate(lines) if line.startswith("POSITION")) + 5
    lines[where] = lines[where][:-6] + "x.yzzy"
    (tmp_path / "bad.cnf").write_text("\n".join(lines))
    with pytest.raises(gromos.FileFormatError, match=str(where + 1)):
        gromos.load(tmp_path / "bad.cnf", session=session)


def test_without_mdanalysis(session, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "MDAnalysis", None)
    (tmp_path / "a.gro").write_text("")
    with pytest.raises(gromos.UnsupportedError, match="pip install"):
        gromos.load(tmp_path / "a.gro", session=session)

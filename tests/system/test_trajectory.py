"""Trajectories read back: what a run wrote against its State, the original's files against a plain reading of them, faults."""

import gzip
import shutil
from pathlib import Path

import gromos
import md_reference
import numpy as np
import pytest
from gromos import _parameter_blocks as blocks

DATA = Path(gromos.__file__).parent / "data"
FOLDER = md_reference.reference_folder()


@pytest.fixture(scope="module")
def written(session, tmp_path_factory):
    """A run of six steps and its files, and the steps' arrays as frames showed them."""
    folder = tmp_path_factory.mktemp("run")
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    params.writetraj.ntwx = params.writetraj.ntwv = params.writetraj.ntwf = params.writetraj.ntwe = 2
    params.step.nstlim = 6
    system = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", params, session=session)
    files = {"trc": folder / "x.trc", "trv": folder / "v.trv.gz", "trf": folder / "f.trf", "tre": folder / "e.tre.gz"}
    reporter = gromos.EnergyReporter()
    gromos.Simulation(system, params, publish_every=1).run(wait=True, progress=False, reporters=[reporter], **files)
    return system, files, reporter


def test_energies_are_those_of_the_run(written):
    system, files, reporter = written
    e = gromos.read_energies(files["tre"])
    assert e.steps.tolist() == [0, 2, 4] and e.steps.dtype == np.int64
    assert np.allclose(e.times, system.state.time - 0.002 * np.array([6, 4, 2]), atol=1e-9)
    rows = [0, 2, 4]  # published after the step: row k has the energies of step k
    assert {"total", "coulomb", "constraint"} < set(e.names)
    for name in ("total", "kinetic", "potential", "covalent", "bond", "angle", "improper", "dihedral", "nonbonded", "lj", "coulomb", "special"):
        assert np.allclose(e[name], reporter[name][rows], rtol=1e-8, atol=1e-8), name
    assert e.baths.shape == (3, 2, 3) and e.bonded.shape == (3, 2, 5) and e.nonbonded.shape == (3, 3, 6) and e.special.shape == (3, 2, 13)
    assert e.pairs.tolist() == [[0, 0], [0, 1], [1, 1]]
    assert np.allclose(e.baths[:, :, 0].sum(axis=1), e["kinetic"], rtol=1e-8)
    assert np.allclose(e.nonbonded[:, :, 0].sum(axis=1), e["lj"], rtol=1e-7)
    assert np.allclose(e.bonded.sum(axis=(1, 2)), e["covalent"], rtol=1e-7, atol=1e-7)
    assert np.allclose(np.linalg.det(e.boxes), e.volume, rtol=1e-8)
    assert np.allclose(np.trace(e.pressure_tensor, axis1=1, axis2=2) / 3.0, e.pressure, rtol=1e-7, atol=1e-9)
    assert len(e) == 3 and "3 frames, 2 baths, 2 energy groups" in repr(e)
    with pytest.raises(gromos.InvalidArgumentError, match="'warmth'; there are total, kinetic"):
        e["warmth"]


def test_vectors_are_those_of_the_run(written, session):
    system, files, _ = written
    x, v, f = (gromos.read_trajectory(files[kind]) for kind in ("trc", "trv", "trf"))
    n = system.state.num_atoms()
    assert x.positions.shape == v.velocities.shape == f.forces.shape == f.constraint_forces.shape == (3, n, 3)
    assert x.steps.tolist() == v.steps.tolist() == f.steps.tolist() == [0, 2, 4]
    assert x.velocities is None and v.positions is None and f.boxes is None and "positions" in repr(x)
    assert all(box == x.boxes[0] for box in x.boxes)
    start = gromos.load(DATA / "alanine.cnf", dtype="float64", session=session)
    off = x.positions[0] - start.positions()
    lengths = np.array(x.boxes[0].dimensions()[:3])
    assert np.abs(off - lengths * np.round(off / lengths)).max() < 1.1e-9
    assert np.abs(v.velocities[0] - start.velocities()).max() < 1.1e-9
    # Newton: the change of velocity over a step is that of the forces, where there is no bath.
    assert np.isfinite(f.forces).all() and np.abs(f.forces).max() > 1.0
    frames = list(gromos.iter_trajectory(files["trc"]))
    assert [frame.step for frame in frames] == [0, 2, 4] and np.array_equal(frames[1].positions, x.positions[1])
    assert gromos.read_trajectory(files["trc"], every=2).steps.tolist() == [0, 4]


@pytest.mark.parametrize("vectors", [((3, 0, 0), (0.5, 4, 0), (-0.4, 0.3, 5)), ((2.9, 0.4, 0.1), (-0.3, 3.2, 0.5), (0.2, -0.4, 3.1))])
def test_a_triclinic_box_comes_back(session, tmp_path, vectors):
    """Also one that is turned, which GENBOX says by Euler angles."""
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    params.boundcond.ntb, params.pressurescale = "triclinic", None
    params.writetraj.ntwx = 1
    topology = gromos.Topology(solvent=gromos.Solvent.spc(0, 1), type_names=["OW", "HW"], lj=np.zeros((2, 2, 2)))
    state = gromos.State(3, dtype="float64", session=session)
    box = gromos.Box.triclinic(vectors)
    state.set(positions=[[0, 0, 0], [0.1, 0, 0], [-0.0333, 0.0943, 0]], box=box)
    params = gromos.InputParameters.nve(num_steps=1, cutoffs=0.8)
    params.writetraj.ntwx = 1
    gromos.Simulation(gromos.System(topology, state), params).run(wait=True, progress=False, trc=tmp_path / "x.trc")
    read = gromos.read_trajectory(tmp_path / "x.trc").boxes[0]
    assert np.abs(np.asarray(read.vectors) - np.asarray(box.vectors)).max() < 2e-8


def plain_reading(file):
    """Name and numbers of each block."""
    found = md_reference.blocks(md_reference.text_of(file))
    return [(name, [float(w) for line in lines for w in line.partition("#")[0].split()]) for name, lines in found if name not in ("TITLE", "ENEVERSION")]


CASES = sorted(FOLDER.glob("*/*/expected")) if FOLDER is not None else [Path("unset")]


@pytest.mark.skipif(FOLDER is None, reason="GROMOS_REFERENCE_DIR is not set: the original engine's files are not read")
@pytest.mark.parametrize("folder", CASES, ids=[folder.parent.name for folder in CASES])
def test_the_originals_files(folder):
    """Every number, against a plain reading of the blocks."""
    for file in folder.iterdir():
        kind = file.name.removesuffix(".gz").rpartition(".")[2]
        plain = plain_reading(file) if kind in ("tre", "trf", "trc") else []
        if kind == "tre":
            e = gromos.read_energies(file)
            wanted = [values for name, values in plain if name == "ENERGY03"]
            assert len(e) == len(wanted)
            for k, values in enumerate(wanted):
                assert e.totals[k].tolist() == values[:52]
                assert e["potential"][k] == values[2]
                groups = e.bonded.shape[1]
                at = 53 + 3 * e.baths.shape[1]
                assert values[52] == e.baths.shape[1] and values[at] == groups
                assert e.bonded[k].ravel().tolist() == values[at + 1 : at + 1 + 5 * groups]
                at += 1 + 5 * groups
                assert e.nonbonded[k].ravel().tolist() == values[at : at + 6 * len(e.pairs)]
            pressures = [values for name, values in plain if name == "VOLUMEPRESSURE03"]
            assert [p[-9:] for p in pressures] == e.molecular_kinetic_tensor.reshape(-1, 9).tolist()
            assert [p[0] for p in pressures] == e.mass.tolist()
        elif kind in ("trf", "trc"):
            t = gromos.read_trajectory(file)
            for block, rows in (("POSITIONRED", t.positions), ("FREEFORCERED", t.forces), ("CONSFORCERED", t.constraint_forces)):
                wanted = [values for name, values in plain if name == block]
                assert (rows is None and not wanted) or rows.reshape(len(wanted), -1).tolist() == wanted
            assert t.steps.tolist() == [int(values[0]) for name, values in plain if name == "TIMESTEP"]


# --- faults ----------------------------------------------------------------------------------------------------------

FRAME = "TITLE\n\tx\nEND\nTIMESTEP\n 0 0.0\nEND\nPOSITIONRED\n 1 2 3\n 4 5 6\n# 2\nEND\nGENBOX\n 1\n 3 3 3\n 90 90 90\n 0 0 0\n 0 0 0\nEND\n"
MORE = "TIMESTEP\n 1 0.002\nEND\nPOSITIONRED\n 1 2 3\n 4 5 6\nEND\nGENBOX\n 1\n 3 3 3\n 90 90 90\n 0 0 0\n 0 0 0\nEND\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FRAME.replace("4 5 6", "4 5 6e"), r"x\.trc:9: block POSITIONRED: '6e' is not a number"),
        (FRAME.replace("4 5 6", "4 5"), r"x\.trc:9: block POSITIONRED: 2 values in a line; expected 3"),
        (FRAME.replace("0 0.0", "0.5 0.0"), r"x\.trc:4: block TIMESTEP: expected a step number"),
        (FRAME.replace("POSITIONRED", "POSITIONRAD"), r"x\.trc:7: block POSITIONRAD: not expected here"),
        (FRAME.replace(" 1\n 3 3 3", " 7\n 3 3 3"), r"x\.trc:12: block GENBOX: the type of the box is 7"),
        (FRAME.replace(" 3 3 3", " 3 3"), r"x\.trc:12: block GENBOX: it ends where the origin"),
        (FRAME[:-4], r"x\.trc:12: block GENBOX: the file ends before its END"),
        (FRAME + MORE[:20], r"x\.trc:19: block TIMESTEP: the file ends before its END"),
        (FRAME + MORE[:22], r"the last frame holds nothing: the file was cut"),
        (FRAME + MORE.replace(" 4 5 6\n", ""), r"the frame of step 1 does not hold what the first one holds"),
        ("TITLE\nx\nEND\n", r"there is no frame in it"),
        ("", r"there is no frame in it"),
    ],
)
def test_faults_name_line_and_block(tmp_path, text, message):
    (tmp_path / "x.trc").write_text(text)
    with pytest.raises(gromos.FileFormatError, match=message):
        gromos.read_trajectory(tmp_path / "x.trc")


def test_frames_before_a_fault_are_given(tmp_path):
    (tmp_path / "x.trc").write_text(FRAME + MORE.replace("4 5 6", "4 five 6"))
    frames = gromos.iter_trajectory(tmp_path / "x.trc")
    assert next(frames).step == 0
    with pytest.raises(gromos.FileFormatError, match="'five'"):
        next(frames)


def test_faults_of_energies(written, tmp_path):
    text = gzip.decompress(written[1]["tre"].read_bytes()).decode()
    lines = text.splitlines()
    at = lines.index("# baths") + 1
    for changed, message in (
        (lines[: at + 1], r"e\.tre:\d+: block ENERGY03: the file ends before its END"),
        ([*lines[:at], "7", *lines[at + 1 :]], r"block ENERGY03: "),
        ([*lines[:at], "2.5", *lines[at + 1 :]], r"the number of baths is 2\.5"),
        ([*lines[: at - 3], *lines[at - 2 :]], r"block ENERGY03: "),
        ([*lines[: at - 3], "x", *lines[at - 2 :]], rf"e\.tre:{at - 2}: block ENERGY03: 'x' is not a number"),
    ):
        (tmp_path / "e.tre").write_text("\n".join(changed) + "\n")
        with pytest.raises(gromos.FileFormatError, match=message):
            gromos.read_energies(tmp_path / "e.tre")


def test_a_compressed_file_that_is_cut(written, tmp_path):
    data = written[1]["tre"].read_bytes()
    (tmp_path / "e.tre.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(gromos.FileFormatError, match=r"e\.tre\.gz:\d+: the compressed file is cut|END|cut"):
        gromos.read_energies(tmp_path / "e.tre.gz")
    shutil.copy(written[1]["trc"], tmp_path / "named.gz")  # what it is tells, not what it is called
    assert len(gromos.read_trajectory(tmp_path / "named.gz")) == 3
    with pytest.raises(gromos.FileAccessError, match="nothing.tre cannot be read"):
        gromos.read_energies(tmp_path / "nothing.tre")
    with pytest.raises(gromos.InvalidArgumentError, match="every is 0"):
        gromos.read_trajectory(tmp_path / "named.gz", every=0)


SPECIAL = """TITLE
	a run
END
TIMESTEP
              0    0.000000000
END
DISRESDATA
2
      0.6803488      8.4953995      0.0000000
      0.3454095      9.1029682      0.3500000
END
ANGRESDATA
              1
     99.1928366       1.0905343
END
JVALUERESEXPAVE
# I J K L <J>
    2    4    6    8      7.3241721
END
JVALUERESEPS
# I J K L
# GRID[1..2]
    2    4    6    8
  1.5000000e-01  0.0000000e+00
END
"""


def second_frame(text):
    return text + text[text.index("TIMESTEP") :].replace("              0    0.0", "              5    0.5")


def test_restraints_along_a_run(tmp_path):
    (tmp_path / "r.trs").write_text(second_frame(SPECIAL))
    s = gromos.read_special(tmp_path / "r.trs")
    assert s.steps.tolist() == [0, 5] and s.times.tolist() == [0.0, 0.5] and len(s) == 2
    assert s.distances.shape == (2, 2, 3) and s.distances[1, 1].tolist() == [0.3454095, 9.1029682, 0.35]
    assert s.angles.tolist() == [[[99.1928366, 1.0905343]]] * 2
    assert s.dihedrals is None
    assert s.jvalue_atoms.tolist() == [[1, 3, 5, 7]] and s.jvalues.tolist() == [[7.3241721]] * 2
    assert s.jvalue_elevations.tolist() == [[[0.15, 0.0]]] * 2
    assert "2 frames of distances, angles, jvalues" in repr(s)


def test_distances_are_those_of_the_run(session, tmp_path):
    """The restrained distance of each frame against the positions of that frame; both are rounded, to 1e-7 and 1e-9 nm."""
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    params.step.nstlim, params.writetraj.ntwx = 4, 2
    params.distanceres = blocks.DistanceRes(ntdir=1, cdir=100.0, dir0=1.0, ntwdir=2)
    system = gromos.System.from_files(DATA / "alanine.top", DATA / "alanine.cnf", params, session=session)
    held = gromos.Restraints(distrest=b"TITLE\nx\nEND\nDISTANCERESSPEC\n0.1 0.153\n1 0 0 0 0 9 0 0 0 0 0.3 1.0 1\nEND\n")
    files = {"trc": tmp_path / "x.trc", "trs": tmp_path / "r.trs.gz"}
    gromos.Simulation(system, params, restraints=held).run(wait=True, progress=False, **files)
    x, s = gromos.read_trajectory(files["trc"]), gromos.read_special(files["trs"])
    assert s.steps.tolist() == x.steps.tolist() == [0, 2]
    edges = np.array(x.boxes[0].dimensions()[:3])
    way = x.positions[:, 0] - x.positions[:, 8]
    way -= edges * np.rint(way / edges)
    assert np.abs(np.linalg.norm(way, axis=1) - s.distances[:, 0, 0]).max() < 6e-8


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("DISRESDATA\n2", "DISRESDATA\n3", r"r\.trs:7: block DISRESDATA: expected the number of restraints, and 3"),
        ("8      7.3241721", "8", "block JVALUERESEXPAVE: expected four atoms"),
        ("    2    4    6    8  ", "    0    4    6    8  ", "JVALUERESEXPAVE: expected the numbers of four atoms"),
        ("  1.5000000e-01  0.0000000e+00\n", "", "JVALUERESEPS: expected four atoms in a line and a grid"),
        ("ANGRESDATA", "ODDDATA", "block ODDDATA: not expected here"),
        ("ANGRESDATA\n              1\n     99.1928366       1.0905343", "DISRESDATA\n1\n1.0 1.0 1.0", "the frame has it already"),
        ("99.1928366", "warm", r"r\.trs:14: block ANGRESDATA: 'warm' is not a number"),
        ("TIMESTEP\n              0    0.000000000\nEND\n", "", "before the first TIMESTEP"),
    ],
)
def test_faults_of_restraints(tmp_path, old, new, match):
    assert old in SPECIAL
    (tmp_path / "r.trs").write_text(SPECIAL.replace(old, new, 1))
    with pytest.raises(gromos.FileFormatError, match=match):
        gromos.read_special(tmp_path / "r.trs")


def test_frames_of_restraints_hold_the_same(tmp_path):
    (tmp_path / "r.trs").write_text(SPECIAL + "TIMESTEP\n 5 0.5\nEND\n")
    with pytest.raises(gromos.FileFormatError, match="step 5 does not hold"):
        gromos.read_special(tmp_path / "r.trs")
    (tmp_path / "r.trs").write_text("TITLE\nx\nEND\n")
    with pytest.raises(gromos.FileFormatError, match="no frame"):
        gromos.read_special(tmp_path / "r.trs")


@pytest.mark.skipif(FOLDER is None, reason="GROMOS_REFERENCE_DIR is not set: the original engine's files are not read")
def test_restraints_of_the_original():
    """Every number of its files, in order."""
    found = sorted(FOLDER.glob("**/*.trs"))
    assert found
    for file in found:
        s = gromos.read_special(file)
        text = file.read_text()
        assert len(s) == text.count("TIMESTEP")
        for name, block in (("distances", "DISRESDATA"), ("angles", "ANGRESDATA"), ("dihedrals", "DIHRESDATA")):
            bodies = [part.split("END")[0].split() for part in text.split(block)[1:]]
            held = getattr(s, name)
            assert (held is None) == (not bodies)
            for frame, body in zip(held if held is not None else (), bodies, strict=True):
                assert [len(frame), *frame.ravel()] == [float(word) for word in body]

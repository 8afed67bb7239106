"""Topologies: read by the daemon, written from arrays, the same either way."""

import copy
import gzip
import pickle
from pathlib import Path

import gromos
import numpy as np
import pytest

DATA = Path(gromos.__file__).parent / "data"
ARRAYS = (
    "masses", "charges", "types", "residues", "molecules", "charge_groups", "bonds", "bond_type", "bond_types", "angles", "angle_type",
    "angle_types", "impropers", "improper_type", "improper_types", "dihedrals", "dihedral_type", "dihedral_types", "lj", "exclusions",
    "one_fours", "constraints", "constraint_type",
)  # fmt: skip


@pytest.fixture(scope="module")
def alanine(session):
    return gromos.Topology.from_file(DATA / "alanine.top", session=session)


def rebuilt(t, **changes):
    """The same topology from its arrays alone."""
    given = {name: getattr(t, name) for name in (*ARRAYS, "names", "residue_names", "type_names", "solvent", "constants")}
    return gromos.Topology(**(given | changes))


def test_what_the_example_file_holds(alanine):
    t = alanine
    assert (t.num_atoms(), t.num_bonds(), t.num_angles(), t.num_dihedrals(), t.num_impropers()) == (12, 11, 15, 6, 5)
    assert t.atom_names == t.names == ("CA", "C", "O", "N", "H", "CA", "CB", "C", "O", "N", "H", "CA")
    assert t.residue_names == ("ACE",) * 3 + ("ALA",) * 6 + ("NME",) * 3
    assert t.residues.tolist() == [0] * 3 + [1] * 6 + [2] * 3
    assert t.molecules.tolist() == [0, 12]
    assert t.charge_groups.tolist() == [0, 1, 3, 5, 7, 9, 11, 12]
    assert t.type_names == ("O", "OW", "N", "C", "CH1", "CH3", "H")
    assert [t.type_names[k] for k in t.types[:5]] == ["CH3", "C", "O", "N", "H"]
    assert t.bonds[0].tolist() == [3, 4]  # bonds with hydrogen come first
    assert t.bond_types[t.bond_type[0]].tolist() == [1.87e7, 3.74e5, 0.1]
    assert t.dihedral_types[2].tolist() == [0.7, 180.0, 6.0]
    assert t.lj[0, 4].tolist() == t.lj[4, 0].tolist() == [9.85e-06, 3.704924e-03, 1.664506e-06, 2.566338e-03]
    assert t.exclusions[:3].tolist() == [[0, 1], [0, 2], [0, 3]]
    assert t.one_fours[:2].tolist() == [[0, 4], [0, 5]]
    assert t.total_charge() == pytest.approx(0.0, abs=1e-12)
    assert t.solvent.names == ("OW", "HW1", "HW2")
    assert t.solvent.lengths.tolist() == [0.1, 0.1, 0.1632993]
    assert t.constants["four_pi_eps_i"] == 138.9354
    assert t.to_text() == (DATA / "alanine.top").read_text()


def test_solvent_behind_the_solute(alanine):
    wet = alanine.with_solvent(3)
    assert wet.num_atoms() == 21
    assert wet.num_solute_atoms() == 12
    assert wet.names[12:15] == ("OW", "HW1", "HW2")
    assert wet.molecules.tolist() == [0, 12, 15, 18, 21]
    assert wet.charge_groups.tolist()[-4:] == [12, 15, 18, 21]
    assert wet.residues[12:].tolist() == [3, 3, 3, 4, 4, 4, 5, 5, 5]
    assert wet.masses[15] == 15.9994
    assert wet.with_solvent(0).num_atoms() == 12 == alanine.num_atoms()
    assert wet.for_atoms(15).num_solvent_molecules == 1
    assert gromos.select("s:OW", wet).tolist() == [12, 15, 18]
    with pytest.raises(gromos.ShapeError, match="12 solute atoms and 3 in each"):
        wet.for_atoms(16)
    with pytest.raises(gromos.InvalidArgumentError, match="no solvent"):
        gromos.Topology(np.ones(2)).with_solvent(1)


def test_the_daemon_expands_as_python_does(alanine, session):
    got = session.commands.topology_get(topology=alanine._number(session), num_solvent_molecules=3)
    wet = alanine.with_solvent(3)
    for name in ("masses", "charges", "types", "residues", "molecules", "charge_groups"):
        assert got.arrays[name].tolist() == getattr(wet, name).tolist(), name
    assert tuple(got.atom_names) == wet.names


def test_arrays_written_and_read_again_are_the_same(alanine, session):
    again = gromos.Topology.from_text(rebuilt(alanine).to_text(), session=session)
    for name in ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(alanine, name)), name
    assert again.names == alanine.names
    assert again.residue_names == alanine.residue_names
    assert again.solvent.constraints.tolist() == alanine.solvent.constraints.tolist()
    assert again.solvent.charges.tolist() == alanine.solvent.charges.tolist()


def test_a_topology_without_a_file_gives_the_same_forces(alanine, session):
    params = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    forces = []
    for topology in (alanine, rebuilt(alanine)):
        state = gromos.load(DATA / "alanine.cnf", dtype="float64", session=session, num_temp_groups=2, num_energy_groups=2)
        forces.append(gromos.Simulation(gromos.System(topology, state), params).forces())
    assert np.abs(forces[0]).max() > 100
    assert (forces[0] == forces[1]).all()


def test_exclusions_follow_from_the_bonds():
    chain = gromos.Topology(np.full(5, 14.0), bonds=[[0, 1], [1, 2], [2, 3], [3, 4]])
    assert chain.exclusions.tolist() == [[0, 1], [0, 2], [1, 2], [1, 3], [2, 3], [2, 4], [3, 4]]
    assert chain.one_fours.tolist() == [[0, 3], [1, 4]]
    given = gromos.Topology(np.full(5, 14.0), bonds=[[0, 1], [1, 2], [2, 3]], exclusions=[[3, 0], [0, 3]])
    assert given.exclusions.tolist() == [[0, 3]]
    assert given.one_fours.tolist() == []  # what is excluded is no third neighbour


def test_distances_listed_besides_the_bonds(session):
    """A bent molecule of three atoms: two bonds, and the distance of their ends."""
    angle, length = np.radians(109.5), 0.12
    across = 2 * length * np.sin(angle / 2)
    t = gromos.Topology(
        [14.0, 16.0, 14.0], bonds=[[0, 1], [1, 2]], bond_types=[[1e7, 3e5, length], [1e7, 3e5, across]], constraints=[[0, 2], [0, 1]],
        constraint_type=[1, 0], lj=np.zeros((1, 1, 2)),
    )  # fmt: skip
    read = gromos.Topology.from_text(t.to_text(), session=session)
    assert read.constraints.tolist() == [[0, 2], [0, 1]]
    assert read.constraint_type.tolist() == [1, 0]
    state = gromos.State(3, dtype="float64", session=session)
    place = np.array([np.sin(angle / 2), np.cos(angle / 2)]) * length
    state.set(positions=[[-place[0], place[1], 0.0], [0.0, 0.0, 0.0], [1.05 * place[0], place[1], 0.0]], velocities=np.eye(3))
    p = gromos.InputParameters.nve(constraints="specified", cutoffs=0.8, dt=0.0005)
    p.constraint.ntcp, p.constraint.ntcp0, p.initialise.ntishk, p.comtransrot.nscm = "shake", 1e-8, 3, 0
    gromos.Simulation(gromos.System(t, state), p).step(40)
    x = np.array(state.positions())
    assert np.linalg.norm(x[0] - x[2]) == pytest.approx(across, rel=1e-7)
    assert np.linalg.norm(x[0] - x[1]) == pytest.approx(length, rel=1e-7)
    assert abs(np.linalg.norm(x[1] - x[2]) - length) > 1e-6  # a bond that is not listed


def test_constraints_hold_a_molecule_together():
    t = gromos.Topology(np.full(4, 14.0), bond_types=[[1e7, 3e5, 0.12]], constraints=[[0, 1], [2, 3]])
    assert t.molecules.tolist() == [0, 2, 4]
    assert t.exclusions.tolist() == [[0, 1], [2, 3]]


def test_a_file_gzipped_and_a_pickle(alanine, session, tmp_path):
    alanine.to_file(tmp_path / "a.top.gz")
    assert gzip.decompress((tmp_path / "a.top.gz").read_bytes()).decode() == alanine.to_text()
    assert gromos.Topology.from_file(tmp_path / "a.top.gz", session=session).num_bonds() == 11
    for other in (pickle.loads(pickle.dumps(alanine)), copy.copy(alanine)):
        assert other.to_text() == alanine.to_text()
        assert other._number(session) > 0


def test_a_topology_nobody_has_is_given_back(session):
    number = gromos.Topology.from_file(DATA / "alanine.top", session=session)._number(session)
    gromos.Topology.from_file(DATA / "alanine.top", session=session)._number(session)  # gives back what was dropped
    with pytest.raises(gromos.NotFoundError):
        session.commands.topology_get(topology=number)


def test_it_is_sent_again_to_a_daemon_that_came_back(own_daemon):
    with own_daemon.connect() as session:
        t = gromos.Topology.from_file(DATA / "alanine.top", session=session)
        own_daemon.kill()
        own_daemon.start()
        got = t._use(session, lambda number: session.commands.topology_get(topology=number))
        assert got.arrays["masses"].tolist() == t.masses.tolist()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"types": [0, 9]}, gromos.InvalidArgumentError, "types.*9"),
        ({"types": [0, -1]}, gromos.InvalidArgumentError, "negative"),
        ({"type_names": ["A", "B"], "lj": np.zeros((1, 1, 2))}, gromos.ShapeError, "type_names"),
        ({"lj": np.arange(8.0).reshape(2, 2, 2)}, gromos.InvalidArgumentError, "symmetric"),
        ({"lj": np.zeros((2, 3, 4))}, gromos.ShapeError, "lj"),
        ({"bonds": [[0, 1]], "bond_types": [[1.0, 2.0, 0.1]], "bond_type": [1]}, gromos.InvalidArgumentError, "bond_type.*1 rows"),
        ({"bonds": [[0, 1]], "bond_types": [[1.0, 2.0]]}, gromos.ShapeError, "bond_types"),
        ({"constraints": [[0, 1]]}, gromos.InvalidArgumentError, "constraint_type.*'bond_types' has 0 rows"),
        ({"constraints": [[0, 2]], "bond_types": [[1.0, 2.0, 0.1]]}, gromos.InvalidArgumentError, "'constraints' holds atom 2"),
        ({"exclusions": [[1, 1]]}, gromos.InvalidArgumentError, "itself"),
        ({"charge_groups": [0, 1]}, gromos.InvalidArgumentError, "charge_groups"),
        ({"constants": {"c": 1.0}}, gromos.InvalidArgumentError, "constants.*'c'"),
        ({"num_solvent_molecules": 2}, gromos.InvalidArgumentError, "no solvent"),
    ],
)
def test_arrays_that_make_no_sense(change, error, match):
    given = {"masses": [1.0, 1.0], "lj": np.zeros((1, 1, 2))} | change
    with pytest.raises(error, match=match):
        gromos.Topology(**given)


def test_what_no_file_can_hold():
    with pytest.raises(gromos.InvalidArgumentError, match="bonds without parameters.*bond_types"):
        gromos.Topology(np.ones(2), bonds=[[0, 1]]).to_text()
    with pytest.raises(gromos.InvalidArgumentError, match="1 to 7 ASCII"):
        gromos.Topology(np.ones(1), names=["a name"]).to_text()


def test_faults_of_a_file_are_all_told(session, tmp_path):
    text = (DATA / "alanine.top").read_text()
    broken = text.replace("15.03500", "-15.0", 1).replace("138.9354\n", "none\n").replace("TITLE", "NONSENSE\nEND\nTITLE", 1)
    (tmp_path / "broken.top").write_text(broken)
    with pytest.raises(gromos.FileFormatError, match=r"broken\.top") as caught:
        gromos.Topology.from_file(tmp_path / "broken.top", session=session)
    faults = caught.value.detail["faults"]
    assert len(faults) >= 3
    for part in ("PHYSICALCONSTANTS", "MASS", "NONSENSE"):
        assert any(part in fault for fault in faults), (part, faults)
    with pytest.raises(gromos.FileAccessError, match="nowhere"):
        gromos.Topology.from_file(tmp_path / "nowhere.top", session=session)
    (tmp_path / "cut.top.gz").write_bytes(gzip.compress(text.encode())[:200])
    with pytest.raises(gromos.FileFormatError, match="whole gzip"):
        gromos.Topology.from_file(tmp_path / "cut.top.gz", session=session)

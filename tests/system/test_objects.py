"""Configuration, Topology and System."""

import gromos
import numpy as np
import pytest

WATER = {"masses": [15.999, 1.008, 1.008] * 3, "charges": [-0.82, 0.41, 0.41] * 3, "bonds": [[0, 1], [0, 2], [3, 4], [3, 5], [6, 7], [6, 8]]}


def test_a_configuration_gives_the_real_things(session):
    c = gromos.Configuration(num_atoms=9, num_temp_groups=2, num_energy_groups=3, session=session)
    state, energy = c.current_state(), c.current_energy()
    assert c.current_state() is state
    assert c.num_atoms() == 9
    with state.edit() as e:
        e.energies()[0] = 12.5
        e.positions()[:] = 1
    assert energy.kinetic == 12.5
    assert (c.current_state().positions() == 1).all()
    assert (energy.num_temperature_groups, energy.num_energy_groups) == (2, 3)
    assert "9 atoms" in repr(c)


def test_a_configuration_from_a_file(session, tmp_path):
    with gromos.State(4, session=session) as s:
        s.set_positions(np.arange(12).reshape(4, 3))
        s.to_file(tmp_path / "c.cnf")
    c = gromos.Configuration.from_file(tmp_path / "c.cnf", session=session)
    assert c.current_state().positions()[3].tolist() == [9, 10, 11]


def test_a_topology_from_arrays():
    t = gromos.Topology(
        **WATER,
        angles=[[1, 0, 2], [4, 3, 5], [7, 6, 8]],
        names=["OW", "HW1", "HW2"] * 3,
        residue_names=["SOL"] * 9,
        residues=np.repeat([1, 2, 3], 3),
    )
    assert (t.num_atoms(), t.num_bonds(), t.num_angles(), t.num_dihedrals(), t.num_impropers()) == (9, 6, 3, 0, 0)
    assert t.molecules.tolist() == [0, 3, 6, 9]
    assert t.num_molecules() == 3
    assert t.total_charge() == pytest.approx(0.0)
    assert t.total_mass() == pytest.approx(3 * 18.015)
    assert t.names[3] == "OW"
    assert t.masses.dtype == t.charges.dtype == np.float64
    with pytest.raises(ValueError):
        t.masses[0] = 1
    assert "9 atoms" in repr(t)


def test_an_empty_topology():
    t = gromos.Topology()
    assert (t.num_atoms(), t.num_bonds(), t.num_angles(), t.num_dihedrals(), t.num_molecules()) == (0, 0, 0, 0, 0)


def test_molecules_follow_from_bonds():
    assert gromos.Topology(np.ones(5)).molecules.tolist() == [0, 1, 2, 3, 4, 5]
    assert gromos.Topology(np.ones(5), bonds=[[0, 3]]).molecules.tolist() == [0, 4, 5]
    assert gromos.Topology(np.ones(5), bonds=[[3, 1], [2, 4]]).molecules.tolist() == [0, 1, 5]
    assert gromos.Topology(np.ones(5), molecules=[0, 2, 5]).molecules.tolist() == [0, 2, 5]


@pytest.mark.parametrize(
    ("error", "match", "options"),
    [
        (gromos.InvalidArgumentError, "masses.*atom 1", {"masses": [1.0, 0.0]}),
        (gromos.NotFiniteError, "masses", {"masses": [1.0, np.nan]}),
        (gromos.ShapeError, "masses", {"masses": [[1.0]]}),
        (gromos.ShapeError, "charges.*2.*1", {"masses": [1.0], "charges": [1.0, 2.0]}),
        (gromos.ShapeError, "bonds", {"masses": [1.0] * 3, "bonds": [[0, 1, 2]]}),
        (gromos.InvalidArgumentError, "bonds.*atom 3.*row 1", {"masses": [1.0] * 3, "bonds": [[0, 1], [2, 3]]}),
        (gromos.InvalidArgumentError, "dihedrals", {"masses": [1.0] * 3, "dihedrals": [[0, 1, 2, -1]]}),
        (gromos.DTypeError, "bonds", {"masses": [1.0] * 3, "bonds": [[0.5, 1.0]]}),
        (gromos.ShapeError, "names", {"masses": [1.0], "names": ["A", "B"]}),
        (gromos.ShapeError, "residues", {"masses": [1.0], "residues": [1, 2]}),
        (gromos.InvalidArgumentError, "molecules", {"masses": [1.0] * 3, "molecules": [0, 2]}),
    ],
)
def test_topologies_that_make_no_sense(error, match, options):
    with pytest.raises(error, match=match):
        gromos.Topology(**options)


def test_a_system_tells_its_state_masses_and_molecules(any_session):
    state = gromos.State(9, session=any_session)
    box = gromos.Box.rectangular(2, 2, 2)
    state.set(positions=np.arange(27).reshape(9, 3) * 0.3, box=box)
    system = gromos.System(gromos.Topology(**WATER), state)
    assert system.state is state
    assert system.configuration.current_state() is state
    assert system.num_atoms() == 9
    assert state.masses().tolist() == WATER["masses"]
    state.wrap("molecule")
    assert state.describe().molecules == 3
    state.close()


def test_a_system_needs_as_many_atoms_in_both(session):
    with gromos.State(8, session=session) as s, pytest.raises(gromos.ShapeError, match="9 atoms.*8"):
        gromos.System(gromos.Topology(**WATER), gromos.Configuration.from_state(s))

"""Atom specifiers, on a small topology of two molecules and solvent."""

import gromos
import numpy as np
import pytest


@pytest.fixture(scope="module")
def topology():
    """Molecule 1: residues ALA (N CA C) and GLY (N CA); molecule 2: one residue ALA (N CA); three waters."""
    return gromos.Topology(
        np.full(7, 12.0),
        names=["N", "CA", "C", "N", "CA", "N", "CA"],
        residue_names=["ALA"] * 3 + ["GLY"] * 2 + ["ALA"] * 2,
        residues=[0, 0, 0, 1, 1, 2, 2],
        molecules=[0, 5, 7],
        solvent=gromos.Solvent.spc(0, 0),
        num_solvent_molecules=3,
    )


@pytest.mark.parametrize(
    ("specifier", "atoms"),
    [
        ("1:1", [0]),
        ("1:1-3", [0, 1, 2]),
        ("1:1,3-4", [0, 2, 3]),
        ("1:CA", [1, 4]),
        ("1:CA,C", [1, 2, 4]),
        ("2:a", [5, 6]),
        ("1,2:CA", [1, 4, 6]),
        ("1-2:1", [0, 5]),
        ("a:CA", [1, 4, 6]),
        ("a:a", list(range(7))),
        ("a:C*", [1, 2, 4, 6]),
        ("a:?A", [1, 4, 6]),
        ("1:res(2:CA)", [4]),
        ("1:res(2:a)", [3, 4]),
        ("a:res(1:CA)", [1, 6]),
        ("a:res(ALA:N)", [0, 5]),
        ("1:res(1-2:1)", [0]),
        ("1:res(GLY,ALA:CA)", [1, 4]),
        ("1,2:res(1:CA,C)", [1, 2, 6]),
        ("s:OW", [7, 10, 13]),
        ("s:1-3", [7, 8, 9]),
        ("s:4", [10]),
        ("s:HW*", [8, 9, 11, 12, 14, 15]),
        ("s:a", list(range(7, 16))),
        ("s:res(2:OW)", [10]),
        ("a:OW", [7, 10, 13]),
        ("all", list(range(16))),
        ("none", []),
        ("1:1;2:1", [0, 5]),
        ("1:1 2:1", [0, 5]),
        (" 1:1 ; 2 : 1 ", [0, 5]),
        ("a:a not(a:CA)", [0, 2, 3, 5]),
        ("not(1:1-4) 1:a", [4]),
        ("a:a;minus(1:a)", [5, 6]),
        ("a:a minus(1:a) 1:1", [0, 5, 6]),
        ("all;not(s:a);minus(1:CA;2:a)", [0, 2, 3]),
        ("a:CA,CA", [1, 4, 6]),
    ],
)
def test_specifiers(topology, specifier, atoms):
    found = gromos.select(specifier, topology)
    assert found.dtype == np.int32
    assert found.tolist() == atoms
    assert topology.select(specifier).tolist() == atoms


@pytest.mark.parametrize(
    ("specifier", "error", "match"),
    [
        ("", gromos.InvalidArgumentError, "empty"),
        ("CA", gromos.InvalidArgumentError, "MOLECULES:ATOMS"),
        ("1:", gromos.InvalidArgumentError, "MOLECULES:ATOMS"),
        (":CA", gromos.InvalidArgumentError, "MOLECULES:ATOMS"),
        ("x:CA", gromos.InvalidArgumentError, "'x' is no molecule number"),
        ("1:3-1", gromos.InvalidArgumentError, "backwards"),
        ("1:res(1)", gromos.InvalidArgumentError, "res\\(RESIDUES:ATOMS\\)"),
        ("1:mol(1:a)", gromos.InvalidArgumentError, "parentheses"),
        ("1:(a", gromos.InvalidArgumentError, "missing"),
        ("1:a)", gromos.InvalidArgumentError, "too many"),
        ("3:a", gromos.IndexRangeError, "molecule 3.*there are 2"),
        ("1:6", gromos.IndexRangeError, "atom 6.*there are 5"),
        ("1:0", gromos.IndexRangeError, "atom 0"),
        ("s:10", gromos.IndexRangeError, "atom 10.*there are 9"),
        ("1:res(7:CA)", gromos.IndexRangeError, "residue 7"),
        ("1:CX", gromos.NotFoundError, "no atom named CX.*C, CA, N"),
        ("1:res(VAL:CA)", gromos.NotFoundError, "no residue VAL"),
        ("va(com,1:a)", gromos.UnsupportedError, "virtual atoms"),
        ("file(x)", gromos.UnsupportedError, "files"),
        ("a:a not(1:CX)", gromos.NotFoundError, "CX"),
    ],
)
def test_what_makes_no_sense_is_said(topology, specifier, error, match):
    with pytest.raises(error, match=match):
        gromos.select(specifier, topology)


def test_no_solvent_no_topology_no_text(topology):
    with pytest.raises(gromos.NotFoundError, match="no solvent"):
        gromos.select("s:OW", gromos.Topology(np.ones(2), names=["A", "B"]))
    with pytest.raises(gromos.NotFoundError, match="no names"):
        gromos.select("a:OW", gromos.Topology(np.ones(2)))
    with pytest.raises(gromos.InvalidArgumentError, match="must be text"):
        gromos.select(3, topology)


def test_a_selection_of_a_system_feeds_the_state(session, topology):
    with gromos.State(16, session=session) as state:
        state.set_positions(np.arange(48).reshape(16, 3))
        system = gromos.System(topology, state)
        assert state.center_of_geometry(atoms=gromos.select("s:OW", system)).tolist() == [30.0, 31.0, 32.0]

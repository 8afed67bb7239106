"""InputParameters: fields, properties, and the way through the daemon's reader and back."""

import copy
import pickle
from pathlib import Path

import gromos
import numpy as np
import pytest
from gromos import _parameter_blocks as blocks

DATA = Path(gromos.__file__).parent / "data"


@pytest.fixture(scope="module")
def system(session):
    topology = gromos.Topology(
        np.full(4, 15.0), lj=np.full((1, 1, 2), 1e-3), solvent=gromos.Solvent.spc(0, 0), molecules=[0, 2, 4]
    )
    state = gromos.State(10, session=session, dtype="float64")
    state.set(positions=np.arange(30).reshape(10, 3) * 0.3, box=gromos.Box.rectangular(3, 3, 3))
    return gromos.System(topology, state)


def through_the_daemon(params, system, session):
    return gromos.InputParameters.from_text(params.to_text(system), session=session)


def test_the_example_input(session):
    p = gromos.InputParameters.from_file(DATA / "alanine.imd", session=session)
    assert (p.num_steps, p.dt, p.temperature, p.thermostat, p.pressure, p.constraints) == (1000, 0.002, 300.0, "berendsen", None, "all")
    assert (p.num_baths, p.num_energy_groups) == (2, 2)
    assert p.multibath.sets == [(12, 1, 1), (3270, 2, 2)]
    assert p.force.nre == [12, 3270]
    assert p.cutoffs == (0.8, 1.4)
    assert p.pairlist.algorithm == "grid_cell"
    assert p.boundcond.ntb == "rectangular"
    assert p.writetraj.ntwe == p.writetraj.ntwx == 10
    assert p.energymin is None
    assert "1000 steps" in repr(p)
    assert gromos.InputParameters.from_text(p.to_text(), session=session) == p


MADE = {
    "nve": gromos.InputParameters.nve(dt=0.001, num_steps=7),
    "nvt": gromos.InputParameters.nvt(temperature=310, tau=0.2),
    "npt": gromos.InputParameters.npt(temperature=290, pressure=0.1),
    "berendsen": gromos.InputParameters.npt(thermostat="berendsen", barostat="berendsen"),
    "chains": gromos.InputParameters.nvt(thermostat="nose-hoover-chains"),
    "minimum": gromos.InputParameters.steepest_descent(num_steps=50, energy_change=0.5),
    "lincs": gromos.InputParameters.nve(constraints="hydrogen", constraint_algorithm="lincs", precision="float32", seed=7),
    "velocity verlet": gromos.InputParameters.nve(integrator="velocity-verlet", scheme="verlet", cutoffs=0.9),
}
# Every optional block with values of its own.
EVERYTHING = gromos.InputParameters.nve(
    multibath=blocks.MultiBath(algorithm="nose-hoover", baths=[(300, 0.1), (310.5, -1)], sets=[(4, 1, 2), (10, 2, 2)]),
    pressurescale=blocks.PressureScale(scale="semianiso", semi=(1, 1, 2), taup=0.7, pres0=np.diag([0.1, 0.1, 0.2])),
    positionres=blocks.PositionRes(ntpor=2, cpor=2500.0),
    distanceres=blocks.DistanceRes(ntdir=-1, cdir=1000.0, taudir=10.0, forcescale=1),
    angleres=blocks.AngleRes(ntalr=1, calr=0.5),
    dihedralres=blocks.DihedralRes(ntdlr=2, cdlr=0.1, philin=30.0),
    jvalueres=blocks.JvalueRes(ntjvr=-2, cjvr=10.0, taujvr=5.0),
    stochdyn=blocks.StochDyn(ntsd=1, cfric=20.0, tempsd=305.0),
    energymin=blocks.EnergyMin(ntem="polak-ribiere", cgim=5, cgic=1e-4),
    rottrans=blocks.RotTrans(rtc=1, rtclast=4),
    cgrain=blocks.CGrain(ntcgran=1, eps=15.0),
    randomnumbers=blocks.RandomNumbers(ntrng="g96"),
)
EVERYTHING.force.nre = [2, 4, 10]
EVERYTHING.pairlist.size = 0.45
MADE["everything"] = EVERYTHING


@pytest.mark.parametrize("name", MADE)
def test_what_is_written_is_read_as_it_was(name, system, session):
    closed = MADE[name].for_system(system)
    again = through_the_daemon(MADE[name], system, session)
    for keyword in blocks.BLOCKS:
        assert getattr(again, keyword.lower()) == getattr(closed, keyword.lower()), keyword
    assert again.title == closed.title


def test_every_field_survives_the_daemon(system, session):
    """Each number field, changed alone, comes back as it was set: no field is confused with its neighbour."""
    changed = EVERYTHING.copy()
    for keyword, kind in blocks.BLOCKS.items():
        block = getattr(changed, keyword.lower())
        for number, (name, field) in enumerate(kind.fields().items()):
            low, high = getattr(field, "low", None), getattr(field, "high", None)
            if type(field).__name__ == "Whole" and (high is None or high > 3) and (keyword, name) != ("MULTIBATH", "num"):
                setattr(block, name, 40 + number if high is None or high > 90 else high)
            elif type(field).__name__ == "Real" and (high is None or high >= 1) and (low is None or low <= 0.5):
                setattr(block, name, 0.5 + number / 64)
    changed.pairlist.rcutp, changed.pairlist.rcutl, changed.nonbonded.epsrf = 0.625, 0.75, 2.5
    changed.energymin.dx0, changed.energymin.dxm = 0.125, 0.25
    changed.rottrans.rtclast = 4
    changed.system.npm, changed.system.nsm = 1, 2
    closed, again = changed.for_system(system), through_the_daemon(changed, system, session)
    for keyword in blocks.BLOCKS:
        assert getattr(again, keyword.lower()) == getattr(closed, keyword.lower()), keyword


def test_what_is_open_comes_from_the_system(system):
    p = gromos.InputParameters.nvt()
    with pytest.raises(gromos.InvalidArgumentError, match="block SYSTEM, field NSM.*System"):
        p.to_text()
    closed = p.for_system(system)
    assert closed.system.nsm == 2
    assert closed.boundcond.ntb == "rectangular"
    assert closed.boundcond.ndfmin == 3
    assert closed.multibath.sets == [(10, 1, 1)]
    assert closed.force.nre == [10]
    assert p.system.nsm is None  # the original is as it was
    assert closed.to_text() == p.to_text(system)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: setattr(p.force, "nre", [4, 9]), "block FORCE, field NRE: 9.*last atom, 10"),
        (lambda p: setattr(p.multibath, "sets", [(4, 1, 1)]), "block MULTIBATH, field LAST: 4.*10"),
        (lambda p: setattr(p.system, "nsm", 3), "block SYSTEM, field NSM: 3; .*2 solvent"),
        (lambda p: setattr(p.comtransrot, "nscm", -10), "block COMTRANSROT, field NSCM: -10"),
    ],
)
def test_what_does_not_fit_the_system(change, match, system):
    p = gromos.InputParameters.nvt()
    change(p)
    with pytest.raises(gromos.InvalidArgumentError, match=match):
        p.for_system(system)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda p: setattr(p, "dt", 0), "block STEP, field DT: 0; .*from 1e-12 to 1 ps"),
        (lambda p: setattr(p, "dt", float("nan")), "block STEP, field DT: nan; .*finite"),
        (lambda p: setattr(p, "dt", "fast"), "block STEP, field DT: 'fast'; .*a number"),
        (lambda p: setattr(p.step, "nstlim", 1.5), "block STEP, field NSTLIM: 1.5; .*whole"),
        (lambda p: setattr(p.step, "nstlim", -1), "block STEP, field NSTLIM: -1; .*at least 0"),
        (lambda p: setattr(p, "temperature", -1), "block MULTIBATH, field TEMP0: -1"),
        (lambda p: setattr(p.multibath, "baths", [(300, 0)]), "block MULTIBATH, field TAU: 0.0.*-1 for no coupling"),
        (lambda p: setattr(p.multibath, "baths", [300]), "block MULTIBATH, field NBATHS: .*temp0, tau"),
        (lambda p: setattr(p.multibath, "sets", [(10, 0, 1)]), "block MULTIBATH, field COM-BATH: 0"),
        (lambda p: setattr(p, "cutoffs", (1.4, 0.8)), "block PAIRLIST, field RCUTL: 0.8; .*RCUTP"),
        (lambda p: setattr(p, "cutoffs", (1.0, 1.1, 1.2)), "block PAIRLIST, fields RCUTP and RCUTL"),
        (lambda p: setattr(p, "thermostat", "ice"), "thermostat is 'ice'; .*berendsen, nose-hoover"),
        (lambda p: setattr(p, "barostat", "ice"), "block GROMOSD, field barostat: 'ice'; .*berendsen"),
        (lambda p: setattr(p, "constraints", "some"), "constraints is 'some'; .*hydrogen"),
        (lambda p: setattr(p, "scheme", "fast"), "block GROMOSD, field scheme: 'fast'; .*verlet"),
        (lambda p: setattr(p, "precision", "half"), "block GROMOSD, field precision: 'half'; .*float32"),
        (lambda p: setattr(p.force, "nre", [3, 2]), "block FORCE, field NRE: .*ascend"),
        (lambda p: setattr(p.printout, "ntpp", 1), "block PRINTOUT, field NTPP: 1; .*not monitored"),
        (lambda p: setattr(p.step, "dT", 1), "block STEP has no field 'dT'; there are nstlim, t, dt"),
        (lambda p: setattr(p, "step", 5), "block STEP: 5"),
        (lambda p: setattr(p, "step", None), "block STEP is needed"),
        (lambda p: setattr(p, "steps", 5), "no 'steps'; there are .*num_steps"),
    ],
)
def test_wrong_values_name_block_field_and_value(change, match):
    p = gromos.InputParameters.nvt()
    before = copy.deepcopy(p.__dict__)
    with pytest.raises(gromos.InvalidArgumentError, match=match):
        change(p)
    assert p.__dict__ == before


def test_friendly_names_reach_the_blocks():
    p = gromos.InputParameters.nvt(temperature=300)
    p.temperature = 320
    assert p.multibath.baths == [(320.0, 0.1)]
    p.thermostat = "nose-hoover"
    assert p.multibath.algorithm == "nose-hoover"
    p.thermostat = None
    assert p.multibath is None
    assert p.temperature is None
    p.cutoffs = 1.2
    assert (p.pairlist.rcutp, p.pairlist.rcutl, p.nonbonded.rcrf) == (1.2, 1.2, 1.2)
    p.pressure_bar = 1.01325
    assert p.pressure == pytest.approx(0.06102, rel=1e-4)
    assert p.barostat == "berendsen"
    p.barostat = "parrinello-rahman"
    assert p.gromosd.barostat == "parrinello-rahman"
    p.barostat = None
    assert p.pressurescale is None
    p.constraints = "hydrogen"
    assert p.constraint.ntc == "hydrogen"
    assert p.force.bonds
    p.constraints = "all"
    assert not p.force.bonds
    p.pairlist.algorithm = 0  # numbers are taken as well
    assert p.pairlist.algorithm == "standard"


def test_every_field_says_what_it_is():
    fields = gromos.InputParameters.fields()
    assert set(fields) == set(blocks.BLOCKS)
    for keyword, block in fields.items():
        for name, field in block.items():
            assert field.text, f"{keyword} {name}"
            assert field.keyword in field.__doc__
    assert fields["PAIRLIST"]["rcutp"].unit == "nm"
    assert fields["STEP"]["dt"].default == 0.002


def test_copies_are_their_own():
    p = gromos.InputParameters.nvt()
    for other in (p.copy(), pickle.loads(pickle.dumps(p)), copy.deepcopy(p)):
        assert other == p
        other.dt = 0.0005
        other.multibath.baths = [(1.0, 1.0)]
        assert p.dt == 0.002
        assert p.temperature == 300.0
        assert other != p


def test_a_file_of_them(system, session, tmp_path):
    p = gromos.InputParameters.nvt()
    p.to_file(tmp_path / "run.imd.gz", system)
    assert gromos.InputParameters.from_file(tmp_path / "run.imd.gz", session=session) == p.for_system(system)
    with pytest.raises(gromos.FileAccessError):
        p.to_file(tmp_path / "nowhere" / "run.imd", system)


def test_faults_of_a_file_are_all_told(session, tmp_path):
    text = (DATA / "alanine.imd").read_text().replace("0.002", "fast").replace("grid_cell", "magic").replace("SYSTEM\n", "NONSENSE\nEND\nSYSTEM\n", 1)
    (tmp_path / "broken.imd").write_text(text)
    with pytest.raises(gromos.FileFormatError) as caught:
        gromos.InputParameters.from_file(tmp_path / "broken.imd", session=session)
    faults = caught.value.detail["faults"]
    for part in ("'fast'", "'magic'", "NONSENSE"):
        assert any(part in fault for fault in faults), (part, faults)
    assert all("broken.imd" in fault for fault in faults)

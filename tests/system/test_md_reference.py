"""Runs of the original engine, repeated with the command gromos md: every number it writes against every number the original wrote."""

import json
from pathlib import Path

import gromos
import md_reference
import numpy as np
import pytest
from gromos import cli

FOLDER = md_reference.reference_folder()
CASES = sorted(path.parent for path in FOLDER.glob("*/*/case.json")) if FOLDER is not None else [Path("unset")]
needs_reference = pytest.mark.skipif(FOLDER is None, reason="GROMOS_REFERENCE_DIR is not set: the original engine's runs are not compared")


@needs_reference
@pytest.mark.timeout(300)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_the_command_writes_what_the_original_wrote(case: Path, daemon, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("GROMOSD_ENDPOINT", daemon.endpoint)
    written = {name: tmp_path / f"run.{name}" for name in ("tre", "trf", "trc", "fin")}
    outputs = [word for name, path in written.items() for word in (f"@{name}", str(path))]
    assert cli.main(["md", *md_reference.case_arguments(case), *outputs]) == 0, capsys.readouterr().err
    comparison = md_reference.compare(case, written)
    assert comparison.compared > 100
    assert not comparison.wrong, f"{len(comparison.wrong)} of {comparison.compared} numbers differ:\n" + "\n".join(comparison.wrong[:20])


ARRAYS = (
    "masses", "charges", "types", "residues", "molecules", "charge_groups", "bonds", "bond_type", "bond_types", "angles", "angle_type",
    "angle_types", "impropers", "improper_type", "improper_types", "dihedrals", "dihedral_type", "dihedral_types", "lj", "exclusions",
    "one_fours",
)  # fmt: skip


@needs_reference
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_files_survive_python(case: Path, session):
    """Input to InputParameters to text, topology to arrays to text: read again they are what they were."""
    arguments = md_reference.case_arguments(case)
    files = dict(zip(arguments[::2], arguments[1::2], strict=True))
    params = gromos.InputParameters.from_file(files["@input"], session=session)
    assert gromos.InputParameters.from_text(params.to_text(), session=session) == params
    read = gromos.Topology.from_file(files["@topo"], session=session)
    names = (*ARRAYS, "names", "residue_names", "type_names", "solvent", "constants")
    made = gromos.Topology(**{name: getattr(read, name) for name in names})
    again = gromos.Topology.from_text(made.to_text(), session=session)
    for name in ARRAYS:
        assert np.array_equal(getattr(again, name), getattr(read, name)), name
    assert again.names == read.names


@needs_reference
def test_a_wrong_number_is_found(tmp_path):
    """The comparison itself: a case against its own expected files, once as they are, once with a digit changed."""
    assert FOLDER is not None
    case = FOLDER / "extended" / "p_npt_iso"
    files = {"tre": "energies.tre.gz", "trf": "forces.trf.gz", "fin": "final.conf.gz"}
    for name, file in files.items():
        (tmp_path / name).write_text(md_reference.text_of(case / "expected" / file))
    written = {name: tmp_path / name for name in files}
    assert md_reference.compare(case, written).wrong == []
    for name, old, new in (("tre", "9.503353141e+00", "9.503354141e+00"), ("trf", "-18.325717080", "-18.325817080")):
        text = (tmp_path / name).read_text()
        assert old in text
        (tmp_path / name).write_text(text.replace(old, new, 1))
        wrong = md_reference.compare(case, written).wrong
        assert wrong, name
        assert old in wrong[0]
        (tmp_path / name).write_text(text)
    noise = json.loads((case / "case.json").read_text())["engine_noise"]
    assert md_reference.Comparison(case).noise["velocity"] == noise["final_vel_max_abs"]

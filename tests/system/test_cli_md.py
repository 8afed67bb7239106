"""The command gromos md: its arguments, its files, its faults, its end."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import gromos
import numpy as np
import pytest
from gromos import cli, cli_md
from gromos._protocol import Commands

from conftest import wait_until

DATA = Path(gromos.__file__).parent / "data"


@pytest.fixture
def run(daemon, capsys, monkeypatch):
    monkeypatch.setenv("GROMOSD_ENDPOINT", daemon.endpoint)

    def run(*arguments, status=0):
        found = cli.main(["md", *map(str, arguments)])
        captured = capsys.readouterr()
        assert found == status, captured
        return captured

    return run


@pytest.fixture
def files(tmp_path):
    """The example with a short run, in a folder of its own."""
    for name in ("alanine.top", "alanine.cnf"):
        shutil.copy(DATA / name, tmp_path)
    text = (DATA / "alanine.imd").read_text().replace("1000 0 0.002", "6 0 0.002").replace("10 0 0 0 10 0 0", "2 0 2 2 2 0 0")
    (tmp_path / "run.imd").write_text(text)
    return tmp_path


def inputs(folder):
    return ["@topo", folder / "alanine.top", "@conf", folder / "alanine.cnf", "@input", folder / "run.imd"]


def long_input(folder):
    path = folder / "run.imd"
    path.write_text(path.read_text().replace("6 0 0.002", "1000000 0 0.002"))


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [
    ["@topo", "t", "@conf", "c", "@input", "i", "@threads", "2"],
    ["--topo", "t", "--conf", "c", "--input", "i", "--threads", "2"],
    ["--topo=t", "--conf=c", "@input", "i", "--threads=2"],
    ["@TOPO", "t", "@Conf", "c", "@input", "i", "@threads", "2"],
])  # fmt: skip
def test_both_spellings_mean_the_same(arguments):
    options = cli_md.parse(arguments)
    assert options.faults == []
    assert options.files == {"topo": "t", "conf": "c", "input": "i"}
    assert options.values == {"threads": "2"}


def test_an_argument_file(tmp_path):
    (tmp_path / "args").write_text("@topo t # the topology\n\n@conf c\n  @input\n    i\n")
    options = cli_md.parse(["@f", str(tmp_path / "args"), "@fin", "x", "--quiet"])
    assert options.faults == []
    assert options.files == {"topo": "t", "conf": "c", "input": "i", "fin": "x"}
    assert options.flags == {"quiet"}
    (tmp_path / "args").write_text(f"@f {tmp_path / 'args'}")
    assert any("cannot stand in an argument file" in fault for fault in cli_md.parse(["@f", str(tmp_path / "args")]).faults)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["stray"], "'stray' belongs to no argument"),
        (["@topo"], "@topo needs one value"),
        (["@topo", "a", "b"], "@topo needs one value, not 2: a b"),
        (["@topo", "a", "--topo", "b"], "--topo is given twice: a and b"),
        (["@nonsense", "1"], "@nonsense is no argument of this command"),
        (["@pttopo", "p"], "@pttopo: a perturbation topology is not available here"),
        (["@trg", "p"], "@trg: a free-energy trajectory is not available here"),
        (["--quiet", "yes"], "--quiet takes no value"),
        ([], "@topo FILE (topology) is missing"),
        (["@f", "/nowhere"], "@f: /nowhere cannot be read"),
    ],
)
def test_faults_of_the_command_line(arguments, fault):
    assert any(fault in found for found in cli_md.parse(arguments).faults)


def test_all_faults_of_the_command_line_at_once(run):
    err = run("@conf", "/nowhere/x.cnf", "@threads", "0", "@precision", "half", "@fin", "/nowhere/end.cnf", "--keep", "@odd", status=2).err
    lines = err.splitlines()
    assert all(line.startswith("gromos md: ") for line in lines)
    for part in ("@topo FILE", "@input FILE", "@conf: /nowhere/x.cnf", "threads is '0'", "precision is 'half'", "@fin: the directory",
                 "--keep needs --name", "@odd is no argument"):  # fmt: skip
        assert sum(part in line for line in lines) == 1, (part, lines)


def test_help(run):
    out = run("--help").out
    for name in (*cli_md.INPUTS, *cli_md.OUTPUTS, *cli_md.OPTIONS, *cli_md.FLAGS):
        assert f"@{name}" in out
    assert cli.main(["md", "-h"]) == 0
    with pytest.raises(SystemExit) as caught:
        cli.main(["--help"])
    assert caught.value.code == 0


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("STEP\nEND\n", {}, "STEP\nEND\n"),
        ("STEP\nEND\n", {"scheme": "verlet"}, "STEP\nEND\nGROMOSD\nscheme verlet\nEND\n"),
        ("GROMOSD\nbuffer 0.1\nEND # done\nSTEP\nEND\n", {"precision": "float32"}, "GROMOSD\nbuffer 0.1\nprecision float32\nEND # done\nSTEP\nEND\n"),
    ],
)
def test_choices_of_the_command_line_reach_the_input(text, chosen, expected):
    assert cli_md.with_extension(text.encode(), chosen).decode() == expected


# --- runs ------------------------------------------------------------------------------------------------------------


def test_a_run_from_files_to_files(run, files):
    names = {"fin": "end.cnf", "trc": "x.trc", "tre": "x.tre.gz", "trf": "x.trf", "trv": "x.trv"}
    out = run(*inputs(files), *[word for name, file in names.items() for word in (f"@{name}", files / file)]).out
    assert "3270 atoms, 6 steps of 0.002 ps, chargegroup, float64, 1 thread" in out
    assert re.search(r"attach with gromos\.attach\('[0-9a-f-]{36}'", out)
    assert "6 steps done" in out
    assert "steps/s" in out
    for file in names.values():
        assert (files / file).stat().st_size > 1000, file
    assert (files / "x.trc").read_text().count("TIMESTEP") == 3
    assert (files / "x.tre.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert "0.012" in (files / "end.cnf").read_text().split("TIMESTEP")[1].splitlines()[1]


def test_the_command_and_python_do_the_same(run, files, session):
    run(*inputs(files), "@fin", files / "end.cnf", "--quiet")
    params = gromos.InputParameters.from_file(files / "run.imd", session=session)
    system = gromos.System.from_files(
        files / "alanine.top", files / "alanine.cnf", num_temp_groups=2, num_energy_groups=2, dtype="float64", session=session
    )
    gromos.Simulation(system, params).run(wait=True, progress=False, fin=files / "python.cnf")
    assert (files / "python.cnf").read_text() == (files / "end.cnf").read_text()


def test_compressed_files_and_any_name(run, files):
    import gzip

    (files / "t.gz").write_bytes(gzip.compress((files / "alanine.top").read_bytes()))
    (files / "start.conf.gz").write_bytes(gzip.compress((files / "alanine.cnf").read_bytes()))
    run("--topo", files / "t.gz", "--conf", files / "start.conf.gz", "--input", files / "run.imd", "--fin", files / "end.cnf.gz", "--quiet")
    run(*inputs(files), "@fin", files / "end.cnf", "--quiet")
    assert gzip.decompress((files / "end.cnf.gz").read_bytes()) == (files / "end.cnf").read_bytes()


def positions(path):
    block = path.read_text().split("POSITION\n")[1].split("\nEND")[0]
    return np.array([line.split()[-3:] for line in block.splitlines() if not line.startswith("#")], float)


def test_precision_and_scheme(run, files):
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("0.8 1.4", "1.4 1.4"))  # verlet has one range
    assert "verlet, float32" in run(*inputs(files), "--precision", "float32", "--scheme", "verlet", "@fin", files / "low.cnf").out
    assert "verlet, float64" in run(*inputs(files), "--scheme", "verlet", "@fin", files / "high.cnf").out
    difference = np.abs(positions(files / "low.cnf") - positions(files / "high.cnf"))
    # Six steps of 2 fs with forces to 1e-5 of some 1e3 kJ/mol/nm and positions to 2e-7 nm; another image is a whole edge away.
    assert 0 < difference[difference < 1].max() < 1e-5


def test_others_attach_by_name_while_it_runs(daemon, files, session):
    long_input(files)
    command = [sys.executable, "-m", "gromos", "--endpoint", daemon.endpoint, "md", *map(str, inputs(files)), "--name", "live run", "@tre", str(files / "x.tre")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: any(s.name == "live run" for s in session.states()), what="the State's name")
            state = session.attach("live run")
            steps = []
            for frame in state.frames(timeout=60.0):
                steps.append(frame.step)
                if len(steps) == 3:
                    break
            assert steps == sorted(steps)
            assert steps[2] > steps[0]
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, (out, err)
    assert "interrupted after" in out
    assert "Traceback" not in err
    # The job has ended, the name is free again, and the file ends with a whole frame.
    job = next(j for j in gromos.jobs(session) if j.describe().state == state.uuid)
    assert job.status == "cancelled"
    assert all(s.name != "live run" for s in session.states())
    text = (files / "x.tre").read_text()
    assert text.endswith("END\n")
    assert text.count("ENERGY03") == text.count("VOLUMEPRESSURE03") > 0


def test_interrupting_the_start_leaves_no_job(run, files, session, monkeypatch):
    long_input(files)
    starting, made = Commands.job_start, []

    def interrupted(*args, **options):
        made.append(starting(*args, **options))
        signal.raise_signal(signal.SIGINT)
        return made[-1]

    monkeypatch.setattr(Commands, "job_start", interrupted)
    assert "interrupted after" in run(*inputs(files), "--name", "hardly begun", "--keep", status=130).out
    assert gromos.Job(made[0].job, session).status == "cancelled"
    session.attach("hardly begun").delete()


def test_sigterm_ends_it_as_well(daemon, files, session):
    long_input(files)
    command = [sys.executable, "-m", "gromos", "--endpoint", daemon.endpoint, "md", *map(str, inputs(files)), "--name", "to be ended"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(lambda: any(s.name == "to be ended" and s.step > 2 for s in session.states()), what="the run")
            process.terminate()
            process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert all(s.name != "to be ended" for s in session.states())


def test_a_state_can_be_kept(run, files, session):
    run(*inputs(files), "--name", "kept", "--keep", "--quiet")
    with session.attach("kept") as state:
        assert state.step == 6
        assert state.describe().molecules == 1087
        state.delete()


def test_it_starts_a_daemon_if_none_runs(files, runtime_dir):
    environment = {name: value for name, value in os.environ.items() if name != "GROMOSD_ENDPOINT"}
    command = [sys.executable, "-m", "gromos", "md", *map(str, inputs(files)), "@fin", str(files / "end.cnf")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, cwd=files)
    assert done.returncode == 0, done.stderr
    assert str(runtime_dir) in done.stdout
    assert done.stderr == ""  # no bar where nobody looks
    assert (files / "end.cnf").exists()


def test_quiet_is_quiet(run, files):
    captured = run(*inputs(files), "--quiet")
    assert captured.out == captured.err == ""


# --- faults ----------------------------------------------------------------------------------------------------------


def test_faults_of_all_files_at_once(run, files):
    (files / "alanine.top").write_text((files / "alanine.top").read_text().replace("138.9354\n", "none\n").replace("15.03500", "-15.0", 1))
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("grid_cell", "magic").replace("6 0 0.002", "6 0 -0.002"))
    (files / "alanine.cnf").write_text((files / "alanine.cnf").read_text().replace("GENBOX", "GENBOXES"))
    lines = run(*inputs(files), "@tre", files / "x.tre", status=2).err.splitlines()
    assert all(line.startswith("gromos md: ") for line in lines)
    for part in ("PHYSICALCONSTANTS", "MASS", "'magic'", "DT"):
        assert any(part in line for line in lines), (part, lines)
    assert sum("alanine.top" in line for line in lines) == 2
    assert not (files / "x.tre").exists()


def test_faults_of_arguments_and_files_at_once(run, files):
    """What can be read is read, whatever else is wrong."""
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("grid_cell", "magic"))
    (files / "a.disres").write_text("TITLE\nx\nEND\nDISTANCERESSPEC\nnonsense\nEND\n")
    lines = run(*inputs(files), "@distrest", files / "a.disres", "@dihrest", "/nowhere/x", "@fin", "/nowhere/x.cnf", "@odd", status=2).err.splitlines()
    for part in ("'magic'", "a.disres:5: block DISTANCERESSPEC", "@dihrest: /nowhere/x", "@fin: the directory", "@odd is no argument"):
        assert sum(part in line for line in lines) == 1, (part, lines)
    assert len(lines) == 5
    (files / "b.top").write_text("TITLE\nx\nEND\n")
    err = run("@topo", files / "b.top", status=2).err
    assert "@conf FILE" in err and "@input FILE" in err and "b.top: block SOLUTEATOM is missing" in err


def test_an_output_that_stays_empty_is_told(run, files):
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("2 0 2 2 2 0 0", "2 0 0 2 2 0 0"))
    out = run(*inputs(files), "@trv", files / "x.trv", "@trc", files / "x.trc").out
    assert "@trv: NTWV is 0 in the input, so nothing is written to it" in out and "@trc: NTWX" not in out


def test_no_file_is_written_twice(run, files):
    """Nor one that is read, but for the final configuration in place of the first."""
    (files / "link.trc").symlink_to("x.trc")
    kept = (files / "alanine.cnf").read_bytes()
    err = run(*inputs(files), "@trc", files / "x.trc", "@tre", files / "link.trc", "@trf", files / "alanine.cnf", "@fin", files / "run.imd", status=2).err
    assert "@tre and @trc are the same file" in err and "@trf and @conf are the same file" in err and "@fin and @input are the same file" in err
    assert (files / "alanine.cnf").read_bytes() == kept and not (files / "x.trc").exists()
    run(*inputs(files), "@fin", files / "alanine.cnf", "@trc", "/dev/null", "@tre", "/dev/null")
    assert (files / "alanine.cnf").read_bytes() != kept


def test_where_the_final_configuration_cannot_be_is_told_at_once(run, files):
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("6 0 0.002", "100000000 0 0.002"))
    assert "cannot be written: Is a directory" in run(*inputs(files), "@fin", files, status=2).err


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("1 1086", "1 1085"), "SYSTEM: NPM 1 and NSM 1085 make 3267 atoms.*has 3270"),
        (("12 1 1", "12 1 3"), "MULTIBATH"),
        (("2 12 3270", "2 12 3000"), "FORCE"),
        (("0.8 1.4", "0.8 2.4"), "(?i)cutoff|RCUTL|box"),
        (("1 0.0001\n# NTCS", "magic 0.0001\n# NTCS"), "'magic'"),
        (("NONBONDED\n", "NONBONDED\n# comment\n2 "), "NONBONDED"),
        (("TITLE\n", "PERTURBATION\n1\nEND\nTITLE\n"), "PERTURBATION"),
    ],
)
def test_what_the_input_cannot_ask(run, files, change, part):
    text = (files / "run.imd").read_text()
    assert change[0] in text
    (files / "run.imd").write_text(text.replace(*change, 1))
    assert re.search(part, run(*inputs(files), status=2).err)


def test_restraints_without_their_file(run, files):
    (files / "run.imd").write_text((files / "run.imd").read_text() + "POSITIONRES\n1 0 0 25000\nEND\n")
    assert "POSRESSPEC" in run(*inputs(files), status=2).err.upper()
    assert "@posresspec" in run(*inputs(files), "@posresspec", files / "nowhere", status=2).err


def test_faults_of_two_restraint_files_at_once(run, files):
    (files / "a.disres").write_text("TITLE\nx\nEND\nDISTANCERESSPEC\nnonsense\nEND\n")
    (files / "b.dihres").write_text("TITLE\nx\nEND\nDIHEDRALRESSPEC\nnonsense\nEND\n")
    err = run(*inputs(files), "@distrest", files / "a.disres", "@dihrest", files / "b.dihres", status=2).err
    assert re.search(r"gromos md: \S*a\.disres:\d+: block DISTANCERESSPEC", err)
    assert re.search(r"gromos md: \S*b\.dihres:\d+: block DIHEDRALRESSPEC", err)


def test_a_run_that_fails_is_no_input_error(run, files):
    """The start is fine, the time step is not."""
    (files / "run.imd").write_text((files / "run.imd").read_text().replace("6 0 0.002", "200 0 0.05"))
    err = run(*inputs(files), status=1).err
    assert "the run failed after" in err
    assert err.startswith("gromos md: ")


def test_no_daemon_at_the_endpoint(files, capsys):
    assert cli.main(["--endpoint", "ipc:///nowhere/zmq", "md", *map(str, inputs(files))]) == 1
    assert capsys.readouterr().err.startswith("gromos md: ")


def test_a_taken_name(run, files, session):
    with gromos.State(2, name="taken", session=session) as s:
        assert "taken" in run(*inputs(files), "--name", "taken", status=2).err
        assert s.describe().name == "taken"
        s.delete()

"""gromos.Energy: names, sums, views, and that C and Python find every field at the same place of the vector."""

import copy
import doctest
import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import gromos
from gromos import Energy
from gromos._energy_base import PerBath, PerGroup, PerPair, Scalar, Tensor

ROOT = Path(__file__).resolve().parents[2]
TABLE = tomllib.loads((ROOT / "proto/energies.toml").read_text())
SIZES = [(1, 1), (2, 3), (5, 1), (1, 7), (1024, 64)]
CLASSES = {"scalar": Scalar, "3x3": Tensor, "temperature group": PerBath, "energy group": PerGroup, "energy-group pair": PerPair}


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("gen_energies", ROOT / "proto/gen_energies.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["gen_energies"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


# --- the layout


def test_fields_are_those_of_the_table():
    fields = Energy.fields()
    assert list(fields) == [entry["name"] for entry in TABLE["field"]]
    for entry in TABLE["field"]:
        field = fields[entry["name"]]
        assert type(field) is CLASSES[entry["shape"]] and field.unit == entry["unit"]
        assert entry["text"] in field.__doc__ and getattr(Energy, entry["name"]) is field


def numbered(baths, groups):
    """An Energy whose vector counts 0, 1, 2, ..."""
    return Energy.from_array(np.arange(float(Energy.length(baths, groups))), baths, groups)


@pytest.mark.parametrize(("baths", "groups"), SIZES)
def test_same_places_as_the_generator_says(generator, baths, groups):
    places, length = generator.layout(baths, groups)
    energy = numbered(baths, groups)
    assert energy.array.size == length == Energy.length(baths, groups)
    for name, (offset, shape) in places.items():
        value = np.asarray(getattr(energy, name))
        assert value.shape == shape and value.ravel()[0] == offset and np.array_equal(value.ravel(), offset + np.arange(value.size))


def test_fields_do_not_overlap_and_fill_the_groups(generator):
    baths, groups = 3, 4
    places, length = generator.layout(baths, groups)
    owners = np.zeros(length, int)
    for offset, shape in places.values():
        owners[offset : offset + int(np.prod(shape))] += 1
    table = generator.load()
    assert owners.max() == 1 and owners[table.head :].min() == 1
    assert all(offset + int(np.prod(shape)) <= table.scalars for offset, shape in places.values() if shape == ())


def test_same_places_in_c(generator, tmp_path):
    """Compile the header and print where it puts everything."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    assert compiler, "a C compiler is needed; the project is built with one"
    lines = ['#include "proto/gd_energies.h"', "#include <stdio.h>", "int main(void) {"]
    expected = []
    for baths, groups in SIZES:
        places, length = generator.layout(baths, groups)
        lines.append(f'printf("%zu\\n", gd_energies_count({baths}, {groups}));')
        expected.append(length)
        for name, (offset, shape) in places.items():
            fixed = shape == () or (shape == (3, 3) and "tensor" in name)
            code = f"(size_t)GD_ENERGY_{name.upper()}" if fixed else f"gd_energies_{name}({baths}, {groups})"
            lines.append(f'printf("%zu\\n", {code});')
            expected.append(offset)
    source = tmp_path / "places.c"
    source.write_text("\n".join([*lines, "return 0; }"]))
    program = tmp_path / "places"
    flags = ["-std=c17", "-Wall", "-Wextra", "-Werror", "-I", str(ROOT)]
    subprocess.run([*compiler.split(), *flags, str(source), "-o", str(program)], check=True, timeout=60)
    printed = subprocess.run([str(program)], check=True, timeout=60, capture_output=True, text=True).stdout.split()
    assert [int(word) for word in printed] == expected


def test_generated_files_are_fresh(generator):
    assert (ROOT / "proto/gd_energies.h").read_text() == generator.render()
    assert (ROOT / "client-python/src/gromos/_energy_fields.py").read_text() == generator.render_python()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("shape = \"scalar\"", "shape = \"vector\""), "is none of"),
        (('name = "bond"', 'name = "Bond"'), "lower case"),
        (('name = "bond"', 'name = "angle"'), "twice"),
        (("scalars = 40", "scalars = 5"), "more scalars"),
        (('unit = "kJ/mol"', 'units = "kJ/mol"'), "name, unit, shape and text"),
        (('shape = "3x3"', 'shape = "energy group"'), "order of their shapes"),
    ],
)
def test_the_generator_refuses_a_broken_table(generator, tmp_path, change, words):
    text = (ROOT / "proto/energies.toml").read_text()
    assert change[0] in text
    broken = tmp_path / "energies.toml"
    broken.write_text(text.replace(*change, 1))
    with pytest.raises(ValueError, match=words):
        generator.load(broken)


# --- values


def test_starts_at_zero_and_clears():
    energy = Energy(2, 3)
    assert (energy.num_temperature_groups, energy.num_energy_groups) == (2, 3)
    assert energy.total() == 0.0 and not energy.array.any() and energy.array.dtype == np.float64
    energy.array[:] = 1.0
    assert energy.total() == 3.0
    energy.clear()
    assert not energy.array.any() and energy == Energy(2, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, 1), "'num_temperature_groups' must be from 1 to 1024, not 0"),
        ((1, 0), "'num_energy_groups' must be from 1 to 64, not 0"),
        ((1025, 1), "not 1025"),
        ((1, 65), "not 65"),
        ((1.0, 1), "must be an integer, not float"),
        ((True, 1), "not bool"),
        ((1, "2"), "not str"),
    ],
)
def test_wrong_numbers_of_groups(arguments, words):
    with pytest.raises(gromos.InvalidArgumentError) as caught:
        Energy(*arguments)
    assert words in str(caught.value)


def test_scalars_and_arrays_can_be_set():
    energy = Energy(2, 3)
    for i, (name, field) in enumerate(Energy.fields().items()):
        if isinstance(field, Scalar):
            setattr(energy, name, i)
            assert getattr(energy, name) == i and type(getattr(energy, name)) is float
        else:
            value = np.random.default_rng(i).normal(size=getattr(energy, name).shape)
            setattr(energy, name, value)
            assert np.array_equal(getattr(energy, name), value)
    energy.bath_kinetic[1] = 7.0
    assert energy.bath_kinetic[1] == 7.0
    with pytest.raises(ValueError, match="broadcast"):
        energy.bath_kinetic = [1.0, 2.0, 3.0]
    with pytest.raises((TypeError, ValueError)):
        energy.bond = "much"
    with pytest.raises(AttributeError):
        energy.no_such_term = 1.0


def test_total_and_conserved():
    energy = Energy()
    energy.kinetic, energy.potential, energy.special, energy.reservoir = 1.0, 2.0, 4.0, 8.0
    assert energy.total() == 7.0 and energy.conserved() == 15.0


def test_sums():
    energy = Energy(2, 2)
    energy.bath_kinetic = [10.0, 20.0]
    energy.group_bond = [1.0, 2.0]
    energy.angle, energy.improper, energy.crossdihedral = 5.0, 0.5, 0.25
    energy.group_dihedral = [0.0, -1.0]
    energy.pair_lj = [[1.0, 2.0], [0.0, 4.0]]
    energy.coulomb = -50.0
    energy.group_position_restraint = [0.0, 3.0]
    energy.jvalue_restraint = 1.0
    energy.constraint = 0.5
    energy.sum_up()
    assert energy.kinetic == 30.0 and energy.bond == 3.0 and energy.dihedral == -1.0 and energy.lj == 7.0
    assert energy.covalent == 7.75 and energy.nonbonded == -43.0 and energy.potential == -35.25
    assert energy.position_restraint == 3.0 and energy.special == 4.5 and energy.total() == -0.75


def test_reference_sums():
    """The parts printed by an energy file of the field (block ENERGY03) add up the same way here; it has ten digits."""
    energy = Energy(1, 2)
    energy.bath_kinetic = [165.7502204]
    energy.group_bond, energy.group_angle = [19.35607149, 0.0], [12.67041319, 0.0]
    energy.group_improper, energy.group_dihedral = [1.485470503, 0.0], [6.292623846, 0.0]
    energy.pair_lj = [[-5.292053523, -0.7718404615], [0.0, -0.7163386790]]
    energy.pair_coulomb = [[-48.24388930, 1.611212762], [0.0, -14.20119944]]
    energy.sum_up()
    assert energy.covalent == pytest.approx(39.80457902, rel=1e-9) and energy.nonbonded == pytest.approx(-67.61410865, rel=1e-9)
    assert energy.potential == pytest.approx(-27.80952962, rel=1e-9) and energy.total() == pytest.approx(137.9406908, rel=1e-9)


def test_pairs_in_either_order():
    energy = Energy(1, 3)
    energy.pair_lj[0, 2], energy.pair_coulomb[1, 1] = -3.0, 5.0
    assert energy.pair("lj", 0, 2) == energy.pair("lj", 2, 0) == -3.0 and energy.pair("coulomb", 1, 1) == 5.0
    for wrong in (("bond", 0, 0), ("lj", 0, 3), ("lj", -1, 0)):
        with pytest.raises(gromos.InvalidArgumentError):
            energy.pair(*wrong)


def test_pressure_in_bar():
    energy = Energy()
    energy.pressure = 1.0
    assert energy.pressure_bar == pytest.approx(16.6053906717, rel=1e-10)  # 1 kJ / N_A / nm^3, CODATA 2018


# --- a view over somebody else's vector


def test_follows_its_vector():
    vector = np.zeros(Energy.length(2, 2))
    energy = Energy.from_array(vector, 2, 2)
    assert energy.array is vector
    vector[0] = 5.0
    assert energy.kinetic == 5.0
    energy.bond = 2.0
    assert vector.sum() == 7.0
    energy.pair_lj[1, 1] = 1.0
    assert vector.sum() == 8.0
    kept = energy.copy()
    vector[0] = 6.0
    assert kept.kinetic == 5.0 and kept != energy


def test_read_only_stays_read_only():
    vector = np.zeros(Energy.length(1, 1))
    vector.flags.writeable = False
    energy = Energy.from_array(vector, 1, 1)
    for write in (lambda: setattr(energy, "bond", 1.0), lambda: energy.clear(), lambda: setattr(energy, "pair_lj", 1.0),
                  lambda: energy.pressure_tensor.__setitem__((0, 0), 1.0), lambda: energy.sum_up()):
        with pytest.raises(ValueError, match="read-only"):
            write()
    assert energy.copy().array.flags.writeable and energy.to_dict()["total"] == 0.0


LENGTH = Energy.length(1, 1)


@pytest.mark.parametrize(
    ("array", "error", "words"),
    [
        (np.zeros(5), gromos.ShapeError, f"'array' must have shape ({LENGTH},) for 1 baths and 1 energy groups, not (5,)"),
        (np.zeros((LENGTH, 1)), gromos.ShapeError, f"not ({LENGTH}, 1)"),
        (np.zeros(LENGTH, np.float32), gromos.DTypeError, "float64 array, not float32"),
        ([0.0] * LENGTH, gromos.DTypeError, "float64 array, not list"),
    ],
    ids=["length", "dimensions", "dtype", "list"],
)
def test_wrong_vectors(array, error, words):
    with pytest.raises(error) as caught:
        Energy.from_array(array, 1, 1)
    assert words in str(caught.value)


def test_to_dict():
    energy = numbered(2, 2)
    values = energy.to_dict()
    assert list(values)[0] == "total" and values["total"] == energy.total() and all(type(value) is float for value in values.values())
    assert set(values) == {"total"} | {name for name, field in Energy.fields().items() if isinstance(field, Scalar)}
    values = energy.to_dict(groups=True)
    assert set(values) == {"total"} | set(Energy.fields())
    values["pair_lj"][:] = -1
    assert energy.pair_lj.min() >= 0


def test_copy_pickle_equality():
    energy = numbered(2, 3)
    for other in (energy.copy(), copy.copy(energy), copy.deepcopy(energy), pickle.loads(pickle.dumps(energy))):
        assert other == energy and other is not energy and other.num_energy_groups == 3
        other.bond = -1.0
        assert other != energy and energy.bond != -1.0
    assert Energy(1, 1) != Energy(1, 2) and Energy(1, 1) != 0
    with pytest.raises(TypeError, match="unhashable"):
        hash(energy)


def test_repr():
    energy = Energy(2, 3)
    energy.kinetic = 1.5
    assert repr(energy) == "<Energy total=1.5 kinetic=1.5 potential=0 special=0 kJ/mol, 2 baths, 3 energy groups>"
    assert repr(Energy.fields()["bond"]) == "<energy field bond: Bond stretching. (kJ/mol)>"


def test_examples():
    for module in (gromos._energy, gromos._energy_base):
        result = doctest.testmod(module)
        assert result.failed == 0 and result.attempted > 1

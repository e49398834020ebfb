"""Numbers told of a structure beside its atoms: what force fields, data and calculators make of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from alignn_ff import testing
from alignn_ff.calculator import AlignnFFCalculator, CommitteeCalculator
from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.data.packing import pack_sample, unpack_sample
from alignn_ff.data.sources import Keys, Sample, read_samples
from alignn_ff.errors import CheckpointError, ConfigError, DataError, StructureError
from alignn_ff.graph import concat, edge_vectors, split
from alignn_ff.io import from_ase, to_ase, to_jarvis
from alignn_ff.models import Committee, Potential, Sum, build
from alignn_ff.pretrained.publish import save_upstream
from alignn_ff.training.labels import check_extra_features
from tests.structures import SMALL
from tests.tolerances import CLOSE, EXACT, FLOAT64

ELEMENTS = ["Cu", "Si", "O", "H", "C", "Al", "Ni", "Na", "Cl"]
SMALL_NETWORK = {"cutoff": 4.1, "three_body_cutoff": 3.1, "hidden_features": 6, "embedding_features": 4}
SOUND = ("alignn_atomwise", "alignn_atomwise_pure", "alignn_atomwise_pure_smooth")
TOLD = [0.7, -1.3, 300.0]


def model(name: str = "alignn_atomwise", count: int = 3, **fields: object) -> Potential:
    """In sound mode standardised by features about 0, 0 and 300."""
    torch.manual_seed(0)
    settings = {"name": name, "elements": ELEMENTS, "energy_scale": [2.0] * 9, **SMALL_NETWORK, **fields}
    network = build({**settings, "extra_features": count}).to(torch.float64).eval()
    graphs = [testing.build_graph(network, told("alloy", row)) for row in typical(count)] if count else []
    if graphs:
        network.calibrate(concat(graphs), edge_vectors(concat(graphs)))
    return network


def typical(count: int) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(50, 3)) * [1, 1, 100] + [0, 0, 300])[:, :count]


def told(name: str, features: object = TOLD) -> Atoms:
    atoms = SMALL[name]() if name in SMALL else Atoms(name)
    atoms.info["extra_features"] = features
    return atoms


@pytest.mark.parametrize(("name", "structure"), list(zip(SOUND, ("alloy", "slab", "free_molecule"), strict=True)))
def test_energy_is_a_smooth_sum_over_atoms_for_given_features(name, structure):
    potential, atoms = model(name), told(structure)
    testing.check_all(potential, atoms, limits=FLOAT64)
    testing.check_smooth(potential, atoms, potential.cutoff, limits=FLOAT64)
    testing.check_fragments(potential, told("free_molecule"), Atoms("CuOH", [[0, 0, 0], [1.8, 0, 0.2], [2.2, 0.9, 0]],
                            info={"extra_features": TOLD}), limits=FLOAT64)  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_isolated_atoms_have_no_energy_whatever_they_are_told(name):
    for features in (TOLD, [5.0, 5.0, -1000.0]):
        energy = testing.predict(model(name), [told("Cu", features), told("Ni", features)]).energy
        assert float(energy.abs().max()) < EXACT


@pytest.mark.parametrize("fields", [{}, {"mode": "legacy", "energy_scale": None}])
def test_each_structure_of_a_batch_is_told_its_own(fields):
    potential, others = model(**fields), [told("slab", [3.0, 0.0, 900.0]), told("alloy", [-1.0, 2.0, 0.0])]
    testing.check_batch(potential, [told("alloy"), *others, told("rock_salt")], limits=FLOAT64)
    testing.check_forces(potential, told("alloy"), limits=FLOAT64)
    testing.check_stress(potential, told("alloy"), limits=FLOAT64)
    testing.check_supercell(potential, told("alloy"), limits=FLOAT64)
    alike, other = (testing.predict(potential, [one]) for one in (told("alloy"), others[1]))
    assert float((alike.energy - other.energy).abs()) > 1e-4
    assert float((alike.forces - other.forces).abs().max()) > 1e-5


@pytest.mark.parametrize("count", [1, 2])
def test_few_features_count_where_upstreams_norm_leaves_nothing_of_them(count):
    """A LayerNorm of one number is zero, and of two it is plus and minus one."""

    def energies(potential: Potential) -> np.ndarray:
        rows = [[float(k), -float(k) - 1.0][:count] for k in range(4)]
        return testing.predict(potential, [told("alloy", row) for row in rows]).energy.numpy()

    legacy = energies(model(count=count, mode="legacy", energy_scale=None))
    assert np.ptp(legacy) < 1e-4 * abs(legacy[0])
    assert np.diff(energies(model(count=count))).all() and np.ptp(energies(model(count=count))) > 1e-3


def test_a_feature_that_never_varies_is_not_blown_up():
    network = build({"name": "alignn_atomwise", "elements": ELEMENTS, **SMALL_NETWORK, "extra_features": 2})
    graph = concat([testing.build_graph(network, told("alloy", [5.0, x])) for x in (1.0, 3.0)])
    network.calibrate(graph, edge_vectors(graph))
    assert network.extra_feature_embedding.mean.tolist() == [5.0, 2.0]
    assert network.extra_feature_embedding.scale.tolist() == [1.0, 1.0]


def test_composed_potentials_are_told_what_their_parts_want():
    one = model()
    references = build({"name": "reference_energies", "elements": ELEMENTS, "energies": [-1.0] * 9})
    assert Sum([references, one]).extra_features == Committee([one, one]).extra_features == 3
    with pytest.raises(ConfigError, match="want 2 and 3 extra features; expected as many"):
        Committee([one, model(count=2)])


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"mode": "legacy", "additional_output_features": 2}, "in legacy mode leave one of them out"),
        ({"mode": "legacy", "name": "alignn_atomwise_pure"}, "take extra_features and ignore them. Name the model"),
        ({"mode": "legacy", "name": "alignn_atomwise_pure_smooth"}, "or set mode to sound"),
    ],
)
def test_what_upstream_cannot_do_is_no_legacy_model(fields, said):
    with pytest.raises(ConfigError, match=said):
        model(**fields)
    model(**{**fields, "mode": "sound"})


def test_upstream_has_no_pure_model_with_features(tmp_path):
    save_upstream(tmp_path / "theirs", model(mode="legacy", energy_scale=None))
    with pytest.raises(CheckpointError, match="upstream has no model like this"):
        save_upstream(tmp_path / "sound", model("alignn_atomwise_pure"))


def test_ase_tells_the_model_and_a_change_of_features_counts(tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", Sum([model()]))
    loaded = load_checkpoint(tmp_path / "model.safetensors").potential
    assert loaded.extra_features == 3
    atoms = told("alloy", features := list(TOLD))
    expected = float(testing.predict(loaded, [atoms]).energy)
    for calculator in (AlignnFFCalculator(tmp_path / "model.safetensors"), CommitteeCalculator([loaded, loaded])):
        features[:] = TOLD
        atoms.calc = calculator
        assert atoms.get_potential_energy() == pytest.approx(expected, abs=CLOSE)
        features[0] = -2.0  # the very list that the atoms hold
        assert abs(atoms.get_potential_energy() - expected) > 1e-4
        two = calculator.evaluate([told("slab"), told("alloy")])
        assert two[1]["energy"] == pytest.approx(expected, abs=CLOSE)


@pytest.mark.parametrize(
    "features", [None, [1.0, 2.0], 5.0, [1.0, 2.0, np.nan], "warm", [[1.0, 2.0, 3.0]], [1, [2], 3]]
)
def test_atoms_told_too_little_are_refused_where_the_model_wants_it(features):
    atoms = told("alloy", features)
    AlignnFFCalculator(model(count=0)).get_potential_energy(atoms)
    calculator = AlignnFFCalculator(model())
    with pytest.raises(StructureError, match=r"wants 3 extra features .* those of the structure are .* Set atoms.info"):
        calculator.get_potential_energy(atoms)
    with pytest.raises(StructureError, match="those of structure 1 are"):
        calculator.evaluate([told("alloy"), atoms])


def test_a_graph_that_tells_nothing_is_refused():
    potential = model()
    graph = testing.build_graph(potential, told("alloy"))
    with pytest.raises(ConfigError, match=r"of shape \(1, 3\) beside the structures, and the graph has none"):
        testing.evaluate(potential, graph._replace(extra_features=None))


def test_graphs_carry_them_through_batches_files_and_back():
    graphs = [testing.build_graph(model(), told(name, row)) for name, row in (("alloy", TOLD), ("slab", [1, 2, 3]))]
    both = concat(graphs)
    assert both.extra_features.tolist() == [TOLD, [1.0, 2.0, 3.0]]
    assert [g.extra_features.tolist() for g in split(both)] == [[TOLD], [[1.0, 2.0, 3.0]]]
    assert to_ase(graphs[0]).info["extra_features"].tolist() == TOLD
    assert concat([graphs[0], graphs[1]._replace(extra_features=None)]).extra_features is None
    assert to_ase(from_ase(told("alloy"))).info == {}, "nobody asked for them"


def samples(tmp_path, rows: list[object], name: str) -> list[Sample]:
    frames, records = [], []
    for place, row in enumerate(rows):
        atoms = bulk("NaCl", "rocksalt", a=5.6)
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
        record = {"jid": f"a{place}", "atoms": to_jarvis(atoms), "total_energy": -0.5}
        if row is not None:
            atoms.info["extra_features"] = np.array(row)
            record["extra_features"] = row
        frames, records = [*frames, atoms], [*records, record]
    if name == "id_prop.json":
        (tmp_path / name).write_text(json.dumps(records))
    else:
        write(tmp_path / name, frames)
    return read_samples(tmp_path / name, Keys(extra_features="extra_features"))


@pytest.mark.parametrize("name", ["data.extxyz", "data.traj", "id_prop.json"])
def test_data_tell_them(tmp_path, name):
    first, scalar, none = samples(tmp_path, [[1.0, 2.0], 7.0, None], name)
    assert first.graph.extra_features.tolist() == [[1.0, 2.0]] and scalar.graph.extra_features.tolist() == [[7.0]]
    assert none.graph.extra_features is None
    assert read_samples(tmp_path / name)[0].graph.extra_features is None, "nobody asked"
    for sample in (first, none):
        again = unpack_sample(pack_sample(sample)).graph.extra_features
        told = sample.graph.extra_features
        assert again is told is None or torch.equal(again, told)
    check_extra_features([first], 2)
    for sample, count in ((none, "no"), (scalar, "1")):
        with pytest.raises(DataError, match=f"structure .* has {count} extra features, and the model wants 2"):
            check_extra_features([first, sample], 2)


@pytest.mark.parametrize(
    ("row", "said"), [([1.0, float("nan")], "finite numbers"), ([[1.0], [2.0]], "a list of finite")]
)
def test_what_is_no_list_of_numbers_is_refused(tmp_path, row, said):
    with pytest.raises(DataError, match=said):
        samples(tmp_path, [row], "data.traj")

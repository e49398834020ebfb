"""Values of atoms and structures beside energies: what models, labels, loss and calculators make of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from alignn_ff import testing
from alignn_ff.calculator import AlignnFFCalculator, CommitteeCalculator
from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.data.dataset import Dataset
from alignn_ff.data.packing import pack_sample, unpack_sample
from alignn_ff.data.sources import Keys, Sample, read_samples
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.evaluate import Want
from alignn_ff.io import Targets, from_ase, join_targets
from alignn_ff.models import Committee, Core, Potential, Sum, build
from alignn_ff.training.labels import check_widths
from alignn_ff.training.loss import LossConfig, loss
from alignn_ff.training.metrics import Predicted, collect, summary
from tests.structures import SMALL

OUTPUTS = {
    "atomwise_output_features": 2, "atomwise_target": ["magmoms", "charges"], "additional_output_features": 3,
}  # fmt: skip
ELEMENTS = ["Cu", "Si", "O", "H", "C", "Al", "Ni", "Na", "Cl"]
SIZES = {
    "alignn_smooth": {"cutoff": 4.1, "hidden_features": 6, "density_channels": 4, "message_features": 4},
    "ealignn_atomwise": {"cutoff": 4.1, "hidden_features": 6, "vector_features": 4},
    "alignn_atomwise": {"cutoff": 4.1, "three_body_cutoff": 3.1, "hidden_features": 6, "embedding_features": 4},
    "alignn_atomwise_pure_smooth": {"cutoff": 4.1, "three_body_cutoff": 3.1, "hidden_features": 6},
}
each_model = pytest.mark.parametrize("name", SIZES)


def model(name: str = "alignn_smooth", seed: int = 0, **outputs: object) -> Potential:
    torch.manual_seed(seed)
    network = build({"name": name, "elements": ELEMENTS, "energy_scale": [1.0] * 9, **SIZES[name], **outputs})
    return network.to(torch.float64).eval()


@each_model
def test_energies_and_forces_are_those_without_further_outputs(name):
    atoms = [SMALL["alloy"](), SMALL["slab"]()]
    bare, more = (testing.predict(model(name, **outputs), atoms) for outputs in ({}, OUTPUTS))
    assert bare.atomwise is None and bare.additional is None
    assert more.atomwise.shape == (sum(map(len, atoms)), 2) and more.additional.shape == (2, 3)
    for output in ("energy", "atom_energy", "forces", "stress"):
        assert torch.equal(torch.nan_to_num(getattr(bare, output)), torch.nan_to_num(getattr(more, output)))


@each_model
def test_values_follow_the_atoms_and_do_not_change_with_place_batch_or_supercell(name):
    potential, atoms, other = model(name, **OUTPUTS), SMALL["alloy"](), SMALL["slab"]()
    found = testing.predict(potential, [atoms], want=Want.ENERGY)
    order = np.random.default_rng(0).permutation(len(atoms))
    turned = atoms[order]
    turned.rotate(40.0, (1, 2, 3), rotate_cell=True)
    moved = testing.predict(potential, [turned], want=Want.ENERGY)
    assert torch.allclose(moved.atomwise, found.atomwise[torch.from_numpy(order)], rtol=0, atol=1e-10)
    assert float((found.atomwise - found.atomwise.mean(0)).abs().max()) > 1e-4, "atoms differ"
    both = testing.predict(potential, [other, atoms], want=Want.ENERGY)
    assert torch.allclose(both.atomwise[len(other) :], found.atomwise, rtol=0, atol=1e-12)
    twice = testing.predict(potential, [atoms * (2, 1, 1)], want=Want.ENERGY)
    for one in (moved.additional, both.additional[1:], twice.additional):
        assert torch.allclose(one, found.additional, rtol=0, atol=1e-10)


def test_composed_potentials_hand_them_on():
    one, other = model(**OUTPUTS), model(seed=1, **OUTPUTS)
    references = build({"name": "reference_energies", "elements": ELEMENTS, "energies": [0.0] * 9})
    limits = [[0.5] * 9] * 9, [99.0] * 9
    say = partial(testing.predict, structures=[SMALL["alloy"]()])
    expected, second = say(one), say(other)
    for whole in (Sum([references, one]), Core([Sum([references, one])], *limits)):
        assert whole.atomwise_names == ("magmoms", "charges") and len(whole.additional_names) == 3
        assert torch.equal(say(whole).atomwise, expected.atomwise)
        assert torch.equal(say(whole).additional, expected.additional)
    mean = say(Committee([one, other]))
    assert torch.allclose(mean.atomwise, 0.5 * (expected.atomwise + second.atomwise), rtol=0, atol=1e-14)
    unnamed = model(atomwise_output_features=2)
    with pytest.raises(ConfigError, match=r"different values.*atomwise_0, atomwise_1 / magmoms, charges"):
        Committee([one, unnamed])


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"atomwise_target": "charges"}, "as many different names as atomwise_output_features, 0"),
        ({"additional_output_features": 2, "additional_target": ["gap", "gap"]}, "additional_output_features, 2"),
    ],
)
def test_names_that_do_not_fit_are_refused(outputs, said):
    with pytest.raises(ConfigError, match=said):
        model(**outputs)


def test_the_calculator_offers_charges_and_moments_under_the_names_of_ase(tmp_path):
    potential, atoms = model(**OUTPUTS), SMALL["alloy"]()
    save_checkpoint(tmp_path / "model.safetensors", potential)
    assert load_checkpoint(tmp_path / "model.safetensors").potential.config == potential.config
    expected = testing.predict(potential, [atoms]).atomwise.numpy()
    for calculator in (
        AlignnFFCalculator(tmp_path / "model.safetensors"), CommitteeCalculator([potential, potential]),
    ):  # fmt: skip
        atoms.calc = calculator
        assert np.array_equal(atoms.get_magnetic_moments(), expected[:, 0])
        assert np.array_equal(atoms.get_charges(), expected[:, 1])
        second = calculator.evaluate([SMALL["slab"](), atoms])[1]
        assert np.allclose(second["charges"], expected[:, 1], rtol=0, atol=1e-12)
    atoms.calc = AlignnFFCalculator(model(atomwise_output_features=1))
    assert "charges" not in atoms.calc.results
    with pytest.raises(PropertyNotImplementedError):
        atoms.get_charges()


def labelled(tmp_path: Path) -> list[Sample]:
    """Cells of two and of one atom, of which the second says nothing of charges."""
    both, one = bulk("NaCl", "rocksalt", a=5.6), bulk("Cu")
    both.calc = SinglePointCalculator(both, energy=-1.0, charges=[0.8, -0.8], magmoms=[0.0, 0.5])
    both.info["gaps"] = np.array([5.0, 6.0, 7.0])
    one.calc = SinglePointCalculator(one, energy=-2.0, magmoms=[0.25])
    write(tmp_path / "data.extxyz", [both, one])
    return read_samples(tmp_path / "data.extxyz", Keys(atomwise=("magmoms", "charges"), additional=("gaps",)))


def test_labels_stand_side_by_side_and_what_is_missing_is_not_a_number(tmp_path):
    both, one = labelled(tmp_path)
    assert both.targets.atomwise.tolist() == [[0.0, 0.8], [0.5, -0.8]]
    assert both.targets.additional.tolist() == [[5.0, 6.0, 7.0]]
    assert float(one.targets.atomwise[0, 0]) == 0.25 and bool(torch.isnan(one.targets.atomwise[0, 1]))
    assert one.targets.additional.numel() == 0
    joined = join_targets([one.targets, both.targets])
    assert joined.atomwise.shape == (3, 2) and bool(torch.isnan(joined.additional[0]).all())
    for sample in (both, one):
        again = unpack_sample(pack_sample(sample)).targets
        for a, b in zip(again, sample.targets, strict=True):
            assert a.shape == b.shape and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (Keys(atomwise=("numbers_of",)), r"values of atoms have shape \(3,\); expected \(2,\) or \(2, values\)"),
        (Keys(additional=("label",)), "additional values cannot be read as numbers"),
    ],
)
def test_labels_of_another_shape_are_refused(keys, said, tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    atoms.info |= {"numbers_of": np.array([1.0, 2.0, 3.0]), "label": "metal"}
    write(tmp_path / "data.extxyz", atoms)
    with pytest.raises(DataError, match=said):
        read_samples(tmp_path / "data.extxyz", keys)


def test_structures_with_more_values_than_the_model_are_named(tmp_path):
    keys = Keys(atomwise=("magmoms", "charges"), additional=("gaps",))
    check_widths(labelled(tmp_path), model(**OUTPUTS), keys)
    with pytest.raises(DataError, match=r"structure data.extxyz@0 has 2 atomwise values, and the model gives 1"):
        check_widths(labelled(tmp_path), model(atomwise_output_features=1), keys)


def seen(samples: list[Sample], potential: Potential) -> tuple[Predicted, Dataset]:
    data = Dataset(samples, **potential.wants)
    graph, targets = data.batch(range(len(samples)))
    return Predicted(list(range(len(samples))), graph, targets, testing.evaluate(potential, graph)), data


def test_loss_and_errors_count_what_is_labelled_alone(tmp_path):
    batch, data = seen(labelled(tmp_path), model(**OUTPUTS))
    form = LossConfig(criterion="l1", atomwise_weight=2.0, additional_output_weight=0.5)
    terms = loss(batch.prediction, batch.targets, batch.graph, form)
    values, more = batch.prediction.atomwise, batch.prediction.additional[0]
    expected = torch.stack(
        [values[0, 0], values[1, 0] - 0.5, values[2, 0] - 0.25, values[0, 1] - 0.8, values[1, 1] + 0.8]
    )
    assert float(terms.atomwise) == pytest.approx(float(expected.abs().mean()), rel=1e-12)
    assert float(terms.additional) == pytest.approx(
        float((more - torch.tensor([5.0, 6.0, 7.0])).abs().mean()), rel=1e-12
    )
    without = loss(batch.prediction, batch.targets, batch.graph, LossConfig(criterion="l1"))
    assert float(terms.total - without.total) == pytest.approx(
        float(2 * terms.atomwise + 0.5 * terms.additional), rel=1e-9
    )
    errors = collect([batch], data)
    assert summary(errors)["atomwise_mae"] == pytest.approx(float(terms.atomwise), rel=1e-12)
    assert summary(errors)["additional_output_mae"] == pytest.approx(float(terms.additional), rel=1e-12)
    assert sorted(errors.atomwise_element) == ["Cl", "Cl", "Cu", "Na", "Na"]


def test_targets_without_values_take_no_part():
    zero = torch.zeros(1, dtype=torch.float64)
    targets = Targets(zero, torch.zeros(1, 3).double(), torch.zeros(1, 3, 3).double(), zero)
    assert join_targets([targets, targets]).atomwise.numel() == 0
    sample = Sample(from_ase(Atoms("Cu", cell=[3, 3, 3], pbc=True)), targets, "one", "all")
    batch, _ = seen([sample], model(**OUTPUTS))
    terms = loss(batch.prediction, batch.targets, batch.graph, LossConfig(atomwise_weight=1.0))
    assert float(terms.atomwise) == 0.0

"""The loss against values worked out by hand."""

from __future__ import annotations

import pytest
import torch

from alignn_ff import testing
from alignn_ff.evaluate import Prediction, Want, evaluate
from alignn_ff.graph import AtomGraph, concat
from alignn_ff.io import Targets, from_ase
from alignn_ff.training.loss import LossConfig, loss
from tests.conftest import random_potential
from tests.structures import SMALL

NAN = torch.nan
PLAIN = LossConfig(criterion="l1", stress_weight=1.0)


def two_structures() -> AtomGraph:
    """Eight atoms and one."""
    return concat([from_ase(SMALL["alloy"]()), from_ase(SMALL["primitive_cell"]())])


def zeros() -> Targets:
    zero = torch.zeros(9, 3).double()
    return Targets(zero[:2, 0].clone(), zero, torch.zeros(2, 3, 3).double(), zero[:, 0].clone())


def prediction(energy=(0.0, 0.0), force=0.0, stress=0.0, atom_energy=0.0) -> Prediction:
    return Prediction(
        energy=torch.tensor(energy, dtype=torch.float64),
        atom_energy=torch.full((9,), atom_energy, dtype=torch.float64),
        forces=torch.full((9, 3), force, dtype=torch.float64),
        stress=torch.full((2, 3, 3), stress, dtype=torch.float64),
    )


def numbers(*args) -> list[float]:
    """Total, energy, forces, stress and energies of atoms; nothing here has further outputs."""
    return [float(term) for term in loss(*args)[:5]]


def test_perfect_prediction_costs_nothing():
    assert numbers(prediction(), zeros(), two_structures(), PLAIN) == [0.0] * 5


def test_energy_counts_per_atom_and_terms_are_means():
    found = numbers(prediction((0.8, -0.3), 0.2, 0.05), zeros(), two_structures(), PLAIN)
    assert found == pytest.approx([0.2 + 0.2 + 0.05, (0.1 + 0.3) / 2, 0.2, 0.05, 0.0])


def test_weights_scale_terms_of_the_total_alone():
    config = LossConfig(criterion="l1", energy_weight=2.0, force_weight=10.0, stress_weight=100.0)
    found = numbers(prediction((0.8, -0.3), 0.2, 0.05), zeros(), two_structures(), config)
    assert found == pytest.approx([0.4 + 2.0 + 5.0, 0.2, 0.2, 0.05, 0.0])


@pytest.mark.parametrize(
    ("criterion", "force", "expected"),
    [
        ("l1", 0.3, 0.3),
        ("l1", -0.3, 0.3),
        ("mse", 0.3, 0.09),
        ("huber", 0.3, 0.25),  # linear: 0.3 - 0.1 / 2
        ("huber", -0.3, 0.25),
        ("huber", 0.05, 0.0125),  # square: 0.05² / (2 · 0.1)
        ("huber", 0.1, 0.05),  # both meet here
    ],
)
def test_criteria(criterion, force, expected):
    config = LossConfig(criterion=criterion, force_delta=0.1)
    assert numbers(prediction(force=force), zeros(), two_structures(), config)[2] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["energy", "force", "stress"])
def test_each_delta_belongs_to_its_term(name):
    config = LossConfig(stress_weight=1.0, **{f"{name}_delta": 0.4})
    errors = prediction((8 * 0.2, 0.2), 0.2, 0.2)
    found = dict(
        zip(("energy", "force", "stress"), numbers(errors, zeros(), two_structures(), config)[1:4], strict=True)
    )
    assert found[name] == pytest.approx(0.2**2 / 0.8)
    assert min(value for key, value in found.items() if key != name) > 0.14


def test_missing_labels_do_not_count():
    targets = zeros()
    targets.energy[0] = NAN
    targets.forces[:5] = NAN
    targets.stress[1] = NAN
    wild = prediction((1e6, 0.5), 0.0, 0.0)
    wild.forces[:5] = 1e6
    wild.forces[5:] = 0.7
    wild.stress[1] = 1e6
    wild.stress[0] = 0.01
    found = numbers(wild, targets, two_structures(), PLAIN)
    assert found == pytest.approx([0.5 + 0.7 + 0.01, 0.5, 0.7, 0.01, 0.0])


def test_energies_of_atoms_count_where_they_have_a_weight():
    wrong = prediction(atom_energy=0.3)
    assert numbers(wrong, zeros(), two_structures(), PLAIN) == [0.0] * 5
    config = LossConfig(criterion="l1", atom_energy_weight=2.0)
    assert numbers(wrong, zeros(), two_structures(), config) == pytest.approx([0.6, 0.0, 0.0, 0.0, 0.3])
    half = zeros()
    half.atom_energy[:5] = NAN
    half.atom_energy[5:] = 0.1
    assert numbers(wrong, half, two_structures(), config) == pytest.approx([0.4, 0.0, 0.0, 0.0, 0.2])


def test_nothing_labelled_costs_nothing():
    targets = Targets(*(torch.full_like(t, NAN) for t in zeros()))
    predicted = prediction((1.0, 1.0), 1.0, 1.0)
    predicted.energy.requires_grad_()
    terms = loss(predicted, targets, two_structures(), PLAIN)
    assert [float(t.detach()) for t in terms] == [0.0] * 7
    terms.total.backward()  # a training step on such a batch must not fail
    assert not predicted.energy.grad.any()


@pytest.mark.parametrize("term", ["energy", "forces", "stress"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_prediction_that_is_not_finite_is_never_a_good_one(term, value):
    broken = prediction()
    getattr(broken, term).fill_(value)
    assert not torch.isfinite(loss(broken, zeros(), two_structures(), PLAIN).total)


def test_absent_derivatives_cost_nothing():
    bare = prediction((0.8, 0.1))._replace(forces=None, stress=None)
    assert numbers(bare, zeros(), two_structures(), PLAIN) == pytest.approx([0.1, 0.1, 0.0, 0.0, 0.0])


def test_a_molecule_among_crystals_leaves_the_stress_loss_and_its_gradient_finite():
    potential = random_potential("default", composed=True)
    graph = concat([testing.build_graph(potential, SMALL[name]()) for name in ("alloy", "free_molecule")])
    predicted = evaluate(potential, graph, want=Want.TRAINING)
    n = len(graph.numbers)
    zero = torch.zeros(n, 3).double()
    targets = Targets(zero[:2, 0], zero, torch.zeros(2, 3, 3).double(), zero[:, 0])
    targets.stress[1] = NAN
    total = loss(predicted, targets, graph, LossConfig(stress_weight=1.0)).total
    gradients = torch.autograd.grad(total, list(potential.parameters()), allow_unused=True)
    assert all(bool(torch.isfinite(g).all()) for g in gradients if g is not None)


def test_weights_of_structures_are_factors_of_what_they_add():
    weights = torch.tensor([3.0, 0.5], dtype=torch.float64)
    found = loss(prediction((0.8, -0.3), 0.2, 0.05), zeros(), two_structures(), PLAIN, weights)
    energy, force, stress = (0.1 * 3 + 0.3 * 0.5) / 2, 0.2 * (8 * 3 + 1 * 0.5) / 9, 0.05 * 3.5 / 2
    expected = [energy + force + stress, energy, force, stress, 0.0, 0.0, 0.0]
    assert [float(term) for term in found] == pytest.approx(expected)


def test_weights_reach_only_what_has_a_label():
    targets = zeros()
    targets.energy[0] = NAN
    weights = torch.tensor([100.0, 2.0], dtype=torch.float64)
    found = loss(prediction((0.8, -0.3)), targets, two_structures(), PLAIN, weights)
    assert float(found.energy) == pytest.approx(0.6)


def test_root_mean_square_as_published():
    """Errors of 0.3 eV on three atoms and -0.6 eV on two: sqrt((0.1² + 0.3²) / 2) eV/atom."""
    atoms = [from_ase(SMALL["alloy"]()[:n]) for n in (3, 2)]
    graph, none = concat(atoms), torch.zeros(5, 3).double()
    targets = Targets(torch.zeros(2).double(), none, torch.full((2, 3, 3), NAN).double(), none[:, 0])
    off = Prediction(torch.tensor([0.3, -0.6]).double(), none[:, 0], none)
    found = loss(off, targets, graph, LossConfig(criterion="rmse", force_weight=0.0))
    assert float(found.energy) == pytest.approx(0.223606797750)


def test_root_of_nothing_has_a_slope():
    energy = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    exact = Prediction(energy, zeros().atom_energy, zeros().forces)
    loss(exact, zeros(), two_structures(), LossConfig(criterion="rmse", force_weight=0.0)).total.backward()
    assert energy.grad.tolist() == [0.0, 0.0]

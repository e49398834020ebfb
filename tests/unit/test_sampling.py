"""Weights of sampling policies, subsets of forces and filters: published numbers, and what an epoch draws."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from alignn_ff.data.dataset import Dataset
from alignn_ff.data.filters import Bounds, report, within
from alignn_ff.data.sources import Sample
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.evaluate import Prediction
from alignn_ff.io import Targets, from_ase
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.force_subset import ForceSubset
from alignn_ff.training.loss import LossConfig, loss
from alignn_ff.training.metrics import Predicted
from alignn_ff.training.sampling import Sampler, build_sampler, energy_weights, error_weights
from tests.conftest import random_potential

CPU = torch.device("cpu")
NAN = float("nan")


def tensor(*numbers: float) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def sample(energy: float, force: float = 0.1, key: str = "one", atoms: Atoms | None = None) -> Sample:
    """Copper with a total energy and this force along x on every atom."""
    atoms = bulk("Cu", cubic=True) if atoms is None else atoms
    n = len(atoms)
    forces = torch.zeros(n, 3, dtype=torch.float64)
    forces[:, 0] = force
    stress = torch.zeros(1, 3, 3, dtype=torch.float64)
    return Sample(from_ase(atoms), Targets(tensor(energy), forces, stress, torch.full((n,), NAN)), key, "all")


def dataset(*samples: Sample) -> Dataset:
    return Dataset(samples, cutoff=3.0, angle_cutoff=None)


def config(**fields) -> TrainConfig:
    return TrainConfig(data=("a",), **fields)


def test_energy_weights_as_published():
    weights = energy_weights(tensor(-3, -2, -1))
    assert weights.tolist() == pytest.approx([1, 2 / 3, 1 / 2])
    assert (weights / weights.sum()).tolist() == pytest.approx([6 / 13, 4 / 13, 3 / 13])


def test_energies_all_alike_weigh_alike():
    assert energy_weights(tensor(-2, -2, -2)).tolist() == [1, 1, 1]


def test_error_weights_as_published():
    assert error_weights(tensor(0.3, 0, 0.1, NAN)).tolist() == pytest.approx([3, 1e-11, 1, 1e-11])


@pytest.mark.parametrize("scores", [(0, 0), (NAN, NAN), (-1, 0), (float("inf"), 0)])
def test_errors_that_say_nothing_weigh_alike(scores):
    assert error_weights(tensor(*scores)).tolist() == [1, 1]


def test_uniform_is_every_structure_once_as_before_there_were_policies():
    sampler = build_sampler(config(random_seed=5), dataset(*(sample(0.0) for _ in range(9))))
    for epoch in (0, 1, 7):
        before = torch.randperm(9, generator=torch.Generator().manual_seed(5 * 1_000_003 + epoch)).tolist()
        assert sampler.order(epoch) == before


def shares(sampler: Sampler, epochs: int) -> list[float]:
    drawn = np.concatenate([sampler.order(epoch) for epoch in range(epochs)])
    return (np.bincount(drawn, minlength=3) / len(drawn)).tolist()


def test_energy_weighted_draws_as_often_as_it_weighs():
    data = dataset(*(sample(4 * e) for e in (-3.0, -2.0, -1.0)))
    sampler = build_sampler(config(sampling_policy="energy_weighted", reference_energies={"Cu": 0.0}), data)
    assert len(sampler.order(0)) == 3
    assert shares(sampler, 4000) == pytest.approx([6 / 13, 4 / 13, 3 / 13], abs=0.02)


def test_energies_weigh_less_those_of_their_elements():
    """Gold's references lie lower, yet the crystal that is worse off against them is the copper."""
    crystals = [("Cu", -3.0), ("Au", -3.5), ("Cu", -3.6), ("Au", -3.6)]
    data = dataset(*(sample(4 * e, atoms=bulk(s, cubic=True)) for s, e in crystals))
    fields = {"sampling_policy": "energy_weighted", "reference_energies": {"Cu": -3.6, "Au": -3.6}}
    counts = np.bincount([i for epoch in range(3000) for i in build_sampler(config(**fields), data).order(epoch)])
    assert counts[0] < 0.65 * counts[2] and counts[1] > 1.4 * counts[0]
    fitted = build_sampler(config(sampling_policy="energy_weighted"), data)
    counts = np.bincount([i for epoch in range(3000) for i in fitted.order(epoch)])
    assert counts[2] == max(counts) and counts[0] == min(counts)  # ±0.3 against copper's own mean


def test_energy_weighted_needs_every_energy():
    data = dataset(sample(1.0), sample(NAN, key="bare"))
    with pytest.raises(DataError, match="1 have none, bare for one"):
        build_sampler(config(sampling_policy="energy_weighted", reference_energies={"Cu": 0.0}), data)


def seen(sampler_data: Dataset, indices: list[int], errors: list[float]) -> Predicted:
    """A batch whose energies per atom are off by `errors`."""
    graph, targets = sampler_data.batch(indices)
    energy = targets.energy + 4 * tensor(*errors)
    return Predicted(indices, graph, targets, Prediction(energy, targets.atom_energy))


@pytest.fixture
def error_weighted() -> tuple[Sampler, Dataset]:
    data = dataset(*(sample(-1.0) for _ in range(3)))
    return build_sampler(config(sampling_policy="error_weighted"), data), data


def test_error_weighted_draws_by_the_mean_error_of_the_last_draws(error_weighted):
    sampler, data = error_weighted
    assert shares(sampler, 2000) == pytest.approx([1 / 3] * 3, abs=0.03)
    sampler.observe(seen(data, [0, 1], [0.1, -0.3]))
    sampler.observe(seen(data, [0], [0.3]))
    assert shares(sampler, 2000) == pytest.approx([1 / 3] * 3, abs=0.03), "not before the epoch ends"
    sampler.close_epoch()
    total = 0.2 + 0.3 + 1.0  # the one not drawn keeps its first score
    assert shares(sampler, 4000) == pytest.approx([0.2 / total, 0.3 / total, 1 / total], abs=0.02)


def test_errors_that_are_not_finite_are_not_noted(error_weighted):
    sampler, data = error_weighted
    sampler.observe(seen(data, [0, 1, 2], [0.5, NAN, 0.5]))
    sampler.observe(seen(data, [0], [NAN]))
    sampler.close_epoch()
    assert shares(sampler, 4000) == pytest.approx([0.25, 0.5, 0.25], abs=0.02)


def test_error_weighted_goes_on_from_a_saved_state(error_weighted):
    sampler, data = error_weighted
    sampler.observe(seen(data, [0, 2], [0.9, 0.01]))
    again = build_sampler(config(sampling_policy="error_weighted"), data)
    again.load_state_dict({name: value.clone() for name, value in sampler.state_dict().items()})
    for each in (sampler, again):
        each.observe(seen(data, [1], [0.2]))
        each.close_epoch()
    assert [again.order(e) for e in range(20)] == [sampler.order(e) for e in range(20)]


@pytest.mark.parametrize(
    ("fraction", "least", "expected"),
    [(0.29, 1, 2), (0.05, 1, 1), (0.05, None, 0), (0.0, 4, 4), (0.5, 99, 8), (1, 0, 10)],
)
def test_size_of_a_force_subset(fraction, least, expected):
    data = dataset(*(sample(0.0, force=NAN if i < 2 else 0.1) for i in range(10)))
    subset = ForceSubset(config(force_fraction=fraction, force_min_structures_per_epoch=least), data)
    assert len(subset.chosen(0)) == expected
    assert fraction == 1 or subset.chosen(0) <= set(range(2, 10)), "of those with forces"


@pytest.mark.parametrize(
    ("sampling", "every", "changes"),
    [("random", 2, [False, True, False, True]), ("random", 0, [False] * 4), ("fixed", 2, [False] * 4)],
)
def test_force_subset_is_drawn_anew_when_told(sampling, every, changes):
    data = dataset(*(sample(0.0) for _ in range(40)))
    fields = {"force_fraction": 0.5, "force_sampling": sampling, "force_resample_num_epochs": every}
    subset = ForceSubset(config(**fields), data)
    drawn = [subset.chosen(epoch) for epoch in range(5)]
    assert [a != b for a, b in pairwise(drawn)] == changes
    assert ForceSubset(config(**fields), data).chosen(4) == drawn[4], "a resumed run draws the same"


def test_unbiased_scale_as_published():
    """L_F = 0.6 on a quarter of the labelled atoms counts as 1.2."""
    data = dataset(*(sample(0.0) for _ in range(4)))
    fields = {"force_fraction": 0.25, "loss": {"force_weight": 0.6}}
    subset = ForceSubset(config(**fields, force_scale_unbiased=True), data)
    terms = LossConfig(force_weight=0.6)
    assert subset.loss(range(4), 0).force_weight == pytest.approx(1.2)
    (learned,) = subset.chosen(0)
    assert subset.loss([learned], 0) == terms
    assert subset.loss([i for i in range(4) if i != learned], 0) == terms
    assert ForceSubset(config(**fields), data).loss(range(4), 0) == terms


def rattled(count: int) -> Dataset:
    rng = random.Random(3)
    found = []
    for seed in range(count):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.1, seed=seed)
        found.append(sample(rng.gauss(0, 1), rng.gauss(0, 1), key=str(seed), atoms=atoms))
    return Dataset(found, **random_potential().wants)


def gradient(potential, terms) -> torch.Tensor:
    weights = list(potential.parameters())
    return torch.cat(
        [g.flatten() for g in torch.autograd.grad(terms.total, weights, materialize_grads=True, allow_unused=True)]
    )


def test_gradient_with_a_force_subset_is_that_of_hidden_labels():
    """Two evaluations, one without derivatives, teach what one with masked labels would."""
    data, potential = rattled(4), random_potential()
    weights = LossConfig(criterion="mse", stress_weight=1.0)
    subset = ForceSubset(config(force_fraction=0.5, loss=weights), data)
    split = subset.predict(potential, range(4), 0, CPU)
    assert sorted(split.indices[:2]) == sorted(subset.chosen(0)) and sorted(split.indices) == [0, 1, 2, 3]
    whole = ForceSubset(config(loss=weights), data).predict(potential, split.indices, 0, CPU)
    for name, atoms in (("forces", 8), ("stress", 2)):
        getattr(whole.targets, name)[atoms:] = NAN
    one = gradient(potential, loss(split.prediction, split.targets, split.graph, weights))
    other = gradient(potential, loss(whole.prediction, whole.targets, whole.graph, weights))
    assert float(other.abs().max()) > 1e-3
    assert torch.allclose(one, other, rtol=1e-9, atol=1e-11)


def test_energies_alone_take_no_derivative():
    data, potential = rattled(2), random_potential()
    weights = LossConfig(force_weight=0.0)
    seen = ForceSubset(config(loss=weights), data).predict(potential, [0, 1], 0, CPU)
    assert seen.prediction.forces is None
    whole = ForceSubset(config(), data).predict(potential, [0, 1], 0, CPU)
    one, other = (gradient(potential, loss(s.prediction, s.targets, s.graph, weights)) for s in (seen, whole))
    assert float(one.abs().max()) > 0 and torch.allclose(one, other, rtol=1e-10, atol=1e-13)


def test_filters_say_what_they_leave_out():
    samples = [
        sample(-12.0, key="low"),
        sample(-3.9, key="high"),
        sample(-12.0, 9.0, key="pushed"),
        sample(NAN, key="bare"),
    ]
    kept, removed = within(samples, Bounds(-1.0, 5.0))
    assert [s.key for s in kept] == ["low", "bare"]
    assert removed == {"max_energy": ["high"], "max_forces": ["pushed"]}
    said = report(removed, Bounds(-1.0, 5.0))
    assert said == "structures left out: 1 beyond max_energy -1.0 (high); 1 beyond max_forces 5.0 (pushed)."
    assert within(samples, Bounds()) == (samples, {}) and report({}, Bounds()) == ""


def test_bound_of_energies_is_above_the_references():
    samples = [sample(4 * -3.0, key="a"), sample(4 * -2.4, key="b")]
    assert within(samples, Bounds(0.1, reference_energies={"Cu": -3.0})).removed == {"max_energy": ["b"]}
    with pytest.raises(ConfigError, match="has no Cu, which structure a"):
        within(samples, Bounds(0.1, reference_energies={"Ag": -3.0}))


def test_bound_of_forces_is_of_their_size_not_of_a_component():
    oblique = sample(0.0, 3.0)
    oblique.targets.forces[:, 1] = 4.0
    assert within([oblique], Bounds(max_forces=5.0 + 1e-9)).removed == {}
    with pytest.raises(DataError, match="leave none of 1"):
        within([oblique], Bounds(max_forces=4.9))

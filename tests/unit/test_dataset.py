"""Batches: everything once, under every budget, in an order that a seed repeats."""

from __future__ import annotations

import pytest
import torch

from alignn_ff.data.dataset import Budget, Dataset, elements_of
from alignn_ff.data.sources import Sample
from alignn_ff.graph import concat
from alignn_ff.io import Targets, from_ase
from alignn_ff.neighbors import connect
from tests.graphs import alike
from tests.structures import SMALL

NAMES = list(SMALL)


def sample(name: str, number: int) -> Sample:
    graph = from_ase(SMALL[name]())
    n = len(graph.numbers)
    targets = Targets(
        energy=torch.full((1,), float(number), dtype=torch.float64),
        forces=torch.full((n, 3), float(number), dtype=torch.float64),
        stress=torch.full((1, 3, 3), float(number), dtype=torch.float64),
        atom_energy=torch.full((n,), float(number), dtype=torch.float64),
    )
    return Sample(graph, targets, name, "all")


@pytest.fixture
def data() -> Dataset:
    return Dataset([sample(name, i) for i, name in enumerate(NAMES)], cutoff=4.0, angle_cutoff=3.0)


BUDGETS = [
    Budget(1),
    Budget(3),
    Budget(100),
    Budget(100, atoms=12),
    Budget(100, edges=300),
    Budget(4, 20, 500),
]


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("seed", [None, 0, 1])
def test_batches_hold_everything_once_and_stay_within_budget(data, budget, seed):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    batches = data.batches(budget, generator)
    assert sorted(i for batch in batches for i in batch) == list(range(len(data)))
    for batch in batches:
        assert len(batch) <= budget.structures
        graph = data.batch(batch).graph
        if len(batch) > 1:  # one structure alone may exceed what fits
            assert budget.atoms is None or len(graph.numbers) <= budget.atoms
            assert budget.edges is None or len(graph.edge_src) <= budget.edges


@pytest.mark.parametrize("budget", [Budget(100, atoms=1), Budget(100, edges=1)])
def test_what_fits_nowhere_gets_a_batch_of_its_own(data, budget):
    batches = data.batches(budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(data)))
    large = {i for i, s in enumerate(data.samples) if len(s.graph.numbers) > 1}
    assert all(len(batch) == 1 for batch in batches if large & set(batch))


def test_batches_are_filled(data):
    assert [len(batch) for batch in data.batches(Budget(4))] == [4, 4, 4, 2]


def test_order_is_that_of_the_seed(data):
    orders = [data.batches(Budget(3), torch.Generator().manual_seed(seed)) for seed in (5, 5, 6)]
    assert orders[0] == orders[1] != orders[2]
    assert data.batches(Budget(100)) == [list(range(len(data)))]


def test_batch_is_its_samples_in_the_order_asked_for(data):
    chosen = [4, 0, 7]
    batch = data.batch(chosen)
    expected = concat([connect(from_ase(SMALL[NAMES[i]]()), 4.0, angle_cutoff=3.0) for i in chosen])
    assert alike(batch.graph, expected)
    assert batch.targets.energy.tolist() == [4.0, 0.0, 7.0]
    assert batch.targets.forces[:, 0].tolist() == [float(chosen[g]) for g in batch.graph.graph_index]
    assert batch.targets.stress[:, 1, 2].tolist() == [4.0, 0.0, 7.0]


@pytest.mark.parametrize(("memory_mb", "searches"), [(100.0, 14), (0.0, 28)])
def test_edges_are_kept_while_they_fit(data, monkeypatch, memory_mb, searches):
    from alignn_ff.data import dataset

    calls = []
    monkeypatch.setattr(dataset, "connect", lambda *a, **k: calls.append(1) or connect(*a, **k))
    limited = Dataset(data.samples, 4.0, 3.0, memory_mb)
    first, second = ([limited.graph(i) for i in range(len(limited))] for _ in range(2))
    assert len(calls) == searches
    for one, other in zip(first, second, strict=True):
        assert alike(one, other)


def test_sizing_batches_by_edges_searches_once(data, monkeypatch):
    from alignn_ff.data import dataset

    calls = []
    monkeypatch.setattr(dataset, "connect", lambda *a, **k: calls.append(1) or connect(*a, **k))
    forgetful = Dataset(data.samples, 4.0, None, memory_mb=0.0)
    for _ in range(3):
        forgetful.batches(Budget(100, edges=300))
    assert len(calls) == len(data)


def test_kept_edges_stay_within_their_bound(data):
    bound = 0.05
    limited = Dataset(data.samples, 4.0, 3.0, bound)
    for i in range(len(limited)):
        limited.graph(i)
    kept = sum(t.nbytes for graph in limited._kept.values() for t in graph if t is not None)
    assert 0 < kept <= bound * 1e6
    assert len(limited._kept) < len(limited)


def test_elements_are_those_that_occur(data):
    assert elements_of(data.samples).tolist() == sorted({z for build in SMALL.values() for z in build().numbers})

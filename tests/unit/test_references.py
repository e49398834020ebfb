"""Energies of elements from compositions: worked examples, what data leave open, and one pass over any number."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from alignn_ff.data.compositions import CompositionEnergy, parse_formula
from alignn_ff.data.references import CompositionFit, Subset, from_compounds, regression
from alignn_ff.errors import ConfigError, DataError

WATER: list[CompositionEnergy] = [({"H": 2}, -2.0), ({"O": 2}, -8.0), ({"H": 2, "O": 1}, -7.0)]
"""Published example; worked out by hand it gives H = -11/9, O = -37/9."""


def test_the_published_example():
    found = regression(iter(WATER))
    assert found.energies == pytest.approx({"H": -11 / 9, "O": -37 / 9}, rel=1e-12)
    assert found.facts["residual_sum_squares"] == pytest.approx(4 / 9)
    assert found.facts["rmse"] == pytest.approx(0.384900179460)
    assert (found.facts["rank"], found.undetermined, found.facts["samples"]) == (2, (), 3)
    assert regression(WATER, fixed={"H": -1.0}).energies == pytest.approx({"H": -1.0, "O": -4.2})
    assert from_compounds(WATER, ["H2", "O2"]).energies == pytest.approx({"H": -1.0, "O": -4.0})


def test_the_lowest_of_exactly_that_composition_is_the_reference():
    samples = [*WATER, ({"O": 2}, -9.0), ({"O": 4}, -99.0), ({"H": 2}, -1.0)]
    found = from_compounds(samples, [{"H": 2}, "O2"])
    assert found.energies == pytest.approx({"H": -1.0, "O": -4.5})
    assert found.facts["compounds"] == {"H2": -2.0, "O2": -9.0} and found.facts["samples"] == 6


@pytest.mark.parametrize(
    ("formulas", "undetermined"),
    [
        (["Ti2O4", "TiO2"], ("O", "Ti")),
        (["TiO2", "Cu", "Cu4"], ("O", "Ti")),
        (["TiO2", "TiO", "Cu"], ()),
        (["NaCl", "KCl"], ("Cl", "K", "Na")),
        (["NaCl", "KCl", "Na"], ()),
        (["LiFePO4", "Fe", "Li"], ("O", "P")),
    ],
)
def test_elements_that_the_data_leave_open_are_named(formulas, undetermined):
    samples = [(parse_formula(f), -3.0 * sum(parse_formula(f).values())) for f in formulas]
    found = regression(samples)
    assert found.undetermined == undetermined
    assert found.facts["residual_sum_squares"] == pytest.approx(0.0, abs=1e-18)
    if undetermined:  # fixing all but one of what varies together determines the last, where they do so in one way
        fixed = dict.fromkeys(undetermined[:-1], -3.0)
        again = regression(samples, fixed=fixed)
        assert again.undetermined == () and again.energies[undetermined[-1]] == pytest.approx(-3.0)


def random_samples(count: int) -> Iterator[CompositionEnergy]:
    """One after another, elements turning up late; energies of known references and noise."""
    rng = np.random.default_rng(0)
    for place in range(count):
        elements = ["Cu", "Ni", "Au", "O", "H"][: 2 + 4 * place // count]
        composition = {e: int(n) for e, n in zip(elements, rng.integers(0, 9, len(elements)), strict=True)}
        composition["Cu"] += 1
        energy = sum(n * -(1.0 + len(e) + ord(e[0]) / 7) for e, n in composition.items())
        yield composition, energy + rng.normal()


@pytest.mark.parametrize("weighting", ["total", "per_atom"])
def test_one_pass_finds_what_a_matrix_of_all_rows_does(weighting):
    samples = list(random_samples(1500))
    elements = sorted({e for c, _ in samples for e in c})
    matrix = np.array([[c.get(e, 0) for e in elements] for c, _ in samples], float)
    energies = np.array([energy for _, energy in samples])
    scale = 1.0 if weighting == "total" else 1.0 / matrix.sum(1)
    expected, residual, *_ = np.linalg.lstsq((matrix.T * scale).T, energies * scale, rcond=None)
    found = regression(iter(samples), weighting=weighting)
    assert [found.energies[e] for e in elements] == pytest.approx(expected.tolist(), rel=1e-11)
    assert found.facts["residual_sum_squares"] == pytest.approx(float(residual[0]), rel=1e-11)


def test_memory_does_not_grow_with_the_number_of_rows():
    def peak(count: int) -> int:
        fit = CompositionFit()
        tracemalloc.start()
        for composition, energy in random_samples(count):
            fit.add(composition, energy)
        fit.solve({})
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    assert peak(6000) < 1.2 * peak(1500)


def test_a_random_part_is_seeded_and_of_the_size_asked_for():
    samples = list(random_samples(300))
    twice = [regression(samples, subset=Subset(size=50, seed=3)).energies for _ in range(2)]
    assert twice[0] == twice[1] != regression(samples, subset=Subset(size=50, seed=4)).energies
    share = regression(samples, subset=Subset(fraction=0.1, seed=3)).facts
    assert (share["samples"], share["samples_used"]) == (300, 30)


@pytest.mark.parametrize(
    ("samples", "options", "error", "said"),
    [
        ([({"H": True}, 1.0)], {}, DataError, "True atoms of H"),
        ([({"H": 1.5}, 1.0)], {}, DataError, "1.5 atoms of H"),
        ([({"H": 0}, 1.0)], {}, DataError, "no atoms"),
        ([({"H": 1}, float("nan"))], {}, DataError, "the energy of H is nan"),
        ([], {}, DataError, "no composition with an energy"),
        (WATER, {"fixed": {"C": 1.0}}, DataError, "fixed energies name C"),
        (WATER, {"subset": Subset(size=9)}, DataError, "subset of 9 samples was asked for; there are 3"),
        (WATER, {"subset": Subset(size=1, fraction=0.5)}, ConfigError, "both a size and a fraction"),
        (iter(WATER), {"subset": Subset(fraction=0.5)}, ConfigError, "whose number is known"),
    ],
)
def test_what_cannot_be_fitted_is_refused(samples, options, error, said):
    with pytest.raises(error, match=said):
        regression(samples, **options)


@pytest.mark.parametrize(
    ("compounds", "said"),
    [
        (["H2", "H4O2"], "composition of reference compound H4O2"),
        (["H2", {"H": 2}], "H2 is named twice"),
        (["Ti(OH)2"], "no formula"),
        (["Xx2"], "no element Xx"),
    ],
)
def test_compounds_that_are_none(compounds, said):
    with pytest.raises(DataError, match=said):
        from_compounds(WATER, compounds)

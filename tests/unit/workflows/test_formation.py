"""Formation energies and hulls equal what arithmetic and qhull say."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from scipy.spatial import ConvexHull

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.reports.formation import hull_figure
from alignn_ff.workflows.formation import FormationSettings, run_formation
from alignn_ff.workflows.formation_hull import decomposition, fractions, hull_distances


def cubic(gold, a):
    """The four sites of an fcc cell with gold on some of them: L1_2, L1_0 and their reverse."""
    atoms = bulk("Cu", a=a, cubic=True)
    atoms.symbols[list(gold)] = "Au"
    return atoms


def copper_gold():
    found = [cubic((0,), 3.75), cubic((0, 1), 3.87), cubic((0, 1, 2), 3.98)]
    found[0].calc = EMT()
    return found


def relaxed_energy(atoms):
    atoms = atoms.copy()
    atoms.calc = EMT()
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3)
    return atoms.get_potential_energy() / len(atoms)


@pytest.fixture(scope="module")
def result():
    return run_formation(copper_gold(), FormationSettings(fmax=1e-3))


def test_copper_and_gold_equal_a_direct_computation(result):
    copper, gold = relaxed_energy(bulk("Cu")), relaxed_energy(bulk("Au"))
    assert result.references["element"].tolist() == ["Au", "Cu"]
    assert result.references["energy_ev_per_atom"] == pytest.approx([gold, copper], abs=1e-5)
    for atoms, phase, part in zip(copper_gold(), result.phases, (0.25, 0.5, 0.75), strict=True):
        expected = relaxed_energy(atoms) - part * gold - (1 - part) * copper
        assert phase.formation_energy_ev_per_atom == pytest.approx(expected, abs=1e-5)
    assert [phase.formula for phase in result.phases] == ["AuCu3", "AuCu", "Au3Cu"]
    assert result.converged and result.phases[0].space_group == "Pm-3m (221)"


def test_the_hull_is_that_of_qhull(result):
    gold = result.compositions[:, result.elements.index("Au")]
    energies = np.array([phase.formation_energy_ev_per_atom for phase in result.phases])
    points = np.array([(0, 0), (1, 0), *zip(gold, energies, strict=True)])
    lower = [simplex for simplex, equation in zip(*_hull(points), strict=True) if equation[1] < 0]
    for x, y, phase in zip(gold, energies, result.phases, strict=True):
        heights = []
        for simplex in lower:
            (x0, y0), (x1, y1) = sorted(points[simplex].tolist())
            if x0 <= x <= x1:
                heights.append(y0 + (y1 - y0) * (x - x0) / (x1 - x0))
        assert phase.above_hull_ev_per_atom == pytest.approx(y - min(heights), abs=1e-9)
    assert result.stable == sum(phase.above_hull_ev_per_atom == 0.0 for phase in result.phases) > 0


def _hull(points):
    hull = ConvexHull(points)
    return hull.simplices, hull.equations


def test_a_hull_by_hand():
    compositions = np.array([(1 - x, x) for x in (0.0, 1.0, 0.25, 0.5, 0.75)])
    distances, mixtures = hull_distances(compositions, np.array([0.0, 0.0, -0.05, -0.3, -0.1]))
    assert distances == pytest.approx([0.0, 0.0, 0.1, 0.0, 0.05])
    assert mixtures[2].parts == pytest.approx({0: 0.5, 3: 0.5})
    assert mixtures[4].parts == pytest.approx({1: 0.5, 3: 0.5})


def test_three_elements_fall_apart_into_three_phases():
    compositions = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0), (0, 0.5, 0.5)], dtype=float)
    energies = np.array([0.0, 0.0, 0.0, -0.4, -0.2])
    found = decomposition(np.array([0.4, 0.4, 0.2]), compositions, energies)
    assert found.parts == pytest.approx({3: 0.8, 2: 0.2}) and found.energy_ev_per_atom == pytest.approx(-0.32)


def test_the_origin_of_energies_does_not_matter():
    rng = np.random.default_rng(1)
    compositions = np.concatenate([np.eye(4), rng.dirichlet(np.ones(4), size=12)])
    energies = np.concatenate([np.zeros(4), -rng.random(12)])
    shifted = energies + compositions @ rng.normal(size=4) * 5.0
    one, other = hull_distances(compositions, energies)[0], hull_distances(compositions, shifted)[0]
    assert one == pytest.approx(other, abs=1e-8) and (one > 0).any() and (one >= 0).all()


def test_formulas_as_parts():
    assert fractions([{"O": 3, "Ti": 1, "Sr": 1}], ["O", "Sr", "Ti"]) == pytest.approx(np.array([[0.6, 0.2, 0.2]]))


def test_given_elements_compete_and_are_enough():
    body_centred, face_centred = bulk("Cu", "bcc", a=2.86), bulk("Cu", a=3.6)
    face_centred.calc = EMT()
    result = run_formation([face_centred, body_centred], FormationSettings(fmax=1e-3))
    assert result.references["structure"].tolist() == ["Fm-3m (225)"]
    fcc, bcc = result.phases
    assert fcc.formation_energy_ev_per_atom == pytest.approx(0.0, abs=1e-6)
    assert bcc.above_hull_ev_per_atom == pytest.approx(bcc.formation_energy_ev_per_atom) and not bcc.stable
    assert bcc.decomposes_into == "1 Cu"
    body_centred.calc = EMT()
    alone = run_formation([body_centred], FormationSettings(fmax=1e-3, known_elements=False))
    assert alone.phases[0].formation_energy_ev_per_atom == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(ConfigError, match="no reference structure of Au"):
        run_formation(copper_gold(), FormationSettings(known_elements=False))


def test_without_relaxation_structures_stay():
    strained = copper_gold()[0]
    strained.set_cell(strained.cell[:] * 1.02, scale_atoms=True)
    kept = run_formation([strained], FormationSettings(relax=False))
    assert np.array_equal(kept.relaxed[0].cell[:], strained.cell[:]) and kept.converged
    moved = run_formation([strained])
    assert moved.phases[0].formation_energy_ev_per_atom < kept.phases[0].formation_energy_ev_per_atom - 0.005


def test_what_does_not_relax_is_told(caplog):
    strained = copper_gold()[0]
    strained.set_cell(strained.cell[:] * 1.05, scale_atoms=True)
    with caplog.at_level(logging.WARNING):
        result = run_formation([strained], FormationSettings(relax_steps=1, fmax=1e-5))
    assert result.outcome == "not converged" and "AuCu3" in caplog.text and "did not relax" in caplog.text


def test_nothing_has_no_formation_energy():
    with pytest.raises(StructureError, match="no structure was given"):
        run_formation([])
    with pytest.raises(ConfigError, match="no calculator"):
        run_formation([bulk("Cu")])


def test_files_hold_the_result(tmp_path):
    result = run_formation(copper_gold(), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("formation.json", "formation.png", "relaxed.extxyz", "phases.csv", "references.csv"),
        "relaxations.jsonl",
    }
    stored = json.loads((tmp_path / "formation.json").read_text())
    assert stored["phases"][1]["formula"] == "AuCu"
    assert stored["phases"][1]["formation_energy_ev_per_atom"] == result.phases[1].formation_energy_ev_per_atom
    assert (tmp_path / "phases.csv").read_text().splitlines()[0].endswith("x_Au,x_Cu")
    assert isinstance(result.atoms, Atoms)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_figures_of_any_number_of_elements(count):
    elements = ["Al", "Cu", "Ni", "Au"][:count]
    compositions = np.concatenate([np.eye(count), np.full((1, count), 1.0 / count)])
    energies = np.array([*np.zeros(count), -0.1])
    phases = {
        "formula": np.array([*elements, "mix"]),
        "formation_energy_ev_per_atom": energies,
        "above_hull_ev_per_atom": np.zeros(count + 1),
        "stable": np.full(count + 1, True),
    }
    axes = hull_figure(elements, compositions, phases).axes
    assert len(axes) == (2 if count == 3 else 1)
    if count == 2:
        assert axes[0].lines[0].get_xydata().tolist() == [[0.0, 0.0], [0.5, -0.1], [1.0, 0.0]]

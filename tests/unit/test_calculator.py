"""The ASE calculator: caching, errors, batching, precision; physics of the potentials is tested elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.calculator import PropertyNotImplementedError, get_calculator_class

from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.errors import ConfigError, ModelNotFoundError, StructureError, UnknownElementError
from alignn_ff.models import Sum, build
from alignn_ff.neighbors.skin import SkinList

ELEMENTS = ["Al", "Cu", "O", "H"]


@pytest.fixture(scope="module")
def potential() -> Sum:
    torch.manual_seed(0)
    return Sum(
        [
            build({"name": "reference_energies", "elements": ELEMENTS, "energies": [-3.0, -4.0, -2.0, -1.0]}),
            build({"name": "alignn_smooth", "elements": ELEMENTS, "energy_scale": [1.0] * 4, "hidden_features": 16}),
            build({"name": "zbl", "elements": ELEMENTS}),
        ]
    ).to(torch.float64)


def rattled(seed: int = 0) -> Atoms:
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.symbols[::5] = "Al"
    atoms.rattle(0.1, seed=seed)
    return atoms


def test_all_properties_have_ase_shapes_and_agree(potential):
    atoms = rattled()
    atoms.calc = AlignnFFCalculator(potential)
    assert atoms.get_forces().shape == (len(atoms), 3)
    assert atoms.get_stress().shape == (6,)
    energies = atoms.get_potential_energies()
    assert energies.sum() == pytest.approx(atoms.get_potential_energy(), abs=1e-10)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert isinstance(atoms.get_potential_energy(), float)


def test_one_evaluation_serves_every_property_until_something_moves(potential, monkeypatch):
    calls = count_predictions(monkeypatch)
    atoms = rattled()
    atoms.calc = AlignnFFCalculator(potential)
    atoms.get_forces(), atoms.get_stress(), atoms.get_potential_energy()
    assert len(calls) == 1
    atoms.set_initial_magnetic_moments(np.ones(len(atoms)))
    atoms.get_potential_energy()
    assert len(calls) == 1, "magnetic moments do not enter the energy"
    atoms.positions[0, 0] += 1e-3
    atoms.get_forces()
    assert len(calls) == 2


@pytest.mark.parametrize("change", ["positions", "numbers", "cell", "pbc"])
def test_every_change_that_matters_is_seen(potential, change):
    atoms = rattled()
    atoms.calc = AlignnFFCalculator(potential)
    before = atoms.get_potential_energy()
    if change == "positions":
        atoms.positions[3] += [0.2, 0.0, 0.1]
    elif change == "numbers":
        atoms.numbers[0] = 13 if atoms.numbers[0] == 29 else 29
    elif change == "cell":
        atoms.set_cell(atoms.cell * 1.01)
    else:
        atoms.pbc = (True, True, False)
    fresh = atoms.copy()
    fresh.calc = AlignnFFCalculator(potential, skin=0.0)
    assert atoms.get_potential_energy() == pytest.approx(fresh.get_potential_energy(), abs=1e-10)
    assert abs(atoms.get_potential_energy() - before) > 1e-6


def test_atoms_are_never_changed(potential):
    atoms = rattled()
    atoms.positions += [20.0, -30.0, 7.0]  # outside the cell
    before = atoms.copy()
    atoms.calc = AlignnFFCalculator(potential)
    atoms.get_forces()
    assert np.array_equal(atoms.positions, before.positions) and np.array_equal(atoms.cell, before.cell)
    assert set(atoms.arrays) == set(before.arrays) and atoms.info == before.info


def test_skin_gives_the_results_of_fresh_neighbours_along_a_walk_with_a_breathing_box(potential):
    rng = np.random.default_rng(1)
    atoms = rattled()
    reused, fresh = AlignnFFCalculator(potential, skin=0.6), AlignnFFCalculator(potential, skin=0.0)
    for _ in range(25):
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.002, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.03, atoms.positions.shape)
        reused.calculate(atoms), fresh.calculate(atoms)
        assert np.allclose(reused.results["forces"], fresh.results["forces"], atol=1e-10)
        assert np.allclose(reused.results["stress"], fresh.results["stress"], atol=1e-12)
    assert 1 < reused._neighbors.rebuilds < 25 == fresh._neighbors.rebuilds


def test_skin_notices_an_atom_that_jumps_by_a_lattice_vector(potential):
    atoms = rattled()
    atoms.calc = AlignnFFCalculator(potential)
    before = atoms.get_potential_energy()
    atoms.positions[5] += atoms.cell[0]
    assert atoms.get_potential_energy() == pytest.approx(before, abs=1e-10)


def test_molecule_has_no_stress_but_the_rest(potential):
    atoms = molecule("H2O")
    atoms.calc = AlignnFFCalculator(potential)
    assert np.isfinite(atoms.get_forces()).all()
    with pytest.raises(PropertyNotImplementedError, match="volume"):
        atoms.get_stress()


def test_batch_equals_single_for_mixed_structures(potential):
    structures = [rattled(), molecule("H2O"), bulk("Al"), fcc111("Cu", (2, 2, 2), vacuum=5.0), Atoms("O")]
    calculator = AlignnFFCalculator(potential)
    for batch_edges in (50, 200_000):
        together = calculator.evaluate(structures, batch_edges=batch_edges)
        for atoms, results in zip(structures, together, strict=True):
            alone = AlignnFFCalculator(potential)
            alone.calculate(atoms)
            assert results.keys() == alone.results.keys()
            for key in results:
                assert np.allclose(results[key], alone.results[key], atol=1e-9), key


@pytest.fixture
def set_threads():
    """Sets the threads of torch until the end of the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3])
def test_batch_packs_many_structures_into_few_graphs_one_a_thread_at_least(
    potential, monkeypatch, set_threads, threads
):
    calls = count_predictions(monkeypatch)
    structures = [rattled(seed) for seed in range(6)]
    set_threads(threads)
    AlignnFFCalculator(potential).evaluate(structures)
    assert calls == [len(structures[0]) * 6 // threads] * threads


def test_displaced_supercells_have_the_same_forces_in_batches_as_one_after_the_other(set_threads):
    """Of the embedded model in its own single precision."""
    cells = [bulk("Si", a=5.469, cubic=True) * 2 for _ in range(4)]
    for place, atoms in enumerate(cells):
        atoms.positions[place, place % 3] += 0.01
    set_threads(2)
    calculator = AlignnFFCalculator(domain_check=False)
    assert calculator.provenance["dtype"] == "float32"
    for atoms, results in zip(cells, calculator.evaluate(cells), strict=True):
        calculator.calculate(atoms)
        assert results["forces"] == pytest.approx(calculator.results["forces"], abs=5e-7)
        assert abs(results["forces"]).max() > 0.05


def test_packs_side_by_side_equal_serial_ones(potential, set_threads):
    """Each pack by itself is the same work; who does it, and when, makes no difference to the last bit."""
    structures = [rattled(seed) for seed in range(5)] + [molecule("H2O"), bulk("Al")]
    calculator = AlignnFFCalculator(potential)
    set_threads(1)
    serial = calculator.evaluate(structures, batch_edges=1)
    set_threads(3)
    for results, alone in zip(calculator.evaluate(structures, batch_edges=1), serial, strict=True):
        assert results["energy"] == alone["energy"] and np.array_equal(results["forces"], alone["forces"])
    assert torch.get_num_threads() == 3


def test_what_is_wrong_with_one_structure_is_said_side_by_side_too(potential, set_threads):
    set_threads(3)
    structures = [rattled(seed) for seed in range(5)]
    with pytest.raises(UnknownElementError, match="structure 3"):
        AlignnFFCalculator(potential).evaluate([*structures[:3], bulk("Fe"), *structures])
    assert torch.get_num_threads() == 3


def test_float32_is_near_float64_and_the_callers_potential_stays_as_it_is(potential):
    atoms = rattled()
    exact, single = AlignnFFCalculator(potential), AlignnFFCalculator(potential, dtype="float32")
    exact.calculate(atoms), single.calculate(atoms)
    assert np.abs(exact.results["forces"] - single.results["forces"]).max() < 1e-3
    assert exact.results["energy"] != single.results["energy"]
    assert potential.dtype == torch.float64
    assert all(p.requires_grad for p in potential.parameters())


def test_embedded_model_and_its_provenance():
    calculator = AlignnFFCalculator()
    atoms = bulk("Si")
    atoms.calc = calculator
    assert np.isfinite(atoms.get_potential_energy())
    assert len(calculator.provenance["sha256"]) == 64


def test_ase_finds_the_calculator_by_name():
    assert get_calculator_class("alignn_ff") is AlignnFFCalculator


def test_unknown_element_is_named(potential):
    atoms = bulk("Fe")
    atoms.calc = AlignnFFCalculator(potential)
    with pytest.raises(UnknownElementError, match=r"knows Al Cu O H; the structure has Fe \(atoms 0\)"):
        atoms.get_potential_energy()
    with pytest.raises(UnknownElementError, match="structure 1 has Fe"):
        AlignnFFCalculator(potential).evaluate([bulk("Cu"), bulk("Fe")])


def test_positions_that_are_not_finite_are_refused(potential):
    atoms = rattled()
    atoms.positions[2, 1] = np.nan
    atoms.calc = AlignnFFCalculator(potential)
    with pytest.raises(StructureError, match="atoms 2 are not finite"):
        atoms.get_forces()


def test_overlapping_atoms_are_refused(potential):
    atoms = rattled()
    atoms.positions[1] = atoms.positions[0] + [0.1, 0.0, 0.0]
    atoms.calc = AlignnFFCalculator(potential)
    with pytest.raises(StructureError, match=r"0\.100 Å apart"):
        atoms.get_forces()


def test_atoms_on_top_of_each_other_are_refused(potential):
    atoms = rattled()
    atoms.positions[1] = atoms.positions[0]
    atoms.calc = AlignnFFCalculator(potential)
    with pytest.raises(StructureError, match=r"0\.000 Å apart"):
        atoms.get_forces()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"model": "no-such-model"}, ModelNotFoundError),
        ({"model": "nowhere/model.safetensors"}, ModelNotFoundError),
        ({"dtype": "float16"}, ConfigError),
        ({"device": "abacus"}, ConfigError),
        ({"skin": -1.0}, ConfigError),
    ],
)
def test_bad_arguments_are_refused(arguments, error):
    with pytest.raises(error):
        AlignnFFCalculator(**arguments)


def test_skin_list_alone_counts_its_searches(potential):
    from alignn_ff.io import from_ase
    from alignn_ff.neighbors import connect

    neighbors = SkinList(4.0, skin=0.5)
    atoms = rattled()
    for step in range(5):
        atoms.positions[:, 0] += 0.01 * step  # a rigid shift leaves every pair as it was, but moves atoms
        graph = neighbors.connect(from_ase(atoms))
        assert len(graph.edge_src) == len(connect(from_ase(atoms), 4.0).edge_src)
    assert neighbors.rebuilds == 1


def count_predictions(monkeypatch) -> list[int]:
    calls: list[int] = []
    original = AlignnFFCalculator._predict

    def counted(self, graph):
        calls.append(len(graph.numbers))
        return original(self, graph)

    monkeypatch.setattr(AlignnFFCalculator, "_predict", counted)
    return calls


def test_a_reset_leaves_no_trace_of_the_past(potential):
    """Neighbours found long ago come in another order, and sums end in other digits."""
    atoms, rng = rattled(), np.random.default_rng(1)
    atoms.calc = calc = AlignnFFCalculator(potential, dtype="float32", skin=1.0)
    for _ in range(4):
        atoms.get_forces()
        atoms.positions += 0.02 * rng.standard_normal((len(atoms), 3))
    calc.reset()
    again = atoms.copy()
    again.calc = AlignnFFCalculator(potential, dtype="float32", skin=1.0)
    assert np.array_equal(atoms.get_forces(), again.get_forces())
    assert atoms.get_potential_energy() == again.get_potential_energy()

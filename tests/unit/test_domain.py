"""What a model was trained on: its own structures pass, foreign ones are named, and nothing is said twice."""

from __future__ import annotations

import json
import logging
import math
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.cluster import Octahedron
from ase.io import write

from alignn_ff.calculator import AlignnFFCalculator, guard
from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.domain import Domain, Finding, Limits, from_facts, measure, outside
from alignn_ff.domain.quantities import filled, quantities
from alignn_ff.errors import CheckpointError, DomainWarning, OutputExistsError, UnknownElementError
from alignn_ff.graph import AtomGraph, concat
from alignn_ff.io import from_ase
from alignn_ff.models import Potential, Sum, build
from alignn_ff.neighbors import connect
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig
from alignn_ff.training.domain import add_domain
from alignn_ff.training.prepare import prepare
from tests.reference.record_format1 import FOLDER as FORMAT1
from tests.structures import SMALL, ZOO

CUTOFF = 5.0


def thermal_copper(count: int = 40, seed: int = 0, amplitude: float = 0.1) -> list[Atoms]:
    """Bulk copper, rattled by `amplitude` Å, and strained by a few per cent."""
    rng = np.random.default_rng(seed)
    frames = []
    for _ in range(count):
        atoms = bulk("Cu", a=3.61, cubic=True) * (2, 1, 1)
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, amplitude, atoms.positions.shape)
        frames.append(atoms)
    return frames


def rock_salt(count: int) -> list[Atoms]:
    """Sodium chloride, rattled: like ions never come near each other."""
    frames = [bulk("NaCl", "rocksalt", a=5.64, cubic=True) for _ in range(count)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.1, seed=seed)
    return frames


def graph_of(atoms: Atoms) -> AtomGraph:
    return connect(from_ase(atoms), CUTOFF)


def trained_on(frames: list[Atoms]) -> Domain:
    return measure((graph_of(atoms) for atoms in frames), CUTOFF)


def report(domain: Domain, atoms: Atoms) -> dict[str, Finding]:
    """Findings by kind, which here are never two of one kind."""
    findings = outside(Limits(domain), graph_of(atoms))
    by_kind = {finding.kind: finding for finding in findings}
    assert len(by_kind) == len(findings)
    return by_kind


@pytest.fixture(scope="module")
def copper() -> Domain:
    return trained_on(thermal_copper())


def crystal() -> Atoms:
    return bulk("Cu", a=3.61, cubic=True) * 2


def scaled(factor: float) -> Atoms:
    atoms = crystal()
    atoms.set_cell(factor * atoms.cell, scale_atoms=True)
    return atoms


def collided() -> Atoms:
    atoms = crystal()
    atoms.positions[7] = atoms.positions[12] + [0.8, 0.0, 0.0]
    return atoms


# The definitions


def test_silicon_has_four_neighbours_and_a_molecule_its_bonds():
    assert quantities(graph_of(bulk("Si")), CUTOFF).coordination.tolist() == [4.0, 4.0]
    assert quantities(graph_of(molecule("CH4")), CUTOFF).coordination.tolist() == pytest.approx([4, 1, 1, 1, 1])


def test_coordination_falls_linearly_from_1_2_to_1_5_sums_of_radii():
    radius = 1.32  # Å, of Cu
    shares = []
    for ratio in (1.0, 1.19, 1.35, 1.44, 1.51):
        pair = Atoms("Cu2", positions=[[0, 0, 0], [2 * radius * ratio, 0, 0]])
        shares.append(float(quantities(graph_of(pair), CUTOFF).coordination[0]))
    assert shares == pytest.approx([1.0, 1.0, 0.5, 0.2, 0.0], abs=1e-9)


def test_relative_volume_is_that_of_touching_spheres():
    touching = Atoms("Cu", cell=[2 * 1.32] * 3, pbc=True)  # simple cubic spheres fill π/6 of space
    assert float(quantities(graph_of(touching), CUTOFF).volume) == pytest.approx(6 / math.pi)


@pytest.mark.parametrize("name", SMALL)
def test_quantities_do_not_depend_on_how_a_structure_is_written(name):
    atoms = SMALL[name]()
    moved = atoms.copy()
    moved.positions += [11.3, -7.1, 5.9]
    moved.positions += np.random.default_rng(0).integers(-2, 3, atoms.positions.shape) * atoms.pbc @ atoms.cell.array
    moved.rotate(33.0, (1.0, -2.0, 0.4), rotate_cell=True)
    one, other = graph_of(atoms), graph_of(moved)
    for field, value in quantities(one, CUTOFF)._asdict().items():
        again = getattr(quantities(other, CUTOFF), field)
        if len(value) == len(one.edge_src):
            value, again = value.sort().values, again.sort().values  # edges come in another order
        assert torch.allclose(value.double(), again.double(), atol=1e-8, equal_nan=True), field
    assert torch.equal(filled(one, CUTOFF), filled(other, CUTOFF))


def test_vacuum_is_a_gap_wider_than_the_cutoff():
    wide = fcc111("Cu", (2, 2, 3), vacuum=CUTOFF / 2 + 0.1, periodic=True)
    narrow = fcc111("Cu", (2, 2, 3), vacuum=CUTOFF / 2 - 0.1, periodic=True)
    wide.positions += 0.5 * wide.cell[2]  # the vacuum in the middle, atoms on both sides of the face
    wide.wrap()
    assert not filled(graph_of(wide), CUTOFF).item() and filled(graph_of(narrow), CUTOFF).item()
    assert trained_on([wide]).volume == {}, "a slab's cell says nothing of the density of matter"
    assert trained_on([narrow]).volume.keys() == {"Cu"}


# What was trained on passes


@pytest.mark.parametrize("frames", [thermal_copper(), rock_salt(40), [build_one() for build_one in ZOO.values()]])
@pytest.mark.parametrize("repeat", [1, 40])
def test_every_training_structure_passes_by_construction(frames, repeat):
    graphs = [graph_of(atoms) for atoms in frames]
    limits = Limits(measure(graphs * repeat, CUTOFF))  # repeated, so that pairs and sets of elements have their own
    assert [outside(limits, graph) for graph in graphs] == [[]] * len(graphs)
    assert outside(limits, concat(graphs)) == []


def test_what_is_like_the_training_structures_passes(copper):
    assert not any(report(copper, atoms) for atoms in thermal_copper(40, seed=1))
    assert not report(copper, crystal())


def test_measuring_batches_is_measuring_structures():
    graphs = [graph_of(build_one()) for build_one in SMALL.values()] * 35
    assert measure([concat(graphs[:20]), concat(graphs[20:])], CUTOFF) == measure(graphs, CUTOFF)


# What is foreign is named


def test_compressed_crystal_is_strained(copper):
    findings = report(copper, scaled(0.8))
    assert {"strain", "coordination"} <= findings.keys()
    strain = findings["strain"]
    assert strain.value == pytest.approx(0.8**3 * 3.61**3 / 4)
    volumes = [atoms.get_volume() / len(atoms) for atoms in thermal_copper()]
    assert strain.trained == pytest.approx((min(volumes), max(volumes)), rel=2e-3)
    assert strain.atoms == () and "6.02 Å³ per atom" in strain.message and "structures of Cu" in strain.message


def test_swollen_crystal_is_strained(copper):
    assert report(copper, scaled(1.2)).keys() >= {"strain"}


def test_vapour_has_too_few_neighbours(copper):
    findings = report(copper, scaled(3.0))
    assert findings.keys() == {"coordination"}, "the volume of a cell full of gaps is nobody's strain"
    assert findings["coordination"].value == 0.0
    assert len(findings["coordination"].atoms) == 32 and "… 32 in all" in findings["coordination"].message
    assert report(copper, Atoms("Cu"))["coordination"].atoms == (0,)


def test_two_atoms_that_collided_are_named(copper):
    finding = report(copper, collided())["closest pair"]
    assert finding.atoms[:2] == (7, 12) and finding.value == pytest.approx(0.8)
    assert "Cu and Cu 0.80 Å apart (atoms 7, 12" in finding.message
    closest = min(atoms.get_all_distances(mic=True)[np.triu_indices(8, 1)].min() for atoms in thermal_copper())
    assert finding.trained == pytest.approx((closest, math.inf), abs=1e-3)


def test_surface_is_foreign_to_bulk_and_its_atoms_are_named(copper):
    slab = fcc111("Cu", (3, 3, 4), a=3.61, vacuum=8.0, periodic=True)
    findings = report(copper, slab)
    assert findings.keys() == {"coordination"}
    outer = np.flatnonzero((slab.positions[:, 2] < 8.1) | (slab.positions[:, 2] > slab.positions[:, 2].max() - 0.1))
    assert sorted(findings["coordination"].atoms) == outer.tolist()


def test_cluster_is_foreign_to_bulk_apart_from_its_core(copper):
    cluster = Octahedron("Cu", 5, 1)
    findings = report(copper, cluster)
    assert findings.keys() == {"coordination"}
    core = np.argmin(np.linalg.norm(cluster.positions - cluster.positions.mean(0), axis=1))
    assert core not in findings["coordination"].atoms


def test_shear_without_a_change_of_volume_is_seen_by_the_bonds_it_shortens():
    atoms, copper = crystal(), trained_on(thermal_copper(amplitude=0.04))
    atoms.set_cell(atoms.cell.array @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), scale_atoms=True)
    assert report(copper, atoms).keys() == {"closest pair"}


def test_like_ions_that_come_near_are_foreign_though_unlike_ones_were_nearer():
    atoms = bulk("NaCl", "rocksalt", a=5.64, cubic=True)
    first, second = np.flatnonzero(atoms.symbols == "Cl")[:2]
    atoms.positions[second] = atoms.positions[first] + 2.4 * np.array([1.0, 1.0, 1.0]) / np.sqrt(3)
    graph = graph_of(atoms)
    often, seldom = (outside(Limits(trained_on(rock_salt(n))), graph) for n in (40, 10))
    chlorine = [f for f in often if f.kind == "closest pair" and "Cl and Cl 2.40 Å" in f.message]
    assert chlorine and chlorine[0].trained[0] > 3.0
    assert not any("Cl and Cl" in f.message for f in seldom), "ten structures do not make a minimum"


def test_a_pair_seldom_seen_is_judged_by_its_elements_other_neighbours():
    domain = trained_on([bulk("Cu", a=3.61), bulk("Ni", a=3.52)])
    assert domain.closest == {} and domain.volumes == {}
    finding = report(domain, collided())["closest pair"]
    assert finding.trained[0] == pytest.approx(3.61 / np.sqrt(2), abs=2e-3)
    assert "judged by how close other elements came" in finding.message


def test_elements_that_never_met_are_a_new_pair():
    domain = trained_on([*thermal_copper(), bulk("Ni", a=3.52)])
    atoms = crystal()
    atoms.symbols[3] = "Ni"
    finding = report(domain, atoms)["new pair"]
    assert "Ni and Cu" in finding.message or "Cu and Ni" in finding.message
    assert 3 in finding.atoms and "never within 5 Å" in finding.message
    assert "new pair" not in report(domain, bulk("Ni", a=3.52))


def test_an_element_that_met_many_others_is_thought_to_mix():
    partners = ["Ag", "Al", "Au", "Co", "Fe", "Mn", "Pd", "Pt", "Rh", "Zn"]
    for count, new in ((9, True), (10, False)):
        # Cu and Ni each met `count` others, but not each other
        frames = [bulk(f"{a}{b}", "cesiumchloride", a=2.95) for a in ("Cu", "Ni") for b in partners[:count]]
        assert ("new pair" in report(trained_on(frames), bulk("CuNi", "cesiumchloride", a=2.95))) is new


def test_density_is_judged_by_element_where_a_composition_is_new():
    domain = trained_on([bulk("AlCu", "cesiumchloride", a=a) for a in (2.9, 3.0, 3.1)])
    (finding,) = (
        f
        for f in outside(Limits(domain), graph_of(bulk("AlCu", "cesiumchloride", a=2.5)))
        if f.kind in ("density", "strain")
    )
    assert finding.kind == "density"
    assert finding.value == pytest.approx(2.5**3 / 2) and finding.trained[0] == pytest.approx(2.9**3 / 2, rel=2e-3)
    assert "fewer than 30 training structures are of just Al Cu" in finding.message


def test_findings_in_a_batch_are_those_of_each_structure(copper):
    structures = [crystal(), collided(), scaled(0.8), fcc111("Cu", (2, 2, 3), vacuum=6.0), Atoms("Cu"), scaled(3.0)]
    alone = [
        finding._replace(structure=place)
        for place, atoms in enumerate(structures)
        for finding in outside(Limits(copper), graph_of(atoms))
    ]
    together = outside(Limits(copper), concat([graph_of(atoms) for atoms in structures]))
    key = [(f.kind, f.structure, f.message, f.atoms, f.value, f.trained) for f in together]
    assert sorted(key) == sorted((f.kind, f.structure, f.message, f.atoms, f.value, f.trained) for f in alone)
    assert {f.structure for f in together} == {1, 2, 3, 4, 5}


# Facts


def test_facts_come_back_from_json(copper):
    facts = json.loads(json.dumps({"domain": copper.facts(), "licence": "MIT"}))
    assert from_facts(facts) == copper
    assert from_facts({"licence": "MIT"}) is None


@pytest.mark.parametrize("stated", [{}, {"cutoff": 5.0}, [], "all"])
def test_a_domain_of_another_form_is_refused(stated):
    with pytest.raises(CheckpointError, match="domain_check=False"):
        from_facts({"domain": stated})


# The calculator


@pytest.fixture(scope="module")
def potential() -> Potential:
    torch.manual_seed(0)
    elements = ["Cu", "Ni"]
    terms = [
        {"name": "reference_energies", "elements": elements, "energies": [-3.0, -4.0]},
        {"name": "alignn_smooth", "elements": elements, "energy_scale": [1.0, 1.0], "hidden_features": 8},
    ]
    return Sum([build(term) for term in terms]).to(torch.float64)


@pytest.fixture
def model(potential, copper, tmp_path) -> Path:
    save_checkpoint(tmp_path / "copper.safetensors", potential, {"domain": copper.facts()})
    return tmp_path / "copper.safetensors"


def said(evaluate) -> list[str]:
    """The domain warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        evaluate()
    return [str(w.message) for w in caught if w.category is DomainWarning]


def energy(calculator: AlignnFFCalculator, atoms: Atoms):
    return lambda: calculator.get_potential_energy(atoms)


def test_calculator_warns_once_a_kind_and_says_what_and_where(model):
    calculator = AlignnFFCalculator(model)
    assert said(energy(calculator, crystal())) == []
    (first,) = said(energy(calculator, fcc111("Cu", (2, 2, 4), a=3.61, vacuum=8.0)))
    assert "copper.safetensors" in first and "coordination: Cu with" in first and "(atoms" in first
    assert "domain_check=False" in first and "closest pair" not in first
    assert said(energy(calculator, Octahedron("Cu", 5, 1))) == [], "of coordination it has spoken"
    (second,) = said(energy(calculator, collided()))
    assert "closest pair: Cu and Cu 0.80 Å apart (atoms 7, 12" in second and "coordination" not in second
    assert said(energy(calculator, scaled(0.78)))[0].count("strain: ") == 1
    assert said(lambda: [energy(calculator, a)() for a in (scaled(0.8), collided(), Atoms("Cu"))]) == []


def test_another_calculator_speaks_for_itself(model):
    assert all(len(said(energy(AlignnFFCalculator(model), collided()))) == 1 for _ in range(2))


def test_evaluate_names_the_structure(model):
    structures = [crystal(), scaled(0.8), crystal(), collided()]
    for batch_edges in (100, 200_000):
        calculator = AlignnFFCalculator(model)
        text = " ".join(said(lambda: calculator.evaluate(structures, batch_edges=batch_edges)))  # noqa: B023
        names = [structures[place].get_chemical_formula() for place in (1, 3)]
        assert f"strain of structure 1, {names[0]}: " in text
        assert f"closest pair of structure 3, {names[1]}: " in text
        assert said(lambda: calculator.evaluate(structures)) == []  # noqa: B023


def test_silent_when_told_so(model):
    calculator = AlignnFFCalculator(model, domain_check=False)
    assert said(energy(calculator, collided())) == []
    assert said(lambda: calculator.evaluate([scaled(0.8)])) == []
    assert {f.kind for f in calculator.domain_report(collided())} >= {"closest pair"}, "but it answers when asked"


@pytest.mark.parametrize("nameless", [True, False])
def test_models_that_state_no_domain_are_silent_but_say_so_to_the_log(potential, nameless, caplog):
    caplog.set_level(logging.INFO, "alignn_ff")
    calculator = AlignnFFCalculator(potential if nameless else FORMAT1 / "model.safetensors")
    assert [r.levelname for r in caplog.records if "does not say what it was trained on" in r.getMessage()] == ["INFO"]
    assert said(energy(calculator, collided())) == []
    with pytest.raises(CheckpointError, match="does not say what it was trained on"):
        calculator.domain_report(crystal())


def test_results_are_the_same_with_and_without(model):
    for atoms in (crystal(), collided(), scaled(0.8)):
        checked, plain = AlignnFFCalculator(model), AlignnFFCalculator(model, domain_check=False)
        said(energy(checked, atoms)), plain.get_potential_energy(atoms)
        assert checked.results.keys() == plain.results.keys()
        assert all(np.array_equal(checked.results[key], plain.results[key]) for key in plain.results)


def test_report_is_what_the_warning_says(model):
    calculator = AlignnFFCalculator(model)
    (text,) = said(energy(calculator, scaled(0.8)))
    findings = calculator.domain_report(scaled(0.8))
    assert {"strain", "coordination"} <= {f.kind for f in findings}
    assert all(f"{f.kind}: {f.message}" in text for f in findings)
    assert calculator.domain_report(crystal()) == []


def test_along_a_trajectory_it_looks_after_rebuilds_and_now_and_then(model, monkeypatch):
    looks = []
    monkeypatch.setattr(guard, "outside", lambda limits, graph: looks.append(len(looks)) or [])
    calculator, atoms = AlignnFFCalculator(model), crystal()
    for step in range(101):
        atoms.positions[0, 0] += 1e-4
        calculator.get_potential_energy(atoms)
        assert len(looks) == 1 + step // 50
    atoms.positions[3] += [0.0, 0.4, 0.0]  # more than half the skin
    calculator.get_potential_energy(atoms)
    assert len(looks) == 4


def test_a_cell_that_swells_without_a_rebuild_is_noticed(model):
    calculator, atoms = AlignnFFCalculator(model), crystal()

    def swell() -> None:
        for _ in range(100):
            atoms.set_cell(atoms.cell * 1.002, scale_atoms=True)
            calculator.get_potential_energy(atoms)

    assert any("strain" in text for text in said(swell))
    assert calculator._neighbors.rebuilds == 1


# Training


@pytest.fixture
def run(tmp_path) -> TrainConfig:
    """Thirty-two frames of EMT copper, of which some are held back."""
    frames = thermal_copper(32)
    for atoms in frames:
        atoms.calc = EMT()
        labels = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **labels)
    write(tmp_path / "emt.extxyz", frames)
    fields = {
        "data": [str(tmp_path / "emt.extxyz")],
        "output_dir": str(tmp_path / "run"),
        "model": {"name": "alignn_smooth", "hidden_features": 8},
        "train_ratio": 0.8,
        "val_ratio": 0.2,
        "test_ratio": 0.0,
    }
    return parse(TrainConfig, fields, "config")


def test_training_states_what_its_training_part_spanned(run):
    prepared = prepare(run)
    cutoff, (train, val) = prepared.potential.cutoff, (prepared.train.samples, prepared.val.samples)
    assert from_facts(prepared.facts) == measure([connect(s.graph, cutoff) for s in train], cutoff)
    assert from_facts(prepared.facts) != measure([connect(s.graph, cutoff) for s in [*train, *val]], cutoff)


def test_domain_is_added_to_an_older_model(run, tmp_path):
    prepared = prepare(run)
    ids = {f"id_{part}": list(keys) for part, keys in prepared.split._asdict().items()}
    (tmp_path / "ids.json").write_text(json.dumps(ids))
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    save_checkpoint(old, prepared.potential, {"licence": "MIT"})
    add_domain(old, run.data, new, split_file=tmp_path / "ids.json")
    before, after = load_checkpoint(old), load_checkpoint(new)
    assert after.facts == {"licence": "MIT", "domain": prepared.facts["domain"]}
    assert before.potential.config == after.potential.config
    weights = after.potential.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in before.potential.state_dict().items())
    assert [f.kind for f in AlignnFFCalculator(new).domain_report(Atoms("Cu"))] == ["coordination"]
    with pytest.raises(OutputExistsError):
        add_domain(old, run.data, new)


def test_domain_of_other_data_is_refused(run, tmp_path):
    save_checkpoint(tmp_path / "al.safetensors", build({"name": "zbl", "elements": ["Al"]}))
    with pytest.raises(UnknownElementError, match="Cu"):
        add_domain(tmp_path / "al.safetensors", run.data, tmp_path / "new.safetensors")
    assert not (tmp_path / "new.safetensors").exists()

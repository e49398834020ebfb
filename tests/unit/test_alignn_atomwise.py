"""`alignn_atomwise` beyond the physics that every potential is held to: its two modes, its config, its graph."""

from __future__ import annotations

import sys
from typing import Any

import pytest
import torch
from ase import Atoms
from ase.build import bulk

from alignn_ff import testing
from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.evaluate import Want, evaluate
from alignn_ff.graph import AtomGraph, edge_vectors
from alignn_ff.io import from_ase
from alignn_ff.models import Potential, build
from alignn_ff.models.layers.attention import attend
from alignn_ff.models.layers.features import _jarvis_table, atom_features
from alignn_ff.models.ops import link
from alignn_ff.neighbors import connect
from tests.structures import ELEMENTS, SMALL
from tests.tolerances import DERIVATIVE, FLOAT64

SIZES = {
    "cutoff": 4.1, "three_body_cutoff": 3.1, "edge_input_features": 16, "triplet_input_features": 6,
    "embedding_features": 6, "hidden_features": 8, "alignn_layers": 1, "gcn_layers": 1,
}  # fmt: skip
STRATEGIES: dict[str, dict[str, Any]] = {
    "pure_torch": {},
    "capped": {"max_neighbors": 6},
    "fast_graph": {"neighbor_strategy": "fast_graph", "max_neighbors": 6},
    "torch_graph": {"neighbor_strategy": "torch_graph"},
    "radius_graph": {"neighbor_strategy": "radius_graph"},
    "k-nearest": {"neighbor_strategy": "k-nearest", "max_neighbors": 5},
    "k-nearest_twice": {"neighbor_strategy": "k-nearest", "max_neighbors": 5, "use_canonize": False},
    "smooth": {"name": "alignn_atomwise_pure_smooth"},
    "smooth_gaussians": {
        "name": "alignn_atomwise_pure_smooth", "radial_basis": "gaussian", "angular_basis": "cosine",
        "use_atomref": False, "smooth_cutoff_coeff": 0.0,
    },
    "few_angles": {"lighten_edges": True, "backtracking": False, "inner_cutoff": 3.4},
    "node_attention": {"conv_type": "n_alignn", "num_heads": 2},
    "self_attention": {"conv_type": "t_alignn", "max_neighbors": 6},
    "smooth_fixed": {
        "name": "alignn_atomwise_pure_smooth", "radial_learnable": False, "angular_learnable": False,
        "radial_cutoff": 4.1,
    },
}  # fmt: skip


def model(name: str = "alignn_atomwise", **fields: Any) -> Potential:
    torch.manual_seed(5)
    potential = build({"name": name, "elements": list(ELEMENTS), **SIZES, **fields}).to(torch.float64)
    with torch.no_grad():  # initial weights give energies that hardly know of distances
        for weight in potential.parameters():
            weight.mul_(3.0 if weight.ndim == 2 else 1.0)
    return potential


def legacy(**fields: Any) -> Potential:
    return model(mode="legacy", **fields)


def energies(potential: Potential, graph: AtomGraph, strain: torch.Tensor, moved: torch.Tensor) -> float:
    """Energy of a graph whose edges stay while it is strained and its atoms move."""
    deform = torch.eye(3, dtype=torch.float64) + strain
    graph = graph._replace(positions=(graph.positions + moved) @ deform, cell=graph.cell @ deform)
    return float(evaluate(potential, graph, want=Want.ENERGY).energy)


def slope(potential: Potential, graph: AtomGraph, strain: torch.Tensor, moved: torch.Tensor, step: float) -> float:
    there, back = (energies(potential, graph, k * step * strain, k * step * moved) for k in (1, -1))
    return (there - back) / (2 * step)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["alloy", "slab", "free_molecule"])
def test_legacy_forces_and_stress_are_derivatives_while_no_neighbour_changes(strategy, name):
    potential, atoms = legacy(**STRATEGIES[strategy]), SMALL[name]()
    graph = testing.build_graph(potential, atoms)
    found = evaluate(potential, graph)
    still, none = torch.zeros(3, 3, dtype=torch.float64), torch.zeros_like(graph.positions)
    scale = float(found.forces.abs().max())
    for atom, axis in ((0, 0), (1, 2)):
        moved = none.clone()
        moved[atom, axis] = 1.0
        assert slope(potential, graph, still, moved, 1e-5) == pytest.approx(
            -float(found.forces[atom, axis]), abs=DERIVATIVE * scale
        )
    if found.stress is None:
        return
    strain = still.clone()
    strain[0, 1] = strain[1, 0] = 0.5
    expected = float(found.stress[0, 0, 1]) * atoms.get_volume()
    scale = float(found.stress.abs().max()) * atoms.get_volume()
    assert slope(potential, graph, strain, none, 1e-5) == pytest.approx(expected, abs=DERIVATIVE * scale)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_legacy_batch_is_its_members(strategy):
    structures = [SMALL[name]() for name in ("alloy", "primitive_cell", "slab", "free_molecule", "rock_salt")]
    testing.check_batch(legacy(**STRATEGIES[strategy]), structures, limits=FLOAT64)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_legacy_survives_saving(strategy, tmp_path):
    testing.check_saved(legacy(**STRATEGIES[strategy]), SMALL["alloy"](), tmp_path)


def test_forces_miss_the_angles_where_upstream_fixed_them():
    whole, fixed = legacy(), legacy(lg_on_fly=False)
    one, other = (testing.predict(p, [SMALL["alloy"]()]) for p in (whole, fixed))
    assert torch.equal(one.energy, other.energy)
    assert float((one.forces - other.forces).abs().max()) > 0.01 * float(one.forces.abs().max())


def test_every_strategy_is_the_same_complete_graph_in_sound_mode():
    names = ("pure_torch", "torch_graph", "fast_graph", "radius_graph", "radius_graph_jarvis")
    found = [testing.predict(model(neighbor_strategy=name), [SMALL["slab"]()]).forces for name in names]
    assert all(torch.equal(forces, found[0]) for forces in found) and float(found[0].abs().max()) > 1e-3
    with pytest.raises(ConfigError, match="sound mode takes every neighbour"):
        model(neighbor_strategy="k-nearest", max_neighbors=12)


def test_legacy_claims_nothing_and_jumps_at_its_cutoffs():
    potential, pair = legacy(), Atoms("CuNi", positions=[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    assert not potential.claims and potential.receptive_field < float("inf")
    with pytest.raises(AssertionError, match="energy jump"):
        testing.check_smooth(potential, pair, potential.cutoff, limits=FLOAT64)
    with pytest.raises(AssertionError, match="energy jump"):
        testing.check_smooth(potential, SMALL["alloy"](), potential.angle_cutoff, limits=FLOAT64)


@pytest.mark.parametrize(("mode", "least", "most"), [("legacy", 0.0, 1e-5), ("sound", 1e-2, 10.0)])
def test_gates_that_cancel_are_blind_to_the_geometry_of_one_element(mode, least, most):
    """The deepest defect of the published form, and that the repaired form is free of it: eV/atom over 30 % strain."""
    crystals = [bulk("Cu", a=a) for a in (3.1, 3.6, 4.1)]
    energy = testing.predict(model(mode=mode), crystals).energy
    spread = float(energy.max() - energy.min())
    assert least <= spread <= most


@pytest.mark.parametrize(("mode", "ratio"), [("sound", 2.0), ("legacy", 1.0)])
def test_a_straight_chain_bends_without_a_kink(mode, ratio):
    """The sine of an angle has a cone where the chain is straight: its force tends to a constant, not to zero."""
    potential = model("alignn_atomwise_pure_smooth", mode=mode)
    chains = [Atoms("CuNiO", positions=[[0, 0, 0], [1.9, bend, 0], [3.6, 0, 0]]) for bend in (0.0006, 0.0012)]
    once, twice = testing.predict(potential, chains).forces[[1, 4], 1].abs().tolist()
    assert once > 0.0
    assert twice / once == pytest.approx(ratio, rel=0.1)


def test_energies_of_elements_are_told_once():
    name = "alignn_atomwise_pure_smooth"
    assert model(name, mode="legacy").config["use_atomref"]
    assert not model(name).config["use_atomref"]
    with pytest.raises(ConfigError, match="Set use_atomref to false"):
        model(name, use_atomref=True)


def test_energy_scale_multiplies_the_atoms_of_an_element():
    plain, scaled = model(), model(energy_scale=[float(k) for k in range(1, len(ELEMENTS) + 1)])
    atoms = SMALL["rock_salt"]()
    factor = torch.tensor([ELEMENTS.index(symbol) + 1.0 for symbol in atoms.symbols], dtype=torch.float64)
    one, other = (testing.predict(p, [atoms]).atom_energy for p in (plain, scaled))
    assert torch.allclose(other, factor * one, atol=1e-14)


def test_a_graph_of_other_angles_is_refused():
    potential = model()
    graph: AtomGraph = connect(from_ase(SMALL["alloy"]()), potential.cutoff, angle_cutoff=3.1)
    with pytest.raises(StructureError, match="wants"):
        evaluate(potential, graph)
    with pytest.raises(StructureError, match="wants"):
        evaluate(potential, graph._replace(angle_in=None, angle_out=None))


def counted(potential: Potential, atoms: Atoms) -> set[tuple[int, int]]:
    """Pairs of edges whose angles the network counts."""
    graph = testing.build_graph(potential, atoms)
    into, out, _ = potential._chains(graph, edge_vectors(graph))  # type: ignore[operator]
    return set(zip(into.tolist(), out.tolist(), strict=True))


@pytest.mark.parametrize("name", ["alloy", "primitive_cell", "slab", "free_molecule"])
def test_angles_that_lead_back_or_far_are_left_out(name):
    """Against the positions of the outer atoms: a way back ends where it began, in the same image."""
    atoms, fields = SMALL[name](), {"inner_cutoff": 3.4}
    every = counted(legacy(), atoms)
    vectors = edge_vectors(testing.build_graph(legacy(), atoms))
    span = {pair: float((vectors[pair[0]] + vectors[pair[1]]).norm()) for pair in every}
    back, near = ({pair for pair in every if span[pair] < reach} for reach in (1e-6, 3.4))
    assert back and back < near and (near < every or name == "free_molecule")
    assert counted(legacy(backtracking=False, **fields), atoms) == every - back
    assert counted(legacy(lighten_edges=True, **fields), atoms) == near
    assert counted(legacy(lighten_edges=True, backtracking=False, **fields), atoms) == near - back


def test_angles_between_far_atoms_fade_out_in_sound_mode_and_jump_in_legacy():
    fields = {"lighten_edges": True, "inner_cutoff": 3.4}
    pair = Atoms("CuONi", positions=[[0.0, 0.0, 0.0], [1.5, 1.2, 0.0], [2.7, 0.3, 0.4]])
    testing.check_smooth(model(**fields), pair, 3.4, limits=FLOAT64)
    with pytest.raises(AssertionError, match="energy jump"):
        testing.check_smooth(legacy(**fields), pair, 3.4, limits=FLOAT64)


@pytest.mark.parametrize(("mode", "jumps"), [("sound", False), ("legacy", True)])
@pytest.mark.parametrize("conv_type", ["n_alignn", "t_alignn"])
def test_attention_is_continuous_at_the_cutoff_in_sound_mode_alone(conv_type, mode, jumps):
    potential = model(mode=mode, conv_type=conv_type, num_heads=2)
    pair = Atoms("CuNiO", positions=[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [0.3, 1.9, 0.2]])
    if jumps:
        with pytest.raises(AssertionError, match="jump"):
            testing.check_smooth(potential, pair, potential.cutoff, limits=FLOAT64)
    else:
        testing.check_smooth(potential, pair, potential.cutoff, limits=FLOAT64)


@pytest.mark.parametrize("mode", ["sound", "legacy"])
@pytest.mark.parametrize("conv_type", ["n_alignn", "t_alignn"])
def test_attention_learns_from_forces(conv_type, mode):
    """Every weight but constants of the energy, and those of the last edges, which nothing reads."""
    potential = model(mode=mode, conv_type=conv_type, num_heads=2)
    prediction = evaluate(potential, testing.build_graph(potential, SMALL["alloy"]()), want=Want.TRAINING)
    assert prediction.forces is not None
    prediction.forces.square().sum().backward()
    deaf = {name for name, weight in potential.named_parameters() if weight.grad is None or not weight.grad.any()}
    last = ("edge_update.bn_edges.", "edge_update.fc_edge.", "gcn_layers.0.bn_edges.", "gcn_layers.0.fc_edge.")
    assert {name for name in deaf if not any(part in name for part in last)} <= {"fc.bias", "gcn_layers.0.fc_node.bias"}
    assert all(torch.isfinite(w.grad).all() for w in potential.parameters() if w.grad is not None)


@pytest.mark.parametrize("envelope", [None, torch.tensor([[1.0], [0.5], [1.0]], dtype=torch.float64)])
def test_shares_of_attention(envelope):
    """Two edges into the first node, one into the second: a softmax, or gates over one plus their sum."""
    where = link(torch.tensor([1, 2, 0]), torch.tensor([0, 0, 1]), 3, envelope)
    logits = torch.tensor([[0.3], [-0.2], [2000.0]], dtype=torch.float64)
    found = attend(logits, where, 3).squeeze(1)
    if envelope is None:
        expected = [*torch.softmax(logits[:2, 0], 0).tolist(), 1.0]
    else:
        gates = (envelope * logits.sigmoid()).squeeze(1)
        expected = [*(gates[:2] / (1 + gates[:2].sum())).tolist(), 0.5]
    assert found.tolist() == pytest.approx(expected, abs=2e-8)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"num_heads": 2}, "num_heads is for conv_type n_alignn"),
        ({"conv_type": "t_alignn", "num_heads": 5}, "multiple of num_heads"),
        ({"mode": "sound", "max_neighbors": 12}, "mode to legacy"),
        ({"mode": "sound", "neighbor_strategy": "k-nearest", "max_neighbors": 12}, "mode to legacy"),
        ({"mode": "sound", "lg_on_fly": False}, "lg_on_fly"),
        ({"mode": "legacy", "neighbor_strategy": "k-nearest"}, "needs max_neighbors"),
        ({"three_body_cutoff": 9.0}, "three_body_cutoff must not exceed cutoff"),
        ({"neighbor_strategy": "voronoi"}, "neighbor_strategy"),
        ({"atom_features": "cfd"}, "atom_features"),
        ({"hidden_featuers": 8}, "did you mean `hidden_features`"),
        ({"elements": ["Md"]}, "end at Fm"),
    ],
)
def test_what_cannot_be_honoured_is_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        build({"name": "alignn_atomwise", "elements": ["Cu"], **fields})


@pytest.mark.parametrize(
    ("number", "columns"),
    [
        (1, {1, 19, 30, 36, 46, 64, 73, 78, 86}),
        (6, {14, 20, 31, 38, 49, 63, 74, 79, 82}),
        (11, {1, 21, 27, 41, 46, 59, 73, 78, 87}),
        (14, {14, 21, 29, 40, 49, 61, 74, 79, 85}),
        (17, {17, 21, 33, 39, 52, 64, 77, 79, 87}),
        (26, {8, 22, 29, 40, 53, 61, 72, 80, 83}),
        (92, {0, 25, 29, 42, 47, 60, 81, 85}),
    ],
)
def test_cgcnn_features_are_the_published_ones(number, columns):
    table = atom_features("cgcnn")
    assert table.shape == (101, 92)
    assert set(torch.nonzero(table[number]).squeeze(1).tolist()) == columns


def test_atomic_numbers_are_their_own_feature():
    assert atom_features("atomic_number")[[1, 79]].tolist() == [[1.0], [79.0]]


def test_learnt_features_are_trained_and_begin_close_for_close_chemistry():
    table = atom_features("learnt")
    assert (table[11] - table[19]).norm() < (table[11] - table[17]).norm()  # Na is more like K than like Cl
    potential, atoms = model(atom_features="learnt"), SMALL["alloy"]()
    graph = testing.build_graph(potential, atoms)
    potential(graph, edge_vectors(graph)).energy.sum().backward()
    gradient = dict(potential.named_parameters())["features"].grad
    assert gradient is not None
    assert set(torch.nonzero(gradient.abs().sum(1)).squeeze(1).tolist()) == set(atoms.numbers.tolist())


@pytest.mark.parametrize(("name", "width"), [("basic", 11), ("cfid", 438)])
def test_features_of_jarvis(name, width):
    pytest.importorskip("jarvis.core.specie", reason="jarvis-tools is not installed: pip install alignn-ff[jarvis]")
    table = atom_features(name)
    assert table.shape == (104, width)
    assert torch.isfinite(table[1:95]).all() and not torch.equal(table[28], table[29])
    potential = model(atom_features=name)
    assert torch.isfinite(testing.predict(potential, [SMALL["alloy"]()]).forces).all()


@pytest.mark.parametrize("name", ["basic", "cfid"])
def test_features_of_jarvis_without_jarvis(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "jarvis.core.specie", None)
    _jarvis_table.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install alignn-ff\[jarvis\]"):
        build({"name": "alignn_atomwise", "elements": ["Cu"], "atom_features": name})

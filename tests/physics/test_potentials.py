"""The claims of every potential, over the zoo, in float64."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from alignn_ff import testing
from alignn_ff.evaluate import Want, evaluate
from alignn_ff.graph import concat, edge_vectors
from alignn_ff.models import Potential, Sum, build
from alignn_ff.models.alignn_smooth import AlignnSmooth
from alignn_ff.models.layers.mlp import Standardize
from alignn_ff.neighbors.vesin import find
from tests.conftest import CONFIGS, SMOOTH_CONFIGS, random_potential
from tests.structures import ELEMENTS, REFERENCE_ENERGIES, SMALL, ZOO
from tests.tolerances import CLOSE, FLOAT64, UNCALIBRATED

COMPOSED = [(name, True) for name in CONFIGS]
POTENTIALS = [*COMPOSED, ("default", False), ("line_graph", False), ("atomwise", False), ("ealignn", False)]

each_potential = pytest.mark.parametrize(("config", "composed"), POTENTIALS)
each_structure = pytest.mark.parametrize("name", SMALL)


@each_structure
@each_potential
def test_forces_are_minus_the_derivative_of_the_energy(config, composed, name):
    testing.check_forces(random_potential(config, composed=composed), SMALL[name](), limits=FLOAT64)


@each_structure
@each_potential
def test_stress_is_the_derivative_with_respect_to_strain(config, composed, name):
    testing.check_stress(random_potential(config, composed=composed), SMALL[name](), limits=FLOAT64)


@each_structure
@each_potential
def test_symmetries(config, composed, name):
    potential, atoms = random_potential(config, composed=composed), SMALL[name]()
    testing.check_net_force(potential, atoms, limits=FLOAT64)
    testing.check_translation(potential, atoms, limits=FLOAT64)
    testing.check_rotation(potential, atoms, limits=FLOAT64)
    testing.check_rotation(potential, atoms, improper=True, limits=FLOAT64)
    testing.check_permutation(potential, atoms, limits=FLOAT64)
    testing.check_lattice_shift(potential, atoms, limits=FLOAT64)


@each_structure
@each_potential
def test_supercells_are_extensive(config, composed, name):
    testing.check_supercell(random_potential(config, composed=composed), SMALL[name](), limits=FLOAT64)


@each_structure
@each_potential
def test_float32_is_near_float64(config, composed, name):
    testing.check_precision(random_potential(config, composed=composed), SMALL[name](), limits=FLOAT64)


@each_potential
def test_batch_equals_single(config, composed):
    structures = [build_one() for build_one in ZOO.values()]
    testing.check_batch(random_potential(config, composed=composed), structures, limits=FLOAT64)


def test_batch_without_any_volume_has_no_stress(potential):
    testing.check_batch(potential, [SMALL[name]() for name in ("free_molecule", "wire")], limits=FLOAT64)
    assert testing.predict(potential, [SMALL["wire"](), SMALL["slab_without_third_vector"]()]).stress is None


def test_unwrapped_atoms_have_the_energy_of_wrapped_ones(potential):
    pair = testing.predict(potential, [SMALL["unwrapped"](), SMALL["rock_salt"]()])
    assert abs(float(pair.energy[0] - pair.energy[1])) < CLOSE


@each_potential
def test_no_gradient_leaks_into_another_structure(config, composed):
    potential = random_potential(config, composed=composed)
    graph = concat([testing.build_graph(potential, SMALL[name]()) for name in ("alloy", "rock_salt", "alloy")])
    vectors = edge_vectors(graph).requires_grad_()
    energy = potential(graph, vectors).energy
    owner = graph.graph_index[graph.edge_dst]
    (gradient,) = torch.autograd.grad(energy[graph.graph_index == 1].sum(), vectors)
    assert not gradient[owner != 1].any()
    assert gradient[owner == 1].any()


@pytest.mark.parametrize(("config", "composed"), COMPOSED)
def test_isolated_atoms_have_their_reference_energy(config, composed):
    references = dict(zip(ELEMENTS, REFERENCE_ENERGIES, strict=True))
    testing.check_isolated_atoms(random_potential(config, composed=composed), references, limits=FLOAT64)


@each_potential
def test_far_fragments_add(config, composed):
    fragments = SMALL["free_molecule"](), Atoms("CuOH", positions=[[0, 0, 0], [1.8, 0, 0.2], [2.2, 0.9, 0]])
    testing.check_fragments(random_potential(config, composed=composed), *fragments, limits=FLOAT64)


@each_potential
def test_saving_and_loading_keeps_every_bit(config, composed, tmp_path):
    testing.check_saved(random_potential(config, composed=composed), SMALL["alloy"](), tmp_path)


@pytest.mark.parametrize("name", ["pair", "alloy", "rock_salt", "squeezed", "wire", "slab"])
@each_potential
def test_nothing_jumps_at_a_cutoff(config, composed, name):
    potential = random_potential(config, composed=composed)
    pair = Atoms("CuNi", positions=[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0]])
    atoms = pair if name == "pair" else SMALL[name]()
    testing.check_smooth(potential, atoms, potential.cutoff, limits=FLOAT64)
    if potential.angle_cutoff is not None and name != "wire":
        testing.check_smooth(potential, atoms, potential.angle_cutoff, limits=FLOAT64)


@pytest.mark.parametrize(("config", "composed"), COMPOSED)
def test_nothing_jumps_where_the_repulsion_ends(config, composed):
    zbl = build({"name": "zbl", "elements": ["Cu"]})
    testing.check_smooth(random_potential(config, composed=composed), SMALL["squeezed"](), zbl.cutoff, limits=FLOAT64)


@each_potential
def test_nothing_is_felt_beyond_the_receptive_field(config, composed):
    testing.check_receptive_field(random_potential(config, composed=composed), helix(), limits=FLOAT64)


@pytest.mark.parametrize(
    ("config", "cutoffs"), [("no_messages", 0.5), ("default", 1.5), ("gated_two_layers", 2.2), ("atomwise", 1.2)]
)
def test_messages_carry_beyond_the_cutoff(config, cutoffs):
    """Else the test above would pass for a potential that sees nothing."""
    potential, cluster = random_potential(config, composed=True), helix()
    energies = []
    for shift in (0.0, 0.3):
        cluster.positions[0, 0] += shift
        energies.append(testing.predict(potential, [cluster], want=Want.ENERGY).atom_energy.numpy())
    felt = np.abs(energies[1] - energies[0]) > FLOAT64.isolated
    distance = np.linalg.norm(cluster.positions - cluster.positions[0], axis=1)
    assert distance[felt].max() > cutoffs * potential.cutoff


def test_energy_alone_takes_no_derivative_and_says_the_same(potential):
    graph = testing.build_graph(potential, SMALL["alloy"]())
    alone = evaluate(potential, graph, want=Want.ENERGY)
    assert alone.forces is None and alone.stress is None and not alone.energy.requires_grad
    assert torch.equal(alone.energy, evaluate(potential, graph).energy)


def test_training_keeps_the_graph_of_forces_and_stress_to_the_weights(potential):
    graph = testing.build_graph(potential, SMALL["alloy"]())
    prediction = evaluate(potential, graph, want=Want.TRAINING)
    for value in (prediction.energy, prediction.forces, prediction.stress):
        gradients = torch.autograd.grad(
            value.square().sum(), list(potential.parameters()), retain_graph=True, allow_unused=True
        )
        assert any(g is not None and bool(g.any()) for g in gradients)


def test_an_edge_at_the_line_graph_cutoff_may_round_either_way():
    """Angles are found in float64; an edge that float32 rounds up to the cutoff must not lead them astray."""
    torch.manual_seed(1)
    potential = smooth(["Cu"], cutoff=4.0, line_graph_layers=1, line_graph_cutoff=3.5)
    atoms = bulk("Cu", "bcc", a=3.5 * (1 - 1e-12), cubic=True) * (2, 2, 2)
    atoms.positions[0] += [0.02, 0.01, -0.03]
    inside = testing.build_graph(potential, atoms)
    assert (edge_vectors(inside).norm(dim=1) < 3.5).sum() > (edge_vectors(inside).float().norm(dim=1) < 3.5).sum()
    testing.check_precision(potential, atoms, limits=UNCALIBRATED)


def test_sum_of_models_with_line_graphs_of_different_reach():
    terms = []
    for cutoff in (2.7, 3.4):
        torch.manual_seed(2)
        fields = {"hidden_features": 8, "line_graph_layers": 1, "line_graph_cutoff": cutoff, "cutoff": 4.0}
        terms.append(smooth(ELEMENTS, **fields))
    atoms = SMALL["alloy"]()
    alone = sum(testing.predict(term, [atoms]).forces for term in terms)
    assert torch.allclose(testing.predict(Sum(terms), [atoms]).forces, alone, atol=CLOSE)


def test_calibration_without_edges_in_the_line_graph_leaves_a_usable_model():
    torch.manual_seed(3)
    fields = {"line_graph_layers": 1, "line_graph_cutoff": 2.0, "cutoff": 4.0}
    potential = smooth(["Cu"], **fields)
    wide = testing.build_graph(potential, SMALL["primitive_cell"]())
    potential.calibrate(wide, edge_vectors(wide))
    close = Atoms("Cu3", positions=[[0, 0, 0], [1.8, 0, 0], [0, 1.8, 0]])
    assert torch.isfinite(testing.predict(potential, [close]).energy).all()


def test_a_large_structure_costs_no_accuracy(potential):
    atoms = ZOO["large"]()
    testing.check_net_force(potential, atoms, limits=FLOAT64._replace(symmetry=CLOSE))
    testing.check_forces(potential, atoms, components=1, limits=FLOAT64)


def test_edges_beyond_the_cutoff_change_nothing(potential):
    atoms = SMALL["alloy"]()
    exact = testing.build_graph(potential, atoms)
    more = find(exact.positions, exact.cell[0], exact.pbc[0], potential.cutoff + 1.0)
    wide = exact._replace(edge_src=more.src, edge_dst=more.dst, edge_shift=more.shift)
    assert len(wide.edge_src) > len(exact.edge_src)
    assert torch.allclose(evaluate(potential, wide).forces, evaluate(potential, exact).forces, atol=CLOSE)


def smooth(elements: Sequence[str], **fields: Any) -> Potential:
    """An uncalibrated `alignn_smooth` in float64."""
    config = {"name": "alignn_smooth", "elements": list(elements), "energy_scale": [1.0] * len(elements)}
    return build({**config, **fields}).to(torch.float64)


def helix(turns: int = 24) -> Atoms:
    """A free coil longer than any receptive field here."""
    place = np.arange(turns)
    positions = np.stack([1.2 * np.cos(2 * place), 1.2 * np.sin(2 * place), 1.2 * place], axis=1)
    return Atoms(["Cu", "Ni"] * (turns // 2), positions=positions)


@pytest.mark.parametrize("config", SMOOTH_CONFIGS)
def test_recalibrated_potential_computes_what_it_did_from_features_of_unit_scale(config):
    potential = deepcopy(random_potential(config))
    typical = concat([testing.build_graph(potential, build_one()) for build_one in SMALL.values()])
    with torch.no_grad():
        for weights in potential.parameters():
            weights *= 1.15  # as training may leave it
    structures = [SMALL[name]() for name in ("alloy", "slab", "free_molecule")]
    before = testing.predict(potential, structures)
    potential.recalibrate(typical, edge_vectors(typical))
    after = testing.predict(potential, structures)
    assert torch.allclose(before.energy, after.energy, rtol=CLOSE, atol=CLOSE)
    assert torch.allclose(before.forces, after.forces, rtol=CLOSE, atol=CLOSE)
    spreads: list[torch.Tensor] = []
    hooks = [
        module.register_forward_hook(lambda *seen: spreads.append(seen[2].std(0)))
        for module in potential.modules()
        if isinstance(module, Standardize)
    ]
    potential(typical, edge_vectors(typical))
    for hook in hooks:
        hook.remove()
    assert spreads and all(float((spread - 1).abs().median()) < 0.1 for spread in spreads)


@pytest.mark.parametrize("config", SMOOTH_CONFIGS)
def test_grown_network_is_the_same_function_and_all_of_it_can_learn(config):
    potential = deepcopy(random_potential(config))
    network = next(part for part in potential.modules() if isinstance(part, AlignnSmooth))
    before = network.settings
    more = {"gcn_layers": before.gcn_layers + 1, "hidden_features": before.hidden_features + 5}
    more |= {"density_channels": before.density_channels + 3}
    if before.message_features:
        more["message_features"] = before.message_features + 2
    grown = network.grown(**more)
    typical = concat([testing.build_graph(grown, build_one()) for build_one in SMALL.values()])
    structures = [SMALL[name]() for name in ("alloy", "slab", "free_molecule")]
    learnt = testing.predict(network, structures)
    for _ in range(2):
        found = testing.predict(grown, structures)
        assert torch.allclose(learnt.energy, found.energy, rtol=CLOSE, atol=CLOSE)
        assert torch.allclose(learnt.forces, found.forces, rtol=CLOSE, atol=CLOSE)
        grown.recalibrate(typical, edge_vectors(typical))
    for _ in range(3):  # what is new is heard after the first step, what only it is told after the next
        grown.zero_grad()
        grown(typical, edge_vectors(typical)).energy.square().sum().backward()
        with torch.no_grad():
            for weights in grown.parameters():
                weights -= 1e-6 * weights.grad.sign() if weights.grad is not None else 0.0
    deaf = ("gate_dst", "atomwise_readout", "additional_readout", "readout.2.bias")
    for name, weights in grown.named_parameters():
        if weights.grad is not None and not any(part in name for part in deaf):
            assert float(weights.grad.abs().max()) > 0.0, name

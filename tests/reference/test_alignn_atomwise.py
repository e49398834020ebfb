"""Published ALIGNN force-field models: numbers that upstream's own code gave for formulaic weights.

Recorded with PyPI's alignn 2026.8.11, torch 2.13, float64 (G11 with DGL 1.1.3): names G1 to G11 are those of the
record. Weights are sines of their place, see `fill`. Energies are eV/atom, forces eV/Å, stresses GPa.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from torch import nn

from alignn_ff import testing
from alignn_ff.models import Potential, Sum, build
from alignn_ff.models.legacy import LegacyGradient, LegacyPenalty, LegacyZBL
from alignn_ff.pretrained.ealignn import as_invariant
from alignn_ff.pretrained.generations import complete
from alignn_ff.pretrained.upstream import describe

GPA = 160.21766208  # upstream's
SIZES = {
    "alignn_layers": 2, "gcn_layers": 2, "edge_input_features": 8, "triplet_input_features": 6,
    "embedding_features": 5, "hidden_features": 6,
}  # fmt: skip
SMOOTHED = {"use_cutoff_function": True, "inner_cutoff": 4.0, "exponent": 5}
DIGITS = 2e-10
"""All that were printed, and a little rounding."""


def salt() -> Atoms:
    """Structure A."""
    positions = [[0.1, 0.2, 0.0], [2.9, 0.1, 0.3], [2.6, 2.8, 0.2], [0.2, 2.7, 2.6]]
    cell = [[5.6, 0, 0], [0.3, 5.5, 0], [-0.2, 0.4, 5.7]]
    return Atoms("NaClNaCl", positions=positions, cell=cell, pbc=True)


def close_pair() -> Atoms:
    """Structure B: the shortest bond is 0.82 Å."""
    atoms = salt()
    atoms.positions[1] = [0.75, 0.6, 0.3]
    return atoms


def fill(model: nn.Module) -> int:
    """Formulaic weights, in the order of the state dict; how many tensors there are."""
    filled = 0
    for name, tensor in model.state_dict().items():
        if name.endswith(("centers", "frequencies")):
            continue
        place = torch.arange(tensor.numel(), dtype=torch.float64)
        s = torch.sin(1 + 0.7 * place + 1.3 * filled).reshape(tensor.shape)
        bias = name.endswith("bias")
        tensor.copy_(0.3 * s if tensor.ndim == 2 else 0.1 * s if bias else 1 + 0.1 * s)
        filled += 1
    return filled


def network(name: str = "alignn_atomwise_pure", **fields: Any) -> Potential:
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # as upstream did
    try:
        model = build({"name": name, "mode": "legacy", "elements": ["Na", "Cl"], **SIZES, **fields})
    finally:
        torch.set_default_dtype(default)
    if name.endswith("smooth"):  # upstream makes them in float32
        model.radial.frequencies.data = (math.pi * torch.arange(1, 9, dtype=torch.float32)).to(torch.float64)
    assert fill(model) == (107 if name.endswith("smooth") else 106)
    return model


def predict(potential: Potential, *structures: Atoms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Energies per atom, forces and stresses as upstream writes them."""
    found = testing.predict(potential, structures)
    counts = np.array([len(atoms) for atoms in structures])
    return found.energy.numpy() / counts, found.forces.numpy(), found.stress.numpy() * GPA


def test_g1_energy_forces_and_stress():
    energy, forces, stress = predict(network(three_body_cutoff=3.5), salt())
    assert energy == pytest.approx([-0.3889430683], abs=DIGITS)
    expected = [
        [-0.004992194582, 0.001014269715, 0.000491680174],
        [0.000651596766, 0.000128176568, 0.000816230763],
        [0.006549495555, 0.000454803177, -0.003713572180],
        [-0.002208897739, -0.001597249461, 0.002405661243],
    ]
    assert np.allclose(forces, expected, rtol=0, atol=1e-12)
    upper = stress[0][np.triu_indices(3)]
    expected = [0.0321521919, -0.0035896880, -0.0096820997, 0.0271453552, 0.0035799334, -0.0368737942]
    assert np.allclose(upper, expected, rtol=0, atol=DIGITS)


def test_g1_has_the_graph_of_the_record():
    graph = testing.build_graph(network(three_body_cutoff=3.5), salt())
    assert len(graph.edge_src) == 42 and len(graph.angle_in) == 30


@pytest.mark.parametrize("cutoff", [None, 5.0])
def test_g2_angles_of_all_edges(cutoff):
    energy, forces, stress = predict(network(three_body_cutoff=cutoff), salt())
    assert energy == pytest.approx([-0.3987441865], abs=DIGITS)
    assert np.allclose(forces[0], [-0.008477541079, 0.003347439268, 0.000432290619], rtol=0, atol=1e-12)
    expected = [0.0568150664, -0.0162795450, -0.0203763757, 0.0442054897, 0.0113575556, -0.0544737779]
    assert np.allclose(stress[0][np.triu_indices(3)], expected, rtol=0, atol=DIGITS)


def test_g3_edge_features_carried_to_zero():
    energy, forces, _ = predict(network(multiply_cutoff=True, **SMOOTHED), salt())
    assert energy == pytest.approx([-0.3917884018], abs=DIGITS)
    assert np.allclose(forces[0], [6.749609e-06, -0.000206410460, -0.001356263333], rtol=0, atol=1e-12)


def test_g4_distance_replaced_by_the_envelope():
    energy, forces, _ = predict(network(**SMOOTHED), salt())
    assert energy == pytest.approx([-0.3895869716], abs=DIGITS)
    assert np.allclose(forces[0], [-3.7825098e-05, 1.134529e-06, 3.2614932e-05], rtol=0, atol=1e-12)


def with_short_range(*, zbl: bool, **fields: Any) -> Sum:
    elements = ["Na", "Cl"]
    terms = [network(**fields), LegacyPenalty(elements, 0.1, 1.0)]
    return Sum([*terms, LegacyZBL(elements, 0.9)] if zbl else terms)


def test_g5_penalty_is_felt_and_not_told():
    energy, forces, _ = predict(with_short_range(zbl=False), close_pair())
    assert energy == pytest.approx([-0.3790233174], abs=DIGITS)
    assert energy == pytest.approx(predict(network(), close_pair())[0], abs=1e-14)
    assert np.allclose(forces[0], [-0.166534863818, -0.096534673749, -0.072364718169], rtol=0, atol=1e-12)


def test_g6_zbl_is_felt_and_told():
    energy, forces, _ = predict(with_short_range(zbl=True), close_pair())
    assert energy == pytest.approx([-0.0955013912], abs=DIGITS)
    assert np.allclose(forces[0], [-35.231500654696, -21.674975160443, -16.256195083190], rtol=0, atol=1e-10)


def test_g7_a_batch_is_its_members():
    """Upstream adds the penalty and the ZBL energy of the whole batch to each structure; here it is as it should be."""
    potential = with_short_range(zbl=True)
    energy, forces, stress = predict(potential, salt(), close_pair())
    assert energy == pytest.approx([-0.3889430683, -0.0955013912], abs=DIGITS)
    alone = predict(potential, close_pair())
    assert np.allclose(forces[4:], alone[1], rtol=0, atol=1e-12)
    assert np.allclose(stress[1], alone[2], rtol=0, atol=1e-10)


def test_gradient_multipliers_scale_forces_and_stress_alone():
    plain = with_short_range(zbl=True)
    scaled = LegacyGradient(plain.config, factor=-2.0, power=1).to(torch.float64)
    scaled.inner.load_state_dict(plain.state_dict())
    for structures in ([salt()], [close_pair(), salt() * (2, 1, 1)]):
        counts = np.repeat([len(a) for a in structures], [len(a) for a in structures])
        one, other = predict(plain, *structures), predict(scaled, *structures)
        assert np.array_equal(one[0], other[0])
        assert np.allclose(other[1], -2.0 * counts[:, None] * one[1], rtol=1e-12)
        assert np.allclose(other[2], -2.0 * np.array([len(a) for a in structures])[:, None, None] * one[2], rtol=1e-9)


def test_g9_ealignn_with_true_vectors():
    """Upstream's ealignn adds integer translations to Å. With true vectors it is upstream's alignn_atomwise on edges up
    to inner_cutoff, whose numbers these are: torch_graph, cutoff 4, the same weights."""
    top = {"atom_features": "cgcnn", "neighbor_strategy": "k-nearest", "cutoff": 8.0, "use_canonize": True}
    model = complete({"name": "ealignn_atomwise", "inner_cutoff": 4.0, "use_penalty": False, **SIZES})
    described = describe(as_invariant({**top, "max_neighbors": 12, "model": model}))
    energy, forces, stress = predict(network(**{**described, "elements": ["Na", "Cl"]}), salt())
    assert energy == pytest.approx([-0.3478756734], abs=DIGITS)
    assert np.allclose(forces[0], [0.014747236984, -0.002031716262, -0.000933247045], rtol=0, atol=1e-12)
    assert np.allclose(np.diag(stress[0]), [0.0146395248, 0.0193063019, -0.0387441156], rtol=0, atol=DIGITS)


def test_g10_bessel_and_fourier_functions():
    name = "alignn_atomwise_pure_smooth"
    energy, forces, _ = predict(network(name, radial_cutoff=5.0, three_body_cutoff=3.5), salt())
    assert 4 * energy == pytest.approx([0.0923452741], abs=DIGITS)  # upstream's output of this model is the total
    assert np.allclose(forces[0], [0.000133429379, -4.8637156e-05, -0.000141012420], rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("canonical", "edges", "angles", "expected"), [(True, 60, 1752, -0.0891051184), (False, 72, 2544, -0.0748288699)]
)
def test_g11_shells_of_nearest_neighbours(canonical, edges, angles, expected):
    fields = {"neighbor_strategy": "k-nearest", "max_neighbors": 12, "use_canonize": canonical}
    potential, atoms = network("alignn_atomwise", **fields), bulk("NaCl", "rocksalt", a=5.6)
    graph = testing.build_graph(potential, atoms)
    assert (len(graph.edge_src), len(graph.angle_in)) == (edges, angles)
    assert predict(potential, atoms)[0] == pytest.approx([expected], abs=DIGITS)


def test_both_names_mean_the_same_numbers():
    one, other = (predict(network(name), salt()) for name in ("alignn_atomwise", "alignn_atomwise_pure"))
    assert all(np.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(one, other, strict=True))


def test_gaussians_have_the_published_widths():
    full = build({"name": "alignn_atomwise", "elements": ["Na"]})
    assert math.isclose(full.edge_embedding[0].gamma, 9.875)
    assert math.isclose(full.angle_embedding[0].gamma, 19.5)


@pytest.mark.parametrize(("features", "count"), [("atomic_number", 143_297), ("cgcnn", 149_121)])
def test_published_numbers_of_parameters(features, count):
    model = build({"name": "alignn_atomwise", "mode": "legacy", "elements": ["Na"], "atom_features": features})
    assert sum(p.numel() for p in model.parameters()) == count
    assert len(model.state_dict()) == 108

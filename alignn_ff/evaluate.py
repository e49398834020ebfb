"""Energies to forces and stress: the only place that differentiates a potential."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

import torch
from torch import Tensor

from alignn_ff.graph import AtomGraph, edge_vectors, structure_means, structure_sums, volumes
from alignn_ff.models.base import Heads, Potential, check_elements


class Want(Enum):
    """Which derivatives to take."""

    ENERGY = auto()
    """None: no backward pass."""
    FORCES = auto()
    """Forces and stress; both come from one gradient."""
    TRAINING = auto()
    """The same, and differentiable again with respect to the weights."""
    TRAINING_ENERGY = auto()
    """No derivative, and the energy differentiable with respect to the weights."""


class Prediction(NamedTuple):
    """What a potential says of a graph; absent means None.

    Attributes:
        energy: eV [G], float64.
        atom_energy: eV [N], float64.
        forces: eV/Å [N, 3], float64.
        stress: eV/Å³ [G, 3, 3], float64, positive in tension (ASE sign); NaN for a structure without a volume.
        atomwise: other values of each atom [N, A], float64; `potential.atomwise_names` says what they are.
        additional: other values of each structure [G, B], float64; `potential.additional_names` likewise.
    """

    energy: Tensor
    atom_energy: Tensor
    forces: Tensor | None = None
    stress: Tensor | None = None
    atomwise: Tensor | None = None
    additional: Tensor | None = None


def evaluate(potential: Potential, graph: AtomGraph, *, want: Want = Want.FORCES) -> Prediction:
    """Energy of each graph, with forces and stress on request.

    With g_e = dE/dr_e: F_i = Σ_{src=i} g_e - Σ_{dst=i} g_e and σ = (1/V) Σ_e sym(r_e ⊗ g_e).

    Args:
        potential: knows every element in `graph`.
        graph: N atoms, E edges, G graphs; edges complete up to `potential.cutoff` Å.
        want: which derivatives to take; energy alone costs no backward pass.
    Returns:
        energy [G] eV; forces [N, 3] eV/Å; stress [G, 3, 3] eV/Å³, positive in tension (ASE sign).
    Raises:
        UnknownElementError: an element outside `potential.elements`.
    Source: Thompson, Plimpton, Mattson, J. Chem. Phys. 131, 154107 (2009).
    """
    check_elements(potential.elements, graph.numbers)
    vectors = edge_vectors(graph).to(potential.dtype)
    if want is Want.ENERGY:
        with torch.no_grad():
            return _without_derivatives(potential(graph, vectors), graph)
    if want is Want.TRAINING_ENERGY:
        return _without_derivatives(potential(graph, vectors), graph)
    with torch.enable_grad():
        # Vectors that already carry a gradient graph keep it, so that second derivatives work.
        vectors = vectors if vectors.requires_grad else vectors.requires_grad_()
        prediction = _without_derivatives(potential(graph, vectors), graph)
        gradient = _gradient(prediction.energy, vectors, differentiable=want is Want.TRAINING)
    if want is Want.FORCES:
        prediction = Prediction(*(None if t is None else t.detach() for t in prediction))  # type: ignore[arg-type]
        vectors = vectors.detach()
    return prediction._replace(
        forces=forces_from_gradient(graph, gradient), stress=stress_from_gradient(graph, vectors, gradient)
    )


def forces_from_gradient(graph: AtomGraph, gradient: Tensor) -> Tensor:
    """Forces, eV/Å [N, 3], from dE/dr_e, eV/Å [E, 3]."""
    forces = torch.zeros_like(graph.positions)
    forces = forces.index_add(0, graph.edge_src, gradient.to(forces.dtype))
    return forces.index_add(0, graph.edge_dst, -gradient.to(forces.dtype))


def stress_from_gradient(graph: AtomGraph, vectors: Tensor, gradient: Tensor) -> Tensor | None:
    """Stress, eV/Å³ [G, 3, 3], from r_e, Å [E, 3], and dE/dr_e, eV/Å [E, 3]; None where no graph has a volume."""
    volume = volumes(graph)
    if not bool((volume > 0).any()):
        return None
    owner = graph.graph_index[graph.edge_dst]
    virial = torch.zeros_like(graph.cell)
    if len(virial) == 1:
        virial = (vectors.T.to(virial.dtype) @ gradient.to(virial.dtype)).unsqueeze(0)
    else:
        outer = vectors.to(virial.dtype).unsqueeze(2) * gradient.to(virial.dtype).unsqueeze(1)  # [E, 3, 3]
        virial = virial.index_add(0, owner, outer)
    symmetric = 0.5 * (virial + virial.transpose(1, 2))
    there = (volume > 0)[:, None, None]
    # Not a division by NaN: its gradient would be NaN for the weights even where no loss looks at it.
    return torch.where(there, symmetric / torch.where(there, volume[:, None, None], 1.0), torch.nan)


def _without_derivatives(heads: Heads, graph: AtomGraph) -> Prediction:
    """Energies are sums over the atoms of a structure, its other values are means."""
    atom_energy, atomwise, additional = (None if t is None else t.to(torch.float64) for t in heads)
    assert atom_energy is not None
    energy = structure_sums(atom_energy, graph)
    if additional is not None:
        additional = structure_means(additional, graph)
    return Prediction(energy, atom_energy, atomwise=atomwise, additional=additional)


def _gradient(energy: Tensor, vectors: Tensor, *, differentiable: bool) -> Tensor:
    """dE/dr_e [E, 3]; zero where the energy depends on no vector (isolated atoms, constant potentials)."""
    if not energy.requires_grad:
        return torch.zeros_like(vectors)
    (gradient,) = torch.autograd.grad(
        energy.sum(), vectors, create_graph=differentiable, allow_unused=True, materialize_grads=True
    )
    return gradient

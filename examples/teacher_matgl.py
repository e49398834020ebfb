"""A teacher for `alignn-ff distill`: the universal potential TensorNet-MatPES-PBE of matgl (BSD-3).

In an environment that holds alignn_ff:

    pip install torch-geometric pymatgen lightning e3nn torchdata boto3 huggingface_hub
    pip install --no-deps matgl==2.0.4
    alignn-ff distill --teacher examples/teacher_matgl.py:make --elements Na,Mg,Al,O:3,Cl:2 --families 2000 \
        --workers 4 --output distilled

matgl looks the model up by name and downloads it once; MATGL_TEACHER names another one, or a folder that holds one.
The labels are PBE as the teacher learnt it: see Kaplan et al., A Foundational Potential Energy Surface Dataset for
Materials, 2025, for its errors. Cite it, and name the teacher with whatever you distil.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress
from torch import Tensor
from vesin import NeighborList

MODEL = "TensorNet-MatPES-PBE-v2025.1-PES"

NACL_EV_PER_ATOM = -3.358
"""Energy of NaCl at 5.70 Å by the model above, run with matgl 2.0.4."""


def make() -> Calculator:
    """The teacher, after a look at a compound whose energy is known.

    Raises:
        RuntimeError: another energy; newer versions of matgl (2.2.1, 4.1.2) load the file and mistake the elements.
    """
    os.environ.setdefault("MATGL_BACKEND", "PYG")
    import matgl

    name = os.environ.get("MATGL_TEACHER", MODEL)
    calculator = Teacher(matgl.load_model(name))
    calculator.provenance = {"model": os.path.basename(name)}  # kept in provenance.json
    salt = bulk("NaCl", "rocksalt", a=5.70)
    salt.calc = calculator
    energy = salt.get_potential_energy() / len(salt)
    if abs(energy - NACL_EV_PER_ATOM) > 0.01:
        raise RuntimeError(
            f"NaCl has {energy:.3f} eV/atom with matgl {matgl.__version__} and torch {torch.__version__}; "
            f"{NACL_EV_PER_ATOM} was expected. Install matgl 2.0.4, or change MODEL and the number together."
        )
    return calculator


class Teacher(Calculator):
    """TensorNet with matgl's weights, and the energies of the atoms: they teach a student more than their sum does.

    The numbers are those of matgl's own calculator, to 1e-5 eV/Å, and come 2.5 times as fast for cells of eight atoms.
    matgl sums 3 x 3 matrices over edges. Their scalar, vector and symmetric parts are 10 numbers instead of 27, an
    edge is the same from both its ends, and all edges between two atoms act on the same features: here parts are
    summed over undirected edges into pairs of atoms, and only pairs meet features. Molecules and slabs are done like
    crystals; a structure without a volume has no stress.
    Source of the network: Simeon and De Fabritiis, TensorNet, NeurIPS 2023.
    """

    implemented_properties = ("energy", "free_energy", "energies", "forces", "stress")
    provenance: dict[str, str]

    def __init__(self, potential: Any) -> None:
        super().__init__()
        self.potential = potential.requires_grad_(False)
        self.elements = set(potential.model.element_types)

    def calculate(self, atoms: Atoms, properties: list[str], system_changes: list[str]) -> None:
        """Energies in eV, forces in eV/Å, stress in eV/Å³.

        Raises:
            PropertyNotImplementedError: an element that the teacher does not know.
        """
        super().calculate(atoms, properties, system_changes)
        unknown = sorted(set(atoms.symbols) - self.elements)
        if unknown:
            raise PropertyNotImplementedError(f"the teacher does not know {', '.join(unknown)}")
        positions = torch.tensor(atoms.positions, dtype=torch.float32, requires_grad=True)
        strain = torch.zeros(3, 3, requires_grad=True)
        shares = atom_energies(self.potential, atoms, positions, torch.eye(3) + strain)
        gradient, virial = torch.autograd.grad(shares.sum(), [positions, strain], allow_unused=True)
        energy = float(shares.detach().double().sum())
        self.results = {"energy": energy, "free_energy": energy, "energies": shares.detach().double().numpy()}
        self.results["forces"] = np.zeros((len(atoms), 3)) if gradient is None else -gradient.double().numpy()
        if atoms.cell.rank == 3 and virial is not None:
            symmetric = (virial + virial.T).double().numpy() / 2.0
            self.results["stress"] = full_3x3_to_voigt_6_stress(symmetric / atoms.get_volume())


class Parts(NamedTuple):
    """Irreducible parts of 3 x 3 matrices: trace / 3 [N, F], axial vector [N, 3, F], symmetric traceless [N, 6, F]."""

    scalar: Tensor
    vector: Tensor
    symmetric: Tensor


class Edges(NamedTuple):
    """Undirected edges e and ordered pairs of atoms p: the second half of the pairs is the first half reversed."""

    pair: Tensor
    src: Tensor
    dst: Tensor


def atom_energies(potential: Any, atoms: Atoms, positions: Tensor, deformation: Tensor) -> Tensor:
    """Energy of each atom [N], eV, of matgl's `potential` with a TensorNet.

    Args:
        positions: [N, 3] Å, those of `atoms`; gradients flow to them and to `deformation` [3, 3].
    """
    model = potential.model
    kinds = torch.tensor([model.element_types.index(symbol) for symbol in atoms.symbols])
    edges, vectors = _edges(atoms, float(model.cutoff), positions, deformation)
    distances = vectors.norm(dim=1)
    basis = model.bond_expansion(distances)
    envelope = 0.5 * (torch.cos(np.pi * distances / float(model.cutoff)) + 1.0)[:, None]
    x = _embed(model.tensor_embedding, kinds, edges, vectors / distances[:, None], basis, envelope)
    for layer in model.layers:
        x = _interact(layer, edges, x, basis, envelope)
    features = model.linear(model.out_norm(torch.cat(_square_norms(x), dim=1)))
    raw = model.final_layer.gated(features).squeeze(1)
    return potential.data_std * raw + potential.element_refs.property_offset[kinds]


def _edges(atoms: Atoms, cutoff: float, positions: Tensor, deformation: Tensor) -> tuple[Edges, Tensor]:
    """Undirected edges within the cutoff, Å, and the vectors [E, 3] from `src` to `dst` of their pair."""
    finder = NeighborList(cutoff=cutoff, full_list=False)
    box = atoms.cell[:] if atoms.pbc.any() else np.zeros((3, 3))
    i, j, shift = finder.compute(atoms.positions, box, atoms.pbc if atoms.pbc.any() else False, quantities="ijS")
    code, pair = np.unique(i.astype(np.int64) * len(atoms) + j.astype(np.int64), return_inverse=True)
    first, second = torch.as_tensor(code // len(atoms)), torch.as_tensor(code % len(atoms))
    edges = Edges(torch.as_tensor(pair), torch.cat([first, second]), torch.cat([second, first]))
    moved = torch.as_tensor(shift @ atoms.cell[:], dtype=positions.dtype)
    return edges, (
        positions[torch.as_tensor(j.astype(np.int64))] - positions[torch.as_tensor(i.astype(np.int64))] + moved
    ) @ deformation


def _embed(layer: Any, kinds: Tensor, edges: Edges, unit: Tensor, basis: Tensor, envelope: Tensor) -> Parts:
    """First features: what stands around each atom."""
    half = len(edges.src) // 2
    radial = [
        projection(basis) * envelope
        for projection in (layer.distance_proj1, layer.distance_proj2, layer.distance_proj3)
    ]
    scalar = _to_pairs(radial[0], edges.pair, half)
    vector = _to_pairs(unit[:, :, None] * radial[1][:, None, :], edges.pair, half)
    symmetric = _to_pairs(_dyad(unit)[:, :, None] * radial[2][:, None, :], edges.pair, half)
    element = layer.emb(kinds)
    seen = layer.emb2(torch.cat([element[edges.src], element[edges.dst]], dim=1))

    def at_receivers(of_pairs: Tensor, sign: float = 1.0) -> Tensor:
        both = torch.cat([of_pairs, sign * of_pairs])
        weight = seen if both.ndim == 2 else seen[:, None, :]
        return both.new_zeros(len(kinds), *both.shape[1:]).index_add(0, edges.dst, weight * both)

    # From the other end the vector points the other way.
    x = Parts(at_receivers(scalar), at_receivers(vector, -1.0), at_receivers(symmetric))
    norm = layer.init_norm(sum(_square_norms(x)))
    for linear in layer.linears_scalar:
        norm = layer.act(linear(norm))
    return _scaled(_mapped(x, layer.linears_tensor), norm.unflatten(1, (-1, 3)))


def _interact(layer: Any, edges: Edges, x: Parts, basis: Tensor, envelope: Tensor) -> Parts:
    """One interaction: features of neighbours, summed, times own ones."""
    if layer.equivariance_invariance_group != "O(3)":
        raise NotImplementedError("only TensorNet with O(3) is evaluated here")
    radial = basis
    for linear in layer.linears_scalar:
        radial = layer.act(linear(radial))
    of_pairs = _to_pairs(radial * envelope, edges.pair, len(edges.src) // 2).repeat(2, 1)
    weight = of_pairs.unflatten(1, (-1, 3))
    x = _divided(x, sum(_square_norms(x)) + 1.0)
    y = _mapped(x, layer.linears_tensor[:3])
    sent = _scaled(Parts(*(part[edges.dst] for part in y)), weight)
    received = Parts(*(torch.zeros_like(own).index_add(0, edges.src, part) for own, part in zip(y, sent, strict=True)))
    message, own = _matrix(received), _matrix(y)
    product = _decomposed(_times(message, own) + _times(own, message))
    product = _divided(product, sum(_square_norms(product)) + 1.0)
    step = _matrix(_mapped(product, layer.linears_tensor[3:]))
    return _decomposed(_matrix(x) + step + _times(step, step))


def _to_pairs(values: Tensor, pair: Tensor, pairs: int) -> Tensor:
    return values.new_zeros(pairs, *values.shape[1:]).index_add(0, pair, values)


def _dyad(unit: Tensor) -> Tensor:
    """u u^T - 1/3 as xx, yy, zz, xy, xz, yz [E, 6]."""
    x, y, z = unit.unbind(1)
    third = 1.0 / 3.0
    return torch.stack([x * x - third, y * y - third, z * z - third, x * y, x * z, y * z], dim=1)


def _square_norms(x: Parts) -> tuple[Tensor, Tensor, Tensor]:
    """Squares of the Frobenius norms of the three parts, each [N, F]."""
    diagonal, rest = x.symmetric[:, :3], x.symmetric[:, 3:]
    symmetric = (diagonal**2).sum(1) + 2.0 * (rest**2).sum(1)
    return 3.0 * x.scalar**2, 2.0 * (x.vector**2).sum(1), symmetric


def _mapped(x: Parts, linears: Any) -> Parts:
    return Parts(*(linear(part) for linear, part in zip(linears, x, strict=True)))


def _scaled(x: Parts, weight: Tensor) -> Parts:
    """Each part times its own weight [N, F, 3]."""
    return Parts(x.scalar * weight[..., 0], x.vector * weight[:, None, :, 1], x.symmetric * weight[:, None, :, 2])


def _divided(x: Parts, by: Tensor) -> Parts:
    return Parts(x.scalar / by, x.vector / by[:, None], x.symmetric / by[:, None])


def _matrix(x: Parts) -> Tensor:
    """The full matrices [N, 3, 3, F]."""
    s, (vx, vy, vz), (xx, yy, zz, xy, xz, yz) = x.scalar, x.vector.unbind(1), x.symmetric.unbind(1)
    rows = [s + xx, xy - vz, xz + vy, xy + vz, s + yy, yz - vx, xz - vy, yz + vx, s + zz]
    return torch.stack(rows, dim=1).unflatten(1, (3, 3))


def _times(a: Tensor, b: Tensor) -> Tensor:
    """Matrix products [N, 3, 3, F] of each atom and feature."""
    return (a[:, :, :, None] * b[:, None]).sum(2)


def _decomposed(m: Tensor) -> Parts:
    """Parts of the matrices [N, 3, 3, F]."""
    trace = (m[:, 0, 0] + m[:, 1, 1] + m[:, 2, 2]) / 3.0
    vector = torch.stack([m[:, 2, 1] - m[:, 1, 2], m[:, 0, 2] - m[:, 2, 0], m[:, 1, 0] - m[:, 0, 1]], dim=1) / 2.0
    diagonal = [m[:, k, k] - trace for k in range(3)]
    rest = [(m[:, i, j] + m[:, j, i]) / 2.0 for i, j in ((0, 1), (0, 2), (1, 2))]
    return Parts(trace, vector, torch.stack([*diagonal, *rest], dim=1))

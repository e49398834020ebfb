"""Whether the weights of a model are the right ones and can be used."""

from __future__ import annotations

from typing import NamedTuple

import torch
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii

from alignn_ff.errors import CheckpointError
from alignn_ff.evaluate import evaluate
from alignn_ff.io import from_ase
from alignn_ff.neighbors import connect
from alignn_ff.pretrained.checksum import check
from alignn_ff.pretrained.registry import Entry
from alignn_ff.pretrained.upstream import load_file


class Verified(NamedTuple):
    """What was seen of a model that is in order.

    Attributes:
        sha256: of the weights.
        formula: of the structure it was tried on.
        energy: of that structure, eV/atom.
        largest_force: length of the longest force in it, eV/Å.
    """

    sha256: str
    formula: str
    energy: float
    largest_force: float


def verify(entry: Entry) -> Verified:
    """Check weights that are on this machine against their checksum, load them and evaluate one structure.

    Raises:
        CheckpointError: missing, a wrong checksum, not a model, other elements than the registry says, energies or
            forces that are not finite.
    """
    check(entry)
    checkpoint = load_file(entry.path)
    potential = checkpoint.potential
    if entry.elements and set(entry.elements) != set(potential.elements):
        raise CheckpointError(
            f"model {entry.name} knows {' '.join(potential.elements)}; the registry says {' '.join(entry.elements)}. "
            "Correct the registry."
        )
    atoms = sample(max(potential.elements, key=_radius))  # large atoms have few neighbours: quick for any model
    graph = connect(from_ase(atoms), **potential.wants)
    prediction = evaluate(potential, graph)
    forces = prediction.forces
    if forces is None or not bool(torch.isfinite(torch.cat([prediction.energy, forces.flatten()])).all()):
        raise CheckpointError(f"model {entry.name} gives energies or forces of {atoms.symbols} that are not finite.")
    energy = float(prediction.energy[0]) / len(atoms)
    return Verified(checkpoint.sha256, str(atoms.symbols), energy, float(forces.norm(dim=1).max()))


def sample(symbol: str) -> Atoms:
    """Four atoms of an element in a slightly disordered fcc cell, neighbours at 1.1 times the sum of covalent radii."""
    distance = 2.2 * _radius(symbol)
    atoms = bulk(symbol, "fcc", a=2**0.5 * distance, cubic=True)
    atoms.rattle(0.02 * distance, seed=0)
    return atoms


def _radius(symbol: str) -> float:
    """Covalent radius, Å."""
    return float(covalent_radii[atomic_numbers[symbol]])

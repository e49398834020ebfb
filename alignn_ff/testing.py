"""Conformance kit: the claims this package makes of a potential, as functions that fail with numbers.

Each `check_…` takes a potential in float64 and a structure, raises AssertionError where the claim does not
hold, and returns the largest error it saw. `check_all` runs every one that applies to a structure.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from ase import Atoms
from torch import Tensor

from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.evaluate import Prediction, Want, evaluate
from alignn_ff.graph import AtomGraph, concat, edge_vectors
from alignn_ff.io import from_ase, with_extra_features
from alignn_ff.models import Potential
from alignn_ff.neighbors import connect
from alignn_ff.probes import (
    STRAINS,
    Properties,
    Twin,
    displaced,
    permuted,
    repeated,
    rotated,
    shifted,
    strained,
    translated,
)


class Tolerances(NamedTuple):
    """What a float64 potential is held to.

    Attributes:
        derivative: forces and stress against finite differences, relative to the largest of the structure.
        symmetry: energies, forces and stresses (eV, eV/Å, eV/Å³) under operations that must not change them,
            relative to the largest of them where that is above one.
        energy_jump, force_jump: eV and eV/Å, as a neighbour crosses a cutoff.
        isolated: eV, energy of an isolated atom against its reference.
        single_energy, single_forces: eV/atom and eV/Å, float32 against float64.
    """

    derivative: float = 1e-6
    symmetry: float = 1e-10
    energy_jump: float = 1e-9
    force_jump: float = 1e-8
    isolated: float = 1e-12
    single_energy: float = 1e-4
    single_forces: float = 1e-3


STANDARD = Tolerances()

_STENCIL = ((-2, 1 / 12), (-1, -8 / 12), (1, 8 / 12), (2, -1 / 12))
"""Fourth-order central difference: places in steps, weights."""
_STEP_A = 4e-4
_STRAIN_STEP = 3e-5
_FORCE_FLOOR = 1e-3
_STRESS_FLOOR = 1e-5
"""eV/Å and eV/Å³ below which "relative" would compare rounding with rounding."""
_SIDE_STEP_A = 1e-6
"""Distance from a cutoff at which its two sides are sampled."""


def build_graph(potential: Potential, atoms: Atoms) -> AtomGraph:
    """The graph of a structure as `potential` wants it."""
    bare = with_extra_features(from_ase(atoms), atoms, potential.extra_features)
    return connect(bare, **potential.wants)


def predict(potential: Potential, structures: Sequence[Atoms], *, want: Want = Want.FORCES) -> Prediction:
    """Prediction for several structures at once."""
    return evaluate(potential, concat([build_graph(potential, atoms) for atoms in structures]), want=want)


def check_forces(
    potential: Potential, atoms: Atoms, *, components: int = 6, seed: int = 0, limits: Tolerances = STANDARD
) -> float:
    """Forces are minus the derivative of the energy, for some components drawn at random."""
    forces = predict(potential, [atoms]).forces
    assert forces is not None, "no forces were predicted"
    chosen = np.random.default_rng(seed).permutation(3 * len(atoms))[:components]
    moved = [partial(displaced, atoms, int(component)) for component in chosen]
    numeric = -_differentiate(potential, moved, _STEP_A)
    scale = max(float(forces.abs().max()), _FORCE_FLOOR)
    error = float((forces.reshape(-1)[torch.from_numpy(chosen)] - numeric).abs().max()) / scale
    return _at_most(error, limits.derivative, "forces against finite differences, relative")


def check_stress(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Stress is the derivative of the energy with respect to strain over volume; absent without a volume."""
    stress = predict(potential, [atoms]).stress
    if atoms.cell.rank < 3:
        assert stress is None, f"the structure has no volume, but a stress of {stress} was predicted"
        return 0.0
    assert stress is not None, "the structure has a volume, but no stress was predicted"
    deformed = [partial(strained, atoms, axes) for axes in STRAINS]
    numeric = _differentiate(potential, deformed, _STRAIN_STEP) / atoms.get_volume()
    found = torch.stack([stress[0, a, b] for a, b in STRAINS])
    scale = max(float(stress.abs().max()), _STRESS_FLOOR)
    assert torch.equal(stress, stress.transpose(1, 2)), "the stress is not symmetric"
    error = float((found - numeric).abs().max()) / scale
    return _at_most(error, limits.derivative, "stress against finite differences, relative")


def check_net_force(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Forces add up to nothing; so do torques where nothing is periodic."""
    forces = predict(potential, [atoms]).forces
    assert forces is not None, "no forces were predicted"
    error = _at_most(float(forces.sum(0).abs().max()), limits.symmetry, "net force, eV/Å")
    if not atoms.pbc.any():
        arms = torch.from_numpy(atoms.positions - atoms.positions.mean(0))
        torque = float(torch.linalg.cross(arms, forces).sum(0).abs().max())
        error = max(error, _at_most(torque, limits.symmetry, "net torque, eV"))
    return error


def check_translation(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Nothing changes when everything moves by one vector."""
    return _answers(potential, atoms, translated(atoms), limits.symmetry, "translation")


def check_rotation(
    potential: Potential,
    atoms: Atoms,
    *,
    improper: bool = False,
    seed: int = 0,
    limits: Tolerances = STANDARD,
) -> float:
    """Energy stays, forces and stress turn along, under a random rotation, or one with a reflection."""
    twin = rotated(atoms, improper=improper, seed=seed)
    return _answers(potential, atoms, twin, limits.symmetry, "reflection" if improper else "rotation")


def check_permutation(potential: Potential, atoms: Atoms, *, seed: int = 0, limits: Tolerances = STANDARD) -> float:
    """The order of the atoms does not matter."""
    return _answers(potential, atoms, permuted(atoms, seed=seed), limits.symmetry, "permutation")


def check_lattice_shift(potential: Potential, atoms: Atoms, *, seed: int = 0, limits: Tolerances = STANDARD) -> float:
    """It does not matter which periodic image of an atom is the one in the list."""
    return _answers(potential, atoms, shifted(atoms, seed=seed), limits.symmetry, "lattice shift")


def check_supercell(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """A supercell has the energy and stress of its parts, and every copy of an atom the same force."""
    return _answers(potential, atoms, repeated(atoms), limits.symmetry, "supercell")


def check_batch(potential: Potential, structures: Sequence[Atoms], *, limits: Tolerances = STANDARD) -> float:
    """Structures evaluated together give what each gives alone; no energy depends on a batch mate."""
    alone = [_properties(potential, [atoms])[0] for atoms in structures]
    together = _properties(potential, structures)
    return max(_same(*pair, limits.symmetry, "batch") for pair in zip(alone, together, strict=True))


def check_fragments(potential: Potential, one: Atoms, other: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Two free clusters out of each other's sight have the sum of their energies."""
    assert not (one.pbc.any() or other.pbc.any()), "fragments must not be periodic"
    away = other.copy()
    size = np.ptp(one.positions, axis=0).max() + np.ptp(other.positions, axis=0).max()
    away.positions += one.positions.mean(0) - other.positions.mean(0) + [size + potential.cutoff, 0.0, 0.0]
    both, *parts = (_properties(potential, [atoms])[0] for atoms in (one + away, one, other))
    expected = Properties(
        energy=sum(part.energy for part in parts),
        forces=np.concatenate([part.forces for part in parts]),
        energies=np.concatenate([part.energies for part in parts if part.energies is not None]),
    )
    return _same(expected, both, limits.symmetry, "far fragments")


def check_isolated_atoms(
    potential: Potential, references: Mapping[str, float], *, limits: Tolerances = STANDARD
) -> float:
    """An atom without neighbours has its reference energy, eV, and no force."""
    found = predict(potential, [Atoms(symbol) for symbol in references])
    error = float((found.energy - torch.tensor(list(references.values()), dtype=torch.float64)).abs().max())
    assert not bool(_forces(found).any()), "isolated atoms feel forces"
    return _at_most(error, limits.isolated, "energy of isolated atoms, eV")


def check_precision(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Weights in float32 give nearly what they give in float64."""
    single = predict(copy.deepcopy(potential).to(torch.float32), [atoms])
    double = predict(potential, [atoms])
    energy = float((single.energy - double.energy).abs().max()) / len(atoms)
    _at_most(energy, limits.single_energy, "float32 energy, eV/atom")
    forces = float((_forces(single) - _forces(double)).abs().max())
    return _at_most(forces, limits.single_forces, "float32 forces, eV/Å")


def check_smooth(
    potential: Potential, atoms: Atoms, distance: float, *, limits: Tolerances = STANDARD
) -> tuple[float, float]:
    """Energy and forces do not jump as the pair nearest to `distance` Å crosses it.

    Values on either side are extrapolated to the crossing from two points each, so that the smooth change
    between the sides does not count as a jump.
    """
    across = _crossing(atoms, distance)
    samples = [predict(potential, [across(k * _SIDE_STEP_A)]) for k in (-2, -1, 1, 2)]
    inside, outside = (len(connect(from_ase(across(k * _SIDE_STEP_A)), distance).edge_src) for k in (-1, 1))
    assert inside > outside, f"no pair crosses {distance} Å"
    energy = abs(float(_jump([p.atom_energy for p in samples]).sum()))
    force = float(_jump([_forces(p) for p in samples]).abs().max())
    _at_most(energy, limits.energy_jump, f"energy jump at {distance} Å, eV")
    _at_most(force, limits.force_jump, f"force jump at {distance} Å, eV/Å")
    return energy, force


def check_receptive_field(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> float:
    """Moving the first atom of a large free cluster changes no energy beyond `receptive_field`."""
    assert not atoms.pbc.any(), "the cluster must not be periodic"
    moved = atoms.copy()
    moved.positions[0] += [0.1, -0.2, 0.15]
    reach = np.minimum(*(np.linalg.norm(a.positions - a.positions[0], axis=1) for a in (atoms, moved)))
    far = torch.from_numpy(reach > potential.receptive_field)
    assert bool(far.any()), f"the cluster ends within the receptive field of {potential.receptive_field} Å"
    before, after = (predict(potential, [a], want=Want.ENERGY).atom_energy for a in (atoms, moved))
    error = float((after - before)[far].abs().max())
    return _at_most(error, limits.symmetry, "energy change beyond the receptive field, eV")


def check_saved(potential: Potential, atoms: Atoms, folder: Path) -> None:
    """A potential read back from its file predicts the very same bits."""
    save_checkpoint(folder / "saved.safetensors", potential)
    again = load_checkpoint(folder / "saved.safetensors").potential
    before, after = predict(potential, [atoms]), predict(again, [atoms])
    for name, value in before._asdict().items():
        other = getattr(after, name)
        same = value is other is None or torch.equal(value, other)
        assert same, f"{name} changed by being saved and loaded: {value} became {other}"


def check_all(potential: Potential, atoms: Atoms, *, limits: Tolerances = STANDARD) -> dict[str, float]:
    """Every check that takes one structure and no more; returns the errors by name."""
    checks: tuple[Callable[..., float], ...] = (
        check_forces,
        check_stress,
        check_net_force,
        check_translation,
        check_rotation,
        check_permutation,
        check_lattice_shift,
        check_supercell,
        check_precision,
    )
    errors = {check.__name__.removeprefix("check_"): check(potential, atoms, limits=limits) for check in checks}
    errors["reflection"] = check_rotation(potential, atoms, improper=True, limits=limits)
    return errors


def _differentiate(potential: Potential, changes: Sequence[Callable[[float], Atoms]], step: float) -> Tensor:
    """dE/dx for each of `changes`, which make a structure of x."""
    structures = [change(k * step) for change in changes for k, _ in _STENCIL]
    energies = predict(potential, structures, want=Want.ENERGY).atom_energy
    weights = torch.tensor([weight for _, weight in _STENCIL], dtype=torch.float64)
    # Differences atom by atom: totals of hundreds of eV would cost three digits.
    by_atom = energies.reshape(len(changes), len(_STENCIL), -1)
    return torch.einsum("pka,k->pa", by_atom - by_atom[:, :1], weights).sum(1) / step


def _crossing(atoms: Atoms, distance: float) -> Callable[[float], Atoms]:
    """The structure with one pair at `distance` + s: s -> Atoms; the pair that is nearest to it now."""
    graph = connect(from_ase(atoms), distance + 1.5)
    vectors = edge_vectors(graph)
    away = (vectors.norm(dim=1) - distance).abs()
    away[graph.edge_src == graph.edge_dst] = torch.inf  # an atom does not move against its own images
    assert bool(torch.isfinite(away).any()), f"no pair of different atoms within {distance + 1.5} Å"
    edge = int(away.argmin())
    length = float(vectors[edge].norm())
    unit = vectors[edge].numpy() / length

    def across(side: float) -> Atoms:
        moved = atoms.copy()
        moved.positions[int(graph.edge_dst[edge])] += (distance + side - length) * unit
        return moved

    return across


def _forces(prediction: Prediction) -> Tensor:
    assert prediction.forces is not None, "forces were not evaluated"
    return prediction.forces


def _jump(samples: Sequence[Tensor]) -> Tensor:
    """Right limit minus left limit at 0 from samples at -2, -1, 1, 2 steps."""
    return (2 * samples[2] - samples[3]) - (2 * samples[1] - samples[0])


def _properties(potential: Potential, structures: Sequence[Atoms]) -> list[Properties]:
    """What `potential` says of each of several structures that it sees at once."""
    found = predict(potential, structures)
    ends = np.cumsum([len(atoms) for atoms in structures])[:-1]
    forces, energies = (np.split(t.numpy(), ends) for t in (_forces(found), found.atom_energy))
    stresses = [None] * len(structures) if found.stress is None else [_known(stress) for stress in found.stress]
    parts = zip(found.energy.tolist(), forces, stresses, energies, strict=True)
    return [Properties(*part) for part in parts]


def _known(stress: Tensor) -> np.ndarray | None:
    """A stress; None of a structure without a volume, whose place in a batch holds NaN."""
    return None if bool(torch.isnan(stress).any()) else stress.numpy()


def _answers(potential: Potential, atoms: Atoms, twin: Twin, limit: float, what: str) -> float:
    """The twin of a structure has the properties it must have, given those of the structure."""
    before, after = (_properties(potential, [one])[0] for one in (atoms, twin.atoms))
    return _same(twin.expected(before), after, limit, what)


def _same(expected: Properties, found: Properties, limit: float, what: str) -> float:
    largest = 0.0
    for name, value in expected._asdict().items():
        other = getattr(found, name)
        assert (value is None) == (other is None), f"{what}: {name} is {other}; expected {value}"
        if value is None:
            continue
        value, other = np.asarray(value), np.asarray(other)
        assert value.shape == other.shape, f"{what}: {name} has shape {other.shape}; expected {value.shape}"
        scale = max(1.0, float(np.abs(value).max()))
        largest = max(largest, _at_most(float(np.abs(other - value).max()) / scale, limit, f"{what}: change of {name}"))
    return largest


def _at_most(value: float, limit: float, what: str) -> float:
    assert value <= limit, f"{what}: {value:.3g}; at most {limit:.3g} expected"
    return value

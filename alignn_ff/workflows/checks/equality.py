"""Structures that are physically the same must have the same properties."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from ase import Atoms

from alignn_ff.probes import Properties, Twin, permuted, repeated, rotated, shifted, translated
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.checks.bench import Bench
from alignn_ff.workflows.checks.criteria import Measurement, Part

FAR_APART_A = 100.0


def equality(bench: Bench, label: str) -> Part:
    """Invariances and extensivity of one structure."""
    return Part(list(_equality(bench, label)))


def differences(name: str, label: str, expected: Properties, found: Properties) -> Iterator[Measurement]:
    """Energy per atom, largest force component and largest stress component between two answers."""
    energy = abs(found.energy - expected.energy) / len(found.forces)
    yield Measurement(f"{name}_energy", label, float(energy))
    yield Measurement(f"{name}_forces", label, float(np.abs(found.forces - expected.forces).max()))
    if expected.stress is not None and found.stress is not None:
        stress = np.abs(found.stress - expected.stress).max() * GPA_PER_EV_A3
        yield Measurement(f"{name}_stress", label, float(stress))


def _equality(bench: Bench, label: str) -> Iterator[Measurement]:
    atoms = bench.rattled[label]
    before = bench.measured([atoms])[0]
    for name, twin in _twins(atoms):
        yield from differences(name, label, twin.expected(before), bench.measured([twin.atoms])[0])
    # the structure in between keeps a calculator from answering out of its memory
    again = bench.measured([bench.structures[label], atoms])[1]
    yield from differences("repetition", label, before, again)


def _twins(atoms: Atoms) -> Iterator[tuple[str, Twin]]:
    yield "translation", translated(atoms)
    yield "rotation", rotated(atoms)
    yield "reflection", rotated(atoms, improper=True)
    yield "permutation", permuted(atoms)
    if atoms.pbc.any():
        yield "image", shifted(atoms)
        yield "supercell", repeated(atoms)
    else:
        yield "copies", _copies(atoms)


def _copies(atoms: Atoms) -> Twin:
    """Two copies of a molecule out of each other's reach."""
    other = atoms.copy()
    other.positions += [FAR_APART_A + float(np.ptp(atoms.positions[:, 0])), 0.0, 0.0]

    def expected(before: Properties) -> Properties:
        return Properties(2.0 * before.energy, np.concatenate([before.forces, before.forces]))

    return Twin(atoms + other, expected)

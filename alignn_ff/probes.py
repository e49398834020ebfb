"""Structures changed in ways whose consequences are known: what any sound potential must answer.

The one home of these changes. `alignn_ff.testing` holds potentials to them in float64, `alignn_ff.workflows.check`
any ASE calculator in whatever precision it has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

STRAINS = tuple((a, b) for a in range(3) for b in range(a + 1))
"""Axes of the six independent strains."""


class Properties(NamedTuple):
    """What a potential says of one structure.

    Attributes:
        energy: eV.
        forces: [N, 3] eV/Å.
        stress: [3, 3] eV/Å³, positive in tension; None without one.
        energies: [N] eV, each atom's; None where nobody asked.
    """

    energy: float
    forces: NDArray
    stress: NDArray | None = None
    energies: NDArray | None = None


class Twin(NamedTuple):
    """Another structure, and what its properties must be given those of the original."""

    atoms: Atoms
    expected: Callable[[Properties], Properties]


def translated(atoms: Atoms) -> Twin:
    """Everything moved by one vector: nothing changes."""
    moved = atoms.copy()
    moved.positions += [3.21, -7.65, 12.3]
    return Twin(moved, lambda before: before)


def rotated(atoms: Atoms, *, improper: bool = False, seed: int = 0) -> Twin:
    """Turned at random, or turned and reflected: the energy stays, forces and stress turn along."""
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn)) * (-1 if improper else 1)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = atoms.positions @ turn

    def expected(before: Properties) -> Properties:
        stress = None if before.stress is None else turn.T @ before.stress @ turn
        return before._replace(forces=before.forces @ turn, stress=stress)

    return Twin(turned, expected)


def permuted(atoms: Atoms, *, seed: int = 0) -> Twin:
    """The same atoms in another order."""
    order = np.random.default_rng(seed).permutation(len(atoms))

    def expected(before: Properties) -> Properties:
        energies = None if before.energies is None else before.energies[order]
        return before._replace(forces=before.forces[order], energies=energies)

    return Twin(atoms[order], expected)


def shifted(atoms: Atoms, *, seed: int = 0) -> Twin:
    """One atom replaced by its periodic image some cells away: nothing changes."""
    rng = np.random.default_rng(seed)
    moved = atoms.copy()
    moved.positions[rng.integers(len(atoms))] += (rng.integers(1, 4, 3) * atoms.pbc) @ atoms.cell.array
    return Twin(moved, lambda before: before)


def repeated(atoms: Atoms) -> Twin:
    """A supercell of 2 × 1 × 3 where periodic: copies of everything, and the same stress."""
    repeats = np.where(atoms.pbc, (2, 1, 3), 1)
    copies = int(repeats.prod())

    def expected(before: Properties) -> Properties:
        return Properties(
            energy=before.energy * copies,
            forces=np.tile(before.forces, (copies, 1)),
            stress=before.stress,
            energies=None if before.energies is None else np.tile(before.energies, copies),
        )

    return Twin(atoms.repeat(repeats), expected)


def displaced(atoms: Atoms, component: int, step: float) -> Atoms:
    """One Cartesian component (of the 3 N) moved by `step` Å; the energy changes by minus its force per Å."""
    moved = atoms.copy()
    moved.positions[component // 3, component % 3] += step
    return moved


def strained(atoms: Atoms, axes: tuple[int, int], step: float) -> Atoms:
    """Cell and atoms strained: ε_ab + ε_ba = `step` where a ≠ b, ε_aa = `step`; dE/dstep = V σ_ab."""
    strain = np.zeros((3, 3))
    strain[axes] = step
    deformation = np.eye(3) + 0.5 * (strain + strain.T)
    deformed = atoms.copy()
    deformed.set_cell(atoms.cell.array @ deformation, scale_atoms=False)
    deformed.positions = atoms.positions @ deformation
    return deformed

"""Momenta at the start of a run, and the degrees of freedom that a temperature counts."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

AT_REST = 1e-8
"""Total momentum over the largest of an atom, per atom, below which a system counts as at rest."""


def draw_momenta(atoms: Atoms, temperature_k: float, rng: np.random.Generator) -> None:
    """Set Maxwell-Boltzmann momenta at `temperature_k`, without drift and, for a molecule, without rotation.

    Drift and rotation stay where constraints hold atoms (nothing is conserved then) and for a single atom.
    """
    sigma = np.sqrt(atoms.get_masses() * units.kB * temperature_k)
    atoms.set_momenta(rng.standard_normal((len(atoms), 3)) * sigma[:, None])
    if atoms.constraints or len(atoms) == 1:
        return
    _stop_drift(atoms)
    if not atoms.pbc.any():
        _stop_rotation(atoms)


def degrees_of_freedom(atoms: Atoms, *, momentum_conserved: bool) -> int:
    """Number of momentum components free to share the kinetic energy, T = 2 E_kin / (dof k_B).

    Args:
        atoms: at the start of the run; what is at rest then and conserved stays at rest.
        momentum_conserved: False for stochastic thermostats, which push the centre of mass too.
    """
    dof = int(atoms.get_number_of_degrees_of_freedom())
    if atoms.constraints or not momentum_conserved:
        return dof
    momenta = atoms.get_momenta()
    small = AT_REST * max(float(np.abs(momenta).max()), 1e-300) * len(atoms)
    if np.abs(momenta.sum(axis=0)).max() > small:
        return dof
    dof -= 3
    arms = atoms.positions - atoms.get_center_of_mass()
    if not atoms.pbc.any() and np.abs(_angular_momentum(arms, momenta)).max() <= small * np.abs(arms).max():
        dof -= int(np.linalg.matrix_rank(_inertia(arms, atoms.get_masses()), hermitian=True, tol=1e-6))
    return dof


def temperature(atoms: Atoms, dof: int) -> float:
    """Kinetic temperature in K over `dof` degrees of freedom; 0 where none is left."""
    return float(2.0 * atoms.get_kinetic_energy() / (dof * units.kB)) if dof else 0.0


def _stop_drift(atoms: Atoms) -> None:
    masses, momenta = atoms.get_masses(), atoms.get_momenta()
    atoms.set_momenta(momenta - masses[:, None] * momenta.sum(axis=0) / masses.sum())


def _stop_rotation(atoms: Atoms) -> None:
    arms, momenta = atoms.positions - atoms.get_center_of_mass(), atoms.get_momenta()
    # the pseudo-inverse leaves out the axis of a linear molecule, about which nothing turns
    inverse = np.linalg.pinv(_inertia(arms, atoms.get_masses()), rcond=1e-9, hermitian=True)
    spin = inverse @ _angular_momentum(arms, momenta)
    atoms.set_momenta(momenta - atoms.get_masses()[:, None] * np.cross(spin, arms))


def _inertia(arms: NDArray, masses: NDArray) -> NDArray:
    """Inertia tensor [3, 3] about the origin of `arms` [N, 3]."""
    squares = (masses[:, None] * arms**2).sum()
    return squares * np.eye(3) - np.einsum("n,ni,nj->ij", masses, arms, arms)


def _angular_momentum(arms: NDArray, momenta: NDArray) -> NDArray:
    return np.cross(arms, momenta).sum(axis=0)

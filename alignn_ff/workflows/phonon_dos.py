"""What a mesh of wave vectors gives: density of states, in all and by element, and thermal properties."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from alignn_ff.workflows.result import Table

MESH_LENGTH_A = 100.0
"""Default mesh: as many points along a reciprocal vector as this is longer than the cell in that direction."""

PROJECTION_WIDTH = 2.0
"""Width of the Gaussian that shares the density of states among elements, in steps of its frequencies."""


def run_mesh(phonon: Any, mesh: tuple[int, int, int] | float | None) -> Any:
    """Frequencies and eigenvectors at the irreducible points of a mesh around Γ; a number is the length in Å."""
    return phonon.run_mesh(MESH_LENGTH_A if mesh is None else mesh, is_gamma_center=True, with_eigenvectors=True)


def density_of_states(phonon: Any) -> Table:
    """Columns frequency_thz, total_per_thz and one of each element, such as Cu_per_thz; the integral is 3 N.

    Needs `run_mesh`. The total is phonopy's, by linear tetrahedra. Each of its values is shared among the elements as
    the squared eigenvectors of the modes around that frequency are, which needs no more than the irreducible points.
    """
    total = phonon.run_total_dos()
    grid, density = total.frequency_points, total.dos
    symbols = np.array(phonon.primitive.symbols)
    shares = _shares(phonon.mesh, grid, symbols)
    return {"frequency_thz": grid, "total_per_thz": density} | {
        f"{symbol}_per_thz": density * share for symbol, share in shares.items()
    }


def thermal_properties(phonon: Any, temperatures_k: NDArray) -> Table:
    """Columns temperature_k, free_energy_kj_per_mol, entropy_j_per_k_mol, heat_capacity_j_per_k_mol.

    Needs `run_mesh`. Of the vibrations alone, at constant volume, per mole of primitive cells. Translations (at Γ) have
    no part in them, nor have imaginary modes.
    """
    found = phonon.run_thermal_properties(temperatures=temperatures_k, exclude_gamma_acoustic=True)
    return {
        "temperature_k": np.array(found.temperatures),
        "free_energy_kj_per_mol": np.array(found.free_energy),
        "entropy_j_per_k_mol": np.array(found.entropy),
        "heat_capacity_j_per_k_mol": np.array(found.heat_capacity),
    }


def _shares(mesh: Any, grid: NDArray, symbols: NDArray) -> dict[str, NDArray]:
    """Part [frequencies] of each element in the modes around each frequency."""
    frequencies = mesh.frequencies.ravel()
    weights = np.repeat(mesh.weights, mesh.frequencies.shape[1])
    # [Q, N, xyz, modes] -> squared displacement of each atom in each mode [Q * modes, N]
    vectors = mesh.eigenvectors.reshape(len(mesh.weights), len(symbols), 3, -1)
    squares = (np.abs(vectors) ** 2).sum(axis=2).swapaxes(1, 2).reshape(-1, len(symbols))
    width = PROJECTION_WIDTH * (grid[1] - grid[0])
    elements = list(dict.fromkeys(symbols))
    parts = np.column_stack([squares[:, symbols == symbol].sum(axis=1) for symbol in elements])
    shares = []
    for frequency in grid:
        near = weights * np.exp(-0.5 * ((frequencies - frequency) / width) ** 2)
        total = near.sum()
        shares.append(near @ parts / total if total > 0 else np.zeros(len(elements)))
    return dict(zip(elements, np.array(shares).T, strict=True))

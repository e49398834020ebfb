"""Mode Grüneisen parameters: how much stiffer each vibration gets as the crystal is compressed."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from alignn_ff.workflows.phonon_bands import Segment, bands_along, frequencies_thz, frequency_columns, points_of
from alignn_ff.workflows.phonon_dos import run_mesh
from alignn_ff.workflows.result import Table

SLOWEST_THZ = 1e-3
"""Slower modes have no Grüneisen parameter: translations, which no volume makes stiffer, and imaginary modes."""

KELVIN_PER_THZ = units._hplanck * 1e12 / units._k
"""Temperature of a quantum of 1 THz."""


def gruneisen_bands(centre: Any, plus: Any, minus: Any, path: list[Segment]) -> Table:
    """Columns of `bands_along`, and gruneisen_1 and so on in the order of the frequencies.

    Args:
        centre, plus, minus: phonopy's objects at a volume, at a larger and at a smaller one.
    """
    bands = bands_along(centre, path)
    return {**bands, **_columns(mode_gruneisen(centre, plus, minus, points_of(bands)))}


def gruneisen_mesh(centre: Any, plus: Any, minus: Any, mesh: tuple[int, int, int] | None) -> Table:
    """Columns q_1 to q_3, frequency_1_thz and so on, weight, gruneisen_1 and so on, at irreducible points of a mesh."""
    found = run_mesh(centre, mesh)
    columns = frequency_columns(found.qpoints, found.frequencies) | {"weight": found.weights}
    return columns | _columns(mode_gruneisen(centre, plus, minus, found.qpoints))


def mode_gruneisen(centre: Any, plus: Any, minus: Any, points: NDArray) -> NDArray:
    """-d ln ω / d ln V of each mode [Q, modes] at `points` [Q, 3], modes by frequency; NaN for translations.

    First-order perturbation theory, γ = -V <e| dD/dV |e> / (2 ω²) with the dynamical matrix D. Modes of one frequency
    need no care, as a strain that keeps the symmetry changes them alike. phonopy's own routine takes modes close to Γ
    for degenerate and mixes them up.
    """
    results = [phonon.run_qpoints(points, with_dynamical_matrices=True) for phonon in (centre, plus, minus)]
    frequencies = results[0].frequencies
    middle, larger, smaller = (result.dynamical_matrices for result in results)
    relative = (plus.primitive.volume - minus.primitive.volume) / centre.primitive.volume
    squares, vectors = np.linalg.eigh(middle)
    change = np.einsum("qam,qab,qbm->qm", vectors.conj(), larger - smaller, vectors).real / relative
    moving = frequencies > SLOWEST_THZ
    return np.where(moving, -change / (2.0 * np.where(moving, squares, 1.0)), np.nan)


def mean_gruneisen(table: Table, temperature_k: float) -> float:
    """Mean over the mesh, each mode weighted with its heat capacity: the thermodynamic γ = α B V / C_v."""
    parameters = np.column_stack([column for name, column in table.items() if name.startswith("gruneisen_")])
    modes = np.isfinite(parameters)
    x = np.where(modes, frequencies_thz(table), 1.0) * KELVIN_PER_THZ / temperature_k
    heat = x**2 * np.exp(-x) / np.expm1(-x) ** 2 * table["weight"][:, None]
    return float((heat * parameters)[modes].sum() / heat[modes].sum())


def _columns(parameters: NDArray) -> dict[str, NDArray]:
    return {f"gruneisen_{mode + 1}": parameters[:, mode] for mode in range(parameters.shape[1])}

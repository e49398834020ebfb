"""Which atoms a point defect concerns, and the supercells that hold it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.supercell import chosen_supercell, next_larger
from alignn_ff.workflows.symmetry import symmetry_dataset

if TYPE_CHECKING:
    from alignn_ff.workflows.defect_series import SeriesSettings


def chosen_sites(crystal: Atoms, settings: SeriesSettings) -> list[int]:
    """Atoms to remove or replace: the one asked for, or the first of each kind.

    Raises:
        ConfigError: no such atom.
    """
    if settings.site is not None:
        if settings.site >= len(crystal):
            raise ConfigError(f"`site` = {settings.site}: the structure has atoms 0 to {len(crystal) - 1}.")
        return [settings.site]
    return np.unique(kinds(crystal, settings.symprec)).tolist()


def kinds(crystal: Atoms, symprec: float) -> NDArray:
    """For each atom the first one that symmetry maps it to [N]."""
    dataset = symmetry_dataset(crystal, symprec)
    return np.arange(len(crystal)) if dataset is None else dataset.equivalent_atoms


def supercell_series(crystal: Atoms, settings: SeriesSettings) -> list[NDArray]:
    """Supercell matrices [3, 3] (rows are vectors in terms of the cell's), ascending, of `max_atoms` at most.

    Raises:
        ConfigError: the smallest has one atom only, or more than `max_atoms`.
    """
    if settings.supercell is not None:
        matrices = [np.diag(settings.supercell)]
    else:
        matrices = [chosen_supercell(crystal, 0.5 * settings.shortest_a, np.iinfo(int).max)]
        while len(matrices) < settings.sizes:
            matrices.append(next_larger(crystal, matrices[-1]))
    sizes = [len(crystal) * round(abs(np.linalg.det(matrix))) for matrix in matrices]
    if sizes[0] < 2:
        raise ConfigError("a supercell of one atom holds none without it; a larger one was expected.")
    if settings.supercell is None and sizes[0] > settings.max_atoms:
        raise ConfigError(
            f"the smallest supercell {settings.shortest_a:g} Å long has {sizes[0]} atoms, `max_atoms` are "
            f"{settings.max_atoms}: let there be more, or a smaller `shortest_a`."
        )
    return [
        matrix
        for matrix, size in zip(matrices, sizes, strict=True)
        if settings.supercell is not None or size <= settings.max_atoms
    ]


def image_distance_a(atoms: Atoms) -> float:
    """Distance in Å between a point of a crystal and its nearest image."""
    reduced, _ = minkowski_reduce(atoms.cell[:])
    return float(np.linalg.norm(reduced, axis=1).min())

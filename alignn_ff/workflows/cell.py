"""The cell in a relaxation: whether it may move, what holds it, and its space group."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.frames import any_stress, offered_stress
from alignn_ff.workflows.settings import reject_unused
from alignn_ff.workflows.symmetry import symmetry_dataset

if TYPE_CHECKING:
    from alignn_ff.workflows.relax import RelaxSettings

CELL_ONLY = ("pressure_gpa", "cell_mask", "hydrostatic", "constant_volume")
"""Settings of a relaxation that mean nothing while the cell stays as it is."""


def cell_to_relax(atoms: Atoms, settings: RelaxSettings) -> str:
    """ "full" or "none": what `settings.cell` means for this structure and its calculator.

    Raises:
        ConfigError: the cell was asked for and cannot be relaxed.
    """
    periodic = bool(atoms.pbc.all()) and atoms.cell.rank == 3
    if settings.cell == "auto":
        if periodic and offered_stress(atoms) is not None:
            return "full"
        why = "the calculator has no stress" if periodic else "the structure is not periodic in all directions"
        reject_unused(settings, CELL_ONLY, f"the cell stays as it is, because {why}")
        return "none"
    if settings.cell == "none":
        return "none"
    if not atoms.pbc.any() or atoms.cell.rank < 3:
        raise ConfigError(
            f"cell = full, but the structure has no periodic cell (pbc {atoms.pbc.tolist()}, "
            f"{atoms.cell.rank} cell vectors). Set the cell and pbc, or use cell = none."
        )
    if not periodic and settings.cell_mask is None:
        raise ConfigError(
            f"cell = full, but the structure is periodic in {int(atoms.pbc.sum())} of 3 directions "
            f"(pbc {atoms.pbc.tolist()}). Say which strains xx yy zz yz xz xy may change "
            "(cell_mask = 1,1,0,0,0,1 for a slab in the xy plane), or use cell = none."
        )
    if any_stress(atoms) is None:
        raise ConfigError("cell = full, but the calculator offers no stress. Use cell = none or another model.")
    return "full"


def space_group(atoms: Atoms, symprec: float) -> str | None:
    """International symbol and number, e.g. "Fm-3m (225)"; None without periodicity in 3D."""
    if not (atoms.pbc.all() and atoms.cell.rank == 3):
        return None
    found = symmetry_dataset(atoms, symprec)
    return None if found is None else f"{found.international} ({found.number})"


def stress_off_target_gpa(stress: NDArray, settings: RelaxSettings) -> float:
    """Largest component of stress + pressure in GPa that `settings` let the cell follow.

    Args:
        stress: Voigt [6] in eV/Å³.
        settings: a masked strain does not count; hydrostatic leaves the mean of the diagonal, constant_volume what
            differs from it.
    """
    diagonal = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    off = stress * GPA_PER_EV_A3 + settings.pressure_gpa * diagonal
    mean = off[:3].mean() * diagonal
    if settings.hydrostatic:
        off = mean
    if settings.constant_volume:
        off = off - mean
    if settings.cell_mask is not None:
        off = off * settings.cell_mask
    return float(np.abs(off).max())


@contextmanager
def quiet_logm() -> Iterator[None]:
    """Without scipy's warning, step after step, that the logarithm of the strain is off by 1e-10 or less."""
    with warnings.catch_warnings():
        tiny = r"logm result may be inaccurate, approximate err = \S+e-1\d"
        warnings.filterwarnings("ignore", tiny, RuntimeWarning)
        yield


def moved(work: Atoms, settings: RelaxSettings, cell: str) -> Atoms | FrechetCellFilter:
    """What the optimizer moves: the atoms, or atoms and cell."""
    if settings.fix_symmetry:
        if not work.pbc.all():
            raise ConfigError(f"fix_symmetry needs a structure periodic in 3D, got pbc {work.pbc.tolist()}.")
        work.set_constraint([*work.constraints, FixSymmetry(work, symprec=settings.symprec)])
    if cell == "none":
        return work
    return FrechetCellFilter(
        work,
        mask=settings.cell_mask,
        hydrostatic_strain=settings.hydrostatic,
        constant_volume=settings.constant_volume,
        scalar_pressure=settings.pressure_gpa / GPA_PER_EV_A3,
    )

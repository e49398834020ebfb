"""A crystal strained in each Voigt direction, the ions clamped to the strain or relaxed in the strained cell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_strain
from numpy.typing import NDArray

from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import CrystalSettings, atoms_alone
from alignn_ff.workflows.frames import max_norm, stored_forces
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.result import Table

DIRECTIONS = ("xx", "yy", "zz", "yz", "xz", "xy")
"""Voigt order; shear strains are engineering strains."""

COLUMNS = ("ions", "direction", "strain", *(f"stress_{name}_gpa" for name in DIRECTIONS), "max_force_ev_per_a")

Row = tuple[Any, ...]
Record = Callable[[Row], None]


def strained(atoms: Atoms, direction: int, strain: float) -> Atoms:
    """A copy strained by one Voigt component, atoms following the cell; its calculator is left out."""
    voigt = np.zeros(6)
    voigt[direction] = strain
    copy = atoms.copy()
    cell = atoms.cell[:] @ voigt_6_to_full_3x3_strain(voigt)  # ASE's has the identity in it
    copy.set_cell(cell, scale_atoms=True, apply_constraint=False)
    return copy


def clamped_rows(crystal: Atoms, strains: NDArray, calc: Any, record: Record) -> tuple[list[Atoms], list[Row]]:
    """Every strain [P] in every direction, the ions following the cell: frames and rows of `COLUMNS`, 6 P each."""
    cells = [strained(crystal, direction, strain) for direction in range(6) for strain in strains]
    frames: list[Atoms] = []
    rows: list[Row] = []
    for frame in evaluate_each(cells, calc, stress=True):
        rows.append(_row("clamped", len(rows), strains, frame))
        record(rows[-1])
        frames.append(frame)
    return frames, rows


def relaxed_rows(
    clamped: Sequence[Atoms], strains: NDArray, calc: Any, settings: CrystalSettings, record: Record
) -> tuple[bool, list[Row]]:
    """The same cells with relaxed ions: whether all converged, and rows; where no forces act nothing is computed."""
    relax = Relaxer(calc)
    rows: list[Row] = []
    converged = True
    for frame in clamped:
        if max_norm(stored_forces(frame)) > settings.fmax:
            point = relax(frame, atoms_alone(settings))
            frame, converged = point.atoms, converged and point.converged
        rows.append(_row("relaxed", len(rows), strains, frame))
        record(rows[-1])
    return converged, rows


def stress_by_direction(rows: Sequence[Row]) -> NDArray:
    """Stress [6, P, 6] in GPa of direction, strain and component."""
    first, last = COLUMNS.index("stress_xx_gpa"), COLUMNS.index("stress_xy_gpa")
    return np.array([row[first : last + 1] for row in rows]).reshape(6, -1, 6)


def table(rows: Sequence[Row]) -> Table:
    """Rows as columns."""
    return {name: np.array(column) for name, column in zip(COLUMNS, zip(*rows, strict=True), strict=True)}


def _row(ions: str, place: int, strains: NDArray, frame: Atoms) -> Row:
    direction, step = divmod(place, len(strains))
    stress = frame.calc.results["stress"] * GPA_PER_EV_A3
    force = max_norm(stored_forces(frame))
    return (ions, DIRECTIONS[direction], float(strains[step]), *map(float, stress), force)

"""Elastic tensor of a crystal, ions clamped and relaxed, with moduli, sound velocities and stability.

alignn-ff elastic si.cif --pressure 10
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.workflows.crystal import CrystalSettings, reference_crystal
from alignn_ff.workflows.elastic_fit import fit_stress
from alignn_ff.workflows.elastic_moduli import CubicConstants, cubic_constants, density_g_cm3, elasticity
from alignn_ff.workflows.elastic_result import ElasticResult
from alignn_ff.workflows.elastic_scan import COLUMNS, Row, clamped_rows, relaxed_rows, stress_by_direction, table
from alignn_ff.workflows.elastic_tensor import Tensor, symmetrised
from alignn_ff.workflows.frames import append_line, growing_file
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.symmetry import CUBIC, point_group_rotations, standard_rotation, symmetry_dataset

log = logging.getLogger(__name__)

LARGEST_STRAIN_PERCENT = 5.0

FEWEST_POINTS = 6
"""Two more than the parameters of the cubic polynomial, so that its slope has an error."""

NONLINEAR_PERCENT = 2.0
"""A tensor that differs this much from slopes of straight lines was strained too far."""


@dataclass(frozen=True)
class ElasticSettings(CrystalSettings):
    """How to strain and fit; see `--help` of the command for each field."""

    strain_percent: float = setting(0.5, "Largest strain, either way.", unit="%", above=0)
    points: int = setting(6, "Strains in each Voigt direction, half of them negative.", at_least=FEWEST_POINTS)
    relax_ions: bool = setting(True, "Relax the ions in each strained cell; without it only the clamped-ion tensor.")
    axes: str = setting(
        "standard",
        "Cartesian axes of the tensor: standard (spglib's: a along x, b in the xy plane; cubic axes along x, y and z), "
        "or those of the input.",
        choices=("standard", "input"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.relax or self.relax_ions):
            reject_unused(self, ("optimizer", "fmax", "relax_steps"), "nothing is relaxed")
        if self.points % 2:
            raise ConfigError(f"`points` = {self.points}: an even number was expected, as many strains each way.")
        if self.strain_percent > LARGEST_STRAIN_PERCENT:
            raise ConfigError(
                f"`strain_percent` = {self.strain_percent:g}: at most {LARGEST_STRAIN_PERCENT:g} % was expected, "
                "elastic constants are the limit of small strains."
            )

    @property
    def strains(self) -> NDArray:
        """The strains of one direction [points], evenly from the largest compression without zero."""
        steps = np.arange(1, self.points // 2 + 1) / (self.points // 2)
        return 0.01 * self.strain_percent * np.concatenate([-steps[::-1], steps])


ELASTIC_DEFAULTS = ElasticSettings()


def run_elastic(
    atoms: Atoms,
    settings: ElasticSettings = ELASTIC_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> ElasticResult:
    """Relax a copy of `atoms` with its calculator, strain it, and fit its elastic tensor to the stress.

    Args:
        atoms: periodic in 3D, with a calculator that offers stress; left as it is.
        folder: where `strains.csv` grows cell by cell and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        The result, also of an unstable crystal (without what it does not have) and of one that did not relax.
    Raises:
        ConfigError: no calculator, no stress, or no crystal periodic in 3D.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    reference = reference_crystal(atoms, settings, needs_stress=True)
    total = 6 * settings.points * (1 + settings.relax_ions)
    with growing_file(folder, "strains.csv") as file, track("elastic", total, show=progress) as advance:
        append_line(file, COLUMNS)

        def record(row: Row) -> None:
            append_line(file, row)
            advance(note=f"{row[0]} {row[1]} {row[2]:+.3%}")

        frames, clamped = clamped_rows(reference.atoms, settings.strains, atoms.calc, record)
        converged, relaxed = True, None
        if settings.relax_ions:
            converged, relaxed = relaxed_rows(frames, settings.strains, atoms.calc, settings, record)
    result = _result(reference, clamped, relaxed, settings, converged=converged)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _result(
    reference: RelaxResult,
    clamped: Sequence[Row],
    relaxed: Sequence[Row] | None,
    settings: ElasticSettings,
    *,
    converged: bool,
) -> ElasticResult:
    crystal = reference.atoms
    fits = [fit_stress(settings.strains, stress_by_direction(rows)) for rows in (clamped, relaxed) if rows is not None]
    axes = _axes(crystal, settings)
    tensors = [_seen_from(axes, fit.tensor, crystal, settings) for fit in fits]
    found = [elasticity(tensor, crystal) for tensor in tensors]
    return ElasticResult(
        atoms=crystal,
        settings=settings,
        clamped_ion=found[0],
        relaxed_ion=found[1] if settings.relax_ions else None,
        cubic=_cubic(fits[-1].tensor, crystal, settings),
        axes=axes,
        strains=table([*clamped, *(relaxed or ())]),
        converged=converged and (reference.converged or not settings.relax),
        space_group=reference.space_group_after,
        volume_a3=crystal.get_volume(),
        density_g_cm3=density_g_cm3(crystal),
        residual_stress_gpa=reference.max_stress_gpa or 0.0,
        asymmetry_gpa=fits[-1].asymmetry_gpa,
        nonlinearity_percent=100.0 * fits[-1].nonlinearity,
        ion_relaxation_gpa=float(np.abs(tensors[-1].values - tensors[0].values).max()) if settings.relax_ions else None,
    )


def _axes(crystal: Atoms, settings: ElasticSettings) -> NDArray:
    """Rotation [3, 3] from the axes of the crystal to those of the tensor."""
    return np.eye(3) if settings.axes == "input" else standard_rotation(crystal, settings.symprec)


def _seen_from(axes: NDArray, tensor: Tensor, crystal: Atoms, settings: ElasticSettings) -> Tensor:
    """The tensor symmetrised and rotated, in one go so that errors are propagated once."""
    return symmetrised(tensor, axes @ point_group_rotations(crystal, settings.symprec))


def _cubic(tensor: Tensor, crystal: Atoms, settings: ElasticSettings) -> CubicConstants | None:
    dataset = symmetry_dataset(crystal, settings.symprec)
    if dataset is None or dataset.number not in CUBIC:
        return None
    axes = standard_rotation(crystal, settings.symprec)
    return cubic_constants(_seen_from(axes, tensor, crystal, settings).values)


def _warn(result: ElasticResult) -> None:
    if result.nonlinearity_percent > NONLINEAR_PERCENT:
        log.warning(
            "stress is not linear within %.3g %% of strain: straight lines would change the tensor by %.2g %%. Check "
            "the figure, and take a smaller strain_percent.",
            result.settings.strain_percent,
            result.nonlinearity_percent,
        )
    if result.elasticity.smallest_eigenvalue_gpa <= 0:
        log.warning(
            "the crystal is mechanically unstable (smallest eigenvalue of its elastic tensor %.3g GPa): it has no "
            "Reuss and Hill averages, no sound velocities and no Debye temperature.",
            result.elasticity.smallest_eigenvalue_gpa,
        )

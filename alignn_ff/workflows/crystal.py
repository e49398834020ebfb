"""The crystal whose property is computed: periodic in 3D and, unless told otherwise, tightly relaxed first."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Any

from ase import Atoms

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.frames import any_stress, working_copy
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxResult, RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.settings import reject_unused, setting, validate

log = logging.getLogger(__name__)

LARGE_STRESS_GPA = 0.1
LARGE_FORCE_EV_PER_A = 0.01
"""Beyond these a structure left as given is said to be unrelaxed."""


@dataclass(frozen=True)
class CrystalSettings:
    """How the crystal is relaxed before anything else; settings of workflows on crystals begin with these."""

    relax: bool = setting(True, "Relax cell and atoms tightly first, keeping the space group.")
    pressure_gpa: float = setting(0.0, "Pressure to relax the cell to.", unit="GPa", alias="--pressure")
    optimizer: str = setting("BFGS", "ASE optimizer of every relaxation.", choices=tuple(OPTIMIZERS))
    fmax: float = setting(1e-4, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    relax_steps: int = setting(500, "Its most steps.", at_least=1)
    symprec: float = setting(0.01, "Tolerance of the space group search.", unit="Å", above=0)

    def __post_init__(self) -> None:
        validate(self)
        if not self.relax:
            reject_unused(self, ("pressure_gpa",), "relax is off")


def reference_crystal(
    atoms: Atoms, settings: CrystalSettings, *, needs_stress: bool = False, relax: Relaxer | None = None
) -> RelaxResult:
    """The crystal to compute with, relaxed as `settings` say; the atoms alone where the calculator has no stress.

    Args:
        needs_stress: refuse a calculator without stress.
        relax: of the job, with the calculator of `atoms`; one that forgets unless given.
    Raises:
        ConfigError: no calculator, not periodic in 3D, or no stress where it is needed.
        StructureError, RunawayError: as in `run_relax`.
    """
    if not atoms.pbc.all() or atoms.cell.rank < 3:
        raise ConfigError(
            f"the structure is not a crystal: pbc {atoms.pbc.tolist()}, {atoms.cell.rank} cell vectors; periodicity "
            "in 3D was expected."
        )
    if needs_stress and any_stress(working_copy(atoms)) is None:
        raise ConfigError("the calculator offers no stress, from which this is computed. Use another model.")
    result = (relax or Relaxer(working_copy(atoms).calc))(atoms, _how(settings))
    _warn(result, settings)
    return result


def atoms_alone(settings: CrystalSettings) -> RelaxSettings:
    """How the atoms relax within a cell that stays as it is."""
    return RelaxSettings(**_method(settings), cell="none")


def atoms_and_normal(settings: CrystalSettings) -> RelaxSettings:
    """How atoms and cell relax while the first two cell vectors, in the xy plane, stay as they are.

    Where the third one shears they change in second order of the shear.
    """
    out_of_plane = (False, False, True, True, True, False)
    return RelaxSettings(**_method(settings), cell="full", cell_mask=out_of_plane)


def relax_shape(atoms: Atoms, settings: CrystalSettings) -> RelaxResult:
    """Atoms and shape of the cell relaxed at its volume, the space group kept; as given where `relax` is off."""
    how = _how(settings)
    if settings.relax:
        how = replace(how, pressure_gpa=0.0, constant_volume=any_stress(working_copy(atoms)) is not None)
    return Relaxer(atoms.calc)(atoms, how)


def _how(settings: CrystalSettings) -> RelaxSettings:
    if not settings.relax:
        return RelaxSettings(fmax=settings.fmax, steps=0, cell="none", symprec=settings.symprec)
    return RelaxSettings(**_method(settings), pressure_gpa=settings.pressure_gpa, fix_symmetry=True)


def _method(settings: CrystalSettings) -> dict[str, Any]:
    return {
        "optimizer": settings.optimizer,
        "fmax": settings.fmax,
        "steps": settings.relax_steps,
        "symprec": settings.symprec,
    }


def _warn(result: RelaxResult, settings: CrystalSettings) -> None:
    stress = result.max_stress_gpa or 0.0
    found = f"largest force {result.max_force_ev_per_a:.3g} eV/Å, largest stress off target {stress:.3g} GPa"
    if settings.relax and not result.converged:
        log.warning("the relaxation before it did not converge (%s): %s.", result.reason, found)
    elif result.max_force_ev_per_a > LARGE_FORCE_EV_PER_A or stress > LARGE_STRESS_GPA:
        log.warning("the crystal is not at its energy minimum: %s. Let it relax first, or mind this prestress.", found)

"""Thermodynamic ensembles: which integrator makes them, and what it conserves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.calculators.calculator import PropertyNotImplementedError
from ase.md.langevin import Langevin
from ase.md.md import MolecularDynamics
from ase.md.nose_hoover_chain import IsotropicMTKNPT, NoseHooverChainNVT
from ase.md.verlet import VelocityVerlet

from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.frames import offered_stress

if TYPE_CHECKING:
    from alignn_ff.workflows.md import MDSettings

Energy = Callable[[Any], "float | None"]
Build = Callable[[Atoms, "MDSettings", int, np.random.Generator], MolecularDynamics]


class Ensemble(NamedTuple):
    """One row of the table of ensembles."""

    build: Build
    """(atoms, settings, degrees of freedom, random numbers) -> integrator."""
    conserved: Energy
    """Energy in eV that an exact integrator keeps, or None."""
    uses: tuple[str, ...]
    """Settings that this ensemble reads and others do not."""
    conserves_momentum: bool = True


def _nve(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MolecularDynamics:
    return VelocityVerlet(atoms, settings.timestep_fs * units.fs)


def _nvt_langevin(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MolecularDynamics:
    return Langevin(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.temperature_k,
        friction=settings.friction_per_fs / units.fs,
        fixcm=False,  # holding the centre of mass, ASE's Langevin samples a slightly wrong distribution
        rng=rng,
    )


def _nvt(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MolecularDynamics:
    if atoms.constraints:  # ASE's chain takes the momentum of held atoms for heat, and freezes the others
        raise ConfigError("ensemble nvt cannot hold atoms. Use nvt-langevin, or remove the constraints.")
    return NoseHooverChainNVT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=_chain_temperature(atoms, settings, dof),
        tdamp=settings.thermostat_time_fs * units.fs,
    )


def _npt(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MolecularDynamics:
    if atoms.constraints:
        raise ConfigError("ensemble npt moves all atoms with the cell. Remove the constraints, or use nvt-langevin.")
    if offered_stress(atoms) is None:
        raise ConfigError(
            f"ensemble npt needs a structure periodic in 3D (pbc is {atoms.pbc.tolist()}) and a calculator "
            "with stress. Use nvt, or another model."
        )
    return IsotropicMTKNPT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=_chain_temperature(atoms, settings, dof),
        pressure_au=settings.pressure_gpa / GPA_PER_EV_A3,
        tdamp=settings.thermostat_time_fs * units.fs,
        pdamp=settings.barostat_time_fs * units.fs,
    )


def _chain_temperature(atoms: Atoms, settings: MDSettings, dof: int) -> float:
    """Target in K for ASE's chains, which hold the kinetic energy at 3 N k_B T / 2 whatever is free to move.

    Fewer degrees of freedom (a resting centre of mass) must therefore be told as a lower temperature, or each
    of them gets 3 N / dof times too much: 3.2 % for 32 atoms.
    """
    return settings.temperature_k * dof / (3 * len(atoms))


def _total(dynamics: MolecularDynamics) -> float:
    return float(dynamics.atoms.get_total_energy())


def _extended(dynamics: NoseHooverChainNVT | IsotropicMTKNPT) -> float | None:
    """Energy of system and bath; None if the calculator lacks the `free_energy` that ASE asks for."""
    try:
        return float(dynamics.get_conserved_energy())
    except PropertyNotImplementedError:
        return None


def _none(dynamics: MolecularDynamics) -> None:
    return None


ENSEMBLES = {
    "nve": Ensemble(_nve, _total, ()),
    "nvt": Ensemble(_nvt, _extended, ("thermostat_time_fs",)),
    "nvt-langevin": Ensemble(_nvt_langevin, _none, ("friction_per_fs",), conserves_momentum=False),
    "npt": Ensemble(_npt, _extended, ("thermostat_time_fs", "barostat_time_fs", "pressure_gpa")),
}
"""Velocity Verlet; Nosé-Hoover chain (Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635, 1992); Langevin
(Vanden-Eijnden, Ciccotti, Chem. Phys. Lett. 429, 310, 2006); isotropic NPT (Martyna, Tobias, Klein, J. Chem.
Phys. 101, 4177, 1994)."""

SPECIFIC = tuple(dict.fromkeys(name for ensemble in ENSEMBLES.values() for name in ensemble.uses))
"""Settings that only some ensembles read."""

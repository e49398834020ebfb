"""Integrators whose cell moves under a pressure, with and without a heat bath, as ASE has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from ase.md.langevinbaoab import LangevinBAOAB
from ase.md.nose_hoover_chain import MTKNPT, IsotropicMTKNPT, MaskedMTKNPT

from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.frames import offered_stress
from alignn_ff.workflows.thermostats import heat_chain, shared_temperature

if TYPE_CHECKING:
    from alignn_ff.workflows.md_settings import MDSettings

SYMMETRIC = 6
"""Components of a strain without rotation."""


def isotropic(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> IsotropicMTKNPT:
    """The volume breathes (Martyna, Tobias, Klein, J. Chem. Phys. 101, 4177, 1994)."""
    return IsotropicMTKNPT(atoms, **_baths(atoms, settings, dof))


def along_axes(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MaskedMTKNPT:
    """Each cell vector that may strains along itself; the source is that of `isotropic`."""
    # an array: numpy takes a tuple of flags, which ASE asks for, as one index that picks nothing
    return MaskedMTKNPT(atoms, **_baths(atoms, settings, dof), mask=np.array(settings.cell_axes))  # type: ignore[arg-type]


def flexible(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> MTKNPT:
    """All strains of the cell; the source is that of `isotropic`."""
    dynamics = MTKNPT(atoms, **_baths(atoms, settings, dof))
    barostat = dynamics._barostat
    # ASE's cell has no rotation, six components, and gets the heat of nine: 1.5 times the temperature
    barostat._cell_dof = SYMMETRIC
    barostat._R[0] = SYMMETRIC * barostat._kT * barostat._pdamp**2
    return dynamics


def without_baths(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> IsotropicMTKNPT:
    """The volume breathes at constant enthalpy: `isotropic`, with baths too heavy to move."""
    dynamics = isotropic(atoms, settings, dof, rng)
    dynamics._thermostat._Q[:] = np.inf
    dynamics._barostat._R[:] = np.inf
    return dynamics


def heat_isotropic(dynamics: IsotropicMTKNPT, temperature_k: float, dof: int) -> None:
    """Give both chains a new temperature; the rate of strain stays."""
    dynamics._p_eps *= _heat_barostat(dynamics, temperature_k, dof)


def heat_along_axes(dynamics: MaskedMTKNPT, temperature_k: float, dof: int) -> None:
    """Give both chains a new temperature; the rate of strain stays."""
    dynamics._p_c *= _heat_barostat(dynamics, temperature_k, dof)


def heat_flexible(dynamics: MTKNPT, temperature_k: float, dof: int) -> None:
    """Give both chains a new temperature; the rate of strain stays."""
    dynamics._p_g *= _heat_barostat(dynamics, temperature_k, dof)


def langevin_cell(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> LangevinBAOAB:
    """The volume breathes, with friction and noise on atoms and volume.

    Source: Quigley, Probert, J. Chem. Phys. 120, 11432 (2004), in the steps of Leimkuhler, Matthews, J. Chem. Phys.
    138, 174102 (2013).
    """
    _require_cell(atoms, settings)
    temperature_k, period = settings.schedule.temperature_k(0), settings.barostat_time_fs * units.fs
    return LangevinBAOAB(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=temperature_k,
        externalstress=-settings.pressure_gpa / GPA_PER_EV_A3,
        hydrostatic=True,  # ASE's other branch lets the volume drive shears
        T_tau=units.fs / settings.friction_per_fs,
        P_tau=period,
        P_mass=(dof + 3) * units.kB * temperature_k * period**2,  # as in `isotropic`
        rng=rng,
    )


def heat_langevin_cell(dynamics: LangevinBAOAB, temperature_k: float, dof: int) -> None:
    """Give the noise on atoms and volume a new temperature; the mass of the volume stays."""
    dynamics.set_temperature(temperature_k)


def _baths(atoms: Atoms, settings: MDSettings, dof: int) -> dict[str, Any]:
    _require_cell(atoms, settings)
    return {
        "timestep": settings.timestep_fs * units.fs,
        "temperature_K": shared_temperature(atoms, settings.schedule.temperature_k(0), dof),
        "pressure_au": settings.pressure_gpa / GPA_PER_EV_A3,
        "tdamp": settings.thermostat_time_fs * units.fs,
        "pdamp": settings.barostat_time_fs * units.fs,
    }


def _heat_barostat(dynamics: IsotropicMTKNPT | MTKNPT, temperature_k: float, dof: int) -> float:
    """New temperature and masses of both chains and the cell; the factor by which the masses grew."""
    shared = shared_temperature(dynamics.atoms, temperature_k, dof)
    heat_chain(dynamics._thermostat, shared)
    barostat = dynamics._barostat
    scale = units.kB * shared / barostat._kT
    barostat._kT *= scale
    barostat._W *= scale
    barostat._R *= scale
    barostat._p_xi *= scale
    return scale


def _require_cell(atoms: Atoms, settings: MDSettings) -> None:
    """Raise ConfigError where atoms are held, or the cell has no stress to move it."""
    if atoms.constraints:
        raise ConfigError(
            f"ensemble {settings.ensemble} moves all atoms with the cell. Remove the constraints, or use nvt-langevin."
        )
    if offered_stress(atoms) is None:
        raise ConfigError(
            f"ensemble {settings.ensemble} needs a structure periodic in 3D (pbc is {atoms.pbc.tolist()}) and a "
            "calculator with stress. Use nvt, or another model."
        )

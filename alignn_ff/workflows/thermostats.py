"""Integrators at constant volume, with and without a heat bath, as ASE has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms, units
from ase.md.bussi import Bussi
from ase.md.langevin import Langevin
from ase.md.nose_hoover_chain import NoseHooverChainNVT, NoseHooverChainThermostat
from ase.md.nvtberendsen import NVTBerendsen
from ase.md.verlet import VelocityVerlet

from alignn_ff.errors import ConfigError

if TYPE_CHECKING:
    from alignn_ff.workflows.md_settings import MDSettings


def verlet(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> VelocityVerlet:
    """No bath: velocity Verlet."""
    return VelocityVerlet(atoms, settings.timestep_fs * units.fs)


def nose_hoover(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> NoseHooverChainNVT:
    """Nosé-Hoover chain of three thermostats (Martyna, Klein, Tuckerman, J. Chem. Phys. 97, 2635, 1992).

    Raises:
        ConfigError: held atoms; ASE's chain takes their momentum for heat, and freezes the others.
    """
    _require_free(atoms, settings)
    return NoseHooverChainNVT(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=shared_temperature(atoms, settings.schedule.temperature_k(0), dof),
        tdamp=settings.thermostat_time_fs * units.fs,
    )


def heat_nose_hoover(dynamics: NoseHooverChainNVT, temperature_k: float, dof: int) -> None:
    """Give the chain a new temperature."""
    heat_chain(dynamics._thermostat, shared_temperature(dynamics.atoms, temperature_k, dof))


def heat_chain(chain: NoseHooverChainThermostat, temperature_k: float) -> None:
    """Give ASE's chain a new temperature at the same relaxation time: masses grow with it, velocities stay."""
    scale = units.kB * temperature_k / chain._kT
    chain._kT *= scale
    chain._Q *= scale
    chain._p_eta *= scale


def shared_temperature(atoms: Atoms, temperature_k: float, dof: int) -> float:
    """Temperature in K to tell baths of ASE that hold the kinetic energy at 3 N k_B T / 2, whatever is free.

    Fewer degrees of freedom (a resting centre of mass) must be told as a lower temperature, or each of them gets
    3 N / dof times too much: 3.2 % for 32 atoms.
    """
    return temperature_k * dof / (3 * len(atoms))


def langevin(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> Langevin:
    """Friction and noise on every atom (Vanden-Eijnden, Ciccotti, Chem. Phys. Lett. 429, 310, 2006)."""
    return Langevin(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.schedule.temperature_k(0),
        friction=settings.friction_per_fs / units.fs,
        fixcm=False,  # holding the centre of mass, ASE's Langevin samples a slightly wrong distribution
        rng=rng,
    )


def heat_langevin(dynamics: Langevin, temperature_k: float, dof: int) -> None:
    """Give the noise a new temperature."""
    dynamics.set_temperature(temperature_K=temperature_k)


def bussi(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> Bussi:
    """Stochastic rescaling of all velocities (Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101, 2007).

    Raises:
        ConfigError: all atoms are at rest: there is nothing to rescale.
    """
    _require_motion(atoms, settings)
    dynamics = Bussi(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=settings.schedule.temperature_k(0),
        taut=settings.thermostat_time_fs * units.fs,
        rng=rng,
    )
    dynamics.ndof = dof  # ASE counts the resting centre of mass, and would heat the others for it
    heat_bussi(dynamics, settings.schedule.temperature_k(0), dof)
    return dynamics


def heat_bussi(dynamics: Bussi, temperature_k: float, dof: int) -> None:
    """Give the bath a new temperature."""
    dynamics.temp = units.kB * temperature_k
    dynamics.target_kinetic_energy = 0.5 * dynamics.temp * dof


def berendsen(atoms: Atoms, settings: MDSettings, dof: int, rng: np.random.Generator) -> NVTBerendsen:
    """Weak coupling (Berendsen et al., J. Chem. Phys. 81, 3684, 1984): the mean is right, fluctuations too small.

    Raises:
        ConfigError: held atoms, whose constraints ASE's integrator honours in half of each step only; or all
            atoms at rest.
    """
    _require_free(atoms, settings)
    _require_motion(atoms, settings)
    return NVTBerendsen(
        atoms,
        settings.timestep_fs * units.fs,
        temperature_K=shared_temperature(atoms, settings.schedule.temperature_k(0), dof),
        taut=settings.thermostat_time_fs * units.fs,
        fixcm=False,  # a centre of mass at rest stays so by itself
    )


def heat_berendsen(dynamics: NVTBerendsen, temperature_k: float, dof: int) -> None:
    """Give the bath a new temperature."""
    dynamics.set_temperature(temperature_K=shared_temperature(dynamics.atoms, temperature_k, dof))


def _require_free(atoms: Atoms, settings: MDSettings) -> None:
    if atoms.constraints:
        raise ConfigError(
            f"ensemble {settings.ensemble} cannot hold atoms. Use nvt-langevin or nvt-bussi, or remove the constraints."
        )


def _require_motion(atoms: Atoms, settings: MDSettings) -> None:
    if atoms.get_kinetic_energy() == 0.0:
        raise ConfigError(
            f"ensemble {settings.ensemble} rescales velocities, and all atoms are at rest. Use nvt-langevin."
        )

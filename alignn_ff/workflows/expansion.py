"""A crystal that expands: the volume of least free energy over temperature, and what follows from it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.phonon_dos import MESH_LENGTH_A
from alignn_ff.workflows.result import Table

if TYPE_CHECKING:
    from alignn_ff.workflows.qha import QHASettings

log = logging.getLogger(__name__)

ROOM_K = 300.0

COLDEST = 0.02
"""Part of Dulong and Petit's heat capacity below which a ratio to it is no number to trust."""

AT_ROOM = {
    "volume_300k_a3": "volume_a3",
    "thermal_expansion_300k_per_k": "thermal_expansion_per_k",
    "bulk_modulus_300k_gpa": "bulk_modulus_gpa",
    "heat_capacity_p_300k_j_per_k_mol": "heat_capacity_p_j_per_k_mol",
    "gruneisen_parameter_300k": "gruneisen_parameter",
}
"""Quantity of the result -> column of the table over temperature."""


def over_temperature(phonons: Sequence[Any], volumes: NDArray, energies: NDArray, settings: QHASettings) -> Table:
    """Equilibrium at each temperature, by phonopy.

    Columns temperature_k, volume_a3, thermal_expansion_per_k (of the volume), bulk_modulus_gpa (isothermal),
    gibbs_free_energy_ev, entropy_j_per_k_mol, heat_capacity_p_j_per_k_mol, gruneisen_parameter (thermodynamic; NaN near
    0 K, where it is zero over zero), and a_a, b_a, c_a of the cell where symmetry fixes its angles.
    Temperatures end where the equilibrium volume leaves the scan.

    Raises:
        ConfigError: it lies outside at every temperature, or an equation of state cannot be fitted.
    """
    from phonopy import run_qha as phonopy_qha

    try:
        found = phonopy_qha(
            phonons,
            settings.temperatures_k,
            internal_energies=energies,
            mesh=MESH_LENGTH_A if settings.mesh is None else settings.mesh,
            pressure=settings.pressure_gpa,
            eos=settings.equation,
            exclude_gamma_acoustic=True,
        )
    except RuntimeError as error:
        raise ConfigError(
            f"the {settings.equation} equation of state cannot be fitted to the free energies ({error}). Look for a "
            "jump in volumes.csv, and try another scan or equation."
        ) from error
    j_per_mol = units.mol / units.J
    table = {
        "temperature_k": found.temperatures,
        "volume_a3": found.equilibrium_volumes,
        "thermal_expansion_per_k": found.thermal_expansion,
        "bulk_modulus_gpa": found.bulk_moduli * GPA_PER_EV_A3,
        "gibbs_free_energy_ev": found.gibbs_free_energies,
        "entropy_j_per_k_mol": found.entropy_temperature * j_per_mol,
        "heat_capacity_p_j_per_k_mol": found.heat_capacity_P.heat_capacities * j_per_mol,
        "gruneisen_parameter": _where_warm(found, len(phonons[0].primitive)),
    }
    if found.lattice is not None:
        table |= dict(zip(("a_a", "b_a", "c_a"), found.lattice.lattice_parameters.T, strict=True))
    return _within(table, volumes)


def at_room_temperature(table: Table) -> dict[str, float | None]:
    """Quantities of `AT_ROOM` at 300 K; None where the table ends before."""
    if table["temperature_k"][-1] < ROOM_K:
        return dict.fromkeys(AT_ROOM)
    return {name: float(np.interp(ROOM_K, table["temperature_k"], table[column])) for name, column in AT_ROOM.items()}


def _where_warm(found: Any, n_atoms: int) -> NDArray:
    """Thermodynamic Grüneisen parameters where the heat capacity is one, of 3 N k_B a part above numbers."""
    warm = found.heat_capacity_P.heat_capacities > COLDEST * 3 * n_atoms * units.kB
    return np.where(warm, found.gruneisen_parameters, np.nan)


def _within(table: Table, volumes: NDArray) -> Table:
    """The rows up to the first whose volume lies outside the scan."""
    outside = (table["volume_a3"] < volumes[0]) | (table["volume_a3"] > volumes[-1])
    if not outside.any():
        return table
    count = int(outside.argmax())
    where = (
        f"the equilibrium volume at {table['temperature_k'][count]:.0f} K, {table['volume_a3'][count]:.3f} Å³, lies "
        f"outside the scan ({volumes[0]:.3f} to {volumes[-1]:.3f} Å³)"
    )
    if count < 2:
        raise ConfigError(f"{where}. Scan further with points_above, points_below or volume_step_percent.")
    log.warning("%s: the tables end there. Scan further with points_above or volume_step_percent.", where)
    return {name: column[:count] for name, column in table.items()}

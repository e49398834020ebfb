"""Thermodynamic ensembles: which integrator makes them, what it conserves and what it remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from alignn_ff.workflows import barostats, thermostats

if TYPE_CHECKING:
    from alignn_ff.workflows.md_settings import MDSettings

Build = Callable[[Atoms, "MDSettings", int, np.random.Generator], Any]
Energy = Callable[[Any], "float | None"]
Heat = Callable[[Any, float, int], None]


def _total(dynamics: Any) -> float:
    return float(dynamics.atoms.get_total_energy())


def _with_bath(dynamics: Any) -> float | None:
    """Energy of system and bath; None if the calculator lacks the `free_energy` that ASE asks for."""
    try:
        return float(dynamics.get_conserved_energy())
    except PropertyNotImplementedError:
        return None


def _less_heat(dynamics: Any) -> float:
    return _total(dynamics) - float(dynamics.transferred_energy)


def _none(dynamics: Any) -> None:
    return None


class Ensemble(NamedTuple):
    """One row of the table of ensembles."""

    build: Build
    """(atoms, settings, degrees of freedom, random numbers) -> integrator."""
    uses: tuple[str, ...] = ()
    """Settings that this ensemble reads and others do not."""
    heat: Heat | None = None
    """(integrator, temperature in K, degrees of freedom) sets the temperature of the bath, where there is one."""
    conserved: Energy = _none
    """Energy in eV that an exact integrator keeps, or None."""
    variables: tuple[str, ...] = ()
    """What the integrator remembers from step to step, beside atoms and random numbers."""
    conserves_momentum: bool = True


_RAMP = ("temperature_end_k", "stages")
_CHAIN = ("thermostat_time_fs", *_RAMP)
_CELL = ("barostat_time_fs", "pressure_gpa")
_CHAIN_STATE = ("_q", "_p", *(f"_thermostat.{name}" for name in ("_eta", "_p_eta", "_Q", "_kT")))
_CELL_STATE = (*_CHAIN_STATE, *(f"_barostat.{name}" for name in ("_xi", "_p_xi", "_R", "_W", "_kT")))
_BREATHING = (*_CELL_STATE, "_eps", "_p_eps")

ENSEMBLES = {
    "nve": Ensemble(thermostats.verlet, conserved=_total),
    "nvt": Ensemble(thermostats.nose_hoover, _CHAIN, thermostats.heat_nose_hoover, _with_bath, _CHAIN_STATE),
    "nvt-langevin": Ensemble(
        thermostats.langevin, ("friction_per_fs", *_RAMP), thermostats.heat_langevin, conserves_momentum=False
    ),
    "nvt-bussi": Ensemble(
        thermostats.bussi, _CHAIN, thermostats.heat_bussi, _less_heat, variables=("transferred_energy",)
    ),
    "nvt-berendsen": Ensemble(thermostats.berendsen, _CHAIN, thermostats.heat_berendsen),
    "npt": Ensemble(
        barostats.isotropic,
        (*_CHAIN, *_CELL),
        barostats.heat_isotropic,
        _with_bath,
        variables=_BREATHING,
    ),
    "npt-axes": Ensemble(
        barostats.along_axes,
        (*_CHAIN, *_CELL, "cell_axes"),
        barostats.heat_along_axes,
        _with_bath,
        variables=(*_CELL_STATE, "_h", "_p_c"),
    ),
    "npt-flexible": Ensemble(
        barostats.flexible,
        (*_CHAIN, *_CELL),
        barostats.heat_flexible,
        _with_bath,
        variables=(*_CELL_STATE, "_h", "_p_g"),
    ),
    "npt-langevin": Ensemble(
        barostats.langevin_cell,
        ("friction_per_fs", *_RAMP, *_CELL),
        barostats.heat_langevin_cell,
        variables=("accel", "p_eps", "force_eps"),
        conserves_momentum=False,
    ),
    "nph": Ensemble(barostats.without_baths, _CELL, conserved=_with_bath, variables=_BREATHING),
}
"""Name -> ensemble; the integrators' docstrings name their sources."""

SPECIFIC = tuple(dict.fromkeys(name for ensemble in ENSEMBLES.values() for name in ensemble.uses))
"""Settings that only some ensembles read."""

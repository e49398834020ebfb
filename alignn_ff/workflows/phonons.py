"""Phonons of a crystal: bands, density of states, thermal properties, and whether any mode is imaginary.

alignn-ff phonons si.cif --supercell 4 4 4 --mesh 21 21 21
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from alignn_ff.workflows.born_charges import add_born_charges
from alignn_ff.workflows.crystal import reference_crystal
from alignn_ff.workflows.force_constants import Harmonic, HarmonicSettings, force_constants, supercell_matrix
from alignn_ff.workflows.phonon_bands import Segment, bands_along, frequencies_thz, points_of, standard_path
from alignn_ff.workflows.phonon_dos import density_of_states, run_mesh, thermal_properties
from alignn_ff.workflows.phonon_result import PhononResult
from alignn_ff.workflows.phonon_stability import IMAGINARY, NEAR_GAMMA, STABLE, stability
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.settings import setting
from alignn_ff.workflows.supercell import next_larger

log = logging.getLogger(__name__)

ROOM_K = 300.0

AT_ROOM_TEMPERATURE = (
    *("zero_point_energy_ev", "free_energy_300k_kj_per_mol"),
    *("entropy_300k_j_per_k_mol", "heat_capacity_300k_j_per_k_mol"),
)

UNCONVERGED_THZ = 0.1
"""Bands that move further in the convergence scan are said not to have converged."""

ADVICE = {
    IMAGINARY: "The crystal is not at a minimum of the energy and has no thermal properties; a structure displaced "
    "along this mode lies lower.",
    NEAR_GAMMA: "A larger supercell tells numbers from an elastic instability; thermal properties leave them out.",
}


@dataclass(frozen=True)
class PhononSettings(HarmonicSettings):
    """How to find phonons and where; see `--help` of the command for each field."""

    band_points: int = setting(51, "Wave vectors on the longest segment of the band path.", at_least=2)
    mesh: tuple[int, int, int] | None = setting(
        None,
        "Mesh of wave vectors for density of states and thermal properties; by default 100 Å over each cell length.",
        at_least=1,
    )
    max_temperature_k: float = setting(1000.0, "Highest temperature of the thermal properties.", unit="K", above=0)
    temperature_step_k: float = setting(10.0, "Their step.", unit="K", above=0)
    born_file: str | None = setting(None, "Born charges and dielectric constant in phonopy's BORN format.")
    imaginary_tolerance_thz: float = setting(
        0.05, "Modes are imaginary below minus this frequency.", unit="THz", at_least=0
    )
    convergence: bool = setting(
        False, "Compute again with the next larger supercell, and with twice the displacement, and compare the bands."
    )

    @property
    def temperatures_k(self) -> NDArray:
        """Temperatures of the thermal properties, from zero."""
        return np.arange(0.0, self.max_temperature_k + 1e-9, self.temperature_step_k)


PHONON_DEFAULTS = PhononSettings()


def run_phonons(
    atoms: Atoms,
    settings: PhononSettings = PHONON_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> PhononResult:
    """Relax a copy of `atoms` with its calculator, displace its atoms, and compute its phonons with phonopy.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Their masses count.
        folder: where `displaced.extxyz` grows cell by cell and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Returns:
        The result, also of an unstable crystal (without thermal properties) and of one that did not relax.
    Raises:
        ConfigError: no calculator, no crystal periodic in 3D, or Born charges that do not fit.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    reference = reference_crystal(atoms, settings)
    crystal = reference.atoms.copy()
    crystal.calc = atoms.calc
    matrix = supercell_matrix(crystal, settings, atoms.calc)
    harmonic = force_constants(crystal, matrix, settings, folder=folder, progress=progress)
    add_born_charges(harmonic.phonon, settings.born_file)
    path = standard_path(harmonic.phonon.primitive, settings.band_points, settings.symprec)
    bands = bands_along(harmonic.phonon, path)
    convergence = None
    if settings.convergence:
        convergence = _convergence(crystal, matrix, settings, path, bands, progress)
    result = _result(reference, harmonic, matrix, settings, bands, convergence)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _convergence(
    crystal: Atoms, matrix: NDArray, settings: PhononSettings, path: list[Segment], bands: Table, progress: bool
) -> Table:
    """How far the bands move with a larger supercell and with a longer displacement."""
    variants = (
        (next_larger(crystal, matrix), settings),
        (matrix, replace(settings, displacement_a=2.0 * settings.displacement_a)),
    )
    rows = []
    for variant, how in variants:
        harmonic = force_constants(crystal, variant, how, progress=progress)
        add_born_charges(harmonic.phonon, settings.born_file)
        change = frequencies_thz(bands_along(harmonic.phonon, path)) - frequencies_thz(bands)
        rows.append((len(harmonic.phonon.supercell), how.displacement_a, float(np.abs(change).max())))
    columns = ("supercell_atoms", "displacement_a", "largest_change_thz")
    return {name: np.array(column) for name, column in zip(columns, zip(*rows, strict=True), strict=True)}


def _result(
    reference: RelaxResult,
    harmonic: Harmonic,
    matrix: NDArray,
    settings: PhononSettings,
    bands: Table,
    convergence: Table | None,
) -> PhononResult:
    phonon = harmonic.phonon
    mesh = run_mesh(phonon, settings.mesh)
    points = np.concatenate([mesh.qpoints, points_of(bands)])
    frequencies = np.concatenate([mesh.frequencies, frequencies_thz(bands)])
    found = stability(phonon, points, frequencies, settings.imaginary_tolerance_thz)
    sound = found.verdict != IMAGINARY
    return PhononResult(
        atoms=reference.atoms,
        settings=settings,
        phonon=phonon,
        bands=bands,
        dos=density_of_states(phonon),
        thermal=thermal_properties(phonon, settings.temperatures_k) if sound else None,
        convergence=convergence,
        supercell_matrix=matrix,
        converged=reference.converged or not settings.relax,
        space_group=reference.space_group_after,
        primitive_atoms=len(phonon.primitive),
        supercell_atoms=len(phonon.supercell),
        displaced_cells=harmonic.displaced_cells,
        residual_force_ev_per_a=harmonic.residual_force_ev_per_a,
        drift_ev_per_a2=harmonic.drift_ev_per_a2,
        stability=found.verdict,
        lowest_frequency_thz=found.lowest_frequency_thz,
        lowest_q=found.lowest_q,
        highest_frequency_thz=float(frequencies.max()),
        largest_change_thz=None if convergence is None else float(convergence["largest_change_thz"].max()),
        **_at_room_temperature(phonon, sound),
    )


def _at_room_temperature(phonon: Any, sound: bool) -> dict[str, float | None]:
    """Zero-point energy, and thermal properties at 300 K."""
    if not sound:
        return dict.fromkeys(AT_ROOM_TEMPERATURE)
    table = thermal_properties(phonon, np.array([0.0, ROOM_K]))
    values = [column for name, column in table.items() if name != "temperature_k"]
    zero_point = values[0][0] * units.kJ / units.mol
    return dict(zip(AT_ROOM_TEMPERATURE, (float(zero_point), *(float(v[1]) for v in values)), strict=True))


def _warn(result: PhononResult) -> None:
    if result.stability != STABLE:
        log.warning(
            "%s: lowest frequency %.3f THz at q = %s. %s",
            result.stability,
            result.lowest_frequency_thz,
            np.round(result.lowest_q, 4).tolist(),
            ADVICE[result.stability],
        )
    if result.largest_change_thz is not None and result.largest_change_thz > UNCONVERGED_THZ:
        log.warning(
            "the bands are not converged: they move by up to %.3g THz with a larger supercell or displacement, see "
            "convergence.csv.",
            result.largest_change_thz,
        )

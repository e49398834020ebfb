"""Quasi-harmonic approximation: thermal expansion, heat capacity and bulk modulus over T, Grüneisen parameters.

alignn-ff qha si.cif
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.workflows.crystal import reference_crystal, relax_shape
from alignn_ff.workflows.expansion import ROOM_K, at_room_temperature, over_temperature
from alignn_ff.workflows.force_constants import HarmonicSettings, force_constants, supercell_matrix
from alignn_ff.workflows.frames import append_line, growing_file, stored_energy
from alignn_ff.workflows.gruneisen import gruneisen_bands, gruneisen_mesh, mean_gruneisen
from alignn_ff.workflows.phonon_bands import standard_path
from alignn_ff.workflows.phonon_dos import run_mesh
from alignn_ff.workflows.phonon_stability import STABLE, stability
from alignn_ff.workflows.qha_result import QHAResult
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.settings import setting

EQUATIONS = ("vinet", "birch_murnaghan", "murnaghan")

FEWEST_VOLUMES = 5
"""One more than the parameters of the equations."""


@dataclass(frozen=True)
class QHASettings(HarmonicSettings):
    """How to scan volumes and temperatures; see `--help` of the command for each field."""

    volume_step_percent: float = setting(2.0, "Distance of the volumes.", unit="%", above=0)
    points_below: int = setting(2, "Volumes smaller than that of the relaxed crystal.", at_least=1)
    points_above: int = setting(5, "Volumes larger than that; the hotter, the more are needed.", at_least=1)
    equation: str = setting("vinet", "Equation of state of the free energies.", choices=EQUATIONS)
    max_temperature_k: float = setting(1000.0, "Highest temperature.", unit="K", above=0)
    temperature_step_k: float = setting(10.0, "Step of the temperatures.", unit="K", above=0)
    mesh: tuple[int, int, int] | None = setting(
        None, "Mesh of wave vectors; by default 100 Å over each cell length.", at_least=1
    )
    band_points: int = setting(51, "Wave vectors on the longest segment of the band path.", at_least=2)
    imaginary_tolerance_thz: float = setting(
        0.05, "Modes are imaginary below minus this frequency.", unit="THz", at_least=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 1 + self.points_below + self.points_above < FEWEST_VOLUMES:
            raise ConfigError(
                f"points_below = {self.points_below} and points_above = {self.points_above} make "
                f"{1 + self.points_below + self.points_above} volumes; at least {FEWEST_VOLUMES} were expected."
            )
        if self.points_below * self.volume_step_percent >= 50:
            raise ConfigError(
                f"the smallest volume lies {self.points_below * self.volume_step_percent:g} % below the relaxed one; "
                "less than 50 was expected."
            )
        if self.max_temperature_k < 3 * self.temperature_step_k:
            raise ConfigError(
                f"`temperature_step_k` = {self.temperature_step_k:g}: at most a third of max_temperature_k "
                f"({self.max_temperature_k:g}) was expected, expansion is a difference over temperatures."
            )

    @property
    def ratios(self) -> NDArray:
        """Volumes over that of the relaxed crystal, ascending; 1 stands at place `points_below`."""
        return 1.0 + 0.01 * self.volume_step_percent * np.arange(-self.points_below, self.points_above + 1)

    @property
    def temperatures_k(self) -> NDArray:
        """Temperatures from zero, one step beyond the highest: the last is used up by differences."""
        return np.arange(0.0, self.max_temperature_k + 1.5 * self.temperature_step_k, self.temperature_step_k)


QHA_DEFAULTS = QHASettings()


class Point(NamedTuple):
    """A volume of the scan: the relaxed crystal, its force constants and its lowest frequency in THz."""

    relaxed: RelaxResult
    phonon: Any
    lowest_frequency_thz: float


def run_qha(
    atoms: Atoms,
    settings: QHASettings = QHA_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> QHAResult:
    """Relax a copy of `atoms`, compute phonons at several volumes, and find the volume of least free energy over T.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Their masses count.
        folder: where `volumes.csv` grows volume by volume and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: no calculator, no crystal periodic in 3D, imaginary modes at some volume, or no equilibrium
            volume within the scan.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    reference = reference_crystal(atoms, settings)
    matrix = supercell_matrix(reference.atoms, settings, atoms.calc)
    points: list[Point] = []
    with growing_file(folder, "volumes.csv") as file, track("qha", len(settings.ratios), show=progress) as advance:
        append_line(file, ("volume_a3", "energy_ev", "lowest_frequency_thz"))
        for ratio in settings.ratios:
            points.append(_point(reference.atoms, float(ratio), matrix, settings, atoms.calc))
            row = _row(points[-1])
            append_line(file, row)
            advance(note=f"{row[0]:.3f} Å³")
    result = _result(reference, points, settings)
    if folder is not None:
        result.save(folder)
    return result


def _point(crystal: Atoms, ratio: float, matrix: NDArray, settings: QHASettings, calculator: Any) -> Point:
    start = crystal.copy()
    start.set_cell(crystal.cell[:] * ratio ** (1.0 / 3.0), scale_atoms=True, apply_constraint=False)
    start.calc = calculator
    relaxed = relax_shape(start, settings)
    scaled = relaxed.atoms.copy()
    scaled.calc = calculator
    phonon = force_constants(scaled, matrix, settings).phonon
    mesh = run_mesh(phonon, settings.mesh)
    found = stability(phonon, mesh.qpoints, mesh.frequencies, settings.imaginary_tolerance_thz)
    if found.verdict != STABLE:
        raise ConfigError(
            f"{found.verdict} at {ratio:.3f} of the relaxed volume: {found.lowest_frequency_thz:.3f} THz at q = "
            f"{np.round(found.lowest_q, 4).tolist()}. The quasi-harmonic approximation needs a stable crystal at every "
            "volume: scan fewer (points_above, volume_step_percent), or look at alignn-ff phonons."
        )
    return Point(relaxed, phonon, found.lowest_frequency_thz)


def _row(point: Point) -> tuple[float, float, float]:
    """Volume and energy of the primitive cell, and the lowest frequency."""
    part = len(point.phonon.primitive) / len(point.relaxed.atoms)
    volume = float(point.relaxed.atoms.get_volume() * part)
    return volume, stored_energy(point.relaxed.atoms) * part, point.lowest_frequency_thz


def _result(reference: RelaxResult, points: Sequence[Point], settings: QHASettings) -> QHAResult:
    volumes, energies, lowest = (np.array(column) for column in zip(*map(_row, points), strict=True))
    minus, centre, plus = (point.phonon for point in points[settings.points_below - 1 : settings.points_below + 2])
    table = over_temperature([point.phonon for point in points], volumes, energies, settings)
    mesh = gruneisen_mesh(centre, plus, minus, settings.mesh)
    path = standard_path(centre.primitive, settings.band_points, settings.symprec)
    return QHAResult(
        atoms=reference.atoms,
        settings=settings,
        volumes={"volume_a3": volumes, "energy_ev": energies, "lowest_frequency_thz": lowest},
        temperatures=table,
        gruneisen_bands=gruneisen_bands(centre, plus, minus, path),
        gruneisen_mesh=mesh,
        converged=not settings.relax or all(one.converged for one in (reference, *(p.relaxed for p in points))),
        space_group=reference.space_group_after,
        primitive_atoms=len(centre.primitive),
        supercell_atoms=len(centre.supercell),
        static_volume_a3=float(volumes[settings.points_below]),
        zero_kelvin_volume_a3=float(table["volume_a3"][0]),
        highest_temperature_k=float(table["temperature_k"][-1]),
        mean_mode_gruneisen_300k=mean_gruneisen(mesh, ROOM_K),
        **at_room_temperature(table),
    )

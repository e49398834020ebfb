"""Conductivity on one mesh of wave vectors after another, and what the last one says of a temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from alignn_ff.progress import track
from alignn_ff.workflows.conductivity_result import Transport
from alignn_ff.workflows.phonon_transport import (
    Scattering,
    conduct,
    cumulative,
    half_way,
    modes_at,
    over_temperature,
)
from alignn_ff.workflows.result import Table

if TYPE_CHECKING:
    from alignn_ff.workflows.conductivity import ConductivitySettings

MESH_LENGTH_A = 50.0
"""Default mesh: as many divisions of a reciprocal vector as this is longer than the cell in that direction."""

COARSER = (0.5, 0.75)
"""Meshes of the convergence scan, relative to the one asked for."""


def transport(phonons: Any, settings: ConductivitySettings, progress: bool) -> tuple[dict[str, Table], Transport]:
    """Tables, and what they say of one temperature."""
    scattering = Scattering(settings.method, settings.temperatures_k, settings.isotopes)
    at_one = Scattering(settings.method, np.array([settings.temperature_k]), settings.isotopes)
    coarser = _coarser(settings.mesh) if settings.convergence else []
    scan = []
    with track("scatter", len(coarser) + 1, show=progress) as advance:
        for mesh in coarser:
            scan.append(_point(conduct(phonons, mesh, at_one), settings))
            advance(note=f"{scan[-1][-1]:.4g} W/(m K)")
        solved = conduct(phonons, settings.mesh or MESH_LENGTH_A, scattering)
        scan.append(_point(solved, settings))
        advance()
    modes = modes_at(solved, settings.temperature_k)
    tables = {
        "conductivity": over_temperature(solved),
        "modes": modes,
        "cumulative_mean_free_path": cumulative(modes, "mean_free_path_nm"),
        "cumulative_frequency": cumulative(modes, "frequency_thz"),
    }
    if settings.convergence:
        names = ("mesh_1", "mesh_2", "mesh_3", "conductivity_w_per_m_k")
        tables["convergence"] = dict(zip(names, map(np.array, zip(*scan, strict=True)), strict=True))
    return tables, _at_temperature(tables, scan, settings)


def _coarser(mesh: tuple[int, int, int] | None) -> list[list[int] | float]:
    """Meshes of the scan before the last."""
    if mesh is None:
        return [part * MESH_LENGTH_A for part in COARSER]
    return [[max(1, round(part * divisions)) for divisions in mesh] for part in COARSER]


def _point(solved: Any, settings: ConductivitySettings) -> tuple[int, int, int, float]:
    """Divisions of the mesh and conductivity at the one temperature."""
    table = over_temperature(solved)
    first, second, third = (int(divisions) for divisions in solved.mesh_numbers)
    return first, second, third, _at(table, settings.temperature_k)["conductivity_w_per_m_k"]


def _at(table: Table, temperature_k: float) -> dict[str, float]:
    """The row of a temperature."""
    row = int(np.argmin(np.abs(table["temperature_k"] - temperature_k)))
    return {name: float(column[row]) for name, column in table.items()}


def _at_temperature(
    tables: dict[str, Table], scan: Sequence[tuple[int, int, int, float]], settings: ConductivitySettings
) -> Transport:
    *divisions, finest = scan[-1]
    shares = tables["modes"]["conductivity_w_per_m_k"]
    at_one: dict[str, Any] = {"rta_w_per_m_k": None} | _at(tables["conductivity"], settings.temperature_k)
    return Transport(
        mesh=" x ".join(map(str, divisions)),
        change_percent=100.0 * (finest / scan[-2][-1] - 1.0) if len(scan) > 1 else None,
        half_mean_free_path_nm=half_way(tables["cumulative_mean_free_path"]),
        half_frequency_thz=half_way(tables["cumulative_frequency"]),
        largest_share=float(shares.max() / shares.sum()),
        **at_one,
    )

"""The cell that two surfaces have in common once the film is strained a little: Zur's search, through jarvis-tools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.surface_slabs import area_a2

SAME_AREA = 1.05
"""Cells up to this times the smallest compete for the least strain."""


@dataclass(frozen=True)
class Match:
    """A coincidence cell: whole multiples [2, 2] of the surface vectors (rows) of substrate and film.

    `deformation` [2, 2] takes in-plane vectors (rows, Å) of the film to those of the substrate; what it holds beside a
    rotation are the two principal strains of the film, relative and signed, the larger first.
    """

    substrate: NDArray
    film: NDArray
    deformation: NDArray

    @property
    def strains(self) -> NDArray:
        """Principal strains [2] of the film."""
        strains = np.linalg.svd(self.deformation, compute_uv=False) - 1.0
        return strains[np.argsort(-np.abs(strains))]

    @property
    def turn_deg(self) -> float:
        """Angle by which the film turns."""
        left, _, right = np.linalg.svd(self.deformation)
        (cosine, sine), _ = left @ right
        return float(np.degrees(np.arctan2(sine, cosine)))


def smallest_match(substrate: Atoms, film: Atoms, *, max_mismatch: float, max_area_a2: float) -> Match:
    """The smallest common cell in which no principal strain of the film is beyond `max_mismatch` (relative).

    Among cells of about one size the least strained wins, then the least turned.

    Args:
        substrate, film: cells whose first two vectors span the surface, in the xy plane.
    Raises:
        ConfigError: no such cell, or jarvis-tools is not installed.
    Source: Zur, McGill, J. Appl. Phys. 55, 378 (1984).
    """
    small: list[tuple[float, Match]] = []
    for found in _common_cells(substrate, film, max_mismatch, max_area_a2):
        area = float(np.linalg.norm(np.cross(*found["sub_sl_vecs"])))
        if small and area > SAME_AREA * small[0][0]:
            break  # they come in the order of their area
        match = _match(found, substrate, film)
        if area <= max_area_a2 * (1.0 + 1e-9) and match is not None and abs(match.strains[0]) <= max_mismatch:
            small.append((area, match))
    if not small:
        raise ConfigError(
            f"no cell of at most {max_area_a2:g} Å² is common to the two surfaces within {100 * max_mismatch:g} % of "
            "strain. Let there be more area (max_area_a2) or strain (max_mismatch_percent), or take other planes."
        )
    return min((match for _, match in small), key=lambda one: (round(abs(one.strains[0]), 6), abs(one.turn_deg)))


def _common_cells(substrate: Atoms, film: Atoms, max_mismatch: float, max_area_a2: float) -> Any:
    """What the search yields, with limits that let through all that `max_mismatch` might."""
    try:
        from jarvis.analysis.interface.zur import ZSLGenerator
    except ImportError as error:
        raise ConfigError(
            f"common cells are found by jarvis-tools, which cannot be imported ({error}). Install it: "
            "pip install alignn-ff[jarvis]"
        ) from error
    areas = area_a2(substrate), area_a2(film)
    search = ZSLGenerator(
        max_area=max_area_a2 + max(areas),  # it leaves out the largest multiple
        max_length_tol=max_mismatch / (1.0 - max_mismatch),
        max_angle_tol=2.5 * max_mismatch,  # angles of 60° and more turn by two strains at most, relative to theirs
        max_area_ratio_tol=areas[1] / areas[0] * 2.5 * max_mismatch,
    )
    return search(film.cell[:2], substrate.cell[:2])


def _match(found: Any, substrate: Atoms, film: Atoms) -> Match | None:
    """The match with the sense of the film's vectors that strains it least; None where only a mirror would do."""
    onto = found["sub_sl_vecs"][:, :2]
    first, second = found["film_sl_vecs"][:, :2]
    pairs = [np.array(pair) for pair in ((first, second), (first, -second), (second, first))]
    proper = [pair for pair in pairs if np.linalg.det(pair) * np.linalg.det(onto) > 0]
    matches = [
        Match(_multiples(onto, substrate), _multiples(pair, film), np.linalg.solve(pair, onto)) for pair in proper
    ]
    return min(matches, key=lambda one: abs(one.strains[0]))


def _multiples(vectors: NDArray, atoms: Atoms) -> NDArray:
    """In-plane vectors [2, 2] in terms of the surface vectors."""
    return np.rint(vectors @ np.linalg.inv(atoms.cell[:2, :2])).astype(int)

"""The equilibrium shape of a crystal from its surface energies: Wulff's construction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError

SAME = 1e-6
"""Corners nearer than this part of the largest energy are one."""


@dataclass(frozen=True)
class WulffShape:
    """The convex body of all points r with r · n <= γ(n) for every facet; its lengths are in units of energy.

    `corners` [V, 3]; `facets` holds for each normal that was given the numbers of its corners in order around it, none
    where the facet does not appear. `areas` [F] belong to them, `volume` to the body.
    """

    corners: NDArray
    facets: tuple[tuple[int, ...], ...]
    areas: NDArray
    volume: float

    @property
    def shape_factor(self) -> float:
        """Area over volume to the power 2/3: 4.836 for a sphere, 6 for a cube."""
        return float(self.areas.sum() / self.volume ** (2.0 / 3.0))


def wulff_shape(normals: NDArray, energies: NDArray) -> WulffShape:
    """The shape of least surface energy at its volume.

    Its corners are found through duality: they belong to the faces of the convex hull of the points n / γ.

    Args:
        normals: unit vectors [F, 3] of all facets, symmetry-equivalent ones too.
        energies: their surface energies [F], in any one unit.
    Raises:
        ConfigError: an energy is not positive, or the facets do not enclose a body.
    Source: Wulff, Z. Kristallogr. 34, 449 (1901); Herring, Phys. Rev. 82, 87 (1951).
    """
    from scipy.spatial import ConvexHull, QhullError

    if not (energies > 0).all():
        raise ConfigError(f"a surface energy of {energies.min():.4g} is not positive: there is no Wulff shape.")
    try:
        equations = ConvexHull(normals / energies[:, None]).equations
    except QhullError as error:
        raise ConfigError("the facets lie in one zone and enclose no body. Take more planes.") from error
    if (equations[:, 3] > -1e-12).any():
        raise ConfigError("the facets do not enclose a body. Take more planes.")
    corners = _distinct(-equations[:, :3] / equations[:, 3:], SAME * energies.max())
    facets = [_around(corners, normal, energy) for normal, energy in zip(normals, energies, strict=True)]
    areas = np.array([_area(corners[list(facet)], normal) for facet, normal in zip(facets, normals, strict=True)])
    return WulffShape(corners, tuple(facets), areas, float(areas @ energies / 3.0))


def _distinct(points: NDArray, tolerance: float) -> NDArray:
    """Each point once: a corner where more than three facets meet comes from several faces of the hull."""
    kept: list[NDArray] = []
    for point in points:
        if all(np.linalg.norm(point - other) > tolerance for other in kept):
            kept.append(point)
    return np.array(kept)


def _around(corners: NDArray, normal: NDArray, energy: float) -> tuple[int, ...]:
    """The corners on a facet, counter-clockwise seen from outside; none where they span no area."""
    on = np.flatnonzero(np.abs(corners @ normal - energy) < 10 * SAME * np.linalg.norm(corners, axis=1).max())
    if len(on) < 3:
        return ()
    arms = corners[on] - corners[on].mean(axis=0)
    first = arms[0] / np.linalg.norm(arms[0])
    angles = np.arctan2(arms @ np.cross(normal, first), arms @ first)
    return tuple(on[np.argsort(angles)].tolist())


def _area(polygon: NDArray, normal: NDArray) -> float:
    if len(polygon) == 0:
        return 0.0
    return 0.5 * float(np.cross(polygon, np.roll(polygon, -1, axis=0)).sum(axis=0) @ normal)


def part_of_area(shape: WulffShape, owners: Sequence[int], count: int) -> NDArray:
    """Part of the area that belongs to each of `count` families [count], from the family of each facet."""
    return np.bincount(owners, weights=shape.areas, minlength=count) / shape.areas.sum()

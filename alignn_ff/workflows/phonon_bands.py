"""Phonon bands along the standard path of the crystal, and the points between which it runs."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignn_ff.workflows.result import Table


class Segment(NamedTuple):
    """A straight part of the path: labels of its ends, and wave vectors [Q, 3] in those of the primitive cell."""

    start: str
    end: str
    points: NDArray


def standard_path(primitive: Any, points: int, symprec: float) -> list[Segment]:
    """The path of Hinuma, Pizzi, Kumagai, Oba and Tanaka, Comput. Mater. Sci. 128, 140 (2017), by seekpath.

    Args:
        primitive: phonopy's primitive cell; the points are in terms of its reciprocal vectors, however it is turned.
        points: on the longest segment; the others have as many as make the same distance, at least two.
    """
    import seekpath

    found = seekpath.get_path_orig_cell(primitive.totuple(), symprec=symprec)
    coordinates = {name: np.array(place, dtype=float) for name, place in found["point_coords"].items()}
    reciprocal = np.linalg.inv(primitive.cell).T
    lengths = [np.linalg.norm((coordinates[b] - coordinates[a]) @ reciprocal) for a, b in found["path"]]
    counts = [max(2, 1 + round((points - 1) * length / max(lengths))) for length in lengths]
    return [
        Segment(a, b, np.linspace(coordinates[a], coordinates[b], count))
        for (a, b), count in zip(found["path"], counts, strict=True)
    ]


def bands_along(phonon: Any, path: list[Segment]) -> Table:
    """Frequencies on the path: columns segment, label, distance_per_a, q_1 to q_3, frequency_1_thz and so on.

    A label stands at either end of a segment. The distance, without 2π, grows along segments and not between them.
    Imaginary frequencies are negative. At Γ a non-analytical term is that of the segment's direction.
    """
    bands = phonon.run_band_structure([segment.points for segment in path])
    counts = [len(segment.points) for segment in path]
    labels = [[segment.start, *[""] * (len(segment.points) - 2), segment.end] for segment in path]
    return {
        "segment": np.repeat(np.arange(len(path)), counts),
        "label": np.concatenate(labels),
        "distance_per_a": np.concatenate(bands.distances),
        **frequency_columns(np.concatenate(bands.qpoints), np.concatenate(bands.frequencies)),
    }


def frequency_columns(points: NDArray, frequencies: NDArray) -> dict[str, NDArray]:
    """Columns q_1 to q_3 and frequency_1_thz and so on, from [Q, 3] and [Q, modes]."""
    columns = {f"q_{axis + 1}": points[:, axis] for axis in range(3)}
    return columns | {f"frequency_{mode + 1}_thz": frequencies[:, mode] for mode in range(frequencies.shape[1])}


def frequencies_thz(table: Table) -> NDArray:
    """Frequencies [Q, modes] of a table made of `frequency_columns`."""
    return np.column_stack([column for name, column in table.items() if name.startswith("frequency_")])


def points_of(table: Table) -> NDArray:
    """q points [Q, 3] of a table made of `frequency_columns`."""
    return np.column_stack([table["q_1"], table["q_2"], table["q_3"]])

"""A trajectory as arrays: positions that go on across the borders of the cell, velocities, temperatures."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms, units
from ase.geometry import find_mic, wrap_positions
from numpy.typing import NDArray

from alignn_ff.errors import StructureError
from alignn_ff.h5md import TIME
from alignn_ff.workflows.velocities import degrees_of_freedom, temperature

log = logging.getLogger(__name__)

EVEN = 1e-6
"""Share of the time between frames by which it may vary."""

FAR = 0.4
"""Share of the least height of the cell: an atom that moves this far between frames may have moved further, and the
other way."""


@dataclass(frozen=True)
class Trajectory:
    """Frames of the same atoms in the same order, equally spaced in time.

    Attributes:
        frames: wrapped into their cells or not, with momenta or not.
        interval_fs: time from one to the next; None where nobody knows.
    Raises:
        StructureError: no frames, no atoms in them, frames of other atoms or with positions that are not finite.
    """

    frames: Sequence[Atoms]
    interval_fs: float | None = None

    def __post_init__(self) -> None:
        if not self.frames or len(self.frames[0]) == 0:
            raise StructureError("the trajectory has no frames, or no atoms in them.")
        first = self.frames[0]
        for place, frame in enumerate(self.frames):
            if not np.array_equal(frame.numbers, first.numbers) or not np.array_equal(frame.pbc, first.pbc):
                raise StructureError(
                    f"frame {place} of the trajectory has other atoms than the first, another order of them, or is "
                    "periodic in other directions; one trajectory of the same atoms was expected."
                )
            if not np.isfinite(frame.positions).all():
                raise StructureError(f"frame {place} of the trajectory has positions that are not finite.")

    @property
    def moving(self) -> bool:
        """Whether every frame has momenta, and some atom moves."""
        return all(frame.has("momenta") for frame in self.frames) and any(
            frame.get_momenta().any() for frame in self.frames
        )

    @property
    def bulk(self) -> bool:
        """Whether every frame is periodic in 3D."""
        return all(bool(frame.pbc.all()) and frame.cell.rank == 3 for frame in self.frames)

    @property
    def periodic_without_cell(self) -> bool:
        """Whether some frame repeats along a direction without a lattice vector: nobody can tell its images apart."""
        return any(bool((frame.pbc & ~frame.cell[:].any(axis=1)).any()) for frame in self.frames)


def dated(frames: Sequence[Atoms]) -> Trajectory:
    """The trajectory of frames whose entries `time_fs` say when they were, as those of `alignn-ff md` do.

    Without the last frame where that is nearer than the others are: a run writes its end in any case. Where frames
    have no times, the time between them stays unknown.

    Raises:
        StructureError: times are not equally spaced; or as in `Trajectory`.
    """
    times = np.array([float(frame.info[TIME]) for frame in frames if TIME in frame.info])
    if len(times) < len(frames) or len(times) < 2:
        return Trajectory(frames)
    steps = np.diff(times)
    interval = float(steps[0])
    if len(steps) > 1 and 0 < steps[-1] < (1 - EVEN) * interval:
        frames, steps = frames[:-1], steps[:-1]
    odd = np.flatnonzero(np.abs(steps - interval) > EVEN * abs(interval))
    if interval <= 0 or len(odd):
        place = int(odd[0]) if len(odd) else 0
        raise StructureError(
            f"frames {place} and {place + 1} are {steps[place]:g} fs apart, the first two {interval:g} fs; equally "
            "spaced frames of one run were expected. State the time between them (frame_interval_fs, "
            "--frame-interval) if that of the file is wrong."
        )
    return Trajectory(frames, interval)


def unwrapped(frames: Sequence[Atoms], *, remove_drift: bool = True) -> NDArray:
    """Positions [F, N, 3] in Å that follow each atom across the borders of the cell.

    Each step is the shortest between images wrapped into the cell, also while the cell changes: scaled coordinates
    would let far atoms jump with it. von Bülow, Bullerjahn, Hummer, J. Chem. Phys. 153, 021101 (2020). Atoms must
    not fly half a cell between frames; steps that come near it are logged as a warning.

    Args:
        remove_drift: hold the centre of mass.
    """
    positions = np.array([frame.positions for frame in frames])
    if frames[0].pbc.any():
        positions = _followed(frames)
    if remove_drift:
        centres = _centres(frames[0], positions)
        positions = positions - (centres - centres[0])[:, None]
    return positions


def velocities(frames: Sequence[Atoms], *, remove_drift: bool = True) -> NDArray:
    """Velocities [F, N, 3] in Å/fs.

    Args:
        remove_drift: without that of the centre of mass.
    """
    found = np.array([frame.get_velocities() for frame in frames]) * units.fs
    return found - _centres(frames[0], found)[:, None] if remove_drift else found


def temperatures_k(frames: Sequence[Atoms]) -> NDArray:
    """Kinetic temperature [F] in K; a centre of mass at rest counts for no degree of freedom."""
    return np.array([temperature(frame, degrees_of_freedom(frame, momentum_conserved=True)) for frame in frames])


def members(atoms: Atoms) -> dict[str, NDArray]:
    """Indices of the atoms of each element, elements in alphabetical order."""
    return {symbol: np.flatnonzero(atoms.symbols == symbol) for symbol in sorted(set(atoms.symbols))}


def _followed(frames: Sequence[Atoms]) -> NDArray:
    inside = [wrap_positions(frame.positions, frame.cell, frame.pbc) for frame in frames]
    steps = [frames[0].positions]
    for frame, before, now in zip(frames[1:], inside[:-1], inside[1:], strict=True):
        steps.append(find_mic(now - before, frame.cell, frame.pbc)[0])
    _warn_of_far_steps(frames, np.linalg.norm(steps[1:], axis=2).max(axis=1) if len(steps) > 1 else np.zeros(0))
    return np.cumsum(steps, axis=0)


def _warn_of_far_steps(frames: Sequence[Atoms], furthest: NDArray) -> None:
    far = [k for k, step in enumerate(furthest) if step > FAR * _least_height(frames[k + 1])]
    if far:
        log.warning(
            "an atom moves %.2f Å between frames %d and %d (and so %d times), near half of the cell: further apart in "
            "time its way across the border is a guess. Write frames more often.",
            *(furthest[far[0]], far[0], far[0] + 1, len(far)),
        )


def _least_height(atoms: Atoms) -> float:
    """Least distance in Å of opposite faces of the cell, among those with images behind them."""
    return float((1.0 / np.linalg.norm(atoms.cell.complete().reciprocal(), axis=1))[atoms.pbc].min())


def _centres(atoms: Atoms, vectors: NDArray) -> NDArray:
    """Mass-weighted mean [F, 3] of vectors [F, N, 3]."""
    masses = atoms.get_masses()
    return np.einsum("n,fnk->fk", masses / masses.sum(), vectors)

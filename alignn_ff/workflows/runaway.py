"""Watch over a simulation: what no sound run does stops it, and the last good frame survives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from alignn_ff.errors import RunawayError
from alignn_ff.workflows.frames import stored_energy, stored_forces, write_frames

CLOSEST_PAIR_A = 0.3
"""No two nuclei come nearer than this; the shortest bond there is, H2's, measures 0.74 Å."""

LONGEST_HOP_A = 1.0
"""Farthest an atom may fly within one time step; hydrogen at 5000 K covers 0.11 Å in 1 fs."""

ENERGY_JUMP_EV_PER_ATOM = 1.0
"""Largest change of potential energy within one step; in a sound run it is some meV per atom."""

VOLUME_RATIO = 10.0
"""A cell this many times larger or smaller than at the start has flown apart or caved in."""

LOST_A = 100.0
"""An atom this much farther from all others than at the start, where nothing repeats, has left for good."""

LAST_GOOD = "last_good.extxyz"


class RunawayFrameError(RunawayError):
    """A runaway with what is left of the run: `last_good`, the last frame that passed all checks, or None."""

    def __init__(self, message: str, last_good: Atoms | None) -> None:
        super().__init__(message)
        self.last_good = last_good


def fault_of_frame(frame: Atoms) -> str | None:
    """What is not finite in the stored results of `frame`, or None."""
    energy, forces = stored_energy(frame), stored_forces(frame)
    if not np.isfinite(energy):
        return f"the energy is {energy}"
    if not np.isfinite(forces).all():
        atom = int(np.flatnonzero(~np.isfinite(forces).all(axis=1))[0])
        return f"the force on atom {atom} ({frame.symbols[atom]}) is {forces[atom].tolist()}"
    return None


def fault_of_step(before: Atoms, after: Atoms, timestep_fs: float) -> str | None:
    """An impossible change between two consecutive frames, or None."""
    jump = abs(stored_energy(after) - stored_energy(before)) / len(after)
    if jump > ENERGY_JUMP_EV_PER_ATOM:
        return f"the potential energy jumped by {jump:.3g} eV/atom in one step"
    hops = np.linalg.norm(after.get_velocities(), axis=1) * timestep_fs * units.fs
    if hops.max() > LONGEST_HOP_A:
        atom = int(hops.argmax())
        return f"atom {atom} ({after.symbols[atom]}) moves {hops[atom]:.3g} Å per step"
    return None


def fault_of_distances(frame: Atoms) -> str | None:
    """The pair of atoms that came impossibly close, or None."""
    first, second, distance = neighbor_list("ijd", frame, CLOSEST_PAIR_A)
    if distance.size == 0:
        return None
    k = int(distance.argmin())
    return f"atoms {first[k]} and {second[k]} are {distance[k]:.3g} Å apart"


def fault_of_cell(start: Atoms, frame: Atoms) -> str | None:
    """A cell that flew apart or caved in since `start`, or None; also where there is no volume."""
    if frame.cell.rank < 3:
        return None
    ratio = frame.get_volume() / start.get_volume()
    return None if 1 / VOLUME_RATIO < ratio < VOLUME_RATIO else f"the volume is {ratio:.3g} times that of the start"


def fault_of_extent(start: Atoms, frame: Atoms) -> str | None:
    """Atoms that left the others along a direction without periodicity, or None."""
    open_axes = _open_axes(frame)
    (gap, left), (before, _) = _widest_gap(frame, open_axes), _widest_gap(start, open_axes)
    if gap <= before + LOST_A:
        return None
    return f"atoms were lost: {left} of {len(frame)} are {gap:.4g} Å away from all others"


def runaway(fault: str, when: str, last_good: Atoms | None, folder: str | Path | None, advice: str) -> RunawayError:
    """The error for `fault`; the last good frame is written to `folder` where there is one."""
    kept = "no good frame came before it."
    if last_good is not None and folder is not None:
        path = Path(folder) / LAST_GOOD
        write_frames(path, last_good)
        kept = f"the last good frame is in {path}."
    elif last_good is not None:
        kept = "the last good frame is in the error's `last_good`."
    return RunawayFrameError(f"{when}: {fault}; the run was stopped, {kept} {advice}", last_good)


def _open_axes(atoms: Atoms) -> NDArray:
    """Orthonormal columns [3, D] along the D directions in which nothing repeats."""
    repeats = atoms.cell[:][atoms.pbc]
    return np.linalg.svd(repeats)[2][len(repeats) :].T if len(repeats) else np.eye(3)


def _widest_gap(atoms: Atoms, axes: NDArray) -> tuple[float, int]:
    """Widest empty slab between atoms across any of `axes` in Å, and the number of atoms on its smaller side."""
    if len(atoms) < 2 or axes.shape[1] == 0:
        return 0.0, 0
    gaps = np.diff(np.sort(atoms.positions @ axes, axis=0), axis=0)
    place = int(gaps.max(axis=1).argmax()) + 1
    return float(gaps.max()), min(place, len(atoms) - place)

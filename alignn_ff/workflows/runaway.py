"""Watch over a simulation: what no sound run does stops it, and the last good frame survives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.neighborlist import neighbor_list

from alignn_ff.errors import RunawayError
from alignn_ff.workflows.frames import stored_energy, stored_forces, write_frames

CLOSEST_PAIR_A = 0.3
"""No two nuclei come nearer than this; the shortest bond there is, H2's, measures 0.74 Å."""

LONGEST_HOP_A = 1.0
"""Farthest an atom may fly within one time step; hydrogen at 5000 K covers 0.11 Å in 1 fs."""

ENERGY_JUMP_EV_PER_ATOM = 1.0
"""Largest change of potential energy within one step; in a sound run it is some meV per atom."""

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

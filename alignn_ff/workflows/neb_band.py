"""The band of images between two states: how it begins, and the forces that pull it to the path of least energy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import minimize_rotation_and_translation
from ase.geometry import find_mic
from ase.mep import NEB
from ase.mep.neb import idpp_interpolate, interpolate
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.frames import max_norm

SAME_A = 0.05
"""Two states whose atoms are all nearer than this are one state."""

SAME_CELL_A = 1e-4

METHOD = "improvedtangent"

NUDGE_A = 0.05
"""Displacement of all atoms together for the curvature along the path."""


class Band(NEB):
    """A nudged elastic band whose inner images go through one calculator together, in batches where it can.

    Improved tangents: Henkelman and Jónsson, J. Chem. Phys. 113, 9978 (2000). Climbing image: Henkelman, Uberuaga,
    Jónsson, J. Chem. Phys. 113, 9901 (2000). A molecule that nothing holds is kept from turning and drifting: Melander,
    Laasonen, Jónsson, J. Chem. Theory Comput. 11, 1055 (2015).
    """

    def __init__(self, images: list[Atoms], calculator: Any, *, spring_ev_per_a2: float) -> None:
        super().__init__(images, k=spring_ev_per_a2, method=METHOD)
        self._calculator = calculator
        self._free = nothing_holds(images[0])
        self._evaluated: NDArray | None = None
        self.max_force = float("inf")

    def get_forces(self) -> NDArray:
        """Forces [(P - 2) N, 3] in eV/Å on the inner images, as the band feels them.

        Raises:
            RunawayError: energy or forces of an image are not finite.
        """
        inner = self.images[1:-1]
        if self._evaluated is None or not np.array_equal(self.get_positions(), self._evaluated):
            if self._free:
                for before, image in pairwise(self.images[:-1]):
                    minimize_rotation_and_translation(before, image)
            frames = list(evaluate_each(inner, self._calculator))
            for image, frame in zip(inner, frames, strict=True):
                image.calc = frame.calc
            self._evaluated = self.get_positions()
        forces = super().get_forces()
        self.max_force = max_norm(forces)
        return forces

    def step_back(self) -> None:
        """Put the images where they were evaluated last, if a step was broken off since."""
        if self._evaluated is not None:
            self.set_positions(self._evaluated)


def nothing_holds(atoms: Atoms) -> bool:
    """Whether atoms are free to turn and drift together."""
    return not atoms.pbc.any() and not atoms.constraints


def require_one_path(images: Sequence[Atoms]) -> None:
    """Refuse images that are not states of the same atoms in the same cell.

    Raises:
        StructureError: fewer than two, or other atoms, periodicity or cell in one of them.
    """
    if len(images) < 2:
        raise StructureError(f"{len(images)} structure given; a path takes its two ends at least.")
    first = images[0]
    for place, image in enumerate(images):
        if not np.array_equal(image.numbers, first.numbers):
            raise StructureError(
                f"image {place} is {image.get_chemical_formula()} in another order of atoms, or another substance than "
                f"image 0, {first.get_chemical_formula()}: the same atoms in the same order were expected."
            )
        strain_a = np.abs(image.cell[:] - first.cell[:])[first.pbc].max(initial=0.0)
        if (image.pbc != first.pbc).any() or strain_a > SAME_CELL_A:
            raise StructureError(
                f"image {place} has another cell or periodicity than image 0: a band moves atoms in one cell."
            )


def unwrapped(images: Sequence[Atoms]) -> list[Atoms]:
    """Copies in which no atom jumps by a lattice vector from one image to the next, nor a free molecule turns."""
    found = [images[0].copy()]
    for image in images[1:]:
        step, _ = find_mic(image.positions - found[-1].positions, image.cell, image.pbc)
        copy = image.copy()
        copy.set_positions(found[-1].positions + step, apply_constraint=False)
        copy.set_cell(images[0].cell)
        if nothing_holds(copy):
            minimize_rotation_and_translation(found[-1], copy)
        found.append(copy)
    return found


def between(first: Atoms, last: Atoms, count: int, how: str) -> list[Atoms]:
    """`count` images on the way from one unwrapped state to another.

    Args:
        how: "linear", or "idpp", which keeps atoms apart on the way: Smidstrup, Pedersen, Stokbro, Jónsson, J. Chem.
            Phys. 140, 214106 (2014).
    """
    images = [first.copy(), *(first.copy() for _ in range(count)), last.copy()]
    interpolate(images, apply_constraint=False)
    if how == "idpp":
        idpp_interpolate(NEB(images, method=METHOD), traj=None, log=None, mic=bool(first.pbc.any()))
    return images[1:-1]


def require_two_states(first: Atoms, last: Atoms) -> None:
    """Refuse ends that are one state.

    Raises:
        ConfigError: no atom moves from the one to the other.
    """
    step, _ = find_mic(last.positions - first.positions, first.cell, first.pbc)
    if max_norm(step) < SAME_A:
        raise ConfigError(
            f"the two ends are the same state: no atom moves by more than {max_norm(step):.3g} Å. If they were not "
            "before, they relaxed into one minimum, and there is no barrier between them."
        )


def curvature_ev_per_a2(images: Sequence[Atoms], place: int, calculator: Any) -> float:
    """Second derivative of the energy along the path at an inner image, from forces at either side; below zero at a
    saddle.
    """
    along = images[place + 1].positions - images[place - 1].positions
    along /= np.linalg.norm(along)
    sides = []
    for sense in (1.0, -1.0):
        side = images[place].copy()
        side.set_positions(side.positions + sense * NUDGE_A * along, apply_constraint=False)
        sides.append(side)
    ahead, behind = (float((frame.get_forces() * along).sum()) for frame in evaluate_each(sides, calculator))
    return (behind - ahead) / (2.0 * NUDGE_A)

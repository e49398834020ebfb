"""Force constants of a crystal by finite displacements, all displaced supercells in batches through the calculator."""

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
from alignn_ff.workflows.crystal import CrystalSettings
from alignn_ff.workflows.frames import append_frame, growing_file, max_norm, stored_forces
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.supercell import force_range_a, given_or_chosen

LONGEST_DISPLACEMENT_A = 0.2


@dataclass(frozen=True)
class HarmonicSettings(CrystalSettings):
    """How force constants are found; settings of workflows on phonons begin with these."""

    supercell: tuple[int, int, int] | None = setting(
        None,
        "Multiples of the cell vectors; by default the smallest with all vectors at least twice range_a long.",
        at_least=1,
    )
    range_a: float | None = setting(
        None, "How far force constants reach; by default 1.5 cutoffs of the model, at least 5 Å.", unit="Å", above=0
    )
    max_atoms: int = setting(400, "Largest supercell that rule may choose, in atoms.", at_least=1)
    displacement_a: float = setting(0.01, "Length of the displacements.", unit="Å", above=0, alias="--displacement")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.supercell is not None:
            reject_unused(self, ("range_a", "max_atoms"), "supercell is given")
        if self.displacement_a > LONGEST_DISPLACEMENT_A:
            raise ConfigError(
                f"`displacement_a` = {self.displacement_a:g}: at most {LONGEST_DISPLACEMENT_A:g} Å was expected, force "
                "constants are the limit of small displacements."
            )


class Harmonic(NamedTuple):
    """A crystal with its force constants.

    Attributes:
        phonon: phonopy's object, force constants symmetrised, no non-analytical term.
        displaced_cells: supercells with a displaced atom.
        residual_force_ev_per_a: largest force in the perfect supercell, which was subtracted from all others.
        drift_ev_per_a2: largest sum of force constants over all atoms, zero but for numbers, before symmetrising.
    """

    phonon: Any
    displaced_cells: int
    residual_force_ev_per_a: float
    drift_ev_per_a2: float


def supercell_matrix(crystal: Atoms, settings: HarmonicSettings, calculator: Any) -> NDArray:
    """Supercell matrix [3, 3] as asked for or chosen; rows are its vectors in terms of the cell's."""
    range_a = force_range_a(calculator) if settings.range_a is None else settings.range_a
    return given_or_chosen(crystal, settings.supercell, range_a, settings.max_atoms)


def force_constants(
    crystal: Atoms,
    matrix: NDArray,
    settings: HarmonicSettings,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
    relax: Relaxer | None = None,
) -> Harmonic:
    """Displace atoms as symmetry demands and take the force constants from the forces.

    Args:
        crystal: relaxed, with its calculator.
        matrix: supercell matrix [3, 3], rows are the supercell's vectors in terms of the cell's.
        folder: where `displaced.extxyz` grows cell by cell, the perfect supercell first; None writes nothing.
        relax: of the job, which knows the forces that an earlier run of it computed; one that forgets unless given.
    Raises:
        ConfigError: a supercell of one atom.
        RunawayError: energy or forces not finite.
    """
    phonon = to_phonopy(crystal, matrix, settings.symprec)
    if len(phonon.supercell) < 2:
        raise ConfigError("a supercell of one atom moves as a whole and has no vibrations; a larger one was expected.")
    phonon.generate_displacements(distance=settings.displacement_a)
    cells = [from_phonopy(each, crystal) for each in (phonon.supercell, *phonon.supercells_with_displacements)]
    forces = displaced_forces(cells, relax or Relaxer(crystal.calc), folder=folder, progress=progress)
    phonon.forces = forces[1:] - forces[0]
    phonon.produce_force_constants(calculate_full_force_constants=False)
    drift = float(np.abs(phonon.force_constants.sum(axis=1)).max())
    phonon.symmetrize_force_constants()
    return Harmonic(phonon, len(cells) - 1, max_norm(forces[0]), drift)


def to_phonopy(crystal: Atoms, matrix: NDArray, symprec: float) -> Any:
    """phonopy's object for a crystal with the masses of its atoms; the primitive cell is found by symmetry."""
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms
    from phonopy.structure.cells import guess_primitive_matrix

    cell = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(),
        cell=crystal.cell[:],
        scaled_positions=crystal.get_scaled_positions(),
        masses=crystal.get_masses(),
    )
    # found here and not within Phonopy, which warns where it finds another than the identity
    primitive = guess_primitive_matrix(cell, symprec=symprec)
    # phonopy has vectors in columns
    return Phonopy(cell, supercell_matrix=matrix.T, primitive_matrix=primitive, symprec=symprec)


def from_phonopy(cell: Any, crystal: Atoms) -> Atoms:
    """A cell of phonopy's as atoms, with the `info` of the crystal it was made from, which a calculator may read."""
    return Atoms(
        symbols=cell.symbols,
        cell=cell.cell,
        scaled_positions=cell.scaled_positions,
        masses=cell.masses,
        pbc=True,
        info=crystal.info,
    )


def displaced_forces(
    cells: Sequence[Atoms], relax: Relaxer, *, folder: str | Path | None = None, progress: bool = False
) -> NDArray:
    """Forces [cells, N, 3] in eV/Å, all cells in batches through the calculator; arguments as in `force_constants`."""
    forces = []
    with growing_file(folder, "displaced.extxyz") as file, track("displace", len(cells), show=progress) as advance:
        for frame in relax.evaluate_each(cells):
            append_frame(file, frame)
            forces.append(stored_forces(frame))
            advance()
    return np.array(forces)

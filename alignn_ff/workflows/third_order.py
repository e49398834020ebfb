"""Third-order force constants of a crystal: pairs of atoms displaced in supercells smaller than the second order's."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.force_constants import HarmonicSettings, displaced_forces, from_phonopy
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.supercell import given_or_chosen

log = logging.getLogger(__name__)

LONGEST_DISPLACEMENT_A = 0.3


@dataclass(frozen=True)
class AnharmonicSettings(HarmonicSettings):
    """How force constants of second and third order are found."""

    pair_supercell: tuple[int, int, int] | None = setting(
        None,
        "Multiples of the cell vectors where pairs of atoms are displaced; by default the smallest with all vectors at "
        "least twice pair_range_a long.",
        at_least=1,
    )
    pair_range_a: float = setting(5.0, "How far force constants of third order reach.", unit="Å", above=0)
    pair_max_atoms: int = setting(200, "Largest supercell that this rule may choose, in atoms.", at_least=1)
    pair_displacement_a: float = setting(0.03, "Length of the displacements of pairs.", unit="Å", above=0)
    pair_cutoff_a: float | None = setting(
        None, "Two atoms further apart than this have no part in the third order; by default all.", unit="Å", above=0
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pair_supercell is not None:
            reject_unused(self, ("pair_range_a", "pair_max_atoms"), "pair_supercell is given")
        if self.pair_displacement_a > LONGEST_DISPLACEMENT_A:
            raise ConfigError(
                f"`pair_displacement_a` = {self.pair_displacement_a:g}: at most {LONGEST_DISPLACEMENT_A:g} Å was "
                "expected, force constants are the limit of small displacements."
            )


class Anharmonic(NamedTuple):
    """A crystal with its force constants of second and third order.

    Attributes:
        phonons: phono3py's object; its force constants obey all symmetries and sum rules.
        displaced_cells: supercells with one or two displaced atoms.
        left_out: those that the cutoff spared.
    """

    phonons: Any
    displaced_cells: int
    left_out: int


def require_phono3py() -> None:
    """Refuse to begin what phono3py is needed for at the end.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import phono3py  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"scattering of phonons is computed by phono3py, which cannot be imported ({error}). Install it: "
            "pip install alignn-ff[conductivity]"
        ) from error


def third_order(
    crystal: Atoms, phonon: Any, settings: AnharmonicSettings, relax: Relaxer, *, progress: bool = False
) -> Anharmonic:
    """Displace pairs of atoms as symmetry demands and fit the force constants to the forces.

    Args:
        crystal: relaxed, as it was for the second order.
        phonon: phonopy's object with force constants of second order; a non-analytical term goes along.
        relax: of the job, whose calculator gives the forces.
    Raises:
        ConfigError: phono3py is not installed, or the supercell is too small to have a third order.
        RunawayError: energy or forces not finite.
    Source of the fit: Seko, Togo, Phys. Rev. B 110, 214302 (2024).
    """
    phonons = _to_phono3py(crystal, phonon, settings)
    phonons.generate_displacements(distance=settings.pair_displacement_a, cutoff_pair_distance=settings.pair_cutoff_a)
    displaced = phonons.supercells_with_displacements
    wanted = np.array([cell is not None for cell in displaced])
    cells = [from_phonopy(cell, crystal) for cell in (phonons.supercell, *displaced) if cell is not None]
    found = displaced_forces(cells, relax, progress=progress)
    forces = np.zeros((len(displaced), *found.shape[1:]))  # what is left out has no part in what follows
    forces[wanted] = found[1:] - found[0]
    phonons.forces = forces
    _fit(phonons, settings.pair_cutoff_a)
    return Anharmonic(phonons, int(wanted.sum()), int((~wanted).sum()))


def _to_phono3py(crystal: Atoms, phonon: Any, settings: AnharmonicSettings) -> Any:
    """phono3py's object with the cells, symmetry and second order of phonopy's."""
    require_phono3py()
    from phono3py import Phono3py

    matrix = given_or_chosen(crystal, settings.pair_supercell, settings.pair_range_a, settings.pair_max_atoms)
    phonons = Phono3py(
        phonon.unitcell,
        supercell_matrix=matrix.T,  # phonopy has vectors in columns
        primitive_matrix=phonon.primitive_matrix,
        phonon_supercell_matrix=phonon.supercell_matrix,
        symprec=settings.symprec,
    )
    phonons.phonon_dataset = phonon.dataset
    phonons.fc2 = phonon.force_constants
    phonons.nac_params = phonon.nac_params
    return phonons


def _fit(phonons: Any, cutoff_a: float | None) -> None:
    """Force constants of third order from the forces.

    By symfc: phono3py's own solver compares displacements, as fractions of the cell, with a symprec that must be tight.
    """
    options = None if cutoff_a is None else f"cutoff={cutoff_a}"
    try:
        phonons.produce_fc3(fc_calculator="symfc", fc_calculator_options=options)
    except AssertionError as error:  # how symfc says that symmetry leaves nothing to fit
        reach = "" if cutoff_a is None else f" with neighbours within {cutoff_a:g} Å"
        raise ConfigError(
            f"symmetry leaves no third order in a supercell of {len(phonons.supercell)} atoms{reach}: all of an "
            "atom's neighbours have images on its other side. Let there be a larger pair_supercell (or pair_cutoff_a)."
        ) from error

"""The two halves of an interface, each in its bulk and as a slab by itself."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import atoms_alone, atoms_and_normal, reference_crystal
from alignn_ff.workflows.frames import stored_energy
from alignn_ff.workflows.interface_match import Match
from alignn_ff.workflows.interface_settings import InterfaceSettings
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.surface_settings import miller_indices
from alignn_ff.workflows.surface_slabs import area_a2, block, cuts, in_vacuum, lattice_of, periods

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Half:
    """A crystal cut at a plane: one period of it above the cut, and whether a slab of such has two equal faces."""

    block: Atoms
    symmetric: bool
    energy_ev_per_atom: float
    converged: bool


@dataclass(frozen=True)
class Slab:
    """A half by itself: energies in eV per Å² of its area, before and after relaxation, and that of as much bulk."""

    frame: Atoms
    unrelaxed: float
    relaxed: float
    bulk: float
    converged: bool


def half(crystal: Atoms, relax: Relaxer, settings: InterfaceSettings, which: str) -> Half:
    """The relaxed crystal, cut as the settings say of `which`, "substrate" or "film".

    Raises:
        ConfigError: no such termination, no crystal, or a calculator without stress.
    """
    reference = reference_crystal(crystal, settings, needs_stress=True, relax=relax)
    lattice = lattice_of(reference.atoms, settings.symprec)
    (plane,) = miller_indices(getattr(settings, f"{which}_miller"))
    found = cuts(lattice, plane)
    number = getattr(settings, f"{which}_termination")
    if number > len(found):
        raise ConfigError(
            f"`{which}_termination` = {number}: the plane {plane} of {crystal.get_chemical_formula()} has "
            f"{len(found)} terminations that symmetry tells apart."
        )
    cut = found[number - 1]
    per_atom = stored_energy(reference.atoms) / len(reference.atoms)
    return Half(block(lattice, cut), cut.symmetric, per_atom, reference.converged or not settings.relax)


def strained(film: Half, match: Match, relax: Relaxer, settings: InterfaceSettings) -> Half:
    """The film stretched in its plane to the common cell, and relaxed along the normal, in the bulk."""
    deformation = np.eye(3)
    deformation[:2, :2] = match.deformation
    start = film.block.copy()
    start.set_cell(start.cell[:] @ deformation, scale_atoms=True)
    relaxed = relax(start, atoms_and_normal(settings))
    if not relaxed.converged:
        log.warning("the strained film did not relax along its normal (%s).", relaxed.reason)
    return Half(relaxed.atoms, film.symmetric, relaxed.energy_ev / len(start), film.converged and relaxed.converged)


def slab(half: Half, relax: Relaxer, settings: InterfaceSettings) -> Slab:
    """The half by itself, in its smallest cell."""
    start = in_vacuum(half.block * (1, 1, periods(half.block, settings.thickness_a)), settings.vacuum_a)
    (unrelaxed,) = evaluate_each([start], relax.calculator)
    frame, converged = unrelaxed, True
    if settings.relax_interface:
        relaxed = relax(start, atoms_alone(settings))
        frame, converged = relaxed.atoms, relaxed.converged
    area = area_a2(start)
    bulk = len(start) * half.energy_ev_per_atom
    return Slab(frame, stored_energy(unrelaxed) / area, stored_energy(frame) / area, bulk / area, converged)

"""Formation energies of vacancies, with and without relaxation, in a series of growing supercells.

alignn-ff vacancy cu.cif
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.build import make_supercell
from ase.geometry import find_mic
from numpy.typing import NDArray

from alignn_ff.progress import track
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import CrystalSettings, atoms_alone, reference_crystal
from alignn_ff.workflows.formation_elements import Reference, element_references, read_structures
from alignn_ff.workflows.frames import append_line, growing_file, max_norm, stored_energy, stored_forces
from alignn_ff.workflows.relax import RelaxResult, RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.vacancy_cells import image_distance_a, kinds, removed_sites, supercell_series
from alignn_ff.workflows.vacancy_result import COLUMNS, Row, Vacancy, VacancyResult, columns_of

log = logging.getLogger(__name__)

SIZE_EFFECT_EV = 0.05
"""A formation energy that still changes by more with the last supercell is said not to have converged."""


@dataclass(frozen=True)
class VacancySettings(CrystalSettings):
    """Which atoms to remove from which supercells; see `--help` of the command for each field."""

    fmax: float = setting(1e-3, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    site: int | None = setting(
        None, "Index of the atom to remove; by default one of each kind that symmetry tells apart.", at_least=0
    )
    supercell: tuple[int, int, int] | None = setting(
        None, "Multiples of the cell vectors in the one supercell; by default a series.", at_least=1
    )
    shortest_a: float = setting(
        8.0, "The series begins with vectors at least this long, between a vacancy and its images.", unit="Å", above=0
    )
    sizes: int = setting(3, "Supercells in the series, each the next larger one.", at_least=1)
    max_atoms: int = setting(400, "The series ends before a supercell of more atoms.", at_least=2)
    relax_vacancies: bool = setting(True, "Relax the atoms around the vacancy; without it only the unrelaxed energy.")
    rattle_a: float = setting(
        0.01, "Random displacement before that, so that the symmetry of the site may break.", unit="Å", at_least=0
    )
    seed: int = setting(0, "Seed of these displacements.", at_least=0)
    references: str | None = setting(
        None, "Structures of elements that compete with the known ones as reservoir of a compound's atoms; a file."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.supercell is not None:
            reject_unused(self, ("shortest_a", "sizes", "max_atoms"), "the supercell is given")
        if not self.relax_vacancies:
            reject_unused(self, ("rattle_a", "seed"), "vacancies are not relaxed")


VACANCY_DEFAULTS = VacancySettings()


class Reservoir(NamedTuple):
    """Where the removed atom goes: what it costs there in eV, in which structure, and whether that relaxed."""

    energy_ev: float
    structure: str
    converged: bool


def run_vacancy(
    atoms: Atoms,
    settings: VacancySettings = VACANCY_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> VacancyResult:
    """Relax a copy of `atoms` with its calculator, and remove one atom from supercells of it.

    The formation energy is E(N - 1 atoms) - E(N atoms) + the energy of the atom in its reservoir, at the volume of the
    crystal: the crystal itself where it is an element, else the most stable known structure of the removed element,
    which is the limit rich in that element (Freysoldt et al., Rev. Mod. Phys. 86, 253, 2014).

    Args:
        atoms: periodic in 3D, with a calculator; left as it is.
        folder: where `series.csv` grows vacancy by vacancy and the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`).
    Raises:
        ConfigError: no calculator, no crystal periodic in 3D, no such site, supercells too small or too large, or no
            reference structure of a removed element.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    with open_relaxer(atoms, folder, resume=resume) as relax:
        result = _computed(atoms, relax, settings, folder, progress)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _computed(
    atoms: Atoms, relax: Relaxer, settings: VacancySettings, folder: str | Path | None, progress: bool
) -> VacancyResult:
    reference = reference_crystal(atoms, settings, relax=relax)
    crystal = reference.atoms
    sites = removed_sites(crystal, settings)
    supercells = [make_supercell(crystal, matrix) for matrix in supercell_series(crystal, settings)]
    reservoirs = _reservoirs(crystal, sites, relax, settings)
    rows, relaxed = [], []
    total = len(sites) * len(supercells)
    with growing_file(folder, "series.csv") as file, track("vacancy", total, show=progress) as advance:
        append_line(file, COLUMNS)
        for perfect in supercells:
            for site in sites:
                row, frame = _vacancy(perfect, site, reservoirs[crystal.symbols[site]].energy_ev, relax, settings)
                rows.append(row)
                relaxed.append(frame)
                append_line(file, row)
                advance(note=f"{row.element} {row.supercell_atoms} atoms, {row.formation_energy_ev:.4f} eV")
    return _result(reference, rows, relaxed[-len(sites) :], reservoirs, settings)


def _reservoirs(
    crystal: Atoms, sites: Sequence[int], relax: Relaxer, settings: VacancySettings
) -> dict[str, Reservoir]:
    """Reservoir of each element removed."""
    if len(set(crystal.symbols)) == 1:
        energy = stored_energy(crystal) / len(crystal)
        return {crystal.symbols[0]: Reservoir(energy, "the crystal itself", True)}
    given = read_structures(settings.references)
    how = RelaxSettings(
        optimizer=settings.optimizer, fmax=settings.fmax, steps=settings.relax_steps, symprec=settings.symprec
    )
    found = element_references((crystal.symbols[site] for site in sites), relax, how, given=given)
    return {symbol: _reservoir(one) for symbol, one in found.items()}


def _reservoir(one: Reference) -> Reservoir:
    return Reservoir(one.energy_ev_per_atom, one.structure, one.converged)


def _vacancy(
    perfect: Atoms, site: int, reservoir_ev: float, relax: Relaxer, settings: VacancySettings
) -> tuple[Row, Atoms]:
    """One vacancy in one supercell, and its structure."""
    empty = perfect.copy()
    del empty[site]
    whole, unrelaxed = evaluate_each([perfect, empty], relax.calculator)
    offset = reservoir_ev - stored_energy(whole)
    frame, converged = unrelaxed, True
    if settings.relax_vacancies:
        relaxed = _relaxed(unrelaxed, relax, settings)
        frame, converged = relaxed.atoms, relaxed.converged
    row = Row(
        site=site,
        element=str(perfect.symbols[site]),
        supercell_atoms=len(perfect),
        image_distance_a=image_distance_a(perfect),
        unrelaxed_formation_energy_ev=stored_energy(unrelaxed) + offset,
        formation_energy_ev=stored_energy(frame) + offset,
        max_displacement_a=_largest_displacement_a(unrelaxed, frame),
        max_force_ev_per_a=max_norm(stored_forces(frame)),
        converged=converged,
    )
    return row, frame


def _relaxed(unrelaxed: Atoms, relax: Relaxer, settings: VacancySettings) -> RelaxResult:
    start = unrelaxed.copy()
    start.rattle(settings.rattle_a, seed=settings.seed)
    return relax(start, atoms_alone(settings))


def _largest_displacement_a(before: Atoms, after: Atoms) -> float:
    vectors, _ = find_mic(after.positions - before.positions, before.cell, before.pbc)
    return max_norm(vectors)


def _result(
    reference: RelaxResult,
    rows: Sequence[Row],
    largest: Sequence[Atoms],
    reservoirs: dict[str, Reservoir],
    settings: VacancySettings,
) -> VacancyResult:
    kind = kinds(reference.atoms, settings)
    vacancies = []
    for site in dict.fromkeys(row.site for row in rows):
        own = [row for row in rows if row.site == site]
        reservoir = reservoirs[own[-1].element]
        vacancies.append(_summary(own, int((kind == kind[site]).sum()), reservoir))
    return VacancyResult(
        atoms=reference.atoms,
        settings=settings,
        vacancies=tuple(vacancies),
        series=columns_of(rows),
        relaxed=tuple(largest),
        converged=all(one.converged for one in vacancies) and (reference.converged or not settings.relax),
        space_group=reference.space_group_after,
    )


def _summary(rows: Sequence[Row], multiplicity: int, reservoir: Reservoir) -> Vacancy:
    energies = np.array([row.formation_energy_ev for row in rows])
    last = rows[-1]
    return Vacancy(
        site=last.site,
        element=last.element,
        multiplicity=multiplicity,
        supercell_atoms=last.supercell_atoms,
        formation_energy_ev=last.formation_energy_ev,
        unrelaxed_formation_energy_ev=last.unrelaxed_formation_energy_ev,
        relaxation_energy_ev=last.formation_energy_ev - last.unrelaxed_formation_energy_ev,
        size_effect_ev=float(energies[-1] - energies[-2]) if len(rows) > 1 else None,
        extrapolated_formation_energy_ev=_extrapolated(rows, energies) if len(rows) > 1 else None,
        reservoir_energy_ev=reservoir.energy_ev,
        reservoir=reservoir.structure,
        converged=reservoir.converged and all(row.converged for row in rows),
    )


def _extrapolated(rows: Sequence[Row], energies: NDArray) -> float:
    """The limit of a straight line in 1/N: vacancies and their images interact through strain, as 1/volume does.

    Source: Varvenne, Bruneval, Marinica, Clouet, Phys. Rev. B 88, 134102 (2013).
    """
    inverse = 1.0 / np.array([row.supercell_atoms for row in rows])
    return float(np.polyfit(inverse, energies, 1)[1])


def _warn(result: VacancyResult) -> None:
    for one in result.vacancies:
        label = f"vacancy of {one.element} (site {one.site})"
        if not one.converged:
            log.warning("%s: a relaxation did not converge, see series.csv.", label)
        if one.size_effect_ev is not None and abs(one.size_effect_ev) > SIZE_EFFECT_EV:
            log.warning(
                "%s: the last supercell changes its energy by %+.3f eV. Let there be larger ones (max_atoms, sizes).",
                label,
                one.size_effect_ev,
            )
        if one.formation_energy_ev < 0:
            log.warning("%s: its formation energy is negative, the crystal would lose such atoms.", label)

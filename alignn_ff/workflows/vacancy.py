"""Formation energies of vacancies, with and without relaxation, in a series of growing supercells.

alignn-ff vacancy cu.cif
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from alignn_ff.workflows.crystal import reference_crystal
from alignn_ff.workflows.defect_cells import chosen_sites, kinds
from alignn_ff.workflows.defect_reservoirs import reservoirs
from alignn_ff.workflows.defect_series import Change, Series, SeriesSettings, ending, series_table
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.vacancy_result import Vacancy, VacancyResult


@dataclass(frozen=True)
class VacancySettings(SeriesSettings):
    """Which atoms to remove from which supercells; see `--help` of the command for each field."""

    relax_vacancies: bool = setting(True, "Relax the atoms around the vacancy; without it only the unrelaxed energy.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.relax_vacancies:
            reject_unused(self, ("rattle_a", "seed"), "vacancies are not relaxed")


VACANCY_DEFAULTS = VacancySettings()


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
    crystal; reservoirs as in `defect_reservoirs.reservoirs`.

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
    result.warn()
    if folder is not None:
        result.save(folder)
    return result


def _computed(
    atoms: Atoms, relax: Relaxer, settings: VacancySettings, folder: str | Path | None, progress: bool
) -> VacancyResult:
    reference = reference_crystal(atoms, settings, relax=relax)
    crystal = reference.atoms
    changes = _changes(crystal, settings)
    found = reservoirs(crystal, {change.removed for change in changes if change.removed}, relax, settings)
    series = Series(crystal, found, relax, settings, settings.relax_vacancies)
    energies, frames = series.measure(changes, "vacancy", folder, progress=progress)
    vacancies = []
    for change in changes:
        own, reservoir = energies[change.label], found[str(change.removed)]
        vacancies.append(
            Vacancy(
                label=change.label,
                site=change.site,
                element=str(change.removed),
                multiplicity=change.multiplicity,
                reservoir_energy_ev=reservoir.energy_ev,
                reservoir=reservoir.structure,
                converged=reservoir.converged and all(one.converged for one in own),
                **ending(own),
            )
        )
    return VacancyResult(
        atoms=crystal,
        settings=settings,
        vacancies=tuple(vacancies),
        series=series_table(energies),
        relaxed=frames,
        converged=all(one.converged for one in vacancies) and (reference.converged or not settings.relax),
        space_group=reference.space_group_after,
    )


def _changes(crystal: Atoms, settings: VacancySettings) -> list[Change]:
    kind = kinds(crystal, settings.symprec)
    symbols = list(crystal.symbols)
    return [
        Change(f"V({symbols[site]} site {site})", site, symbols[site], None, None, int(np.sum(kind == kind[site])))
        for site in chosen_sites(crystal, settings)
    ]

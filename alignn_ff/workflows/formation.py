"""Formation energies from the elements and the convex hull of phases, all computed by one model.

alignn-ff formation Cu3Au.cif CuAu.cif --model ase:emt
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

from alignn_ff.errors import StructureError
from alignn_ff.progress import track
from alignn_ff.workflows.formation_elements import Reference, element_references, reference_table
from alignn_ff.workflows.formation_hull import Decomposition, fractions, hull_distances
from alignn_ff.workflows.formation_result import FormationResult, Phase
from alignn_ff.workflows.frames import append_line, growing_file
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxResult, RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.settings import reject_unused, setting, validate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FormationSettings:
    """How structures and elements are relaxed; see `--help` of the command for each field."""

    relax: bool = setting(True, "Relax cell and atoms of the structures; elements are relaxed in any case.")
    optimizer: str = setting("BFGS", "ASE optimizer of every relaxation.", choices=tuple(OPTIMIZERS))
    fmax: float = setting(5e-3, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    relax_steps: int = setting(500, "Its most steps.", at_least=1)
    symprec: float = setting(0.01, "Tolerance of the space group search.", unit="Å", above=0)
    known_elements: bool = setting(
        True, "Let known structures of the elements compete with those given; else only given ones are references."
    )

    def __post_init__(self) -> None:
        validate(self)
        if not (self.relax or self.known_elements):
            reject_unused(self, ("optimizer", "relax_steps"), "nothing is relaxed")


FORMATION_DEFAULTS = FormationSettings()


def run_formation(
    structures: Sequence[Atoms],
    settings: FormationSettings = FORMATION_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> FormationResult:
    """Relax copies of `structures` and of their elements with one calculator, and find the hull of their energies.

    The formation energy per atom is E / N - Σ x_i μ_i with μ_i the energy per atom of element i in the most stable of
    the structures computed; the hull is that of the phases given and of the elements, nothing else. No zero-point
    energies, no temperature, no corrections for gases.

    Args:
        structures: the calculator of the first is used for all; left as they are. Pure elements compete as references.
        folder: where `phases.csv` grows phase by phase and the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`).
    Raises:
        ConfigError: no calculator, or an element without a reference structure.
        StructureError: no structure, no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    if not structures:
        raise StructureError("no structure was given; one at least was expected.")
    with open_relaxer(structures[0], folder, resume=resume) as relax:
        result = _computed(structures, relax, settings, folder, progress)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _computed(
    structures: Sequence[Atoms],
    relax: Relaxer,
    settings: FormationSettings,
    folder: str | Path | None,
    progress: bool,
) -> FormationResult:
    elements = sorted({symbol for atoms in structures for symbol in atoms.symbols})
    references = element_references(
        elements, relax, _how(settings, relax=True), given=structures, known=settings.known_elements, progress=progress
    )
    relaxed = []
    with growing_file(folder, "phases.csv") as file, track("formation", len(structures), show=progress) as advance:
        append_line(file, ("formula", "atoms", "energy_ev", "converged"))
        for atoms in structures:
            relaxed.append(relax(atoms, _how(settings, relax=settings.relax)))
            formula = relaxed[-1].atoms.get_chemical_formula("metal")
            append_line(file, (formula, len(atoms), relaxed[-1].energy_ev, relaxed[-1].converged))
            advance(note=formula)
    return _result(relaxed, references, elements, settings)


def _how(settings: FormationSettings, *, relax: bool) -> RelaxSettings:
    return RelaxSettings(
        optimizer=settings.optimizer,
        fmax=settings.fmax,
        steps=settings.relax_steps if relax else 0,
        cell="auto" if relax else "none",
        symprec=settings.symprec,
    )


def _result(
    relaxed: Sequence[RelaxResult],
    references: dict[str, Reference],
    elements: Sequence[str],
    settings: FormationSettings,
) -> FormationResult:
    frames = [*(one.atoms for one in references.values()), *(one.atoms for one in relaxed)]
    energies = np.array([*(one.energy_ev_per_atom for one in references.values()), *map(_per_atom, relaxed)])
    compositions = fractions([frame.symbols.formula.count() for frame in frames], elements)
    formation = energies - compositions @ np.array([references[element].energy_ev_per_atom for element in elements])
    distances, mixtures = hull_distances(compositions, formation)
    names = [frame.symbols.formula.reduce()[0].format("metal") for frame in frames]
    first = len(references)
    found = zip(relaxed, names[first:], formation[first:], distances[first:], mixtures[first:], strict=True)
    phases = tuple(
        _phase(one, name, float(energy), float(distance), mixture, names)
        for one, name, energy, distance, mixture in found
    )
    return FormationResult(
        atoms=min(zip(phases, relaxed, strict=True), key=lambda pair: pair[0].formation_energy_ev_per_atom)[1].atoms,
        settings=settings,
        phases=phases,
        references=reference_table(references),
        compositions=compositions[first:],
        elements=tuple(elements),
        relaxed=tuple(one.atoms for one in relaxed),
        converged=all(one.converged or not settings.relax for one in relaxed)
        and all(one.converged for one in references.values()),
        cells_relaxed=all(one.cell == "full" or not one.atoms.pbc.all() for one in relaxed),
        stable=sum(phase.stable for phase in phases),
    )


def _per_atom(one: RelaxResult) -> float:
    return one.energy_ev / len(one.atoms)


def _phase(
    one: RelaxResult, name: str, formation: float, distance: float, mixture: Decomposition, names: Sequence[str]
) -> Phase:
    return Phase(
        formula=name,
        space_group=one.space_group_after or "",
        atoms=len(one.atoms),
        energy_ev_per_atom=_per_atom(one),
        formation_energy_ev_per_atom=formation,
        above_hull_ev_per_atom=distance,
        stable=distance == 0.0,
        decomposes_into=" + ".join(f"{part:.4g} {names[place]}" for place, part in mixture.parts.items()),
        max_force_ev_per_a=one.max_force_ev_per_a,
        converged=one.converged,
    )


def _warn(result: FormationResult) -> None:
    for phase in result.phases:
        if result.settings.relax and not phase.converged:
            log.warning("%s (%s) did not relax, see phases.csv.", phase.formula, phase.space_group)
    if result.settings.relax and not result.cells_relaxed:
        log.warning("the calculator offers no stress: cells stayed as they were given, only atoms were relaxed.")

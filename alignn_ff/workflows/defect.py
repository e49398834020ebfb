"""Formation energies of foreign, exchanged and additional atoms in a crystal, in a series of growing supercells.

alignn-ff defect cu.cif --kind substitution --elements Ni
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols

from alignn_ff.errors import ConfigError, did_you_mean
from alignn_ff.workflows.crystal import reference_crystal
from alignn_ff.workflows.defect_cells import chosen_sites, kinds
from alignn_ff.workflows.defect_reservoirs import Reservoir, reservoirs
from alignn_ff.workflows.defect_result import DefectResult, PointDefect
from alignn_ff.workflows.defect_series import (
    Change,
    Series,
    SeriesSettings,
    ending,
    series_table,
)
from alignn_ff.workflows.interstitials import voids
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.settings import reject_unused, setting

KINDS = ("substitution", "antisite", "interstitial")


@dataclass(frozen=True)
class DefectSettings(SeriesSettings):
    """Which atoms come, and where; see `--help` of the command for each field."""

    kind: str = setting(
        "interstitial",
        "An atom of another element on a site, one of the crystal's own on the site of another, or one in between.",
        choices=KINDS,
    )
    elements: str | None = setting(
        None, "Elements that come, such as C,N; by default those of the crystal, if atoms stand in between."
    )
    smallest_distance: float = setting(
        0.5, "Atoms in between are at least this far from others, in nearest-neighbour distances.", above=0
    )
    relax_defects: bool = setting(True, "Relax the atoms around the defect; without it only the unrelaxed energy.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.relax_defects:
            reject_unused(self, ("rattle_a", "seed"), "defects are not relaxed")
        if self.kind == "antisite":
            reject_unused(self, ("elements",), "an antisite exchanges elements of the crystal")
        if self.kind == "interstitial":
            reject_unused(self, ("site",), "an interstitial has none")
        else:
            reject_unused(self, ("smallest_distance",), "the atom takes a site")
        if self.kind == "substitution" and not self.new_elements:
            raise ConfigError("`elements` is empty: a substitution needs to know which elements come, such as C,N.")
        for symbol in self.new_elements:
            if symbol not in chemical_symbols[1:]:
                near = did_you_mean(symbol, chemical_symbols[1:])
                raise ConfigError(f"`elements`: {symbol!r} is no element{near}.")

    @property
    def new_elements(self) -> list[str]:
        """Those given."""
        return (self.elements or "").replace(",", " ").split()


DEFECT_DEFAULTS = DefectSettings()


def run_defect(
    atoms: Atoms,
    settings: DefectSettings = DEFECT_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> DefectResult:
    """Relax a copy of `atoms` with its calculator, and put an atom in or exchange one in supercells of it.

    The formation energy is E(with the defect) - E(perfect) + the energies of atoms that go - those of atoms that come,
    each in its reservoir, at the volume of the crystal; reservoirs as in `defect_reservoirs.reservoirs`. Defects are
    neutral. An atom removed without another is `run_vacancy`.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is.
        folder: where `series.csv` grows defect by defect and the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`).
    Raises:
        ConfigError: no calculator, no crystal periodic in 3D, no such site, nothing to exchange or no room in between,
            supercells too small or too large, or no reference structure of an element.
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
    atoms: Atoms, relax: Relaxer, settings: DefectSettings, folder: str | Path | None, progress: bool
) -> DefectResult:
    reference = reference_crystal(atoms, settings, relax=relax)
    crystal = reference.atoms
    changes = _interstitials(crystal, settings) if settings.kind == "interstitial" else _exchanges(crystal, settings)
    symbols = {symbol for change in changes for symbol in (change.removed, change.added) if symbol}
    found = reservoirs(crystal, symbols, relax, settings)
    series = Series(crystal, found, relax, settings, settings.relax_defects)
    energies, frames = series.measure(changes, "defect", folder, progress=progress)
    defects = []
    for change in changes:
        own = energies[change.label]
        atoms_of = {symbol: found[symbol] for symbol in (change.removed, change.added) if symbol}
        place = None if change.place_a is None else crystal.cell.scaled_positions(change.place_a)
        defects.append(
            PointDefect(
                label=change.label,
                site=change.site,
                multiplicity=change.multiplicity,
                removed=change.removed,
                added=str(change.added),
                place=None if place is None else (float(place[0]), float(place[1]), float(place[2])),
                reservoirs=_described(atoms_of),
                converged=all(one.converged for one in own) and all(one.converged for one in atoms_of.values()),
                **ending(own),
            )
        )
    return DefectResult(
        atoms=crystal,
        settings=settings,
        defects=tuple(defects),
        series=series_table(energies),
        relaxed=frames,
        converged=all(one.converged for one in defects) and (reference.converged or not settings.relax),
        space_group=reference.space_group_after,
    )


def _exchanges(crystal: Atoms, settings: DefectSettings) -> list[Change]:
    """Each kind of site with each other element on it."""
    kind, symbols = kinds(crystal, settings.symprec), list(crystal.symbols)
    coming = settings.new_elements or sorted(set(symbols))
    changes = [
        Change(
            label=f"{new} on {symbols[site]} site {site}",
            site=site,
            removed=symbols[site],
            added=new,
            place_a=None,
            multiplicity=int(np.sum(kind == kind[site])),
        )
        for site in chosen_sites(crystal, settings)
        for new in coming
        if new != symbols[site]
    ]
    if not changes:
        raise ConfigError(
            f"there is nothing to exchange in {crystal.get_chemical_formula()} with {', '.join(coming)} coming; other "
            "elements were expected."
        )
    return changes


def _interstitials(crystal: Atoms, settings: DefectSettings) -> list[Change]:
    """Each void that symmetry tells apart with each element in it."""
    found = voids(crystal, settings.smallest_distance, settings.symprec)
    if not found:
        raise ConfigError(
            f"there is no room between the atoms of {crystal.get_chemical_formula()} at smallest_distance = "
            f"{settings.smallest_distance:g}. Let it be smaller."
        )
    return [
        Change(
            label=f"{symbol} at {' '.join(f'{part:.3g}' for part in void.place)}",
            site=None,
            removed=None,
            added=symbol,
            place_a=np.array(void.place) @ crystal.cell[:],
            multiplicity=void.multiplicity,
        )
        for void in found
        for symbol in settings.new_elements or sorted(set(crystal.symbols))
    ]


def _described(found: dict[str, Reservoir]) -> str:
    """ "Cu -3.7398 eV (the crystal itself)" of each."""
    return ", ".join(f"{symbol} {one.energy_ev:.4f} eV ({one.structure})" for symbol, one in found.items())

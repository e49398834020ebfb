"""Adsorption energies of an atom or a molecule on the distinct sites of a slab.

alignn-ff adsorption slab.cif --adsorbate CO
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.constraints import FixAtoms
from ase.data import covalent_radii
from ase.geometry import find_mic
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.workflows.adsorption_gas import gas, named_molecule
from alignn_ff.workflows.adsorption_result import COLUMNS, Adsorbed, AdsorptionResult
from alignn_ff.workflows.adsorption_sites import Site, distinct_sites, upward
from alignn_ff.workflows.frames import append_line, growing_file, working_copy
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxResult, RelaxSettings
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.settings import setting, validate

log = logging.getLogger(__name__)

LEAST_VACUUM_A = 8.0
"""Less room above a slab than this is no vacuum for an adsorbate."""

LEAST_HEIGHT_A = 0.8
"""An adsorbate starts at least this high above the layer, even over a wide hollow."""

SLID_A = 0.5
"""An adsorbate that moved further than this along the surface is said to have left its site."""


@dataclass(frozen=True)
class AdsorptionSettings:
    """What adsorbs, and how; see `--help` of the command for each field."""

    adsorbate: str = setting("H", "An element, or a molecule of ASE's g2 set such as CO or H2O, its lowest atom down.")
    reference: str | None = setting(
        None,
        "Gas that the adsorbate comes from, a multiple of its formula, e.g. O2 for O; by default itself, isolated.",
    )
    site: str | None = setting(None, "Kind of site; by default all.", choices=("ontop", "bridge", "hollow"))
    height_a: float | None = setting(
        None, "Height above the top layer at the start; by default from covalent radii.", unit="Å", above=0
    )
    layer_a: float = setting(0.7, "Atoms at most this far below the highest make up the top layer.", unit="Å", above=0)
    fixed_part: float = setting(
        0.5,
        "Lower part of the slab that stays as it is; without effect where the structure has constraints.",
        at_least=0,
    )
    optimizer: str = setting("BFGS", "ASE optimizer of every relaxation.", choices=tuple(OPTIMIZERS))
    fmax: float = setting(0.02, "Its force criterion.", unit="eV/Å", above=0)
    relax_steps: int = setting(300, "Its most steps; 0 for energies at the start.", at_least=0)
    symprec: float = setting(0.01, "Tolerance of the search for equal sites.", unit="Å", above=0)

    def __post_init__(self) -> None:
        validate(self)
        gas(self.adsorbate, self.reference)
        if self.fixed_part > 1:
            raise ConfigError(f"`fixed_part` = {self.fixed_part:g}: at most 1, all of the slab, was expected.")


ADSORPTION_DEFAULTS = AdsorptionSettings()


def run_adsorption(
    atoms: Atoms,
    settings: AdsorptionSettings = ADSORPTION_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> AdsorptionResult:
    """Relax a copy of the slab `atoms` with its calculator, bare and with the adsorbate on each distinct site.

    The adsorption energy is E(slab with adsorbate) - E(slab) - E(gas) per adsorbate, negative where it binds.

    Args:
        atoms: repeats along its first two cell vectors, with vacuum along the third; left as it is.
        folder: where `sites.csv` grows site by site and the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`).
    Raises:
        ConfigError: no calculator, no slab, too little vacuum, or no site of the kind asked for.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    slab = working_copy(atoms)
    sites = _sites(slab, settings)
    _require_vacuum(slab)
    if not slab.constraints:
        slab.set_constraint(_fixed(slab, settings.fixed_part))
    with open_relaxer(atoms, folder, resume=resume) as relax:
        result = _computed(slab, sites, relax, settings, folder, progress)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _computed(
    slab: Atoms,
    sites: Sequence[Site],
    relax: Relaxer,
    settings: AdsorptionSettings,
    folder: str | Path | None,
    progress: bool,
) -> AdsorptionResult:
    bare = relax(slab, _how(settings))
    free, share = gas(settings.adsorbate, settings.reference)
    reference = relax(free, _how(settings))
    found, frames = [], []
    with growing_file(folder, "sites.csv") as file, track("adsorption", len(sites), show=progress) as advance:
        append_line(file, COLUMNS)
        for site in sites:
            one, frame = _adsorbed(bare, site, share * reference.energy_ev, relax, settings)
            found.append(one)
            frames.append(frame)
            append_line(file, one)
            advance(note=f"{one.site} {one.adsorption_energy_ev:.4f} eV")
    return _result(bare, reference, found, frames, settings)


def _sites(slab: Atoms, settings: AdsorptionSettings) -> list[Site]:
    found = distinct_sites(slab, settings.layer_a, settings.symprec)
    kept = [site for site in found if settings.site in (None, site.kind)]
    if not kept:
        seen = ", ".join(dict.fromkeys(site.label for site in found))
        raise ConfigError(f"the surface has no {settings.site}; it has {seen}.")
    return kept


def _require_vacuum(slab: Atoms) -> None:
    if not slab.pbc[2]:
        return
    heights = slab.positions @ upward(slab)
    gap = float(abs(slab.cell[2] @ upward(slab)) - np.ptp(heights))
    if gap < LEAST_VACUUM_A:
        raise ConfigError(
            f"there are {gap:.2f} Å between the slab and its image along the third cell vector; {LEAST_VACUUM_A:g} Å "
            "of vacuum at least were expected. Add some, e.g. atoms.center(vacuum=7.5, axis=2)."
        )


def _fixed(slab: Atoms, part: float) -> list[FixAtoms]:
    heights = slab.positions @ upward(slab)
    depth = (heights - heights.min()) / max(float(np.ptp(heights)), 1e-9)
    below = np.flatnonzero(depth < part)
    return [FixAtoms(below)] if len(below) else []


def _how(settings: AdsorptionSettings) -> RelaxSettings:
    return RelaxSettings(optimizer=settings.optimizer, fmax=settings.fmax, steps=settings.relax_steps, cell="none")


def _adsorbed(
    bare: RelaxResult, site: Site, gas_ev: float, relax: Relaxer, settings: AdsorptionSettings
) -> tuple[Adsorbed, Atoms]:
    start, anchor = _placed(bare.atoms, site, settings)
    relaxed = relax(start, _how(settings))
    step, _ = find_mic(relaxed.atoms.positions[anchor] - start.positions[anchor], start.cell, start.pbc)
    normal = upward(start)
    slid = float(np.linalg.norm(step - (step @ normal) * normal))
    one = Adsorbed(
        site=site.label,
        x=float(site.xy[0]),
        y=float(site.xy[1]),
        adsorption_energy_ev=relaxed.energy_ev - bare.energy_ev - gas_ev,
        height_a=_height_a(relaxed.atoms, anchor, site),
        slid_a=slid,
        stayed=slid <= SLID_A,
        max_force_ev_per_a=relaxed.max_force_ev_per_a,
        converged=relaxed.converged,
    )
    return one, relaxed.atoms


def _placed(slab: Atoms, site: Site, settings: AdsorptionSettings) -> tuple[Atoms, int]:
    """The slab with the adsorbate above a site, and the index of the atom that is nearest to the surface."""
    adsorbate = named_molecule(settings.adsorbate)
    lowest = int(adsorbate.positions[:, 2].argmin())
    foot = _foot(slab, site)
    height = settings.height_a or _start_height_a(slab, site, int(adsorbate.numbers[lowest]))
    adsorbate.rotate((0, 0, 1), upward(slab))
    adsorbate.translate(foot + height * upward(slab) - adsorbate.positions[lowest])
    return slab + adsorbate, len(slab) + lowest


def _foot(slab: Atoms, site: Site) -> NDArray:
    """The place of a site, at the height of its atoms."""
    normal = upward(slab)
    place = site.xy @ slab.cell[:2]
    height = (slab.positions[list(site.atoms)] @ normal).mean()
    return place + (height - place @ normal) * normal


def _start_height_a(slab: Atoms, site: Site, number: int) -> float:
    """Where bonds to the atoms of the site have the length of the sum of covalent radii."""
    bond = covalent_radii[number] + covalent_radii[slab.numbers[list(site.atoms)]].mean()
    return float(max(np.sqrt(max(bond**2 - site.distance_a**2, 0.0)), LEAST_HEIGHT_A))


def _height_a(atoms: Atoms, anchor: int, site: Site) -> float:
    heights = atoms.positions @ upward(atoms)
    return float(heights[anchor] - heights[list(site.atoms)].mean())


def _result(
    bare: RelaxResult,
    reference: RelaxResult,
    found: Sequence[Adsorbed],
    frames: Sequence[Atoms],
    settings: AdsorptionSettings,
) -> AdsorptionResult:
    relaxing = settings.relax_steps > 0
    best = int(np.argmin([one.adsorption_energy_ev for one in found]))
    every = [bare.converged, reference.converged, *(one.converged for one in found)]
    return AdsorptionResult(
        atoms=frames[best],
        settings=settings,
        slab=bare.atoms,
        sites=tuple(found),
        relaxed=tuple(frames),
        converged=all(every) or not relaxing,
        best_site=found[best].site,
        best_adsorption_energy_ev=found[best].adsorption_energy_ev,
        slab_energy_ev=bare.energy_ev,
        gas_energy_ev=reference.energy_ev,
    )


def _warn(result: AdsorptionResult) -> None:
    for one in result.sites:
        if result.settings.relax_steps and not one.converged:
            log.warning("%s: it did not relax, see sites.csv.", one.site)
        if not one.stayed:
            log.warning(
                "%s: the adsorbate slid away by %.2f Å, this is the energy of another site.", one.site, one.slid_a
            )

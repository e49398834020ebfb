"""Surface energies over Miller indices and terminations from relaxed slabs, and the Wulff shape they make.

alignn-ff surface cu.cif --max-index 2
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.units import J_M2_PER_EV_A2
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import atoms_alone, reference_crystal
from alignn_ff.workflows.frames import append_line, growing_file, max_norm, stored_energy, stored_forces
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.surface_result import COLUMNS, Surface, SurfaceResult
from alignn_ff.workflows.surface_settings import SurfaceSettings, miller_indices
from alignn_ff.workflows.surface_slabs import (
    Cut,
    Lattice,
    Miller,
    area_a2,
    cuts,
    distinct_planes,
    family,
    lattice_of,
    slab,
    unit_normals,
)
from alignn_ff.workflows.wulff import WulffShape, part_of_area, wulff_shape

log = logging.getLogger(__name__)

THICKER, MORE_VACUUM = 1.5, 2.0
"""How much thicker the slab, and how much wider the vacuum, of the checks is."""

SIZE_EFFECT_J_PER_M2 = 0.02
"""A surface energy that changes by more with a thicker slab or more vacuum is said not to have converged."""


SURFACE_DEFAULTS = SurfaceSettings()


class Energy(NamedTuple):
    """A slab after relaxation: its surface energies in J/m², and whether it relaxed."""

    frame: Atoms
    unrelaxed: float
    relaxed: float
    converged: bool


def run_surface(
    atoms: Atoms,
    settings: SurfaceSettings = SURFACE_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> SurfaceResult:
    """Relax a copy of `atoms` with its calculator, cut slabs from it, and compute what their surfaces cost.

    The surface energy is (E(slab) - N E(crystal) per atom) / 2 A, with slabs of whole primitive cells, hence of the
    composition of the crystal. Where no symmetry makes the two faces equal it is their mean (`symmetric`).

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Magnetic moments are not carried over to slabs.
        folder: where `surfaces.csv` grows slab by slab and the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`), and without a Wulff shape where there is none.
    Raises:
        ConfigError: no calculator, no crystal periodic in 3D, no such plane, or a slab of too many atoms.
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
    atoms: Atoms, relax: Relaxer, settings: SurfaceSettings, folder: str | Path | None, progress: bool
) -> SurfaceResult:
    reference = reference_crystal(atoms, settings, relax=relax)
    lattice = lattice_of(reference.atoms, settings.symprec)
    found = [cut for plane in _planes(lattice, settings) for cut in cuts(lattice, plane)]
    _require_small(lattice, found, settings)
    per_atom = stored_energy(reference.atoms) / len(reference.atoms)
    surfaces, slabs = [], []
    with growing_file(folder, "surfaces.csv") as file, track("surface", len(found), show=progress) as advance:
        append_line(file, COLUMNS)
        for cut in found:
            surface, frame = _surface(lattice, cut, per_atom, relax, settings)
            surfaces.append(surface)
            slabs.append(frame)
            append_line(file, surface.row())
            advance(note=f"{surface.label} {surface.surface_energy_j_per_m2:.3f} J/m²")
    return _result(reference, lattice, surfaces, slabs, settings)


def _planes(lattice: Lattice, settings: SurfaceSettings) -> list[Miller]:
    if settings.miller is None:
        return distinct_planes(lattice, settings.max_index)
    planes: list[Miller] = []
    for plane in miller_indices(settings.miller):
        if not any(plane in family(lattice, other) for other in planes):
            planes.append(plane)
    return planes


def _require_small(lattice: Lattice, found: Sequence[Cut], settings: SurfaceSettings) -> None:
    thickness = settings.thickness_a * (THICKER if settings.check else 1.0)
    for cut in found:
        size = len(slab(lattice, cut, thickness_a=thickness, vacuum_a=settings.vacuum_a))
        if size > settings.max_atoms:
            raise ConfigError(
                f"a slab of {cut.miller} {thickness:g} Å thick has {size} atoms, `max_atoms` are {settings.max_atoms}: "
                "let there be more, thinner slabs (thickness_a), or no check."
            )


def _surface(
    lattice: Lattice, cut: Cut, per_atom: float, relax: Relaxer, settings: SurfaceSettings
) -> tuple[Surface, Atoms]:
    start = slab(lattice, cut, thickness_a=settings.thickness_a, vacuum_a=settings.vacuum_a)
    energy = _energy(start, per_atom, relax, settings)
    thickness_change = vacuum_change = None
    if settings.check:
        thick = slab(lattice, cut, thickness_a=THICKER * settings.thickness_a, vacuum_a=settings.vacuum_a)
        thickness_change = _energy(thick, per_atom, relax, settings).relaxed - energy.relaxed
        vacuum_change = _with_more_vacuum(energy.frame, per_atom, relax, settings) - energy.relaxed
    heights = start.positions[:, 2]
    surface = Surface(
        miller=cut.miller,
        termination=cut.number,
        symmetric=cut.symmetric,
        atoms=len(start),
        area_a2=area_a2(start),
        thickness_a=float(np.ptp(heights)),
        unrelaxed_surface_energy_j_per_m2=energy.unrelaxed,
        surface_energy_j_per_m2=energy.relaxed,
        thickness_change_j_per_m2=thickness_change,
        vacuum_change_j_per_m2=vacuum_change,
        max_force_ev_per_a=max_norm(stored_forces(energy.frame)),
        converged=energy.converged,
    )
    return surface, energy.frame


def _energy(start: Atoms, per_atom: float, relax: Relaxer, settings: SurfaceSettings) -> Energy:
    (unrelaxed,) = evaluate_each([start], relax.calculator)
    frame, converged = unrelaxed, True
    if settings.relax_slabs:
        relaxed = relax(start, atoms_alone(settings))
        frame, converged = relaxed.atoms, relaxed.converged
    return Energy(frame, _energy_j_per_m2(unrelaxed, per_atom), _energy_j_per_m2(frame, per_atom), converged)


def _with_more_vacuum(frame: Atoms, per_atom: float, relax: Relaxer, settings: SurfaceSettings) -> float:
    """Surface energy in J/m² of the same atoms further away from their images."""
    wide = frame.copy()
    wide.cell[2, 2] += (MORE_VACUUM - 1.0) * settings.vacuum_a
    (evaluated,) = evaluate_each([wide], relax.calculator)
    return _energy_j_per_m2(evaluated, per_atom)


def _energy_j_per_m2(frame: Atoms, per_atom: float) -> float:
    return (stored_energy(frame) - len(frame) * per_atom) / (2.0 * area_a2(frame)) * J_M2_PER_EV_A2


def _result(
    reference: RelaxResult,
    lattice: Lattice,
    surfaces: Sequence[Surface],
    slabs: Sequence[Atoms],
    settings: SurfaceSettings,
) -> SurfaceResult:
    planes = list(dict.fromkeys(one.miller for one in surfaces))
    best = [min(_of(surfaces, plane), key=lambda one: one.surface_energy_j_per_m2) for plane in planes]
    shape, owners = _wulff(lattice, best)
    parts = None if shape is None else part_of_area(shape, owners, len(planes))
    mean = None if parts is None else float(parts @ [one.surface_energy_j_per_m2 for one in best])
    return SurfaceResult(
        atoms=reference.atoms,
        settings=settings,
        surfaces=tuple(surfaces),
        slabs=tuple(slabs),
        wulff=shape,
        wulff_planes=tuple(planes[owner] for owner in owners) if shape is not None else (),
        wulff_parts={} if parts is None else dict(zip(map(_word, planes), parts.tolist(), strict=True)),
        converged=all(one.converged for one in surfaces) and (reference.converged or not settings.relax),
        space_group=reference.space_group_after,
        mean_surface_energy_j_per_m2=mean,
        shape_factor=None if shape is None else shape.shape_factor,
    )


def _of(surfaces: Sequence[Surface], plane: Miller) -> list[Surface]:
    return [one for one in surfaces if one.miller == plane]


def _word(plane: Miller) -> str:
    return "".join(map(str, plane))


def _wulff(lattice: Lattice, best: Sequence[Surface]) -> tuple[WulffShape | None, list[int]]:
    """The shape and, for each of its facets, the number of its family; None, with a warning, where there is none."""
    normals = [unit_normals(lattice, one.miller) for one in best]
    owners = [k for k, own in enumerate(normals) for _ in own]
    energies = np.array([best[k].surface_energy_j_per_m2 for k in owners])
    try:
        return wulff_shape(np.concatenate(normals), energies), owners
    except ConfigError as error:
        log.warning("there is no Wulff shape: %s", error)
        return None, owners


def _warn(result: SurfaceResult) -> None:
    for one in result.surfaces:
        if not one.converged:
            log.warning("surface %s: a slab did not relax, see surfaces.csv.", one.label)
        if not one.symmetric:
            log.warning("surface %s: the two faces of the slab differ, its energy is their mean.", one.label)
        for what, change in (("thicker slab", one.thickness_change_j_per_m2), ("vacuum", one.vacuum_change_j_per_m2)):
            if change is not None and abs(change) > SIZE_EFFECT_J_PER_M2:
                log.warning("surface %s: more %s changes its energy by %+.3f J/m².", one.label, what, change)

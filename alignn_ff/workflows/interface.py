"""The coherent interface of two crystals, substrate and film: common cell, registry, work of adhesion, energy.

alignn-ff interface ni.cif cu.cif --model ase:emt
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.units import J_M2_PER_EV_A2
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import atoms_alone
from alignn_ff.workflows.frames import max_norm, stored_energy, stored_forces
from alignn_ff.workflows.interface_halves import Half, Slab, half, slab, strained
from alignn_ff.workflows.interface_match import Match, smallest_match
from alignn_ff.workflows.interface_result import InterfaceResult
from alignn_ff.workflows.interface_scan import SEPARATIONS, Scan, scan, scan_size
from alignn_ff.workflows.interface_settings import InterfaceSettings
from alignn_ff.workflows.interface_stack import Stack, separation_a, stack
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.surface_slabs import area_a2, periods

log = logging.getLogger(__name__)

INTERFACE_DEFAULTS = InterfaceSettings()

LARGE_STRAIN_PERCENT = 3.0
"""A coherent film under more strain than this would rather have dislocations."""


@dataclass(frozen=True)
class Joined:
    """The best rigid interface, and it after relaxation."""

    rigid: Atoms
    frame: Atoms
    converged: bool


@dataclass(frozen=True)
class Parts:
    """Substrate and film: strained to their common cell in the bulk, as slabs, and laid on each other as rigid ones."""

    match: Match
    halves: tuple[Half, Half]
    unstrained_ev_per_atom: float
    slabs: tuple[Slab, Slab]
    stack: Stack
    scan: Scan


def run_interface(
    structures: Sequence[Atoms],
    settings: InterfaceSettings = INTERFACE_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> InterfaceResult:
    """Relax copies of two crystals with one calculator, strain the film to the substrate, and lay it on.

    The work of adhesion is W = (E(substrate slab) + E(film slab) - E(interface)) / A, with the slabs relaxed by
    themselves in the same cell: the ideal work of separation where nothing was relaxed. The interface energy is
    γ = γ(substrate) + γ(film) - W, with the surface energies of the slabs above their bulk crystals, of which that of
    the film is strained as the film is, hence without the energy of the strain (Finnis, J. Phys.: Condens. Matter 8,
    5811, 1996).

    The registry is that of rigid slabs; the best place alone is relaxed. Reconstructions and misfit dislocations are
    not looked for.

    Args:
        structures: substrate and film, periodic in 3D; the calculator of the first, with stress, is used for both.
        folder: where the result is saved; None writes nothing.
        resume: go on with the relaxations that an earlier run finished in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also where something did not relax (`converged`).
    Raises:
        ConfigError: no two crystals, no calculator, no such termination, no common cell, too many atoms, or
            jarvis-tools is not installed.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    _require_two(structures)
    with open_relaxer(structures[0], folder, resume=resume) as relax:
        result = _computed(structures, relax, settings, progress)
    if folder is not None:
        result.save(folder)
    return result


def _computed(
    structures: Sequence[Atoms], relax: Relaxer, settings: InterfaceSettings, progress: bool
) -> InterfaceResult:
    lower, loose = (half(atoms, relax, settings, which) for atoms, which in _named(structures, relax))
    match = smallest_match(
        lower.block,
        loose.block,
        max_mismatch=0.01 * settings.max_mismatch_percent,
        max_area_a2=settings.max_area_a2,
    )
    upper = strained(loose, match, relax, settings)
    stacked = _stacked(lower, upper, match, settings)
    with track("interface", scan_size(settings.registry) + 3, show=progress) as advance:
        slabs = slab(lower, relax, settings), slab(upper, relax, settings)
        advance(2, note="registry")
        found = scan(stacked, relax.calculator, registry=settings.registry, reach_a=settings.reach_a, advance=advance)
        joined = _joined(found.best, relax, settings)
        advance()
    parts = Parts(match, (lower, upper), loose.energy_ev_per_atom, slabs, stacked, found)
    result = _result(parts, joined, settings)
    _warn(result, found.separation_a / stacked.nominal_a)
    return result


def _require_two(structures: Sequence[Atoms]) -> None:
    if len(structures) != 2:
        raise ConfigError(f"{len(structures)} structures were given; two were expected, the substrate and the film.")


def _named(structures: Sequence[Atoms], relax: Relaxer) -> list[tuple[Atoms, str]]:
    """Copies with one calculator, and what each is for."""
    copies = [atoms.copy() for atoms in structures]
    for atoms in copies:
        atoms.calc = relax.calculator
    return list(zip(copies, ("substrate", "film"), strict=True))


def _stacked(lower: Half, upper: Half, match: Match, settings: InterfaceSettings) -> Stack:
    counts = periods(lower.block, settings.thickness_a), periods(upper.block, settings.thickness_a)
    found = stack(lower.block, upper.block, match, periods=counts, vacuum_a=settings.vacuum_a)
    size = len(found.lower) + len(found.upper)
    if size > settings.max_atoms:
        raise ConfigError(
            f"the interface has {size} atoms in a common cell of {area_a2(found.lower):.1f} Å², `max_atoms` are "
            f"{settings.max_atoms}: let there be more atoms, more strain (max_mismatch_percent) or thinner slabs "
            "(thickness_a)."
        )
    return found


def _joined(rigid: Atoms, relax: Relaxer, settings: InterfaceSettings) -> Joined:
    (evaluated,) = evaluate_each([rigid], relax.calculator)
    frame, converged = evaluated, True
    if settings.relax_interface:
        relaxed = relax(rigid, atoms_alone(settings))
        frame, converged = relaxed.atoms, relaxed.converged
    return Joined(evaluated, frame, converged)


def _result(parts: Parts, joined: Joined, settings: InterfaceSettings) -> InterfaceResult:
    match, (substrate, film), area = parts.match, parts.slabs, area_a2(joined.frame)
    faces = all(one.symmetric for one in parts.halves)
    adhesion = [
        substrate.unrelaxed + film.unrelaxed - stored_energy(joined.rigid) / area,
        substrate.relaxed + film.relaxed - stored_energy(joined.frame) / area,
    ]
    surfaces = [0.5 * (one.relaxed - one.bulk) for one in parts.slabs]
    bare_surfaces = [0.5 * (one.unrelaxed - one.bulk) for one in parts.slabs]
    scan = parts.scan
    strains = 100.0 * match.strains
    return InterfaceResult(
        atoms=joined.frame,
        settings=settings,
        substrate=substrate.frame,
        film=film.frame,
        multiples={"substrate": match.substrate, "film": match.film},
        registry_vectors_a=parts.stack.registry,
        registry={
            "u": scan.shifts[:, 0],
            "v": scan.shifts[:, 1],
            "separation_a": scan.separations_a,
            "work_of_adhesion_j_per_m2": _adhesion(parts, scan.energies_ev),
        },
        curve={"separation_a": scan.curve[0], "work_of_adhesion_j_per_m2": _adhesion(parts, scan.curve[1])},
        converged=joined.converged and all(one.converged for one in (*parts.halves, *parts.slabs)),
        area_a2=area,
        mismatch_percent=float(strains[0]),
        other_mismatch_percent=float(strains[1]),
        film_turn_deg=match.turn_deg,
        film_strain_energy_ev_per_atom=parts.halves[1].energy_ev_per_atom - parts.unstrained_ev_per_atom,
        separation_a=separation_a(joined.rigid, joined.frame),
        unrelaxed_separation_a=separation_a(joined.rigid, joined.rigid),
        work_of_adhesion_j_per_m2=adhesion[1] * J_M2_PER_EV_A2,
        unrelaxed_work_of_adhesion_j_per_m2=adhesion[0] * J_M2_PER_EV_A2,
        interface_energy_j_per_m2=(sum(surfaces) - adhesion[1]) * J_M2_PER_EV_A2 if faces else None,
        unrelaxed_interface_energy_j_per_m2=(sum(bare_surfaces) - adhesion[0]) * J_M2_PER_EV_A2 if faces else None,
        substrate_surface_energy_j_per_m2=surfaces[0] * J_M2_PER_EV_A2 if parts.halves[0].symmetric else None,
        film_surface_energy_j_per_m2=surfaces[1] * J_M2_PER_EV_A2 if parts.halves[1].symmetric else None,
        max_force_ev_per_a=max_norm(stored_forces(joined.frame)),
    )


def _adhesion(parts: Parts, energies_ev: NDArray) -> NDArray:
    """Work of adhesion in J/m² of rigid interfaces."""
    free = sum(one.unrelaxed for one in parts.slabs)
    return (free - energies_ev / area_a2(parts.stack.lower)) * J_M2_PER_EV_A2


def _warn(result: InterfaceResult, part: float) -> None:
    if not result.converged:
        log.warning("a relaxation did not converge: of a crystal, a slab, or the interface.")
    if abs(result.mismatch_percent) > LARGE_STRAIN_PERCENT:
        log.warning(
            "the film is strained by %+.2f %%: a real one would rather have misfit dislocations. Less strain needs a "
            "larger cell (max_mismatch_percent, max_area_a2).",
            result.mismatch_percent,
        )
    if result.interface_energy_j_per_m2 is None:
        log.warning("a slab has two different faces, of which only the mean energy is known: no interface energy.")
    if not SEPARATIONS[1] < part < SEPARATIONS[-2]:
        log.warning("the best separation, %.3f Å, is at an end of those tried.", result.unrelaxed_separation_a)
    if result.work_of_adhesion_j_per_m2 < 0:
        log.warning("the work of adhesion is negative: the two slabs repel each other.")

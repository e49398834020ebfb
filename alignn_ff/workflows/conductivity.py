"""Lattice thermal conductivity of a crystal by phonon scattering, with lifetimes and mean free paths (phono3py).

alignn-ff conductivity si.cif --model mlearn-six --convergence
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.born_charges import add_born_charges
from alignn_ff.workflows.conductivity_result import ConductivityResult, Transport
from alignn_ff.workflows.conductivity_scan import MESH_LENGTH_A, transport
from alignn_ff.workflows.crystal import reference_crystal
from alignn_ff.workflows.force_constants import Harmonic, force_constants, supercell_matrix
from alignn_ff.workflows.phonon_dos import density_of_states, run_mesh
from alignn_ff.workflows.phonon_stability import IMAGINARY, NEAR_GAMMA, STABLE, Stability, stability
from alignn_ff.workflows.phonon_transport import LBTE, RTA
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.relaxer import Relaxer, open_relaxer
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.settings import setting
from alignn_ff.workflows.third_order import Anharmonic, AnharmonicSettings, require_phono3py, third_order

log = logging.getLogger(__name__)

UNCONVERGED_PERCENT = 5.0
"""A conductivity that the last mesh still changes by more is said not to have converged."""

ADVICE = {
    IMAGINARY: "The crystal is not at a minimum of the energy, and what is no phonon carries no heat: there is no "
    "conductivity. See alignn-ff phonons.",
    NEAR_GAMMA: "A larger supercell tells numbers from an elastic instability; the conductivity leaves such modes out.",
}

LARGE_SHARE = 0.1
"""On a mesh fine enough no mode, with those that symmetry makes of it, carries more of the heat."""


@dataclass(frozen=True)
class ConductivitySettings(AnharmonicSettings):
    """How phonons scatter and where to look; see `--help` of the command for each field."""

    method: str = setting(
        RTA, "Relaxation-time approximation, or direct solution of the Boltzmann equation.", choices=(RTA, LBTE)
    )
    mesh: tuple[int, int, int] | None = setting(
        None, "Mesh of wave vectors; by default 50 Å over each cell length.", at_least=1
    )
    isotopes: bool = setting(False, "Let isotopes in their natural shares scatter too.")
    min_temperature_k: float = setting(100.0, "Lowest temperature.", unit="K", above=0)
    max_temperature_k: float = setting(1000.0, "Highest temperature.", unit="K", above=0)
    temperature_step_k: float = setting(50.0, "Step of the temperatures.", unit="K", above=0)
    temperature_k: float = setting(
        300.0, "Temperature of lifetimes, mean free paths and single values.", unit="K", above=0, alias="--temp"
    )
    born_file: str | None = setting(None, "Born charges and dielectric constant in phonopy's BORN format.")
    imaginary_tolerance_thz: float = setting(
        0.05, "Modes are imaginary below minus this frequency.", unit="THz", at_least=0
    )
    convergence: bool = setting(False, "Compute on two coarser meshes before, and compare.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_temperature_k < self.min_temperature_k:
            raise ConfigError(
                f"`max_temperature_k` = {self.max_temperature_k:g}: at least min_temperature_k "
                f"({self.min_temperature_k:g}) was expected."
            )

    @property
    def temperatures_k(self) -> NDArray:
        """Temperatures, `temperature_k` among them."""
        steps = np.arange(self.min_temperature_k, self.max_temperature_k + 1e-9, self.temperature_step_k)
        return np.unique([*steps, self.temperature_k])


CONDUCTIVITY_DEFAULTS = ConductivitySettings()


def run_conductivity(
    atoms: Atoms,
    settings: ConductivitySettings = CONDUCTIVITY_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> ConductivityResult:
    """Relax a copy of `atoms` with its calculator, displace its atoms and pairs of them, and let its phonons scatter.

    Of the lattice alone: electrons, which carry most of the heat in metals, have no part in it.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Their masses count.
        folder: where forces are kept as they come and the result is saved; None writes nothing.
        resume: go on with the forces that an earlier run computed in `folder`.
        progress: draw a bar on standard error.
    Returns:
        The result, also of an unstable crystal (without transport) and of one that did not relax.
    Raises:
        ConfigError: phono3py is not installed, no calculator, no crystal periodic in 3D, Born charges that do not fit,
            or a mesh that does not.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite.
    """
    require_phono3py()
    with open_relaxer(atoms, folder, resume=resume) as relax:
        result = _computed(atoms, relax, settings, progress)
    _warn(result)
    if folder is not None:
        result.save(folder)
    return result


def _computed(atoms: Atoms, relax: Relaxer, settings: ConductivitySettings, progress: bool) -> ConductivityResult:
    reference = reference_crystal(atoms, settings, relax=relax)
    crystal = reference.atoms.copy()
    crystal.calc = relax.calculator
    matrix = supercell_matrix(crystal, settings, relax.calculator)
    harmonic = force_constants(crystal, matrix, settings, progress=progress, relax=relax)
    add_born_charges(harmonic.phonon, settings.born_file)
    mesh = run_mesh(harmonic.phonon, settings.mesh or MESH_LENGTH_A)
    found = stability(harmonic.phonon, mesh.qpoints, mesh.frequencies, settings.imaginary_tolerance_thz)
    dos = {"dos": density_of_states(harmonic.phonon)}
    if found.verdict == IMAGINARY:
        return _result(reference, harmonic, found, settings, tables=dos)
    anharmonic = third_order(crystal, harmonic.phonon, settings, relax, progress=progress)
    tables, carried = transport(anharmonic.phonons, settings, progress)
    return _result(reference, harmonic, found, settings, tables=tables | dos, anharmonic=anharmonic, carried=carried)


def _result(
    reference: RelaxResult,
    harmonic: Harmonic,
    found: Stability,
    settings: ConductivitySettings,
    tables: dict[str, Table],
    *,
    anharmonic: Anharmonic | None = None,
    carried: Transport | None = None,
) -> ConductivityResult:
    phonon = harmonic.phonon
    return ConductivityResult(
        atoms=reference.atoms,
        settings=settings,
        phonons=phonon if anharmonic is None else anharmonic.phonons,
        found=tables,
        transport=carried,
        lowest_q=found.lowest_q,
        converged=reference.converged or not settings.relax,
        space_group=reference.space_group_after,
        primitive_atoms=len(phonon.primitive),
        supercell_atoms=len(phonon.supercell),
        displaced_cells=harmonic.displaced_cells,
        stability=found.verdict,
        lowest_frequency_thz=found.lowest_frequency_thz,
        pair_supercell_atoms=None if anharmonic is None else len(anharmonic.phonons.supercell),
        displaced_pair_cells=None if anharmonic is None else anharmonic.displaced_cells,
        pairs_left_out=None if anharmonic is None else anharmonic.left_out,
    )


def _warn(result: ConductivityResult) -> None:
    if result.stability != STABLE:
        log.warning(
            "%s: lowest frequency %.3f THz at q = %s. %s",
            result.stability,
            result.lowest_frequency_thz,
            np.round(result.lowest_q, 4).tolist(),
            ADVICE[result.stability],
        )
    if result.transport is None:
        return
    change, share = result.transport.change_percent, result.transport.largest_share
    if change is not None and abs(change) > UNCONVERGED_PERCENT:
        log.warning("the conductivity is not converged: the last mesh changes it by %+.1f %%. Let it be finer.", change)
    if not share < LARGE_SHARE:
        log.warning(
            "modes of one kind carry %.0f %% of the heat: the mesh %s is too coarse, or next to nothing scatters them. "
            "Let it be finer (mesh, convergence).",
            100.0 * share,
            result.transport.mesh,
        )

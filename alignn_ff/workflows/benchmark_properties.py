"""How the properties of a benchmark are computed, each by the workflow of its own command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from ase import Atoms, units

from alignn_ff.workflows.crystal import CrystalSettings, reference_crystal
from alignn_ff.workflows.elastic import ElasticSettings, run_elastic
from alignn_ff.workflows.eos import EOSSettings, run_eos
from alignn_ff.workflows.phonons import PhononSettings, run_phonons
from alignn_ff.workflows.symmetry import symmetry_dataset

if TYPE_CHECKING:
    from alignn_ff.workflows.benchmark import BenchmarkSettings

S = TypeVar("S")

KJ_PER_MOL = units.kJ / units.mol


class Measured(NamedTuple):
    """Values by the name of their quantity, None where the crystal has no such thing; and whether all converged."""

    values: dict[str, float | None]
    converged: bool


def relax(atoms: Atoms, settings: BenchmarkSettings) -> Measured:
    """Lattice constants and volume, cell and atoms relaxed within the space group."""
    result = reference_crystal(atoms, _as(CrystalSettings, settings), needs_stress=True)
    dataset = symmetry_dataset(result.atoms, settings.symprec)
    lengths = [None] * 3 if dataset is None else np.linalg.norm(dataset.std_lattice, axis=1).tolist()
    values = dict(zip(("lattice_a", "lattice_b", "lattice_c"), lengths, strict=True))
    return Measured(values | {"volume_per_atom": result.atoms.get_volume() / len(atoms)}, result.converged)


def eos(atoms: Atoms, settings: BenchmarkSettings) -> Measured:
    """Equation of state around the relaxed crystal, the atoms relaxed at every volume."""
    crystal = reference_crystal(atoms, _as(CrystalSettings, settings))
    start = crystal.atoms.copy()
    start.calc = atoms.calc
    how = EOSSettings(optimizer=settings.optimizer, fmax=settings.fmax, relax_steps=settings.relax_steps)
    result = run_eos(start, how)
    values: dict[str, float | None] = {
        "eos_volume_per_atom": result.volume_per_atom_a3,
        "eos_bulk_modulus": result.bulk_modulus_gpa,
        "eos_bulk_modulus_derivative": result.bulk_modulus_derivative,
    }
    return Measured(values, result.converged and (crystal.converged or not settings.relax))


def elastic(atoms: Atoms, settings: BenchmarkSettings) -> Measured:
    """Elastic tensor with relaxed ions in standard axes, and what follows from it."""
    result = run_elastic(atoms, _as(ElasticSettings, settings))
    found = result.elasticity
    values: dict[str, float | None] = {
        f"c{i + 1}{j + 1}": float(found.tensor_gpa[i, j]) for i in range(6) for j in range(i, 6)
    }
    values |= {
        "bulk_modulus": found.bulk_modulus_hill_gpa,
        "shear_modulus": found.shear_modulus_hill_gpa,
        "young_modulus": found.young_modulus_hill_gpa,
        "poisson_ratio": found.poisson_ratio_hill,
        "debye_temperature": found.debye_temperature_k,
    }
    return Measured(values, result.converged)


def phonon(atoms: Atoms, settings: BenchmarkSettings) -> Measured:
    """Ends of the phonon spectrum, and harmonic thermal properties per atom at 300 K."""
    result = run_phonons(atoms, _as(PhononSettings, settings))
    free_energy = result.free_energy_300k_kj_per_mol
    per_cell = {
        "zero_point_energy": result.zero_point_energy_ev,
        "free_energy_300k": None if free_energy is None else free_energy * KJ_PER_MOL,
        "entropy_300k": result.entropy_300k_j_per_k_mol,
        "heat_capacity_300k": result.heat_capacity_300k_j_per_k_mol,
    }
    count = result.primitive_atoms
    per_atom = {name: None if value is None else value / count for name, value in per_cell.items()}
    ends: dict[str, float | None] = {
        "max_frequency": result.highest_frequency_thz,
        "min_frequency": result.lowest_frequency_thz,
    }
    return Measured(ends | per_atom, result.converged)


PROPERTIES: dict[str, Callable[[Atoms, BenchmarkSettings], Measured]] = {
    "relax": relax,
    "eos": eos,
    "elastic": elastic,
    "phonon": phonon,
}
"""Name -> function. Another one is a function here, its line, and its quantities in `benchmark_quantities`."""


def _as(kind: type[S], settings: BenchmarkSettings) -> S:
    """Settings of a workflow, those of the benchmark where both have the field."""
    own = {item.name for item in fields(settings)}
    shared: dict[str, Any] = {
        item.name: getattr(settings, item.name)
        for item in fields(kind)  # type: ignore[arg-type]
        if item.name in own
    }
    return kind(**shared)

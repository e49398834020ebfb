"""Energies of point defects in a series of growing supercells: what a vacancy shares with every other defect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atom, Atoms
from ase.build import make_supercell
from ase.data import atomic_masses, atomic_numbers
from ase.geometry import find_mic
from numpy.typing import NDArray

from alignn_ff.progress import track
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.crystal import CrystalSettings, atoms_alone
from alignn_ff.workflows.defect_cells import image_distance_a, supercell_series
from alignn_ff.workflows.defect_reservoirs import Reservoir, read_potentials
from alignn_ff.workflows.frames import append_line, growing_file, max_norm, stored_energy, stored_forces
from alignn_ff.workflows.relax import RelaxResult
from alignn_ff.workflows.relaxer import Relaxer
from alignn_ff.workflows.result import Table
from alignn_ff.workflows.settings import reject_unused, setting


@dataclass(frozen=True)
class SeriesSettings(CrystalSettings):
    """Supercells, relaxations and reservoirs; settings of workflows on point defects begin with these."""

    fmax: float = setting(1e-3, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    site: int | None = setting(
        None, "Index of the atom it concerns; by default one of each kind that symmetry tells apart.", at_least=0
    )
    supercell: tuple[int, int, int] | None = setting(
        None, "Multiples of the cell vectors in the one supercell; by default a series.", at_least=1
    )
    shortest_a: float = setting(
        8.0, "The series begins with vectors at least this long, between a defect and its images.", unit="Å", above=0
    )
    sizes: int = setting(3, "Supercells in the series, each the next larger one.", at_least=1)
    max_atoms: int = setting(400, "The series ends before a supercell of more atoms.", at_least=2)
    rattle_a: float = setting(
        0.01, "Random displacement before relaxation, so that the symmetry may break.", unit="Å", at_least=0
    )
    seed: int = setting(0, "Seed of these displacements.", at_least=0)
    references: str | None = setting(
        None, "Structures of elements that compete with the known ones as reservoirs; a file."
    )
    chemical_potentials: str | None = setting(
        None, "Energies of atoms in their reservoirs instead, in eV, such as Ni=-5.78,Al=-4.12."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.supercell is not None:
            reject_unused(self, ("shortest_a", "sizes", "max_atoms"), "the supercell is given")
        read_potentials(self.chemical_potentials)


class Change(NamedTuple):
    """What a point defect changes in a crystal.

    Attributes:
        label: such as V(Cu site 0), "Au on Cu site 0", "Cu at 0.5 0.5 0.5".
        site: index of the atom that goes; None where none does.
        removed, added: its element, and the one that comes.
        place_a: where the new atom stands between the others [3]; None where it takes the site.
        multiplicity: how many such defects symmetry makes equal in the cell.
    """

    label: str
    site: int | None
    removed: str | None
    added: str | None
    place_a: NDArray | None
    multiplicity: int


class Energies(NamedTuple):
    """One defect in one supercell; `formation_energy_ev` is the unrelaxed one where nothing was relaxed."""

    supercell_atoms: int
    image_distance_a: float
    unrelaxed_formation_energy_ev: float
    formation_energy_ev: float
    max_displacement_a: float
    max_force_ev_per_a: float
    converged: bool


@dataclass(frozen=True)
class Series:
    """Supercells of a relaxed crystal, and how defects in them are computed.

    Attributes:
        crystal: with its energy.
        found: reservoir of each element that comes or goes.
        relaxed: let the atoms around the defects relax.
    """

    crystal: Atoms
    found: Mapping[str, Reservoir]
    relax: Relaxer
    settings: SeriesSettings
    relaxed: bool

    def measure(
        self, changes: Sequence[Change], what: str, folder: str | Path | None, *, progress: bool
    ) -> tuple[dict[str, list[Energies]], tuple[Atoms, ...]]:
        """Energies of each defect over the series by its label, and the defects in the largest supercell.

        Args:
            what: said in front of the bar.
            folder: where `series.csv` grows defect by defect; None writes nothing.
        """
        supercells = [make_supercell(self.crystal, one) for one in supercell_series(self.crystal, self.settings)]
        energies: dict[str, list[Energies]] = {change.label: [] for change in changes}
        frames: list[Atoms] = []
        total = len(changes) * len(supercells)
        with growing_file(folder, "series.csv") as file, track(what, total, show=progress) as advance:
            append_line(file, ("defect", *Energies._fields))
            for perfect in supercells:
                defects = [changed(perfect, change) for change in changes]
                whole, *unrelaxed = evaluate_each([perfect, *defects], self.relax.calculator)
                for change, start in zip(changes, unrelaxed, strict=True):
                    one, frame = self._one(whole, start, change)
                    energies[change.label].append(one)
                    frames.append(frame)
                    append_line(file, (change.label, *one))
                    advance(note=f"{change.label}, {len(perfect)} atoms, {one.formation_energy_ev:.4f} eV")
        return energies, tuple(frames[-len(changes) :])

    def _one(self, whole: Atoms, unrelaxed: Atoms, change: Change) -> tuple[Energies, Atoms]:
        """One defect in one supercell, both with their energies, and its structure."""
        exchanged = self._energy(change.removed) - self._energy(change.added)
        offset = exchanged - stored_energy(whole)
        frame, converged = unrelaxed, True
        if self.relaxed:
            relaxed = self._relaxed(unrelaxed)
            frame, converged = relaxed.atoms, relaxed.converged
        energies = Energies(
            supercell_atoms=len(whole),
            image_distance_a=image_distance_a(whole),
            unrelaxed_formation_energy_ev=stored_energy(unrelaxed) + offset,
            formation_energy_ev=stored_energy(frame) + offset,
            max_displacement_a=_largest_displacement_a(unrelaxed, frame),
            max_force_ev_per_a=max_norm(stored_forces(frame)),
            converged=converged,
        )
        return energies, frame

    def _energy(self, symbol: str | None) -> float:
        return 0.0 if symbol is None else self.found[symbol].energy_ev

    def _relaxed(self, unrelaxed: Atoms) -> RelaxResult:
        start = unrelaxed.copy()
        start.rattle(self.settings.rattle_a, seed=self.settings.seed)
        return self.relax(start, atoms_alone(self.settings))


def changed(perfect: Atoms, change: Change) -> Atoms:
    """A supercell, whose first atoms are those of the crystal, with the defect in it."""
    atoms = perfect.copy()
    if change.site is None:
        atoms.append(Atom(change.added, change.place_a))
    elif change.added is None:
        del atoms[change.site]
    else:
        atoms.symbols[change.site] = change.added
        masses = atoms.get_masses()
        masses[change.site] = atomic_masses[atomic_numbers[change.added]]
        atoms.set_masses(masses)
    return atoms


def ending(energies: Sequence[Energies]) -> dict[str, Any]:
    """What the series says of one defect: the fields of `defect_result.Formation` but for its reservoirs."""
    found = np.array([one.formation_energy_ev for one in energies])
    last, several = energies[-1], len(energies) > 1
    return {
        "supercell_atoms": last.supercell_atoms,
        "formation_energy_ev": last.formation_energy_ev,
        "unrelaxed_formation_energy_ev": last.unrelaxed_formation_energy_ev,
        "relaxation_energy_ev": last.formation_energy_ev - last.unrelaxed_formation_energy_ev,
        "size_effect_ev": float(found[-1] - found[-2]) if several else None,
        "extrapolated_formation_energy_ev": _extrapolated(energies, found) if several else None,
    }


def series_table(energies: Mapping[str, Sequence[Energies]]) -> Table:
    """Columns defect and those of `Energies`."""
    rows = [(label, *one) for label, series in energies.items() for one in series]
    columns = zip(*rows, strict=True)
    return {name: np.array(column) for name, column in zip(("defect", *Energies._fields), columns, strict=True)}


def _extrapolated(energies: Sequence[Energies], found: NDArray) -> float:
    """The limit of a straight line in 1/N: defects and their images interact through strain, as 1/volume does.

    Source: Varvenne, Bruneval, Marinica, Clouet, Phys. Rev. B 88, 134102 (2013).
    """
    inverse = 1.0 / np.array([one.supercell_atoms for one in energies])
    return float(np.polyfit(inverse, found, 1)[1])


def _largest_displacement_a(before: Atoms, after: Atoms) -> float:
    vectors, _ = find_mic(after.positions - before.positions, before.cell, before.pbc)
    return max_norm(vectors)

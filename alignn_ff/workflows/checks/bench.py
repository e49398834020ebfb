"""What is put to the test: a calculator, structures, pairs of elements; and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, chemical_symbols, covalent_radii, reference_states
from ase.stress import voigt_6_to_full_3x3_stress

from alignn_ff.errors import ConfigError, RunawayError, StructureError, did_you_mean
from alignn_ff.probes import Properties
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.frames import offered_stress, snapshot, stored_energy, stored_forces

if TYPE_CHECKING:
    from alignn_ff.workflows.check import CheckSettings

FEWEST_ATOMS = 8
"""Smaller crystals are repeated: in a cell of one atom no force can be wrong."""

MOST_ELEMENTS = 10
"""Of a calculator, that are checked without being asked for: 55 pairs."""


@dataclass(frozen=True)
class Bench:
    """A calculator and what it is asked about.

    `structures` are as given, `rattled` the same off their symmetric places, so that no force is zero by symmetry;
    both are keyed by a label. `pairs` are symbols.
    """

    calculator: Any
    settings: CheckSettings
    structures: Mapping[str, Atoms]
    rattled: Mapping[str, Atoms]
    pairs: Sequence[tuple[str, str]]

    def measured(self, structures: Sequence[Atoms]) -> list[Properties]:
        """Energy, forces and, of crystals, stress of each structure; all NaN where any of them is not finite."""
        return measured(self.calculator, structures)


def measured(calculator: Any, structures: Sequence[Atoms]) -> list[Properties]:
    """As `Bench.measured`, with another calculator."""
    wanted = all(is_bulk(atoms) for atoms in structures)
    try:
        return [_properties(frame) for frame in evaluate_each(structures, calculator, stress=wanted)]
    except RunawayError:
        if len(structures) == 1:
            return [Properties(np.nan, np.full((len(structures[0]), 3), np.nan))]
    return [measured(calculator, [atoms])[0] for atoms in structures]


def alone(calculator: Any, atoms: Atoms) -> Properties:
    """The same of one structure by ASE's plain way, whatever faster ones the calculator has."""
    work = atoms.copy()
    work.calc = calculator
    return _properties(snapshot(work, stress=offered_stress(work)))


def is_bulk(atoms: Atoms) -> bool:
    """Whether the structure is periodic in 3D, so that it has a stress."""
    return bool(atoms.pbc.all()) and atoms.cell.rank == 3


def prepare(calculator: Any, structures: Sequence[Atoms], settings: CheckSettings) -> Bench:
    """The bench for `structures`, or for reference crystals of the elements where there are none.

    Raises:
        ConfigError: neither structures nor elements to check, or a word that is no element.
        StructureError: a structure without atoms, or with positions or a cell that are not finite.
    """
    given = [_checked(atoms, place) for place, atoms in enumerate(structures)]
    elements = _elements(calculator, given, settings.elements)
    enough = [_large_enough(atoms) for atoms in given or [reference_crystal(symbol) for symbol in elements]]
    labelled = {f"{atoms.get_chemical_formula()} #{place}": atoms for place, atoms in enumerate(enough, start=1)}
    rng = np.random.default_rng(settings.seed)
    return Bench(
        calculator=calculator,
        settings=settings,
        structures=labelled,
        rattled={label: _rattled(atoms, settings.rattle_a, rng) for label, atoms in labelled.items()},
        pairs=list(combinations_with_replacement(elements, 2)),
    )


def reference_crystal(symbol: str) -> Atoms:
    """The element's crystal as `ase.build.bulk` knows it; fcc at touching covalent radii where it knows none."""
    number = atomic_numbers[symbol]
    state = reference_states[number] or {}
    if state.get("symmetry") in ("fcc", "bcc", "diamond"):
        return bulk(symbol, cubic=True)
    if state.get("symmetry") == "hcp":
        return bulk(symbol)
    return bulk(symbol, "fcc", a=2.0 * np.sqrt(2.0) * covalent_radii[number], cubic=True)


def _checked(atoms: Atoms, place: int) -> Atoms:
    if len(atoms) == 0:
        raise StructureError(f"structure {place} has no atoms; at least one was expected.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell[:]).all()):
        raise StructureError(f"structure {place} has positions or a cell that are not finite. Repair it first.")
    bare = atoms.copy()
    bare.set_constraint()
    return bare


def _elements(calculator: Any, structures: Sequence[Atoms], asked: str | None) -> list[str]:
    """Those asked for, else those of the structures, else all that the calculator says it knows."""
    if asked:
        words = asked.replace(",", " ").split()
        for word in words:
            if word not in chemical_symbols[1:]:
                raise ConfigError(f"`elements`: {word!r} is no element{did_you_mean(word, chemical_symbols[1:])}.")
        return list(dict.fromkeys(words))
    if structures:
        return sorted({symbol for atoms in structures for symbol in atoms.symbols})
    known = list(getattr(getattr(calculator, "potential", None), "elements", ()))
    if 0 < len(known) <= MOST_ELEMENTS:
        return known
    seen = f"the model knows {len(known)} elements" if known else "the calculator does not say what it knows"
    raise ConfigError(f"nothing to check: {seen}. Give structures, or elements (--elements Cu,Ni).")


def _large_enough(atoms: Atoms) -> Atoms:
    while atoms.pbc.any() and len(atoms) < FEWEST_ATOMS:
        lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
        atoms = atoms.repeat(np.where(np.arange(3) == lengths.argmin(), 2, 1))
    return atoms


def _rattled(atoms: Atoms, amplitude_a: float, rng: np.random.Generator) -> Atoms:
    """Atoms moved at random and, where periodic, the cell sheared and strained by 1 %."""
    moved = atoms.copy()
    strain = rng.normal(scale=0.01, size=(3, 3)) * np.outer(atoms.pbc, atoms.pbc)
    moved.set_cell(atoms.cell[:] @ (np.eye(3) + 0.5 * (strain + strain.T)), scale_atoms=bool(atoms.pbc.any()))
    moved.positions += rng.normal(scale=amplitude_a, size=(len(atoms), 3))
    return moved


def _properties(frame: Atoms) -> Properties:
    stress = frame.calc.results.get("stress")
    return Properties(
        energy=stored_energy(frame),
        forces=stored_forces(frame),
        stress=None if stress is None else voigt_6_to_full_3x3_stress(stress),
    )

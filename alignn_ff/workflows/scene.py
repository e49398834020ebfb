"""Structures as a page draws them: colours and radii of elements, labels, no more frames than a browser bears."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import atomic_numbers, covalent_radii
from ase.data.colors import jmol_colors

from alignn_ff.h5md import SUFFIX, TIME, frames_and_atoms
from alignn_ff.io import read_frames
from alignn_ff.reports.structure_view import Element, Frame, FrameSet

MOST_FRAMES = 200
MOST_POSITIONS = 200_000
"""Atoms times frames of a set; a page grows by 16 bytes for each."""

NON_METALS = frozenset("H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn".split())
"""With the metalloids; what bonds a view draws depends on it."""

LARGEST = 20_000
"""Atoms of the largest structure that is drawn."""


def elements_of(sets: Iterable[FrameSet]) -> dict[str, Element]:
    """How the elements in `sets` are drawn: colours of Jmol, radii of Cordero et al. (2008), both as ASE has them."""
    symbols = sorted({symbol for one in sets for frame in one.frames for symbol in set(frame.symbols)})
    return {symbol: _element(symbol) for symbol in symbols}


def structure_set(
    name: str, frames: Sequence[Atoms], *, titles: Sequence[str] = (), shown: Atoms | None = None
) -> FrameSet | None:
    """Structures that a result holds, the first of them where there are too many.

    Args:
        titles: a name for each of `frames`; by default formula and place.
        shown: the one that is shown at first.
    Returns:
        None where one of them is too large to be drawn.
    """
    largest = max(len(atoms) for atoms in frames)
    if largest > LARGEST:
        return None
    kept = frames[: _most_frames(largest)]
    drawn = [_frame(atoms, titles[n] if titles else _place(atoms, n, len(frames))) for n, atoms in enumerate(kept)]
    place = next((n for n, atoms in enumerate(kept) if atoms is shown), 0)
    note = "" if len(kept) == len(frames) else f"The first {len(kept)} of {len(frames)} structures."
    return FrameSet(name, drawn, place, note)


def trajectory_set(path: Path) -> FrameSet | None:
    """Frames of a run's file, evenly thinned where there are too many; the last is shown at first.

    Returns:
        None where the file holds no frame, or the atoms are too many to be drawn.
    """
    count, atoms = frames_and_atoms(path) if path.suffix == SUFFIX else _counted(path)
    if count == 0 or atoms > LARGEST:
        return None
    stride = max(1, math.ceil(count / _most_frames(atoms)))
    begin = (count - 1) % stride  # so that the last one is among them
    kept = read_frames(path, f"{begin}::{stride}")
    drawn = [_frame(one, f"frame {begin + n * stride} of {count - 1}") for n, one in enumerate(kept)]
    note = "" if stride == 1 else f"One frame in {stride} of the {count} in {path.name}."
    return FrameSet(path.stem, drawn, len(drawn) - 1, note, moving=True)


def _counted(path: Path) -> tuple[int, int]:
    """Frames in an extxyz file of the same atoms, and how many atoms these are."""
    with path.open("rb") as file:
        atoms = int(file.readline() or 0)
        lines = 1 + sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    return lines // (atoms + 2), atoms


def _most_frames(atoms: int) -> int:
    return max(1, min(MOST_FRAMES, MOST_POSITIONS // atoms))


def _element(symbol: str) -> Element:
    number = atomic_numbers[symbol]
    red, green, blue = (round(255 * part) for part in jmol_colors[number])
    return Element(f"#{red:02x}{green:02x}{blue:02x}", float(covalent_radii[number]), symbol not in NON_METALS)


def _place(atoms: Atoms, number: int, count: int) -> str:
    formula = atoms.get_chemical_formula()
    return f"{formula} ({number + 1} of {count})" if count > 1 else formula


def _frame(atoms: Atoms, name: str) -> Frame:
    box = atoms.cell[:].any(axis=1)
    return Frame(
        symbols=atoms.get_chemical_symbols(),
        positions=atoms.positions,
        cell=atoms.cell.complete()[:],
        box=box.tolist(),
        pbc=(atoms.pbc & box).tolist(),
        label=" · ".join([name, *_facts(atoms)]),
    )


def _facts(atoms: Atoms) -> list[str]:
    """Time and energy, where the structure carries them."""
    facts = [f"{float(atoms.info[TIME]):g} fs"] if TIME in atoms.info else []
    if isinstance(atoms.calc, SinglePointCalculator) and "energy" in atoms.calc.results:
        facts.append(f"{float(atoms.calc.results['energy']):.4f} eV")
    return facts

"""Energies of the elements from energies of compositions: by regression, or from chosen compounds, in one pass.

Source of the two ways and their vocabulary: the public documentation of aenet's `ReferenceEnergies`.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from alignn_ff.data.compositions import Composition, CompositionEnergy, checked, formula_of, parse_formula
from alignn_ff.errors import ConfigError, DataError

_BLOCK = 512
"""Rows that are collected before they are folded into the triangle."""
_RANK_TOLERANCE = 1e-9
"""Singular values below this share of the largest count as zero: numbers of atoms are integers."""
_PRESENT = 1e-6
"""Component of a unit vector from which on an element takes part in it."""

T = TypeVar("T")


class References(NamedTuple):
    """Energies of the elements and how they were found.

    Attributes:
        energies: eV per atom.
        method: "regression" or "reference_compounds".
        undetermined: elements whose energies the data leave open; theirs are those of least norm.
        facts: counts, rank, residuals (eV a structure), fit for JSON.
    """

    energies: dict[str, float]
    method: str
    undetermined: tuple[str, ...]
    facts: dict[str, Any]


class Subset(NamedTuple):
    """A random part of the samples to fit: `size` of them, or a `fraction` of samples whose number is known."""

    size: int | None = None
    fraction: float | None = None
    seed: int | None = None


ALL = Subset()


class CompositionFit:
    """Least squares of energies on numbers of atoms, row by row, in memory of elements squared.

    Rows are folded into the triangle of a QR decomposition (Golub, Van Loan, Matrix Computations, 2013, §5.3), so that
    no matrix of all rows, nor its normal equations, which square its condition, is ever held.
    """

    def __init__(self) -> None:
        self.elements: list[str] = []
        self.rows = 0
        self._block: list[tuple[Composition, float, float]] = []
        self._triangle = np.zeros((0, 1))

    def add(self, composition: Composition, energy: float, weight: float = 1.0) -> None:
        """One more row: numbers of atoms and total energy, eV, both multiplied by `weight`."""
        self.rows += 1
        self._block.append((composition, energy, weight))
        if len(self._block) >= _BLOCK:
            self._fold()

    def solve(self, fixed: Mapping[str, float]) -> tuple[dict[str, float], tuple[str, ...], dict[str, Any]]:
        """Energy of each element, those that are undetermined (then of least norm), and facts of the fit.

        Raises:
            DataError: `fixed` names an element that no row holds.
        """
        self._fold()
        absent = sorted(set(fixed) - set(self.elements))
        if absent:
            raise DataError(f"fixed energies name {' '.join(absent)}, which no structure holds. Leave them out.")
        order = [e for e in self.elements if e not in fixed]
        columns = {e: self._triangle[:, place] for place, e in enumerate(self.elements)}
        rest = self._triangle[:, -1] - sum(columns[e] * energy for e, energy in fixed.items())
        matrix = np.stack([columns[e] for e in order], axis=1) if order else np.zeros((len(rest), 0))
        solution, values, null = _least_norm(matrix, rest)
        residual = float(((matrix @ solution - rest) ** 2).sum())
        facts = {
            "free_elements": order,
            "fixed_energies": dict(fixed),
            "rank": len(order) - len(null),
            "singular_values": values.tolist(),
            "residual_sum_squares": residual,
            "rmse": math.sqrt(residual / max(1, self.rows)),
        }
        found = {**fixed, **dict(zip(order, solution.tolist(), strict=True))}
        shares = np.abs(null).max(0, initial=0.0)
        undetermined = sorted(e for e, share in zip(order, shares, strict=True) if share > _PRESENT)
        return {e: found[e] for e in sorted(found)}, tuple(undetermined), facts

    def _fold(self) -> None:
        new = sorted({e for composition, *_ in self._block for e in composition} - set(self.elements))
        self._triangle = np.insert(self._triangle, [len(self.elements)] * len(new), 0.0, axis=1)
        self.elements += new
        rows = np.zeros((len(self._block), len(self.elements) + 1))
        for row, (composition, energy, weight) in zip(rows, self._block, strict=True):
            for element, count in composition.items():
                row[self.elements.index(element)] = weight * count
            row[-1] = weight * energy
        self._triangle = np.asarray(np.linalg.qr(np.concatenate([self._triangle, rows]), mode="r"))
        self._block = []


def regression(
    samples: Iterable[CompositionEnergy],
    *,
    fixed: Mapping[str, float] | None = None,
    weighting: Literal["total", "per_atom"] = "total",
    subset: Subset = ALL,
) -> References:
    """Energies of the elements that fit the energies of all samples best; these are gone through once.

    Args:
        samples: compositions and total energies, eV.
        fixed: energies that are known, eV per atom; the others are fitted to what they leave.
        weighting: whether errors count in eV of a structure, or in eV/atom, so that large cells do not rule.
        subset: fit a random part of them.
    Raises:
        DataError: a count that is no whole number, no atoms, an energy that is not finite, no samples, a subset larger
            than there are.
        ConfigError: a subset of both a size and a fraction, or a fraction of samples whose number is unknown.
    """
    total = Counter[str]()
    chosen = _chosen(_counted(map(checked, samples), total), _subset_size(samples, subset), subset)
    fit = CompositionFit()
    for composition, energy in chosen:
        fit.add(composition, energy, 1.0 if weighting == "total" else 1.0 / sum(composition.values()))
    if not fit.rows:
        raise DataError("there is no composition with an energy to fit energies of elements to.")
    energies, undetermined, facts = fit.solve(fixed or {})
    counts = {"samples": total["all"], "samples_used": fit.rows, **subset._asdict(), "weighting": weighting}
    return References(energies, "regression", undetermined, {**facts, **counts})


def from_compounds(
    samples: Iterable[CompositionEnergy],
    compounds: Sequence[str | Composition],
    *,
    fixed: Mapping[str, float] | None = None,
) -> References:
    """Energies of the elements by which the lowest-energy sample of each of some compositions has no formation energy.

    Args:
        samples: compositions and total energies, eV; gone through once.
        compounds: formulas such as "Cu4" or "H2O", or numbers of atoms; a multiple is another composition.
        fixed: energies that are known, eV per atom.
    Raises:
        DataError: as `regression`; or a compound that no sample has, or that was named twice.
    """
    wanted = [parse_formula(c) if isinstance(c, str) else dict(checked((c, 0.0))[0]) for c in compounds]
    keys = [formula_of(c) for c in wanted]
    if len(set(keys)) < len(keys):
        twice = next(key for key, times in Counter(keys).items() if times > 1)
        raise DataError(f"reference compound {twice} is named twice; name each once.")
    lowest: dict[str, float] = {}
    total = 0
    for composition, energy in map(checked, samples):
        total += 1
        key = formula_of(composition)
        if key in keys:
            lowest[key] = min(energy, lowest.get(key, math.inf))
    absent = [key for key in keys if key not in lowest]
    if absent:
        raise DataError(
            f"no structure with an energy has the composition of reference compound {', '.join(absent)}. A multiple is "
            "another composition: write Cu4 for a cell of four."
        )
    found = regression([(c, lowest[key]) for c, key in zip(wanted, keys, strict=True)], fixed=fixed)
    facts = {**found.facts, "samples": total, "compounds": lowest}
    return found._replace(method="reference_compounds", facts=facts)


def undetermined_note(elements: Sequence[str]) -> str:
    """What it means that energies of elements are not determined."""
    return (
        f"the data do not determine the reference energies of {' '.join(elements)}: their numbers always vary "
        "together, so shifts of one can be undone by the others. Total energies of compositions like these are right, "
        "those of isolated atoms and of other compositions arbitrary. Fix one of them, or add other compositions."
    )


def _least_norm(matrix: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Solution of least norm [n], singular values, and an orthonormal basis of the null space [k, n]."""
    if not matrix.shape[1]:
        return np.zeros(0), np.zeros(0), np.zeros((0, 0))
    left, values, right = np.linalg.svd(matrix, full_matrices=True)
    sound = values > _RANK_TOLERANCE * values.max(initial=0.0)
    rank = int(sound.sum())
    return right[:rank].T @ ((left[:, :rank].T @ rest) / values[:rank]), values, right[rank:]


def _counted(samples: Iterable[T], total: Counter[str]) -> Iterator[T]:
    for sample in samples:
        total["all"] += 1
        yield sample


def _subset_size(samples: object, subset: Subset) -> int | None:
    if subset.size is not None and subset.fraction is not None:
        raise ConfigError("a subset has both a size and a fraction; give one of them.")
    if subset.fraction is None:
        return subset.size
    if not 0.0 < subset.fraction <= 1.0 or not isinstance(samples, Sized):
        raise ConfigError(
            f"a subset of the fraction {subset.fraction} needs one in (0, 1], and samples whose number is known; give "
            "a size otherwise."
        )
    return max(1, math.ceil(len(samples) * subset.fraction))


def _chosen(samples: Iterator[T], size: int | None, subset: Subset) -> Iterable[T]:
    """All, or `size` of them by reservoir sampling (algorithm R; Vitter, ACM Trans. Math. Softw. 11, 37, 1985)."""
    if size is None:
        return samples
    draw, kept = random.Random(subset.seed), []
    for place, sample in enumerate(samples):
        if place < size:
            kept.append(sample)
        elif (slot := draw.randrange(place + 1)) < size:
            kept[slot] = sample
    if len(kept) < size:
        raise DataError(f"a subset of {size} samples was asked for; there are {len(kept)}.")
    return kept

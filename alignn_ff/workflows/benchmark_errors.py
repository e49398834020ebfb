"""Computed values beside their references, and the errors of each quantity over all materials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from alignn_ff.workflows.benchmark_ledger import Row
from alignn_ff.workflows.benchmark_materials import Material
from alignn_ff.workflows.benchmark_quantities import QUANTITIES

WORST = 3
"""How many of the largest errors are named."""

UNCONVERGED = "a relaxation did not converge"


@dataclass(frozen=True)
class Comparison:
    """A computed value beside its reference, both in `unit`.

    `predicted` and the errors are None, and `reason` says why, where there is no value that counts; `error_percent` is
    None also where the reference is zero. `source` is that of the table.
    """

    material: str
    property: str
    quantity: str
    unit: str
    reference: float
    predicted: float | None
    error: float | None
    error_percent: float | None
    reason: str
    source: str


@dataclass(frozen=True)
class Statistic:
    """Errors of one quantity over the materials that have it; `worst` are the largest, by material.

    `mae`, `rmse`, `mean_error` and `worst` are in `unit`; `mae_percent` is the mean of absolute errors in parts of the
    references, of those that are not zero. None is what no value is there for; `missing` counts references without one.
    """

    property: str
    quantity: str
    unit: str
    count: int
    missing: int
    mae: float | None
    rmse: float | None
    mean_error: float | None
    mae_percent: float | None
    worst: Mapping[str, float]

    def __str__(self) -> str:
        values = f"{self.count} of {self.count + self.missing} values"
        if self.mae is None:
            return values
        percent = "" if self.mae_percent is None else f" ({self.mae_percent:.2f} %)"
        worst = ", ".join(f"{name} {error:+.3g}" for name, error in self.worst.items())
        return f"{f'{self.mae:.4g} {self.unit}'.rstrip()}{percent}, {values}, worst {worst}"


def compare(material: Material, row: Row) -> list[Comparison]:
    """Every reference of the material that belongs to the property of the row, beside what was computed."""
    wanted = [name for name in material.references if QUANTITIES[name].property == row.property]
    return [_comparison(material, row, name) for name in wanted]


def statistics(comparisons: Sequence[Comparison]) -> list[Statistic]:
    """Errors of each quantity, in the order of `QUANTITIES`."""
    groups = {name: [one for one in comparisons if one.quantity == name] for name in QUANTITIES}
    return [_statistic(group) for group in groups.values() if group]


def failures(comparisons: Sequence[Comparison]) -> dict[str, str]:
    """What has no value that counts, as "material, property", and why."""
    found: dict[str, dict[str, None]] = {}
    for one in comparisons:
        if one.predicted is None:
            found.setdefault(f"{one.material}, {one.property}", {})[one.reason] = None
    return {name: "; ".join(reasons) for name, reasons in found.items()}


def _comparison(material: Material, row: Row, name: str) -> Comparison:
    reference, predicted, reason = material.references[name], row.values.get(name), row.reason
    if row.status == "not converged":
        predicted, reason = None, UNCONVERGED
    elif predicted is None and row.status == "done":
        reason = f"it has no {name}"
    error = None if predicted is None else predicted - reference
    return Comparison(
        material=material.name,
        property=row.property,
        quantity=name,
        unit=QUANTITIES[name].unit,
        reference=reference,
        predicted=predicted,
        error=error,
        error_percent=100.0 * error / abs(reference) if error is not None and reference else None,
        reason=reason,
        source=material.source,
    )


def _statistic(group: Sequence[Comparison]) -> Statistic:
    errors = {one.material: one.error for one in group if one.error is not None}
    values = np.array(list(errors.values()))
    percents = [abs(one.error_percent) for one in group if one.error_percent is not None]
    worst = sorted(errors.items(), key=lambda pair: -abs(pair[1]))[:WORST]
    return Statistic(
        property=group[0].property,
        quantity=group[0].quantity,
        unit=group[0].unit,
        count=len(errors),
        missing=len(group) - len(errors),
        mae=float(np.abs(values).mean()) if errors else None,
        rmse=float(np.sqrt((values**2).mean())) if errors else None,
        mean_error=float(values.mean()) if errors else None,
        mae_percent=float(np.mean(percents)) if percents else None,
        worst=dict(worst),
    )

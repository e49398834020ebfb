"""What a sound potential is held to, and the verdict on a measured value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from types import MappingProxyType
from typing import Literal, NamedTuple

from numpy.typing import NDArray

Verdict = Literal["pass", "warn", "fail", "skipped"]


class Criterion(NamedTuple):
    """One line of the verdict: pass up to `limit`, fail above `intolerable`, a warning between."""

    label: str
    unit: str
    limit: float
    intolerable: float


_QUANTITIES = {
    "energy": ("eV/atom", 1e-5, 1e-4),
    "forces": ("eV/Å", 1e-3, 1e-2),
    "stress": ("GPa", 1e-2, 1e-1),
}
"""How far two structures that are physically the same may differ: above the rounding of float32, far below any
quantity of interest."""

_EQUAL = {
    "repetition": "evaluated twice",
    "translation": "translated",
    "rotation": "rotated",
    "reflection": "reflected",
    "permutation": "atoms reordered",
    "image": "atom replaced by its image",
    "supercell": "supercell (extensivity)",
    "copies": "two distant copies (extensivity)",
    "batch": "in a batch against alone",
    "skin": "with its skin against without",
}

CRITERIA: dict[str, Criterion] = {
    **{
        f"{name}_{quantity}": Criterion(f"{text}: {quantity}", *_QUANTITIES[quantity])
        for name, text in _EQUAL.items()
        for quantity in _QUANTITIES
    },
    "precision_energy": Criterion("float32 against float64: energy", "eV/atom", 1e-4, 1e-3),
    "precision_forces": Criterion("float32 against float64: forces", "eV/Å", 1e-3, 1e-2),
    "precision_stress": Criterion("float32 against float64: stress", "GPa", 1e-2, 1e-1),
    "derivative_forces": Criterion("forces against derivatives of the energy", "%", 0.5, 5.0),
    "derivative_stress": Criterion("stress against derivatives of the energy", "%", 0.5, 5.0),
    "net_force": Criterion("mean force on all atoms", "eV/Å", 1e-4, 1e-3),
    "walk_energy_jump": Criterion("an atom on its way: energy jump", "eV", 1e-4, 1e-3),
    "walk_force_jump": Criterion("an atom on its way: force jump", "eV/Å", 1e-3, 1e-2),
    "dimer_finite": Criterion("dimer: points that are not finite", "", 0.0, 0.0),
    "dimer_energy_jump": Criterion("dimer: energy jump", "eV", 1e-4, 1e-3),
    "dimer_force_jump": Criterion("dimer: force jump", "eV/Å", 1e-3, 1e-2),
    "dimer_depth": Criterion("dimer: depth of the well", "eV", 12.0, 20.0),
    "dimer_sag": Criterion("dimer: sag of the repulsion", "eV", 0.05, 0.5),
    "dimer_second_well": Criterion("dimer: second minimum", "eV", 0.1, 0.5),
    "volume_finite": Criterion("volumes: points that are not finite", "", 0.0, 0.0),
    "volume_energy_jump": Criterion("volumes: energy jump", "eV/atom", 1e-4, 1e-3),
    "volume_second_well": Criterion("volumes: second minimum", "eV/atom", 1e-3, 1e-2),
    "volume_sag": Criterion("volumes: sag of the pressure under compression", "GPa", 0.5, 5.0),
    "drift": Criterion("NVE: drift of the total energy", "meV/atom/ps", 1.0, 10.0),
}
"""A line per key. Distances, wells and sags: see the modules that measure them. The strongest bond known, that of
CO, is 11.2 eV deep, hence the limit of `dimer_depth`."""


class Measurement(NamedTuple):
    """One subject held to one criterion; `value` is None where it cannot be (`where` says why)."""

    criterion: str
    subject: str
    value: float | None
    where: str = ""

    @property
    def verdict(self) -> Verdict:
        """Of this value; one that is not finite fails."""
        criterion = CRITERIA[self.criterion]
        if self.value is None:
            return "skipped"
        if self.value <= criterion.limit:
            return "pass"
        return "warn" if self.value <= criterion.intolerable else "fail"


class Part(NamedTuple):
    """What one check found of one subject: measurements and, by name, the curves behind them."""

    measurements: Sequence[Measurement]
    curves: Mapping[str, Mapping[str, NDArray]] = MappingProxyType({})


@dataclass(frozen=True)
class Line:
    """The verdict on one criterion: that of its `worst` subject. `value` is None where skipped or not finite."""

    criterion: str
    label: str
    verdict: Verdict
    value: float | None
    limit: float
    unit: str
    worst: str
    failed: tuple[str, ...]

    @property
    def numbers(self) -> str:
        """Value and limit."""
        if self.verdict == "skipped":
            return ""
        value = "not finite" if self.value is None else f"{self.value:.2g}"
        return f"{value} (limit {self.limit:g}) {self.unit}".rstrip()

    @property
    def text(self) -> str:
        """Verdict, value, limit and the worst place in one line."""
        return "  ".join(part for part in (f"{self.verdict:7}", self.numbers, self.worst) if part)


def judged(measurements: Iterable[Measurement]) -> tuple[Line, ...]:
    """One line per criterion, in the order of `CRITERIA`; what was never measured has none."""
    found: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        found.setdefault(measurement.criterion, []).append(measurement)
    return tuple(_line(name, found[name]) for name in CRITERIA if name in found)


def _line(name: str, measurements: list[Measurement]) -> Line:
    criterion = CRITERIA[name]
    worst = max(measurements, key=_badness)
    return Line(
        criterion=name,
        label=criterion.label,
        verdict=worst.verdict,
        value=worst.value if worst.value is not None and isfinite(worst.value) else None,
        limit=criterion.limit,
        unit=criterion.unit,
        worst=f"{worst.subject} {worst.where}".strip(),
        failed=tuple(dict.fromkeys(m.subject for m in measurements if m.verdict == "fail")),
    )


def _badness(measurement: Measurement) -> float:
    if measurement.value is None:
        return -1.0
    return measurement.value if isfinite(measurement.value) else float("inf")

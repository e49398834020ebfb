"""What labelled structures hold, in numbers: the first look at a data set."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from alignn_ff.data.further_labels import NAMES, columns, widths
from alignn_ff.data.sources import DEFAULT_KEYS, Keys, Sample
from alignn_ff.graph import volumes
from alignn_ff.models.base import SYMBOLS
from alignn_ff.units import GPA_PER_EV_A3

LABELS = ("energy", "forces", "stress")


def overview(samples: Sequence[Sample], keys: Keys = DEFAULT_KEYS) -> dict[str, Any]:
    """Counts, ranges and gaps of a data set, fit for JSON; a range is [least, mean, largest], None without a value.

    Args:
        keys: names of what stands beside energies, forces and stress, as it was read.
    """
    further = {of: columns(samples, of, keys) for of in NAMES}
    there = {of: values for of, values in further.items() if values}
    sizes = [len(s.graph.numbers) for s in samples]
    energies = torch.cat([s.targets.energy / len(s.graph.numbers) for s in samples])
    volume = torch.cat([volumes(s.graph) / len(s.graph.numbers) for s in samples])
    periodic = Counter("".join("pn"[not bool(p)] for p in s.graph.pbc[0]) for s in samples)
    return {
        "structures": len(samples),
        "atoms": sum(sizes),
        "atoms_per_structure": _range(torch.tensor(sizes)),
        "elements": dict(Counter(SYMBOLS[z] for s in samples for z in s.graph.numbers.tolist()).most_common()),
        "compositions": dict(Counter(composition(s) for s in samples).most_common()),
        "groups": dict(Counter(s.group for s in samples).most_common()),
        "periodic": dict(periodic.most_common()),
        "energy_ev_per_atom": _range(energies),
        "force_ev_per_a": _range(torch.cat([s.targets.forces.norm(dim=1) for s in samples])),
        "stress_component_gpa": _range(torch.cat([s.targets.stress for s in samples]) * GPA_PER_EV_A3),
        "volume_a3_per_atom": _range(volume[volume > 0]),
        **{NAMES[of]: {name: _range(column) for name, column in values.items()} for of, values in there.items()},
        "without": {name: sum(not _labelled(s, name) for s in samples) for name in LABELS}
        | {NAMES[of]: len(widths(samples, of).missing) for of in there},
    }


def composition(sample: Sample) -> str:
    """The formula of a structure reduced to its smallest whole numbers, elements by atomic number: Si, O2Ti."""
    numbers, counts = torch.unique(sample.graph.numbers, return_counts=True)
    divisor = math.gcd(*counts.tolist())
    parts = zip(numbers.tolist(), (counts // divisor).tolist(), strict=True)
    return "".join(f"{SYMBOLS[z]}{n if n > 1 else ''}" for z, n in parts)


def _labelled(sample: Sample, name: str) -> bool:
    return bool(torch.isfinite(getattr(sample.targets, name)).any())


def _range(values: Tensor) -> list[float] | None:
    values = values[torch.isfinite(values)].to(torch.float64)
    if values.numel() == 0:
        return None
    return [float(values.min()), float(values.mean()), float(values.max())]

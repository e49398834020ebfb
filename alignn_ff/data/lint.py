"""Checks on labels that shapes alone do not catch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from alignn_ff.data.further_labels import NAMES, values_of
from alignn_ff.data.sources import Sample

# A crystal under 2 eV/Å³ is under 320 GPa; training sets stay below that with hardly an exception, while the
# same labels left in GPa or kbar are two to three orders of magnitude larger.
_STRESS_LIMIT_EV_A3 = 2.0
_KBAR_FROM = 60.0


def stress_unit_warning(samples: Sequence[Sample]) -> str | None:
    """A warning that names the likely unit where stress labels are too large for eV/Å³; None where they are not."""
    stresses = torch.tensor([float(s.targets.stress.abs().amax()) for s in samples], dtype=torch.float64)
    stresses = stresses[torch.isfinite(stresses)]
    if len(stresses) == 0:
        return None
    large = float(torch.quantile(stresses, 0.9))
    if large < _STRESS_LIMIT_EV_A3:
        return None
    unit, setting = ("kbar", "kbar_vasp or kbar") if large > _KBAR_FROM else ("GPa", "gpa")
    return (
        f"stress labels reach {large:.3g} (90th percentile), far above what eV/Å³ gives; they look like {unit}. "
        f"Set `stress_unit: {setting}` (VASP's own kbar have the opposite sign: kbar_vasp)."
    )


def zero_stresses(samples: Sequence[Sample]) -> list[str]:
    """Keys of structures whose stress label is exactly zero though forces act: never a computed one."""
    return [
        s.key
        for s in samples
        if not s.targets.stress.any() and torch.nan_to_num(s.targets.forces).any()  # any() takes NaN, missing, for true
    ]


def zero_stress_warning(samples: Sequence[Sample]) -> str | None:
    """A warning of stress labels that are placeholders; None where there are none."""
    found = zero_stresses(samples)
    if not found:
        return None
    return (
        f"stress labels of {len(found)} of {len(samples)} structures are exactly zero where forces are not: "
        "placeholders that training would take for true. Remove them from the data, or set `stress_weight: 0`."
    )


def missing_label_note(samples: Sequence[Sample]) -> str | None:
    """Which labels are missing from how many structures; None where every structure has all.

    Values of atoms and of structures beside energies count where any structure has them.
    """
    absent, further = dict.fromkeys(("energy", "forces", "stress"), 0), dict.fromkeys(("atomwise", "additional"), 0)
    for sample in samples:
        for name in absent:
            absent[name] += bool(torch.isnan(getattr(sample.targets, name)).any())
        for of in further:
            further[of] += values_of(sample, of) is None
    absent |= {NAMES[of]: count for of, count in further.items() if count < len(samples)}
    parts = [f"{name} from {count}" for name, count in absent.items() if count]
    return (
        f"of {len(samples)} structures, missing labels: {', '.join(parts)}; they are left out of the loss."
        if parts
        else None
    )

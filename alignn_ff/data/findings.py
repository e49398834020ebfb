"""What looks wrong with labelled structures: one function a check, all in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import torch

from alignn_ff.data.further_labels import NAMES, widths
from alignn_ff.data.lint import missing_label_note, stress_unit_warning, zero_stress_warning, zero_stresses
from alignn_ff.data.overview import composition
from alignn_ff.data.sources import Sample
from alignn_ff.data.work import SHEAR_NAMES, slopes
from alignn_ff.graph import edge_vectors
from alignn_ff.models.base import SYMBOLS
from alignn_ff.neighbors import connect
from alignn_ff.units import BOHR_A, GPA_PER_EV_A3, KBAR_PER_EV_A3

_HARTREE_EV = 27.211386245988
_KCAL_MOL_EV = 0.0433641042
_TOO_CLOSE_A = 0.5
_WILD_FORCE_EV_A = 100.0
_NET_FORCE_EV_A = 0.02
_ALONE_A = 6.0

_FORCE_UNITS = {
    1.0 / (BOHR_A / _HARTREE_EV): "Hartree/Bohr",
    0.5 / (BOHR_A / _HARTREE_EV): "Rydberg/Bohr",
    _KCAL_MOL_EV: "kcal/(mol Å)",
    0.001: "meV/Å",
}
_STRESS_UNITS = {
    1.0 / GPA_PER_EV_A3: "GPa (stress_unit: gpa)",
    1.0 / KBAR_PER_EV_A3: "kbar (stress_unit: kbar; of VASP's sign: kbar_vasp)",
}


class Finding(NamedTuple):
    """One remark on a data set.

    Attributes:
        kind: name of the check.
        level: a fault spoils a training; a note is worth knowing.
        message: what was seen and what to do.
        keys: of the structures concerned, where it is about some of them.
    """

    kind: str
    level: Literal["fault", "note"]
    message: str
    keys: tuple[str, ...] = ()


def lint(samples: Sequence[Sample]) -> list[Finding]:
    """Every finding of every check of `CHECKS`, faults first."""
    found = [finding for check in CHECKS for finding in check(samples)]
    return sorted(found, key=lambda finding: finding.level != "fault")


def stress_units(samples: Sequence[Sample]) -> list[Finding]:
    """Stress labels too large for eV/Å³."""
    warning = stress_unit_warning(samples)
    return [Finding("stress_units", "fault", warning)] if warning else []


def placeholder_stresses(samples: Sequence[Sample]) -> list[Finding]:
    """Stress labels of exactly zero."""
    warning = zero_stress_warning(samples)
    return [Finding("placeholder_stresses", "fault", warning, tuple(zero_stresses(samples)))] if warning else []


def missing_labels(samples: Sequence[Sample]) -> list[Finding]:
    """Structures that lack a label."""
    note = missing_label_note(samples)
    return [Finding("missing_labels", "note", note)] if note else []


def further_labels(samples: Sequence[Sample]) -> list[Finding]:
    """Other numbers of values than most structures have, and structures that are not told what others are."""
    findings = []
    for of, name in NAMES.items():
        found = widths(samples, of)
        if found.other:
            message = (
                f"{len(found.other)} structures have another number of {name} than {found.usual}, which most have."
            )
            findings.append(Finding("widths", "fault", message, found.other))
        if of == "extra_features" and found.usual and found.missing:
            message = f"{len(found.missing)} structures have no {name}, which a model needs of every structure."
            findings.append(Finding("untold", "fault", message, found.missing))
    return findings


def energies_per_atom(samples: Sequence[Sample]) -> list[Finding]:
    """Energies that do not grow with the number of atoms: given per atom where totals are expected."""
    by_composition: dict[str, dict[int, list[float]]] = {}
    for sample in samples:
        energy = float(sample.targets.energy)
        if energy == energy:
            sizes = by_composition.setdefault(composition(sample), {})
            sizes.setdefault(len(sample.graph.numbers), []).append(energy)
    for name, sizes in by_composition.items():
        small, large = min(sizes), max(sizes)
        low, high = (sum(sizes[n]) / len(sizes[n]) for n in (small, large))
        if large >= 2 * small and abs(low) > 0.5 and 0.6 < high / low < 1.4:
            return [
                Finding(
                    "energies_per_atom",
                    "fault",
                    f"{name} of {small} and of {large} atoms have energies of {low:.4g} and {high:.4g} eV: they look "
                    "like energies per atom. Total energies are expected; multiply by the number of atoms.",
                )
            ]
    return []


def label_work(samples: Sequence[Sample]) -> list[Finding]:
    """Forces and stress whose work is not what the energies say: sign, unit, order of shears."""
    found = slopes(samples)
    findings = []
    for name, slope, units in (("forces", found.forces, _FORCE_UNITS), ("stress", found.stress, _STRESS_UNITS)):
        if slope is not None and abs(slope - 1.0) > 0.15:
            findings.append(
                Finding(
                    f"{name}_work",
                    "fault",
                    f"over {found.pairs} pairs of near structures, energies change {slope:.3g} times as much as the "
                    f"{name} say; expected 1. {_guess(slope, units)}",
                )
            )
    if found.shear_order is not None:
        stored = " ".join(found.shear_order)
        message = (
            f"the energies fit if the shears stored as {' '.join(SHEAR_NAMES)} are read as {stored}. Reorder them."
        )
        findings.append(Finding("shear_order", "fault", message))
    return findings


def duplicates(samples: Sequence[Sample]) -> list[Finding]:
    """Structures that are there twice, and whether their energies agree."""
    same: dict[bytes, list[Sample]] = {}
    for sample in samples:
        same.setdefault(fingerprint(sample), []).append(sample)
    groups = [group for group in same.values() if len(group) > 1]
    if not groups:
        return []
    keys = tuple(s.key for group in groups for s in group)
    findings = [
        Finding(
            "duplicates", "note", f"{len(groups)} structures are there more than once; a split may part them.", keys
        )
    ]
    quarrels = [group for group in groups if _spread(group) > 1e-3]
    if quarrels:
        worst = max(quarrels, key=_spread)
        message = (
            f"{len(quarrels)} structures are there with different energies, by {_spread(worst):.3g} eV/atom for "
            f"{worst[0].key} and {worst[-1].key}. Were they computed with the same settings?"
        )
        findings.append(Finding("conflicts", "fault", message, tuple(s.key for g in quarrels for s in g)))
    return findings


def outliers(samples: Sequence[Sample]) -> list[Finding]:
    """Energies per atom far from all others of the composition, and forces beyond any sense."""
    by_composition: dict[str, list[Sample]] = {}
    for sample in samples:
        if bool(torch.isfinite(sample.targets.energy).all()):
            by_composition.setdefault(composition(sample), []).append(sample)
    strange: list[str] = []
    for alike in by_composition.values():
        if len(alike) >= 10:
            energies = torch.cat([s.targets.energy / len(s.graph.numbers) for s in alike])
            away = (energies - energies.median()).abs()
            bound = max(0.5, 15.0 * float(away.median()))
            strange += [s.key for s, d in zip(alike, away.tolist(), strict=True) if d > bound]
    findings = []
    if strange:
        message = (
            f"{len(strange)} energies per atom lie far from all others of their composition (max_energy leaves out)."
        )
        findings.append(Finding("energy_outliers", "note", message, tuple(strange)))
    wild = tuple(s.key for s in samples if bool((s.targets.forces.norm(dim=1) > _WILD_FORCE_EV_A).any()))
    if wild:
        message = f"{len(wild)} structures have forces above {_WILD_FORCE_EV_A:g} eV/Å (max_forces leaves them out)."
        findings.append(Finding("wild_forces", "note", message, wild))
    return findings


def net_forces(samples: Sequence[Sample]) -> list[Finding]:
    """Forces that do not add up to zero: atoms held fixed, an outer field, or forces of another structure."""
    drifting = []
    for sample in samples:
        net = sample.targets.forces.sum(0).norm() / len(sample.graph.numbers)
        if bool(net > _NET_FORCE_EV_A):
            drifting.append(sample.key)
    message = (
        f"in {len(drifting)} structures the forces add up to more than {_NET_FORCE_EV_A} eV/Å an atom; a potential's "
        "add up to zero. Were atoms held fixed, or is there a field?"
    )
    return [Finding("net_forces", "note", message, tuple(drifting))] if drifting else []


def close_atoms(samples: Sequence[Sample]) -> list[Finding]:
    """Atoms that overlap: a wrong cell, wrong units of length, or atoms doubled at a boundary."""
    near = [(s.key, edge_vectors(connect(s.graph, _TOO_CLOSE_A)).norm(dim=1)) for s in samples]
    keys = tuple(key for key, distances in near if len(distances))
    message = f"{len(keys)} structures have atoms closer than {_TOO_CLOSE_A} Å. Check cell, pbc and unit of length."
    return [Finding("close_atoms", "fault", message, keys)] if keys else []


def isolated_atoms(samples: Sequence[Sample]) -> list[Finding]:
    """Single atoms without neighbours: their energies can serve as reference energies."""
    found = {
        SYMBOLS[int(s.graph.numbers[0])]: (float(s.targets.energy), s.key)
        for s in samples
        if len(s.graph.numbers) == 1 and len(connect(s.graph, _ALONE_A).edge_src) == 0
    }
    if not found:
        return []
    energies = ", ".join(f"{symbol}: {energy:.6g}" for symbol, (energy, _) in found.items())
    message = f"isolated atoms; to have them exact, set `reference_energies: {{{energies}}}`."
    return [Finding("isolated_atoms", "note", message, tuple(key for _, key in found.values()))]


CHECKS: tuple[Callable[[Sequence[Sample]], list[Finding]], ...] = (
    stress_units,
    placeholder_stresses,
    missing_labels,
    further_labels,
    energies_per_atom,
    label_work,
    duplicates,
    outliers,
    net_forces,
    close_atoms,
    isolated_atoms,
)
"""Every check that `lint` makes."""


def fingerprint(sample: Sample) -> bytes:
    """Equal for structures whose atoms, cells and positions agree to a tenth of a milliångström."""
    graph = sample.graph
    parts = [graph.numbers, graph.pbc, (graph.cell * 1e4).round().long(), (graph.positions * 1e4).round().long()]
    return b"|".join(part.numpy().tobytes() for part in parts)


def _spread(group: Sequence[Sample]) -> float:
    energies = torch.cat([s.targets.energy / len(s.graph.numbers) for s in group])
    energies = energies[torch.isfinite(energies)]
    return float(energies.max() - energies.min()) if len(energies) else 0.0


def _guess(slope: float, units: dict[float, str]) -> str:
    """The unit or sign that would explain a slope."""
    sign = "of the opposite sign" if slope < 0 else ""
    near = [name for factor, name in units.items() if 0.7 < abs(slope) / factor < 1.4]
    if near:
        return f"They look like {' or '.join(near)}{', ' + sign if sign else ''}."
    if 0.7 < -slope < 1.4:
        return "They have the opposite sign."
    return "Check their unit, and that they belong to these energies."

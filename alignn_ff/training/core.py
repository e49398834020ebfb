"""Walls around what a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.domain import Domain, from_facts
from alignn_ff.domain.findings import Limits
from alignn_ff.domain.quantities import SIZE, radius_sums
from alignn_ff.errors import CheckpointError, OutputExistsError
from alignn_ff.models import Core, Potential, Sum
from alignn_ff.models.base import SYMBOLS

# Where walls begin: a little beyond training, but never within usual bonds nor, for one odd structure, inside the ions.
_CLOSER, _OUTERMOST, _INNERMOST = 0.9, 0.75, 0.6  # of the closest pair; of the sum of covalent radii
_SLACK = 1.0

_WITHOUT = ("reference_energies", "zbl")
"""Terms that need no core."""


def with_core(potential: Sum, domain: Domain, earlier: Core | None = None) -> Sum:
    """The same potential with its network inside a core that begins where the domain ends.

    Args:
        potential: sum of reference energies, a network and perhaps ZBL.
        domain: of its training structures.
        earlier: core of the model it was started from, which need not be narrower.
    """
    limits = _limits(domain, potential.elements, earlier)
    terms = [term if term.name in _WITHOUT else Core([term], **limits) for term in potential.terms]  # type: ignore[list-item]
    return Sum(terms)  # type: ignore[arg-type]


def core_of(potential: Potential) -> Core | None:
    """The core in a potential; None where there is none."""
    return next((part for part in potential.modules() if isinstance(part, Core)), None)


def add_core(model: str | Path, out: str | Path) -> None:
    """Write a checkpoint trained by an earlier version once more, with a core; within its domain nothing changes.

    Args:
        model: the checkpoint; it states what it was trained on.
        out: where to write; nothing may be there.
    Raises:
        CheckpointError: see `load_checkpoint`; it states no domain, has a core already, or is no sum of terms.
        OutputExistsError: there is a file at `out`.
    """
    if Path(out).exists():
        raise OutputExistsError(f"{out} exists already. Choose another name, or remove it first.")
    potential, facts, _ = load_checkpoint(model)
    domain = from_facts(facts)
    if domain is None or not isinstance(potential, Sum) or core_of(potential) is not None:
        raise CheckpointError(
            f"{model}: a core is added to a sum of terms that states its training domain and has none yet; this is a "
            f"{potential.name} {'without' if domain is None else 'with'} a domain and "
            f"{'without' if core_of(potential) is None else 'with'} a core."
        )
    save_checkpoint(out, with_core(potential, domain), facts)


def _limits(domain: Domain, elements: Sequence[str], earlier: Core | None) -> dict[str, Any]:
    """Where the walls of a core for `elements` begin."""
    numbers = [SYMBOLS.index(element) for element in elements]
    trained, radii = (
        table.reshape(SIZE, SIZE)[numbers][:, numbers] for table in (Limits(domain).closest, radius_sums())
    )
    closest = (_CLOSER * trained).clamp(min=_INNERMOST * radii, max=_OUTERMOST * radii)
    closest = closest.clamp(max=domain.cutoff)  # beyond it no edge would tell of the wall
    crowded = torch.tensor([domain.coordination[element][1] + _SLACK for element in elements], dtype=torch.float64)
    if earlier is not None:
        known = [place for place, element in enumerate(elements) if element in earlier.elements]
        rows = [earlier.elements.index(elements[place]) for place in known]
        grid = torch.meshgrid(torch.tensor(known), torch.tensor(known), indexing="ij")
        closest[grid] = torch.minimum(closest[grid], earlier.closest[rows][:, rows].to(closest))
        crowded[known] = torch.maximum(crowded[known], earlier.crowded[rows].to(crowded))
    rounded = [[round(value, 3) for value in row] for row in closest.tolist()]
    return {"closest": rounded, "crowded": [round(value, 3) for value in crowded.tolist()]}

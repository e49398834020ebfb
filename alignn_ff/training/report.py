"""Tables and parity plots of errors, per element and per group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alignn_ff.data.cache import held_or_stored
from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.data.sources import Keys
from alignn_ff.device import choose_device
from alignn_ff.files import write_text
from alignn_ff.models.base import Potential, check_elements
from alignn_ff.reports.figure import save_figure
from alignn_ff.reports.parity import parity_figure
from alignn_ff.training.labels import check_extra_features, check_widths
from alignn_ff.training.metrics import Errors, collect, predict, score
from alignn_ff.training.prepare import remarked
from alignn_ff.units import MEV

QUANTITIES = {
    "energy": ("energy", "eV/atom", MEV, "meV/atom"),
    "forces": ("force component", "eV/Å", MEV, "meV/Å"),
    "stress": ("stress component", "GPa", 1.0, "GPa"),
    "atomwise": ("value of an atom", "as labelled", 1.0, "as labelled"),
    "additional": ("additional value", "as labelled", 1.0, "as labelled"),
}
"""Field of `Errors`: its name on an axis, its unit there, factor and unit of its errors in a table."""


def evaluate_model(
    potential: Potential, files: Sequence[str | Path], keys: Keys, *, batch_edges: int, device: str, near: Path
) -> Errors:
    """Errors of a potential on labelled files; `device` and `keys` as in a training config.

    Data too large for memory stay on disk, as in a training; labels and predictions are held.

    Args:
        near: beside it, data are kept on disk meanwhile.
    Raises:
        DataError: see `each_of_all`; other values than the potential gives, or without what it is told.
        OutputWriteError: the disk is full.
        UnknownElementError: an element the potential does not know.
    """
    keys = keys if potential.extra_features else keys._replace(extra_features=None)
    samples = remarked(held_or_stored(files, keys, near))
    for sample in samples:
        check_elements(potential.elements, sample.graph.numbers, f"structure {sample.key}")
    check_extra_features(samples, potential.extra_features)
    check_widths(samples, potential, keys)
    data = Dataset(samples, **potential.wants)
    place = choose_device(device)
    batches = predict(potential.to(place), data, Budget(len(samples), edges=batch_edges), place)
    return collect(batches, data)


def table(errors: Errors) -> list[dict[str, Any]]:
    """Rows of quantity, by (all, element or group), of, mae, rmse, unit, r2, count."""
    rows = []
    for field, (_, _, factor, unit) in QUANTITIES.items():
        pairs = getattr(errors, field)
        for by in ("all", "element", "group"):
            names = np.full(len(pairs), "all") if by == "all" else getattr(errors, f"{field}_{by}")
            for name in sorted(set(names.tolist())):
                s = score(pairs[names == name])
                rows.append(
                    {
                        "quantity": field,
                        "by": by,
                        "of": name,
                        "mae": factor * s.mae,
                        "rmse": factor * s.rmse,
                        "unit": unit,
                        "r2": s.r2,
                        "count": s.values,
                    }
                )
    return rows


def write_report(errors: Errors, folder: Path, name: str) -> list[Path]:
    """`NAME_errors.json` and a parity plot of each quantity by element and by group; returns what was written."""
    path = folder / f"{name}_errors.json"
    write_text(path, json.dumps(table(errors), indent=1))
    written = [path]
    for field, (axis, unit, _, _) in QUANTITIES.items():
        pairs = getattr(errors, field)
        if len(pairs) == 0:
            continue
        for by in ("element", "group"):
            groups = getattr(errors, f"{field}_{by}")
            figure = parity_figure(pairs[:, 0], pairs[:, 1], axis, unit, groups)
            written.append(save_figure(figure, folder / f"{name}_parity_{field}_by_{by}.png"))
    return written

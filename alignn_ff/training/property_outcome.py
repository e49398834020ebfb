"""How a finished training of a property model is reported: predictions, errors, parity plots, one page with all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from alignn_ff.checkpoint import PropertyCheckpoint
from alignn_ff.data.compositions import composition_of, formula_of
from alignn_ff.files import write_text
from alignn_ff.models.property import Kind
from alignn_ff.reports.figure import save_figure
from alignn_ff.reports.html import heading, paragraph, picture, table, write_page
from alignn_ff.reports.parity import parity_figure
from alignn_ff.training import page
from alignn_ff.training.property_config import PropertyTrainConfig
from alignn_ff.training.property_loss import property_errors


class PredictedPart(NamedTuple):
    """One part of the data: keys and formulas [n], labels [n, K], predicted values [n, K] and their errors by name."""

    name: str
    keys: Sequence[str]
    formulas: Sequence[str]
    labels: np.ndarray
    values: np.ndarray
    errors: Mapping[str, float]


def predicted_part(name: str, data: Any, values: np.ndarray, kind: Kind, baseline: np.ndarray) -> PredictedPart:
    """A part with its errors.

    Args:
        data: the `property_data.Part` that was predicted.
        baseline: see `property_errors`.
    """
    labels, samples = data.labels.numpy(), data.data.samples
    keys, formulas = [s.key for s in samples], [formula_of(composition_of(s.graph.numbers)) for s in samples]
    return PredictedPart(name, keys, formulas, labels, values, property_errors(values, labels, kind, baseline))


def write_property_reports(
    folder: Path,
    best: PropertyCheckpoint,
    parts: Sequence[PredictedPart],
    rows: Sequence[Mapping[str, Any]],
    config: PropertyTrainConfig,
) -> None:
    """Errors and predictions of each part as files, parity plots of values, and `report.html`."""
    shown: list[str] = []
    place = next(best.model.parameters()).device
    for part in parts:
        write_text(folder / f"{part.name}_errors.json", json.dumps(part.errors, indent=1))
        write_text(folder / f"prediction_results_{part.name}_set.csv", _predictions(part))
        shown += _worst(part, best.model.kind)
        if best.model.kind != "classes":
            drawn = parity_figure(part.labels, part.values, best.model.target, best.model.unit)
            saved = save_figure(drawn, folder / f"{part.name}_parity.png")
            shown.append(picture(saved.read_bytes(), f"{best.model.predicts}, {part.name} part."))
    write_page(
        folder / "report.html",
        f"Training of {config.model['name']}: {best.model.predicts}",
        [
            *_summary(best, parts),
            *page.curves(rows),
            *shown,
            *_data(best),
            *page.settings(config),
            *page.versions(str(place)),
        ],
    )


def _predictions(part: PredictedPart) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    numbers = [str(k) if part.values.shape[1] > 1 else "" for k in range(part.values.shape[1])]
    targets = [f"target{k if part.labels.shape[1] > 1 else ''}" for k in range(part.labels.shape[1])]
    writer.writerow(["id", *targets, *(f"prediction{n}" for n in numbers)])
    for key, label, value in zip(part.keys, part.labels, part.values, strict=True):
        writer.writerow([key, *label.tolist(), *value.tolist()])
    return text.getvalue()


def _summary(best: PropertyCheckpoint, parts: Sequence[PredictedPart]) -> list[str]:
    about = f"best_model.safetensors, of epoch {best.facts['training']['epoch']}, SHA-256 {best.sha256}."
    if not parts:
        return [paragraph(about), paragraph("Nothing was held back to compare with.")]
    names = list(parts[0].errors)
    rows = [(p.name, str(len(p.keys)), *(page.number(p.errors[name], 4) for name in names)) for p in parts]
    return [paragraph(about), table(("", "Structures", *names), rows)]


def _worst(part: PredictedPart, kind: Kind) -> list[str]:
    """The structures furthest off; of classes, those whose own class was held least likely."""
    if kind == "classes":
        cost = 1.0 - part.values[np.arange(len(part.values)), part.labels[:, 0].astype(int)]
    else:
        cost = np.abs(part.values - part.labels).max(1)
    rows = [
        (part.keys[i], part.formulas[i], _numbers(part.labels[i]), _numbers(part.values[i]), page.number(cost[i]))
        for i in np.argsort(-cost, kind="stable")[: page.WORST]
    ]
    last = "1 - probability of its class" if kind == "classes" else "Largest error"
    header = ("Structure", "Formula", "Label", "Probabilities" if kind == "classes" else "Predicted", last)
    return [heading(f"Worst structures, {part.name}"), table(header, rows)]


def _data(best: PropertyCheckpoint) -> list[str]:
    counts = [(name, str(n)) for name, n in best.facts["data"]["structures"].items()]
    files = list(best.facts["data"]["files"].items())
    return [heading("Data"), table(("Part", "Structures"), counts), table(("File", "SHA-256"), files)]


def _numbers(values: np.ndarray) -> str:
    """As many as a line holds."""
    return ", ".join(page.number(v, 4) for v in values[:6]) + (", …" if len(values) > 6 else "")

"""Predict a property of structures, such as a band gap, by a trained or published property model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def predict(
    model: Annotated[
        str, typer.Argument(help="A property model: a file, a published ALIGNN folder or zip, or a name.")
    ],
    structures: Annotated[list[Path], typer.Argument(help="Structures in any format that ASE reads.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Predict a property of each structure: a value, several values, or the probabilities of classes."""
    from alignn_ff.calculator.properties import predict_property
    from alignn_ff.io import read_frames
    from alignn_ff.pretrained import load_property

    network = load_property(model).model
    found = [(str(path), read_frames(path)) for path in structures]
    named = [
        (f"{path}@{i}" if len(frames) > 1 else path, atoms) for path, frames in found for i, atoms in enumerate(frames)
    ]
    values = predict_property(network, [atoms for _, atoms in named], device=device)
    if as_json:
        rows = [{"structure": name, "value": row.tolist()} for (name, _), row in zip(named, values, strict=True)]
        typer.echo(json.dumps({"predicts": network.predicts, "rows": rows}))
        return
    table = Table(title=network.predicts)
    table.add_column("structure")
    classes = network.kind == "classes"
    for k in range(values.shape[1]):
        table.add_column(
            f"P(class {k})" if classes else "value" if values.shape[1] == 1 else f"value {k}", justify="right"
        )
    for (name, _), row in zip(named, values, strict=True):
        table.add_row(name, *(f"{value:.6g}" for value in row))
    Console().print(table)

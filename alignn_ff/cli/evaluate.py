"""Errors of a model on labelled structures, in tables and parity plots.

alignn-ff evaluate my_run/best_model.safetensors data.extxyz
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from alignn_ff.cli.labels import (
    AdditionalKey,
    AtomwiseKey,
    EnergyKey,
    ExtraFeaturesKey,
    Files,
    ForcesKey,
    StressKey,
    StressUnit,
    keys_of,
)


def evaluate(
    model: Annotated[str, typer.Argument(help="A model file or name.")],
    data: Files,
    out: Annotated[Path | None, typer.Option(help="Folder for tables and plots; default evaluate-MODEL.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace files in that folder.")] = False,
    energy_key: EnergyKey = "energy",
    forces_key: ForcesKey = "forces",
    stress_key: StressKey = "stress",
    stress_unit: StressUnit = None,
    atomwise_key: AtomwiseKey = None,
    additional_key: AdditionalKey = None,
    extra_features_key: ExtraFeaturesKey = "extra_features",
    batch_edges: Annotated[int, typer.Option(help="Edges a batch, at most; bounds the memory.")] = 200_000,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
) -> None:
    """Errors of a model on labelled structures: MAE, RMSE, R² and parity plots per element and per config_type."""
    from alignn_ff.errors import DataError
    from alignn_ff.files import output_folder
    from alignn_ff.pretrained import load_potential
    from alignn_ff.training.report import QUANTITIES, evaluate_model, table, write_report

    potential = load_potential(model).potential
    keys = keys_of((energy_key, forces_key, stress_key, stress_unit), atomwise_key, additional_key, extra_features_key)
    if not (potential.atomwise_names or atomwise_key):
        keys = keys._replace(atomwise=())
    if not (potential.additional_names or additional_key):
        keys = keys._replace(additional=())
    with output_folder(out or Path(f"evaluate-{Path(model).stem}"), reuse=overwrite) as folder:
        errors = evaluate_model(potential, data, keys, batch_edges=batch_edges, device=device, near=folder)
        for option, asked, found in (
            ("--atomwise-key", atomwise_key, errors.atomwise),
            ("--additional-key", additional_key, errors.additional),
        ):
            if asked and not len(found):
                raise DataError(f"{option}: no structure has values called {', '.join(asked)}. Check the name.")
        written = write_report(errors, folder, "evaluation")
    rows = table(errors)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    console = Console()
    for quantity in QUANTITIES:
        own = [row for row in rows if row["quantity"] == quantity]
        if own:
            console.print(_rich(quantity, own))
    console.print(f"Written: {', '.join(str(path) for path in written)}")


def _rich(quantity: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{quantity} ({rows[0]['unit']})")
    for column in ("by", "of"):
        table.add_column(column)
    for column in ("MAE", "RMSE", "R²", "values"):
        table.add_column(column, justify="right")
    for row in rows:
        numbers = (f"{row['mae']:.3g}", f"{row['rmse']:.3g}", f"{row['r2']:.4f}", str(row["count"]))
        table.add_row(row["by"], row["of"], *numbers)
    return table

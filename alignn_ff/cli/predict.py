"""Predict a property of structures, such as a band gap, or energies by a committee and where it disagrees.

alignn-ff predict my_run data.extxyz --out spread.csv
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from alignn_ff.errors import ConfigError, OutputExistsError

if TYPE_CHECKING:
    from ase import Atoms


class _Asked(NamedTuple):
    """What is to be shown of a committee's table, and where it goes."""

    top: int
    by: Literal["forces", "energy"]
    out: Path | None
    as_json: bool


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A property model: a file, a published ALIGNN folder or zip, or a name; or a committee's folder."
        ),
    ],
    structures: Annotated[list[Path], typer.Argument(help="Structures in any format that ASE reads.")],
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as JSON.")] = False,
    top: Annotated[int, typer.Option(help="Of a committee: print so many it disagrees on most.")] = 10,
    by: Annotated[
        str, typer.Option(help="Of a committee: rank by the spread of forces, or of energy per atom.")
    ] = "forces",
    out: Annotated[
        Path | None, typer.Option(help="Of a committee: write the table of all to this CSV file, the worst first.")
    ] = None,
) -> None:
    """Predict a property of each structure: a value, several values, or the probabilities of classes.

    A committee of force fields, named by the folder of its training, tells energies and how far its members disagree.
    """
    from alignn_ff.calculator.properties import predict_property
    from alignn_ff.io import read_frames
    from alignn_ff.pretrained import load_property

    found = [(str(path), read_frames(path)) for path in structures]
    named = [
        (f"{path}@{i}" if len(frames) > 1 else path, atoms) for path, frames in found for i, atoms in enumerate(frames)
    ]
    if list(Path(model).glob("member_*")):
        if by not in ("forces", "energy"):
            raise ConfigError(f"--by is {by!r}; expected forces or energy.")
        _predict_by_committee(Path(model), named, device, _Asked(top, by, out, as_json))  # type: ignore[arg-type]
        return
    if out is not None:
        raise ConfigError("--out is for a committee's folder; redirect the output of --json instead.")
    network = load_property(model).model
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


def _predict_by_committee(folder: Path, named: list[tuple[str, Atoms]], device: str, asked: _Asked) -> None:
    from alignn_ff.calculator.committee import CommitteeCalculator
    from alignn_ff.units import MEV

    out = asked.out
    if out is not None and out.exists():
        raise OutputExistsError(f"{out} exists already. Choose another name, or remove it first.")
    calculator = CommitteeCalculator(folder, device=device)
    prediction = calculator.predict([atoms for _, atoms in named], names=[name for name, _ in named])
    if out is not None:
        prediction.write_csv(out, by=asked.by)
    if asked.as_json:
        typer.echo(json.dumps(prediction.rows))
        return
    table = Table(title="where the committee disagrees most")
    for column in ("structure", "energy (eV)", "± (meV/atom)", "force ± (meV/Å)"):
        table.add_column(column, justify="left" if column == "structure" else "right")
    rows = prediction.rows
    for place, _ in prediction.top_uncertain(asked.top, by=asked.by):
        row = rows[place]
        spreads = (MEV * row[name] for name in ("energy_std_per_atom", "max_force_uncertainty"))
        table.add_row(row["structure"], f"{row['energy']:.6f}", *(f"{spread:.3g}" for spread in spreads))
    Console().print(table)
    if out is not None:
        Console().print(f"All {len(named)} in {out}")

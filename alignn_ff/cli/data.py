"""Look at, check, split and convert labelled structures.

alignn-ff data split data.extxyz --test-ratio 0.1
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import gettempdir
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
from alignn_ff.cli.references import references

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
app.command()(references)

_SCRATCH = Path(gettempdir()) / "alignn-ff-data"
"""Beside it, data too large for memory lie while they are looked at."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Overwrite = Annotated[bool, typer.Option(help="Replace the file if it exists.")]


@app.command()
def inspect(
    files: Files,
    energy_key: EnergyKey = "energy",
    forces_key: ForcesKey = "forces",
    stress_key: StressKey = "stress",
    stress_unit: StressUnit = None,
    atomwise_key: AtomwiseKey = None,
    additional_key: AdditionalKey = None,
    extra_features_key: ExtraFeaturesKey = "extra_features",
    as_json: AsJson = False,
) -> None:
    """What is in the files: counts, elements, ranges of the labels, what is missing."""
    from alignn_ff.data.cache import held_or_stored
    from alignn_ff.data.entries import unread
    from alignn_ff.data.overview import overview

    keys = keys_of((energy_key, forces_key, stress_key, stress_unit), atomwise_key, additional_key, extra_features_key)
    found = overview(held_or_stored(files, keys, _SCRATCH), keys) | {"not_read": unread(files, keys)}
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(show_header=False)
    for name, value in found.items():
        table.add_row(name.replace("_", " "), _said(value))
    Console().print(table)


@app.command()
def lint(
    files: Files,
    energy_key: EnergyKey = "energy",
    forces_key: ForcesKey = "forces",
    stress_key: StressKey = "stress",
    stress_unit: StressUnit = None,
    atomwise_key: AtomwiseKey = None,
    additional_key: AdditionalKey = None,
    extra_features_key: ExtraFeaturesKey = "extra_features",
    as_json: AsJson = False,
) -> None:
    """Look for wrong units and signs, scrambled stress, uneven labels, duplicates, outliers; exit code 1 where there is
    a fault."""
    from alignn_ff.cli.main import FAILED
    from alignn_ff.data.cache import held_or_stored
    from alignn_ff.data.findings import lint as find

    keys = keys_of((energy_key, forces_key, stress_key, stress_unit), atomwise_key, additional_key, extra_features_key)
    found = find(held_or_stored(files, keys, _SCRATCH))
    if as_json:
        typer.echo(json.dumps([finding._asdict() for finding in found]))
    else:
        console = Console(soft_wrap=True)
        for finding in found:
            some = f" ({', '.join(finding.keys[:5])}{', …' if len(finding.keys) > 5 else ''})" if finding.keys else ""
            console.print(f"{finding.level}: {finding.kind}: {finding.message}{some}", markup=False)
        if not found:
            console.print("Nothing to remark.")
    if any(finding.level == "fault" for finding in found):
        raise typer.Exit(FAILED)


@app.command()
def split(
    files: Files,
    out: Annotated[Path, typer.Option(help="Where to write the split.")] = Path("ids_train_val_test.json"),
    train_ratio: Annotated[float, typer.Option(min=0.0, max=1.0)] = 0.8,
    val_ratio: Annotated[float, typer.Option(min=0.0, max=1.0)] = 0.1,
    test_ratio: Annotated[float, typer.Option(min=0.0, max=1.0)] = 0.1,
    n_train: Annotated[int | None, typer.Option(min=1, help="So many structures instead of a ratio.")] = None,
    n_val: Annotated[int | None, typer.Option(min=0, help="The same of validation.")] = None,
    n_test: Annotated[int | None, typer.Option(min=0, help="The same of the test.")] = None,
    seed: int = 123,
    by: Annotated[
        str | None, typer.Option(help="Keep together what shares its `composition`, or this entry of a structure.")
    ] = None,
    stratify: Annotated[
        str | None, typer.Option(help="Each value of this entry of a structure gives every part its share.")
    ] = None,
    energy_key: EnergyKey = "energy",
    overwrite: Overwrite = False,
) -> None:
    """Part structures into training, validation and test (`split_file` of a training), and say what the parts share."""
    from alignn_ff.data.cache import held_or_stored
    from alignn_ff.data.leakage import leaks
    from alignn_ff.data.overview import composition
    from alignn_ff.data.sources import Keys
    from alignn_ff.data.split import Shares, make_split, save_split
    from alignn_ff.errors import OutputExistsError

    if out.exists() and not overwrite:
        raise OutputExistsError(f"{out} exists already. Choose another name, or pass --overwrite.")
    entry = None if by in (None, "composition") else by
    keys = Keys(energy=energy_key, group=stratify or "config_type", family=entry)
    samples = held_or_stored(files, keys, _SCRATCH)
    families = [composition(s) if by == "composition" else s.family or s.key for s in samples]
    shares = Shares(n_train, n_val, n_test, train_ratio, val_ratio, test_ratio)
    groups = [s.group for s in samples] if stratify else None
    found = make_split([s.key for s in samples], shares, seed=seed, families=families, groups=groups)
    save_split(found, out)
    table = Table(title=", ".join(f"{len(keys)} {part}" for part, keys in found._asdict().items()))
    for column in ("shared with a structure trained on", "val", "test"):
        table.add_column(column)
    counted = leaks(samples, found)
    for shared in dict.fromkeys(leak.shared for leak in counted):
        row = [f"{leak.structures} of {leak.of}" for leak in counted if leak.shared == shared]
        table.add_row(shared, *row)
    console = Console()
    console.print(table)
    console.print(f"Written: {out}. Train on it with `split_file: {out}`.")


@app.command()
def convert(
    files: Files,
    out: Annotated[Path, typer.Option(help="File to write: .extxyz, .traj, .db or id_prop.json.")],
    energy_key: EnergyKey = "energy",
    forces_key: ForcesKey = "forces",
    stress_key: StressKey = "stress",
    stress_unit: StressUnit = None,
    atomwise_key: AtomwiseKey = None,
    additional_key: AdditionalKey = None,
    extra_features_key: ExtraFeaturesKey = "extra_features",
    overwrite: Overwrite = False,
) -> None:
    """Write structures to one file with labels under ASE's names, in eV, eV/Å and eV/Å³."""
    from alignn_ff.data.cache import held_or_stored
    from alignn_ff.data.convert import write_samples
    from alignn_ff.data.entries import unread

    keys = keys_of((energy_key, forces_key, stress_key, stress_unit), atomwise_key, additional_key, extra_features_key)
    samples = held_or_stored(files, keys, _SCRATCH)
    write_samples(samples, out, keys, overwrite=overwrite)
    console = Console()
    console.print(f"Written: {len(samples)} structures to {out}.")
    left = unread(files, keys)
    if left:
        console.print(f"Not carried over: {', '.join(left)}. Values of atoms and structures are, where named by a key.")


def _said(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, list) and any(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, list):
        least, mean, largest = value
        return f"{least:.4g} to {largest:.4g}, mean {mean:.4g}"
    if isinstance(value, dict):
        shown = [f"{name} {_said(one)}" for name, one in list(value.items())[:12]]
        return ", ".join(shown) + (f", … ({len(value)} in all)" if len(value) > 12 else "")
    return f"{value:,}"

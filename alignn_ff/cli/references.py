"""Reference energies of the elements from labelled structures."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from alignn_ff.cli.labels import EnergyKey, Files

Compounds = Annotated[
    list[str] | None,
    typer.Option("--compound", help="Take the lowest energy of this composition (Cu4, H2O) for zero; repeatable."),
]
Fixed = Annotated[list[str] | None, typer.Option("--fix", help="A known energy, eV per atom: H=-13.6; repeatable.")]


def references(
    files: Files,
    compound: Compounds = None,
    fix: Fixed = None,
    per_atom: Annotated[bool, typer.Option(help="Fit energies per atom, so that large cells do not rule.")] = True,
    subset: Annotated[int | None, typer.Option(min=1, help="Fit so many structures, drawn at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of that draw.")] = 123,
    energy_key: EnergyKey = "energy",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Energies of the elements by regression, or from the lowest energies of chosen compounds.

    What is printed as JSON under `energies` can stand as `reference_energies` in a training config.
    """
    from alignn_ff.data.compositions import composition_energies
    from alignn_ff.data.references import Subset, from_compounds, regression, undetermined_note
    from alignn_ff.data.sources import Keys, each_of_all

    samples = composition_energies(each_of_all([str(file) for file in files], Keys(energy=energy_key)))
    fixed = dict(map(_fixed, fix or ()))
    if compound:
        found = from_compounds(samples, compound, fixed=fixed)
    else:
        part = Subset(size=subset, seed=seed)
        found = regression(samples, fixed=fixed, weighting="per_atom" if per_atom else "total", subset=part)
    if as_json:
        typer.echo(json.dumps(found._asdict()))
        return
    table = Table("Element", "eV/atom", "", title=found.method.replace("_", " "))
    for element, energy in found.energies.items():
        mark = "fixed" if element in fixed else "undetermined" if element in found.undetermined else ""
        table.add_row(element, f"{energy:.6f}", mark)
    console = Console(soft_wrap=True)
    console.print(table)
    if found.undetermined:
        console.print(undetermined_note(found.undetermined).capitalize(), markup=False)


def _fixed(text: str) -> tuple[str, float]:
    from alignn_ff.errors import ConfigError

    element, _, value = text.partition("=")
    try:
        return element.strip(), float(value)
    except ValueError as error:
        raise ConfigError(f"--fix {text}: expected an element and its energy in eV per atom, say H=-13.6.") from error

"""Models known by name: list, card, path."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

models = typer.Typer(help="Models that are known by name.", no_args_is_help=True, add_completion=False)


@models.command("list")
def list_models() -> None:
    """Name, elements and a line about every model; the first is the default."""
    from alignn_ff.checkpoint import read_header
    from alignn_ff.pretrained import registry

    table = Table()
    for column in ("name", "elements", "what it is"):
        table.add_column(column)
    for entry in registry().values():
        table.add_row(entry.name, " ".join(read_header(entry.path)["elements"]), entry.description)
    Console().print(table)


@models.command()
def info(name: Annotated[str, typer.Argument(help="A name from `alignn-ff models list`.")]) -> None:
    """The card of a model: data, errors, limits, licence, how to cite."""
    from alignn_ff.pretrained import find

    Console().print(Markdown(find(name).card.read_text(encoding="utf-8")))


@models.command()
def path(name: Annotated[str, typer.Argument(help="A name from `alignn-ff models list`.")]) -> None:
    """Where the weights of a model lie."""
    from alignn_ff.pretrained import find

    typer.echo(find(name).path)

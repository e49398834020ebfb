"""Models known by name: list, info, download, verify, convert, path.

alignn-ff models list --element Si
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from alignn_ff.errors import CheckpointError, ConfigError, OutputExistsError

if TYPE_CHECKING:
    from alignn_ff.pretrained.registry import Entry

models = typer.Typer(help="Models that are known by name.", no_args_is_help=True, add_completion=False)

Name = Annotated[str, typer.Argument(help="A name from `alignn-ff models list`.", show_default=False)]

_SHOWN_ELEMENTS = 12
"""More than these are counted, not named."""


@models.command("list")
def list_models(
    element: Annotated[
        str | None, typer.Option(help="Only models that know all of these, such as Fe,O.", show_default=False)
    ] = None,
) -> None:
    """Name, elements, size and a line about every model; the first is the default."""
    from alignn_ff.pretrained.registry import elements_of, entries

    wanted = set(_symbols(element))
    known = {entry: elements_of(entry) for entry in entries().values()}
    fitting = [entry for entry, elements in known.items() if wanted <= set(elements)]
    if not fitting:
        raise ConfigError(f"no model knows {' and '.join(sorted(wanted))} together. See `alignn-ff models list`.")
    table = Table("name", "elements", "where, size", "theory, licence", "what it is")
    table.columns[0].no_wrap = True
    for entry in fitting:
        place = f"{entry.whereabouts}\n{_size(entry)}"
        origin = "\n".join(text for text in (entry.level_of_theory, entry.licence) if text)
        table.add_row(entry.name, _named(known[entry]), place, origin, entry.description)
    Console().print(table)


@models.command()
def info(name: Name) -> None:
    """The card of a model: data, level of theory, elements, errors, speed, limits, licence, how to cite."""
    from alignn_ff.pretrained import find
    from alignn_ff.pretrained.registry import elements_of

    entry = find(name)
    facts = {
        "weights": f"{entry.path} ({entry.whereabouts}, {_size(entry)})",
        "SHA-256": entry.sha256,
        "addresses": " ".join(entry.urls),
        "elements": _named(elements_of(entry)),
        "level of theory": entry.level_of_theory,
        "licence": entry.licence,
    }
    console = Console()
    console.print(Text(f"{name}: {entry.description}", style="bold"), soft_wrap=True)
    for label, value in facts.items():
        if value:  # unbroken: checksums and paths are there to be copied
            console.print(Text(f"{label:<16}{value}"), soft_wrap=True)
    console.print(Markdown(_card(entry)))


@models.command()
def download(
    name: Name,
    timeout: Annotated[float, typer.Option(min=0.01, help="Seconds without a byte before giving up.")] = 20.0,
    attempts: Annotated[int, typer.Option(min=1, help="Rounds over all addresses.")] = 4,
    progress_bar: Annotated[bool, typer.Option(help="Draw a progress bar.")] = True,
) -> None:
    """Bring a model to this machine and verify it; one that is here already is left alone."""
    from alignn_ff.pretrained import fetch_weights, find
    from alignn_ff.pretrained.patience import Patience

    found = fetch_weights(find(name), patience=Patience(timeout_s=timeout, attempts=attempts), progress=progress_bar)
    typer.echo(f"{name}: {found} (checksum verified)")


@models.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names; all models on this machine unless given.", show_default=False)
    ] = None,
) -> None:
    """Check the checksum of a model, load it and evaluate a structure."""
    from alignn_ff.pretrained import entries, find
    from alignn_ff.pretrained.verify import verify as verified

    present = [entry for entry in entries().values() if entry.whereabouts != "not downloaded"]
    for entry in map(find, names) if names else present:
        seen = verified(entry)
        typer.echo(
            f"{entry.name}: SHA-256 {seen.sha256} as expected; {seen.formula}: {seen.energy:.6f} eV/atom, "
            f"largest force {seen.largest_force:.6f} eV/Å"
        )


@models.command()
def convert(
    source: Annotated[Path, typer.Argument(help="A published ALIGNN model (folder or zip), or a .safetensors file.")],
    target: Annotated[Path, typer.Argument(help="A new .safetensors file, or a folder for upstream's two files.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what stands there.")] = False,
) -> None:
    """Turn a published ALIGNN model into one file of this package, or a legacy model into a published one."""
    from alignn_ff.checkpoint import PropertyCheckpoint, save_checkpoint
    from alignn_ff.pretrained import load_any
    from alignn_ff.pretrained.publish import save_upstream

    found = load_any(source)
    model = found.model if isinstance(found, PropertyCheckpoint) else found.potential
    if target.suffix != ".safetensors":
        save_upstream(target, model, overwrite=overwrite)
    elif target.exists() and not overwrite:
        raise OutputExistsError(f"{target} exists. Choose another name, or pass --overwrite to replace it.")
    else:
        save_checkpoint(target, model, found.facts)
    typer.echo(f"{source} -> {target}")


@models.command()
def path(
    name: Name,
    download: Annotated[bool, typer.Option("--download", help="Bring the model here first where needed.")] = False,
) -> None:
    """Where the weights of a model lie."""
    from alignn_ff.pretrained import fetch_weights, find

    entry = find(name)
    if download:
        fetch_weights(entry)
    elif entry.whereabouts == "not downloaded":
        raise CheckpointError(
            f"model {name} is not on this machine. Add --download, or run `alignn-ff models download {name}`."
        )
    typer.echo(entry.path)


def _symbols(text: str | None) -> tuple[str, ...]:
    from alignn_ff.pretrained.registry import check_symbols

    symbols = tuple(part.strip() for part in text.split(",")) if text else ()
    try:
        check_symbols(symbols)
    except ValueError as error:
        raise ConfigError(f"--element {error}.") from error
    return symbols


def _named(elements: tuple[str, ...]) -> str:
    return " ".join(elements) if len(elements) <= _SHOWN_ELEMENTS else f"{len(elements)} elements"


def _size(entry: Entry) -> str:
    there = entry.path.is_file()
    if not there and entry.size is None:
        return "unknown"
    return f"{(entry.path.stat().st_size if there else entry.size or 0) / 1e6:.1f} MB"


def _card(entry: Entry) -> str:
    if entry.card_path is None:
        return "*This model has no card.*"
    try:
        return entry.card_path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"card {entry.card_path} cannot be read ({error.strerror}). Correct the registry.") from error

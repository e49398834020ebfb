"""Train a potential, or a property model, on labelled structures.

alignn-ff train config.yaml --epochs=50
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from alignn_ff.training import TrainConfig, TrainResult
    from alignn_ff.training.property_config import PropertyTrainConfig
    from alignn_ff.training.property_loop import PropertyResult

app = typer.Typer(add_completion=False)


def _print_schema(wanted: bool) -> None:
    if wanted:
        from alignn_ff.training.editor_schema import editor_schema

        typer.echo(json.dumps(editor_schema(), indent=1))
        raise typer.Exit


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML or JSON; see README for the fields.", show_default=False)],
    overwrite: Annotated[bool, typer.Option(help="Replace the files of an earlier run in the output folder.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the output folder.")] = False,
    print_config: Annotated[bool, typer.Option(help="Print the resolved configuration and stop.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Say what the training will cost, and train nothing.")] = False,
    progress_bar: Annotated[bool, typer.Option(help="Draw a progress bar.")] = True,
    committee: Annotated[
        int | None, typer.Option(help="Train so many members and ship their mean; the same as --committee_size.")
    ] = None,
    json_schema: Annotated[
        bool, typer.Option("--json-schema", callback=_print_schema, is_eager=True, help="Print a schema for editors.")
    ] = False,
) -> None:
    """Train a potential on labelled structures, or a property model where `model.name` is one (alignn).

    Any field of CONFIG can be overridden: --epochs=50 --model.cutoff=6. Several processes share each batch of a
    potential: torchrun --nproc-per-node 2 -m alignn_ff.cli train CONFIG.
    """
    from alignn_ff.errors import ConfigError
    from alignn_ff.training import load_config
    from alignn_ff.training import train as run_training
    from alignn_ff.training.config import to_json
    from alignn_ff.training.property_config import is_property, load_property_config
    from alignn_ff.training.ranks import is_writer, started_processes

    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one of them.")
    if started_processes() > 1 and (print_config or dry_run or is_property(config, context.args)):
        raise ConfigError("torchrun is for the training of a potential; leave it out here: alignn-ff train CONFIG.")
    if is_property(config, context.args):
        if dry_run:
            raise ConfigError("--dry-run is for potentials; a property model's training cannot be estimated yet.")
        _train_property(load_property_config(config, context.args), overwrite, resume, print_config, progress_bar)
        return
    more = [] if committee is None else [f"--committee_size={committee}"]
    settings = load_config(config, [*context.args, *more])
    if print_config:
        typer.echo(to_json(settings))
        return
    if dry_run:
        _show_estimate(settings)
        return
    result = run_training(settings, overwrite=overwrite, resume=resume, progress=progress_bar)
    if is_writer():
        show_training(result, go_on="Go on with --resume.")


def _train_property(
    settings: PropertyTrainConfig, overwrite: bool, resume: bool, print_config: bool, progress_bar: bool
) -> None:
    from alignn_ff.training.property_loop import train_property

    if print_config:
        typer.echo(json.dumps(settings.model_dump(mode="json"), indent=2))
        return
    result = train_property(settings, overwrite=overwrite, resume=resume, progress=progress_bar)
    _exit_if_interrupted(result, "Go on with --resume.")
    table = Table(title=f"{settings.target}, best epoch: {result.best['epoch']}")
    table.add_column("on the validation set")
    table.add_column(settings.unit, justify="right")
    for name, value in result.best.items():
        if name.startswith("valid_"):
            table.add_row(name.removeprefix("valid_").replace("_", " "), f"{value:.4g}")
    console = Console()
    console.print(table)
    console.print(f"Best model: {result.folder}/best_model.safetensors; use it with `alignn-ff predict`.")
    console.print(f"History, errors, predictions and parity plots: {result.folder}/")


def _show_estimate(settings: TrainConfig) -> None:
    from alignn_ff.training.estimate import estimate

    found = estimate(settings)
    table = Table(title="What it will cost", show_header=False)
    for name, part in (("trained on", found.train), ("validated on", found.val)):
        counts = ", ".join(f"{count:,} {what}" for what, count in part._asdict().items() if count or what != "angles")
        table.add_row(name, counts)
    table.add_row("parameters", f"{found.parameters:,}")
    table.add_row("an epoch", f"{found.steps:,} steps, {found.seconds_per_epoch:.3g} s")
    hours = found.epochs * found.seconds_per_epoch / 3600.0
    table.add_row("in all", f"{found.epochs:,} epochs, {hours:.3g} h")
    table.add_row("memory", f"{found.peak_memory_mb:,.0f} MiB at the peak of the steps tried, the largest among them")
    Console().print(table)


def show_training(result: TrainResult, *, go_on: str) -> None:
    """What a training reached and where it lies; ends with the exit code of an interruption where it was one."""
    _exit_if_interrupted(result, go_on)
    console = Console()
    console.print(_summary(result.best))
    console.print(f"Best model: {result.folder}/best_model.safetensors (weights, config and facts in one file).")
    console.print(f"History, learning curve, errors and parity plots: {result.folder}/")


def _exit_if_interrupted(result: TrainResult | PropertyResult, go_on: str) -> None:
    if not result.finished:
        Console().print(f"Interrupted; everything is kept in {result.folder}. {go_on}")
        raise typer.Exit(130)


def _summary(best: dict[str, Any]) -> Table:
    title = f"Mean of {best['members']} members" if "members" in best else f"Best epoch: {best['epoch']}"
    table = Table(title=title)
    table.add_column("on the validation set")
    table.add_column("MAE", justify="right")
    table.add_column("RMSE", justify="right")
    for name, suffix, unit in (
        ("energy", "mev_per_atom", "meV/atom"),
        ("force", "mev_per_a", "meV/Å"),
        ("stress", "gpa", "GPa"),
    ):
        mae, rmse = (best.get(f"valid_{name}_{measure}_{suffix}") for measure in ("mae", "rmse"))
        if mae is not None and rmse is not None:
            table.add_row(f"{name} ({unit})", f"{mae:.3g}", f"{rmse:.3g}")
    if table.row_count == 0:
        table.add_row("no validation data; best by training loss", "", f"{best['train_loss']:.4g}")
    return table

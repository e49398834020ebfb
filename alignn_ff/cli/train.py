"""Train a potential on labelled structures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from alignn_ff.training import TrainResult

app = typer.Typer(add_completion=False)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def train(
    context: typer.Context,
    config: Annotated[Path, typer.Argument(help="YAML or JSON; see README for the fields.", show_default=False)],
    overwrite: Annotated[bool, typer.Option(help="Replace the files of an earlier run in the output folder.")] = False,
    resume: Annotated[bool, typer.Option(help="Go on with the run in the output folder.")] = False,
    print_config: Annotated[bool, typer.Option(help="Print the resolved configuration and stop.")] = False,
    progress_bar: Annotated[bool, typer.Option(help="Draw a progress bar.")] = True,
) -> None:
    """Train a potential on labelled structures. Any field of CONFIG can be overridden: --epochs=50 --model.cutoff=6."""
    from alignn_ff.errors import ConfigError
    from alignn_ff.training import load_config
    from alignn_ff.training import train as run_training
    from alignn_ff.training.config import to_json

    if overwrite and resume:
        raise ConfigError("--overwrite and --resume exclude each other; give one of them.")
    settings = load_config(config, context.args)
    if print_config:
        typer.echo(to_json(settings))
        return
    result = run_training(settings, overwrite=overwrite, resume=resume, progress=progress_bar)
    show_training(result, go_on="Go on with --resume.")


def show_training(result: TrainResult, *, go_on: str) -> None:
    """What a training reached and where it lies; ends with the exit code of an interruption where it was one."""
    console = Console()
    if not result.finished:
        console.print(f"Interrupted; everything is kept in {result.folder}. {go_on}")
        raise typer.Exit(130)
    console.print(_summary(result.best))
    console.print(f"Best model: {result.folder}/best_model.safetensors (weights, config and facts in one file).")
    console.print(f"History, learning curve, errors and parity plots: {result.folder}/")


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

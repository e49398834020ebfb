"""Commands of workflows, generated from their functions: every field of the settings is an option."""

from __future__ import annotations

import inspect
import json
import time
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer
from rich.console import Console
from typer import Argument, Option

from alignn_ff.cli.main import INTERRUPTED, NOT_CONVERGED, first_line, say
from alignn_ff.cli.model import load_calculator
from alignn_ff.cli.options import command_class, plain_parameters, setting_parameters, settings_from
from alignn_ff.cli.structure import read_structure, split_index
from alignn_ff.cli.summary import collected_warnings, show_result, write_summary
from alignn_ff.errors import RunawayError
from alignn_ff.files import output_folder
from alignn_ff.workflows import WORKFLOWS
from alignn_ff.workflows.result import WorkflowResult, plain

EXIT_CODES = {"done": 0, "not converged": NOT_CONVERGED, "interrupted": INTERRUPTED}


@dataclass(frozen=True)
class Common:
    """What every workflow command takes beside its settings; typer reads types and options from here."""

    structure: Annotated[str, Argument(help="Structure file that ASE reads; file@index where it holds several.")]
    model: Annotated[
        str | None,
        Option(
            help="Name or file of a model, or ase:NAME for a calculator of ASE.",
            show_default="the embedded model",
        ),
    ] = None
    device: Annotated[str | None, Option(help="cpu, cuda or cuda:N.", show_default="auto")] = None
    dtype: Annotated[str | None, Option(help="float32 or float64.", show_default="that of the model")] = None
    skin: Annotated[float | None, Option(help="Neighbour-list skin in Å.", show_default="that of the calculator")] = (
        None
    )
    out: Annotated[Path | None, Option(help="Folder for the results.", show_default="<structure>-<command>")] = None
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files in a folder that is not empty.")] = False
    config: Annotated[
        Path | None, Option(help="YAML or JSON file with settings; options win over it.", show_default=False)
    ] = None
    json: Annotated[bool, Option("--json", help="Print the result as JSON on standard output.")] = False
    progress: Annotated[bool, Option(" /--no-progress-bar", help="Draw no progress bar.", show_default=False)] = True


def workflow_command(name: str) -> Any:
    """The command of the workflow called `name` in `WORKFLOWS`."""
    module, _, attribute = WORKFLOWS[name].partition(":")
    run = getattr(import_module(module), attribute)
    settings_type = get_type_hints(run)["settings"]

    def command(**given: Any) -> None:
        common = Common(**{item.name: given[item.name] for item in fields(Common)})
        _run(name, run, settings_from(settings_type, given, common.config), common)

    parameters = [*plain_parameters(Common), *setting_parameters(settings_type)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    single = typer.Typer(add_completion=False)
    single.command(name, cls=command_class(settings_type), help=first_line(WORKFLOWS[name]))(command)
    return typer.main.get_command(single)


def _run(name: str, run: Any, settings: Any, common: Common) -> None:
    """Read, compute, save, show; ends with the exit code of the outcome."""
    out = common.out or _default_folder(common.structure, name)
    atoms = read_structure(common.structure)
    atoms.calc, provenance = load_calculator(common.model, device=common.device, dtype=common.dtype, skin=common.skin)
    with output_folder(out, reuse=common.overwrite) as folder:
        result, warnings = _computed(name, run, atoms, settings, common, folder, provenance)
    _show(name, result, common, folder, warnings)
    raise typer.Exit(EXIT_CODES[result.outcome])


def _computed(
    name: str, run: Any, atoms: Any, settings: Any, common: Common, folder: Path, provenance: dict[str, Any]
) -> tuple[WorkflowResult, list[str]]:
    """The result and the warnings on the way; `summary.json` says how it went, also where it failed."""
    inputs: dict[str, Any] = {
        "command": name,
        "inputs": _inputs(common) | {"out": str(folder), "settings": plain(settings)},
        "model": provenance,
    }
    ending: dict[str, Any]
    began = time.perf_counter()
    with collected_warnings() as warnings:
        try:
            result = run(atoms, settings, folder=folder, progress=common.progress)
        except (RunawayError, KeyboardInterrupt) as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "run away"
            ending = {"status": status, "error": str(error), "result": None, "warnings": warnings}
            write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
            raise
    ending = {"status": result.outcome, "error": None, "result": _numbers(result), "warnings": warnings}
    write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
    return result, warnings


def _show(name: str, result: WorkflowResult, common: Common, folder: Path, warnings: list[str]) -> None:
    for message in warnings:
        say(f"warning: {message}", style="yellow")
    if common.json:
        typer.echo(json.dumps(result.to_dict()))
    title = f"{name} {result.atoms.get_chemical_formula()}: {result.outcome}"
    show_result(Console(stderr=common.json), title, result.rows(), folder)


def _inputs(common: Common) -> dict[str, Any]:
    """The options as JSON knows them; paths as texts."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(common).items()}


def _numbers(result: WorkflowResult) -> dict[str, Any]:
    """The result without its settings, which the summary states among the inputs."""
    return {key: value for key, value in result.to_dict().items() if key != "settings"}


def _default_folder(structure: str, command: str) -> Path:
    return Path(f"{split_index(structure)[0].stem}-{command}")

"""Commands of workflows, generated from their functions: every field of the settings is an option."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from rich.console import Console
from typer import Option

from alignn_ff.cli.inputs import INPUTS, Inputs, Loaded
from alignn_ff.cli.main import FAILED, INTERRUPTED, NOT_CONVERGED, first_line, say
from alignn_ff.cli.options import command_class, plain_parameters, setting_parameters, settings_from
from alignn_ff.cli.summary import collected_warnings, show_result, write_summary
from alignn_ff.errors import RunawayError
from alignn_ff.files import output_folder
from alignn_ff.workflows import WORKFLOWS
from alignn_ff.workflows.result import WorkflowResult, plain

T = TypeVar("T")

EXIT_CODES = {"done": 0, "failed": FAILED, "not converged": NOT_CONVERGED, "interrupted": INTERRUPTED}


@dataclass(frozen=True)
class Common:
    """What every workflow command takes beside its inputs and settings; typer reads types and options from here."""

    out: Annotated[Path | None, Option(help="Folder for the results.", show_default="<input>-<command>")] = None
    overwrite: Annotated[bool, Option("--overwrite", help="Replace files in a folder that is not empty.")] = False
    config: Annotated[
        Path | None, Option(help="YAML or JSON file with settings; options win over it.", show_default=False)
    ] = None
    json: Annotated[bool, Option("--json", help="Print the result as JSON on standard output.")] = False
    progress: Annotated[bool, Option(" /--no-progress-bar", help="Draw no progress bar.", show_default=False)] = True


@dataclass(frozen=True)
class Job:
    """One call of a command."""

    name: str
    run: Callable[..., WorkflowResult]
    inputs: Inputs
    settings: Any
    common: Common

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.common.out or Path(f"{self.inputs.stem}-{self.name}")


def workflow_command(name: str) -> Any:
    """The command of the workflow called `name` in `WORKFLOWS`."""
    module, _, attribute = WORKFLOWS[name].partition(":")
    run = getattr(import_module(module), attribute)
    settings_type = get_type_hints(run)["settings"]
    inputs_type = INPUTS[next(iter(inspect.signature(run).parameters))]

    def command(**given: Any) -> None:
        common = _picked(Common, given)
        settings = settings_from(settings_type, given, common.config)
        _run(Job(name, run, _picked(inputs_type, given), settings, common))

    parameters = [*plain_parameters(inputs_type), *plain_parameters(Common), *setting_parameters(settings_type)]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    single = typer.Typer(add_completion=False)
    single.command(name, cls=command_class(settings_type), help=first_line(WORKFLOWS[name]))(command)
    return typer.main.get_command(single)


def _run(job: Job) -> None:
    """Read, compute, save, show; ends with the exit code of the outcome."""
    loaded = job.inputs.load()
    with output_folder(job.folder, reuse=job.common.overwrite) as folder:
        result, warnings = _computed(job, loaded, folder)
    _show(job, result, warnings)
    raise typer.Exit(EXIT_CODES[result.outcome])


def _computed(job: Job, loaded: Loaded, folder: Path) -> tuple[WorkflowResult, list[str]]:
    """The result and the warnings on the way; `summary.json` says how it went, also where it failed."""
    inputs: dict[str, Any] = {
        "command": job.name,
        "inputs": _texts(job.inputs) | _texts(job.common) | {"out": str(folder), "settings": plain(job.settings)},
        "model": loaded.model,
    }
    ending: dict[str, Any]
    began = time.perf_counter()
    with collected_warnings() as warnings:
        try:
            result = job.run(*loaded.arguments, job.settings, folder=folder, progress=job.common.progress)
        except (RunawayError, KeyboardInterrupt) as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "run away"
            ending = {"status": status, "error": str(error), "result": None, "warnings": warnings}
            write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
            raise
    ending = {"status": result.outcome, "error": None, "result": _numbers(result), "warnings": warnings}
    write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
    return result, warnings


def _show(job: Job, result: WorkflowResult, warnings: list[str]) -> None:
    for message in warnings:
        say(f"warning: {message}", style="yellow")
    if job.common.json:
        typer.echo(json.dumps(result.to_dict()))
    title = f"{job.name} {result.atoms.get_chemical_formula()}: {result.outcome}"
    show_result(Console(stderr=job.common.json), title, result.rows(), job.folder)


def _picked(kind: type[T], given: Mapping[str, Any]) -> T:
    return kind(**{item.name: given[item.name] for item in fields(kind)})  # type: ignore[arg-type]


def _texts(options: Any) -> dict[str, Any]:
    """Options as JSON knows them; paths as texts."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}


def _numbers(result: WorkflowResult) -> dict[str, Any]:
    """The result without its settings, which the summary states among the inputs."""
    return {key: value for key, value in result.to_dict().items() if key != "settings"}

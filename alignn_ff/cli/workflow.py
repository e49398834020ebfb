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

from alignn_ff.cli.inputs import INPUTS, Inputs, Loaded, Task
from alignn_ff.cli.main import EXIT_CODES, first_line, say
from alignn_ff.cli.options import command_class, plain_parameters, setting_parameters, settings_from
from alignn_ff.cli.several import run_each
from alignn_ff.cli.summary import collected_warnings, show_result, write_summary
from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.files import output_folder
from alignn_ff.workflows import WORKFLOWS
from alignn_ff.workflows.report import write_failure, write_report
from alignn_ff.workflows.result import WorkflowResult, plain

T = TypeVar("T")


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
class Resuming:
    """What the command of a workflow takes that can go on after it was broken off."""

    resume: Annotated[
        bool, Option("--resume", help="Go on with the run in the output folder; begin it where there is none.")
    ] = False


@dataclass(frozen=True)
class Command:
    """A call of a command."""

    name: str
    run: Callable[..., WorkflowResult]
    inputs: Inputs
    settings: Any
    common: Common
    resume: bool

    def jobs(self) -> list[Job]:
        """What there is to do: several have folders of their own."""
        tasks, out = self.inputs.tasks(), self.common.out
        if len(tasks) == 1 and out is not None:
            return [Job(self, tasks[0], out)]
        return [Job(self, task, Path(f"{task.stem}-{self.name}") if out is None else out / task.stem) for task in tasks]


@dataclass(frozen=True)
class Job:
    """One task of a call, and the folder of its results."""

    command: Command
    task: Task
    folder: Path

    @property
    def options(self) -> dict[str, Any]:
        """What the summary says the job was given."""
        common, settings = self.command.common, plain(self.command.settings)
        return self.task.options | _texts(common) | {"out": str(self.folder), "settings": settings}

    @property
    def how(self) -> dict[str, Any]:
        """Keywords of the workflow's function."""
        how: dict[str, Any] = {"folder": self.folder, "progress": self.command.common.progress}
        return how | ({"resume": True} if self.command.resume else {})


def workflow_command(name: str) -> Any:
    """The command of the workflow called `name` in `WORKFLOWS`."""
    module, _, attribute = WORKFLOWS[name].partition(":")
    run = getattr(import_module(module), attribute)
    settings_type = get_type_hints(run)["settings"]
    first, *others = inspect.signature(run).parameters
    options = [INPUTS[first], Common, *([Resuming] if "resume" in others else [])]

    def command(**given: Any) -> None:
        inputs, common = _picked(INPUTS[first], given), _picked(Common, given)
        settings = settings_from(settings_type, given, common.config)
        _run(Command(name, run, inputs, settings, common, given.get("resume", False)))

    parameters = [parameter for kind in options for parameter in plain_parameters(kind)]
    parameters += setting_parameters(settings_type)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    single = typer.Typer(add_completion=False)
    single.command(name, cls=command_class(settings_type), help=first_line(WORKFLOWS[name]))(command)
    return typer.main.get_command(single)


def _run(command: Command) -> None:
    """Do what there is to do; ends with the exit code of the outcome, or the worst of several."""
    if command.resume and command.common.overwrite:
        raise ConfigError("--overwrite and --resume exclude each other; give one of them.")
    jobs = command.jobs()
    if len(jobs) == 1:
        raise typer.Exit(EXIT_CODES[_do(jobs[0]).outcome])
    raise typer.Exit(run_each(jobs, _do, table=command.common.out))


def _do(job: Job) -> WorkflowResult:
    """Read, compute, save, show."""
    command, loaded = job.command, job.task.load()
    with output_folder(job.folder, reuse=command.common.overwrite or command.resume):
        result, warnings = _computed(job, loaded)
    _show(job, result, warnings)
    return result


def _computed(job: Job, loaded: Loaded) -> tuple[WorkflowResult, list[str]]:
    """Result and warnings; `summary.json` and `report.html` say how it went, also where it failed."""
    command, folder = job.command, job.folder
    inputs: dict[str, Any] = {"command": command.name, "inputs": job.options, "model": loaded.model}
    ending: dict[str, Any]
    began = time.perf_counter()
    with collected_warnings() as warnings:
        try:
            result = command.run(*loaded.arguments, command.settings, **job.how)
        except (RunawayError, KeyboardInterrupt) as error:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "run away"
            ending = {"status": status, "error": str(error), "result": None, "warnings": warnings}
            summary = write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
            write_failure(folder, getattr(error, "last_good", None), summary, command.settings)
            raise
    ending = {"status": result.outcome, "error": None, "result": _numbers(result), "warnings": warnings}
    summary = write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
    write_report(folder, result, summary, command.settings)
    return result, warnings


def _show(job: Job, result: WorkflowResult, warnings: list[str]) -> None:
    name, json_only = job.command.name, job.command.common.json
    for message in warnings:
        say(f"warning: {message}", style="yellow")
    if json_only:
        typer.echo(json.dumps(result.to_dict()))
    title = f"{name} {result.subject}: {result.outcome}"
    show_result(Console(stderr=json_only), title, result.rows(), job.folder)


def _picked(kind: type[T], given: Mapping[str, Any]) -> T:
    return kind(**{item.name: given[item.name] for item in fields(kind)})  # type: ignore[arg-type]


def _texts(options: Any) -> dict[str, Any]:
    """Options as JSON knows them; paths as texts."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}


def _numbers(result: WorkflowResult) -> dict[str, Any]:
    """The result without its settings, which the summary states among the inputs."""
    return {key: value for key, value in result.to_dict().items() if key != "settings"}

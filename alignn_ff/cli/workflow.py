"""Commands of workflows, generated from their functions: every field of the settings is an option."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import typer
from rich.console import Console
from typer import Option

from alignn_ff.cli.inputs import INPUTS, Inputs, Loaded, Model, Task
from alignn_ff.cli.main import EXIT_CODES, first_line, say
from alignn_ff.cli.options import command_class, plain_parameters, setting_parameters, settings_from
from alignn_ff.cli.several import see_off
from alignn_ff.cli.summary import collected_warnings, show_result, write_summary
from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.files import output_folder
from alignn_ff.workflows import WALKS, WORKFLOWS
from alignn_ff.workflows.lockstep import Walk, alone, in_lockstep
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
    walk: Callable[..., Walk[WorkflowResult]] | None
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
        """Keywords of the workflow's function, but for its progress."""
        how: dict[str, Any] = {"folder": self.folder}
        return how | ({"resume": True} if self.command.resume else {})


class Shared(NamedTuple):
    """What jobs have together that go in lockstep."""

    made: tuple[Any, dict[str, Any]]
    """The calculator, and where it comes from."""
    warnings: list[str]
    """Those so far: what one call evaluates for all, it warns of once."""


def workflow_command(name: str) -> Any:
    """The command of the workflow called `name` in `WORKFLOWS`."""
    run, walk = _found(WORKFLOWS[name]), _found(WALKS[name]) if name in WALKS else None
    settings_type = get_type_hints(run)["settings"]
    first, *others = inspect.signature(run).parameters
    options = [INPUTS[first], Common, *([Resuming] if "resume" in others else [])]

    def command(**given: Any) -> None:
        inputs, common = _picked(INPUTS[first], given), _picked(Common, given)
        settings = settings_from(settings_type, given, common.config)
        _run(Command(name, run, walk, inputs, settings, common, given.get("resume", False)))

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
        result = alone(_do(jobs[0]))
        _show(jobs[0], result)
        raise typer.Exit(EXIT_CODES[result.outcome])
    made = _calculator_for_all(command)
    if made is None:
        endings = in_lockstep([_do(job) for job in jobs], None)
        raise typer.Exit(see_off(jobs, endings, _show, table=command.common.out))
    with collected_warnings() as warnings:
        walks = [_do(job, Shared(made, warnings)) for job in jobs]
        endings = in_lockstep(walks, made[0], what=command.name, progress=command.common.progress)
        code = see_off(jobs, endings, _show, table=command.common.out)
    _say(warnings)
    raise typer.Exit(code)


def _calculator_for_all(command: Command) -> tuple[Any, dict[str, Any]] | None:
    """A calculator with which jobs can go in lockstep, and where it comes from; None if they or it cannot."""
    if command.walk is None or not isinstance(command.inputs, Model):
        return None
    made = command.inputs.calculator()
    return made if hasattr(made[0], "evaluate") else None


def _do(job: Job, shared: Shared | None = None) -> Walk[WorkflowResult]:
    """Read, compute, save, warn."""
    command, loaded = job.command, job.task.load() if shared is None else job.task.load(shared.made)
    with output_folder(job.folder, reuse=command.common.overwrite or command.resume):
        if shared is not None:
            return (yield from _computed(job, loaded, shared.warnings, progress=False))
        with collected_warnings() as warnings:
            result = yield from _computed(job, loaded, warnings, progress=command.common.progress)
    _say(warnings)
    return result


def _computed(job: Job, loaded: Loaded, warnings: list[str], *, progress: bool) -> Walk[WorkflowResult]:
    """`summary.json` and `report.html` say how it went, also where it failed."""
    command, folder = job.command, job.folder
    inputs: dict[str, Any] = {"command": command.name, "inputs": job.options, "model": loaded.model}
    ending: dict[str, Any]
    began = time.perf_counter()
    try:
        result = yield from _walk(command, loaded, job.how | {"progress": progress})
    except (RunawayError, KeyboardInterrupt) as error:
        status = "interrupted" if isinstance(error, KeyboardInterrupt) else "run away"
        ending = {"status": status, "error": str(error), "result": None, "warnings": warnings}
        summary = write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
        write_failure(folder, getattr(error, "last_good", None), summary, command.settings)
        raise
    ending = {"status": result.outcome, "error": None, "result": _numbers(result), "warnings": warnings}
    summary = write_summary(folder, inputs | ending | {"wall_time_s": time.perf_counter() - began})
    write_report(folder, result, summary, command.settings)
    return result


def _walk(command: Command, loaded: Loaded, how: Mapping[str, Any]) -> Walk[WorkflowResult]:
    """The workflow in pieces, if it can be had so, else in one."""
    if command.walk is not None:
        return (yield from command.walk(*loaded.arguments, command.settings, **how))
    return command.run(*loaded.arguments, command.settings, **how)


def _say(warnings: list[str]) -> None:
    for message in warnings:
        say(f"warning: {message}", style="yellow")


def _show(job: Job, result: WorkflowResult) -> None:
    name, json_only = job.command.name, job.command.common.json
    if json_only:
        typer.echo(json.dumps(result.to_dict()))
    title = f"{name} {result.subject}: {result.outcome}"
    show_result(Console(stderr=json_only), title, result.rows(), job.folder)


def _found(target: str) -> Any:
    """The object in "module:object"."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


def _picked(kind: type[T], given: Mapping[str, Any]) -> T:
    return kind(**{item.name: given[item.name] for item in fields(kind)})  # type: ignore[arg-type]


def _texts(options: Any) -> dict[str, Any]:
    """Options as JSON knows them; paths as texts."""
    return {key: str(value) if isinstance(value, Path) else value for key, value in asdict(options).items()}


def _numbers(result: WorkflowResult) -> dict[str, Any]:
    """The result without its settings, which the summary states among the inputs."""
    return {key: value for key, value in result.to_dict().items() if key != "settings"}

"""Distil any ASE calculator into a potential: sample structures, label them, train.

alignn-ff distill --teacher ase:emt --elements Cu,Ag,Au --families 200 --workers 2 --output distilled
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer import Option

from alignn_ff.cli.main import INTERRUPTED
from alignn_ff.cli.options import command_class, plain_parameters, setting_parameters, settings_from
from alignn_ff.cli.summary import show_result
from alignn_ff.cli.train import show_training
from alignn_ff.distill.settings import DistillSettings
from alignn_ff.errors import ConfigError

if TYPE_CHECKING:
    from alignn_ff.distill.run import DistillResult

app = typer.Typer(add_completion=False)

HELP = """Distil any ASE calculator into a potential: sample structures, label them, train.

The same command again goes on where it was interrupted; with more families it adds to them. OUTPUT gets
frames.extxyz, provenance.json, train.yaml and, of the training, student-FAMILIES."""


@dataclass(frozen=True)
class Options:
    """What the command takes beside the settings; typer reads types and options from here."""

    teacher: Annotated[
        str,
        Option(
            help="ase:NAME, FILE.py:FUNCTION or MODULE:FUNCTION that makes a calculator, or a model's name or file."
        ),
    ]
    elements: Annotated[str, Option(help="Elements to draw, each with a weight if you like: Cu,Ag,O:4.")]
    output: Annotated[Path, Option(help="Folder for everything; that of an interrupted run goes on.")]
    families: Annotated[int, Option(help="Families of structures; each gives about seven frames.")] = 1000
    workers: Annotated[int, Option(help="Processes that label, each with a teacher of its own.")] = 1
    seeds: Annotated[list[Path] | None, Option(help="Structures of your own that join the prototypes; repeatable.")] = (
        None
    )
    train: Annotated[Path | None, Option(help="Config of the training, without `data`.", show_default="defaults")] = (
        None
    )
    no_train: Annotated[bool, Option("--no-train", help="Only sample and label.")] = False
    config: Annotated[
        Path | None, Option(help="YAML or JSON file with settings; options win over it.", show_default=False)
    ] = None
    progress: Annotated[bool, Option(" /--no-progress-bar", help="Draw no progress bar.", show_default=False)] = True


def _distill(**given: Any) -> None:
    from alignn_ff.distill.chemistry import parse_elements
    from alignn_ff.distill.run import Recipe, run_distill
    from alignn_ff.distill.student import student_fields, train_student, write_training_config

    options = Options(**{item.name: given[item.name] for item in fields(Options)})
    if options.train is not None and options.no_train:
        raise ConfigError("--train and --no-train exclude each other; give one of them.")
    recipe = Recipe(
        teacher=options.teacher,
        elements=parse_elements(options.elements),
        families=options.families,
        given=tuple(options.seeds or ()),
        settings=settings_from(DistillSettings, given, options.config),
    )
    training = student_fields(options.train, options.output, options.families)
    result = run_distill(recipe, options.output, workers=options.workers, progress=options.progress)
    config = write_training_config(training, options.output)
    show_result(Console(), f"distill {options.teacher}: {result.facts['status']}", _rows(result), options.output)
    if not result.finished:
        raise typer.Exit(INTERRUPTED)
    if not options.no_train:
        trained = train_student(config, progress=options.progress)
        show_training(trained, go_on="The same command goes on.")


def _rows(result: DistillResult) -> list[tuple[str, str]]:
    facts = result.facts
    left_out = {
        "duplicates": facts["duplicates"],
        "beyond max_force or max_stress": facts["beyond_limits"],
        "the teacher failed": facts["failures"],
    }
    rows = [
        ("families", str(facts["families"])),
        ("frames", f"{facts['frames']} of {facts['evaluations']} structures shown to the teacher"),
        ("kinds", _counts(facts["frames_by_tag"])),
        ("frames with", _counts(facts["frames_by_element"])),
        ("left out", _counts({reason: count for reason, count in left_out.items() if count}) or "none"),
    ]
    unseen = ", ".join(facts["elements_without_frames"])
    rows += [("no frame with", unseen)] if unseen else []
    return rows + [("first failure", message) for message in facts["first_failures"][:1]]


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


_parameters = [*plain_parameters(Options), *setting_parameters(DistillSettings)]
_distill.__signature__ = inspect.Signature(_parameters)  # type: ignore[attr-defined]
_distill.__annotations__ = {parameter.name: parameter.annotation for parameter in _parameters}
app.command("distill", cls=command_class(DistillSettings), help=HELP)(_distill)

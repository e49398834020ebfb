"""`alignn-ff`: one executable, one sub-command per job, each imported only when it is called."""

from __future__ import annotations

import ast
import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from alignn_ff._version import __version__
from alignn_ff.errors import AlignnFFError
from alignn_ff.workflows import WORKFLOWS

COMMANDS: dict[str, str] = {
    "train": "alignn_ff.cli.train:app",
    "evaluate": "alignn_ff.cli.evaluate:evaluate",
    "data": "alignn_ff.cli.data:app",
    "distill": "alignn_ff.cli.distill:app",
    "models": "alignn_ff.cli.models:models",
    "predict": "alignn_ff.cli.predict:predict",
}
"""Name -> "module:object" of a command written by hand: a function, or a `typer.Typer` with sub-commands. The
first line of the module's docstring is its help, the line in it that calls the command its example. Workflows need no
line here."""

FAILED, BAD_INPUT, NOT_CONVERGED, INTERRUPTED = 1, 2, 3, 130
"""Exit codes beside 0."""

EXIT_CODES = {"done": 0, "failed": FAILED, "not converged": NOT_CONVERGED, "interrupted": INTERRUPTED}
"""Outcome of a workflow -> exit code of its command."""


class LazyGroup(TyperGroup):
    """Commands that exist as name and help until one is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, target in (WORKFLOWS | COMMANDS).items():
            panel = "Workflows" if name in WORKFLOWS else "Models and training"
            self.add_command(TyperCommand(name, help=first_line(target), rich_help_panel=panel), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The real command behind the name that was called."""
        name, stub, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name else stub, rest

    def invoke(self, ctx: Any) -> Any:
        """Run; errors raised on purpose end as one paragraph on standard error."""
        try:
            return super().invoke(ctx)
        except AlignnFFError as error:
            say(f"error: {error}", style="red")
            raise typer.Exit(BAD_INPUT) from error
        except KeyboardInterrupt as error:
            say("interrupted", style="yellow")
            raise typer.Exit(INTERRUPTED) from error


def first_line(target: str) -> str:
    """First docstring line of the module in "module:object", read without importing it."""
    return _docstring(target)[0]


def example(name: str) -> str:
    """The call of the command `name` that the docstring of its module shows."""
    target = (WORKFLOWS | COMMANDS)[name]
    return next(line.strip() for line in _docstring(target) if line.strip().startswith(f"alignn-ff {name}"))


def _docstring(target: str) -> list[str]:
    spec = find_spec(target.partition(":")[0])
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"command table: {target} names no module")
    return (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or "").splitlines()


def load_command(name: str) -> Any:
    """The command object called `name`, imported or generated now, with its example at the end of its help."""
    command = _command(name)
    command.epilog = f"Example: {example(name)}"
    return command


def _command(name: str) -> Any:
    if name in WORKFLOWS:
        from alignn_ff.cli.workflow import workflow_command

        return workflow_command(name)
    module, _, attribute = COMMANDS[name].partition(":")
    found = getattr(import_module(module), attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(add_completion=False)
        single.command(name)(found)
        found = single
    return typer.main.get_command(found)


def say(message: str, *, style: str = "") -> None:
    """One paragraph on standard error, as it stands: no markup, no broken paths."""
    Console(stderr=True, soft_wrap=True).print(Text(message, style=style))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"alignn-ff {__version__}")
        raise typer.Exit


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def alignn_ff(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
    offline: bool = typer.Option(False, "--offline", help="Download no model; the same as ALIGNN_FF_OFFLINE=1."),
) -> None:
    """ALIGNN force fields: run and train them.

    Exit codes: 0 done, 1 a check failed, 2 bad input, 3 not converged, 130 interrupted.
    """
    if offline:
        os.environ["ALIGNN_FF_OFFLINE"] = "1"  # reaches this process and every one it starts


def main() -> None:
    """Entry point of the executable."""
    app()


if __name__ == "__main__":
    main()

"""What the command of a workflow works on, told from the first parameter of the workflow's function."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

from ase import Atoms
from typer import Argument, Option

from alignn_ff.cli.model import ASE, load_calculator, model_first
from alignn_ff.cli.structure import expanded, read_structures, read_trajectory, split_index
from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.benchmark_materials import HELP, read_materials
from alignn_ff.workflows.frame_files import FORMATS


class Loaded(NamedTuple):
    """Arguments of the workflow's function before its settings, and where the model comes from."""

    arguments: tuple[Any, ...]
    model: dict[str, Any] | None


class Task(NamedTuple):
    """One call of the workflow's function."""

    stem: str
    """What the folder of the results is called after."""
    options: dict[str, Any]
    """What the summary says it was given."""
    load: Callable[..., Loaded]
    """Read and make it; those of `EachStructure` take a calculator, and where it comes from, to share."""


class Inputs(Protocol):
    """What stands before the settings; typer reads arguments and options from the fields of those who do this."""

    def tasks(self) -> list[Task]:
        """At least one."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The options that choose a calculator."""

    model: Annotated[
        str | None,
        Option(
            help="Name or file of a model, or ase:NAME for a calculator of ASE.",
            show_default="universal",
        ),
    ] = None
    device: Annotated[str | None, Option(help="cpu, cuda or cuda:N.", show_default="auto")] = None
    dtype: Annotated[str | None, Option(help="float32 or float64.", show_default="that of the model")] = None
    skin: Annotated[float | None, Option(help="Neighbour-list skin in Å.", show_default="that of the calculator")] = (
        None
    )

    def calculator(self) -> tuple[Any, dict[str, Any]]:
        """The calculator and where it comes from."""
        return load_calculator(self.model, device=self.device, dtype=self.dtype, skin=self.skin)


@dataclass(frozen=True, kw_only=True)
class EachStructure(Model):
    """Structures with a calculator, each a task."""

    structures: Annotated[
        list[str],
        Argument(help="Structure files that ASE reads; file@index where one holds several, file@: for all of them."),
    ]

    def tasks(self) -> list[Task]:
        """One of each structure; a file that cannot be read says so when its turn comes."""
        found = [(text, each) for text in expanded(self.structures) for each in _read(text)]
        stems = distinct(split_index(text)[0].stem for text, _ in found)
        options = {key: value for key, value in asdict(self).items() if key != "structures"}
        return [
            Task(stem, {"structure": text} | options, partial(self._load, each))
            for stem, (text, each) in zip(stems, found, strict=True)
        ]

    def _load(self, found: Atoms | StructureError, made: tuple[Any, dict[str, Any]] | None = None) -> Loaded:
        if isinstance(found, StructureError):
            raise found
        found.calc, provenance = made or self.calculator()
        return Loaded((found,), provenance)


@dataclass(frozen=True, kw_only=True)
class ModelAndStructures(Model):
    """A calculator, and structures if there are any."""

    structures: Annotated[
        list[str] | None,
        Argument(
            help="Structure files that ASE reads; file@: for all that it holds. The first word may be the model.",
            metavar="[MODEL] [STRUCTURES]...",
        ),
    ] = None

    def tasks(self) -> list[Task]:
        """One of all."""
        model, structures = model_first(self.structures or [], self.model)
        return replace(self, model=model, structures=structures)._tasks()

    def _tasks(self) -> list[Task]:
        if self.structures:
            stem = split_index(self.structures[0])[0].stem
        else:
            stem = Path((self.model or "embedded").removeprefix(ASE)).stem
        return [Task(stem, asdict(self), self._load)]

    def _load(self) -> Loaded:
        structures = read_structures(self.structures or [])
        calculator, provenance = self.calculator()
        return Loaded((calculator, structures), provenance)


@dataclass(frozen=True, kw_only=True)
class StructuresTogether(Model):
    """Structures with a calculator, which make one task."""

    structures: Annotated[list[str], Argument(help="Structure files that ASE reads; file@: for all that it holds.")]

    def tasks(self) -> list[Task]:
        """One of all."""
        return [Task(split_index(self.structures[0])[0].stem, asdict(self), self._load)]

    def _load(self) -> Loaded:
        structures = read_structures(self.structures)
        calculator, provenance = self.calculator()
        for atoms in structures:
            atoms.calc = calculator
        return Loaded((structures,), provenance)


@dataclass(frozen=True, kw_only=True)
class ModelAndTable(Model):
    """A calculator, and a table of materials with references."""

    data: Annotated[list[str], Argument(help=f"{HELP} The first word may be the model.", metavar="[MODEL] DATA")]

    def tasks(self) -> list[Task]:
        """That one."""
        model, data = model_first(self.data, self.model)
        if len(data) != 1:
            raise ConfigError(f"one table of materials was expected, got {', '.join(data) or 'none'}.")
        table = replace(self, model=model, data=data)
        return [Task(Path(data[0]).stem, asdict(table) | {"data": data[0]}, table._load)]

    def _load(self) -> Loaded:
        materials = read_materials(self.data[0])
        calculator, provenance = self.calculator()
        return Loaded((materials, calculator), provenance)


@dataclass(frozen=True, kw_only=True)
class OneTrajectory:
    """Frames in a file; no calculator."""

    trajectory: Annotated[
        str,
        Argument(help="File with the frames, such as trajectory.extxyz or .h5md of md; file@1000: for some of them."),
    ]

    def tasks(self) -> list[Task]:
        """That one."""
        return [Task(_trajectory_stem(self.trajectory), asdict(self), self._load)]

    def _load(self) -> Loaded:
        return Loaded((read_trajectory(self.trajectory),), None)


@dataclass(frozen=True, kw_only=True)
class Trajectories:
    """Several of them, which make one task."""

    trajectories: Annotated[
        list[str],
        Argument(help="Files with frames, such as trajectory.extxyz or .h5md of md; file@1000: for some of them."),
    ]

    def tasks(self) -> list[Task]:
        """One of all."""
        return [Task(_trajectory_stem(self.trajectories[0]), asdict(self), self._load)]

    def _load(self) -> Loaded:
        return Loaded(([read_trajectory(text) for text in expanded(self.trajectories)],), None)


INPUTS: dict[str, type[Inputs]] = {
    "atoms": EachStructure,
    "calculator": ModelAndStructures,
    "images": StructuresTogether,
    "materials": ModelAndTable,
    "structures": StructuresTogether,
    "trajectory": OneTrajectory,
    "trajectories": Trajectories,
}
"""Name of the function's first parameter -> what its command takes."""


def distinct(stems: Iterable[str]) -> list[str]:
    """`stems` with a number behind those that were there before: POSCAR, POSCAR-2, POSCAR-3."""
    found: list[str] = []
    for stem in stems:
        names = (stem, *(f"{stem}-{k}" for k in range(2, len(found) + 3)))
        found.append(next(name for name in names if name not in found))
    return found


def _trajectory_stem(text: str) -> str:
    """Name of the file, or of the folder of an md run, whose files are all called alike."""
    path = split_index(text)[0]
    return path.absolute().parent.name if path.name in (kind.name for kind in FORMATS.values()) else path.stem


def _read(text: str) -> list[Atoms] | list[StructureError]:
    try:
        return list(read_structures([text]))
    except StructureError as error:
        return [error]

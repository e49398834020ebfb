"""What the command of a workflow works on, told from the first parameter of the workflow's function."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

from typer import Argument, Option

from alignn_ff.cli.model import ASE, load_calculator
from alignn_ff.cli.structure import read_structure, read_structures, split_index


class Loaded(NamedTuple):
    """Arguments of the workflow's function before its settings, and where the model comes from."""

    arguments: tuple[Any, ...]
    model: dict[str, Any]


class Inputs(Protocol):
    """What stands before the settings; typer reads arguments and options from the fields of those who do this."""

    @property
    def stem(self) -> str:
        """What the folder of the results is called after."""

    def load(self) -> Loaded:
        """Read and make it."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """The options that choose a calculator."""

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

    def calculator(self) -> tuple[Any, dict[str, Any]]:
        """The calculator and where it comes from."""
        return load_calculator(self.model, device=self.device, dtype=self.dtype, skin=self.skin)


@dataclass(frozen=True, kw_only=True)
class OneStructure(Model):
    """A structure with a calculator."""

    structure: Annotated[str, Argument(help="Structure file that ASE reads; file@index where it holds several.")]

    @property
    def stem(self) -> str:
        """What the folder of the results is called after."""
        return split_index(self.structure)[0].stem

    def load(self) -> Loaded:
        """The structure with its calculator."""
        atoms = read_structure(self.structure)
        atoms.calc, provenance = self.calculator()
        return Loaded((atoms,), provenance)


@dataclass(frozen=True, kw_only=True)
class ModelAndStructures(Model):
    """A calculator, and structures if there are any."""

    structures: Annotated[
        list[str] | None, Argument(help="Structure files that ASE reads; file@: for all that it holds.")
    ] = None

    @property
    def stem(self) -> str:
        """What the folder of the results is called after."""
        if self.structures:
            return split_index(self.structures[0])[0].stem
        return Path((self.model or "embedded").removeprefix(ASE)).stem

    def load(self) -> Loaded:
        """The calculator and the structures."""
        structures = read_structures(self.structures or [])
        calculator, provenance = self.calculator()
        return Loaded((calculator, structures), provenance)


INPUTS: dict[str, type[Inputs]] = {
    "atoms": OneStructure,
    "calculator": ModelAndStructures,
}
"""Name of the function's first parameter -> what its command takes."""

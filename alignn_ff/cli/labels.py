"""Arguments of commands that read labelled structures: the files, and what their labels are called."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from alignn_ff.data.sources import Keys

Files = Annotated[
    list[Path], typer.Argument(help="Labelled structures: ASE-readable files, id_prop.json or id_prop.csv.")
]
EnergyKey = Annotated[str, typer.Option(help="Name of the total energy in the data.")]
ForcesKey = Annotated[str, typer.Option(help="Name of the forces.")]
StressKey = Annotated[str, typer.Option(help="Name of the stress.")]
AtomwiseKey = Annotated[
    list[str] | None,
    typer.Option(help="Name of other values of atoms, as charges; atomwise if not given. May be given once for each."),
]
AdditionalKey = Annotated[
    list[str] | None, typer.Option(help="The same of other values of structures; additional_output if not given.")
]
ExtraFeaturesKey = Annotated[str, typer.Option(help="Name of the numbers told beside the atoms.")]
StressUnit = Annotated[str | None, typer.Option(help="ev_a3, gpa, kbar or kbar_vasp.")]


def keys_of(
    labels: tuple[str, str, str, str | None], atomwise: list[str] | None, additional: list[str] | None, told: str
) -> Keys:
    """Names of labels from the options above; those not given have the names that they have in training.

    Args:
        labels: names of energy, forces and stress, and the unit of the last.
        told: name of the extra features.
    """
    from alignn_ff.data.sources import Keys

    values = tuple(atomwise or ("atomwise",)), tuple(additional or ("additional_output",))
    return Keys(*labels, atomwise=values[0], additional=values[1], extra_features=told)

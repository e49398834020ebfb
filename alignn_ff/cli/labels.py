"""Arguments of commands that read labelled structures: the files, and what their labels are called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Files = Annotated[
    list[Path], typer.Argument(help="Labelled structures: ASE-readable files, id_prop.json or id_prop.csv.")
]
EnergyKey = Annotated[str, typer.Option(help="Name of the total energy in the data.")]
ForcesKey = Annotated[str, typer.Option(help="Name of the forces.")]
StressKey = Annotated[str, typer.Option(help="Name of the stress.")]
StressUnit = Annotated[str | None, typer.Option(help="ev_a3, gpa, kbar or kbar_vasp.")]

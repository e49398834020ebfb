"""Labels beside predictions, structure by structure and atom by atom, as tables of text like those of aenet.

Source of the layout: the public documentation of aenet-python's trainer (`save_energies`, `save_forces`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TextIO

from alignn_ff.data.compositions import parse_formula
from alignn_ff.data.dataset import Dataset
from alignn_ff.files import atomic_path, write_text
from alignn_ff.models.base import SYMBOLS
from alignn_ff.training.metrics import Predicted
from alignn_ff.training.structure_errors import StructureError
from alignn_ff.units import MEV

PARTS = {"training": "train", "validation": "val", "test": "test"}
"""What the tables of each part are called by: `energies.train.0`."""

_ENERGY_HEADER = "#  Ref(eV)  ANN(eV)  #atoms  Ref(eV/atom)  ANN(eV/atom)  Ref-ANN(eV/atom)  Cost-Func"
_FORCE_HEADER = "#  structure  atom  symbol  Ref(eV/Å) x y z  ANN(eV/Å) x y z"


def write_energies(errors: Iterable[StructureError], elements: Sequence[str], path: Path) -> None:
    """A line for each structure: energies, atoms, what the loss sees of it (the difference per atom), and its name.

    A name with blanks is quoted. Ten digits are written, where aenet writes six, which hide meV of large totals.
    """
    lines = [f"{_ENERGY_HEADER}  {' '.join(f'#{e}' for e in elements)}  structure"]
    for error in errors:
        label, off = error.energy_ev_per_atom, error.energy_error_mev_per_atom / MEV
        totals = [error.atoms * label, error.atoms * (label + off)]
        counts = parse_formula(error.formula)
        numbers = [*map(_number, totals), f"{error.atoms:6d}", *map(_number, (label, label + off, -off, -off))]
        lines.append(" ".join([*numbers, *(f"{counts.get(e, 0):4d}" for e in elements), " " + _name(error.key)]))
    write_text(path, "\n".join([*lines, ""]))


@contextmanager
def force_table(path: Path, *, wanted: bool = True) -> Iterator[Callable[[Predicted, Dataset], None]]:
    """What takes a table with a line for each atom, batch by batch; it takes its place when all is written.

    Args:
        wanted: whether there is to be such a table at all.
    """
    if not wanted:
        yield lambda seen, data: None
        return
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.write(_FORCE_HEADER + "\n")
        yield partial(_add_forces, file)


def _add_forces(file: TextIO, seen: Predicted, data: Dataset) -> None:
    """The atoms of one batch of `data`; a label that is missing is nan."""
    if seen.prediction.forces is None:
        return
    told = zip(seen.targets.forces.tolist(), seen.prediction.forces.tolist(), strict=True)
    owners, numbers = seen.graph.graph_index.tolist(), seen.graph.numbers.tolist()
    first: dict[int, int] = {}
    for place, (owner, number, both) in enumerate(zip(owners, numbers, told, strict=True)):
        atom = place - first.setdefault(owner, place)
        name, values = _name(data.outline.key[seen.indices[owner]]), (*both[0], *both[1])
        file.write(" ".join([name, str(atom), SYMBOLS[number], *map(_number, values)]) + "\n")


def _number(value: float) -> str:
    return f"{value:18.10E}"


def _name(key: str) -> str:
    return json.dumps(key, ensure_ascii=False) if " " in key else key

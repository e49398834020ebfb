"""Students against the teacher's labels on held-out frames: by family of elements, by kind of frame, by data size.

    python -m benchmarks.teacher_student --model a.safetensors b.safetensors --data train.extxyz.gz \\
        --split ids_train_val_test.json --part test
    python -m benchmarks.teacher_student --model a.safetensors --data held_out.extxyz
    python -m benchmarks.teacher_student --model a.safetensors --data dft.extxyz --split ids_train_val_test.json \\
        --part val --window 1

Frames are held out by the split file of the trainer (which keeps frames of one seed structure together), or by being
in a file of their own. A window leaves out what lies high above the lowest energy of its composition. With several
models a learning curve over the size of their training sets is drawn.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.data.overview import composition
from alignn_ff.data.sources import Keys, Sample, read_all
from alignn_ff.data.split import Split, load_split
from alignn_ff.device import choose_device
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.models.base import check_elements
from alignn_ff.pretrained import load_potential
from alignn_ff.reports.figure import log_scale, panels, save_figure
from alignn_ff.training.metrics import Errors, collect, predict
from alignn_ff.training.prepare import remarked
from alignn_ff.training.report import QUANTITIES
from benchmarks.command import end_well, write_json
from benchmarks.families import FAMILIES, families_of

EDGES = 200_000  # of a batch
KINDS = ("tag", "source")
SEPARATOR = "\t"  # between the entries of a sample's group


class Student(NamedTuple):
    """One model and its errors.

    Attributes:
        training: structures it was trained on, None where its file does not say.
        rows: quantity, by, of, mae, unit, count.
    """

    name: str
    training: int | None
    rows: list[dict[str, Any]]


def held_out(data: Path, split: Path | None, part: str, window_ev: float = math.inf) -> list[Sample]:
    """The frames to score, with the entries `tag` and `source` of each as its group.

    Raises:
        DataError: unreadable data or split, or nothing in that part.
    """
    by_kind = [read_all([data], Keys(group=kind)) for kind in KINDS]
    remarked(by_kind[0])
    groups = [SEPARATOR.join(sample.group for sample in of_one) for of_one in zip(*by_kind, strict=True)]
    samples = [sample._replace(group=group) for sample, group in zip(by_kind[0], groups, strict=True)]
    if split is None:
        return low_lying(samples, samples, window_ev)
    keys = set(getattr(load_split(split, [sample.key for sample in samples]), part))
    if not keys:
        raise DataError(f"{split}: its {part} part is empty. Choose another with --part.")
    return low_lying(samples, [sample for sample in samples if sample.key in keys], window_ev)


def low_lying(samples: Sequence[Sample], kept: Sequence[Sample], window_ev: float) -> list[Sample]:
    """Those of `kept` whose energy per atom is at most `window_ev` above the lowest of its composition in `samples`."""
    if math.isinf(window_ev):
        return list(kept)
    lowest: dict[str, float] = {}
    for sample in samples:
        name = composition(sample)
        lowest[name] = min(lowest.get(name, math.inf), _energy_per_atom(sample))
    return [sample for sample in kept if _energy_per_atom(sample) <= lowest[composition(sample)] + window_ev]


def _energy_per_atom(sample: Sample) -> float:
    return float(sample.targets.energy) / len(sample.graph.numbers)


def score_student(model: str, samples: Sequence[Sample], device: str) -> Student:
    """Errors of a model on the samples.

    Raises:
        UnknownElementError: a sample holds an element that the model does not know.
    """
    checkpoint = load_potential(model)
    potential = checkpoint.potential
    for sample in samples:
        check_elements(potential.elements, sample.graph.numbers, f"frame {sample.key}")
    place = choose_device(device)
    data = Dataset(samples, potential.cutoff, potential.angle_cutoff)
    batches = predict(potential.to(place).requires_grad_(False), data, Budget(len(samples), edges=EDGES), place)
    training = checkpoint.facts.get("data", {}).get("structures", {}).get("train")
    return Student(model, training, list(tabulate(collect(batches, data))))


def tabulate(errors: Errors) -> Iterator[dict[str, Any]]:
    """MAE of every quantity over all frames, per family and per kind of frame.

    A force counts for the family of its atom; an energy or a stress for every family in its structure.
    """
    for quantity, (_, _, factor, unit) in QUANTITIES.items():
        pairs: NDArray = getattr(errors, quantity)
        misses = factor * np.abs(pairs[:, 1] - pairs[:, 0])
        for by, of, chosen in _selections(errors, quantity):
            if chosen.any():
                mae, count = float(misses[chosen].mean()), int(chosen.sum())
                yield {"quantity": quantity, "by": by, "of": of, "mae": mae, "unit": unit, "count": count}


def _selections(errors: Errors, quantity: str) -> Iterator[tuple[str, str, NDArray]]:
    """What is averaged together: by what, of what, and a mask over the rows of the quantity."""
    elements, groups = getattr(errors, f"{quantity}_element"), getattr(errors, f"{quantity}_group")
    yield "all", "all", np.ones(len(elements), dtype=bool)
    named, place = np.unique(elements, return_inverse=True)
    families = [families_of(name.split("-")) for name in named]
    for family in FAMILIES:
        yield "family", family, np.array([family in held for held in families], dtype=bool)[place]
    named, place = np.unique(groups, return_inverse=True)
    for position, kind in enumerate(KINDS):
        entries = np.array([name.split(SEPARATOR)[position] for name in named])
        for entry in np.unique(entries):
            yield kind, str(entry), (entries == entry)[place]


def show(student: Student) -> None:
    """Prints one line per family and kind."""
    table = Table(title=f"{student.name}: mean absolute error" + _size(student))
    table.add_column("by")
    table.add_column("of")
    scored = {row["quantity"]: row["unit"] for row in student.rows}
    for quantity, unit in scored.items():
        table.add_column(f"{quantity}, {unit}", justify="right")
        table.add_column("values", justify="right")
    found = {(row["by"], row["of"], row["quantity"]): row for row in student.rows}
    for by, of in dict.fromkeys((row["by"], row["of"]) for row in student.rows):
        cells = []
        for quantity in scored:
            row = found.get((by, of, quantity))
            cells += ["", ""] if row is None else [f"{row['mae']:.3g}", str(row["count"])]
        table.add_row(by, of, *cells)
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def _size(student: Student) -> str:
    return "" if student.training is None else f" ({student.training} training structures)"


def draw_learning_curve(students: Sequence[Student], path: Path) -> None:
    """Energy, force and stress error over the number of training structures, both logarithmic.

    Raises:
        ConfigError: a model file does not say how many structures it was trained on.
    """
    unknown = [student.name for student in students if student.training is None]
    if unknown:
        raise ConfigError(f"no learning curve: {', '.join(unknown)} does not tell the size of its training set.")
    order = sorted(students, key=lambda student: student.training or 0)
    figure, axes = panels(1, len(QUANTITIES))
    for ax, (quantity, (_, _, _, unit)) in zip(axes, QUANTITIES.items(), strict=True):
        points = [(s.training, row["mae"]) for s in order for row in s.rows if _is_total(row, quantity)]
        ax.plot(*zip(*points, strict=True), marker="o")
        ax.set(xscale="log", xlabel="training structures", ylabel=f"{quantity} MAE, {unit}")
        log_scale(ax)
    save_figure(figure, path)


def _is_total(row: dict[str, Any], quantity: str) -> bool:
    return row["by"] == "all" and row["quantity"] == quantity


def parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", nargs="+", required=True, help="names or files of students")
    parser.add_argument("--data", type=Path, required=True, help="frames with the teacher's labels")
    parser.add_argument("--split", type=Path, help="ids_train_val_test.json of a training on that data")
    parser.add_argument("--part", choices=Split._fields, default="test", help="of the split")
    parser.add_argument(
        "--window", type=float, default=math.inf, metavar="EV", help="above the lowest energy per atom of a composition"
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/teacher_student.json"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = parse(argv)
    samples = held_out(args.data, args.split, args.part, args.window)
    students = []
    for model in args.model:
        students.append(score_student(model, samples, args.device))
        show(students[-1])
        content = {"data": args.data.name, "frames": len(samples), "students": [s._asdict() for s in students]}
        write_json(args.out, content)
    if len(students) > 1:
        draw_learning_curve(students, args.out.with_suffix(".png"))


if __name__ == "__main__":
    end_well(main)

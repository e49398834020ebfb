"""Sample structures and label them: from a recipe to a file of frames."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from ase import Atoms

from alignn_ff.checkpoint import file_sha256
from alignn_ff.distill.chemistry import KNOWN, make_palette
from alignn_ff.distill.crew import families_from_processes
from alignn_ff.distill.family import make_family
from alignn_ff.distill.harvest import Family
from alignn_ff.distill.label import label
from alignn_ff.distill.settings import DistillSettings
from alignn_ff.distill.start import Material
from alignn_ff.distill.store import Store
from alignn_ff.distill.teacher import describe, make_teacher
from alignn_ff.errors import ConfigError, StructureError, TeacherError
from alignn_ff.io import check_structure, read_frames
from alignn_ff.progress import track
from alignn_ff.training.interrupt import interruptible
from alignn_ff.workflows.frames import write_frames

FRAMES = "frames.extxyz"

_SAVE_EVERY_S = 30.0
_ENOUGH_TO_JUDGE = 20
"""Structures after which a teacher that fails on most of them is given up."""


@dataclass(frozen=True)
class Recipe:
    """What is distilled.

    Attributes:
        teacher: see `teacher.make_teacher`.
        elements: weight of each element that may be drawn, see `chemistry.parse_elements`.
        families: how many; a later call may ask for more.
        given: files of structures that join the prototypes.
        settings: of the sampling.
    """

    teacher: str
    elements: Mapping[str, float]
    families: int
    given: tuple[Path, ...] = ()
    settings: DistillSettings = field(default_factory=DistillSettings)


class DistillResult(NamedTuple):
    """What a distillation left behind.

    Attributes:
        frames: the file of labelled structures.
        facts: how many frames, of which kinds, and what was left out.
        finished: False where it was interrupted.
    """

    frames: Path
    facts: dict[str, Any]
    finished: bool


def run_distill(recipe: Recipe, folder: Path, *, workers: int = 1, progress: bool = False) -> DistillResult:
    """Sample and label families of structures; write `frames.extxyz` and `provenance.json` to `folder`.

    What stands in the folder from an interrupted call is not made again, and the frames are those of a call never
    interrupted, whatever the number of workers. Ctrl-C ends the run after the families under way.

    Args:
        workers: processes, each with its own teacher; 1 labels in this process.
        progress: draw a bar.
    Raises:
        ConfigError: a recipe that cannot be followed, or not the one the folder was begun with.
        TeacherError: the teacher failed on more than half of the structures, or a process died.
        OutputExistsError: the folder holds something else.
    """
    if recipe.families < 1 or workers < 1:
        raise ConfigError(f"{recipe.families} families and {workers} workers: at least one of each was expected.")
    given = _read_given(recipe.given)
    calculator = make_teacher(recipe.teacher)
    store = Store(folder, _identity(recipe, describe(recipe.teacher, calculator)))
    material = Material(recipe.settings, make_palette(recipe.elements), given)
    done = {number: family for number, family in store.load().items() if number < recipe.families}
    missing = [number for number in range(recipe.families) if number not in done]
    with interruptible() as interrupt:
        numbers = takewhile(lambda _: not interrupt.requested, missing)
        if workers == 1:
            teacher = partial(label, calculator=calculator)
            made: Generator[Family] = (make_family(number, material, teacher) for number in numbers)
        else:
            made = families_from_processes(numbers, material, recipe.teacher, workers)
        with closing(made), track("families", recipe.families, done=len(done), show=progress) as advance:
            _collect(made, done, store, advance)
    return _finish(done, store, finished=len(done) == recipe.families)


def _collect(made: Iterable[Family], done: dict[int, Family], store: Store, advance: Callable[..., None]) -> None:
    """Take in families as they are made, and save them from time to time and at the end, however it comes."""
    fresh: list[Family] = []
    saved = time.monotonic()
    frames, shown, failures = _tally(done.values())
    try:
        for family in made:
            fresh.append(family)
            done[family.number] = family
            frames += len(family.frames)
            shown += family.evaluations
            failures += family.failures
            advance(note=f"{frames} frames")
            _judge(shown, failures, at_least=_ENOUGH_TO_JUDGE)
            if time.monotonic() - saved > _SAVE_EVERY_S:
                store.save(fresh)
                fresh, saved = [], time.monotonic()
    finally:
        store.save(fresh)


def _tally(families: Iterable[Family]) -> tuple[int, int, list[str]]:
    """Frames, structures shown to the teacher, and its failures."""
    frames, shown = 0, 0
    failures: list[str] = []
    for family in families:
        frames += len(family.frames)
        shown += family.evaluations
        failures += family.failures
    return frames, shown, failures


def _judge(shown: int, failures: Sequence[str], at_least: int) -> None:
    """Give up a teacher that failed on most of at least so many structures."""
    if shown >= at_least and 2 * len(failures) > shown:
        raise TeacherError(
            f"the teacher failed on {len(failures)} of {shown} structures, for instance {failures[0]}. Does it know "
            "all of the elements named?"
        )


def _finish(done: Mapping[int, Family], store: Store, *, finished: bool) -> DistillResult:
    """Write the frames, each structure once, and what there is to say about them."""
    families = [family for _, family in sorted(done.items())]
    kept, shown, failures = _tally(families)
    if finished:
        _judge(shown, failures, at_least=1)
        if not kept:
            raise TeacherError(
                f"of {shown} structures not one is within max_force and max_stress. Is the teacher in eV and Å?"
            )
    frames = _unique(families)
    path = store.folder / FRAMES
    write_frames(path, frames)
    by_element = Counter(element for frame in frames for element in set(frame.symbols))
    facts = {
        "status": "finished" if finished else "interrupted",
        "families": len(families),
        "evaluations": shown,
        "frames": len(frames),
        "duplicates": kept - len(frames),
        "beyond_limits": sum(family.rejected for family in families),
        "failures": len(failures),
        "first_failures": failures[:5],
        "frames_by_tag": dict(Counter(frame.info["tag"] for frame in frames).most_common()),
        "frames_by_element": dict(by_element.most_common()),
        "elements_without_frames": [element for element in store.recipe["elements"] if element not in by_element],
        "frames_sha256": file_sha256(path),
    }
    store.write_provenance(facts)
    return DistillResult(path, facts, finished)


def _unique(families: Iterable[Family]) -> list[Atoms]:
    """Frames in the order of their families; of those with one fingerprint the first."""
    found: dict[str, Atoms] = {}
    for family in families:
        for print_, frame in zip(family.fingerprints, family.frames, strict=True):
            found.setdefault(print_, frame)
    return list(found.values())


def _identity(recipe: Recipe, teacher: Mapping[str, Any]) -> dict[str, Any]:
    """What must not change while a folder grows."""
    return {
        "teacher": teacher,
        "elements": dict(recipe.elements),
        "given": {path.name: file_sha256(path) for path in recipe.given},
        "settings": asdict(recipe.settings),
    }


def _read_given(paths: Sequence[Path]) -> tuple[tuple[str, Atoms], ...]:
    """Bare structures of the files, each with the name of its source.

    Raises:
        StructureError: a file that cannot be read, a structure that no potential can evaluate, or an element beyond
            those that `chemistry` knows.
    """
    given = []
    for path in paths:
        for place, atoms in enumerate(read_frames(path)):
            source = f"{path.name}@{place}"
            check_structure(atoms)
            strange = sorted(set(atoms.symbols) - set(KNOWN))
            if strange:
                raise StructureError(f"{source} holds {', '.join(strange)}; elements up to {KNOWN[-1]} are known.")
            given.append((source, Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)))
    return tuple(given)

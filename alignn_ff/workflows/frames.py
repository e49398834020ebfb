"""Structures on their way through a workflow: working copy, snapshots, and files that grow by the frame."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixConstraint
from ase.io import write
from numpy.typing import NDArray

from alignn_ff.errors import CheckpointError, ConfigError, OutputWriteError, StructureError
from alignn_ff.files import atomic_path, prepare_folder


def working_copy(atoms: Atoms) -> Atoms:
    """A copy that shares the calculator of `atoms`, so that the caller's structure is never touched.

    Raises:
        StructureError: no atoms, or positions or cell that are not finite.
        ConfigError: no calculator, or only stored results instead of one.
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms; at least one was expected.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell[:]).all()):
        bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))[:5].tolist()
        raise StructureError(f"positions or cell are not finite (atoms {bad}). Repair the structure first.")
    if atoms.calc is None:
        raise ConfigError("the structure has no calculator. Set one first: atoms.calc = AlignnFFCalculator().")
    if isinstance(atoms.calc, SinglePointCalculator):
        raise ConfigError(
            "the structure carries stored results (read from a file), not a calculator that can evaluate new "
            "geometries. Set one first: atoms.calc = AlignnFFCalculator()."
        )
    work = atoms.copy()
    work.calc = atoms.calc
    return work


def offered_stress(atoms: Atoms, *, ideal_gas: bool = False) -> NDArray | None:
    """Voigt stress [6] in eV/Å³ (ASE sign); None without periodicity in 3D or without a calculator's stress.

    Args:
        ideal_gas: add the kinetic part from the momenta.
    """
    bulk = atoms.pbc.all() and atoms.cell.rank == 3
    return any_stress(atoms, ideal_gas=ideal_gas) if bulk else None


def any_stress(atoms: Atoms, *, ideal_gas: bool = False) -> NDArray | None:
    """Voigt stress [6] as the calculator gives it, also of a slab; None if it offers none."""
    try:
        return np.asarray(atoms.get_stress(include_ideal_gas=ideal_gas))
    except PropertyNotImplementedError:
        return None


def snapshot(
    atoms: Atoms, *, stress: NDArray | None = None, constraints: Sequence[FixConstraint] | None = None
) -> Atoms:
    """A copy of `atoms` as it stands, with its energy and forces as stored results.

    Forces come without the effect of constraints. Calculators cache: a geometry just evaluated costs nothing.

    Args:
        stress: Voigt stress [6] to store as well.
        constraints: what the copy carries instead of the constraints of `atoms`.
    """
    results = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(apply_constraint=False),
    }
    if stress is not None:
        results["stress"] = stress
    frame = with_results(atoms, results)
    if constraints is not None:
        frame.set_constraint(list(constraints))
    return frame


def with_results(atoms: Atoms, results: Mapping[str, Any]) -> Atoms:
    """A copy of `atoms` that carries `results` instead of a calculator."""
    frame = atoms.copy()
    frame.calc = SinglePointCalculator(frame, **results)
    return frame


def stored_energy(frame: Atoms) -> float:
    """Energy in eV of a `snapshot`; read directly, as ASE's getter compares all of the structure first."""
    return float(frame.calc.results["energy"])


def stored_forces(frame: Atoms) -> NDArray:
    """Forces [N, 3] in eV/Å of a `snapshot`, without the effect of constraints."""
    return np.asarray(frame.calc.results["forces"])


def max_norm(vectors: NDArray) -> float:
    """Length of the longest of vectors [N, 3]."""
    return float(np.linalg.norm(vectors, axis=1).max())


def write_frames(path: Path, frames: Atoms | Sequence[Atoms]) -> None:
    """One or more structures with their results to an extxyz file, whole or not at all."""
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8") as file:
        write(file, frames, format="extxyz")


@contextmanager
def growing_file(folder: str | Path | None, name: str, *, keep: int = 0) -> Iterator[IO[str] | None]:
    """A text file in `folder` (made if need be) that a long run appends to; None where no folder was given.

    Args:
        keep: bytes of an earlier file to go on after; what follows them is cut off.
    Raises:
        CheckpointError: the earlier file is shorter than that.
        OutputWriteError: it cannot be opened, or the disk ran full while the run wrote to it.
    """
    if folder is None:
        yield None
        return
    path = prepare_folder(folder, reuse=True) / name
    with said_as_output_error(path):
        if keep:
            _cut_back(path, keep)
        file = path.open("a" if keep else "w", encoding="utf-8")
    with file:
        yield file


def _cut_back(path: Path, keep: int) -> None:
    size = path.stat().st_size if path.exists() else 0
    if size < keep:
        raise CheckpointError(
            f"{path} has {size} bytes, but {keep} when the state of the run was kept: it was changed or lost since. "
            "Put it back, or start the run anew."
        )
    os.truncate(path, keep)


def size_now(file: IO[str] | None) -> int:
    """Bytes in a growing file so far; 0 where there is none."""
    return 0 if file is None else os.fstat(file.fileno()).st_size


def append_frame(file: IO[str] | None, frame: Atoms) -> None:
    """Append `frame` in one piece and flush, so that a killed or interrupted run keeps it whole."""
    if file is not None:
        text = io.StringIO()
        write(text, frame, format="extxyz")
        _append(file, text.getvalue())


def append_line(file: IO[str] | None, values: Sequence[object]) -> None:
    """Append one line of comma-separated values and flush."""
    if file is not None:
        _append(file, csv_line(values))


def csv_line(values: Sequence[object]) -> str:
    """Values with commas between; numbers have as many digits as it takes to read the same ones back."""
    return ",".join(repr(float(value)) if isinstance(value, float) else str(value) for value in values) + "\n"


def _append(file: IO[str], text: str) -> None:
    with said_as_output_error(file.name):
        file.write(text)
        file.flush()


@contextmanager
def said_as_output_error(path: str | Path) -> Iterator[None]:
    """What the system refuses within the block is an `OutputWriteError` that names the file."""
    try:
        yield
    except OSError as error:
        raise OutputWriteError(
            f"{path}: cannot be written ({error.strerror or error}). Free space or choose another folder."
        ) from error

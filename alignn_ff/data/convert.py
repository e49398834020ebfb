"""Labelled structures in another file format: energies total, units and signs those of ASE."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.formats import UnknownFileTypeError, filetype, ioformats

from alignn_ff.data.further_labels import values_of
from alignn_ff.data.sources import DEFAULT_KEYS, Keys, Sample
from alignn_ff.errors import DataError, OutputExistsError, StructureError
from alignn_ff.files import atomic_path, write_text
from alignn_ff.io import ASE_VALUES, EXTRA_FEATURES, matrix_to_voigt, to_ase, to_jarvis
from alignn_ff.units import GPA_PER_EV_A3

UPSTREAM_NAMES = {
    "atomwise": "atomwise",
    "additional": "additional_output",
    "extra_features": EXTRA_FEATURES,
}
"""What upstream's records call what stands beside energies, forces and stress."""


def labelled_atoms(sample: Sample, keys: Keys = DEFAULT_KEYS) -> Atoms:
    """ase.Atoms with the labels of a sample on a calculator: eV, eV/Å, eV/Å³; its group is `info["config_type"]`.

    Charges and magnetic moments stand beside them, other values of atoms in `arrays`, of structures in `info`, under
    the names in `keys`.
    """
    atoms, targets = to_ase(sample.graph), sample.targets
    labels: dict[str, Any] = {
        "energy": float(targets.energy),
        "forces": targets.forces.numpy(),
        "stress": matrix_to_voigt(targets.stress[0].numpy()),
        "energies": targets.atom_energy.numpy(),
    }
    there = {name: value for name, value in labels.items() if np.isfinite(value).all()}
    for name, values in _by_name(sample, "atomwise", keys).items():
        (there if name in ASE_VALUES else atoms.arrays)[name] = values
    for name, values in _by_name(sample, "additional", keys).items():
        atoms.info[name] = values[0]
    atoms.calc = SinglePointCalculator(atoms, **there)
    atoms.info["config_type"] = sample.group
    return atoms


def _by_name(sample: Sample, of: str, keys: Keys) -> dict[str, np.ndarray]:
    """Values of one kind, [rows] under a name each, or [rows, K] under one; without those that are missing."""
    found, told = values_of(sample, of), getattr(keys, of)
    if found is None:
        return {}
    if len(told) == found.shape[1]:
        columns = zip(told, found.T, strict=True)
        return {name: column.numpy() for name, column in columns if bool(torch.isfinite(column).any())}
    return {told[0] if len(told) == 1 else UPSTREAM_NAMES[of]: found.numpy()}


def write_samples(
    samples: Sequence[Sample], path: str | Path, keys: Keys = DEFAULT_KEYS, *, overwrite: bool = False
) -> None:
    """Write samples to a file that ASE knows by its name, or as `id_prop.json` of upstream ALIGNN.

    Args:
        keys: names of what stands beside energies, forces and stress, as it was read.
    Raises:
        DataError: a name of no format that holds many labelled structures, or of one that has no place for values
            beside energies that these structures have.
        OutputExistsError: there is a file at `path`, and nobody said `overwrite`.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists already. Choose another name, or pass --overwrite.")
    if path.name == "id_prop.json":
        write_text(path, json.dumps([_record(sample) for sample in samples]))
        return
    form = _format(path)
    frames = [labelled_atoms(sample, keys) for sample in samples]
    _check_room(frames, form, path)
    with atomic_path(path) as draft:
        write(draft, frames, format=form)


def _format(path: Path) -> str:
    try:
        form = filetype(str(path), read=False)
    except UnknownFileTypeError as error:
        raise DataError(f"{path}: ASE knows no format of that name. Use .extxyz, .traj or id_prop.json.") from error
    if form == "xyz":
        return "extxyz"
    if form not in ("extxyz", "traj", "json", "db") or not ioformats[form].can_write:
        raise DataError(f"{path}: format {form} does not hold many structures with labels. Use .extxyz or .traj.")
    return form


def _check_room(frames: Sequence[Atoms], form: str, path: Path) -> None:
    """Say no to values that ASE would pass over: of trajectories other arrays, of databases also `info`."""
    arrays = {name for atoms in frames for name in atoms.arrays} - {"numbers", "positions"}
    info = {name for atoms in frames for name in atoms.info} - {"config_type"}
    lost = {"extxyz": set(), "traj": arrays}.get(form, arrays | info)
    if lost:
        raise DataError(
            f"{path}: format {form} has no place for {', '.join(sorted(lost))}. Write .extxyz or id_prop.json, or "
            "leave them out by not naming them."
        )


def _record(sample: Sample) -> dict[str, Any]:
    """As upstream keeps it: energy per atom, stress in GPa; a label that is missing is left out.

    Among several values of atoms or of the structure one that is missing is null.
    """
    targets, atoms = sample.targets, to_ase(sample.graph)
    try:
        record: dict[str, Any] = {"jid": sample.key, "atoms": to_jarvis(atoms), "config_type": sample.group}
    except StructureError as error:
        raise DataError(f"structure {sample.key} does not fit into id_prop.json: {error}") from error
    labels = {
        "total_energy": targets.energy[0] / len(atoms),
        "forces": targets.forces,
        "stresses": targets.stress[0] * GPA_PER_EV_A3,
    }
    record |= {name: value.tolist() for name, value in labels.items() if bool(torch.isfinite(value).all())}
    further = {name: values_of(sample, of) for of, name in UPSTREAM_NAMES.items()}
    for name, values in further.items():
        if values is not None:
            rows = [[v if math.isfinite(v) else None for v in row] for row in values.tolist()]
            record[name] = rows if name == "atomwise" else rows[0]
    return record

"""Labelled structures in another file format: energies total, units and signs those of ASE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from ase.io.formats import UnknownFileTypeError, filetype, ioformats

from alignn_ff.data.sources import Sample
from alignn_ff.errors import DataError, OutputExistsError, StructureError
from alignn_ff.files import atomic_path, write_text
from alignn_ff.io import matrix_to_voigt, to_ase, to_jarvis
from alignn_ff.units import GPA_PER_EV_A3


def labelled_atoms(sample: Sample) -> Atoms:
    """ase.Atoms with the labels of a sample on a calculator: eV, eV/Å, eV/Å³; its group is `info["config_type"]`."""
    atoms, targets = to_ase(sample.graph), sample.targets
    labels: dict[str, Any] = {
        "energy": float(targets.energy),
        "forces": targets.forces.numpy(),
        "stress": matrix_to_voigt(targets.stress[0].numpy()),
        "energies": targets.atom_energy.numpy(),
    }
    there = {name: value for name, value in labels.items() if np.isfinite(value).all()}
    atoms.calc = SinglePointCalculator(atoms, **there)
    atoms.info["config_type"] = sample.group
    return atoms


def write_samples(samples: Sequence[Sample], path: str | Path, *, overwrite: bool = False) -> None:
    """Write samples to a file that ASE knows by its name, or as `id_prop.json` of upstream ALIGNN.

    Raises:
        DataError: a name of no format that holds many labelled structures.
        OutputExistsError: there is a file at `path`, and nobody said `overwrite`.
    """
    path = Path(path)
    if path.exists() and not overwrite:
        raise OutputExistsError(f"{path} exists already. Choose another name, or pass --overwrite.")
    if path.name == "id_prop.json":
        write_text(path, json.dumps([_record(sample) for sample in samples]))
        return
    form = _format(path)
    with atomic_path(path) as draft:
        write(draft, [labelled_atoms(sample) for sample in samples], format=form)


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


def _record(sample: Sample) -> dict[str, Any]:
    """As upstream keeps it: energy per atom, stress in GPa; a label that is missing is left out."""
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
    return record | {name: value.tolist() for name, value in labels.items() if bool(torch.isfinite(value).all())}

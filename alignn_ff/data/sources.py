"""Where labelled structures come from: one reader a kind of source, all returning samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms

from alignn_ff.data import id_prop
from alignn_ff.errors import ConfigError, DataError, StructureError
from alignn_ff.graph import AtomGraph
from alignn_ff.io import Targets, from_ase, read_frames, voigt_to_matrix
from alignn_ff.units import GPA_PER_EV_A3, KBAR_PER_EV_A3

SOURCES = {
    "ase": "alignn_ff.data.sources:read_ase",
    "id_prop": "alignn_ff.data.sources:read_id_prop",
    "id_prop_csv": "alignn_ff.data.sources:read_id_prop_csv",
}

STRESS_UNITS = {
    "ev_a3": 1.0,
    "gpa": 1.0 / GPA_PER_EV_A3,
    "kbar": 1.0 / KBAR_PER_EV_A3,
    "kbar_vasp": -1.0 / KBAR_PER_EV_A3,
}
"""Factor to eV/Å³ in ASE sign (positive in tension); VASP prints kbar of the opposite sign."""


class Keys(NamedTuple):
    """Names of the labels in a source, the unit of its stress (None: the habit of the source), names of the entries
    that tell what kind a structure is (group) and which structures must not be parted by a split (family). Energies of
    atoms, and the weight of a structure in the loss, are read where a name is given."""

    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"
    stress_unit: str | None = None
    group: str = "config_type"
    family: str | None = None
    atom_energy: str | None = None
    weight: str | None = None


DEFAULT_KEYS = Keys()


class Sample(NamedTuple):
    """One labelled structure: a graph without edges, its labels, a name to find it by, a kind and its relatives.

    Attributes:
        group: the kind it is reported under.
        family: a split keeps structures of one family together; empty for a structure that stands alone.
        weight: its share in the loss.
    """

    graph: AtomGraph
    targets: Targets
    key: str
    group: str
    family: str = ""
    weight: float = 1.0


def read_samples(path: str | Path, keys: Keys = DEFAULT_KEYS) -> list[Sample]:
    """Every structure of a source with its labels; a missing label is NaN.

    Args:
        path: an ASE-readable file, an `id_prop.json` (also zipped) or `id_prop.csv`, or a folder that holds one.
        keys: names of the labels.
    Raises:
        ConfigError: an unknown stress unit.
        DataError: no such file, unreadable, empty, no energies at all, a label of the wrong shape, bad geometry.
    """
    if keys.stress_unit is not None and keys.stress_unit not in STRESS_UNITS:
        raise ConfigError(f"stress unit {keys.stress_unit!r} is unknown; expected one of {', '.join(STRESS_UNITS)}.")
    path = id_prop.find(Path(path))
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected an ASE-readable file, or a folder with {' or '.join(id_prop.NAMES)}."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected labelled structures.")
    module, attribute = SOURCES[_kind(path)].split(":")
    samples: list[Sample] = getattr(import_module(module), attribute)(path, keys)
    if not samples:
        raise DataError(f"{path}: no structures in it; expected at least one.")
    return samples


def _kind(path: Path) -> str:
    """Which of `SOURCES` reads a file."""
    return "id_prop" if id_prop.is_json(path) else "id_prop_csv" if id_prop.is_csv(path) else "ase"


def read_all(files: Sequence[str | Path], keys: Keys) -> list[Sample]:
    """Samples of several sources, under keys that no two share.

    Raises:
        DataError: see `read_samples`; or two samples of one key.
    """
    samples = [sample for file in files for sample in read_samples(file, keys)]
    seen: set[str] = set()
    for sample in samples:
        if sample.key in seen:
            raise DataError(f"two structures are called {sample.key}; give files and records names of their own.")
        seen.add(sample.key)
    return samples


def read_ase(path: Path, keys: Keys) -> list[Sample]:
    """Samples of any file ASE reads; labels from its calculator, `info` or `arrays`; stress in eV/Å³ unless told."""
    try:
        frames = read_frames(path)
    except StructureError as error:
        raise DataError(str(error)) from error
    factor = STRESS_UNITS[keys.stress_unit or "ev_a3"]
    samples = [_ase_sample(atoms, keys, factor, f"{path.name}@{i}", path) for i, atoms in enumerate(frames)]
    if samples and all(torch.isnan(s.targets.energy).all() for s in samples):
        seen = sorted({key for atoms in frames for key in [*atoms.info, *_results(atoms)]})
        raise DataError(
            f"{path}: none of its {len(frames)} structures has an energy called {keys.energy!r}; they carry "
            f"{', '.join(seen) or 'no labels at all'}. Set `energy_key` to the right name."
        )
    return samples


def read_id_prop(path: Path, keys: Keys) -> list[Sample]:
    """Samples of upstream ALIGNN's `id_prop.json`: energy per atom in eV, stress in GPa with ASE sign unless told.

    Records: `jid`, `atoms` (jarvis dictionary), and labels under the names in `keys`; upstream's own names
    (`total_energy`, `target`, `stresses`) are found too.
    """
    records = list(id_prop.read_records(path))
    factor = STRESS_UNITS[keys.stress_unit or "gpa"]
    samples = [_id_prop_sample(record, keys, factor, path) for record in records]
    if samples and all(torch.isnan(s.targets.energy).all() for s in samples):
        seen = sorted({key for record in records for key in record.fields})
        raise DataError(
            f"{path}: no record has an energy called {keys.energy!r}; they carry {', '.join(seen)}. Set `energy_key`."
        )
    return samples


def read_id_prop_csv(path: Path, keys: Keys) -> list[Sample]:
    """Samples of upstream ALIGNN's `id_prop.csv`: a file of a structure and its energy per atom in eV; no forces."""
    samples = [_row_sample(row, keys, path) for row in id_prop.read_rows(path)]
    if samples and all(torch.isnan(s.targets.energy).all() for s in samples):
        raise DataError(f"{path}: no line has an energy; expected file,energy per atom in eV.")
    return samples


def _ase_sample(atoms: Atoms, keys: Keys, factor: float, key: str, path: Path) -> Sample:
    labels = {**atoms.info, **atoms.arrays, **_results(atoms)}
    energy, forces, stress = (labels.get(name) for name in (keys.energy, keys.forces, keys.stress))
    shares = _shares(labels, keys)
    return _grouped(_sample(atoms, energy, forces, stress, shares, factor, key, path), atoms.info, keys, path)


def _shares(labels: Mapping[str, Any], keys: Keys) -> Any:
    return None if keys.atom_energy is None else labels.get(keys.atom_energy)


def _results(atoms: Atoms) -> dict[str, Any]:
    return dict(atoms.calc.results) if atoms.calc is not None else {}


def _id_prop_sample(record: id_prop.Record, keys: Keys, factor: float, path: Path) -> Sample:
    key, atoms, fields = record
    per_atom = _first(fields, keys.energy, "total_energy", "target")
    energy = None if per_atom is None else _energy(per_atom, f"{path}: structure {key}") * len(atoms)
    forces = _first(fields, keys.forces)
    stress = _first(fields, keys.stress, "stresses")
    shares = _shares(fields, keys)
    return _grouped(_sample(atoms, energy, forces, stress, shares, factor, key, path), fields, keys, path)


def _row_sample(row: id_prop.Row, keys: Keys, path: Path) -> Sample:
    where = f"{path}: structure {row.key}"
    if row.values is not None and len(row.values) > 1:
        raise DataError(f"{where}: has {len(row.values)} labels; a force field has one, its energy per atom in eV.")
    energy = None if row.values is None else _energy(row.values[0], where) * len(row.atoms)
    return _grouped(_sample(row.atoms, energy, None, None, None, 1.0, row.key, path), {}, keys, path)


def _first(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[n] for n in names if record.get(n) is not None and not isinstance(record[n], str)), None)


def _grouped(sample: Sample, entries: Mapping[str, Any], keys: Keys, path: Path) -> Sample:
    """The sample with its group and family, read from the entries of its record."""
    if keys.family is not None and keys.family not in entries:
        raise DataError(
            f"{path}: structure {sample.key} has no entry {keys.family!r}, which is to keep structures of one origin "
            "together. Set `split_group_key` to an entry that every structure has, or leave it out."
        )
    family = "" if keys.family is None else str(entries[keys.family])
    weight = 1.0 if keys.weight is None else _weight(entries.get(keys.weight, 1.0), f"{path}: structure {sample.key}")
    return sample._replace(group=str(entries.get(keys.group, "all")), family=family, weight=weight)


def _weight(value: Any, where: str) -> float:
    weight = _numbers(value, "weight", where)
    if weight.size != 1 or not 0.0 <= float(weight.reshape(())) < float("inf"):
        raise DataError(f"{where}: its weight is {weight.tolist()}; expected one number, 0 or more.")
    return float(weight.reshape(()))


def _sample(
    atoms: Atoms, energy: Any, forces: Any, stress: Any, atom_energies: Any, factor: float, key: str, path: Path
) -> Sample:
    try:
        graph = from_ase(atoms)
    except StructureError as error:
        raise DataError(f"{path}: structure {key}: {error}") from error
    where = f"{path}: structure {key}"
    targets = Targets(
        energy=torch.tensor([_energy(energy, where)], dtype=torch.float64),
        forces=torch.from_numpy(_per_atom(forces, (len(atoms), 3), "forces", "eV/Å", where)),
        stress=torch.from_numpy(factor * _stress(stress if atoms.cell.rank == 3 else None, where)).unsqueeze(0),
        atom_energy=torch.from_numpy(_per_atom(atom_energies, (len(atoms),), "energies of atoms", "eV", where)),
    )
    return Sample(graph, targets, key, "all")


def _energy(value: Any, where: str) -> float:
    if value is None:
        return float("nan")
    energy = _numbers(value, "energy", where)
    if energy.size != 1:
        raise DataError(f"{where}: the energy has {energy.size} numbers; expected one, the total in eV.")
    return float(energy.reshape(()))


def _per_atom(value: Any, shape: tuple[int, ...], label: str, unit: str, where: str) -> np.ndarray:
    if value is None:
        return np.full(shape, np.nan)
    numbers = _numbers(value, label, where)
    if numbers.shape != shape:
        raise DataError(f"{where}: {label} have shape {numbers.shape}; expected {shape}, in {unit}.")
    return numbers


def _stress(value: Any, where: str) -> np.ndarray:
    if value is None:
        return np.full((3, 3), np.nan)
    stress = _numbers(value, "stress", where)
    if stress.size not in (6, 9):
        raise DataError(f"{where}: the stress has {stress.size} numbers; expected 3×3 or Voigt xx yy zz yz xz xy.")
    return voigt_to_matrix(stress.reshape(6)) if stress.size == 6 else stress.reshape(3, 3)


def _numbers(value: Any, label: str, where: str) -> np.ndarray:
    try:
        return np.asarray(value, dtype=np.float64)
    except (ValueError, TypeError) as error:
        raise DataError(f"{where}: the {label} cannot be read as numbers ({error}).") from error

"""Where labelled structures come from: one reader a kind of source, all returning samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from ase import Atoms

from alignn_ff.data import id_prop, jarvis
from alignn_ff.errors import ConfigError, DataError, StructureError
from alignn_ff.graph import AtomGraph
from alignn_ff.io import EXTRA_FEATURES, NO_VALUES, Targets, each_frame, from_ase, voigt_to_matrix
from alignn_ff.units import GPA_PER_EV_A3, KBAR_PER_EV_A3

SOURCES = {
    "ase": "alignn_ff.data.sources:read_ase",
    "id_prop": "alignn_ff.data.id_prop_samples:read_id_prop",
    "id_prop_csv": "alignn_ff.data.id_prop_samples:read_id_prop_csv",
    "jarvis": "alignn_ff.data.id_prop_samples:read_jarvis",
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
    atoms, the weight of a structure in the loss, other values of atoms and structures, and its extra features are read
    where a name is given; of other values one name stands for all, several for one each."""

    energy: str = "energy"
    forces: str = "forces"
    stress: str = "stress"
    stress_unit: str | None = None
    group: str = "config_type"
    family: str | None = None
    atom_energy: str | None = None
    weight: str | None = None
    atomwise: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    extra_features: str | None = None


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


class Labels(NamedTuple):
    """What a record says of a structure, unchecked; None where it says nothing.

    Attributes:
        energy: total, eV.
        stress_factor: from the unit and sign of the stress to eV/Å³, positive in tension.
        atomwise, additional: what stands under each of the names in `Keys`.
    """

    energy: Any
    forces: Any
    stress: Any
    atom_energy: Any
    stress_factor: float
    atomwise: Sequence[Any] = ()
    additional: Sequence[Any] = ()
    extra_features: Any = None


def each_sample(source: str | Path, keys: Keys = DEFAULT_KEYS) -> Iterator[Sample]:
    """The structures of a source with their labels, one after the other; a missing label is NaN.

    Args:
        source: an ASE-readable file, an `id_prop.json` (also zipped) or `id_prop.csv`, a folder that holds one, or
            `jarvis:NAME` for a data set of jarvis-tools.
        keys: names of the labels.
    Raises:
        ConfigError: an unknown stress unit.
        DataError: no such file, unreadable, empty, no energies at all, a label of the wrong shape, bad geometry.
    """
    if keys.stress_unit is not None and keys.stress_unit not in STRESS_UNITS:
        raise ConfigError(f"stress unit {keys.stress_unit!r} is unknown; expected one of {', '.join(STRESS_UNITS)}.")
    if jarvis.is_named(source):
        yield from _reader("jarvis")(str(source), keys)
        return
    path = id_prop.find(Path(source))
    if not path.is_file():
        raise DataError(
            f"{path}: no such file. Expected an ASE-readable file, or a folder with {' or '.join(id_prop.NAMES)}."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected labelled structures.")
    count = 0
    for sample in _reader(_kind(path))(path, keys):
        count += 1
        yield sample
    if not count:
        raise DataError(f"{path}: no structures in it; expected at least one.")


def _reader(kind: str) -> Callable[..., Iterator[Sample]]:
    module, attribute = SOURCES[kind].split(":")
    return getattr(import_module(module), attribute)


def _kind(path: Path) -> str:
    """Which of `SOURCES` reads a file."""
    return "id_prop" if id_prop.is_json(path) else "id_prop_csv" if id_prop.is_csv(path) else "ase"


def read_samples(path: str | Path, keys: Keys = DEFAULT_KEYS) -> list[Sample]:
    """All that `each_sample` reads."""
    return list(each_sample(path, keys))


def each_of_all(files: Sequence[str | Path], keys: Keys) -> Iterator[Sample]:
    """Samples of several sources, under keys that no two share.

    Raises:
        DataError: see `each_sample`; or two samples of one key.
    """
    seen: set[str] = set()
    for file in files:
        for sample in each_sample(file, keys):
            if sample.key in seen:
                raise DataError(f"two structures are called {sample.key}; give files and records names of their own.")
            seen.add(sample.key)
            yield sample


def read_all(files: Sequence[str | Path], keys: Keys) -> list[Sample]:
    """All that `each_of_all` reads."""
    return list(each_of_all(files, keys))


def read_ase(path: Path, keys: Keys) -> Iterator[Sample]:
    """Samples of any file ASE reads; labels from its calculator, `info` or `arrays`; stress in eV/Å³ unless told."""
    count, labelled, seen = 0, False, set()
    for atoms in _frames(path):
        sample = _ase_sample(atoms, keys, f"{path.name}@{count}", path)
        labelled = labelled or bool(torch.isfinite(sample.targets.energy))
        seen |= set() if labelled else {*atoms.info, *_results(atoms)}
        count += 1
        yield sample
    if count and not labelled:
        raise DataError(
            f"{path}: none of its {count} structures has an energy called {keys.energy!r}; they carry "
            f"{', '.join(sorted(seen)) or 'no labels at all'}. Set `energy_key` to the right name."
        )


def _frames(path: Path) -> Iterator[Atoms]:
    try:
        yield from each_frame(path)
    except StructureError as error:
        raise DataError(str(error)) from error


def _ase_sample(atoms: Atoms, keys: Keys, key: str, path: Path) -> Sample:
    there = {**atoms.info, **atoms.arrays, **_results(atoms)}
    energy, forces, stress = (there.get(name) for name in (keys.energy, keys.forces, keys.stress))
    atomwise, additional = ([there.get(name) for name in names] for names in (keys.atomwise, keys.additional))
    factor, told = STRESS_UNITS[keys.stress_unit or "ev_a3"], there.get(keys.extra_features or "")
    labels = Labels(energy, forces, stress, shares(there, keys), factor, atomwise, additional, told)
    return labelled_sample(atoms, labels, atoms.info, keys, (path, key))


def shares(entries: Mapping[str, Any], keys: Keys) -> Any:
    """Energies of atoms, where their name is given."""
    return None if keys.atom_energy is None else entries.get(keys.atom_energy)


def _results(atoms: Atoms) -> dict[str, Any]:
    return dict(atoms.calc.results) if atoms.calc is not None else {}


def labelled_sample(
    atoms: Atoms, labels: Labels, entries: Mapping[str, Any], keys: Keys, name: tuple[str | Path, str]
) -> Sample:
    """A structure with its labels checked, its group, family and weight read from the entries of its record.

    Args:
        name: of the source and of the structure in it.
    Raises:
        DataError: a label or extra features of the wrong shape, a bad geometry, a family that is wanted and missing.
    """
    where = f"{name[0]}: structure {name[1]}"
    if keys.family is not None and keys.family not in entries:
        raise DataError(
            f"{where} has no entry {keys.family!r}, which is to keep structures of one origin together. Set "
            "`split_group_key` to an entry that every structure has, or leave it out."
        )
    graph, targets = _checked(atoms, labels, where)
    family = "" if keys.family is None else str(entries[keys.family])
    weight = 1.0 if keys.weight is None else _weight(entries.get(keys.weight, 1.0), where)
    return Sample(graph, targets, name[1], str(entries.get(keys.group, "all")), family, weight)


def _checked(atoms: Atoms, labels: Labels, where: str) -> tuple[AtomGraph, Targets]:
    try:
        graph = from_ase(atoms)
    except StructureError as error:
        raise DataError(f"{where}: {error}") from error
    if labels.extra_features is not None:
        graph = graph._replace(extra_features=told_features(labels.extra_features, where))
    n = len(atoms)
    stress = labels.stress_factor * _stress(labels.stress if atoms.cell.rank == 3 else None, where)
    shares = _per_atom(labels.atom_energy, (n,), "energies of atoms", "eV", where)
    targets = Targets(
        energy=torch.tensor([energy_of(labels.energy, where)], dtype=torch.float64),
        forces=torch.from_numpy(_per_atom(labels.forces, (n, 3), "forces", "eV/Å", where)),
        stress=torch.from_numpy(stress).unsqueeze(0),
        atom_energy=torch.from_numpy(shares),
        atomwise=_values(labels.atomwise, n, "values of atoms", where),
        additional=_values([None if v is None else [v] for v in labels.additional], 1, "additional values", where),
    )
    return graph, targets


def told_features(value: Any, where: str) -> torch.Tensor:
    """Extra features of a structure as one row [1, X].

    Raises:
        DataError: they are no list of finite numbers.
    """
    told = np.atleast_1d(_numbers(value, EXTRA_FEATURES, where))
    if told.ndim != 1 or not np.isfinite(told).all():
        raise DataError(f"{where}: its {EXTRA_FEATURES} are {value!r}; expected a list of finite numbers.")
    return torch.from_numpy(told).unsqueeze(0)


def _weight(value: Any, where: str) -> float:
    weight = _numbers(value, "weight", where)
    if weight.size != 1 or not 0.0 <= float(weight.reshape(())) < float("inf"):
        raise DataError(f"{where}: its weight is {weight.tolist()}; expected one number, 0 or more.")
    return float(weight.reshape(()))


def energy_of(value: Any, where: str) -> float:
    """An energy as a number, eV; NaN where there is none."""
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


def _values(given: Sequence[Any], rows: int, label: str, where: str) -> torch.Tensor:
    """Values [rows, K] of one entry, or of several with a column each; NaN where one is missing."""
    if all(value is None for value in given):
        return NO_VALUES
    blocks = [np.full((rows, 1), np.nan) if value is None else _numbers(value, label, where) for value in given]
    shapes = [block.shape for block in blocks]
    if any(len(shape) not in (1, 2) or shape[0] != rows for shape in shapes):
        raise DataError(
            f"{where}: {label} have shape {' and '.join(map(str, shapes))}; expected ({rows},) or ({rows}, values)."
        )
    return torch.from_numpy(np.concatenate([block.reshape(rows, -1) for block in blocks], axis=1))


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

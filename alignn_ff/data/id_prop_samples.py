"""Samples of a force field from upstream ALIGNN's data sets: energies per atom in eV, stress in GPa unless told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from alignn_ff.data import id_prop, jarvis
from alignn_ff.data.sources import STRESS_UNITS, Keys, Labels, Sample, energy_of, labelled_sample, shares
from alignn_ff.errors import DataError


def read_id_prop(path: Path, keys: Keys) -> Iterator[Sample]:
    """Samples of an `id_prop.json`, see `record_samples`."""
    return record_samples(id_prop.read_records(path), keys, str(path))


def read_jarvis(source: str, keys: Keys) -> Iterator[Sample]:
    """Samples of a data set of jarvis-tools, see `record_samples`."""
    return record_samples(jarvis.read_named(source), keys, source)


def record_samples(records: Iterable[id_prop.Record], keys: Keys, source: str) -> Iterator[Sample]:
    """Samples of records: energy per atom in eV, stress in GPa with ASE sign unless told.

    Labels stand under the names in `keys`; upstream's own names (`total_energy`, `target`, `stresses`) are found too.

    Args:
        source: where the records come from, for errors.
    Raises:
        DataError: a label at fault, or no energy at all.
    """
    labelled, seen = False, set()
    for record in records:
        sample = _sample(record, keys, source)
        labelled = labelled or bool(torch.isfinite(sample.targets.energy))
        seen |= set() if labelled else set(record.fields)
        yield sample
    if seen and not labelled:
        raise DataError(
            f"{source}: no record has an energy called {keys.energy!r}; they carry {', '.join(sorted(seen))}. Set "
            "`energy_key`."
        )


def read_id_prop_csv(path: Path, keys: Keys) -> Iterator[Sample]:
    """Samples of an `id_prop.csv`: a file of a structure and its energy per atom in eV; no forces.

    Raises:
        DataError: a line at fault, or none with an energy.
    """
    count, labelled = 0, False
    for row in id_prop.read_rows(path):
        sample = _row_sample(row, keys, path)
        count, labelled = count + 1, labelled or bool(torch.isfinite(sample.targets.energy))
        yield sample
    if count and not labelled:
        raise DataError(f"{path}: no line has an energy; expected file,energy per atom in eV.")


def _sample(record: id_prop.Record, keys: Keys, source: str) -> Sample:
    key, atoms, fields = record
    per_atom = _first(fields, keys.energy, "total_energy", "target")
    energy = None if per_atom is None else energy_of(per_atom, f"{source}: structure {key}") * len(atoms)
    stress = _first(fields, keys.stress, "stresses")
    factor = STRESS_UNITS[keys.stress_unit or "gpa"]
    atomwise, additional = ([_first(fields, name) for name in names] for names in (keys.atomwise, keys.additional))
    forces, told = _first(fields, keys.forces), _first(fields, keys.extra_features or "")
    labels = Labels(energy, forces, stress, shares(fields, keys), factor, atomwise, additional, told)
    return labelled_sample(atoms, labels, fields, keys, (source, key))


def _row_sample(row: id_prop.Row, keys: Keys, path: Path) -> Sample:
    where = f"{path}: structure {row.key}"
    if row.values is not None and len(row.values) > 1:
        raise DataError(f"{where}: has {len(row.values)} labels; a force field has one, its energy per atom in eV.")
    energy = None if row.values is None else energy_of(row.values[0], where) * len(row.atoms)
    return labelled_sample(row.atoms, Labels(energy, None, None, None, 1.0), {}, keys, (path, row.key))


def _first(record: Mapping[str, Any], *names: str) -> Any:
    return next((record[n] for n in names if record.get(n) is not None and not isinstance(record[n], str)), None)

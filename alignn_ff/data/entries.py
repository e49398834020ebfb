"""What stands in labelled structures beside what is read of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from alignn_ff.data import id_prop, jarvis
from alignn_ff.data.sources import Keys
from alignn_ff.io import each_frame

_NO_LABELS = frozenset({"numbers", "positions", "jid", "id", "atoms", "free_energy", "energies", "config_type"})
_ELSE_CALLED = frozenset({"total_energy", "target", "stresses"})
"""What upstream calls energies and stress, found under any key."""


def unread(sources: Sequence[str | Path], keys: Keys) -> list[str]:
    """Entries of the first structure of each source that go by no name in `keys`, sorted.

    Raises:
        StructureError, DataError: a source that cannot be read.
    """
    told = {name for name in keys if isinstance(name, str)} | {*keys.atomwise, *keys.additional}
    found = {name for source in sources for name in _entries(source)}
    return sorted(found - told - _NO_LABELS - _ELSE_CALLED)


def _entries(source: str | Path) -> Iterable[str]:
    """Names of what the first structure of a source carries; a CSV file names nothing."""
    path = id_prop.find(Path(source))
    if id_prop.is_csv(path):
        return ()
    if jarvis.is_named(source) or id_prop.is_json(path):
        records = jarvis.read_named(str(source)) if jarvis.is_named(source) else id_prop.read_records(path)
        return next(records).fields
    atoms = next(each_frame(path))
    return {*atoms.info, *atoms.arrays, *(() if atoms.calc is None else atoms.calc.results)}

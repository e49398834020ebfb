"""Models by name: those embedded in the package, or a file of the user's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from alignn_ff.checkpoint import Checkpoint, load_checkpoint
from alignn_ff.errors import CheckpointError, ModelNotFoundError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_HERE = Path(__file__).parent


class Entry(NamedTuple):
    """One model of the registry.

    Attributes:
        name: what users call it.
        path: the weights.
        card: the model card, Markdown.
        sha256: that the weights must have.
        description: one line.
    """

    name: str
    path: Path
    card: Path
    sha256: str
    description: str


def registry() -> dict[str, Entry]:
    """Every model that is known by name; the first is the default."""
    with (_HERE / "registry.toml").open("rb") as file:
        table = tomllib.load(file)
    return {
        name: Entry(name, _HERE / e["file"], _HERE / e["card"], e["sha256"], e["description"])
        for name, e in table.items()
    }


def default_model() -> str:
    """Name of the model that a calculator without arguments uses."""
    return next(iter(registry()))


def load_potential(model: str | Path | None = None) -> Checkpoint:
    """The potential called `model`: a name of the registry, a file, or None for the default.

    Raises:
        ModelNotFoundError: neither a known name nor a file.
        CheckpointError: the file is not a model, or an embedded one does not match its checksum.
    """
    entries = registry()
    name = default_model() if model is None else str(model)
    if name in entries:
        return _load_verified(entries[name])
    if Path(name).is_file():
        return load_checkpoint(name)
    raise ModelNotFoundError(
        f"model {name!r} is neither a file nor a known name{did_you_mean(name, entries)}. See `alignn-ff models list`."
    )


def _load_verified(entry: Entry) -> Checkpoint:
    checkpoint = load_checkpoint(entry.path)
    if checkpoint.sha256 != entry.sha256:
        raise CheckpointError(
            f"embedded model {entry.name} has SHA-256 {checkpoint.sha256}, the registry says {entry.sha256}: the "
            "installation is damaged. Install alignn-ff again."
        )
    return checkpoint


def find(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        ModelNotFoundError: no such name.
    """
    entries = registry()
    if name not in entries:
        raise ModelNotFoundError(
            f"no model is called {name!r}{did_you_mean(name, entries)}. See `alignn-ff models list`."
        )
    return entries[name]

"""The folder of a distillation: what was labelled so far, kept so that it can go on."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ase.io import read, write

from alignn_ff.distill.harvest import Family
from alignn_ff.errors import ConfigError, DataError, OutputExistsError
from alignn_ff.files import prepare_folder, write_text

PROVENANCE = "provenance.json"
_SHARDS = "shards"


class Store:
    """Families on disk: shards that appear whole or not at all, under a recipe that must not change."""

    def __init__(self, folder: Path, recipe: Mapping[str, Any]) -> None:
        """Open a new folder, or one that was begun with the same recipe.

        Raises:
            ConfigError: the folder was begun with another recipe.
            OutputExistsError: it holds something else.
        """
        self.folder = folder
        self.recipe = json.loads(json.dumps(recipe))
        if not (folder / PROVENANCE).is_file():
            self._check_free()
            prepare_folder(folder / _SHARDS)
            self.write_provenance({"status": "running"})
        self.provenance = _read(folder / PROVENANCE)
        _check_same(self.recipe, self.provenance["recipe"], folder)

    def write_provenance(self, facts: Mapping[str, Any]) -> None:
        """The recipe and `facts` as `provenance.json`."""
        self.provenance = {"recipe": self.recipe, **facts}
        write_text(self.folder / PROVENANCE, json.dumps(self.provenance, indent=1, ensure_ascii=False) + "\n")

    def save(self, families: Sequence[Family]) -> None:
        """One more shard."""
        if families:
            content = [family._asdict() | {"frames": _to_text(family)} for family in families]
            write_text(self.folder / _SHARDS / f"{families[0].number:07d}.json", json.dumps(content))

    def load(self) -> dict[int, Family]:
        """Everything saved, by number of the family.

        Raises:
            DataError: a shard that is not one.
        """
        families: dict[int, Family] = {}
        for path in sorted((self.folder / _SHARDS).glob("*.json")):
            for content in _read(path):
                families[content["number"]] = _family(content)
        return dict(sorted(families.items()))

    def _check_free(self) -> None:
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise OutputExistsError(
                f"output folder {self.folder} holds files but no {PROVENANCE}; no distillation was begun there. "
                "Choose another one."
            )


def _to_text(family: Family) -> str:
    text = io.StringIO()
    if family.frames:
        write(text, list(family.frames), format="extxyz")
    return text.getvalue()


def _family(content: Mapping[str, Any]) -> Family:
    frames = tuple(read(io.StringIO(content["frames"]), ":", format="extxyz")) if content["frames"] else ()
    lists = {name: tuple(content[name]) for name in ("fingerprints", "failures")}
    return Family(**{**content, "frames": frames, **lists})


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}). Delete it; what it held is made again.") from error


def _check_same(now: Mapping[str, Any], before: Mapping[str, Any], folder: Path) -> None:
    changed = [
        f"{name} ({before.get(name)!r} there, {now.get(name)!r} now)"
        for name in sorted({*now, *before})
        if now.get(name) != before.get(name)
    ]
    if changed:
        raise ConfigError(
            f"{folder} was begun with another recipe: {'; '.join(changed)}. Repeat the command as it was, or choose "
            "another folder."
        )

"""The training that follows: its config, and the run on the frames of a distillation."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from alignn_ff.distill.run import FRAMES
from alignn_ff.errors import ConfigError
from alignn_ff.files import read_fields, write_text
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig, TrainResult, load_config, train

CONFIG = "train.yaml"

_OURS = ("data", "output_dir")


def student_fields(config: Path | None, folder: Path, families: int) -> dict[str, Any]:
    """Fields of a training on the frames in `folder`: those of the user's config, if there is one, and the data.

    Frames of one family are kept on one side of the split, and errors are reported by kind of frame. The output goes
    to a folder of its own for every number of families, as a larger set is another training.

    Raises:
        ConfigError: a field at fault, or one that is not the user's here.
    """
    fields = {} if config is None else read_fields(config)
    taken = [name for name in _OURS if name in fields]
    if taken:
        raise ConfigError(f"{config} sets {', '.join(taken)}, which distill sets itself. Leave it out.")
    if config is not None:
        fields |= {
            name: _absolute(fields[name], config.parent) for name in ("validation_data", "split_file") if name in fields
        }
    ours = {"data": FRAMES, "output_dir": str(folder / f"student-{families}")}
    fields = {"split_group_key": "seed", "group_key": "tag", **fields, **ours}
    parse(TrainConfig, fields, str(config or "training"))
    return fields


def write_training_config(fields: Mapping[str, Any], folder: Path) -> Path:
    """`train.yaml` in `folder`, as `alignn-ff train` reads it."""
    path = folder / CONFIG
    write_text(path, yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True))
    return path


def train_student(path: Path, *, progress: bool = False) -> TrainResult:
    """Train as the config at `path` says; a run that was interrupted goes on.

    Raises:
        ConfigError, DataError: see `training.train`.
    """
    config = load_config(path)
    begun = any(Path(config.output_dir).rglob("resume.pt"))
    return train(config, overwrite=not begun, resume=begun, progress=progress)


def _absolute(files: Any, folder: Path) -> Any:
    """File names seen from `folder`; anything else is left for the schema to refuse."""
    if isinstance(files, list):
        return [_absolute(file, folder) for file in files]
    return str((folder / files).absolute()) if isinstance(files, str) else files

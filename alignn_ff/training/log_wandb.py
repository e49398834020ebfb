"""Rows of a history as a run of Weights & Biases; its own variables (WANDB_MODE=offline, WANDB_PROJECT) are heeded."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignn_ff.files import write_text
from alignn_ff.training.logs import Log, tagged

PROJECT = "alignn-ff"
_NAME = "wandb_run.txt"


class WandbLog(Log):
    """A resumed run goes on under the name it had; see `Log`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], done: int) -> None:
        import wandb

        known = folder / _NAME
        name = known.read_text(encoding="utf-8").strip() if done and known.is_file() else secrets.token_hex(4)
        write_text(known, name + "\n")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.name,
            id=name,
            resume="allow",
            dir=str(folder),
            config=dict(settings),
            settings=wandb.Settings(silent=True),
        )

    def write(self, row: Mapping[str, Any]) -> None:
        self._run.log(tagged(row), step=row["epoch"])

    def close(self) -> None:
        self._run.finish()

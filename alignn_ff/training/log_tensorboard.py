"""Rows of a history as TensorBoard's event files, in the folder `tensorboard` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignn_ff.training.logs import Log, tagged


class TensorBoardLog(Log):
    """Scalars by epoch; see `Log`."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1)
        self._writer.add_text("config", "\n".join(f"    {name}: {value}" for name, value in settings.items()), done)

    def write(self, row: Mapping[str, Any]) -> None:
        for name, value in tagged(row).items():
            self._writer.add_scalar(name, value, row["epoch"])
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()

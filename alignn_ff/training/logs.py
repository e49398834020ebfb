"""Where the rows of a history go beside its files: one writer a service, opened on demand."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from alignn_ff.errors import ConfigError

LogName = Literal["tensorboard", "wandb"]

LOGS: dict[str, str] = {
    "tensorboard": "alignn_ff.training.log_tensorboard:TensorBoardLog",
    "wandb": "alignn_ff.training.log_wandb:WandbLog",
}
"""Service, which is also the name of its package and of our extra: its writer."""


class Log(ABC):
    """Rows of one run, epoch by epoch.

    Args:
        folder: of the run.
        settings: its config, fit for JSON.
        done: epochs that lie behind, of a resumed run; rows after them that were written before are void.
    """

    @abstractmethod
    def __init__(self, folder: Path, settings: Mapping[str, Any], done: int) -> None: ...

    @abstractmethod
    def write(self, row: Mapping[str, Any]) -> None:
        """One more row: `epoch` and numbers by name."""

    @abstractmethod
    def close(self) -> None:
        """Nothing more will come; what was written must be safe now."""


def check_installed(names: Sequence[str]) -> None:
    """Say no before the work, not after it.

    Raises:
        ConfigError: the package of a service is missing.
    """
    for name in names:
        if find_spec(name) is None:
            raise ConfigError(
                f"loggers: {name} is not installed. Install it (pip install 'alignn-ff[{name}]'), or leave it out; "
                "history.jsonl and history.csv are written in any case."
            )


class Logs:
    """The writers of several services as one; arguments as of `Log`."""

    def __init__(self, names: Sequence[str], folder: Path, settings: Mapping[str, Any], done: int = 0) -> None:
        self._writers: list[Log] = []
        for name in names:
            module, attribute = LOGS[name].split(":")
            self._writers.append(getattr(import_module(module), attribute)(folder, settings, done))

    def write(self, row: Mapping[str, Any]) -> None:
        """One more row."""
        for writer in self._writers:
            writer.write(row)

    def close(self) -> None:
        """Nothing more will come."""
        for writer in self._writers:
            writer.close()


NO_LOGS = Logs((), Path(), {})


def tagged(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row under the names that these services group by: "valid/loss" for `valid_loss`."""
    return {_tag(name): float(value) for name, value in row.items() if name != "epoch"}


def _tag(name: str) -> str:
    return name.replace("_", "/", 1) if name.startswith(("train_", "valid_")) else name

"""What a training run leaves behind: config, split, history, models, plots, and the state to resume from."""

from __future__ import annotations

import csv
import io
import json
import logging
import platform
from pathlib import Path
from typing import Any

import torch

from alignn_ff._version import __version__
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.data.split import Split, save_split
from alignn_ff.errors import ConfigError
from alignn_ff.files import discard_drafts, write_text
from alignn_ff.models import Potential
from alignn_ff.schema import parse
from alignn_ff.training.config import TrainConfig, to_json
from alignn_ff.training.logs import NO_LOGS, Logs, check_installed
from alignn_ff.training.optim import Optim
from alignn_ff.training.sampling import Sampler
from alignn_ff.training.shared_fields import Keeping, Steering
from alignn_ff.training.states import STATE, check_started, forget_states, is_started, keep_state, last_state

log = logging.getLogger(__name__)

_CONFIG = "config.json"
PATHS = {"output_dir", "data", "validation_data", "replay_data", "split_file", "start_from"}
_WRITTEN_ANEW = ("history.jsonl", "history.csv", "best_model.safetensors", "current_model.safetensors")
"""Files that each epoch replaces, beside the state."""


class Record:
    """The output folder of one run."""

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self.folder = folder
        self.config = config
        self.rows: list[dict[str, Any]] = []
        check_installed(config.loggers)
        self._logs = NO_LOGS

    def check_resumable(self) -> None:
        """Say no where there is no run to go on with.

        Raises:
            CheckpointError: nothing there to resume.
            ConfigError: the run there had other settings.
        """
        check_started(self.folder)
        self.check_config()

    def is_started(self) -> bool:
        """Whether a run stands there that can be gone on with."""
        return is_started(self.folder)

    def check_config(self) -> None:
        """Say no where the run there had other settings.

        Raises:
            ConfigError: names them.
        """
        check_same(self.config, self.folder / _CONFIG)

    def write_config(self) -> None:
        """The config, every field written out."""
        write_text(self.folder / _CONFIG, to_json(self.config))

    def write_inputs(self, split: Split) -> None:
        """Config and split, and an empty history in place of an earlier one."""
        forget_states(self.folder)
        self.write_config()
        save_split(split, self.folder / "ids_train_val_test.json")
        self._write_history()
        self._open_logs(0)

    def append(self, row: dict[str, Any]) -> None:
        """One more epoch."""
        self.rows.append(row)
        self._write_history()
        self._logs.write(row)

    def close(self) -> None:
        """Nothing more will come."""
        self._logs.close()

    def best_row(self, epoch: int) -> dict[str, Any]:
        """The row of an epoch; empty where that epoch was never reached."""
        return next((row for row in self.rows if row["epoch"] == epoch), {})

    def save_model(self, name: str, potential: Potential, row: dict[str, Any], facts: dict[str, Any]) -> None:
        """A deployable checkpoint with the facts of this run."""
        facts = {
            **facts,
            "training": {
                # Paths belong to one machine; names and checksums of the data stand under `data`.
                "config": self.config.model_dump(mode="json", exclude=PATHS),
                "epoch": row["epoch"],
                "software": {"alignn_ff": __version__, "torch": torch.__version__, "python": platform.python_version()},
            },
            "metrics": {k.removeprefix("valid_"): v for k, v in row.items() if k.startswith("valid_")},
        }
        save_checkpoint(self.folder / f"{name}.safetensors", potential, facts)

    def save_state(self, position: dict[str, Any], potential: Potential, optim: Optim, sampler: Sampler) -> None:
        """Everything a resumed run needs to be the same run."""
        state = {
            "position": position,
            "rows": self.rows,
            "potential": potential.state_dict(),
            **optim.state_dict(),
            "sampler": sampler.state_dict(),
        }
        keep_state(self.folder, state)

    def restore(self, potential: Potential, optim: Optim, sampler: Sampler) -> dict[str, Any]:
        """Put back what `save_state` kept; returns the position."""
        self._discard_drafts()
        state = last_state(self.folder)
        potential.load_state_dict(state["potential"])
        optim.load_state_dict(state)
        sampler.load_state_dict(state.get("sampler", {}))  # a run begun before there was any but the uniform one
        self.rows = state["rows"]
        self._write_history()
        self._open_logs(len(self.rows))
        return state["position"]

    def _open_logs(self, done: int) -> None:
        self._logs = Logs(self.config.loggers, self.folder, self.config.model_dump(mode="json", exclude=PATHS), done)

    def _discard_drafts(self) -> None:
        """Remove what a killed process left half-written."""
        for name in (STATE, *_WRITTEN_ANEW):
            discard_drafts(self.folder / name)

    def _write_history(self) -> None:
        write_text(self.folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in self.rows))
        table = io.StringIO()
        if self.rows:
            writer = csv.DictWriter(table, fieldnames=list(self.rows[-1]))
            writer.writeheader()
            writer.writerows(self.rows)
        write_text(self.folder / "history.csv", table.getvalue())


class SilentRecord(Record):
    """The record of a process that leaves the writing to another of its run; it reads what that one wrote."""

    def write_config(self) -> None:
        """Nothing."""

    def write_inputs(self, split: Split) -> None:
        """Nothing."""

    def save_model(self, name: str, potential: Potential, row: dict[str, Any], facts: dict[str, Any]) -> None:
        """Nothing."""

    def save_state(self, position: dict[str, Any], potential: Potential, optim: Optim, sampler: Sampler) -> None:
        """Nothing."""

    def _discard_drafts(self) -> None:
        """Nothing."""

    def _write_history(self) -> None:
        """Nothing."""

    def _open_logs(self, done: int) -> None:
        """Nothing."""


def check_same(config: Steering, path: Path) -> None:
    """A resumed run may stand elsewhere and stop earlier; what shapes its steps must be as it was.

    It may also go on for longer, where its schedule has an end of its own.

    Raises:
        ConfigError: names what the config of the run, in the file at `path`, has otherwise.
    """
    free = {"output_dir", "loggers", "device", "data_parallel", "committee_parallel", "n_early_stopping"}
    free |= {"gpu_memory_fraction", *Keeping.model_fields}
    free |= set() if config.lr_total_epochs is None else {"epochs"}
    now = config.model_dump(mode="json", exclude=free)
    started = parse(
        type(config), json.loads(path.read_text(encoding="utf-8")), str(path)
    )  # with defaults of new fields
    before = started.model_dump(mode="json", exclude=free)
    changed = sorted(k for k in now if now[k] != before[k])
    if changed:
        raise ConfigError(
            f"{path.parent}: the run there was started with other values of {', '.join(changed)}; resume it with the "
            "config it has, or start a new one elsewhere."
        )

"""What became of the members of a committee, as files: one of all, and one in each member's folder.

Paths are relative to the file that names them, so that a moved committee stays whole.

Source of the layout: the public documentation of aenet-python's `TorchCommitteePotential`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from itertools import zip_longest
from pathlib import Path
from typing import Any

from alignn_ff.errors import AlignnFFError
from alignn_ff.files import write_text
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.members import Ending
from alignn_ff.training.record import PATHS

METADATA, SUMMARY = "committee_metadata.json", "summary.json"
_SCHEMA_VERSION = "1.0"
_FILES = {
    "model_path": "best_model.safetensors",
    "history_json_path": "history.jsonl",
    "history_csv_path": "history.csv",
}


def member_folder(folder: Path, place: int) -> Path:
    """Where a member is trained."""
    return folder / f"member_{place:03d}"


def write_committee(
    folder: Path, config: TrainConfig, members: Sequence[TrainConfig], endings: Sequence[Ending]
) -> None:
    """Write `committee_metadata.json`, and a `summary.json` to each member that was begun."""
    rows = []
    for place, (member, ending) in enumerate(zip_longest(members, endings)):
        own = Path(member.output_dir)
        row = _summary(place, member, ending)
        if own.is_dir():
            write_text(own / SUMMARY, json.dumps(row | _files(own, own), indent=1))
        rows.append(row | {"member_dir": own.name} | _files(own, folder))
    told = {
        "schema_version": _SCHEMA_VERSION,
        "timestamp": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "execution_mode": "parallel" if config.committee_parallel > 1 else "sequential",
        "committee_config": {
            "num_members": config.committee_size,
            "base_seed": config.random_seed,
            "split_seed": members[0].split_seed,
            "max_parallel": config.committee_parallel,
        },
        "training_config": config.model_dump(mode="json", exclude=PATHS),
        "members": rows,
        "failures": [row for row in rows if row["status"] == "failed"],
    }
    write_text(folder / METADATA, json.dumps(told, indent=1))


def _summary(place: int, member: TrainConfig, ending: Ending | None) -> dict[str, Any]:
    row = {
        "member_index": place,
        "seed": member.random_seed,
        "split_seed": member.split_seed,
        "device": member.device,
    }
    if isinstance(ending, AlignnFFError):
        return {**row, "status": "failed", "error": f"{type(ending).__name__}: {ending}", "metrics": {}}
    status = "not begun" if ending is None else "completed" if ending.finished else "interrupted"
    return {**row, "status": status, "error": None, "metrics": {} if ending is None else _metrics(ending.best)}


def _metrics(best: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of the best epoch; null for what is not finite."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in best.items()
    }


def _files(own: Path, base: Path) -> dict[str, str | None]:
    """Paths of a member's files, from `base`; null for those that are not there."""
    return {
        name: (own / file).relative_to(base).as_posix() if (own / file).is_file() else None
        for name, file in _FILES.items()
    }

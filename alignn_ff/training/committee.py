"""Training of one potential or of a committee: the same data and split, seeds counted up, the mean of all shipped."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.device import choose_device
from alignn_ff.files import output_folder
from alignn_ff.models import Committee
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loop import TrainResult, train_one, validate
from alignn_ff.training.outcome import write_reports
from alignn_ff.training.prepare import prepare
from alignn_ff.training.ranks import training_ranks
from alignn_ff.training.record import Record, SilentRecord
from alignn_ff.training.run import budget_of
from alignn_ff.training.stages import loss_at
from alignn_ff.training.warm_start import settled


def train(config: TrainConfig, *, overwrite: bool = False, resume: bool = False, progress: bool = False) -> TrainResult:
    """Fit a potential, or a committee of them, each in a folder `member_K` of its own; write all to `output_dir`.

    Args:
        overwrite: files of an earlier run there may be replaced.
        resume: go on with the run that stands there, bit-equal to one never interrupted (on the CPU).
        progress: draw bars.
    Raises:
        ConfigError, DataError: what was asked for cannot be done with these data.
        OutputExistsError: the folder holds a run and neither `overwrite` nor `resume` was given.
    """
    config = settled(config)
    with training_ranks(config) as ranks:
        if config.committee_size == 1:
            return train_one(config, overwrite=overwrite, resume=resume, progress=progress, ranks=ranks)
        writing = output_folder(config.output_dir, reuse=overwrite or resume)
        with writing if ranks.writes else nullcontext(Path(config.output_dir)) as folder:
            record = Record(folder, config) if ranks.writes else SilentRecord(folder, config)
            record.check_config() if resume else record.write_config()
            members = [_member(config, folder, place) for place in range(config.committee_size)]
            for member in members:
                started = resume and Record(Path(member.output_dir), member).is_started()
                how = {"overwrite": overwrite or not started, "resume": started, "progress": progress}
                result = train_one(member, **how, ranks=ranks)
                if not result.finished:
                    return TrainResult(str(folder), result.best, finished=False)
            best = ranks.from_writer(_join(config, members, record) if ranks.writes else None)
            return TrainResult(str(folder), best, finished=True)


def _member(config: TrainConfig, folder: Path, place: int) -> TrainConfig:
    """The config of one member: a seed of its own for weights and batches, the split that all share."""
    own = {
        "committee_size": 1,
        "random_seed": config.random_seed + place,
        "split_seed": config.random_seed if config.split_seed is None else config.split_seed,
        "output_dir": str(folder / f"member_{place}"),
    }
    return config.model_copy(update=own)


def _join(config: TrainConfig, members: list[TrainConfig], record: Record) -> dict[str, Any]:
    """Ship the mean of the best models with its errors; returns them as a row."""
    best = [load_checkpoint(Path(m.output_dir) / "best_model.safetensors").potential for m in members]
    data, device, budget = prepare(members[0]), choose_device(config.device), budget_of(config)
    committee = Committee(best).to(device).eval()
    errors = validate(committee, data.val, budget, device, loss_at(config, config.epochs - 1))
    row = {"epoch": config.epochs, "members": len(best), **errors}
    record.save_model("best_model", committee, row, data.facts)
    write_reports(record, data, budget, device)
    return row

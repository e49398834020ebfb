"""Training of one potential or of a committee: the same data and split, seeds counted up, the mean of all shipped."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.device import choose_device
from alignn_ff.errors import AlignnFFError, CommitteeError, ConfigError, RunawayError
from alignn_ff.files import output_folder
from alignn_ff.models import Committee
from alignn_ff.training.committee_record import member_folder, write_committee
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.loop import TrainResult, train_one, validate
from alignn_ff.training.members import Ending, Manner, train_at_once, train_member
from alignn_ff.training.outcome import write_reports
from alignn_ff.training.prepare import prepare
from alignn_ff.training.ranks import Ranks, training_ranks
from alignn_ff.training.record import Record, SilentRecord
from alignn_ff.training.run import budget_of
from alignn_ff.training.stages import loss_at
from alignn_ff.training.warm_start import settled


def train(config: TrainConfig, *, overwrite: bool = False, resume: bool = False, progress: bool = False) -> TrainResult:
    """Fit a potential, or a committee of them, each in a folder `member_000` and on; write all to `output_dir`.

    Args:
        overwrite: files of an earlier run there may be replaced.
        resume: go on with the run that stands there, bit-equal to one never interrupted (on the CPU).
        progress: draw bars.
    Raises:
        ConfigError, DataError: what was asked for cannot be done with these data.
        OutputExistsError: the folder holds a run and neither `overwrite` nor `resume` was given.
        CommitteeError: members of a committee failed; the others are kept.
    """
    config = settled(config)
    manner = Manner(overwrite, resume, progress)
    with training_ranks(config) as ranks:
        if config.committee_size == 1:
            return train_one(config, **manner._asdict(), ranks=ranks)
        return _train_all(config, manner, ranks)


def _train_all(config: TrainConfig, manner: Manner, ranks: Ranks) -> TrainResult:
    if ranks.size > 1 and config.committee_parallel > 1:
        raise ConfigError(
            "committee_parallel trains members in processes of their own, torchrun trains each in several; use one of "
            "them: set committee_parallel to 1, or leave torchrun out."
        )
    writing = output_folder(config.output_dir, reuse=manner.overwrite or manner.resume)
    with writing if ranks.writes else nullcontext(Path(config.output_dir)) as folder:
        record = Record(folder, config) if ranks.writes else SilentRecord(folder, config)
        record.check_config() if manner.resume else record.write_config()
        members = [_member(config, folder, place) for place in range(config.committee_size)]
        endings = _endings(config, members, manner, ranks)
        if ranks.writes:
            write_committee(folder, config, members, endings)
        results = _results(endings, folder)
        if not all(result.finished for result in results):
            return TrainResult(str(folder), results[-1].best, finished=False)
        best = ranks.from_writer(_join(config, members, record) if ranks.writes else None)
        return TrainResult(str(folder), best, finished=True)


def _endings(config: TrainConfig, members: Sequence[TrainConfig], manner: Manner, ranks: Ranks) -> list[Ending]:
    """How each member's training went, up to the first that was interrupted."""
    if config.committee_parallel > 1:
        return train_at_once(members, config.committee_parallel, manner)
    endings: list[Ending] = []
    for member in members:
        try:
            result = train_member(member, manner, ranks)
        except RunawayError as error:  # of this seed; what is wrong with config or data is so for all
            endings.append(error)
            continue
        endings.append(result)
        if not result.finished:
            break
    return endings


def _results(endings: Sequence[Ending], folder: Path) -> list[TrainResult]:
    """The endings, none of which may be a failure."""
    failed = {place: ending for place, ending in enumerate(endings) if isinstance(ending, AlignnFFError)}
    for first in failed.values():
        if not isinstance(first, RunawayError | CommitteeError):
            raise first  # the others say the same
        raise CommitteeError(
            f"member {', '.join(map(str, failed))} of {len(endings)} failed: {first} The others are kept in {folder}; "
            "once the reason is gone, --resume goes on with what is missing."
        )
    return [ending for ending in endings if isinstance(ending, TrainResult)]


def _member(config: TrainConfig, folder: Path, place: int) -> TrainConfig:
    """The config of one member: a seed of its own for weights and batches, the split that all share."""
    own = {
        "committee_size": 1,
        "committee_parallel": 1,
        "random_seed": config.random_seed + place,
        "split_seed": config.random_seed if config.split_seed is None else config.split_seed,
        "output_dir": str(member_folder(folder, place)),
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

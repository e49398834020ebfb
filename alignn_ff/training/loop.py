"""The training loop: one for every model."""

from __future__ import annotations

import logging
import math
import time
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch

from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.device import choose_device
from alignn_ff.files import output_folder
from alignn_ff.memory import keep_freed_memory
from alignn_ff.models import Potential
from alignn_ff.progress import track
from alignn_ff.reports.figure import save_figure
from alignn_ff.reports.learning_curve import learning_curve_figure
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.interrupt import Interrupt, interruptible
from alignn_ff.training.loss import LossConfig, loss
from alignn_ff.training.metrics import Predicted, collect, predict_together, summary
from alignn_ff.training.optim import step_schedule, swap_in
from alignn_ff.training.outcome import write_reports
from alignn_ff.training.prepare import prepare
from alignn_ff.training.ranks import ALONE, Ranks
from alignn_ff.training.record import Record, SilentRecord
from alignn_ff.training.run import NO_SUMS, SUMS, Position, Run, start
from alignn_ff.training.stages import begins_at, last_start, loss_at
from alignn_ff.training.step import own_parts, step

log = logging.getLogger(__name__)


class TrainResult(NamedTuple):
    """How a run ended.

    Attributes:
        folder: of everything written.
        best: the row of the history whose weights are in `best_model.safetensors`.
        finished: False where it was interrupted and can be resumed.
    """

    folder: str
    best: dict[str, Any]
    finished: bool


def train_one(
    config: TrainConfig,
    *,
    overwrite: bool = False,
    resume: bool = False,
    progress: bool = False,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Fit a potential; write checkpoints, history and plots to `config.output_dir`.

    Args:
        overwrite: files of an earlier run there may be replaced.
        resume: go on with the run that stands there, bit-equal to one never interrupted (on the CPU).
        progress: draw a bar.
        ranks: this process among those that train together.
    Raises:
        ConfigError, DataError: what was asked for cannot be done with these data.
        OutputExistsError: the folder holds a run and neither `overwrite` nor `resume` was given.
    """
    keep_freed_memory()
    writing = output_folder(config.output_dir, reuse=overwrite or resume)
    with writing if ranks.writes else nullcontext(Path(config.output_dir)) as folder:
        return _train_in(folder, config, resume, progress, ranks)


def _train_in(folder: Path, config: TrainConfig, resume: bool, progress: bool, ranks: Ranks) -> TrainResult:
    with closing(Record(folder, config) if ranks.writes else SilentRecord(folder, config)) as record:
        if resume:
            record.check_resumable()
        device = choose_device(config.device, config.gpu_memory_fraction)
        data = prepare(config)
        run = start(config, data, record, device, ranks)
        if resume:
            run = run._replace(position=Position(**record.restore(data.potential, run.optim, run.sampler)))
            record.write_config()
        else:
            record.write_inputs(data.split)
        with interruptible() as interrupt, closing(run.forces.loader):
            finished = _fit(run, interrupt, progress and ranks.writes)
        return _finish(run, finished)


def _fit(run: Run, interrupt: Interrupt, progress: bool) -> bool:
    """Epochs until the last, an early stop or an interrupt (then False)."""
    config, position = run.config, run.position
    with track("training", config.epochs, done=position.epoch, show=progress) as advance:
        while position.epoch < config.epochs and not _stalled(run):
            started = time.perf_counter()
            complete = _epoch(run, interrupt)
            position.seconds += time.perf_counter() - started
            if not complete:
                run.record.save_state(asdict(position), run.data.potential, run.optim, run.sampler)
                return False
            row = _close_epoch(run)
            advance(note=_note(row))
    if position.epoch < config.epochs:
        log.info("no gain for %d epochs: stopped early", config.n_early_stopping)
    return True


def _stalled(run: Run) -> bool:
    """Whether the best epoch lies `n_early_stopping` epochs back."""
    patience = run.config.n_early_stopping
    since = max(run.position.best_epoch, last_start(run.config))
    return patience is not None and run.position.epoch - since >= patience


def _epoch(run: Run, interrupt: Interrupt) -> bool:
    """The rest of the present epoch; False where it was interrupted after a whole step."""
    position = run.position
    batches = run.data.train.pack(run.sampler.order(position.epoch), run.budget)
    run.forces.plan([part for batch in batches[position.batch :] for part in own_parts(run, batch)], position.epoch)
    while position.batch < len(batches):
        terms = step(run, batches[position.batch])
        position.sums = tuple(s + t / len(batches) for s, t in zip(position.sums, terms, strict=True))
        position.batch += 1
        if run.ranks.any(interrupt.requested) and position.batch < len(batches):
            return False
    return True


def _close_epoch(run: Run) -> dict[str, Any]:
    """Validate the averaged weights, keep them if they are the best, write the history."""
    config, position, potential = run.config, run.position, run.data.potential
    raw = swap_in(potential, run.optim.average.weights)
    row = run.ranks.from_writer(
        {
            "epoch": position.epoch + 1,
            "learning_rate": run.optim.optimizer.param_groups[0]["lr"],
            **dict(zip(SUMS, position.sums, strict=True)),
            **validate(potential, run.data.val, run.budget, run.device, loss_at(config, position.epoch), run.ranks),
        }
    )
    criterion = row.get("valid_loss", row["train_loss"])
    step_schedule(run.optim.schedule, validation_loss=criterion)
    if begins_at(config, position.epoch):
        position.best_loss = math.inf
    if criterion < position.best_loss:
        position.best_loss, position.best_epoch = criterion, position.epoch + 1
        run.record.save_model("best_model", potential, row, run.data.facts)
    run.record.save_model("current_model", potential, row, run.data.facts)
    swap_in(potential, raw)
    run.sampler.close_epoch()
    position.epoch, position.batch, position.sums = position.epoch + 1, 0, NO_SUMS
    row["seconds"] = round(position.seconds, 3)
    run.record.append(row)
    run.record.save_state(asdict(position), potential, run.optim, run.sampler)
    return row


def validate(
    potential: Potential,
    data: Dataset,
    budget: Budget,
    device: torch.device,
    form: LossConfig,
    ranks: Ranks = ALONE,
) -> dict[str, float]:
    """Loss and errors on `data` under names that start with `valid_`; empty where there are no data."""
    if len(data) == 0:
        return {}
    losses: list[float] = []

    def weighed(seen: Predicted) -> Predicted:  # batch by batch: all graphs at once may not fit into memory
        weights = data.weights(seen.indices, seen.graph.cell.device)
        terms = loss(seen.prediction, seen.targets, seen.graph, form, weights)
        losses.append(terms.total.item() * len(seen.indices))
        return seen

    errors = collect(map(weighed, predict_together(potential, data, budget, device, ranks)), data)
    row = {f"valid_{name}": value for name, value in summary(errors).items()}
    return {"valid_loss": sum(losses) / len(data), **row}


def _finish(run: Run, finished: bool) -> TrainResult:
    record, best = run.record, run.record.best_row(run.position.best_epoch)
    if record.rows and run.ranks.writes:
        save_figure(learning_curve_figure(record.rows), record.folder / "learning_curve.png")
    if finished and run.ranks.writes:
        write_reports(record, run.data, run.budget, run.device)
    return TrainResult(str(record.folder), best, finished)


def _note(row: dict[str, Any]) -> str:
    parts = [f"loss {row['train_loss']:.4f}"]
    for key, label, unit in (
        ("valid_energy_mae_mev_per_atom", "E", "meV/atom"),
        ("valid_force_mae_mev_per_a", "F", "meV/Å"),
        ("valid_stress_mae_gpa", "σ", "GPa"),
    ):
        if key in row:
            parts.append(f"{label} {row[key]:.3g} {unit}")
    return "  ".join(parts)

"""Training of a property model; why it is a loop of its own: docs/adr/006-property-models.md."""

from __future__ import annotations

import json
import logging
import math
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from alignn_ff.checkpoint import load_property_checkpoint, save_checkpoint
from alignn_ff.data.dataset import Budget
from alignn_ff.data.loading import Loader
from alignn_ff.data.split import save_split
from alignn_ff.device import choose_device, reduced_precision
from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.files import output_folder, write_text
from alignn_ff.graph import AtomGraph, atom_counts, edge_vectors
from alignn_ff.models import PropertyModel, Scores
from alignn_ff.progress import track
from alignn_ff.training.interrupt import Interrupt, interruptible
from alignn_ff.training.logs import NO_LOGS, Logs, check_installed
from alignn_ff.training.optim import Optim, build_optim, step_schedule, swap_in
from alignn_ff.training.property_config import PropertyTrainConfig
from alignn_ff.training.property_data import Part, PreparedProperty, prepare_property
from alignn_ff.training.property_loss import property_errors, property_loss
from alignn_ff.training.property_outcome import predicted_part, write_property_reports
from alignn_ff.training.record import check_same
from alignn_ff.training.sampling import epoch_generator
from alignn_ff.training.states import check_started, forget_states, keep_state, last_state
from alignn_ff.training.step import within_memory
from alignn_ff.training.storage import loading_of

log = logging.getLogger(__name__)

_CONFIG = "config.json"


class PropertyResult(NamedTuple):
    """How a run ended; as `TrainResult`."""

    folder: str
    best: dict[str, Any]
    finished: bool


@dataclass
class _Progress:
    """Where a run stands after a whole epoch."""

    epoch: int = 0
    best_loss: float = math.inf
    best_epoch: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)


class _Run(NamedTuple):
    config: PropertyTrainConfig
    data: PreparedProperty
    optim: Optim
    budget: Budget
    device: torch.device
    folder: Path
    progress: _Progress
    loader: Loader
    logs: Logs


def train_property(
    config: PropertyTrainConfig, *, overwrite: bool = False, resume: bool = False, progress: bool = False
) -> PropertyResult:
    """Fit a property model; write checkpoints, history, errors and predictions to `config.output_dir`.

    Args:
        overwrite: files of an earlier run there may be replaced.
        resume: go on after the last whole epoch of the run that stands there, bit-equal to one never interrupted.
        progress: draw a bar.
    Raises:
        ConfigError, DataError: what was asked for cannot be done with these data.
        OutputExistsError: the folder holds a run and neither `overwrite` nor `resume` was given.
    """
    check_installed(config.loggers)
    with output_folder(config.output_dir, reuse=overwrite or resume) as folder:
        if resume:
            check_started(folder)
            check_same(config, folder / _CONFIG)
        device = choose_device(config.device, config.gpu_memory_fraction)
        run = _start(config, prepare_property(config), device, folder)
        if resume:
            run = run._replace(progress=_restore(run))
        else:
            forget_states(folder)
            save_split(run.data.split, folder / "ids_train_val_test.json")
        write_text(folder / _CONFIG, json.dumps(config.model_dump(mode="json"), indent=2))
        logs = Logs(config.loggers, folder, config.model_dump(mode="json"), run.progress.epoch)
        run = run._replace(logs=logs)
        with closing(logs), closing(run.loader), interruptible() as interrupt:
            finished = _fit(run, interrupt, progress)
        if finished:
            _report(run)
        best = next((row for row in run.progress.rows if row["epoch"] == run.progress.best_epoch), {})
        return PropertyResult(str(folder), best, finished)


def _start(config: PropertyTrainConfig, data: PreparedProperty, device: torch.device, folder: Path) -> _Run:
    """A run before its first step."""
    data.model.to(device)
    budget = Budget(config.batch_size, config.batch_atoms)
    steps = len(data.train.batches(budget, epoch_generator(config.random_seed, 0)))
    optim, loader = build_optim(config, data.model, steps), Loader(data.train.data, loading_of(config))
    return _Run(config, data, optim, budget, device, folder, _Progress(), loader, NO_LOGS)


def predict_part(model: PropertyModel, part: Part, budget: Budget, device: torch.device) -> np.ndarray:
    """Predicted values of every structure of a part, [n, K]."""
    model.eval()
    with torch.no_grad():
        found = [_scores(model, part.batch(batch, device)).scores.value for batch in part.batches(budget)]
    return torch.cat(found).cpu().numpy()


def _fit(run: _Run, interrupt: Interrupt, progress: bool) -> bool:
    """Epochs until the last, an early stop or an interrupt (then False)."""
    config, at = run.config, run.progress
    with track("training", config.epochs, done=at.epoch, show=progress) as advance:
        while at.epoch < config.epochs:
            if config.n_early_stopping is not None and at.epoch - at.best_epoch >= config.n_early_stopping:
                log.info("no gain for %d epochs: stopped early", config.n_early_stopping)
                break
            train_loss = _epoch(run, interrupt)
            if train_loss is None:
                return False
            row = _close_epoch(run, train_loss)
            advance(note=_note(row))
    return True


def _epoch(run: _Run, interrupt: Interrupt) -> float | None:
    """Mean loss over the batches of an epoch; None where it was interrupted, and will be done again."""
    run.data.model.train()
    batches = run.data.train.batches(run.budget, epoch_generator(run.config.random_seed, run.progress.epoch))
    run.loader.plan(batches)
    total = 0.0
    for batch in batches:
        if interrupt.requested:
            return None
        total += _step(run, batch) / len(batches)
    return total


def _step(run: _Run, batch: list[int]) -> float:
    optim, model = run.optim, run.data.model
    optim.optimizer.zero_grad()
    loss = within_memory(lambda: _followed(run, batch))
    if loss is None:
        raise ConfigError(
            f"memory ran out on a batch of {len(batch)} structures. Lower batch_size, or bound batch_atoms: a model "
            "with BatchNorm cannot learn from a batch in halves."
        )
    if run.config.gradient_clip is not None:
        nn.utils.clip_grad_norm_(model.parameters(), run.config.gradient_clip)
    optim.optimizer.step()
    step_schedule(optim.schedule)
    optim.average.update(model)
    return loss


def _followed(run: _Run, batch: list[int]) -> float:
    """The loss of a batch, its gradient left in the weights."""
    with reduced_precision(run.device, run.config.use_amp):
        loss, scores = _loss(run, run.data.train.batch(batch, run.device, run.loader))
    if not bool(torch.isfinite(loss)):
        raise RunawayError(
            f"the loss is {loss.item()} in epoch {run.progress.epoch + 1}; {_blame(run, batch, scores)}. The models of "
            f"the epoch before are kept in {run.folder}. Look for labels that are far off, or lower learning_rate or "
            "gradient_clip."
        )
    loss.backward()
    return loss.item()


def _blame(run: _Run, batch: list[int], scores: Scores) -> str:
    """Which structures of a batch have a prediction that is not finite, or else the largest label."""
    part = run.data.train
    keys = [part.data.outline.key[i] for i in batch]
    sound = torch.isfinite(scores.raw).all(1).tolist()
    wrong = [key for key, fine in zip(keys, sound, strict=True) if not fine]
    if wrong:
        return f"predictions are not finite for {', '.join(wrong[:5])}{', …' if len(wrong) > 5 else ''}"
    largest = int(part.labels[batch].abs().amax(1).argmax())
    return f"the largest label of the batch is that of {keys[largest]}, {part.labels[batch[largest]].tolist()}"


class _Seen(NamedTuple):
    """Scores of a batch beside its labels [G, K] and the atoms of each structure [G]."""

    scores: Scores
    labels: torch.Tensor
    atoms: torch.Tensor


def _scores(model: PropertyModel, batch: tuple[AtomGraph, torch.Tensor]) -> _Seen:
    graph, labels = batch
    return _Seen(model(graph, edge_vectors(graph).to(model.dtype)), labels, atom_counts(graph))


def _loss(run: _Run, batch: tuple[AtomGraph, torch.Tensor]) -> tuple[torch.Tensor, Scores]:
    model, config = run.data.model, run.config
    scores, labels, atoms = _scores(model, batch)
    scale = run.data.scale.to(run.device)
    scale = scale * atoms[:, None] if config.normalize_graph_level_loss else scale
    return property_loss(scores, labels, model.kind, config.criterion, scale), scores


def _close_epoch(run: _Run, train_loss: float) -> dict[str, Any]:
    """Validate the averaged weights, keep them if they are the best, write history and state."""
    at, model = run.progress, run.data.model.eval()
    raw = swap_in(model, run.optim.average.weights)
    row = {"epoch": at.epoch + 1, "learning_rate": run.optim.optimizer.param_groups[0]["lr"], "train_loss": train_loss}
    row |= _validate(run)
    criterion = row.get("valid_loss", train_loss)
    step_schedule(run.optim.schedule, validation_loss=criterion)
    names = ["current_model"]
    if criterion < at.best_loss:
        at.best_loss, at.best_epoch, names = criterion, at.epoch + 1, ["best_model", "current_model"]
    excluded = {"output_dir", "data", "validation_data"}  # paths belong to one machine
    facts = {**run.data.facts, "training": {"config": run.config.model_dump(mode="json", exclude=excluded), **row}}
    for name in names:
        save_checkpoint(run.folder / f"{name}.safetensors", model, facts)
    swap_in(model, raw)
    at.epoch += 1
    at.rows.append(row)
    _save(run)
    run.logs.write(row)
    return row


def _validate(run: _Run) -> dict[str, float]:
    """Loss and errors on the validation part, under names that start with `valid_`; empty where there is none."""
    part, model = run.data.val, run.data.model
    if not len(part.labels):
        return {}
    losses, values = [], []
    with torch.no_grad():
        for batch in part.batches(run.budget):
            loss, scores = _loss(run, part.batch(batch, run.device))
            losses.append(loss.item() * len(batch))
            values.append(scores.value.cpu())
    errors = property_errors(torch.cat(values).numpy(), part.labels.numpy(), model.kind, run.data.baseline.numpy())
    return {"valid_loss": sum(losses) / len(part.labels), **{f"valid_{k}": v for k, v in errors.items()}}


def _report(run: _Run) -> None:
    """Errors and predictions of the best model on validation and test data."""
    best = load_property_checkpoint(run.folder / "best_model.safetensors")
    model, baseline = best.model.to(run.device), run.data.baseline.numpy()
    parts = [
        predicted_part(name, part, predict_part(model, part, run.budget, run.device), model.kind, baseline)
        for name, part in (("validation", run.data.val), ("test", run.data.test))
        if len(part.labels)
    ]
    write_property_reports(run.folder, best, parts, run.progress.rows, run.config)


def _save(run: _Run) -> None:
    """History, and everything a resumed run needs to be the same run."""
    write_text(run.folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in run.progress.rows))
    state = {
        "progress": asdict(run.progress),
        "model": run.data.model.state_dict(),
        **run.optim.state_dict(),
    }
    keep_state(run.folder, state)


def _restore(run: _Run) -> _Progress:
    """Put back what `_save` kept; returns where the run stands."""
    state = last_state(run.folder)
    run.data.model.load_state_dict(state["model"])
    run.optim.load_state_dict(state)
    return _Progress(**state["progress"])


def _note(row: dict[str, Any]) -> str:
    seen = [f"{name} {row[f'valid_{name}']:.4g}" for name in ("mae", "accuracy") if f"valid_{name}" in row]
    return "  ".join([f"loss {row['train_loss']:.4f}", *seen])

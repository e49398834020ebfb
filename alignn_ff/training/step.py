"""One step of a training: predict a batch, compare, follow the gradient."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.io import Targets
from alignn_ff.training.loss import LossConfig, Sums, mean_loss, summed_loss
from alignn_ff.training.metrics import Predicted, blame
from alignn_ff.training.optim import step_schedule
from alignn_ff.training.ranks import deal
from alignn_ff.training.run import Run

log = logging.getLogger(__name__)

T = TypeVar("T")


class _Part(NamedTuple):
    """A prediction of structures of a batch, and what it adds to the loss."""

    seen: Predicted
    sums: Sums


def step(run: Run, indices: list[int]) -> list[float]:
    """Learn from one batch, of which each process takes its share; returns the loss terms of all as numbers.

    Raises:
        RunawayError: the loss is not finite; names structures.
        ConfigError: memory runs out on half a share.
    """
    optim, potential = run.optim, run.data.potential
    terms = _gradients(run, indices)
    if run.config.gradient_clip is not None:
        nn.utils.clip_grad_norm_(potential.parameters(), run.config.gradient_clip)
    optim.optimizer.step()
    step_schedule(optim.schedule)
    optim.average.update(potential)
    return terms


def _gradients(run: Run, batch: list[int]) -> list[float]:
    """Leave the gradient of the loss of a batch in the weights; where memory runs out, in halves from then on.

    Halves add up to the same gradient: the loss of the whole batch is known before either is followed.
    """
    terms = _tried(run, batch, own_parts(run, batch))
    if terms is None and not run.position.halves:
        run.position.halves = True
        log.warning("memory ran out on a batch of %d structures; each is learned from in two halves now", len(batch))
        terms = _tried(run, batch, own_parts(run, batch))
    if terms is None:
        raise ConfigError(
            f"memory ran out on a batch of {len(batch)} structures, also in halves. Lower batch_size, or bound "
            "batch_atoms or batch_edges."
        )
    return terms


def own_parts(run: Run, batch: list[int]) -> list[list[int]]:
    """The share of this process, in one part or in two."""
    own = _dealt(run, batch, run.ranks.size)[run.ranks.rank]
    return [part for part in _dealt(run, own, 2) if part] if run.position.halves else [own]


def _dealt(run: Run, indices: list[int], hands: int) -> list[list[int]]:
    return deal(indices, [run.data.train.outline.atoms[i] for i in indices], hands)


def _tried(run: Run, batch: list[int], parts: list[list[int]]) -> list[float] | None:
    """The loss terms, their gradient left in the weights; None where memory ran out in any process.

    A single part is learned from as it is predicted; of several each is predicted once more, so that one at a time is
    held to learn from.
    """
    form, ranks = run.forces.loss(batch, run.position.epoch), run.ranks
    run.optim.optimizer.zero_grad()
    single = len(parts) <= 1
    found = within_memory(lambda: [_predicted(run, batch, part, form, learn=single) for part in parts or [[]]])
    if ranks.any(found is None):
        return None
    assert found is not None
    whole = _added([part.sums for part in found], ranks.sum)
    terms = [term.item() for term in mean_loss(whole, form)]
    if not math.isfinite(terms[0]):
        raise _runaway(run, terms[0], found)
    followed = within_memory(lambda: _follow(run, batch, found if single else parts, whole, form))
    if ranks.any(followed is None):
        return None
    ranks.add_gradients(run.data.potential)
    run.sampler.observe(*(part.seen for part in found))
    return terms


def _predicted(run: Run, batch: list[int], indices: list[int], form: LossConfig, *, learn: bool) -> _Part:
    """The prediction of some structures; without any, that of one whose labels count for nothing."""
    epoch, data = run.position.epoch, run.data
    seen = run.forces.predict(data.potential, indices or batch[:1], epoch, run.device, learn=learn)
    if not indices:
        seen = seen._replace(targets=Targets(*(torch.full_like(t, torch.nan) for t in seen.targets)))
    weights = data.train.weights(seen.indices, run.device)
    return _Part(seen, summed_loss(seen.prediction, seen.targets, seen.graph, form, weights))


def _follow(run: Run, batch: list[int], parts: Sequence[_Part | list[int]], whole: Sums, form: LossConfig) -> bool:
    """Add the gradient of each part's share in the loss of the whole to the weights."""
    for part in parts:
        predicted = part if isinstance(part, _Part) else _predicted(run, batch, part, form, learn=True)
        costs = predicted.sums.costs
        # the loss of the whole, of which this part alone has a slope
        mean_loss(Sums(costs + (whole.costs - costs.detach()), whole.counts), form).total.backward()
    return True


def _added(sums: Sequence[Sums], over_ranks: Callable[[Tensor], Tensor]) -> Sums:
    """The sums of a whole batch, without a gradient."""
    stacked = torch.stack([torch.stack([each.costs.detach(), each.counts]) for each in sums]).sum(0)
    return Sums(*over_ranks(stacked))


def within_memory(work: Callable[[], T]) -> T | None:
    """What `work` gives; None where memory runs out, which is then free again."""
    try:
        return work()
    except RuntimeError as error:  # of CUDA it is a class of its own, of the CPU a message alone
        if not isinstance(error, torch.cuda.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
    torch.cuda.empty_cache()
    return None


def _runaway(run: Run, loss: float, parts: Sequence[_Part]) -> RunawayError:
    worst = next((p for p in parts if not bool(torch.isfinite(p.sums.costs).all())), parts[0])
    return RunawayError(
        f"the loss is {loss} in epoch {run.position.epoch + 1}; {blame(worst.seen, run.data.train)}. The models of the "
        f"epoch before are kept in {run.record.folder}. Look for labels that are far off, or lower learning_rate or "
        "gradient_clip."
    )

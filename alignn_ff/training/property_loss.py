"""Loss and errors of a property model: one likelihood a kind, and the numbers people compare."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alignn_ff.models import Scores
from alignn_ff.models.property import Kind

ERROR_COSTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mse": functional.mse_loss,
    "l1": functional.l1_loss,
    "huber": functional.huber_loss,
}
"""Criterion: mean cost of scaled errors beside zeros."""


def property_loss(scores: Scores, labels: Tensor, kind: Kind, criterion: str, scale: Tensor) -> Tensor:
    """How unlikely the labels are.

    Values: mean square or absolute error, or Huber's between them, square up to one `scale`; counts: that of a Poisson
    distribution, μ - y ln μ + ln y!. Classes: negative log-likelihood. Values many of which are zero: that of being
    zero or not, and for the others that of a gamma distribution, y/μ + ln μ, whose shape does not move the mean it
    asks for (McCullagh, Nelder, Generalized Linear Models, 1989, ch. 6 and 8).

    Args:
        labels: [G, K] values, or [G, 1] numbers of classes.
        criterion: "mse", "l1", "huber" or "poisson", of values.
        scale: of each value [K], or of each structure and value [G, K], in which errors of values are counted.
    """
    labels = labels.to(scores.raw.dtype)
    if kind == "classes":
        return functional.nll_loss(scores.raw, labels[:, 0].to(torch.int64))
    if kind == "zero_inflated":
        logit, log_mean = scores.raw.chunk(2, dim=1)
        there = labels > 0
        whether = functional.binary_cross_entropy_with_logits(logit, there.to(logit.dtype))
        size = torch.where(there, labels * torch.exp(-log_mean) + log_mean, 0.0).mean()
        return whether + size
    if criterion == "poisson":
        log_mean = scores.value.clamp(min=torch.finfo(labels.dtype).tiny).log()
        return (scores.value - labels * log_mean + torch.lgamma(labels + 1.0)).mean()
    error = (scores.value - labels) / scale
    return ERROR_COSTS[criterion](error, torch.zeros_like(error))


def property_errors(values: np.ndarray, labels: np.ndarray, kind: Kind, baseline: np.ndarray) -> dict[str, float]:
    """MAE, RMSE and R², beside the MAE of one who always says the mean of the training labels; or those of classes.

    Args:
        values: [n, K] predicted values, or probabilities of classes.
        labels: [n, K] values, or [n, 1] numbers of classes.
        baseline: [K] mean of the training labels, or shares of the classes.
    """
    if kind == "classes":
        return _class_errors(values, labels[:, 0].astype(int), baseline)
    error = values - labels
    spread = float(((labels - labels.mean(0)) ** 2).sum())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": float(np.sqrt((error**2).mean())),
        "r2": 1.0 - float((error**2).sum()) / spread if spread > 0 else float("nan"),
        "baseline_mae": float(np.abs(baseline - labels).mean()),
    }


def _class_errors(probabilities: np.ndarray, classes: np.ndarray, shares: np.ndarray) -> dict[str, float]:
    own = probabilities[np.arange(len(classes)), classes]
    curves = [roc_auc(probabilities[:, k], classes == k) for k in range(probabilities.shape[1])]
    known = [area for area in curves if np.isfinite(area)]
    return {
        "accuracy": float((probabilities.argmax(1) == classes).mean()),
        "roc_auc": float(np.mean(known)) if known else float("nan"),
        "log_loss": float(-np.log(np.clip(own, 1e-15, None)).mean()),
        "baseline_accuracy": float((classes == int(shares.argmax())).mean()),
    }


def roc_auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counted half; NaN where there is only one of the two.

    The area under the ROC curve is the Mann-Whitney statistic (Hanley, McNeil, Radiology 143, 29, 1982).
    """
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    return float((rank[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))

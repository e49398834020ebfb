"""Which labels a config has read, and whether they are what its loss and its model ask for."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import torch

from alignn_ff.data.sources import Keys, Sample
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.models import Potential
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.stages import largest_weights

log = logging.getLogger(__name__)

_OUTPUTS = {"atomwise": "atomwise_weight", "additional": "additional_output_weight"}
"""Values of atoms and of structures beside energies, and the weight of their loss."""


def keys_of(config: TrainConfig) -> Keys:
    """Names of the labels; of those that not every potential learns only where their loss has a weight, and of extra
    features only where the model wants them."""
    loss = largest_weights(config)
    return Keys(
        energy=config.energy_key,
        forces=config.forces_key,
        stress=config.stress_key,
        stress_unit=config.stress_unit,
        group=config.group_key,
        family=config.split_group_key,
        atom_energy=config.atom_energy_key if loss.atom_energy_weight else None,
        weight=config.weight_key,
        atomwise=config.atomwise_key if loss.atomwise_weight else (),
        additional=config.additional_key if loss.additional_output_weight else (),
        extra_features=config.extra_features_key if config.model.get("extra_features") else None,
    )


def check_outputs(config: TrainConfig) -> None:
    """Say no to a loss of outputs that the model does not have; warn of those it has that are not learned, and of extra
    features of which little is left.

    Raises:
        ConfigError: names the weight and the field of the model.
    """
    loss = largest_weights(config)
    for of, weight in _OUTPUTS.items():
        learned, count = bool(getattr(loss, weight)), config.model.get(f"{of}_output_features", 0)
        if learned and not count:
            raise ConfigError(
                f"loss.{weight} is {getattr(loss, weight)}, but the model has no such outputs. Set "
                f"model.{of}_output_features to how many there are, or the weight to 0."
            )
        if count and not learned:
            log.warning("loss.%s is 0: the model's %s outputs are not learned", weight, of)
    told = config.model.get("extra_features", 0)
    if config.model.get("mode") == "legacy" and told in (1, 2):
        log.warning(
            "in legacy mode a LayerNorm leaves nothing of 1 extra feature, and of 2 no more than which is larger, as "
            "in upstream; the model is told %d. mode: sound is told the numbers",
            told,
        )


def check_labels(samples: Sequence[Sample], config: TrainConfig) -> None:
    """Say no where the loss weighs what no structure is labelled with; warn of forces that are not learned.

    Raises:
        DataError: names the label.
    """
    loss = largest_weights(config)
    weights = {
        "energy": loss.energy_weight,
        "forces": loss.force_weight,
        "stress": loss.stress_weight,
        "atom_energy": loss.atom_energy_weight,
        **{of: getattr(loss, weight) for of, weight in _OUTPUTS.items()},
    }
    for name, weight in weights.items():
        if weight and not any(bool(torch.isfinite(getattr(s.targets, name)).any()) for s in samples):
            raise DataError(
                f"the loss weighs {name}, but no training structure has any. Check the label's name "
                f"(`{name}_key`) or set its weight to 0."
            )
    if not loss.force_weight and any(bool(torch.isfinite(s.targets.forces).any()) for s in samples):
        log.warning("loss.force_weight is 0: the forces that structures are labelled with will not be learned")


def check_widths(samples: Iterable[Sample], potential: Potential, keys: Keys) -> None:
    """Say no to structures with more or fewer values than a potential gives; those not asked for are not looked at.

    Raises:
        DataError: names the structure.
    """
    if not (keys.atomwise or keys.additional):
        return
    for sample in samples:
        for of in _OUTPUTS:
            found, expected = getattr(sample.targets, of).shape[1], len(getattr(potential, f"{of}_names"))
            if found not in (0, expected):
                raise DataError(
                    f"structure {sample.key} has {found} {of} values, and the model gives {expected}. Set "
                    f"model.{of}_output_features to {found}, or {of}_key to the names of what is to be learned."
                )


def check_extra_features(samples: Iterable[Sample], width: int) -> None:
    """Say no to structures that are told something else than a model wants; one that wants nothing is not told.

    Raises:
        DataError: names the structure.
    """
    for sample in samples if width else ():
        told = sample.graph.extra_features
        found = 0 if told is None else told.shape[1]
        if found != width:
            raise DataError(
                f"structure {sample.key} has {found or 'no'} extra features, and the model wants {width}. Set "
                "model.extra_features to how many there are, and extra_features_key to their name in the data."
            )


def extra_features_of(samples: Sequence[Sample]) -> torch.Tensor | None:
    """The extra features of structures [G, X]; None where they are told none."""
    told = [sample.graph.extra_features for sample in samples if sample.graph.extra_features is not None]
    return torch.cat(told) if told else None


def warn_of_constant_features(rows: torch.Tensor | None) -> None:
    """Warn of extra features [G, X] that never vary."""
    same = [] if rows is None else torch.nonzero((rows == rows[0]).all(0)).squeeze(1).tolist()
    if same:
        log.warning(
            "extra features %s (counted from 0) are the same in all training structures: what they do is not learned",
            ", ".join(map(str, same)),
        )

"""Weights that a training leaves as they are."""

from __future__ import annotations

import re
from collections.abc import Sequence

from alignn_ff.errors import ConfigError, did_you_mean
from alignn_ff.models import Potential

_PLACE = re.compile(r"^terms\.\d+\.")


def freeze(potential: Potential, modules: Sequence[str]) -> None:
    """Take the weights of these modules, named as in the network (`embedding`, `layers.0`), out of the training.

    Raises:
        ConfigError: no module of that name, or nothing is left to learn.
    """
    weights = {_PLACE.sub("", name): weight for name, weight in potential.named_parameters()}
    for module in modules:
        chosen = [name for name in weights if name == module or name.startswith(f"{module}.")]
        if not chosen:
            known = sorted({name.split(".")[0] for name in weights})
            raise ConfigError(
                f"freeze: the model has no module {module!r}{did_you_mean(module, known)}; it has {', '.join(known)}."
            )
        for name in chosen:
            weights[name].requires_grad_(False)
    if not any(weight.requires_grad for weight in weights.values()):
        raise ConfigError("freeze: nothing is left to learn; name fewer modules.")

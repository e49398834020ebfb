"""Named sets of fields, and what a config file says once they and upstream's names are resolved."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from alignn_ff.errors import ConfigError, did_you_mean
from alignn_ff.training.upstream_config import from_upstream, is_upstream

PRESETS: dict[str, dict[str, Any]] = {
    "alignn-ff": {
        "model": {
            "name": "alignn_atomwise",
            "mode": "sound",
            "cutoff": 5.0,
            "three_body_cutoff": 3.5,
            "alignn_layers": 2,
            "gcn_layers": 2,
            "embedding_features": 64,
            "hidden_features": 64,
        },
        "loss": {"criterion": "l1", "energy_weight": 1.0, "force_weight": 1.0, "stress_weight": 0.0},
        "epochs": 30,
        "batch_size": 16,
        "learning_rate": 0.001,
        "weight_decay": 1e-5,
        "scheduler": "onecycle",
    },
    "smooth": {
        "model": {
            "name": "alignn_smooth",
            "cutoff": 5.0,
            "hidden_features": 64,
            "message_features": 48,
            "density_channels": 16,
            "radial_functions": 6,
        },
        "loss": {"criterion": "huber", "energy_weight": 4.0, "force_weight": 1.0, "stress_weight": 0.5},
        "epochs": 70,
        "batch_size": 4,
        "learning_rate": 0.003,
        "weight_decay": 0.03,
        "scheduler": "cosine",
        "ema_decay": 0.995,
    },
}
"""`alignn-ff`: the defaults of upstream's force fields, on a sound graph. `smooth`: ours, for a first model; its stress
weight needs stress labels."""


PROPERTY_PRESETS: dict[str, dict[str, Any]] = {
    "alignn": {
        "model": {
            "name": "alignn",
            "mode": "sound",
            "alignn_layers": 4,
            "gcn_layers": 4,
            "edge_input_features": 80,
            "triplet_input_features": 40,
            "embedding_features": 64,
            "hidden_features": 256,
        },
        "criterion": "mse",
        "epochs": 300,
        "batch_size": 64,
        "learning_rate": 0.001,
        "weight_decay": 1e-5,
        "scheduler": "onecycle",
    },
}
"""`alignn`: the published property model and its fit (Choudhary, DeCost, npj Comput. Mater. 7, 185, 2021), on a sound
graph."""


def resolve(fields: Mapping[str, Any], folder: Path, ours: Collection[str]) -> dict[str, Any]:
    """Fields as the schema knows them: those of an upstream config translated, a `preset` filled in below the others.

    Args:
        folder: of the config file.
        ours: names of all fields of the schema.
    Raises:
        ConfigError: an unknown preset, or a field of an upstream config that cannot be honoured.
    """
    own = dict(fields)
    preset = own.pop("preset", None)
    if is_upstream(own):
        if preset is not None:
            raise ConfigError("an upstream config says all it means; leave `preset` out.")
        return from_upstream(own, folder, ours)
    return filled(own, preset, PRESETS)


def filled(own: dict[str, Any], preset: Any, presets: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """Fields with those of a preset below them; None is no preset.

    Raises:
        ConfigError: it is none of `presets`.
    """
    if preset is None:
        return own
    if preset not in presets:
        known = (*PRESETS, *PROPERTY_PRESETS)
        raise ConfigError(f"unknown preset {preset!r}{did_you_mean(str(preset), known)}: {', '.join(known)}.")
    return _merged(presets[preset], own)


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of both; a model of another name shares nothing with that of the preset."""
    found = {**below, **above}
    for name in ("model", "loss"):
        ours, theirs = below.get(name), above.get(name)
        if ours is not None and isinstance(theirs, Mapping):
            apart = name == "model" and theirs.get("name", ours["name"]) != ours["name"]
            found[name] = dict(theirs) if apart else {**ours, **theirs}
    return found

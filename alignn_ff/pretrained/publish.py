"""A legacy model as the two files that upstream's package loads."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import torch

from alignn_ff.errors import CheckpointError
from alignn_ff.files import atomic_path, prepare_folder, write_text
from alignn_ff.models import Potential, PropertyModel, build
from alignn_ff.models.layers.features import WIDTHS
from alignn_ff.pretrained.archive import CONFIG, WEIGHTS
from alignn_ff.pretrained.generations import complete
from alignn_ff.pretrained.publish_property import property_files, unused_layer
from alignn_ff.pretrained.upstream import GRAPH, PURE, SHARED, SMOOTH, describe, network_of
from alignn_ff.pretrained.upstream_property import ALIGNN

_AS_ALWAYS = {
    "output_features": 1,
    "link": "identity",
    "zero_inflated": False,
    "classification": False,
    "calculate_gradient": True,
    "gradwise_weight": 1.0,
    "stresswise_weight": 0.1,
    "add_reverse_forces": True,
    "batch_stress": True,
    "stress_multiplier": 1.0,
}
"""Fields of upstream's model that are the same for every force field here; without some there are no forces."""

_SPECIES_ROWS = 120
"""Rows of the table that upstream's pure models keep in its state dict."""


def save_upstream(folder: str | Path, model: Potential | PropertyModel, *, overwrite: bool = False) -> None:
    """Write best_model.pt and config.json; upstream then says what `model` says.

    Upstream's calculator refuses models by the name of alignn_atomwise_pure_smooth, and tells none its extra features;
    its model classes and trainer take the files.

    Raises:
        CheckpointError: upstream has no such model: one in sound mode, with reference energies, scaled by element.
        OutputExistsError: the folder holds files and `overwrite` was not given.
    """
    if isinstance(model, PropertyModel):
        config, state = property_files(model)
    else:
        config, state = upstream_config(model), dict(network_of(model).state_dict())
        if config["model"].get("extra_features"):
            state |= unused_layer(state, 1)
    if config["model"]["name"] in (PURE, SMOOTH):
        state = {"_species_table": torch.zeros(_SPECIES_ROWS, config["model"]["atom_input_features"]), **state}
    folder = prepare_folder(folder, reuse=overwrite)
    content = io.BytesIO()
    torch.save({"model": state} if config["model"]["name"] == ALIGNN else state, content)
    with atomic_path(folder / WEIGHTS) as draft:
        draft.write_bytes(content.getvalue())
    write_text(folder / CONFIG, json.dumps(config, indent=2))


def upstream_config(potential: Potential) -> dict[str, Any]:
    """The config.json that describes `potential`.

    Raises:
        CheckpointError: none does.
    """
    whole = potential.config
    outer: dict[str, Any] = whole if whole["name"] == "legacy_gradient" else {"potential": whole}
    terms = outer["potential"].get("terms", [outer["potential"]])
    first = terms[0]
    network = first["potential"] if first["name"] == "legacy_gradient" else first
    others = {term["name"]: term for term in terms[1:]}
    if network["name"] in SHARED and network["mode"] == "legacy" and network["atom_features"] != "learnt":
        config = _config(network, others)
        config["model"] |= {
            "energy_mult_natoms": first is network and network["name"] != SMOOTH,  # whose output is the total
            "force_mult_natoms": bool(outer.get("power", 0)),
            "grad_multiplier": -int(outer.get("factor", 1.0)),
        }
        understood = build(describe({**config, "model": complete(config["model"])}))
        if _bare(understood.config) == _bare(whole):
            return config
    raise CheckpointError(
        f"upstream has no model like this {whole['name']}: it knows published force fields in legacy mode, without "
        "reference energies and without a scale for each element."
    )


def _config(network: dict[str, Any], others: dict[str, dict[str, Any]]) -> dict[str, Any]:
    penalty, zbl = others.get("legacy_penalty"), others.get("legacy_zbl")
    model = {
        "name": network["name"],
        "atom_input_features": WIDTHS[network["atom_features"]],
        **_AS_ALWAYS,
        "use_penalty": penalty is not None,
        **{name: network[name] for name in SHARED[network["name"]]},
        "atomwise_weight": float(network["atomwise_output_features"] > 0),  # at 0 upstream leaves the output out
        "additional_output_weight": float(network["additional_output_features"] > 0),
    }
    if penalty is not None:
        model |= {"penalty_factor": penalty["factor"], "penalty_threshold": penalty["threshold"]}
    if network["name"] == PURE:
        model["three_body_cutoff"] = network["three_body_cutoff"] or network["cutoff"]
        model |= {"use_zbl": zbl is not None} | ({} if zbl is None else {"zbl_cutoff": zbl["cutoff"]})
    return {
        "dataset": "user_data",
        "target": "target",
        "three_body_cutoff": network["three_body_cutoff"],
        **{name: network[name] for name in GRAPH},
        "model": model,
    }


def _bare(part: dict[str, Any]) -> dict[str, Any]:
    """A description without its elements and without what its outputs are, which upstream does not say."""
    unsaid = ("elements", "atomwise_target", "additional_target")
    bare = {name: value for name, value in part.items() if name not in unsaid}
    if "terms" in bare:
        bare["terms"] = [_bare(term) for term in bare["terms"]]
    if "potential" in bare:
        bare["potential"] = _bare(bare["potential"])
    return bare

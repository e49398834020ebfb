"""Published ALIGNN force fields as potentials: same numbers, with every convention of upstream spelt out.

Upstream's energies are those of the network. Its forces and stress follow switches of the config, some of which make
them no gradient of the energy; what a gradient can express is a `Legacy…` term, the rest is said in a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from alignn_ff.checkpoint import Checkpoint, load_checkpoint
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.models import Potential, build
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.layers.features import WIDTHS, known_elements
from alignn_ff.pretrained.archive import Published, is_published, read_published
from alignn_ff.pretrained.ealignn import EALIGNN, WHY_INVARIANT, as_invariant
from alignn_ff.pretrained.generations import complete

log = logging.getLogger(__name__)

DGL, PURE, SMOOTH = "alignn_atomwise", "alignn_atomwise_pure", "alignn_atomwise_pure_smooth"

_SIZES = (
    "alignn_layers gcn_layers edge_input_features triplet_input_features embedding_features hidden_features lg_on_fly "
)
_ENVELOPE = (_SIZES + "use_cutoff_function multiply_cutoff inner_cutoff exponent").split()
_BASES = (
    _SIZES
    + "radial_basis angular_basis radial_cutoff smooth_cutoff_coeff radial_learnable angular_learnable use_atomref"
).split()
ATTENTION = ["conv_type", "num_heads"]
_FURTHER = {"atomwise_output_features": "fc_atomwise", "additional_output_features": "fc_additional_output"}
"""Fields of outputs beside the energy, and the layers that give them."""
SHARED = {
    DGL: [*_ENVELOPE, *_FURTHER, "extra_features"],
    PURE: [*_ENVELOPE, *ATTENTION, *_FURTHER],
    SMOOTH: [*_BASES, *ATTENTION, *_FURTHER],
}
"""Fields of each of upstream's models that are fields of ours; the others take extra_features and ignore them."""
GRAPH = "atom_features neighbor_strategy cutoff max_neighbors use_canonize".split()
"""Fields beside upstream's model that are fields of ours."""

_PLAIN = {
    "output_features": 1,
    "link": "identity",
    "classification": False,
    "zero_inflated": False,
    "include_pos_deriv": False,
    "conv_type": "alignn",
    "mlp_first": True,
}
"""Fields that only these values of are understood, in models that do not share them."""


def load_file(path: Path) -> Checkpoint:
    """The model in a file of this package, or in a folder or zip as ALIGNN's are published.

    Raises:
        CheckpointError: neither, or damaged.
    """
    return load_upstream(path) if is_published(path) else load_checkpoint(path)


def load_upstream(path: str | Path) -> Checkpoint:
    """A published ALIGNN force field: a folder or zip with best_model.pt and config.json, of any year since 2023.

    The weights are read without running anything they hold. What upstream does and a gradient cannot express is told
    in a warning and kept in the facts.

    Raises:
        CheckpointError: not such a model, one that is no force field, or one that is not understood.
    """
    path = Path(path)
    published = read_published(path)
    config = {**published.config, "model": _with_outputs(complete(published.config["model"]), published.weights)}
    if config["model"]["name"] == EALIGNN:
        config = as_invariant(config)
    _check_understood(config, path)
    try:
        potential = build(describe(config))
    except ConfigError as error:
        raise CheckpointError(f"{path}: its config.json cannot be honoured: {error}") from error
    _load(potential, published, path)
    remarks = _remarks(config)
    for remark in remarks:
        log.warning("%s: %s", path, remark)
    facts = {"source": "published ALIGNN weights", "upstream_config": published.config, "remarks": remarks}
    return Checkpoint(potential, facts, published.sha256)


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """What `models.build` needs to make the potential of a complete upstream config."""
    model = config["model"]
    elements = known_elements(config["atom_features"])
    network: dict[str, Any] = {
        "name": model["name"],
        "mode": "legacy",
        "elements": elements,
        "three_body_cutoff": config.get("three_body_cutoff"),
        **{name: config[name] for name in GRAPH},
        **{name: model[name] for name in SHARED[model["name"]]},
        **angles_of(config),
    }
    if not model["energy_mult_natoms"] and model["name"] != SMOOTH:
        network = {"name": "legacy_gradient", "potential": network, "power": -1}
    terms = [network, *_short_range(config, elements)]
    whole = {"name": "sum", "terms": terms} if len(terms) > 1 else network
    factor, power = -float(model["grad_multiplier"]), int(model["force_mult_natoms"])
    if (factor, power) == (1.0, 0):
        return whole
    return {"name": "legacy_gradient", "potential": whole, "factor": factor, "power": power}


def _with_outputs(model: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """The model with as many outputs beside its energy as there are weights for; where their loss had no weight none
    of an atom, as in upstream's code."""
    there = {field: weights.get(f"{layer}.weight") for field, layer in _FURTHER.items()}
    if model.get("atomwise_weight") == 0:
        there["atomwise_output_features"] = None
    return {**model, **{field: 0 if weight is None else len(weight) for field, weight in there.items()}}


def angles_of(config: Mapping[str, Any]) -> dict[str, bool]:
    """Fields that say which angles count, where upstream's model looked at them: where it found the angles itself."""
    model = config["model"]
    if config.get("compute_line_graph", True) or model["name"] == SMOOTH:
        return {}
    # It had both on a branch that was never released, and there with the first ignored the second.
    name = "lighten_edges" if model.get("lighten_edges") else "backtracking"
    return {name: model[name]} if name in model else {}


def network_of(potential: Potential) -> Potential:
    """The part of a potential that is a published network."""
    return next(part for part in potential.modules() if isinstance(part, AlignnNetwork))


def _short_range(config: Mapping[str, Any], elements: list[str]) -> list[dict[str, Any]]:
    """Penalty and ZBL repulsion, where the model has them."""
    model, terms = config["model"], []
    dgl = model["name"] == DGL
    if model["use_penalty"]:
        replaced = dgl and model["use_cutoff_function"] and not model["multiply_cutoff"]
        per_atom = dgl and not model["energy_mult_natoms"]
        terms.append(
            {
                "name": "legacy_penalty",
                "elements": elements,
                "factor": model["penalty_factor"],
                "threshold": model["penalty_threshold"],
                "envelope": [model["inner_cutoff"], model["exponent"]] if replaced else None,
                "told": "times_atoms" if per_atom else "once" if model["name"] == SMOOTH else "never",
            }
        )
    # Only graphs of pure_torch carry the atomic numbers that upstream's ZBL needs.
    if model["name"] == PURE and model["use_zbl"] is not False and config["neighbor_strategy"] == "pure_torch":
        terms.append({"name": "legacy_zbl", "elements": elements, "cutoff": model["zbl_cutoff"]})
    return terms


def _check_understood(config: Mapping[str, Any], path: Path) -> None:
    model = config["model"]
    name = model["name"]
    if name == "alignn" or not model["calculate_gradient"] or model["gradwise_weight"] == 0:
        raise CheckpointError(
            f"{path}: `{name}` trained on {config.get('target', '?')!r} without forces: a property model, not a force "
            "field. It is for `alignn-ff predict` and `alignn_ff.load_property`."
        )
    if name not in SHARED:
        raise CheckpointError(f"{path}: is a model `{name}`; expected a force field: {', '.join([*SHARED, EALIGNN])}.")
    check_fields(config, SHARED[name], _PLAIN, path)


def check_fields(config: Mapping[str, Any], shared: Sequence[str], plain: Mapping[str, Any], path: Path) -> None:
    """Say no to a published config that lacks fields or has values that are not understood.

    Args:
        shared: fields its model must have, beside those of `GRAPH` at the top.
        plain: fields of the model with the only value of each that is read.
    Raises:
        CheckpointError: names the fields.
    """
    model = config["model"]
    absent = [f for f in GRAPH if f not in config] + [f for f in shared if f not in model]
    if absent:
        raise CheckpointError(f"{path}: its config.json lacks {', '.join(absent)}; expected what the trainer wrote.")
    for field, value in plain.items():
        if field in model and field not in shared and model[field] != value:
            raise CheckpointError(
                f"{path}: its `{field}` is {model[field]!r}, which this package does not read; only {value!r} is."
            )
    _check_features(config, path)


def _check_features(config: Mapping[str, Any], path: Path) -> None:
    """Say no to features of atoms that are not known or are of another width than the network's.

    Raises:
        CheckpointError: names both.
    """
    features, width = config["atom_features"], config["model"]["atom_input_features"]
    if WIDTHS.get(features) != width:
        known = ", ".join(f"{name} ({size})" for name, size in WIDTHS.items())
        raise CheckpointError(
            f"{path}: atom_features `{features}` and atom_input_features {width} do not fit, or are not known; "
            f"known: {known}."
        )


def _load(potential: Potential, published: Published, path: Path) -> None:
    """Weights into the network of `potential`, which takes their precision."""
    network = network_of(potential)
    wanted = network.state_dict()
    absent = tuple(f"{layer}." for layer in _FURTHER.values() if f"{layer}.weight" not in wanted)
    weights = published.weights.items()
    given = {name: v for name, v in weights if not (name.startswith(absent) or is_unused(name, wanted))}
    check_weights(wanted, given, path)
    potential.to(given["atom_embedding.layer.0.weight"].dtype).eval()
    network.load_state_dict(given)


def is_unused(name: str, wanted: Mapping[str, Tensor]) -> bool:
    """Whether upstream keeps weights under this name and does not use them for what is read here."""
    return name == "_species_table" or ("fc3.weight" in wanted and name.startswith("fc."))


def check_weights(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], path: Path) -> None:
    """Say no to weights that are not those of the network.

    Raises:
        CheckpointError: names the first few at fault.
    """
    missing, surplus = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    wrong = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    if missing or surplus or wrong:
        raise CheckpointError(
            f"{path}: config.json and weights do not fit: missing {_some(missing)}; surplus {_some(surplus)}; of "
            f"another shape {_some(wrong)}. They may come from different models."
        )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") if names else "none"


def _remarks(config: Mapping[str, Any]) -> list[str]:
    """What users of these weights should know."""
    model, remarks = config["model"], []
    per_atom = not model["energy_mult_natoms"] and model["name"] != SMOOTH
    if per_atom or model["force_mult_natoms"] or model["grad_multiplier"] != -1:
        remarks.append(
            "energy_mult_natoms, force_mult_natoms and grad_multiplier of its config make forces and stress a multiple "
            "of the gradient of the energy; they are reproduced, and do not conserve the energy"
        )
    if model["name"] == SMOOTH:
        remarks.append("its output counts as the total energy, which holds only if it was trained on total energies")
    if model.get("was") == EALIGNN:
        remarks.append(WHY_INVARIANT)
    if not model["add_reverse_forces"]:
        remarks.append(
            "was trained with add_reverse_forces off, on half of each force; energies are upstream's, forces are whole"
        )
    if model["stress_multiplier"] != 1:
        remarks.append(
            f"its stress_multiplier of {model['stress_multiplier']} is left out: stress goes with the forces"
        )
    if angles_of(config) not in ({}, {"backtracking": True}):
        remarks.append(
            "its lighten_edges or backtracking chose angles by the atoms of the cell; here periodic images count, so "
            "in small cells energies and forces differ from upstream's"
        )
    if model["name"] != DGL and model.get("extra_features"):
        remarks.append("its extra_features were ignored by upstream's code, and are here")
    return remarks

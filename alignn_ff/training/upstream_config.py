"""A `config.json` of upstream ALIGNN, read as ours: each field honoured, without effect for a reason, or refused."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignn_ff.errors import ConfigError, did_you_mean
from alignn_ff.units import GPA_PER_EV_A3

log = logging.getLogger(__name__)

_MARKS = {"neighbor_strategy", "atom_features", "id_tag", "dataset", "version", "target"}
"""Fields that no other configuration has at its top."""

_SAME = (
    *("n_train", "n_val", "n_test", "train_ratio", "val_ratio", "test_ratio", "keep_data_order", "random_seed"),
    *("epochs", "batch_size", "learning_rate", "weight_decay", "scheduler", "n_early_stopping", "dtype", "device"),
    "output_dir",
)
"""Fields of one name and one meaning there and here."""

_GRAPH = (
    *("cutoff", "cutoff_extra", "three_body_cutoff", "max_neighbors", "atom_features", "neighbor_strategy"),
    "use_canonize",
)
"""Fields at the top there, of the model here."""

_SMOOTH = ("radial_basis", "angular_basis", "radial_cutoff", "smooth_cutoff_coeff", "radial_learnable")
_NETWORK = (
    *("name", "mode", "alignn_layers", "gcn_layers", "edge_input_features", "triplet_input_features", "lg_on_fly"),
    *("embedding_features", "hidden_features", "use_cutoff_function", "multiply_cutoff", "inner_cutoff", "exponent"),
    *(*_SMOOTH, "angular_learnable", "use_atomref", *_GRAPH),
)
"""Fields of the model there and here."""

_DEFAULTS = {
    "train_ratio": 0.8,
    "val_ratio": 0.1,
    "test_ratio": 0.1,
    "keep_data_order": True,
    "epochs": 300,
    "batch_size": 64,
    "learning_rate": 0.01,
    "neighbor_strategy": "k-nearest",
    "max_neighbors": 12,
    "cutoff_extra": 3.0,
}
"""What a field left out means there, where it means something else here."""

_LOADING = "it is about the loading of data, which here happens in this process, graphs kept in memory"
_UNUSED = "it has no effect in upstream ALIGNN either"
_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "version": (None, "it says which upstream version wrote the file"),
    "dataset": (None, "the files of `data` are trained on"),
    "filename": ("sample", "it names the folders of a cache, and there is none on disk"),
    "warmup_steps": (2000, _UNUSED),
    "write_checkpoint": (True, _UNUSED),
    "store_outputs": (True, _UNUSED),
    "progress": (True, _UNUSED),
    "log_tensorboard": (False, _UNUSED),
    "normalize_graph_level_loss": (False, "energies are compared per atom in any case"),
    "write_predictions": (True, "errors and parity plots are always written"),
    "compute_line_graph": (True, "angles are found with the edges in any case"),
    "deterministic": (False, "runs on the CPU repeat bit for bit in any case"),
    "pin_memory": (False, _LOADING),
    "num_workers": (4, _LOADING),
    "save_dataloader": (False, _LOADING),
    "use_lmdb": (True, _LOADING),
    "read_existing": (False, _LOADING),
}
"""Field: upstream's default, and why another value changes nothing here."""

_ONE_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "id_tag": (("jid",), "records of id_prop.json are named by `jid`"),
    "classification_threshold": ((None,), "a force field is no classifier"),
    "target_multiplication_factor": ((None,), "labels are learned in eV; scale them in the data"),
    "gpu_memory_fraction": ((None,), "memory is bounded by batch_size, batch_atoms or batch_edges"),
    "use_amp": ((False,), "forces need float32; there is no mixed precision"),
    "ddp_find_unused_parameters": ((False,), "one process trains a model"),
    "distributed": ((False,), "one process trains a model"),
    "data_parallel": ((False,), "one process trains a model"),
    "resume_checkpoint": ((False,), "give --resume on the command line"),
    "optimizer": (("adamw",), "the optimizer is AdamW"),
    "standard_scalar_and_pca": ((False,), "reference energies of the elements take its place"),
}
"""Field: the values that mean what is done here, and why it is nothing else."""

_ONE_MODEL_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "output_features": ((1,), "a force field has one energy"),
    "grad_multiplier": ((-1,), "forces are minus the gradient of the energy"),
    "atomwise_output_features": ((0,), "charges and magnetic moments are not learned"),
    "atomwise_weight": ((0, None), "charges and magnetic moments are not learned"),
    "additional_output_features": ((0,), "outputs beside energy, forces and stress are not learned"),
    "additional_output_weight": ((0, None), "outputs beside energy, forces and stress are not learned"),
    "extra_features": ((0,), "a force field knows atoms alone"),
    "link": (("identity",), "an energy is unbounded"),
    "zero_inflated": ((False,), "an energy is no count"),
    "classification": ((False,), "a force field is no classifier"),
    "num_classes": ((2,), "a force field is no classifier"),
    "force_mult_natoms": ((False,), "forces are the gradient of the total energy, without a factor"),
    "include_pos_deriv": ((False,), "forces are the gradient of the total energy, by edge vectors"),
    "stress_multiplier": ((1,), "stress is the derivative of the energy, without a factor"),
    "add_reverse_forces": ((True,), "forces act on both atoms of an edge"),
    "batch_stress": ((True,), "stress is that of each structure"),
    "zbl_cutoff": ((0.9,), "the ZBL core ends where the covalent radii touch"),
    "conv_type": (("alignn",), "other convolutions than ALIGNN's are not offered"),
    "num_heads": ((1,), "other convolutions than ALIGNN's are not offered"),
}

_MODEL_WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "penalty_factor": (None, "a ZBL core, which has no such constant, keeps atoms apart"),
    "penalty_threshold": (None, "a ZBL core, which has no such constant, keeps atoms apart"),
    "energy_mult_natoms": (None, "the energy of a structure is the sum over its atoms in any case"),
}

_READ_APART = ("model", "target", "criterion", "lr_total_epochs")
_MODEL_READ_APART = (
    *("atom_input_features", "calculate_gradient", "graphwise_weight", "gradwise_weight", "stresswise_weight"),
    *("use_penalty", "use_zbl"),
)

TOP_FIELDS = (*_SAME, *_GRAPH, *_WITHOUT_EFFECT, *_ONE_VALUE, *_READ_APART)
"""Every field at the top of an upstream config."""
MODEL_FIELDS = (*_NETWORK, *_ONE_MODEL_VALUE, *_MODEL_WITHOUT_EFFECT, *_MODEL_READ_APART)
"""Every field of its model."""

_OURS = ("data", "validation_data", "stress_unit", "energy_key", "forces_key", "stress_key", "split_file", "loss")
"""Fields of ours that may stand beside those of upstream; `loss` in part, with its own names."""

_ABSENT = {
    "lighten_edges": "the released upstream package has no such field either",
    "backtracking": "the released upstream package has no such field either",
}
_PUBLISHED = ("alignn_atomwise", "alignn_atomwise_pure", "alignn_atomwise_pure_smooth")
"""Models whose upstream fields mean the same here."""
_WIDTHS = {"cgcnn": 92, "atomic_number": 1}


def is_upstream(fields: Mapping[str, Any]) -> bool:
    """Whether fields look like those of an upstream config."""
    return bool(_MARKS & set(fields))


def from_upstream(fields: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Our fields for those of an upstream config.

    The model is the published one (`mode: legacy`), unless its `mode` says otherwise. Stress counts in GPa there, so
    its weight is carried over to eV/Å³.

    Args:
        folder: of the config; `id_prop.json` there is trained on unless `data` is given.
    Raises:
        ConfigError: names the field that cannot be honoured, and why.
    """
    model = dict(fields.get("model") or {})
    _check_known(fields, (*TOP_FIELDS, *_OURS), "")
    _check_known(model, MODEL_FIELDS, "model.")
    _check_values(fields, _ONE_VALUE, "")
    _check_values(model, _ONE_MODEL_VALUE, "model.")
    _tell(fields, _WITHOUT_EFFECT, "")
    _tell(model, _MODEL_WITHOUT_EFFECT, "model.")
    filled = {**_DEFAULTS, **fields}
    if fields.get("lr_total_epochs") not in (None, filled["epochs"]):
        raise ConfigError("field `lr_total_epochs` of an upstream config: the schedule ends with the last epoch.")
    found = {name: filled[name] for name in (*_SAME, *_OURS) if name in filled}
    if "data" not in found:
        found["data"] = _data_beside(folder, fields)
    if fields.get("target") is not None:
        found.setdefault("energy_key", fields["target"])
    found["model"] = _network(filled, model)
    found["loss"] = {**_loss(fields, model), **(fields.get("loss") or {})}
    found["zbl"] = bool(model.get("use_penalty", True) or model.get("use_zbl"))
    return found


def _network(fields: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    network = {name: fields[name] for name in _GRAPH if name in fields}
    network |= {name: model[name] for name in _NETWORK if name in model}
    network = {"name": "alignn_atomwise", "mode": "legacy", **network}
    if network["name"] not in _PUBLISHED:
        raise ConfigError(
            f"field `model.name` of an upstream config is {network['name']!r}; force fields with upstream's fields are "
            f"{', '.join(_PUBLISHED)}. Write a config of ours for another model (--print-config shows one)."
        )
    if network["neighbor_strategy"] in ("radius_graph", "radius_graph_jarvis"):
        network["max_neighbors"] = None  # neither looks at it
    width = _WIDTHS.get(network.get("atom_features", "cgcnn"))
    asked = model.get("atom_input_features")
    if asked is not None and width is not None and asked != width:
        raise ConfigError(
            f"field `model.atom_input_features` is {asked}, but atom_features {network.get('atom_features', 'cgcnn')} "
            f"are {width} numbers. Give it that value or leave it out."
        )
    return network


def _loss(fields: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    criterion = fields.get("criterion", "l1")
    if criterion not in ("l1", "mse"):
        raise ConfigError(
            f"field `criterion` of an upstream config is {criterion!r}; a force field is trained by l1 or mse."
        )
    derived = model.get("calculate_gradient", True)
    unit = GPA_PER_EV_A3 if criterion == "l1" else GPA_PER_EV_A3**2
    return {
        "criterion": criterion,
        "energy_weight": model.get("graphwise_weight", 1.0),
        "force_weight": model.get("gradwise_weight", 1.0) if derived else 0.0,
        "stress_weight": model.get("stresswise_weight", 0.0) * unit if derived else 0.0,
    }


def _data_beside(folder: Path, fields: Mapping[str, Any]) -> list[str]:
    if (folder / "id_prop.json").is_file():
        return [str(folder / "id_prop.json")]
    raise ConfigError(
        f"an upstream config says no files (dataset {fields.get('dataset', 'dft_3d')!r} is not downloaded), and there "
        f"is no id_prop.json in {folder}. Give them: --data=path/to/id_prop.json, or any file ASE reads."
    )


def _check_known(fields: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    for name in fields:
        if name not in known:
            reason = _ABSENT.get(name)
            hint = f": {reason}. Leave it out" if reason else did_you_mean(str(name), known)
            raise ConfigError(f"unknown field `{place}{name}` in an upstream config{hint}.")


def _check_values(fields: Mapping[str, Any], rules: Mapping[str, tuple[tuple[Any, ...], str]], place: str) -> None:
    for name, (allowed, reason) in rules.items():
        if name in fields and fields[name] not in allowed:
            raise ConfigError(
                f"field `{place}{name}` of an upstream config is {fields[name]!r}, which cannot be honoured: {reason}. "
                f"Set it to {' or '.join(map(repr, allowed))}, or leave it out."
            )


def _tell(fields: Mapping[str, Any], rules: Mapping[str, tuple[Any, str]], place: str) -> None:
    for name, (default, reason) in rules.items():
        if name in fields and fields[name] != default:
            log.info("field `%s%s` changes nothing: %s", place, name, reason)

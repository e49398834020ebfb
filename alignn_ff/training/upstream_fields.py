"""What configs of upstream ALIGNN say of any model, force field or property: fields, their fates, files and graph."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alignn_ff.data import id_prop
from alignn_ff.errors import ConfigError, did_you_mean

log = logging.getLogger(__name__)

SAME = (
    *("n_train", "n_val", "n_test", "train_ratio", "val_ratio", "test_ratio", "keep_data_order", "random_seed"),
    *("epochs", "batch_size", "learning_rate", "weight_decay", "scheduler", "n_early_stopping", "dtype", "device"),
    *("output_dir", "optimizer", "lr_total_epochs", "use_amp", "gpu_memory_fraction"),
    *("use_lmdb", "read_existing", "num_workers", "pin_memory"),
)
"""Fields of one name and one meaning there and here."""

GRAPH = (
    *("cutoff", "cutoff_extra", "three_body_cutoff", "max_neighbors", "atom_features", "neighbor_strategy"),
    "use_canonize",
)
"""Fields at the top there, of the model here."""

DEFAULTS = {
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

ALIKE = ("model", "target", "log_tensorboard", "save_dataloader", "filename")
"""Fields that are read apart, of any model."""

_UNUSED = "it has no effect in upstream ALIGNN either"
WITHOUT_EFFECT: dict[str, tuple[Any, str]] = {
    "version": (None, "it says which upstream version wrote the file"),
    "dataset": (None, "the files of `data` are trained on"),
    "warmup_steps": (2000, _UNUSED),
    "write_checkpoint": (True, _UNUSED),
    "store_outputs": (True, _UNUSED),
    "progress": (True, _UNUSED),
    "normalize_graph_level_loss": (False, "energies are compared per atom in any case"),
    "standard_scalar_and_pca": (
        False,
        "energies are standardised in any case, by reference energies and scales of the elements; upstream has no PCA",
    ),
    "write_predictions": (True, "errors and parity plots are always written"),
    "compute_line_graph": (True, "angles are found with the edges in any case"),
    "deterministic": (False, "runs on the CPU repeat bit for bit in any case"),
    "ddp_find_unused_parameters": (False, "parameters that nothing used are found in any case"),
}
"""Field: upstream's default, and why another value changes nothing here."""

ONE_VALUE: dict[str, tuple[tuple[Any, ...], str]] = {
    "id_tag": (("jid",), "records of id_prop.json are named by `jid`"),
    "classification_threshold": ((None,), "a force field is no classifier"),
    "target_multiplication_factor": ((None, 1), "forces are the slope of the energies, and would not be scaled"),
    "resume_checkpoint": ((False,), "give --resume on the command line"),
}
"""Field: the values that mean what is done here, and why it is nothing else."""

_WIDTHS = {"cgcnn": 92, "atomic_number": 1}


def graph_of(fields: Mapping[str, Any], model: Mapping[str, Any]) -> dict[str, Any]:
    """Our model's fields of its graph and of its atoms' features.

    Raises:
        ConfigError: features of another width than the network's.
    """
    told = {**fields, **model}
    if "three_body_cutoff" in fields:  # that of the model is for TorchScript alone
        told["three_body_cutoff"] = fields["three_body_cutoff"]
    graph = {name: told[name] for name in GRAPH if name in told}
    if graph["neighbor_strategy"] in ("radius_graph", "radius_graph_jarvis"):
        graph["max_neighbors"] = None  # neither looks at it
    features, asked = graph.get("atom_features", "cgcnn"), model.get("atom_input_features")
    width = _WIDTHS.get(features)
    if asked is not None and width is not None and asked != width:
        raise ConfigError(
            f"field `model.atom_input_features` is {asked}, but atom_features {features} are {width} numbers. Give it "
            "that value or leave it out."
        )
    return graph


def data_beside(folder: Path, fields: Mapping[str, Any]) -> list[str]:
    """The data set in the folder of the config: id_prop.json, zipped or not, or id_prop.csv.

    Raises:
        ConfigError: there is none.
    """
    found = id_prop.find(folder)
    if found.is_file():
        return [str(found)]
    raise ConfigError(
        f"an upstream config says no files (dataset {fields.get('dataset', 'dft_3d')!r} is not downloaded), and there "
        f"is no {' or '.join(id_prop.NAMES)} in {folder}. Give them: --data=path/to/id_prop.json, any file ASE reads, "
        "or --data=jarvis:dft_3d to have it downloaded."
    )


def kept_data(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Our fields of where structures and graphs are kept, as upstream keeps them: beside the working folder.

    There a saved data loader holds the graphs, and `read_existing` finds those of a run before; here both are the same
    folder, called after `filename`.
    """
    if not (fields.get("save_dataloader") or fields.get("read_existing")):
        tell(fields, {"filename": ("sample", "it names what save_dataloader or read_existing keep")}, "")
        return {}
    name = fields.get("filename", "sample")
    return {"use_lmdb": fields.get("use_lmdb", True), "cache_dir": fields.get("cache_dir", f"{name}_data")}


def check_known(fields: Mapping[str, Any], known: tuple[str, ...], place: str) -> None:
    """Refuse a field that upstream does not have."""
    for name in fields:
        if name not in known:
            raise ConfigError(f"unknown field `{place}{name}` in an upstream config{did_you_mean(str(name), known)}.")


def check_values(fields: Mapping[str, Any], rules: Mapping[str, tuple[tuple[Any, ...], str]], place: str) -> None:
    """Refuse a value that means something else than what is done here."""
    for name, (allowed, reason) in rules.items():
        if name in fields and fields[name] not in allowed:
            raise ConfigError(
                f"field `{place}{name}` of an upstream config is {fields[name]!r}, which cannot be honoured: {reason}. "
                f"Set it to {' or '.join(map(repr, allowed))}, or leave it out."
            )


def loggers_of(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Our field of who is told the history."""
    return {"loggers": ["tensorboard"]} if fields.get("log_tensorboard") else {}


def tell(fields: Mapping[str, Any], rules: Mapping[str, tuple[Any, str]], place: str) -> None:
    """Say of a field that was set that it changes nothing."""
    for name, (default, reason) in rules.items():
        if name in fields and fields[name] != default:
            log.info("field `%s%s` changes nothing: %s", place, name, reason)

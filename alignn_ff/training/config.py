"""Everything `alignn-ff train` can be told. Shared names and meanings are those of the public ALIGNN config."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, field_validator, model_validator

from alignn_ff.data.jarvis import is_named
from alignn_ff.errors import ConfigError
from alignn_ff.files import read_fields
from alignn_ff.models import MODELS, model_class
from alignn_ff.schema import parse
from alignn_ff.training.aenet_fields import check_names
from alignn_ff.training.logs import LogName
from alignn_ff.training.loss import LossConfig, LossStage
from alignn_ff.training.presets import resolve
from alignn_ff.training.shared_fields import Data, Keeping, Steering, several


class TrainConfig(Keeping, Steering, Data):
    """One training run. Every field is honoured."""

    energy_key: str = Field(default="energy", description="name of the total energy, eV, in the data")
    forces_key: str = Field(default="forces", description="name of the forces, eV/Å")
    stress_key: str = Field(default="stress", description="name of the stress")
    stress_unit: Literal["ev_a3", "gpa", "kbar", "kbar_vasp"] | None = Field(
        default=None, description="unit of the stress labels; eV/Å³ unless told, GPa in id_prop.json"
    )

    atom_energy_key: str = Field(
        default="energies", description="name of the energies of atoms, eV; read where their loss has a weight"
    )

    atomwise_key: tuple[str, ...] = Field(
        default=("atomwise",),
        description="name of the other values of atoms, or one name each; read where their loss has a weight",
    )
    additional_key: tuple[str, ...] = Field(
        default=("additional_output",), description="the same of the other values of structures"
    )

    extra_features_key: str = Field(
        default="extra_features",
        description="name of the numbers told beside the atoms; read where the model has extra_features",
    )

    group_key: str = Field(default="config_type", description="entry of a structure by which errors are reported")
    split_group_key: str | None = Field(
        default=None, description="entry of a structure; those that share its value stay on one side of the split"
    )

    stratify_split: bool = Field(default=False, description="each group of group_key gives every part its share")

    split_file: str | None = Field(default=None, description="use the split kept in this file")
    split_seed: int | None = Field(default=None, description="of the split alone; random_seed unless given")
    committee_size: int = Field(default=1, ge=1, description="train so many, seeds counted up, and ship their mean")
    committee_parallel: int = Field(default=1, ge=1, description="members trained at once, each in its own process")

    model: dict[str, Any] = Field(default_factory=lambda: {"name": "alignn_smooth"})
    start_from: str | None = Field(
        default=None,
        description="go on with the network of this model, a name or a file; `model` may ask for more layers",
    )
    fresh_elements: bool = Field(
        default=False, description="elements that the model of start_from does not know get weights of their own"
    )
    freeze: tuple[str, ...] = Field(
        default=(), description="modules of the network whose weights stay as they are: embedding, layers.0"
    )
    replay_data: tuple[str, ...] = Field(
        default=(), description="structures that the model of start_from learned from: learn them again, to forget less"
    )
    replay_share: float = Field(default=0.3, gt=0, lt=1, description="of them among the structures of an epoch")
    replay_weight: float = Field(default=1.0, gt=0, description="of each of them in the loss")
    zbl: bool = Field(default=True, description="add the repulsion of nuclei, ZBL, where atoms nearly touch")
    core: bool = Field(
        default=True, description="walls just outside the distances and coordinations of the training structures"
    )
    reference_energies: dict[str, float] | None = Field(
        default=None, description="eV per atom of each element; least squares on the training set unless given"
    )
    reference_compounds: tuple[str, ...] = Field(
        default=(),
        description="take them from the lowest energies of these compositions in the training set instead: Cu4, H2O",
    )
    loss: LossConfig = LossConfig()
    loss_stages: tuple[LossStage, ...] = Field(
        default=(), description="other weights of the loss from an epoch on; the best model is one of the last stage"
    )
    weight_key: str | None = Field(default=None, description="entry of a structure that says its weight in the loss")
    group_weights: dict[str, float] = Field(
        default_factory=dict, description="factors of the weights of structures, by their entry `group_key`"
    )

    max_energy: float | None = Field(
        default=None, description="leave structures above it out, eV/atom, less `reference_energies` where given"
    )
    max_forces: float | None = Field(
        default=None, gt=0, description="leave structures out where a force on an atom is larger, eV/Å"
    )
    sampling_policy: Literal["uniform", "energy_weighted", "error_weighted"] = Field(
        default="uniform",
        description="an epoch draws each structure once, or low energies or large errors more often",
    )
    force_fraction: float = Field(
        default=1.0, ge=0, le=1, description="share of the structures with forces whose forces and stress are learned"
    )
    force_sampling: Literal["random", "fixed"] = Field(
        default="random", description="draw that share anew every force_resample_num_epochs, or once"
    )
    force_resample_num_epochs: int = Field(default=0, ge=0, description="epochs between draws; 0 draws once")
    force_min_structures_per_epoch: int | None = Field(
        default=1, ge=0, description="structures whose forces are learned, at least"
    )
    force_scale_unbiased: bool = Field(
        default=False, description="weigh forces by 1/sqrt(f), f the share of them learned in a batch"
    )

    batch_size: int = Field(default=64, ge=1, description="structures a batch of all processes together, at most")
    batch_atoms: int | None = Field(default=None, ge=1, description="atoms a batch, at most")
    batch_edges: int | None = Field(default=None, ge=1, description="edges a batch, at most")
    data_parallel: bool = Field(
        default=False, description="refuse to train in one process; torchrun starts several, which share each batch"
    )
    save_energies: bool = Field(
        default=False,
        description="write energies.train.0 and the like: energies of every structure, in the layout of aenet",
    )
    save_forces: bool = Field(default=False, description="write forces.train.0 and the like: forces on every atom")
    output_dir: str = Field(default="alignn_ff_run", description="folder of everything the run writes")
    loggers: tuple[LogName, ...] = Field(default=(), description="send the history to these, too; see the extras")

    @field_validator("replay_data", "atomwise_key", "additional_key", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return several(value)

    @field_validator("model")
    @classmethod
    def _known_model(cls, value: dict[str, Any]) -> dict[str, Any]:
        value = {"name": "alignn_smooth", **value}
        name = value["name"]
        trainable = [n for n in MODELS if hasattr(model_class(n), "Config")]
        if name not in trainable:
            raise ValueError(f"`name` must be one of {', '.join(trainable)}")
        fields = {k: v for k, v in value.items() if k != "name"}
        try:
            settings = parse(model_class(name).Config, fields, "model")
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return {"name": name, **settings.model_dump()}  # with its defaults: a rerun must not depend on later ones

    @model_validator(mode="after")
    def _something_to_learn(self) -> TrainConfig:
        if self.reference_compounds and (self.reference_energies is not None or self.start_from is not None):
            raise ValueError("reference_compounds excludes reference_energies, and start_from, which refits them")
        if not any(getattr(self.loss, name) for name in LossConfig.model_fields if name.endswith("_weight")):
            raise ValueError("all loss weights are zero; give at least one of them a positive value")
        if self.replay_data and (self.start_from is None or self.sampling_policy != "uniform"):
            raise ValueError("replay_data is for start_from, and goes with sampling_policy uniform alone")
        starts = [stage.start_epoch for stage in self.loss_stages]
        if starts != sorted(set(starts)) or (starts and starts[-1] > self.epochs):
            raise ValueError(
                f"loss_stages start in epochs {starts}; they must rise, and end before epochs, {self.epochs}"
            )
        if any(not 0.0 <= weight < math.inf for weight in self.group_weights.values()):
            raise ValueError("group_weights must be numbers, 0 or more")
        return self


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """The config in a YAML or JSON file, with `key.sub=value` overrides on top.

    Relative data paths, and that of a model to start from, are taken from the folder of the file. A `preset` fills in
    fields below those of the file; a `config.json` of upstream ALIGNN is read as what it means here.

    Raises:
        ConfigError: no such file, not YAML or JSON, or a field at fault.
    """
    fields = resolve(config_fields(Path(path), overrides), Path(path).parent, TrainConfig.model_fields)
    check_names(fields, TrainConfig.model_fields)
    return parse(TrainConfig, fields, str(path))


def config_fields(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The unchecked fields of a config file, paths taken from its folder, with overrides on top.

    Raises:
        ConfigError: no such file, or not YAML or JSON.
    """
    fields = read_fields(path)
    for key in ("data", "validation_data", "replay_data", "split_file"):
        if key in fields:
            fields[key] = _beside(path, fields[key])
    if isinstance(fields.get("start_from"), str) and (path.parent / fields["start_from"]).is_file():
        fields["start_from"] = str(path.parent / fields["start_from"])  # else the name of a model
    for override in overrides:
        _override(fields, override)
    return fields


def to_json(config: TrainConfig) -> str:
    """The resolved config, every field written out."""
    return json.dumps(config.model_dump(), indent=2)


def _beside(config_path: Path, files: Any) -> Any:
    """Paths taken from the folder of the config; anything that is no path is left for the schema to refuse."""
    if isinstance(files, list):
        return [_beside(config_path, file) for file in files]
    if not isinstance(files, str) or Path(files).is_absolute() or is_named(files):
        return files
    return str(config_path.parent / files)


def _override(fields: dict[str, Any], override: str) -> None:
    key, found, value = override.removeprefix("--").partition("=")
    if not found:
        raise ConfigError(f"override {override!r} has no `=`; write --key=value, for instance --loss.force_weight=10.")
    *parents, last = key.replace("-", "_").split(".")
    place: Any = fields
    for parent in parents:
        place = place.setdefault(parent, {})
        if not isinstance(place, Mapping):
            raise ConfigError(f"override {override!r}: `{parent}` is a single value and has no fields.")
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"override {override!r}: {value!r} is not YAML.") from error

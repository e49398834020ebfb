"""Everything `alignn-ff train` can be told of a property model. Shared names are those of the public ALIGNN config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from alignn_ff.errors import ConfigError
from alignn_ff.models import PROPERTY_MODELS, property_class
from alignn_ff.schema import parse
from alignn_ff.training.config import config_fields
from alignn_ff.training.logs import LogName
from alignn_ff.training.presets import PROPERTY_PRESETS, filled
from alignn_ff.training.shared_fields import Data, Keeping, Steering
from alignn_ff.training.upstream_property_config import (
    from_upstream_property,
    is_upstream_property,
    is_without_forces,
)


class PropertyTrainConfig(Keeping, Steering, Data):
    """One training of a property model. Every field is honoured."""

    target: str = Field(
        default="target", description="name of the label; a CSV file has none, there it names the model"
    )
    unit: str = Field(default="", description="of the label, for tables and plots")
    extra_features_key: str | None = Field(default=None, description="name of numbers to be told beside the atoms")
    classification_threshold: float | None = Field(
        default=None, description="labels above it are class 1, others class 0; without it labels are class numbers"
    )
    target_multiplication_factor: float = Field(default=1.0, description="labels are multiplied by it")

    model: dict[str, Any] = Field(default_factory=lambda: {"name": "alignn"})
    criterion: Literal["mse", "l1", "huber", "poisson", "zig"] = Field(
        default="mse",
        description="of values; poisson: of counts, with model.link log; zig: the likelihood of model.zero_inflated, "
        "which such a model has in any case, as classes have theirs",
    )
    normalize_graph_level_loss: bool = Field(
        default=False, description="divide errors by the number of atoms: for values that grow with a structure"
    )

    batch_size: int = Field(default=64, ge=2, description="structures a batch, at most")
    batch_atoms: int | None = Field(default=None, ge=1, description="atoms a batch, at most")
    ema_decay: float = Field(
        default=0.0, ge=0, lt=1, description="of averaged weights that are validated and kept; not with BatchNorm"
    )
    output_dir: str = Field(default="alignn_ff_run", description="folder of everything the run writes")
    loggers: tuple[LogName, ...] = Field(default=(), description="send the history to these, too; see the extras")

    @field_validator("model")
    @classmethod
    def _known_model(cls, value: dict[str, Any]) -> dict[str, Any]:
        value = {"name": "alignn", **value}
        if value["name"] not in PROPERTY_MODELS:
            raise ValueError(f"`name` must be one of {', '.join(PROPERTY_MODELS)}")
        fields = {k: v for k, v in value.items() if k != "name"}
        try:
            settings = parse(property_class(value["name"]).Config, fields, "model")
        except ConfigError as error:
            raise ValueError(str(error)) from error
        whole = settings.model_dump()
        heads = [n for n in ("additional_output_features", "atomwise_output_features") if whole[n]]
        if heads:
            raise ValueError(f"{' and '.join(heads)} are for published models; train with output_features instead")
        return {"name": value["name"], **whole}  # with its defaults: a rerun must not depend on later ones

    @model_validator(mode="after")
    def _fits_together(self) -> PropertyTrainConfig:
        if self.classification_threshold is not None and not self.model["classification"]:
            raise ValueError("classification_threshold makes classes of the labels; set model.classification to true")
        if bool(self.model["extra_features"]) != (self.extra_features_key is not None):
            raise ValueError(
                "model.extra_features and extra_features_key go together: how many numbers, and their name"
            )
        plain = not (self.model["classification"] or self.model["zero_inflated"])
        if self.criterion == "poisson" and (self.model["link"] != "log" or not plain):
            raise ValueError("criterion poisson is that of a positive mean; set model.link to log, and no classes")
        if self.criterion == "zig" and not self.model["zero_inflated"]:
            raise ValueError("criterion zig is for values many of which are zero; set model.zero_inflated")
        if self.normalize_graph_level_loss and (self.criterion == "poisson" or not plain):
            raise ValueError("normalize_graph_level_loss divides errors of values; a likelihood has none")
        if self.ema_decay and self.model["name"] == "alignn":
            raise ValueError("ema_decay averages weights, not the statistics of BatchNorm; leave it at 0 for `alignn`")
        return self


def is_property(path: str | Path, overrides: Sequence[str] = ()) -> bool:
    """Whether a config, with its overrides, asks for a model of a property.

    Raises:
        ConfigError: no such file, or not YAML or JSON.
    """
    fields = config_fields(Path(path), overrides)
    model = fields.get("model")
    if fields.get("preset") in PROPERTY_PRESETS:
        return True
    return isinstance(model, dict) and (model.get("name") in PROPERTY_MODELS or is_without_forces(fields))


def load_property_config(path: str | Path, overrides: Sequence[str] = ()) -> PropertyTrainConfig:
    """The config in a YAML or JSON file, with `key.sub=value` overrides on top; see `load_config`.

    A `preset` fills in fields below those of the file; a config.json of upstream ALIGNN is read as it stands: of
    `alignn`, or of `alignn_atomwise` without forces.

    Raises:
        ConfigError: no such file, not YAML or JSON, or a field at fault.
    """
    path = Path(path)
    fields = config_fields(path, overrides)
    fields = filled(fields, fields.pop("preset", None), PROPERTY_PRESETS)
    if is_upstream_property(fields):
        fields = from_upstream_property(fields, path.parent, PropertyTrainConfig.model_fields)
    return parse(PropertyTrainConfig, fields, str(path))

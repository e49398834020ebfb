"""The published property models: `alignn` with BatchNorm, and `alignn_atomwise` where it was trained without forces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from alignn_ff.errors import ConfigError
from alignn_ff.graph import AtomGraph, structure_means
from alignn_ff.models.alignn_atomwise import SmoothedBases
from alignn_ff.models.alignn_atomwise_config import CutoffFunction, TrunkConfig
from alignn_ff.models.alignn_readout import AlignnReadout
from alignn_ff.models.alignn_trunk import GaussianBases
from alignn_ff.models.property import Kind, PropertyModel, Scores

_FIRST_MEAN = 0.7
"""First value of a positive property (link log); upstream's, the mean band gap of JARVIS-DFT in eV."""


class ReadoutConfig(TrunkConfig):
    """What is read off the mean over the atoms; names are those of the public ALIGNN config."""

    mode: Literal["sound", "legacy"] = Field(
        default="sound",
        description="legacy: as published. sound: every sum enveloped, complete graphs, no step at the cutoff",
    )
    output_features: int = Field(default=1, ge=1, description="values that are predicted at once")
    link: Literal["identity", "log", "logit"] = Field(
        default="identity", description="log: values are exponentials, so positive; logit: between 0 and 1"
    )
    zero_inflated: bool = Field(
        default=False, description="many values are exactly zero: predict whether, and the mean of the others"
    )
    classification: bool = Field(default=False, description="predict one of num_classes classes instead of values")
    num_classes: int = Field(default=2, ge=2)
    additional_output_features: int = Field(default=0, ge=0, description="further values, read off the same mean")
    atomwise_output_features: int = Field(default=0, ge=0, description="values of each atom")

    @model_validator(mode="after")
    def _one_likelihood(self) -> ReadoutConfig:
        if self.classification and (self.zero_inflated or self.link != "identity" or self.output_features > 1):
            raise ValueError("classification excludes zero_inflated, link and output_features above 1")
        if self.zero_inflated and self.link != "identity":
            raise ValueError("zero_inflated has a link of its own (log); leave `link` at identity")
        if self.extra_features and self.additional_output_features:
            raise ValueError(
                "extra_features and additional_output_features exclude each other, as upstream's code does"
            )
        return self


class AlignnConfig(ReadoutConfig):
    """Form and size of `alignn`."""

    alignn_layers: int = Field(default=4, ge=0, description="convolutions on atoms and angles")
    gcn_layers: int = Field(default=4, ge=0, description="convolutions on atoms alone, after those")
    hidden_features: int = Field(default=256, ge=1)


class AlignnAtomwisePropertyConfig(ReadoutConfig, CutoffFunction):
    """Form and size of `alignn_atomwise_property`."""


class _Property(AlignnReadout, PropertyModel):
    """Values read off the mean of the atoms' features, and extra features where they are told; an intensive property.

    Args:
        elements: symbols.
        target, unit: what the values are.
        shift, scale: the values are shift + scale · network; constants taken from the training data, one a value.
        **fields: see the `Config` of the concrete model.
    """

    Config: ClassVar[type[ReadoutConfig]]
    settings: ReadoutConfig

    def __init__(
        self,
        elements: Sequence[str],
        target: str = "target",
        unit: str = "",
        shift: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(elements, fields)
        c = self.settings
        self.target, self.unit = target, unit
        self.kind: Kind = "classes" if c.classification else "zero_inflated" if c.zero_inflated else "values"
        outputs = c.num_classes if c.classification else (2 if c.zero_inflated else 1) * c.output_features
        self._add_constants(shift, scale)
        last = self._add_readout(outputs)
        if c.link == "log":
            nn.init.constant_(last.bias, math.log(_FIRST_MEAN))
        self.fc_additional_output = _linear(c.hidden_features, c.additional_output_features)
        self.fc_atomwise = _linear(c.hidden_features, c.atomwise_output_features)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Scores:
        nodes = self._nodes(graph.numbers, graph, vectors)
        mean = structure_means(nodes, graph)
        value, raw = self._values(self._read(mean, self._told(graph)))
        additional = None if self.fc_additional_output is None else self.fc_additional_output(mean)
        atomwise = None if self.fc_atomwise is None else self.fc_atomwise(nodes)
        return Scores(value, raw, additional, atomwise)

    @property
    def config(self) -> dict[str, Any]:
        standard = self.settings.link == "identity" and self.kind == "values"
        return {
            "name": self.name,
            "elements": list(self.elements),
            "target": self.target,
            "unit": self.unit,
            "shift": self._shift.tolist() if standard else None,
            "scale": self._scale.tolist() if standard else None,
            **self.settings.model_dump(),
        }

    def _add_constants(self, shift: Sequence[float] | None, scale: Sequence[float] | None) -> None:
        c = self.settings
        size = c.output_features
        given = shift is not None or scale is not None
        if given and (self.kind != "values" or c.link != "identity"):
            raise ConfigError(f"model {self.name}: shift and scale are for plain values alone (link identity).")
        shift, scale = [0.0] * size if shift is None else shift, [1.0] * size if scale is None else scale
        for name, values in (("shift", shift), ("scale", scale)):
            if len(values) != size:
                raise ConfigError(f"model {self.name}: {name} has {len(values)} numbers; expected {size}, one a value.")
        # Plain attributes, not buffers: `.to(torch.float32)` must not round them.
        self._shift, self._scale = (torch.tensor(list(v), dtype=torch.float64) for v in (shift, scale))

    def _values(self, out: Tensor) -> tuple[Tensor, Tensor]:
        """Values and what their likelihood is made of, both float64."""
        out = out.to(torch.float64)
        if self.kind == "classes":
            raw = functional.log_softmax(out, dim=1)
            return raw.exp(), raw
        if self.kind == "zero_inflated":
            there, size = out.chunk(2, dim=1)
            return there.sigmoid() * size.exp(), out
        link = self.settings.link
        if link == "identity":
            value = out * self._scale.to(out.device) + self._shift.to(out.device)
        else:
            value = out.exp() if link == "log" else out.sigmoid()
        return value, value


class Alignn(GaussianBases, _Property):
    """Upstream's original model, for properties; its fields are those of `AlignnConfig`.

    Source: Choudhary, DeCost, npj Comput. Mater. 7, 185 (2021).
    """

    name = "alignn"
    Config = AlignnConfig
    norm = nn.BatchNorm1d
    settings: AlignnConfig
    exponent = 5


class AlignnAtomwiseProperty(SmoothedBases, _Property):
    """`alignn_atomwise` where upstream trained it on a property, without forces."""

    name = "alignn_atomwise_property"
    Config = AlignnAtomwisePropertyConfig
    settings: AlignnAtomwisePropertyConfig


def _linear(inputs: int, outputs: int) -> nn.Linear | None:
    return nn.Linear(inputs, outputs) if outputs else None

"""What every property model offers: numbers of a structure that are no energy, and that nobody differentiates."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal, NamedTuple

from torch import Tensor

from alignn_ff.graph import AtomGraph
from alignn_ff.models.base import GraphModel

Kind = Literal["values", "classes", "zero_inflated"]


class Scores(NamedTuple):
    """What a property model says of G structures.

    Attributes:
        value: [G, K]; values, probabilities of classes, or the expectation where many values are zero.
        raw: what a likelihood is made of: the values [G, K]; log-probabilities of classes [G, K]; or, for K values many
            of which are zero, K logits of not being zero and K logarithms of the mean of those that are not [G, 2 K].
        additional: further values of each structure [G, A]; None where the model has none.
        atomwise: values of each atom [N, B]; None where the model has none.
    """

    value: Tensor
    raw: Tensor
    additional: Tensor | None = None
    atomwise: Tensor | None = None


class PropertyModel(GraphModel):
    """Maps a graph and its edge vectors to numbers of each structure. Not a potential: it has no forces.

    Attributes:
        name: key in `models.PROPERTY_MODELS`.
        target: what it predicts, in a word.
        unit: of that; empty for a class or a number without one.
        kind: what `Scores.raw` holds.
    """

    target: str
    unit: str
    kind: Kind

    @abstractmethod
    def forward(self, graph: AtomGraph, vectors: Tensor) -> Scores:
        """Scores of each structure from edge vectors, Å [E, 3]."""

    def standardize_extra_features(self, told: Tensor | None) -> None:
        """Take constants from what training structures are told [G, X]; nothing where the model takes none."""

    @property
    def predicts(self) -> str:
        """What it predicts, in words."""
        unit = f" ({self.unit})" if self.unit else ""
        return f"{'the class of ' if self.kind == 'classes' else ''}{self.target}{unit}"

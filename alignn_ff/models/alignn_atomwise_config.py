"""What `alignn_atomwise` can be told, and the graph it then wants."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, model_validator

from alignn_ff.graph import Topology
from alignn_ff.models.further_outputs import FurtherOutputs
from alignn_ff.schema import Strict


class TrunkConfig(Strict):
    """Graph and size of the published models; names are those of the public ALIGNN config."""

    mode: Literal["sound", "legacy"]
    atom_features: Literal["cgcnn", "atomic_number", "basic", "cfid", "learnt"] = "cgcnn"
    neighbor_strategy: Literal[
        "pure_torch", "torch_graph", "fast_graph", "radius_graph", "radius_graph_jarvis", "k-nearest"
    ] = Field(default="pure_torch", description="all but k-nearest are the same in sound mode")
    cutoff: float = Field(default=5.0, gt=0, description="Å")
    three_body_cutoff: float | None = Field(default=3.5, gt=0, description="Å, longest edge of an angle; none: cutoff")
    max_neighbors: int | None = Field(default=None, description="edges out of an atom; legacy mode only")
    use_canonize: bool = Field(default=True, description="k-nearest: keep a pair that both ends found once, not twice")
    cutoff_extra: float = Field(default=3.5, gt=0, description="Å by which radius_graph grows in legacy mode")
    alignn_layers: int = Field(default=2, ge=0, description="convolutions on atoms and angles")
    gcn_layers: int = Field(default=2, ge=0, description="convolutions on atoms alone, after those")
    edge_input_features: int = Field(default=80, ge=2, description="Gaussians of the distance")
    triplet_input_features: int = Field(default=40, ge=2, description="Gaussians of the cosine of an angle")
    embedding_features: int = Field(default=64, ge=1)
    hidden_features: int = Field(default=64, ge=1)
    conv_type: Literal["alignn", "n_alignn", "t_alignn"] = Field(
        default="alignn", description="n_alignn: nodes weigh what they say to the gates; t_alignn: self-attention"
    )
    num_heads: int = Field(default=1, ge=1, description="of the attention, each with a share of hidden_features")
    extra_features: int = Field(default=0, ge=0, description="numbers told of a structure beside its atoms")

    @model_validator(mode="after")
    def _fits_together(self) -> TrunkConfig:
        if self.conv_type == "alignn" and self.num_heads != 1:
            raise ValueError("num_heads is for conv_type n_alignn and t_alignn; leave it at 1")
        if self.hidden_features % self.num_heads:
            raise ValueError("hidden_features must be a multiple of num_heads")
        if self.three_body_cutoff is not None and self.three_body_cutoff > self.cutoff:
            raise ValueError("three_body_cutoff must not exceed cutoff")
        if self.neighbor_strategy == "k-nearest" and not (self.max_neighbors and self.max_neighbors > 0):
            raise ValueError("k-nearest needs max_neighbors, a positive number")
        if self.mode == "sound" and (self.max_neighbors is not None or self.neighbor_strategy == "k-nearest"):
            raise ValueError(
                "a graph of nearest neighbours (max_neighbors, k-nearest) makes energies jump; sound mode takes every "
                "neighbour. Set max_neighbors to null, or mode to legacy"
            )
        return self


class NetworkConfig(TrunkConfig, FurtherOutputs):
    """What force fields add to it."""

    lg_on_fly: bool = Field(default=True, description="forces through the angles; off in legacy mode only")

    @model_validator(mode="after")
    def _has_whole_forces(self) -> NetworkConfig:
        if self.mode == "sound" and not self.lg_on_fly:
            raise ValueError("without lg_on_fly forces miss the angles; sound mode has no such forces")
        return self

    @model_validator(mode="after")
    def _reads_one_thing_off_features(self) -> NetworkConfig:
        if self.mode == "legacy" and self.extra_features and self.additional_output_features:
            raise ValueError(
                "upstream's layer of additional outputs does not fit what it is given with extra_features, and stops; "
                "in legacy mode leave one of them out, or set mode to sound"
            )
        return self


class PlainTorchConfig(NetworkConfig):
    """What upstream's plain-torch models have not."""

    @model_validator(mode="after")
    def _told_nothing(self) -> PlainTorchConfig:
        if self.mode == "legacy" and self.extra_features:
            raise ValueError(
                "upstream's plain-torch models take extra_features and ignore them. Name the model alignn_atomwise, "
                "or set mode to sound"
            )
        return self


class CutoffFunction(TrunkConfig):
    """Mode and edge features of `alignn_atomwise`."""

    mode: Literal["sound", "legacy"] = Field(
        default="sound",
        description="legacy: as published. sound: every sum enveloped, no residual without neighbours, complete graphs",
    )
    use_cutoff_function: bool = Field(default=False, description="carry the edge features to zero at inner_cutoff")
    multiply_cutoff: bool = Field(default=False, description="multiply by that function; else it replaces the distance")
    inner_cutoff: float = Field(default=3.0, gt=0, description="Å")
    exponent: int = Field(default=5, ge=2, description="of every envelope")
    lighten_edges: bool = Field(
        default=False, description="only angles whose outer atoms are nearer to each other than inner_cutoff"
    )
    backtracking: bool = Field(default=True, description="count the angle of zero, from an atom and back to it")


class AlignnAtomwiseConfig(CutoffFunction, NetworkConfig):
    """Form and size of `alignn_atomwise`."""


class AlignnAtomwisePureConfig(AlignnAtomwiseConfig, PlainTorchConfig):
    """Form and size of `alignn_atomwise_pure`."""


class AlignnAtomwisePureSmoothConfig(PlainTorchConfig):
    """Form and size of `alignn_atomwise_pure_smooth`."""

    mode: Literal["sound", "legacy"] = Field(
        default="sound",
        description="legacy: as published. sound: every sum enveloped, no residual without neighbours, no kink where "
        "atoms are in line",
    )
    radial_basis: Literal["bessel", "gaussian"] = "bessel"
    angular_basis: Literal["fourier", "cosine"] = "fourier"
    radial_cutoff: float = Field(default=8.0, gt=0, description="Å, where the radial basis ends")
    smooth_cutoff_coeff: float = Field(default=5.0, ge=0, description="exponent of its envelope; 0 leaves it out")
    radial_learnable: bool = Field(default=True, description="learn the frequencies of the bessel basis")
    angular_learnable: bool = Field(default=True, description="learn those of the fourier basis")
    use_atomref: bool = Field(
        default=False,
        description="add a linear function of the atom's features to its energy; legacy mode only, and on there if "
        "not told",
    )

    @model_validator(mode="before")
    @classmethod
    def _as_published(cls, fields: Any) -> Any:
        return {"use_atomref": True, **fields} if fields.get("mode") == "legacy" else fields

    @model_validator(mode="after")
    def _has_one_reference(self) -> AlignnAtomwisePureSmoothConfig:
        if self.mode == "sound" and self.use_atomref:
            raise ValueError(
                "use_atomref adds energies of elements to those of an isolated atom; in sound mode these are the "
                "reference energies alone. Set use_atomref to false, or mode to legacy"
            )
        return self


def wanted_topology(c: TrunkConfig) -> Topology:
    """The graph that a config describes, by the rules of `neighbors.TOPOLOGIES`."""
    if c.mode == "sound":
        return Topology(angles="chained")
    if c.neighbor_strategy == "k-nearest":
        return Topology("shells", "chained_dgl", (("max_neighbors", c.max_neighbors), ("canonical", c.use_canonize)))
    if c.neighbor_strategy == "radius_graph":
        return Topology("growing", "chained_dgl", (("extra", c.cutoff_extra),))
    if c.neighbor_strategy == "radius_graph_jarvis":
        return Topology("growing", "chained_dgl", (("extra", 0.5), ("own_images", False)))
    cap = c.max_neighbors if c.max_neighbors and c.max_neighbors > 0 else None
    angles = "chained" if c.neighbor_strategy == "pure_torch" else "chained_dgl"
    return Topology("nearest", angles, (("max_neighbors", cap),))


def wanted_angle_cutoff(c: TrunkConfig) -> float | None:
    """Å, longest edge of an angle; infinite where every edge counts, None where angles do not."""
    if not c.alignn_layers:
        return None
    if c.mode == "sound":
        return c.three_body_cutoff or c.cutoff
    whole = c.three_body_cutoff in (None, c.cutoff) or c.neighbor_strategy != "pure_torch"
    return math.inf if whole else c.three_body_cutoff


def reach(c: TrunkConfig) -> float:
    """Receptive field, Å: how far what an atom hears of has come."""
    chosen = wanted_topology(c).edges
    if chosen in ("shells", "growing"):
        return math.inf  # their radius depends on all atoms
    short = min(wanted_angle_cutoff(c) or c.cutoff, c.cutoff)
    atom, edge = 0.0, c.cutoff  # reach of an atom, and of an edge from the atom it leads into
    for layer in range(c.alignn_layers + c.gcn_layers):
        message = max(atom + c.cutoff, edge)
        edge = max(message, short + max(atom + short, edge)) if layer < c.alignn_layers else message
        atom = message
    return atom if chosen == "complete" else atom + c.cutoff  # another atom may be nearer than a neighbour

"""What every potential offers, and how potentials are composed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from alignn_ff.errors import ConfigError, UnknownElementError
from alignn_ff.graph import COMPLETE, AtomGraph, Topology

SYMBOLS = (
    "X H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr "
    "Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir "
    "Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl "
    "Mc Lv Ts Og"
).split()
"""Element symbols by atomic number; index 0 is no element."""


class Heads(NamedTuple):
    """What a potential computes of each atom before any derivative; absent means None.

    Attributes:
        energy: eV [N].
        atomwise: values of each atom beside its energy [N, A], see `Potential.atomwise_names`.
        additional: values [N, B] whose means over a structure are its own, see `Potential.additional_names`.
    """

    energy: Tensor
    atomwise: Tensor | None = None
    additional: Tensor | None = None


def heads(energy: Tensor, features: Tensor, readouts: Iterable[nn.Module | None]) -> Heads:
    """Energies, eV [N], and what readouts of other values, where there are any, make of features of atoms [N, F]."""
    return Heads(energy, *(None if readout is None else readout(features) for readout in readouts))


class GraphModel(nn.Module, ABC):
    """Reads a graph and its edge vectors; what potentials and property models have in common.

    Attributes:
        name: key in its table of models.
        cutoff: Å; the graph must hold every edge up to it that the topology asks for.
        angle_cutoff: Å; the graph must hold angles up to it; None where no angles are needed.
        topology: which edges and angles those are.
        elements: symbols the model knows.
        extra_features: numbers of each structure that it wants to be told beside the atoms.
    """

    name: ClassVar[str]
    cutoff: float
    angle_cutoff: float | None = None
    topology: Topology = COMPLETE
    elements: tuple[str, ...]
    extra_features: int = 0

    @property
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What is needed to make this model again, apart from its weights; fit for JSON."""

    @property
    def wants(self) -> dict[str, Any]:
        """The graph it is to be given, as arguments of `neighbors.connect`."""
        return {"cutoff": self.cutoff, "angle_cutoff": self.angle_cutoff, "topology": self.topology}

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the weights; float64 for a model without any."""
        return next((p.dtype for p in self.parameters()), torch.float64)


class Potential(GraphModel):
    """Maps a graph and its edge vectors to per-atom energies. Concrete potentials are final.

    Attributes:
        name: key in `models.MODELS`.
        receptive_field: Å; an atom's energy depends on nothing farther away.
        atomwise_names: what each value of an atom is, beside its energy.
        additional_names: what each value of a structure is.
        claims: properties the physics tests hold it to.
    """

    receptive_field: float
    atomwise_names: tuple[str, ...] = ()
    additional_names: tuple[str, ...] = ()
    claims: frozenset[str] = frozenset({"smooth_cutoff", "extensive", "isolated_atom_is_reference"})

    @abstractmethod
    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        """Energies, eV [N], and other values of atoms from edge vectors, Å [E, 3], in the potential's own precision."""

    def calibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        """Set constants a network takes from data before training; nothing where there are none."""

    def recalibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        """Take those constants anew and change the weights along with them, so that the energies stay as they are."""


class Composite(Potential):
    """Potentials that know the same elements and are evaluated on the same graph.

    Raises:
        ConfigError: their elements, extra features or further outputs differ, or no one graph has the edges and
            angles that all of them want.
    """

    def __init__(self, parts: Sequence[Potential]) -> None:
        super().__init__()
        if len({part.elements for part in parts}) != 1:
            raise ConfigError(
                f"the parts of a {self.name} know {' / '.join(' '.join(p.elements) for p in parts)}; expected the same "
                "elements in the same order."
            )
        self.elements = parts[0].elements
        self.cutoff = max(part.cutoff for part in parts)
        self.angle_cutoff = max((p.angle_cutoff for p in parts if p.angle_cutoff is not None), default=None)
        self.topology = _common_topology(parts)
        self.receptive_field = max(part.receptive_field for part in parts)
        self.claims = frozenset.intersection(*(part.claims for part in parts))
        self.atomwise_names = _common_names([part.atomwise_names for part in parts])
        self.additional_names = _common_names([part.additional_names for part in parts])
        self.extra_features = _common_count([part.extra_features for part in parts])

    def calibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        for part in next(self.children()).children():  # the one list of parts
            part.calibrate(graph, vectors)  # type: ignore[operator]

    def recalibrate(self, graph: AtomGraph, vectors: Tensor) -> None:
        for part in next(self.children()).children():
            part.recalibrate(graph, vectors)  # type: ignore[operator]


class Sum(Composite):
    """Sum of potentials that know the same elements."""

    name = "sum"

    def __init__(self, terms: Sequence[Potential]) -> None:
        super().__init__(terms)
        self.terms = nn.ModuleList(terms)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        return _combined([term(graph, vectors) for term in self.terms], torch.sum)

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "terms": [term.config for term in self.terms]}  # type: ignore[union-attr]


class Committee(Composite):
    """Mean of potentials that know the same elements; errors they do not share average out."""

    name = "committee"

    def __init__(self, members: Sequence[Potential]) -> None:
        super().__init__(members)
        self.members = nn.ModuleList(members)

    def forward(self, graph: AtomGraph, vectors: Tensor) -> Heads:
        return _combined([member(graph, vectors) for member in self.members], torch.mean)

    @property
    def config(self) -> dict[str, Any]:
        return {"name": self.name, "members": [member.config for member in self.members]}  # type: ignore[union-attr]


def _combined(said: Sequence[Heads], by: Callable[[Tensor, int], Tensor]) -> Heads:
    """One of several, float64: each output `by` sum or mean over those that have it."""
    there = ([value.to(torch.float64) for value in values if value is not None] for values in zip(*said, strict=True))
    return Heads(*(by(torch.stack(values), 0) if values else None for values in there))  # type: ignore[arg-type]


def _common_names(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    """The names that all parts with such outputs share."""
    different = sorted({each for each in names if each})
    if len(different) > 1:
        told = " / ".join(", ".join(each) for each in different)
        raise ConfigError(f"potentials evaluated together give different values beside the energy ({told}).")
    return different[0] if different else ()


def _common_count(counts: Iterable[int]) -> int:
    """How many extra features all parts want that want any."""
    different = sorted({count for count in counts if count})
    if len(different) > 1:
        raise ConfigError(
            f"potentials evaluated together want {' and '.join(map(str, different))} extra features; expected as many."
        )
    return different[0] if different else 0


def _common_topology(parts: Sequence[Potential]) -> Topology:
    """The topology that all `parts` can share; who wants every pair of atoms makes do with what another chooses."""
    edges = {(p.topology.edges, p.topology.options) for p in parts} - {(COMPLETE.edges, COMPLETE.options)}
    angles = {p.topology.angles for p in parts if p.angle_cutoff is not None}
    if len(edges) > 1 or len(angles) > 1:
        wanted = ", ".join(f"{p.name}: {p.topology.edges} edges, {p.topology.angles} angles" for p in parts)
        raise ConfigError(f"potentials evaluated together need one graph, but they want different ones ({wanted}).")
    name, options = edges.pop() if edges else (COMPLETE.edges, COMPLETE.options)
    return Topology(name, angles.pop() if angles else COMPLETE.angles, options)


def element_index(elements: Iterable[str]) -> Tensor:
    """Table from atomic number to the place of the element in `elements`; -1 where it is absent. int64 [119]."""
    table = torch.full((len(SYMBOLS),), -1, dtype=torch.int64)
    for place, symbol in enumerate(elements):
        table[SYMBOLS.index(symbol)] = place
    return table


def check_elements(elements: Sequence[str], numbers: Tensor, what: str = "the structure") -> None:
    """Say no to elements a potential does not know.

    Args:
        elements: symbols it knows.
        numbers: atomic numbers [N].
        what: how the message calls the structure.
    Raises:
        UnknownElementError: names the elements and the atoms.
    """
    known = element_index(elements).to(numbers.device)[numbers] >= 0
    if bool(known.all()):
        return
    strange = torch.nonzero(~known).squeeze(1).tolist()
    names = sorted({SYMBOLS[int(numbers[i])] for i in strange})
    atoms = ", ".join(map(str, strange[:5])) + (", …" if len(strange) > 5 else "")
    raise UnknownElementError(
        f"the model knows {' '.join(elements)}; {what} has {' '.join(names)} (atoms {atoms}). Choose a model that was "
        "trained on these elements, or train one with `alignn-ff train`."
    )

"""`atoms.calc = AlignnFFCalculator()`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import (
    Calculator,
    PropertyNotImplementedError,
    all_changes,
    external_calculators,
    register_calculator_class,
)

from alignn_ff.calculator.guard import DomainGuard
from alignn_ff.calculator.side_by_side import side_by_side
from alignn_ff.device import DTYPES, choose_device
from alignn_ff.domain import Finding, Limits, from_facts, outside
from alignn_ff.errors import CheckpointError, ConfigError, StructureError
from alignn_ff.evaluate import Prediction, evaluate
from alignn_ff.graph import AtomGraph, atom_counts, concat, edge_vectors, to_device
from alignn_ff.io import ASE_VALUES, EXTRA_FEATURES, from_ase, matrix_to_voigt, with_extra_features
from alignn_ff.memory import keep_freed_memory
from alignn_ff.models.base import SYMBOLS, Potential, check_elements
from alignn_ff.neighbors import connect
from alignn_ff.neighbors.skin import SkinList
from alignn_ff.pretrained import default_model, load_potential

log = logging.getLogger(__name__)

_TOO_CLOSE_A = 0.3

_CPU_EDGES, _GPU_EDGES = 25_000, 200_000
"""Edges of one pack. On a CPU larger ones fall out of its caches and are a tenth slower."""


class AlignnFFCalculator(Calculator):
    """Energy, forces and stress of a structure from an ALIGNN potential.

    Properties: energy, free_energy (the same: there is no electronic temperature), energies (per atom), forces,
    stress (eV/Å³, Voigt xx yy zz yz xz xy, positive in tension; only for structures with a volume); charges (e) and
    magmoms (µB) where the model says that these are among its values of atoms. One evaluation gives them all; moving
    nothing costs nothing. The atoms are never changed.

    A model trained with extra features is told those in `atoms.info["extra_features"]`; others do not look there.

    Args:
        model: None for `universal`, a name (`alignn-ff models list`), a file, or a `Potential`. A known
            model that is not on this machine is downloaded, unless `ALIGNN_FF_OFFLINE` is set.
        device: "auto" (CUDA where there is one), or anything torch understands.
        dtype: "float32" or "float64"; the precision of the model file unless given.
        skin: Å; neighbour lists are reused until an atom moved half of it. 0 finds neighbours anew every step.
        domain_check: warn (`DomainWarning`), once a kind, of structures unlike those the model was trained on, where
            the model says what these were.
    Raises:
        ModelNotFoundError, CheckpointError: no such model, or a damaged one.
        DownloadError: a model that is not on this machine and cannot be downloaded.
    """

    # ASE declares both as instance variables.
    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress"]  # noqa: RUF012
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012 (the energy ignores them)

    def __init__(
        self,
        model: str | Path | Potential | None = None,
        *,
        device: str = "auto",
        dtype: str | None = None,
        skin: float = 0.5,
        domain_check: bool = True,
    ) -> None:
        super().__init__()
        keep_freed_memory()
        self.device = choose_device(device)
        potential, self.provenance, self.facts = _resolve(model)
        self.potential = potential.to(device=self.device, dtype=_dtype(dtype, potential)).eval().requires_grad_(False)
        offered = [name for name in ASE_VALUES if name in potential.atomwise_names]
        self.implemented_properties = [*type(self).implemented_properties, *offered]
        self.provenance |= {"device": str(self.device), "dtype": str(self.potential.dtype).removeprefix("torch.")}
        if not skin >= 0.0:
            raise ConfigError(f"skin is {skin} Å; expected 0 or more.")
        self._told = np.array(None)
        self._neighbors = SkinList(**self.potential.wants, skin=skin)
        self._guard = _guard(self.facts, self.provenance["model"]) if domain_check else None

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill `results` with every property of `atoms` (ASE calls this only when something changed).

        Raises:
            UnknownElementError: an element the model was not trained on.
            StructureError: positions that are not finite, atoms closer than 0.3 Å, extra features that the model wants
                and the atoms have not.
            PropertyNotImplementedError: stress asked of a structure without a volume.
        """
        super().calculate(atoms, properties, system_changes)
        bare = self._checked(self.atoms, "the structure")
        if self.potential.extra_features:
            self._told = np.array(self.atoms.info[EXTRA_FEATURES])  # a copy: who holds the list may change it
        searches = self._neighbors.rebuilds
        graph = self._neighbors.connect(bare)
        _check_distances(graph, "the structure")
        if self._guard is not None:
            self._guard.follow(graph, rebuilt=self._neighbors.rebuilds > searches)
        (self.results,) = self._answers(graph)
        if "stress" in properties and "stress" not in self.results:
            raise PropertyNotImplementedError("stress needs a volume, and this structure's cell has none.")

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What changed since the last evaluation; extra features count where the model is told them."""
        changes = super().check_state(atoms, tol)
        if self.potential.extra_features and not np.array_equal(self._told, atoms.info.get(EXTRA_FEATURES)):
            changes.append(EXTRA_FEATURES)
        return changes

    def reset(self) -> None:
        """Forget the last structure, its results and its neighbour list: what follows is as from a new calculator."""
        super().reset()
        self._neighbors.forget()

    def evaluate(self, structures: Sequence[Atoms], *, batch_edges: int | None = None) -> list[dict[str, Any]]:
        """Properties of many structures at once, packed into few graphs; the calculator's own state stays as it is.

        On a CPU as many packs are evaluated side by side as torch has threads.

        Args:
            structures: any number; each knows its own cell and pbc.
            batch_edges: edges of one pack at most, which bounds the memory; by default few enough for the caches of a
                CPU, or enough to keep a GPU busy.
        Returns:
            one dictionary a structure, with the keys of `implemented_properties` (stress only with a volume).
        Raises:
            UnknownElementError, StructureError: as in `calculate`, naming the structure.
        """
        on_cpu = self.device.type == "cpu"
        threads = torch.get_num_threads() if on_cpu else 1
        packs = self._packs(structures, batch_edges or (_CPU_EDGES if on_cpu else _GPU_EDGES), threads)
        results: list[dict[str, Any]] = []
        for graph, answers in side_by_side(self._packed, packs, threads=threads):
            if self._guard is not None:
                self._guard.check(graph, first=len(results))
            results += answers
        return results

    def variant(self, *, dtype: str | None = None, skin: float | None = None) -> AlignnFFCalculator:
        """The same model on the same device with another precision or skin (Å), to compare with."""
        return AlignnFFCalculator(
            self.potential,
            device=str(self.device),
            dtype=dtype,
            skin=self._neighbors.skin if skin is None else skin,
            domain_check=False,
        )

    def domain_report(self, atoms: Atoms) -> list[Finding]:
        """Everything of a structure that the training structures of the model had not; nothing is evaluated.

        Raises:
            CheckpointError: the model does not say what it was trained on.
            UnknownElementError, StructureError: as in `calculate`.
        """
        domain = from_facts(self.facts)
        if domain is None:
            raise CheckpointError(
                f"model {self.provenance['model']} does not say what it was trained on. Models trained with this "
                "version do; `alignn_ff.training.domain.add_domain` adds it to an older one."
            )
        graph = connect(self._checked(atoms, "the structure"), **self.potential.wants)
        return outside(Limits(domain), graph)

    def _packs(self, structures: Sequence[Atoms], batch_edges: int, threads: int) -> Iterator[list[AtomGraph]]:
        """Graphs of structures, in packs of `batch_edges` at most; smaller ones where threads would go without."""
        share = ceil(len(structures) / threads)
        pack: list[AtomGraph] = []
        edges = 0
        for place, atoms in enumerate(structures):
            what = f"structure {place}"
            graph = connect(self._checked(atoms, what), **self.potential.wants)
            _check_distances(graph, what)
            if len(pack) == share or (pack and edges + len(graph.edge_src) > batch_edges):
                yield pack
                pack, edges = [], 0
            pack.append(graph)
            edges += len(graph.edge_src)
        if pack:
            yield pack

    def _packed(self, pack: Sequence[AtomGraph]) -> tuple[AtomGraph, list[dict[str, Any]]]:
        """Graphs as one, and the results of each."""
        graph = concat(pack)
        return graph, self._answers(graph)

    def _answers(self, graph: AtomGraph) -> list[dict[str, Any]]:
        """ASE's results of each structure of a graph."""
        return split_results(self._predict(graph), graph, self.potential.atomwise_names)

    def _checked(self, atoms: Atoms, what: str) -> AtomGraph:
        graph = from_ase(atoms)
        check_elements(self.potential.elements, graph.numbers, what)
        return with_extra_features(graph, atoms, self.potential.extra_features, what)

    def _predict(self, graph: AtomGraph) -> Prediction:
        prediction = evaluate(self.potential, to_device(graph, self.device))
        return prediction._replace(**{name: t.cpu() for name, t in prediction._asdict().items() if t is not None})


def split_results(prediction: Prediction, graph: AtomGraph, names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """ASE's results of each structure of a graph from what was predicted of all; `names` of the values of atoms."""
    ends = atom_counts(graph).cumsum(0).tolist()
    ranges = map(slice, [0, *ends[:-1]], ends)
    return [_results(prediction, place, atoms, names) for place, atoms in enumerate(ranges)]


def _results(prediction: Prediction, place: int, atoms: slice, names: Sequence[str]) -> dict[str, Any]:
    """ASE's results of structure `place` of a prediction, whose atoms stand at `atoms`."""
    energy = float(prediction.energy[place])
    results: dict[str, Any] = {
        "energy": energy,
        "free_energy": energy,
        "energies": prediction.atom_energy[atoms].numpy(),
    }
    if prediction.forces is not None:
        results["forces"] = prediction.forces[atoms].numpy()
    if prediction.stress is not None and bool(torch.isfinite(prediction.stress[place]).all()):
        results["stress"] = matrix_to_voigt(prediction.stress[place].numpy())
    if prediction.atomwise is not None:
        values = prediction.atomwise[atoms].numpy().T
        results |= {name: each for name, each in zip(names, values, strict=False) if name in ASE_VALUES}
    return results


def _resolve(model: str | Path | Potential | None) -> tuple[Potential, dict[str, Any], dict[str, Any]]:
    """The potential, where it comes from, and what its file states."""
    if isinstance(model, Potential):
        # A copy: moving it to a device or precision must not reach into the caller's own.
        return deepcopy(model), {"model": model.name, "sha256": None}, {}
    checkpoint = load_potential(model)
    name = default_model() if model is None else str(model)
    return checkpoint.potential, {"model": name, "sha256": checkpoint.sha256}, checkpoint.facts


def _guard(facts: Mapping[str, Any], model: str) -> DomainGuard | None:
    """What warns of structures outside the domain of a model; None where the model does not say what that is."""
    domain = from_facts(facts)
    if domain is None:
        log.info("model %s does not say what it was trained on: no structure is checked against it.", model)
        return None
    return DomainGuard(domain, model)


def _dtype(name: str | None, potential: Potential) -> torch.dtype:
    if name is None:
        return potential.dtype
    if name not in DTYPES:
        raise ConfigError(f"dtype is {name!r}; expected one of {', '.join(DTYPES)}.")
    return DTYPES[name]


def _check_distances(graph: AtomGraph, what: str) -> None:
    distances = edge_vectors(graph).norm(dim=1)
    if len(distances) == 0 or float(distances.min()) >= _TOO_CLOSE_A:
        return
    worst = int(distances.argmin())
    i, j = int(graph.edge_src[worst]), int(graph.edge_dst[worst])
    first, second = (SYMBOLS[int(graph.numbers[k])] for k in (i, j))
    raise StructureError(
        f"in {what}, atoms {i} ({first}) and {j} ({second}) are {float(distances[worst]):.3f} Å apart; expected at "
        f"least {_TOO_CLOSE_A} Å. Atoms overlap: check the cell, pbc and units."
    )


if "alignn_ff" not in external_calculators:
    register_calculator_class("alignn_ff", AlignnFFCalculator)

"""`atoms.calc = CommitteeCalculator("run/")`: the mean of models trained alike, and how far they disagree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from ase import Atoms

from alignn_ff.calculator.ase import AlignnFFCalculator, split_results
from alignn_ff.calculator.committee_table import CommitteePrediction
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.evaluate import Prediction, evaluate
from alignn_ff.graph import AtomGraph, to_device
from alignn_ff.io import matrix_to_voigt
from alignn_ff.models import Committee, Potential
from alignn_ff.pretrained import load_potential

BEST = "best_model.safetensors"


class CommitteeCalculator(AlignnFFCalculator):
    """Mean energy, forces and stress of a committee, with the spread of its members beside them in `results`.

    energy_std: eV; forces_std: eV/Å [N, 3]; force_uncertainty: eV/Å [N], mean of the three components;
    stress_std: eV/Å³, Voigt (where there is a volume). All are population standard deviations over the members.
    member_energies: eV, one of each member.

    Args:
        model: folder of a committee's training (wherever it lies now), a committee's model file or name, or a
            sequence of models, each a file, a name or a `Potential`.
        options: as for `AlignnFFCalculator`.
    Raises:
        ConfigError: one model alone, or models that differ in elements or graphs.
        CheckpointError: a folder that lacks a member.
        ModelNotFoundError: no such model.
    """

    def __init__(self, model: str | Path | Potential | Sequence[str | Path | Potential], **options: Any) -> None:
        super().__init__(load_committee(model), **options)
        if isinstance(model, str | Path):
            self.provenance["model"] = str(model)
        self.members = list(self.potential.members)  # type: ignore[arg-type]

    def predict(
        self, structures: Sequence[Atoms], *, names: Sequence[str] | None = None, batch_edges: int = 200_000
    ) -> CommitteePrediction:
        """What the committee says of structures, called by `names`, as a table that can be sorted and written."""
        return CommitteePrediction(list(structures), self.evaluate(structures, batch_edges=batch_edges), names)

    def top_uncertain(
        self, structures: Sequence[Atoms], n: int = 10, *, by: Literal["forces", "energy"] = "forces"
    ) -> list[tuple[int, float]]:
        """The `n` structures that the members disagree on most, worst first, as (place, spread); see `predict`."""
        return self.predict(structures).top_uncertain(n, by=by)

    def _answers(self, graph: AtomGraph) -> list[dict[str, Any]]:
        """Results of each structure of a graph, with their spreads beside them."""
        there = to_device(graph, self.device)
        said = [evaluate(member, there) for member in self.members]  # type: ignore[arg-type]
        stacked = {
            name: torch.stack([getattr(one, name) for one in said]).cpu()
            for name in Prediction._fields
            if getattr(said[0], name) is not None
        }
        mean = Prediction(**{name: values.mean(0) for name, values in stacked.items()})
        energies = stacked["energy"].T.numpy()  # [G, members]
        means = split_results(mean, graph, self.potential.atomwise_names)
        answers = zip(means, _spreads(stacked, graph), energies, strict=True)
        return [result | spread | {"member_energies": each} for result, spread, each in answers]


def load_committee(model: str | Path | Potential | Sequence[str | Path | Potential]) -> Committee:
    """The committee that `model` names; see `CommitteeCalculator`."""
    if isinstance(model, str | Path):
        folder = Path(model)
        found: Potential = _from_folder(folder) if folder.is_dir() else load_potential(model).potential
    elif isinstance(model, Potential):
        found = model
    else:
        found = Committee([m if isinstance(m, Potential) else load_potential(m).potential for m in model])
    if not isinstance(found, Committee) or len(found.members) < 2:
        raise ConfigError(
            f"{model if isinstance(model, str | Path) else found.name} is a single model and has nobody to disagree "
            "with. Train a committee (`committee_size: 4`), or give several models."
        )
    return found


def _from_folder(folder: Path) -> Potential:
    """The committee trained in `folder`, found by where its files lie beside one another."""
    members = sorted(folder.glob(f"member_*/{BEST}"), key=lambda path: int(path.parent.name.removeprefix("member_")))
    config = folder / "config.json"
    expected = json.loads(config.read_text(encoding="utf-8")).get("committee_size") if config.is_file() else None
    if not members and (folder / BEST).is_file():
        return load_potential(folder / BEST).potential  # it holds all members
    if not members or (expected is not None and len(members) != expected):
        there = ", ".join(path.parent.name for path in members) or "none"
        raise CheckpointError(
            f"{folder}: a committee of {expected or 'several'} members was expected, with a {BEST} in each member_K; "
            f"there is {there}. Copy the rest, or go on with its training by --resume."
        )
    return Committee([load_potential(path).potential for path in members])


def _spreads(stacked: dict[str, torch.Tensor], graph: AtomGraph) -> list[dict[str, Any]]:
    """Population standard deviations over the first axis, for each structure."""
    deviation = {name: values.std(0, correction=0) for name, values in stacked.items()}
    owner = graph.graph_index
    spreads = []
    for place, energy in enumerate(deviation["energy"].tolist()):
        forces = deviation["forces"][owner == place].numpy()
        spread = {"energy_std": energy, "forces_std": forces, "force_uncertainty": forces.mean(axis=1)}
        if "stress" in deviation and bool(torch.isfinite(deviation["stress"][place]).all()):
            spread["stress_std"] = matrix_to_voigt(deviation["stress"][place].numpy())
        spreads.append(spread)
    return spreads

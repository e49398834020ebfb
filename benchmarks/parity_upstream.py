"""Published ALIGNN models with random weights: this package against the installed upstream package, in float64.

    python -m benchmarks.parity_upstream [--structures 30] [--out FILE]

Needs an environment with alignn 2026.8.11, dgl 1.1.3, matscipy and this package. Each model is made here, its weights
rounded to float32 as trainers save them, written as upstream's two files, read by upstream's ASE calculator and read
back here; the way back must be equal bit by bit. That calculator refuses alignn_atomwise_pure_smooth and tells no model
its extra features: those are evaluated by upstream's own model and graph classes.
A structure is left out where a model keeps the nearest neighbours and the last of them is no nearer than the next.
Where upstream rounds coordinates, it is given structures that rounding leaves as they are; on others it differs from
itself by 1e-5 eV/Å. Bars: 1e-9 eV/atom, 1e-8 eV/Å, 1e-8 GPa.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import numpy as np
import torch
from ase import Atoms
from ase.data import covalent_radii
from ase.stress import full_3x3_to_voigt_6_stress

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import ConfigError
from alignn_ff.graph import edge_vectors
from alignn_ff.io import EXTRA_FEATURES, from_ase
from alignn_ff.models import Potential, Sum, build
from alignn_ff.models.base import SYMBOLS
from alignn_ff.neighbors import connect
from alignn_ff.pretrained.publish import save_upstream
from alignn_ff.pretrained.upstream import GRAPH, load_upstream
from alignn_ff.units import GPA_PER_EV_A3
from benchmarks.command import end_well, write_json

ELEMENTS = "H Li C N O F Na Al Si P S Cl Ti Fe Ni Cu Mo Ag Ba Au".split()
SMOOTHED = {"use_cutoff_function": True, "multiply_cutoff": True, "inner_cutoff": 4.0}

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "pure": ("alignn_atomwise_pure", {"neighbor_strategy": "pure_torch"}),
    "pure, 52 neighbours": ("alignn_atomwise_pure", {"max_neighbors": 52, **SMOOTHED}),
    "pure, n_alignn": ("alignn_atomwise_pure", {"conv_type": "n_alignn", "num_heads": 2}),
    "pure, t_alignn": ("alignn_atomwise_pure", {"conv_type": "t_alignn", "num_heads": 4}),
    "smooth": ("alignn_atomwise_pure_smooth", {}),
    "smooth, 20 neighbours": ("alignn_atomwise_pure_smooth", {"max_neighbors": 20, "radial_cutoff": 5.0}),
    "DGL, torch_graph": ("alignn_atomwise", {"neighbor_strategy": "torch_graph"}),
    "DGL, fast_graph": ("alignn_atomwise", {"neighbor_strategy": "fast_graph", "max_neighbors": 20}),
    "DGL, k-nearest": ("alignn_atomwise", {"neighbor_strategy": "k-nearest", "cutoff": 8.0, "max_neighbors": 12}),
    "DGL, radius_graph": ("alignn_atomwise", {"neighbor_strategy": "radius_graph"}),
    "DGL, extra features": ("alignn_atomwise", {"neighbor_strategy": "torch_graph", "extra_features": 4}),
}
ROUNDED = ("DGL, k-nearest", "DGL, radius_graph")
"""Whose vectors upstream takes through fractional coordinates of few decimals, or through float32."""

THEIR_GPA_PER_EV_A3 = 160.21766208
BARS = (1e-9, 1e-8, 1e-8)  # eV/atom, eV/Å, GPa


@dataclass(frozen=True)
class Errors:
    """Largest differences over all structures; bars in the order of the module's docstring."""

    case: str
    structures: int
    energy_ev_per_atom: float
    forces_ev_a: float
    stress_gpa: float
    comes_back_bit_equal: bool

    def passes(self) -> bool:
        """Whether every bar is kept."""
        found = (self.energy_ev_per_atom, self.forces_ev_a, self.stress_gpa)
        return self.comes_back_bit_equal and all(a <= b for a, b in zip(found, BARS, strict=True))


def structures(count: int, seed: int = 1) -> list[Atoms]:
    """Random triclinic cells of 2 to 12 atoms of three elements, on displaced sites of a grid a bond wide.

    Each has four extra features.
    """
    rng = np.random.default_rng(seed)
    told = np.random.default_rng(seed + 1).normal(size=(count, 4))
    sites = np.stack(np.meshgrid(range(2), range(2), range(3), indexing="ij"), axis=-1).reshape(-1, 3)
    found = []
    for row in told:
        symbols = rng.choice(rng.choice(ELEMENTS, 3, replace=False), rng.integers(2, 13))
        bond = 2 * max(covalent_radii[SYMBOLS.index(symbol)] for symbol in symbols)
        deform = bond * (np.eye(3) + 0.08 * rng.normal(size=(3, 3)))
        chosen = rng.permutation(sites)[: len(symbols)] + 0.3 + 0.1 * rng.uniform(-1, 1, (len(symbols), 3))
        cell, info = np.array([2, 2, 3])[:, None] * deform, {EXTRA_FEATURES: row}
        found.append(Atoms(symbols, cell=cell, positions=chosen @ deform, pbc=True, info=info))
    return found


def exact(atoms: Atoms) -> Atoms:
    """The structure on a grid of 1/32 of a cell of sixteenths of Å: five decimals and float32 say it exactly."""
    places = np.round(32 * atoms.get_scaled_positions(wrap=False)) / 32
    cell = np.round(16 * atoms.cell.array) / 16
    return Atoms(atoms.symbols, cell=cell, positions=places @ cell, pbc=True)


def cuts_a_tie(atoms: Atoms, count: int | None) -> bool:
    """Whether the last of `count` neighbours of an atom is as far as the next, which leaves the choice to rounding."""
    if count is None:
        return False
    graph = connect(from_ase(atoms), 14.0)
    lengths = edge_vectors(graph).norm(dim=1)
    ordered = [lengths[graph.edge_src == atom].sort().values for atom in range(len(atoms))]
    return any(float(d[count] - d[count - 1]) < 1e-5 for d in ordered)


def potential(name: str, fields: dict[str, Any], seed: int = 0) -> Potential:
    """A legacy model with random weights, livelier than those it is initialised with, and its short range."""
    torch.manual_seed(seed)
    elements = SYMBOLS[1:101]
    network = build({"name": name, "mode": "legacy", "elements": elements, "hidden_features": 32, **fields})
    for parameter in network.parameters():
        parameter.data = (1.5 * parameter.data if parameter.ndim == 2 else parameter.data).to(torch.float32)
    pure, told = name.endswith("pure"), "once" if name.endswith("smooth") else "never"
    terms: list[dict[str, Any]] = [{"name": "legacy_penalty", "factor": 0.1, "threshold": 1.0, "told": told}]
    terms += [{"name": "legacy_zbl", "cutoff": 0.9}] if pure else []
    return Sum([network, *(build({**term, "elements": elements}) for term in terms)]).to(torch.float64)


def by_calculator(folder: str, many: list[Atoms]) -> Iterator[dict[str, Any]]:
    """Energy, forces and stress by upstream's ASE calculator, eV, eV/Å, eV/Å³ (Voigt)."""
    from alignn.ff.calculators import AlignnAtomwiseCalculator

    calculator = AlignnAtomwiseCalculator(path=folder, device="cpu")
    for atoms in many:
        calculator.calculate(atoms)
        yield calculator.results


def by_model(folder: str, many: list[Atoms]) -> Iterator[dict[str, Any]]:
    """The same by upstream's model, where its calculator refuses it or does not tell it extra features."""
    from alignn.graphs import Graph
    from jarvis.core.atoms import ase_to_atoms

    config = json.loads(Path(folder, "config.json").read_text())
    model, total = upstream_model(config["model"])
    model.load_state_dict(torch.load(Path(folder, "best_model.pt"), weights_only=True))
    fields = {name: config[name] for name in (*GRAPH, "three_body_cutoff")}
    for atoms in many:
        g, lg = Graph.atom_dgl_multigraph(ase_to_atoms(atoms), **fields)
        tell(g, atoms)
        out = model((g, lg, torch.tensor(atoms.cell.array)))
        stress = out["stresses"][0].detach().numpy() / THEIR_GPA_PER_EV_A3
        yield {
            "energy": float(out["out"]) * (1 if total else len(atoms)),
            "forces": out["grad"].detach().numpy(),
            "stress": full_3x3_to_voigt_6_stress(stress),
        }


def upstream_model(fields: dict[str, Any]) -> tuple[torch.nn.Module, bool]:
    """A model by its config, and whether its output is the total energy, not the energy per atom."""
    from alignn.models.alignn_atomwise import ALIGNNAtomWise, ALIGNNAtomWiseConfig
    from alignn.models.alignn_atomwise_pure_smooth import ALIGNNAtomWisePureSmooth, ALIGNNAtomWisePureSmoothConfig

    if fields["name"].endswith("smooth"):
        return ALIGNNAtomWisePureSmooth(ALIGNNAtomWisePureSmoothConfig(**fields)), True
    return ALIGNNAtomWise(ALIGNNAtomWiseConfig(**fields)), False


def tell(graph: Any, atoms: Atoms) -> None:
    """Put a structure's extra features where upstream's data loader puts them: beside each of its atoms."""
    graph.ndata[EXTRA_FEATURES] = torch.tensor(np.tile(atoms.info[EXTRA_FEATURES], (len(atoms), 1)))


def compare(case: str, many: list[Atoms]) -> Errors:
    """One model by both packages."""
    ours = potential(*CASES[case])
    many = [exact(atoms) for atoms in many] if case in ROUNDED else many
    many = [atoms for atoms in many if not cuts_a_tie(atoms, CASES[case][1].get("max_neighbors"))]
    theirs = by_model if case.startswith("smooth") or ours.extra_features else by_calculator
    worst = np.zeros(3)
    with TemporaryDirectory() as folder:
        save_upstream(Path(folder) / "model", ours)
        again = load_upstream(Path(folder) / "model").potential
        mine = AlignnFFCalculator(ours, device="cpu").evaluate(many)
        for atoms, found, expected in zip(many, mine, theirs(f"{folder}/model", many), strict=True):
            errors = [
                abs(found["energy"] - expected["energy"]) / len(atoms),
                np.abs(found["forces"] - expected["forces"]).max(),
                np.abs(found["stress"] - expected["stress"]).max() * GPA_PER_EV_A3,
            ]
            worst = np.maximum(worst, errors)
    equal = all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), again.state_dict().values(), strict=True))
    return Errors(case, len(many), *worst.tolist(), equal)


class Row(Protocol):
    """What a benchmark of parity finds of one case; a dataclass."""

    case: str
    structures: int
    comes_back_bit_equal: bool

    def passes(self) -> bool: ...


def run_cases(
    doc: str | None,
    cases: Iterable[str],
    found: Callable[[str, list[Atoms]], Row],
    columns: str,
    figures: Callable[[Any], str],
) -> None:
    """Print the table, write JSON where asked; a missed bar ends in a non-zero exit.

    Args:
        found: what comes of a case on structures.
        columns: headings of the figures, and
        figures: those of a row.
    Raises:
        ConfigError: names the cases over the bar.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--structures", type=int, default=30)
    parser.add_argument("--out", help="JSON file to write")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("alignn_ff").setLevel(logging.ERROR)  # what users of such weights should know
    torch.set_default_dtype(torch.float64)  # the only way to make upstream compute in float64
    many = structures(arguments.structures)
    print(f"{'':26} {'cells':>5} {columns}  read back")
    rows = []
    for case in cases:
        row = found(case, many)
        rows.append(row)
        back = "bit-equal" if row.comes_back_bit_equal else "differs"
        print(f"{case:26} {row.structures:5} {figures(row)}  {back}")
    if arguments.out:
        write_json(arguments.out, {"structures": len(many), "rows": [asdict(row) for row in rows]})  # type: ignore[call-overload]
    failed = [row.case for row in rows if not row.passes()]
    if failed:
        raise ConfigError(f"over the bar: {', '.join(failed)}.")


def run() -> None:
    """Every case of `CASES`."""
    run_cases(
        __doc__,
        CASES,
        compare,
        f"{'eV/atom':>9} {'eV/Å':>9} {'GPa':>9}",
        lambda row: f"{row.energy_ev_per_atom:9.1e} {row.forces_ev_a:9.1e} {row.stress_gpa:9.1e}",
    )


if __name__ == "__main__":
    end_well(run)

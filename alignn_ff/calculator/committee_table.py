"""What a committee says of many structures, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from ase import Atoms

from alignn_ff.files import write_text


class CommitteePrediction(Sequence[dict[str, Any]]):
    """Results of each structure, as `CommitteeCalculator.evaluate` gives them, in the order asked for.

    Args:
        structures: what was predicted.
        results: one of each.
        names: of each; their chemical formulas unless given.
    """

    def __init__(
        self, structures: Sequence[Atoms], results: Sequence[dict[str, Any]], names: Sequence[str] | None = None
    ) -> None:
        self.structures = structures
        self.results = results
        self.names = [atoms.get_chemical_formula() for atoms in structures] if names is None else list(names)

    def __len__(self) -> int:
        return len(self.results)

    def __getitem__(self, place: Any) -> Any:
        return self.results[place]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """One flat row a structure: place, name, formula, atoms, and in eV and eV/Å energy, its spread, in all and per
        atom, the largest and the mean force uncertainty of an atom, and the energy of each member."""
        rows = [_row(atoms, result) for atoms, result in zip(self.structures, self.results, strict=True)]
        return [{"index": place, "structure": self.names[place], **row} for place, row in enumerate(rows)]

    def top_uncertain(self, n: int = 10, *, by: Literal["forces", "energy"] = "forces") -> list[tuple[int, float]]:
        """The `n` structures that the members disagree on most, worst first, as (place, spread).

        Args:
            by: "forces" ranks by the largest `force_uncertainty` of an atom, eV/Å; "energy" by `energy_std` per atom,
                eV/atom.
        """
        column = {"forces": "max_force_uncertainty", "energy": "energy_std_per_atom"}[by]
        ranked = sorted(self.rows, key=lambda row: -row[column])
        return [(row["index"], row[column]) for row in ranked[:n]]

    def write_csv(self, path: str | Path, *, by: Literal["forces", "energy"] | None = None) -> None:
        """Write `rows` as a table, whole or not at all.

        Args:
            by: worst first, as `top_uncertain` ranks them; in the order asked for where it is None.
        """
        text = io.StringIO()
        rows = self.rows
        rows = rows if by is None else [rows[place] for place, _ in self.top_uncertain(len(rows), by=by)]
        writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(path, text.getvalue())


def _row(atoms: Atoms, result: dict[str, Any]) -> dict[str, Any]:
    uncertainty = result["force_uncertainty"]
    return {
        "formula": atoms.get_chemical_formula(),
        "atoms": len(atoms),
        "energy": float(result["energy"]),
        "energy_std": float(result["energy_std"]),
        "energy_std_per_atom": float(result["energy_std"]) / len(atoms),
        "max_force_uncertainty": float(uncertainty.max()),
        "mean_force_uncertainty": float(uncertainty.mean()),
        **{f"energy_{k}": float(energy) for k, energy in enumerate(result["member_energies"])},
    }

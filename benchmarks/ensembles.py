"""Means and fluctuations of the ensembles of `alignn-ff md`: Lennard-Jones argon, 256 atoms, 50 K, no pressure.

    python -m benchmarks.ensembles [--ensemble nvt npt npt-flexible ...] [--steps 20000]

Two runs of nvt around the volume without pressure give that volume and the bulk modulus B without any barostat. By
them an ensemble is judged: the variance of the temperature is 2 T² / dof, that of the volume k T V / B, which gives B a
second time. Errors are standard errors from the scatter of twelve blocks.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from alignn_ff import run_md
from alignn_ff.units import GPA_PER_EV_A3
from alignn_ff.workflows.ensembles import ENSEMBLES
from alignn_ff.workflows.md import MDResult, MDSettings
from alignn_ff.workflows.time_series import block_mean
from benchmarks.command import end_well, write_json

EPSILON_EV, SIGMA_A = 0.0103, 3.405
"""Argon (Rahman, Phys. Rev. 136, A405, 1964: 119.8 K, 3.405 Å)."""

CUTOFF_A = 2.2 * SIGMA_A
SKIN_A, MOVED_A, STRETCHED = 1.0, 0.4, 0.01
"""Pairs within cutoff and skin are looked for again once an atom moved, or the cell stretched, by as much: twice the
first and the second of 8.5 Å are less than the skin."""

LATTICE_A, STRAIN = 5.515, 0.005
TEMPERATURE_K = 50.0
BLOCKS = 12

COLUMNS = {
    "ensemble": "",
    "temperature_k": "T/K",
    "variance_over_canonical": "var(T)/canonical",
    "pressure_gpa": "p/GPa",
    "volume_a3": "V/Å³",
    "bulk_modulus_gpa": "B/GPa",
    "drift_mev_per_atom_ps": "drift/(meV/atom/ps)",
}
"""Name of a number -> what stands before it in print."""

TIMES = {"thermostat_time_fs": 200.0, "barostat_time_fs": 2000.0, "friction_per_fs": 0.002}


class Argon(Calculator):
    """Lennard-Jones pairs by minimal image; energy and force reach zero at the cutoff."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")
    _pairs: tuple[NDArray, NDArray] | None = None
    _found: tuple[NDArray, NDArray]

    def calculate(
        self, atoms: Atoms | None = None, properties: Sequence[str] = ("energy",), changes: Sequence[str] = all_changes
    ) -> None:
        """Energy in eV, forces [N, 3], stress [6]."""
        super().calculate(atoms, properties, changes)
        cell, n = self.atoms.cell[:], len(self.atoms)
        scaled = self.atoms.get_scaled_positions(wrap=False)
        if self._pairs is None or self._stale(scaled, cell):
            self._pairs = np.triu_indices(n, 1)
            vectors, squares = self._separations(scaled, cell)
            near = squares < (CUTOFF_A + SKIN_A) ** 2
            self._pairs, self._found = (self._pairs[0][near], self._pairs[1][near]), (scaled, cell.copy())
        vectors, squares = self._separations(scaled, cell)
        near = squares < CUTOFF_A**2
        first, second, vectors, distances = (
            *(ends[near] for ends in self._pairs), vectors[near], np.sqrt(squares[near])
        )  # fmt: skip
        energy, slope = _pair(distances)
        edge, edge_slope = _pair(np.array([CUTOFF_A]))
        pulls = ((slope - edge_slope) / distances)[:, None] * vectors
        forces = [np.bincount(first, pull, n) - np.bincount(second, pull, n) for pull in pulls.T]
        total = float((energy - edge - edge_slope * (distances - CUTOFF_A)).sum())
        stress = full_3x3_to_voigt_6_stress(vectors.T @ pulls / self.atoms.get_volume())
        self.results = {"energy": total, "free_energy": total, "forces": np.stack(forces, axis=1), "stress": stress}

    def _separations(self, scaled: NDArray, cell: NDArray) -> tuple[NDArray, NDArray]:
        """Vectors [P, 3] of the pairs to the nearest image, and their squares [P]."""
        first, second = self._pairs
        shift = scaled[second] - scaled[first]
        vectors = (shift - np.rint(shift)) @ cell
        return vectors, np.einsum("ij,ij->i", vectors, vectors)

    def _stale(self, scaled: NDArray, cell: NDArray) -> bool:
        scaled_then, cell_then = self._found
        if len(scaled) != len(scaled_then):
            return True
        moved = np.linalg.norm((scaled - scaled_then) @ cell, axis=1).max()
        stretched = np.abs(np.linalg.solve(cell_then, cell) - np.eye(3)).max()
        return bool(moved > MOVED_A or stretched > STRETCHED)


class Mean(NamedTuple):
    """A mean and its standard error."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.5g} ± {self.error:.2g}"

    def scaled(self, factor: float) -> Mean:
        """Both times `factor`."""
        return Mean(self.value * factor, self.error * abs(factor))


def mean_of(values: NDArray) -> Mean:
    """Mean of correlated values, with the standard error from the scatter of blocks."""
    value, error = block_mean(values, BLOCKS)
    return Mean(value, np.nan if error is None else error)


def dynamics(ensemble: str, steps: int, strain: float = 0.0) -> MDResult:
    """A run of 5 fs steps whose first fifth does not count, from a crystal stretched by `strain`."""
    atoms = bulk("Ar", cubic=True, a=LATTICE_A * (1 + strain)) * (4, 4, 4)
    atoms.calc = Argon()
    fields = {name: value for name, value in TIMES.items() if name in ENSEMBLES[ensemble].uses}
    settings = MDSettings(
        ensemble=ensemble, temperature_k=TEMPERATURE_K, timestep_fs=5.0, steps=steps, stats_every=2, traj_every=0,
        equilibration_steps=steps // 5, **fields,
    )  # fmt: skip
    return run_md(atoms, settings, progress=True)


def counted(result: MDResult, name: str) -> NDArray:
    """A column after equilibration."""
    return result.thermo[name][result.thermo["step"] >= result.settings.equilibration_steps]


class Crystal(NamedTuple):
    """What the crystal is without any barostat."""

    volume_a3: Mean
    bulk_modulus_gpa: Mean


def reference(steps: int) -> Crystal:
    """Volume without pressure and bulk modulus from the mean pressures of nvt at two volumes."""
    low, high = (dynamics("nvt", steps, strain) for strain in (-STRAIN, STRAIN))
    p_low, p_high = (mean_of(counted(result, "pressure_gpa")) for result in (low, high))
    volume, other = (result.atoms.get_volume() for result in (low, high))
    fall, error = p_low.value - p_high.value, float(np.hypot(p_low.error, p_high.error))
    slope = fall / (other - volume)
    zero = volume + p_low.value / slope
    return Crystal(Mean(zero, 0.5 * error / slope), Mean(slope * zero, slope * zero * error / fall))


def judge(result: MDResult) -> dict[str, Any]:
    """One row of the table."""
    temperature, volume = counted(result, "temperature_k"), counted(result, "volume_a3")
    canonical = 2.0 * TEMPERATURE_K**2 / result.degrees_of_freedom
    row: dict[str, Any] = {
        "ensemble": result.settings.ensemble,
        "temperature_k": mean_of(temperature),
        "variance_over_canonical": mean_of((temperature - temperature.mean()) ** 2).scaled(1 / canonical),
        "pressure_gpa": mean_of(counted(result, "pressure_gpa")),
        "volume_a3": mean_of(volume),
        "drift_mev_per_atom_ps": result.energy_drift_mev_per_atom_ps,
    }
    if np.ptp(volume) > 0:
        variance = mean_of((volume - volume.mean()) ** 2)
        modulus = units.kB * TEMPERATURE_K * volume.mean() / variance.value * GPA_PER_EV_A3
        row["bulk_modulus_gpa"] = Mean(modulus, modulus * variance.error / variance.value)
    return row


def main() -> None:
    """Run, print the table, write it as JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    heated = [name for name, ensemble in ENSEMBLES.items() if ensemble.heat is not None]
    parser.add_argument("--ensemble", nargs="+", choices=heated, default=["nvt", "npt"])
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--out", help="JSON file to write")
    args = parser.parse_args()
    table: list[dict[str, Any]] = [{"ensemble": "reference", **reference(args.steps)._asdict()}]
    _show(table[0])
    for name in args.ensemble:
        table.append(judge(dynamics(name, args.steps)))
        _show(table[-1])
    if args.out:
        write_json(args.out, {"steps": args.steps, "rows": [_plain(row) for row in table]})


def _show(row: Mapping[str, Any]) -> None:
    words = (f"{COLUMNS[name]} {_text(value)}".lstrip() for name, value in row.items() if value is not None)
    print("  ".join(words), flush=True)


def _text(value: object) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON knows it: an error is a column of its own."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        plain |= {name: value.value, f"{name}_error": value.error} if isinstance(value, Mean) else {name: value}
    return plain


def _pair(distances: NDArray) -> tuple[NDArray, NDArray]:
    """Energy in eV and its derivative in eV/Å."""
    x = (SIGMA_A / distances) ** 6
    return 4 * EPSILON_EV * (x * x - x), 4 * EPSILON_EV * (6 * x - 12 * x * x) / distances


if __name__ == "__main__":
    end_well(main)

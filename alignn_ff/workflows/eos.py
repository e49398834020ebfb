"""Fit an equation of state to energies over volume: V0, bulk modulus and its pressure derivative.

alignn-ff eos si.cif --points 15 --equation vinet
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import numpy as np
from ase import Atoms
from ase.eos import EquationOfState
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from alignn_ff.units import GPA_PER_EV_A3, MEV
from alignn_ff.workflows.frames import append_line, growing_file, working_copy
from alignn_ff.workflows.relax import OPTIMIZERS, RelaxResult, RelaxSettings, run_relax
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult, quantity
from alignn_ff.workflows.settings import reject_unused, setting, validate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EQUATIONS = ("birchmurnaghan", "vinet", "murnaghan", "birch", "pouriertarantola", "sj")
"""Forms of `ase.eos` with a bulk modulus and its derivative; sj: Alchagirov et al., Phys. Rev. B 67, 026103
(2003), the others as in Hebbache and Zemzemi, Phys. Rev. B 70, 224107 (2004)."""

FEWEST_POINTS = 5
"""One more than the four parameters of the equations."""

CURVE_POINTS = 200


@dataclass(frozen=True)
class EOSSettings:
    """How to scan and fit; see `--help` of the command for each field."""

    volume_range_percent: float = setting(
        6.0, "Scan volumes from this far below the start's to this far above.", unit="%", above=0
    )
    points: int = setting(11, "Number of volumes.", at_least=FEWEST_POINTS)
    equation: str = setting("birchmurnaghan", "Equation of state.", choices=EQUATIONS)
    relax: bool = setting(
        True,
        "Relax the atoms in the cell at each volume; where symmetry leaves no forces this costs nothing.",
    )
    optimizer: str = setting("FIRE", "ASE optimizer of that relaxation.", choices=tuple(OPTIMIZERS))
    fmax: float = setting(0.01, "Its force criterion.", unit="eV/Å", above=0)
    relax_steps: int = setting(300, "Its most steps per volume.", at_least=1)

    def __post_init__(self) -> None:
        validate(self)
        if self.volume_range_percent >= 50:
            raise ConfigError(
                f"volume_range_percent = {self.volume_range_percent:g}: less than 50 was expected, no "
                "equation of state holds that far."
            )
        if not self.relax:
            reject_unused(self, ("optimizer", "fmax", "relax_steps"), "relax is off")


EOS_DEFAULTS = EOSSettings()


@dataclass(frozen=True)
class EOSResult(WorkflowResult):
    """Equation of state of the cell as given: strain is isotropic, the shape of the cell stays.

    `atoms` is the structure of the scan nearest V0, scaled to V0. `points` are the structures of the scan
    with their results; `scan` has the columns volume_a3, energy_ev, fit_energy_ev, max_force_ev_per_a.
    `residual_mev_per_atom` is the root mean square distance of the points from the fit.
    """

    settings: EOSSettings
    points: Sequence[Atoms]
    scan: Table
    curve: Table
    converged: bool = quantity("all points converged")
    volume_a3: float = quantity("equilibrium volume V0", "Å³", ".4f")
    volume_per_atom_a3: float = quantity("V0 per atom", "Å³", ".4f")
    energy_ev: float = quantity("energy at V0", "eV", ".6f")
    bulk_modulus_gpa: float = quantity("bulk modulus B0", "GPa", ".3f")
    bulk_modulus_derivative: float = quantity("dB/dp at V0", "", ".3f")
    residual_mev_per_atom: float = quantity("fit residual (rms)", "meV/atom", ".3g")

    name: ClassVar[str] = "eos"
    only_tables: ClassVar[tuple[str, ...]] = ("points", "curve")

    @property
    def outcome(self) -> Outcome:
        """Whether the atoms relaxed at every volume."""
        return "done" if self.converged else "not converged"

    def structures(self) -> Mapping[str, Atoms | Sequence[Atoms]]:
        """The structure at V0 and those of the scan."""
        return {"equilibrium": self.atoms, "points": self.points}

    def tables(self) -> Mapping[str, Table]:
        """The points of the scan beside the fit."""
        return {"points": self.scan}

    def plot(self) -> Figure:
        """Energy over volume with the fit."""
        from alignn_ff.reports.eos import eos_figure

        return eos_figure(
            self.scan["volume_a3"],
            self.scan["energy_ev"],
            self.curve["volume_a3"],
            self.curve["energy_ev"],
            minimum=(self.volume_a3, self.energy_ev),
            title=f"{self.settings.equation}: $B_0$ = {self.bulk_modulus_gpa:.1f} GPa, "
            f"$B_0'$ = {self.bulk_modulus_derivative:.2f}",
        )


def run_eos(
    atoms: Atoms,
    settings: EOSSettings = EOS_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> EOSResult:
    """Scan the volume of a copy of `atoms` with its calculator and fit an equation of state.

    Args:
        atoms: periodic in 3D, with a calculator; left as it is. Relax the cell first.
        folder: where `points.csv` grows point by point and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: no calculator, no periodic cell, or no energy minimum within the scan.
        StructureError: no atoms or positions that are not finite.
        RunawayError: energy or forces not finite at some volume.
    """
    work = working_copy(atoms)
    if not work.pbc.all() or work.cell.rank < 3:
        raise ConfigError(f"an equation of state needs a crystal periodic in 3D, got pbc {work.pbc.tolist()}.")
    with growing_file(folder, "points.csv") as file, track("eos", settings.points, show=progress) as advance:
        append_line(file, ("volume_a3", "energy_ev", "max_force_ev_per_a"))
        relaxed = []
        for start in _scaled_starts(work, settings):
            relaxed.append(_point(start, settings, file))
            advance(note=f"{relaxed[-1].volume_a3:.3f} Å³, {relaxed[-1].energy_ev:.4f} eV")
    result = _result(relaxed, settings)
    if folder is not None:
        result.save(folder)
    return result


def _scaled_starts(work: Atoms, settings: EOSSettings) -> list[Atoms]:
    reach = settings.volume_range_percent / 100.0
    starts = []
    for ratio in np.linspace(1.0 - reach, 1.0 + reach, settings.points):
        start = _scaled(work, work.get_volume() * ratio)
        start.calc = work.calc
        starts.append(start)
    return starts


def _scaled(atoms: Atoms, volume_a3: float) -> Atoms:
    """A copy with its cell scaled to `volume_a3`, fractional coordinates kept."""
    copy = atoms.copy()
    copy.set_cell(atoms.cell[:] * (volume_a3 / atoms.get_volume()) ** (1.0 / 3.0), scale_atoms=True)
    return copy


def _point(start: Atoms, settings: EOSSettings, file: IO[str] | None) -> RelaxResult:
    steps = settings.relax_steps if settings.relax else 0
    how = RelaxSettings(optimizer=settings.optimizer, fmax=settings.fmax, steps=steps, cell="none")
    point = run_relax(start, how)
    if point.outcome == "interrupted":
        raise KeyboardInterrupt  # a fit through part of the scan would pass for a whole one
    append_line(file, (point.volume_a3, point.energy_ev, point.max_force_ev_per_a))
    return point


def _result(relaxed: Sequence[RelaxResult], settings: EOSSettings) -> EOSResult:
    points = [point.atoms for point in relaxed]
    n_atoms = len(points[0])
    volumes = np.array([point.volume_a3 for point in relaxed])
    energies = np.array([point.energy_ev for point in relaxed])
    # per atom and from the lowest energy the numbers are of order one, which the fit needs, whatever the cell
    fit = _fitted(volumes / n_atoms, (energies - energies.min()) / n_atoms, settings)
    v0, e0 = float(fit.v0 * n_atoms), float(fit.e0 * n_atoms + energies.min())
    _require_inside(v0, volumes, settings)
    fit_energies = _energies(fit, volumes / n_atoms) * n_atoms + energies.min()
    grid = np.linspace(volumes[0], volumes[-1], CURVE_POINTS)
    return EOSResult(
        atoms=_scaled(points[int(np.abs(volumes - v0).argmin())], v0),
        settings=settings,
        points=points,
        scan={
            "volume_a3": volumes,
            "energy_ev": energies,
            "fit_energy_ev": fit_energies,
            "max_force_ev_per_a": np.array([point.max_force_ev_per_a for point in relaxed]),
        },
        curve={"volume_a3": grid, "energy_ev": _energies(fit, grid / n_atoms) * n_atoms + energies.min()},
        converged=not settings.relax or all(point.converged for point in relaxed),
        volume_a3=v0,
        volume_per_atom_a3=v0 / n_atoms,
        energy_ev=e0,
        bulk_modulus_gpa=float(fit.B * GPA_PER_EV_A3),
        bulk_modulus_derivative=_pressure_derivative(fit),
        residual_mev_per_atom=float(np.sqrt(((fit_energies - energies) ** 2).mean()) * MEV / n_atoms),
    )


def _fitted(volumes: NDArray, energies: NDArray, settings: EOSSettings) -> Any:
    lowest = int(energies.argmin())
    if lowest in (0, len(energies) - 1):
        side = "smallest" if lowest == 0 else "largest"
        raise ConfigError(
            f"the lowest energy of the scan lies at its {side} volume, {volumes[lowest]:.3f} Å³/atom: the "
            "minimum is outside. Relax the cell first (alignn-ff relax), or enlarge volume_range_percent "
            f"(now {settings.volume_range_percent:g})."
        )
    fit = EquationOfState(volumes, energies, eos=settings.equation)
    try:
        fit.fit(warn=False)
    except (RuntimeError, ValueError) as error:  # scipy's "no convergence", ASE's "No minimum!"
        raise ConfigError(
            f"the {settings.equation} equation of state cannot be fitted ({error}). Look for a jump in "
            "points.csv, and try another range or equation."
        ) from error
    return fit


def _require_inside(v0: float, volumes: NDArray, settings: EOSSettings) -> None:
    if not volumes[0] < v0 < volumes[-1]:
        raise ConfigError(
            f"the fitted minimum, {v0:.3f} Å³, lies outside the scan ({volumes[0]:.3f} to {volumes[-1]:.3f} "
            "Å³). Relax the cell first (alignn-ff relax), or enlarge volume_range_percent "
            f"(now {settings.volume_range_percent:g})."
        )


def _energies(fit: Any, volumes: NDArray) -> NDArray:
    if fit.eos_string == "sj":
        return np.asarray(fit.fit0(volumes ** (-1.0 / 3.0)))
    return np.asarray(fit.func(volumes, *fit.eos_parameters))


def _pressure_derivative(fit: Any) -> float:
    """dB/dp = -1 - V E'''/E'' at V0; of sj, E = f(t) with t = V^(-1/3), 3 + t f'''/(3 f'') as f' = 0."""
    if fit.eos_string != "sj":
        return float(fit.eos_parameters[2])
    t = fit.v0 ** (-1.0 / 3.0)
    return float(3.0 + t * np.polyder(fit.fit0, 3)(t) / (3.0 * np.polyder(fit.fit0, 2)(t)))

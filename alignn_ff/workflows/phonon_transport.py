"""Heat that phonons carry while they scatter each other: conductivity, lifetimes and mean free paths, by phono3py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.result import Table

RTA, LBTE = "rta", "lbte"
"""Relaxation-time approximation, and direct solution of the linearised Boltzmann equation."""

MOST_GIB = 8.0
"""Largest collision matrices of the direct solution."""

COMPONENTS = ("xx", "yy", "zz", "yz", "xz", "xy")

M_PER_S = 100.0
"""1 Å THz in m/s."""

NM = 0.1
"""1 Å in nm."""


class Scattering(NamedTuple):
    """What to solve: the method, temperatures in K, and whether isotopes scatter beside phonons."""

    method: str
    temperatures_k: NDArray
    isotopes: bool


def conduct(phonons: Any, mesh: Sequence[int] | float, scattering: Scattering) -> Any:
    """phono3py's conductivity on a mesh of wave vectors around Γ, integrated by linear tetrahedra.

    Args:
        phonons: phono3py's object with force constants.
        mesh: divisions of the reciprocal vectors, or their spacing as a length in Å.
    Raises:
        ConfigError: a mesh without the symmetry of the crystal, or one too fine for the direct solution.
    Sources: Togo, Chaput, Tanaka, Phys. Rev. B 91, 094306 (2015); the direct solution: Chaput, Phys. Rev. Lett. 110,
        265506 (2013); isotopes in their natural shares: Tamura, Phys. Rev. B 27, 858 (1983).
    """
    try:
        phonons.mesh_numbers = mesh
    except RuntimeError as error:
        raise ConfigError(
            f"the mesh {mesh} has not the symmetry of the crystal ({error}). Leave `mesh` out, or give equal "
            "divisions to vectors that symmetry makes equal."
        ) from error
    if scattering.method == LBTE:
        _require_memory(phonons, len(scattering.temperatures_k))
    # without these the result hangs on which of many equal eigenvectors and tetrahedra were taken
    phonons.init_phph_interaction(
        symmetrize_tetrahedra=True, exclude_gamma_acoustic=True, average_degenerate_weights=True
    )
    phonons.run_thermal_conductivity(
        is_LBTE=scattering.method == LBTE, temperatures=scattering.temperatures_k, is_isotope=scattering.isotopes
    )
    return phonons.thermal_conductivity


def over_temperature(found: Any) -> Table:
    """Columns temperature_k, conductivity_w_per_m_k (a third of the trace) and xx_w_per_m_k to xy_w_per_m_k.

    Of the direct solution also rta_w_per_m_k, a third of the trace in the relaxation-time approximation.
    """
    tensors = found.kappa[0]
    columns = {"temperature_k": np.array(found.temperatures), "conductivity_w_per_m_k": _mean(tensors)}
    columns |= {f"{name}_w_per_m_k": tensors[:, place] for place, name in enumerate(COMPONENTS)}
    plain = getattr(found, "kappa_RTA", None)
    return columns if plain is None else columns | {"rta_w_per_m_k": _mean(plain[0])}


def modes_at(found: Any, temperature_k: float) -> Table:
    """Every mode at the irreducible points of the mesh, at one of the temperatures and by its relaxation time.

    Columns q_1 to q_3, weight (points that symmetry makes of it), mode (from 1 on, by frequency), frequency_thz,
    speed_m_per_s (of the group), lifetime_ps, mean_free_path_nm, and conductivity_w_per_m_k: what the mode and those
    that symmetry makes of it add to a third of the trace. A lifetime is 1 / (4π Γ) with phono3py's Γ in THz, half the
    width of the line; a mode that nothing scatters has none (NaN) and adds nothing.
    """
    place = int(np.argmin(np.abs(found.temperatures - temperature_k)))
    width = found.gamma[0, place] + (0.0 if found.gamma_isotope is None else found.gamma_isotope[0])
    frequencies, speeds = found.frequencies, np.linalg.norm(found.group_velocities, axis=2)
    scattered = (width > 0) & (frequencies > 0)
    lifetimes = np.where(scattered, 1.0 / (4.0 * np.pi * np.where(scattered, width, 1.0)), np.nan)
    points, modes = frequencies.shape
    shares = getattr(found, "mode_kappa_RTA", None)
    shares = found.mode_kappa if shares is None else shares
    own = {f"q_{axis + 1}": np.repeat(found.qpoints[:, axis], modes) for axis in range(3)}
    return own | {
        "weight": np.repeat(found.grid_weights, modes),
        "mode": np.tile(np.arange(1, modes + 1), points),
        "frequency_thz": frequencies.ravel(),
        "speed_m_per_s": (speeds * M_PER_S).ravel(),
        "lifetime_ps": lifetimes.ravel(),
        "mean_free_path_nm": (speeds * lifetimes * NM).ravel(),
        "conductivity_w_per_m_k": (_mean(shares[0, place]) / found.grid_weights.sum()).ravel(),
    }


def cumulative(modes: Table, name: str) -> Table:
    """Conductivity of all modes up to each value of a column of `modes_at`: columns of that name and w_per_m_k."""
    known = np.isfinite(modes[name]) & (modes["conductivity_w_per_m_k"] > 0)
    order = np.argsort(modes[name][known], kind="stable")
    return {
        name: modes[name][known][order],
        "conductivity_w_per_m_k": np.cumsum(modes["conductivity_w_per_m_k"][known][order]),
    }


def half_way(table: Table) -> float | None:
    """The value up to which modes carry half of the heat, from a table of `cumulative`; None where none carry any."""
    name, total = list(table)
    if not len(table[total]):
        return None
    return float(table[name][np.searchsorted(table[total], 0.5 * table[total][-1])])


def _mean(tensors: NDArray) -> NDArray:
    """A third of the trace of symmetric tensors [..., 6]."""
    return tensors[..., :3].mean(axis=-1)


def _require_memory(phonons: Any, temperatures: int) -> None:
    from phonopy.phonon.grid import get_ir_grid_points

    rows = 9 * len(phonons.primitive) * len(get_ir_grid_points(phonons.grid)[0])  # modes times directions
    needed = temperatures * rows**2 * 8 / 2**30
    if needed > MOST_GIB:
        raise ConfigError(
            f"collision matrices of {rows} rows at {temperatures} temperatures would take {needed:.1f} GiB; at most "
            f"{MOST_GIB:g} were expected. Let there be fewer temperatures (temperature_step_k) or a coarser mesh."
        )

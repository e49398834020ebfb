"""What follows from an elastic tensor: averages of the polycrystal, anisotropy, sound, Debye temperature, stability."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from alignn_ff.workflows.elastic_tensor import Tensor, eigenvalues
from alignn_ff.workflows.result import quantity

G_CM3_PER_AMU_A3 = units._amu * 1e27
"""1 u/Å³ in g/cm³."""

DEBYE_K_PER_RAD_S = units._hbar / units._k
"""Temperature of a quantum of angular frequency 1/s."""


def derived(label: str, unit: str = "", form: str = ".2f") -> Any:
    """A quantity that an unstable crystal does not have."""
    return quantity(label, unit, form, default=None)


@dataclass(frozen=True)
class Elasticity:
    """An elastic tensor and what follows from it; None is what an unstable crystal does not have.

    `tensor_gpa` and its standard error from the fit are [6, 6] in Voigt order. `eigenvalues_gpa` [6] are those of the
    tensor in Kelvin's notation. Averages of a polycrystal after Voigt, Reuss and Hill, Proc. Phys. Soc. A 65, 349
    (1952); universal anisotropy: Ranganathan and Ostoja-Starzewski, Phys. Rev. Lett. 101, 055504 (2008); velocities of
    Hill's isotropic average and its Debye temperature: Anderson, J. Phys. Chem. Solids 24, 909 (1963).
    """

    tensor_gpa: NDArray
    tensor_error_gpa: NDArray
    eigenvalues_gpa: NDArray
    stability: str = quantity("Born stability")
    smallest_eigenvalue_gpa: float = quantity("smallest eigenvalue", "GPa", ".2f")
    smallest_eigenvalue_error_gpa: float = quantity("its error", "GPa", ".2g")
    bulk_modulus_voigt_gpa: float = quantity("bulk modulus K, Voigt", "GPa", ".2f")
    shear_modulus_voigt_gpa: float = quantity("shear modulus G, Voigt", "GPa", ".2f")
    bulk_modulus_reuss_gpa: float | None = derived("K, Reuss", "GPa")
    bulk_modulus_hill_gpa: float | None = derived("K, Hill", "GPa")
    shear_modulus_reuss_gpa: float | None = derived("G, Reuss", "GPa")
    shear_modulus_hill_gpa: float | None = derived("G, Hill", "GPa")
    young_modulus_voigt_gpa: float | None = derived("Young's modulus E, Voigt", "GPa")
    young_modulus_reuss_gpa: float | None = derived("E, Reuss", "GPa")
    young_modulus_hill_gpa: float | None = derived("E, Hill", "GPa")
    poisson_ratio_voigt: float | None = derived("Poisson's ratio, Voigt", "", ".4f")
    poisson_ratio_reuss: float | None = derived("Poisson's ratio, Reuss", "", ".4f")
    poisson_ratio_hill: float | None = derived("Poisson's ratio, Hill", "", ".4f")
    universal_anisotropy: float | None = derived("universal anisotropy", "", ".4f")
    longitudinal_velocity_m_s: float | None = derived("longitudinal sound", "m/s", ".0f")
    transverse_velocity_m_s: float | None = derived("transverse sound", "m/s", ".0f")
    mean_velocity_m_s: float | None = derived("mean sound", "m/s", ".0f")
    debye_temperature_k: float | None = derived("Debye temperature", "K", ".1f")


@dataclass(frozen=True)
class CubicConstants:
    """The three constants of a cubic crystal in its own axes; Zener's ratio 2 C44 / (C11 - C12) where it is stable."""

    c11_gpa: float = quantity("C11", "GPa", ".2f")
    c12_gpa: float = quantity("C12", "GPa", ".2f")
    c44_gpa: float = quantity("C44", "GPa", ".2f")
    zener_anisotropy: float | None = quantity("Zener anisotropy", "", ".4f")


def cubic_constants(tensor_gpa: NDArray) -> CubicConstants:
    """The constants of a symmetrised tensor [6, 6] in cubic axes."""
    c11, c12, c44 = (float(tensor_gpa[place]) for place in ((0, 0), (0, 1), (3, 3)))
    return CubicConstants(c11, c12, c44, 2 * c44 / (c11 - c12) if c11 > c12 else None)


def elasticity(tensor: Tensor, atoms: Atoms) -> Elasticity:
    """What follows from the tensor of the crystal `atoms`.

    Stability after Born in the form of Mouhat and Coudert, Phys. Rev. B 90, 224104 (2014): all eigenvalues positive.
    """
    values, error = eigenvalues(tensor)
    smallest = float(values[0])
    moduli = _voigt(tensor.values)
    if smallest > 0:
        moduli |= _reuss(tensor.values)
        moduli |= _hill(moduli)
        moduli |= _sound(moduli, atoms)
    return Elasticity(
        tensor_gpa=tensor.values,
        tensor_error_gpa=tensor.errors,
        eigenvalues_gpa=values,
        stability=_verdict(smallest, error),
        smallest_eigenvalue_gpa=smallest,
        smallest_eigenvalue_error_gpa=error,
        **moduli,
    )


def density_g_cm3(atoms: Atoms) -> float:
    """Mass over volume."""
    return float(atoms.get_masses().sum() / atoms.get_volume() * G_CM3_PER_AMU_A3)


def _verdict(smallest: float, error: float) -> str:
    if abs(smallest) <= error:
        return "undecided: the smallest eigenvalue is zero within its error"
    return "stable" if smallest > 0 else "unstable"


def _voigt(c: NDArray) -> dict[str, float]:
    """Moduli at uniform strain."""
    normal, mixed, shear = _invariants(c)
    return {
        "bulk_modulus_voigt_gpa": (normal + 2 * mixed) / 9,
        "shear_modulus_voigt_gpa": (normal - mixed + 3 * shear) / 15,
    }


def _reuss(c: NDArray) -> dict[str, float]:
    """Moduli at uniform stress."""
    normal, mixed, shear = _invariants(np.linalg.inv(c))
    return {
        "bulk_modulus_reuss_gpa": 1 / (normal + 2 * mixed),
        "shear_modulus_reuss_gpa": 15 / (4 * normal - 4 * mixed + 3 * shear),
    }


def _invariants(matrix: NDArray) -> tuple[float, float, float]:
    """Sums over 11 22 33, over 12 13 23, and over 44 55 66."""
    normal = matrix[:3, :3]
    return float(normal.trace()), float(normal[np.triu_indices(3, 1)].sum()), float(matrix[3:, 3:].trace())


def _hill(moduli: Mapping[str, float]) -> dict[str, float]:
    """Mean of Voigt and Reuss, E and ν of all three, and how far the two lie apart."""
    found = {}
    for kind in ("bulk", "shear"):
        found[f"{kind}_modulus_hill_gpa"] = (
            moduli[f"{kind}_modulus_voigt_gpa"] + moduli[f"{kind}_modulus_reuss_gpa"]
        ) / 2
    known = {**moduli, **found}
    for average in ("voigt", "reuss", "hill"):
        k, g = known[f"bulk_modulus_{average}_gpa"], known[f"shear_modulus_{average}_gpa"]
        found[f"young_modulus_{average}_gpa"] = 9 * k * g / (3 * k + g)
        found[f"poisson_ratio_{average}"] = (3 * k - 2 * g) / (2 * (3 * k + g))
    found["universal_anisotropy"] = (
        5 * moduli["shear_modulus_voigt_gpa"] / moduli["shear_modulus_reuss_gpa"]
        + moduli["bulk_modulus_voigt_gpa"] / moduli["bulk_modulus_reuss_gpa"]
        - 6
    )
    return found


def _sound(moduli: Mapping[str, float], atoms: Atoms) -> dict[str, float]:
    """Sound of the isotropic average, and the Debye temperature it gives."""
    k, g, density = moduli["bulk_modulus_hill_gpa"], moduli["shear_modulus_hill_gpa"], density_g_cm3(atoms)
    longitudinal, transverse = (1000.0 * np.sqrt(m / density) for m in (k + 4 * g / 3, g))  # √(GPa cm³/g) = km/s
    mean = ((1 / longitudinal**3 + 2 / transverse**3) / 3) ** (-1 / 3)
    wave_number_per_m = 1e10 * (6 * np.pi**2 * len(atoms) / atoms.get_volume()) ** (1 / 3)
    return {
        "longitudinal_velocity_m_s": float(longitudinal),
        "transverse_velocity_m_s": float(transverse),
        "mean_velocity_m_s": float(mean),
        "debye_temperature_k": float(DEBYE_K_PER_RAD_S * wave_number_per_m * mean),
    }

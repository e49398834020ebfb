"""What a potential is judged by: quantities of crystals, the property each belongs to, and the units it comes in."""

from __future__ import annotations

from typing import NamedTuple

from ase import units

from alignn_ff.units import BOHR_A, GPA_PER_EV_A3

UNITS: dict[str, dict[str, float]] = {
    "Å": {"angstrom": 1.0, "nm": 10.0, "bohr": BOHR_A},
    "Å³": {"angstrom3": 1.0, "nm3": 1000.0, "bohr3": BOHR_A**3},
    "GPa": {"gpa": 1.0, "kbar": 0.1, "ev_per_angstrom3": GPA_PER_EV_A3},
    "THz": {"thz": 1.0, "per_cm": 1e-10 * units._c, "mev": 1e-15 * units._e / units._hplanck},
    "eV": {"ev": 1.0, "mev": 1e-3, "kj_per_mol": units.kJ / units.mol},
    "J/K/mol": {"j_per_k_mol": 1.0, "kb": units._k * units._Nav},
    "K": {"k": 1.0},
    "": {"": 1.0},
}
"""Unit of the results -> how names in a table of references end -> what one of that unit is in the first."""


class Quantity(NamedTuple):
    """A number that a property gives.

    Attributes:
        property: name of the property, as in `benchmark_properties.PROPERTIES`.
        unit: of its values, a key of `UNITS`.
        label: what it is, for people.
    """

    property: str
    unit: str
    label: str


QUANTITIES = {
    "lattice_a": Quantity("relax", "Å", "lattice constant a"),
    "lattice_b": Quantity("relax", "Å", "lattice constant b"),
    "lattice_c": Quantity("relax", "Å", "lattice constant c"),
    "volume_per_atom": Quantity("relax", "Å³", "volume per atom"),
    "eos_volume_per_atom": Quantity("eos", "Å³", "V0 per atom"),
    "eos_bulk_modulus": Quantity("eos", "GPa", "bulk modulus B0"),
    "eos_bulk_modulus_derivative": Quantity("eos", "", "dB/dp at V0"),
    **{f"c{i}{j}": Quantity("elastic", "GPa", f"C{i}{j}") for i in range(1, 7) for j in range(i, 7)},
    "bulk_modulus": Quantity("elastic", "GPa", "bulk modulus K, Hill"),
    "shear_modulus": Quantity("elastic", "GPa", "shear modulus G, Hill"),
    "young_modulus": Quantity("elastic", "GPa", "Young's modulus E, Hill"),
    "poisson_ratio": Quantity("elastic", "", "Poisson's ratio, Hill"),
    "debye_temperature": Quantity("elastic", "K", "Debye temperature"),
    "max_frequency": Quantity("phonon", "THz", "highest frequency"),
    "min_frequency": Quantity("phonon", "THz", "lowest frequency"),
    "zero_point_energy": Quantity("phonon", "eV", "zero-point energy per atom"),
    "free_energy_300k": Quantity("phonon", "eV", "vibrational free energy per atom, 300 K"),
    "entropy_300k": Quantity("phonon", "J/K/mol", "entropy per mole of atoms, 300 K"),
    "heat_capacity_300k": Quantity("phonon", "J/K/mol", "heat capacity per mole of atoms, 300 K"),
}
"""Name -> quantity. Lattice constants are those of spglib's standardised conventional cell; the elastic tensor has its
axes (a along x, b in the xy plane) and relaxed ions; imaginary frequencies are negative."""


class Reading(NamedTuple):
    """What a column of references holds: its quantity, and what one of its unit is in that of the quantity."""

    quantity: str
    factor: float


REFERENCES = {
    f"{name}_{suffix}".rstrip("_"): Reading(name, factor)
    for name, quantity in QUANTITIES.items()
    for suffix, factor in UNITS[quantity.unit].items()
}
"""Name of a column, such as c11_gpa -> how it is read."""

"""Units at the doors. Inside: eV, Å, eV/Å, eV/Å³ (ASE sign: positive stress is tension)."""

from __future__ import annotations

GPA_PER_EV_A3 = 160.2176634
"""1 eV/Å³ in GPa; exact since the 2019 SI (e = 1.602176634e-19 C)."""

J_M2_PER_EV_A2 = GPA_PER_EV_A3 / 10.0
"""1 eV/Å² in J/m²."""

KBAR_PER_EV_A3 = 10.0 * GPA_PER_EV_A3
"""1 eV/Å³ in kbar, the unit of VASP's stress output (whose sign is opposite to ASE's)."""

COULOMB_EV_A = 14.399645478
"""e²/(4πε₀) in eV·Å (CODATA 2018)."""

BOHR_A = 0.529177210903
"""Bohr radius in Å (CODATA 2018)."""

MEV = 1000.0
"""1 eV in meV."""

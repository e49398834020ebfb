"""How exact is exact: the one home of the numbers that tests compare with."""

from __future__ import annotations

from alignn_ff.testing import Tolerances

FLOAT64 = Tolerances()
"""The bars of the conformance kit: what every potential is held to in float64."""

EXACT = 1e-12
"""The same sums in another order, float64, numbers of order one."""

CLOSE = 1e-9
"""Equal in theory, float64, after a few hundred operations."""

DERIVATIVE = 1e-6
"""Relative error of a plain central difference in float64."""

UNCALIBRATED = FLOAT64._replace(single_energy=1e-7, single_forces=1e-6)
"""For networks fresh from their initial weights, whose energies are of order 0.01 eV."""

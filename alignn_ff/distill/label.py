"""What a teacher says of one structure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.calculators.calculator import BaseCalculator, CalculatorError
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from alignn_ff.errors import AlignnFFError

FAILURES: tuple[type[Exception], ...] = (
    *(CalculatorError, AlignnFFError, LinAlgError),
    *(ValueError, RuntimeError, LookupError, ArithmeticError, OSError),
)
"""What calculators raise on structures they cannot do."""


class LabelError(Exception):
    """The teacher gave no usable answer; the message is its own, on one line."""


class Labels(NamedTuple):
    """Energy in eV, forces in eV/Å [N, 3]; where there are any, stress in eV/Å³ (Voigt [6], ASE sign) and the energies
    of the atoms in eV [N], which teach a student how the teacher shares the energy."""

    energy: float
    forces: NDArray
    stress: NDArray | None
    energies: NDArray | None


def label(atoms: Atoms, calculator: BaseCalculator) -> Labels:
    """Labels of `atoms`; stress for what is periodic in three directions, if the calculator offers it.

    Raises:
        LabelError: the calculator raised an error, or a number is not finite.
    """
    work = atoms.copy()
    work.calc = calculator
    offered = calculator.implemented_properties
    with_stress = bool(work.pbc.all()) and "stress" in offered
    try:
        labels = Labels(
            float(work.get_potential_energy()),
            np.array(work.get_forces(), dtype=np.float64),
            np.array(work.get_stress(), dtype=np.float64) if with_stress else None,
            np.array(work.get_potential_energies(), dtype=np.float64) if "energies" in offered else None,
        )
    except FAILURES as error:
        raise LabelError(" ".join(f"{type(error).__name__}: {error}".split())) from error
    for name, values in labels._asdict().items():
        if values is not None and not np.isfinite(values).all():
            raise LabelError(f"{name} not finite")
    return labels

"""The elastic tensor as the slope of stress over strain."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from alignn_ff.workflows.elastic_tensor import Tensor

DEGREE = 3
"""Of the polynomial in the strain; its slope at zero is free of the next two orders of elasticity."""


class StressFit(NamedTuple):
    """An elastic tensor from stress over strain.

    Attributes:
        tensor: as fitted, not yet symmetrised; [i, j] = d stress i / d strain j in GPa.
        asymmetry_gpa: largest |C[i, j] - C[j, i]|.
        nonlinearity: largest difference to the slopes of straight lines, as a part of the largest component.
    """

    tensor: Tensor
    asymmetry_gpa: float
    nonlinearity: float


def fit_stress(strains: NDArray, stresses_gpa: NDArray) -> StressFit:
    """Least-squares polynomials through the stress of each direction of strain.

    Args:
        strains: [P], more than four of them.
        stresses_gpa: Voigt stress [6, P, 6] of direction, strain, component.
    """
    slopes, errors = _slopes(strains, stresses_gpa, DEGREE)
    straight, _ = _slopes(strains, stresses_gpa, 1)
    return StressFit(
        tensor=Tensor(slopes, errors),
        asymmetry_gpa=float(np.abs(slopes - slopes.T).max()),
        nonlinearity=float(np.abs(straight - slopes).max() / np.abs(slopes).max()),
    )


def _slopes(strains: NDArray, stresses_gpa: NDArray, degree: int) -> tuple[NDArray, NDArray]:
    """Slopes at zero and their standard errors [6, 6] of component over direction."""
    reach = np.abs(strains).max()
    powers = np.vander(strains / reach, degree + 1, increasing=True)
    columns = stresses_gpa.transpose(1, 2, 0).reshape(len(strains), 36)
    coefficients, *_ = np.linalg.lstsq(powers, columns, rcond=None)
    variance = ((columns - powers @ coefficients) ** 2).sum(axis=0) / (len(strains) - degree - 1)
    errors = np.sqrt(variance * np.linalg.inv(powers.T @ powers)[1, 1])
    return coefficients[1].reshape(6, 6) / reach, errors.reshape(6, 6) / reach

"""Born effective charges and dielectric constant, for the splitting of longitudinal and transverse modes."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from alignn_ff.errors import ConfigError

log = logging.getLogger(__name__)

METALLIC = 1e3
"""No insulator has a high-frequency dielectric constant near this; a metal's calculation diverges."""

UNBALANCED_E = 0.1
"""Charges whose sum over the cell misses zero by more than this per atom were not converged."""


def add_born_charges(phonon: Any, path: str | None) -> None:
    """Give phonopy's or phono3py's object the non-analytical term of a file; without one leave it as it is.

    Raises:
        ConfigError: as in `read_born_charges`.
    """
    if path is not None:
        phonon.nac_params = read_born_charges(path, phonon)


def read_born_charges(path: str, phonon: Any) -> dict[str, Any]:
    """phonopy's parameters of the non-analytical term from a file in its BORN format.

    Args:
        path: first line empty or the unit factor, second the dielectric tensor, then a tensor for each atom of the
            primitive cell that no symmetry makes from one before it.
    Raises:
        ConfigError: no such file, not in that format or of another crystal, or not of an insulator.
    """
    from phonopy.exception import BORNFileParseError
    from phonopy.file_IO import parse_BORN

    symprec = phonon.primitive_symmetry.tolerance
    try:
        found: dict[str, Any] = dict(parse_BORN(phonon.primitive, symprec=symprec, filename=path))
    except OSError as error:
        raise ConfigError(f"born_file {path} cannot be read ({error.strerror}).") from error
    except (BORNFileParseError, ValueError) as error:
        raise ConfigError(
            f"born_file {path} does not fit the primitive cell {phonon.primitive.formula} ({error}). Expected "
            "phonopy's BORN format: a line for the unit, the dielectric tensor, a tensor for each atom that differs."
        ) from error
    _require_insulator(path, found)
    return found


def _require_insulator(path: str, found: dict[str, Any]) -> None:
    dielectric = np.linalg.eigvalsh((found["dielectric"] + found["dielectric"].T) / 2.0)
    if dielectric.min() < 1.0 or dielectric.max() > METALLIC:
        raise ConfigError(
            f"born_file {path}: the dielectric tensor has the eigenvalues {np.round(dielectric, 3).tolist()}; between "
            f"1 and {METALLIC:g} was expected of an insulator. A metal has no such correction: leave born_file out."
        )
    excess = np.abs(found["born"].sum(axis=0)).max() / len(found["born"])
    if excess > UNBALANCED_E:
        log.warning(
            "Born charges of %s add up to %.2g e per atom instead of zero; phonopy balances them.", path, excess
        )
    if not np.abs(found["born"]).max() > 0:
        log.warning("all Born charges of %s are zero: they change nothing.", path)

"""Trajectories whose statistics are known."""

from __future__ import annotations

import numpy as np
from ase import Atoms, units

CELL = np.array([[9.0, 0.0, 0.0], [3.0, 8.5, 0.0], [-2.0, 1.0, 10.0]])


def brownian(
    rng, *, diffusion_cm2_s, interval_fs, frames, atoms=40, symbols="Ar", cell=CELL, drift_a=0.0, temperature_k=None
):
    """Wrapped frames of independent walkers, variance 2 D t in each direction, with a common drift per frame."""
    width = np.sqrt(2.0 * diffusion_cm2_s * 10.0 * interval_fs)
    steps = width * rng.standard_normal((frames, atoms, 3)) + drift_a
    positions = rng.random((atoms, 3)) @ cell + np.cumsum(steps, axis=0)
    return [
        frame(symbols, place, cell, time_fs=k * interval_fs, temperature_k=temperature_k, rng=rng)
        for k, place in enumerate(positions)
    ]


def frame(symbols, positions, cell, *, time_fs=None, temperature_k=None, rng=None):
    """A wrapped frame, with momenta of exactly this temperature where one is given."""
    symbols = [symbols] * len(positions) if isinstance(symbols, str) else symbols
    atoms = Atoms(symbols, positions=positions, cell=cell, pbc=True)
    atoms.wrap()
    if time_fs is not None:
        atoms.info["time_fs"] = time_fs
    if temperature_k is not None:
        momenta = rng.standard_normal((len(atoms), 3))
        momenta -= momenta.mean(axis=0)
        atoms.set_momenta(momenta)
        dof = 3 * len(atoms) - 3
        atoms.set_momenta(momenta * np.sqrt(0.5 * dof * units.kB * temperature_k / atoms.get_kinetic_energy()))
    return atoms

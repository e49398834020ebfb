"""The embedded potential `mlearn-six` keeps its promises: checksum, size, derivatives, lattice constants of PBE."""

from __future__ import annotations

import pytest
import torch
from ase import Atoms
from ase.build import bulk, fcc111

from alignn_ff import testing
from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import file_sha256, read_header
from alignn_ff.evaluate import Want
from alignn_ff.pretrained import find, load_potential
from alignn_ff.workflows.relax import RelaxSettings, run_relax
from benchmarks.lattice_constants import PBE_A as PBE
from tests.tolerances import FLOAT64

NAME = "mlearn-six"
ENTRY = find(NAME)
MEGABYTE = 1024 * 1024

# Relative error of a lattice constant against PBE.
WITHIN = 0.006


@pytest.fixture(scope="module")
def potential():
    return load_potential(NAME).potential.to(torch.float64)


def test_file_is_the_registered_one_small_and_knows_no_machine():
    assert file_sha256(ENTRY.path) == ENTRY.sha256
    assert ENTRY.path.stat().st_size <= 2 * MEGABYTE
    assert "/" not in str(read_header(ENTRY.path)["facts"]), "a path of the machine that trained it"


@pytest.mark.parametrize("symbol", PBE)
def test_lattice_constant_is_that_of_pbe(symbol):
    structure, expected = PBE[symbol]
    atoms = bulk(symbol, structure, a=1.02 * expected, cubic=True)
    atoms.calc = AlignnFFCalculator(NAME, dtype="float64")
    relaxed = run_relax(atoms, RelaxSettings(fmax=1e-3, hydrostatic=True))
    assert relaxed.converged
    assert relaxed.atoms.get_volume() ** (1 / 3) == pytest.approx(expected, rel=WITHIN)


@pytest.mark.parametrize("symbol", PBE)
def test_derivatives_are_exact(potential, symbol):
    structure, lattice = PBE[symbol]
    atoms = bulk(symbol, structure, a=lattice, cubic=True)
    atoms.rattle(0.1, seed=3)
    testing.check_forces(potential, atoms, limits=FLOAT64)
    testing.check_stress(potential, atoms, limits=FLOAT64)


@pytest.mark.parametrize("symbol", PBE)
def test_squeezed_crystals_and_pairs_are_pushed_apart(potential, symbol):
    structure, lattice = PBE[symbol]
    crystals = [bulk(symbol, structure, a=share * lattice) for share in (0.3, 0.4, 0.5, 0.6, 0.7, 1.0)]
    energies = testing.predict(potential, crystals, want=Want.ENERGY).energy / torch.tensor([len(c) for c in crystals])
    assert bool((energies.diff() < 0).all()), energies
    bond = crystals[-1].repeat(2).get_all_distances()[0, 1:].min()
    pairs = [Atoms(f"{symbol}2", positions=[[0, 0, 0], [0, 0, share * bond]]) for share in (0.3, 0.4, 0.5)]
    assert bool((testing.predict(potential, pairs, want=Want.ENERGY).energy.diff() < 0).all())


def test_nothing_jumps_at_the_cutoff(potential):
    slab = fcc111("Cu", (2, 2, 2), vacuum=6.0)
    slab.rattle(0.05, seed=1)
    testing.check_smooth(potential, slab, potential.cutoff, limits=FLOAT64)

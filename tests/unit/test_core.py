"""Walls around what a network learnt: nothing changes inside, nothing collapses outside."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk

from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.domain import Domain
from alignn_ff.errors import CheckpointError, ConfigError, OutputExistsError
from alignn_ff.models import Core, Potential, Sum, build
from alignn_ff.models.core import CROWD, HEIGHT, held_distance
from alignn_ff.models.elements import COVALENT_RADII
from alignn_ff.testing import check_forces, check_smooth, check_stress, predict
from alignn_ff.training.core import add_core, core_of, with_core
from tests.conftest import random_potential
from tests.tolerances import FLOAT64

ELEMENTS = random_potential().elements
CLOSEST, CROWDED = 1.9, 20.0
CU = ELEMENTS.index("Cu")


def guarded(closest: float = CLOSEST, crowded: float = CROWDED) -> Core:
    n = len(ELEMENTS)
    return Core([random_potential()], [[closest] * n] * n, [crowded] * n).to(torch.float64)


def dimer(distance: float) -> Atoms:
    return Atoms("Cu2", positions=[[0, 0, 0], [0.6 * distance, 0, 0.8 * distance]])


def rattled(scale: float) -> Atoms:
    atoms = bulk("Cu", "sc", a=2.4, cubic=True) * (2, 2, 2)
    atoms.rattle(0.05, seed=3)
    atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
    return atoms


def energy(potential: Potential, atoms: Atoms) -> float:
    return float(predict(potential, [atoms]).energy)


def test_nothing_changes_inside():
    atoms = rattled(1.0)
    inside, plain = predict(guarded(), [atoms]), predict(random_potential(), [atoms])
    for found, expected in zip(inside, plain, strict=True):
        assert found is expected is None or torch.equal(found, expected)


def test_a_close_pair_pays_the_wall_and_looks_farther_away():
    distance = 0.7 * CLOSEST
    seen = energy(random_potential(), dimer(0.9 * CLOSEST))
    assert energy(guarded(), dimer(distance)) == pytest.approx(seen + HEIGHT * 0.3**3, rel=1e-12)


def test_a_crowded_atom_pays():
    chain = Atoms("Cu", cell=[1.5, 9, 9], pbc=[True, False, False])  # neighbours at 1.5 and, cut off at 0.8, at 3.0 Å
    core = guarded(closest=0.1, crowded=1.5)
    per_atom = energy(core, chain) - energy(random_potential(), chain)
    assert 2 * COVALENT_RADII[28] * 1.2 > 3.0
    assert per_atom == pytest.approx(CROWD * (4 / 1.5 - 1) ** 3, rel=1e-9)


@pytest.mark.parametrize("scale", [0.65, 0.8])
def test_forces_and_stress_of_squeezed_crystals_are_derivatives(scale):
    atoms, core = rattled(scale), guarded()
    assert energy(core, atoms) > energy(random_potential(), atoms) + 1.0
    check_forces(core, atoms, limits=FLOAT64)
    check_stress(core, atoms, limits=FLOAT64)


def test_the_pair_wall_begins_with_two_continuous_derivatives():
    check_smooth(guarded(), dimer(CLOSEST), CLOSEST, limits=FLOAT64)
    check_smooth(guarded(), dimer(0.8 * CLOSEST), 0.8 * CLOSEST, limits=FLOAT64)
    x = torch.tensor([1.0 - 1e-12, 1.0 + 1e-12, 0.8, 0.5], dtype=torch.float64, requires_grad=True)
    g = held_distance(x)
    (slope,) = torch.autograd.grad(g.sum(), x)
    assert torch.allclose(g, torch.tensor([1.0, 1.0, 0.9, 0.9], dtype=torch.float64), atol=1e-11)
    assert torch.allclose(slope, torch.tensor([1.0, 1.0, 0.0, 0.0], dtype=torch.float64), atol=1e-11)


def test_the_wall_of_the_crowded_begins_smoothly():
    atoms = bulk("Cu", "fcc", a=3.6, cubic=True)  # 12 neighbours, and 6 almost
    scales = np.linspace(0.9, 1.0, 401)
    core = guarded(closest=0.1, crowded=15.0)
    extra = []
    for scale in scales:
        squeezed = atoms.copy()
        squeezed.set_cell(atoms.cell.array * scale, scale_atoms=True)
        extra.append(energy(core, squeezed) - energy(random_potential(), squeezed))
    assert extra[-1] == 0.0 and extra[0] > 0.1
    assert np.all(np.diff(extra) <= 1e-9)
    curvature = np.diff(extra, 2)
    assert np.abs(np.diff(curvature)).max() < 0.1 * np.abs(curvature).max()  # no step in it


def test_squeezed_matter_is_pushed_apart():
    core = guarded()
    for make in (
        lambda s: dimer(2.2 * s),
        lambda s: bulk("Cu", "fcc", a=3.6 * s),
        lambda s: bulk("Cu", "sc", a=2.4 * s),
    ):
        energies = [energy(core, make(s)) for s in np.arange(0.7, 0.29, -0.05)]
        assert np.all(np.diff(energies) > 0)


def test_it_comes_back_from_its_config_and_a_checkpoint(tmp_path):
    core = guarded()
    again = build(json.loads(json.dumps(core.config)))
    assert again.config == core.config
    save_checkpoint(tmp_path / "core.safetensors", core)
    found = load_checkpoint(tmp_path / "core.safetensors").potential
    atoms = rattled(0.7)
    assert energy(found, atoms) == energy(core, atoms)


@pytest.mark.parametrize(
    "limits",
    [{"closest": [[1.0]], "crowded": [1.0]}, {"closest": [[1.0] * len(ELEMENTS)] * len(ELEMENTS), "crowded": []}],
)
def test_tables_of_another_shape_are_refused(limits):
    with pytest.raises(ConfigError, match="a distance for every two"):
        Core([random_potential()], **limits)
    with pytest.raises(ConfigError, match="model core"):
        build({"name": "core", "parts": [random_potential().config]})


def domain(closest: float, most: float) -> Domain:
    radii = dict.fromkeys(ELEMENTS, 1.0)
    return Domain(
        cutoff=5.0,
        ratio=radii,
        closest={"Cu Cu": closest},
        met={},
        coordination={e: [0.0, most] for e in ELEMENTS},
        volume={},
        volumes={},
    )


def summed() -> Sum:
    potential = random_potential("default", composed=True)
    assert isinstance(potential, Sum)
    return potential


def test_walls_begin_a_little_outside_of_training():
    radii = 2 * COVALENT_RADII[28]
    for closest, begins in ((2.0, 1.8), (2.6, 0.75 * radii), (0.3, 0.6 * radii)):
        core = core_of(with_core(summed(), domain(closest, 12.5)))
        assert core is not None
        assert float(core.closest[CU, CU]) == pytest.approx(begins, abs=1e-3)
        assert float(core.crowded[CU]) == 13.5


def test_no_wall_begins_beyond_the_cutoff():
    reach = replace(domain(2.6, 12.5), cutoff=1.5)
    core = core_of(with_core(summed(), reach))
    assert core is not None
    assert float(core.closest.max()) == 1.5


def test_a_model_started_from_another_keeps_what_that_one_knew():
    earlier = core_of(with_core(summed(), domain(1.8, 14.0)))
    assert earlier is not None
    core = core_of(with_core(summed(), domain(2.0, 9.0), earlier))
    assert core is not None
    assert core.limits == earlier.limits


def test_a_core_is_added_to_a_checkpoint(tmp_path):
    old, new = tmp_path / "old.safetensors", tmp_path / "new.safetensors"
    save_checkpoint(old, summed(), {"domain": domain(2.0, 20.0).facts()})
    add_core(old, new)
    before, after = load_checkpoint(old), load_checkpoint(new)
    assert after.facts == before.facts
    near, far = rattled(0.6), rattled(1.0)
    assert energy(after.potential, far) == energy(before.potential, far)
    assert energy(after.potential, near) > energy(before.potential, near)
    with pytest.raises(OutputExistsError):
        add_core(old, new)
    with pytest.raises(CheckpointError, match="with a core"):
        add_core(new, tmp_path / "again.safetensors")
    save_checkpoint(tmp_path / "bare.safetensors", summed())
    with pytest.raises(CheckpointError, match="without a domain"):
        add_core(tmp_path / "bare.safetensors", tmp_path / "again.safetensors")

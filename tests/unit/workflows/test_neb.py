"""Barriers equal saddles that symmetry or arithmetic gives."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bulk, fcc100, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS

from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.workflows.neb import NEBSettings, run_neb


class MullerBrown(Calculator):
    """A hundredth of the surface of Müller and Brown, Theor. Chim. Acta 53, 75 (1979), in the xy plane of one atom.

    Minima -146.700 at (-0.558, 1.442), -80.768 at (-0.050, 0.467), -108.167 at (0.623, 0.028); saddles between them
    -40.665 and -72.249.
    """

    implemented_properties = ("energy", "forces")
    calls = 0
    terms = np.array(
        [
            *((-200, -1, 0, -10, 1, 0), (-100, -1, 0, -10, 0, 0.5)),
            *((-170, -6.5, 11, -6.5, -0.5, 1.5), (15, 0.7, 0.6, 0.7, -1, 1)),
        ]
    ).T

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        MullerBrown.calls += 1
        height, a, b, c, x0, y0 = self.terms
        x, y, z = atoms.positions[0]
        part = 0.01 * height * np.exp(a * (x - x0) ** 2 + b * (x - x0) * (y - y0) + c * (y - y0) ** 2)
        slope = np.array([part @ (2 * a * (x - x0) + b * (y - y0)), part @ (b * (x - x0) + 2 * c * (y - y0)), 2 * z])
        energy = float(part.sum() + z**2)
        self.results = {"energy": energy, "free_energy": energy, "forces": -slope[None]}


LEFT, MIDDLE, RIGHT = (-0.558, 1.442, 0.0), (-0.050, 0.467, 0.0), (0.623, 0.028, 0.0)


def at(*places):
    found = [Atoms("H", [place], cell=[20, 20, 20], pbc=True) for place in places]
    found[0].calc = MullerBrown()
    return found


def adatom(position):
    atoms = fcc100("Cu", (2, 2, 2), a=3.61, vacuum=6.0)
    add_adsorbate(atoms, "Cu", 1.7, position)
    atoms.set_constraint(FixAtoms(mask=atoms.positions[:, 2] < atoms.positions[:, 2].min() + 0.1))
    atoms.calc = EMT()
    return atoms


def hop():
    first, last = adatom("hollow"), adatom("hollow")
    last.positions[-1] += 0.5 * last.cell[0]
    return [first, last]


def test_an_adatom_hops_over_the_bridge():
    """By symmetry the saddle is the adatom relaxed on the bridge; the path is symmetric."""
    bridge = adatom("bridge")
    BFGS(bridge, logfile=None).run(fmax=0.005)
    hollow = adatom("hollow")
    BFGS(hollow, logfile=None).run(fmax=0.005)
    barrier = bridge.get_potential_energy() - hollow.get_potential_energy()
    result = run_neb(hop(), NEBSettings(images=3, fmax=0.01))
    assert result.outcome == "done" and result.saddle_image == 2
    assert result.barrier_forward_ev == pytest.approx(barrier, abs=2e-3) and barrier > 0.2
    assert result.barrier_backward_ev == pytest.approx(result.barrier_forward_ev, abs=2e-3)
    energy = result.path["relative_energy_ev"]
    assert energy == pytest.approx(energy[::-1], abs=5e-3)
    assert result.saddle_max_force_ev_per_a < 0.01 and result.minima_on_the_way == 0
    assert np.allclose(result.images[2].positions[:4], result.images[0].positions[:4])  # the constraint holds


def test_a_vacancy_hops_through_the_midpoint():
    """A path that crosses the boundary of the cell is the same path."""
    crystal = bulk("Cu", a=3.61, cubic=True) * (2, 2, 2)
    here, there = crystal.copy(), crystal.copy()
    neighbour = int(np.argsort(crystal.get_distances(0, range(len(crystal)), mic=True))[1])
    there.positions[neighbour] = there.positions[0]
    del here[0], there[0]
    middle = here.copy()
    middle.positions[neighbour - 1] -= 0.5 * crystal.get_distance(0, neighbour, mic=True, vector=True)
    for atoms in (here, middle):
        atoms.calc = EMT()
        BFGS(atoms, logfile=None).run(fmax=0.01)
    barrier = middle.get_potential_energy() - here.get_potential_energy()
    there.calc = EMT()
    result = run_neb([here, there], NEBSettings(images=3, fmax=0.02))
    assert result.barrier_forward_ev == pytest.approx(barrier, abs=3e-3) and result.converged
    far = here.copy()
    far.positions[neighbour - 1] += crystal.cell[0]
    far.calc = EMT()
    assert run_neb([far, there], NEBSettings(images=1, steps=1)).path_length_a < 3.5


def test_muller_and_brown():
    result = run_neb(at(MIDDLE, RIGHT), NEBSettings(images=5, fmax=0.005, steps=1000))
    assert result.converged and result.barrier_forward_ev == pytest.approx(0.80768 - 0.72249, abs=2e-4)
    assert result.barrier_backward_ev == pytest.approx(1.08167 - 0.72249, abs=2e-4)
    assert result.reaction_energy_ev == pytest.approx(-0.27399, abs=1e-4)
    assert result.saddle_curvature_ev_per_a2 < 0 and result.saddle_max_force_ev_per_a < 0.005
    assert result.history["climbing"][-1] and not result.history["climbing"][0]


def test_a_minimum_on_the_way_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        result = run_neb(at(LEFT, MIDDLE, RIGHT), NEBSettings(fmax=0.02))
    assert result.saddle_curvature_ev_per_a2 > 0 and "it is no saddle" in caplog.text
    path = [np.array(LEFT) + part * (np.array(MIDDLE) - LEFT) for part in np.linspace(0, 1, 7)]
    path += [np.array(MIDDLE) + part * (np.array(RIGHT) - MIDDLE) for part in np.linspace(0, 1, 5)[1:]]
    with caplog.at_level(logging.WARNING):
        result = run_neb(at(*path), NEBSettings(fmax=0.02, steps=1000))
    assert result.converged and result.barrier_forward_ev == pytest.approx(1.46700 - 0.40665, abs=2e-3)
    assert result.minima_on_the_way == 1 and "1 minima lie on the way" in caplog.text


def test_steps_that_run_out_are_told(caplog):
    with caplog.at_level(logging.WARNING):
        result = run_neb(at(MIDDLE, RIGHT), NEBSettings(fmax=0.005, steps=1, relax_ends=False))
    assert result.outcome == "not converged" and "step limit reached" in result.reason
    assert "no barrier yet" in caplog.text


def test_without_climbing_the_curve_gives_the_barrier():
    result = run_neb(at(MIDDLE, RIGHT), NEBSettings(images=8, fmax=0.005, steps=1000, climb=False))
    assert result.converged and not result.history["climbing"].any()
    assert result.barrier_forward_ev == pytest.approx(0.08519, abs=5e-3)
    assert result.barrier_forward_ev >= result.path["relative_energy_ev"].max() - 1e-9


def test_a_path_downhill_has_no_saddle(caplog):
    slope = [(-0.05 + 0.1 * k, 0.467 + 0.35 * k, 0.0) for k in range(3)]
    with caplog.at_level(logging.WARNING):
        result = run_neb(at(*slope), NEBSettings(relax_ends=False, steps=2, climb=False))
    assert result.saddle_image is None and result.barrier_forward_ev is None
    assert "the highest image is an end" in caplog.text and "forces on an end" in result.reason
    assert set(result.structures()) == {"path"}


def test_free_molecules_neither_turn_nor_drift():
    """The umbrella of ammonia: through the plane, whatever the orientation of the other end."""
    ammonia = molecule("NH3")
    ammonia.calc = EMT()
    mirrored = ammonia.copy()
    mirrored.positions[:, 2] *= -1.0
    mirrored.rotate(40, (1, 1, 0))
    mirrored.translate((1.0, 2.0, 3.0))
    result = run_neb([ammonia, mirrored], NEBSettings(images=3, fmax=0.05, relax_ends=False, steps=1))
    centres = [image.positions.mean(axis=0) for image in result.images]
    assert np.abs(np.array(centres) - centres[0]).max() < 0.05


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a.symbols.__setitem__(0, "Au"), "the same atoms in the same order"),
        (lambda a: a.set_cell(a.cell[:] * 1.01), "another cell"),
        (lambda a: a.set_pbc(False), "another cell or periodicity"),
    ],
)
def test_images_of_something_else_are_refused(change, message):
    first, last = hop()
    change(last)
    with pytest.raises(StructureError, match=message):
        run_neb([first, last])


def test_impossible_requests_are_refused():
    with pytest.raises(StructureError, match="its two ends"):
        run_neb(hop()[:1])
    with pytest.raises(ConfigError, match="the same state"):
        run_neb(at(LEFT, np.array(LEFT) + 0.02))
    with pytest.raises(ConfigError, match="the path is given"):
        run_neb(at(LEFT, MIDDLE, RIGHT), NEBSettings(images=5))
    with pytest.raises(ConfigError, match="climb is off"):
        NEBSettings(climb=False, climb_below=0.1)
    with pytest.raises(ConfigError, match="no calculator"):
        run_neb([atoms.copy() for atoms in hop()])


def test_an_interrupted_band_goes_on_from_its_file(tmp_path):
    class Impatient(MullerBrown):
        def calculate(self, atoms=None, properties=("energy",), system_changes=()):
            if MullerBrown.calls == 63:
                MullerBrown.calls += 1
                raise KeyboardInterrupt
            super().calculate(atoms, properties, system_changes)

    images = at(MIDDLE, RIGHT)
    images[0].calc = Impatient()
    MullerBrown.calls = 0
    how = NEBSettings(images=3, fmax=0.005, steps=1000, relax_ends=False)
    result = run_neb(images, how, folder=tmp_path)
    assert (
        result.outcome == "interrupted" and json.loads((tmp_path / "neb.json").read_text())["reason"] == "interrupted"
    )
    again = read(tmp_path / "path.extxyz", index=":")
    again[0].calc = MullerBrown()
    MullerBrown.calls = 0
    finished = run_neb(again, NEBSettings(fmax=0.005, steps=1000))
    assert finished.converged and finished.barrier_forward_ev == pytest.approx(0.08519, abs=5e-4)


def test_files_hold_the_result(tmp_path):
    result = run_neb(at(MIDDLE, RIGHT), NEBSettings(images=3, steps=1000), folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("neb.json", "neb.png", "path.extxyz", "saddle.extxyz", "path.csv", "convergence.csv")
    }
    stored = json.loads((tmp_path / "neb.json").read_text())
    assert stored["barrier_forward_ev"] == result.barrier_forward_ev
    assert read(tmp_path / "saddle.extxyz").get_potential_energy() == pytest.approx(result.path["energy_ev"].max())

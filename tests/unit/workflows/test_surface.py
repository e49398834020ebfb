"""Surface energies equal direct slab computations; the order and the shape are those of fcc metals."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase.build import bulk, fcc100, fcc110, fcc111, molecule
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.io import read
from ase.optimize import BFGS
from mpl_toolkits.mplot3d import art3d

from alignn_ff.errors import ConfigError
from alignn_ff.reports.surface import Body, surface_figure
from alignn_ff.units import J_M2_PER_EV_A2
from alignn_ff.workflows.surface import run_surface
from alignn_ff.workflows.surface_settings import SurfaceSettings, miller_indices

QUICK = {"thickness_a": 9.0, "vacuum_a": 8.0}


def crystal(atoms, calc=None):
    atoms.calc = EMT() if calc is None else calc
    return atoms


@pytest.fixture(scope="module")
def copper():
    return run_surface(crystal(bulk("Cu", a=3.6)), SurfaceSettings(thickness_a=12.0))


def energies(result):
    return {one.label: one.surface_energy_j_per_m2 for one in result.surfaces}


@pytest.mark.parametrize(("builder", "label"), [(fcc111, "(111)"), (fcc100, "(100)"), (fcc110, "(110)")])
def test_copper_equals_slabs_made_by_ase(copper, builder, label):
    a = (4.0 * copper.atoms.get_volume()) ** (1.0 / 3.0)
    (found,) = [one for one in copper.surfaces if one.label == label]
    atoms = crystal(builder("Cu", (1, 1, found.atoms), a=a, vacuum=7.5))
    per_atom = copper.atoms.calc.results["energy"]
    area = np.linalg.norm(np.cross(*atoms.cell[:2]))
    cost = [(atoms.get_potential_energy() - len(atoms) * per_atom) / (2 * area) * 16.0217663]
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    cost.append((atoms.get_potential_energy() - len(atoms) * per_atom) / (2 * area) * 16.0217663)
    assert found.unrelaxed_surface_energy_j_per_m2 == pytest.approx(cost[0], abs=1e-4)
    assert found.surface_energy_j_per_m2 == pytest.approx(cost[1], abs=1e-4)
    assert found.area_a2 == pytest.approx(area) and found.symmetric and found.converged


def test_close_packed_planes_cost_least(copper):
    found = energies(copper)
    assert 0 < found["(111)"] < found["(100)"] < found["(110)"]
    assert list(copper.wulff_parts) == ["100", "110", "111"] and sum(copper.wulff_parts.values()) == pytest.approx(1.0)
    assert copper.wulff_parts["111"] > copper.wulff_parts["100"] > copper.wulff_parts["110"]
    assert found["(111)"] < copper.mean_surface_energy_j_per_m2 < found["(110)"]
    assert all(abs(one.vacuum_change_j_per_m2) < 1e-6 for one in copper.surfaces)  # beyond the reach of EMT
    assert all(abs(one.thickness_change_j_per_m2) < 5e-3 for one in copper.surfaces)


def test_a_cell_with_more_atoms_is_the_same_crystal(copper):
    how = SurfaceSettings(thickness_a=12.0, miller="111", check=False)
    again = run_surface(crystal(bulk("Cu", a=3.6, cubic=True) * (2, 1, 1)), how)
    assert energies(again)["(111)"] == pytest.approx(energies(copper)["(111)"], abs=1e-4)
    assert again.surfaces[0].atoms == next(one.atoms for one in copper.surfaces if one.label == "(111)")


def test_broken_bonds_of_nearest_neighbours():
    """With nearest neighbours alone γ A is half the bonds cut per cell of fcc: 3 at (111), 4 at (100), 6 at (110)."""
    a, epsilon = 4.0, 0.1
    lj = LennardJones(sigma=a / np.sqrt(2) / 2 ** (1 / 6), epsilon=epsilon, rc=0.85 * a)
    how = SurfaceSettings(**QUICK, relax=False, relax_slabs=False, check=False)
    result = run_surface(crystal(bulk("Ar", "fcc", a=a), lj), how)
    well = -result.atoms.calc.results["energy"] / 6.0
    for one in result.surfaces:
        bonds = {"(111)": 3, "(100)": 4, "(110)": 6}[one.label]
        expected = 0.5 * bonds * well / one.area_a2 * J_M2_PER_EV_A2
        assert one.surface_energy_j_per_m2 == pytest.approx(expected, rel=1e-6)


def test_two_faces_that_differ_are_told(caplog):
    ordered = bulk("NiCu", "rocksalt", a=4.9)
    with caplog.at_level(logging.WARNING):
        how = SurfaceSettings(**QUICK, miller="111", relax=False, relax_slabs=False, check=False)
        result = run_surface(crystal(ordered), how)
    assert not result.surfaces[0].symmetric and "mean of two faces" in dict(result.rows())["surface energy (111)"]
    assert "two faces of the slab differ" in caplog.text


def test_one_zone_of_planes_has_no_shape(caplog):
    lj = LennardJones(sigma=2.5, epsilon=0.1, rc=6.0, smooth=True)
    how = SurfaceSettings(**QUICK, miller="001", relax=False, relax_slabs=False, check=False)
    with caplog.at_level(logging.WARNING):
        result = run_surface(crystal(bulk("Mg", a=2.8, c=4.57), lj), how)
    assert result.wulff is None and result.shape_factor is None and result.outcome == "done"
    assert "no Wulff shape" in caplog.text and len(result.plot().axes) == 1


def test_what_does_not_relax_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        how = SurfaceSettings(**QUICK, miller="110", check=False, relax_steps=1)
        result = run_surface(crystal(bulk("Cu", a=3.6)), how)
    assert result.outcome == "not converged" and "a slab did not relax" in caplog.text
    assert "NOT CONVERGED" in result.surfaces[0].text()


def test_planes_from_words():
    assert miller_indices("111 1-10, 200") == [(1, 1, 1), (1, -1, 0), (1, 0, 0)]
    for wrong in ("11", "000", "abc", "", "1111"):
        with pytest.raises(ConfigError, match="`miller`"):
            SurfaceSettings(miller=wrong)
    with pytest.raises(ConfigError, match="the planes are given"):
        SurfaceSettings(miller="111", max_index=2)


def test_impossible_requests_are_refused():
    with pytest.raises(ConfigError, match="is not a crystal"):
        run_surface(crystal(molecule("CO")))
    with pytest.raises(ConfigError, match="has 10 atoms, `max_atoms` are 9"):
        run_surface(crystal(bulk("Cu")), SurfaceSettings(miller="111", max_atoms=9, thickness_a=20.0, check=False))


def test_files_hold_the_result(tmp_path):
    how = SurfaceSettings(**QUICK, relax_slabs=False, check=False)
    result = run_surface(crystal(bulk("Cu", a=3.6)), how, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("surface.json", "surface.png", "crystal.extxyz", "slabs.extxyz", "surfaces.csv", "relaxations.jsonl")
    }
    stored = json.loads((tmp_path / "surface.json").read_text())
    assert stored["surfaces"][0]["surface_energy_j_per_m2"] == result.surfaces[0].surface_energy_j_per_m2
    assert len(read(tmp_path / "slabs.extxyz", index=":")) == 3 and len(stored["wulff"]["facets"]) == 26
    assert (tmp_path / "surfaces.csv").read_text().splitlines()[1].startswith("1,0,0,1,True,")


def test_the_figure_shows_the_facets_that_are_there():
    corners = np.array([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0)], dtype=float)
    body = Body(corners, [(0, 1, 2), ()], ["(111)", "(100)"])
    bars, shape = surface_figure({"(111)": 1.0, "(111) 2": 1.2, "(100)": 2.0}, None, body).axes
    assert [patch.get_height() for patch in bars.patches] == [1.0, 1.2, 2.0]
    assert [text.get_text() for text in shape.get_legend().get_texts()] == ["(111)"]


def test_a_shape_of_unlike_facets_is_drawn_whatever_lies_in_unused_memory(monkeypatch, tmp_path):
    """matplotlib keeps facets in one array and reads the unused ends of the short ones, too, when it scales axes."""

    class Soiled:
        def __getattr__(self, name):
            return getattr(np, name)

        def empty(self, shape):
            return np.full(shape, 1.7e308)

    monkeypatch.setattr(art3d, "np", Soiled())
    corners = np.array([(1, 1, 0), (-1, 1, 0), (-1, -1, 0), (1, -1, 0), (0, 0, 1)], dtype=float)
    body = Body(corners, [(0, 1, 2, 3), (0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)], ["(100)"] + ["(111)"] * 4)
    figure = surface_figure({"(100)": 1.0, "(111)": 1.0}, None, body)
    figure.savefig(tmp_path / "surface.png")
    shape = figure.axes[1]
    assert shape.get_xlim() == shape.get_zlim() and 1.0 <= shape.get_xlim()[1] < 1.2

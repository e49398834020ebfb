"""A crystal on itself costs nothing; films are strained as they must be, and the energies are those of the slabs."""

from __future__ import annotations

import json
import logging
import sys

import numpy as np
import pytest
from ase.build import bulk, fcc111, molecule
from ase.calculators.emt import EMT
from ase.io import read

from alignn_ff.errors import ConfigError
from alignn_ff.units import J_M2_PER_EV_A2
from alignn_ff.workflows.interface import run_interface
from alignn_ff.workflows.interface_match import Match, smallest_match
from alignn_ff.workflows.interface_settings import InterfaceSettings
from alignn_ff.workflows.interface_stack import separation_a, stack
from alignn_ff.workflows.relax import RelaxSettings, run_relax
from alignn_ff.workflows.surface import run_surface
from alignn_ff.workflows.surface_settings import SurfaceSettings
from alignn_ff.workflows.surface_slabs import block, cuts, lattice_of

QUICK = {"thickness_a": 6.0, "vacuum_a": 8.0, "registry": 1}
BOTH_111 = {"substrate_miller": "111", "film_miller": "111"}


def crystals(*atoms, calc=EMT):
    for one in atoms:
        one.calc = calc()
    return atoms


def lattice_constant(symbol):
    """Lattice constant in Å of an fcc metal with EMT."""
    (atoms,) = crystals(bulk(symbol))
    return (4 * run_relax(atoms, RelaxSettings(optimizer="BFGS", fmax=1e-3)).volume_a3) ** (1 / 3)


def surface_block(atoms, plane):
    lattice = lattice_of(atoms, 0.01)
    return block(lattice, cuts(lattice, plane)[0])


@pytest.mark.parametrize("plane", ["001", "111"])
def test_a_crystal_on_itself_costs_nothing(plane):
    copper = bulk("Cu", a=3.6)
    how = InterfaceSettings(substrate_miller=plane, film_miller=plane, **QUICK | {"thickness_a": 8.0})
    result = run_interface(crystals(copper, copper.copy()), how)
    assert result.converged and result.mismatch_percent == pytest.approx(0.0, abs=1e-6)
    assert result.film_strain_energy_ev_per_atom == pytest.approx(0.0, abs=1e-6)
    assert result.interface_energy_j_per_m2 == pytest.approx(0.0, abs=2e-3)
    gamma = result.substrate_surface_energy_j_per_m2
    assert result.work_of_adhesion_j_per_m2 == pytest.approx(2 * gamma, abs=2e-3)
    how = SurfaceSettings(miller=plane, thickness_a=8.0, vacuum_a=8.0, check=False)
    (surface,) = run_surface(copper, how).surfaces
    assert gamma == pytest.approx(surface.surface_energy_j_per_m2, abs=1e-4)
    spacing = lattice_constant("Cu") / {"001": 2, "111": np.sqrt(3)}[plane]
    assert result.unrelaxed_separation_a == pytest.approx(spacing, abs=0.02)


def test_copper_on_nickel_is_strained_to_it():
    result = run_interface(
        crystals(bulk("Ni"), bulk("Cu")), InterfaceSettings(**BOTH_111, **QUICK, relax_interface=False)
    )
    nickel, copper = (lattice_constant(symbol) for symbol in ("Ni", "Cu"))
    assert result.mismatch_percent == pytest.approx(100 * (nickel / copper - 1), abs=0.01)
    assert result.other_mismatch_percent == pytest.approx(result.mismatch_percent, abs=1e-6)
    assert result.area_a2 == pytest.approx(nickel**2 * np.sqrt(3) / 4, rel=1e-5)
    assert result.film_strain_energy_ev_per_atom > 0.0
    # squeezed in the plane it grows along the normal, beyond the spacing of its layers at rest
    heights = np.sort(result.film.positions[:, 2])
    assert np.diff(heights) == pytest.approx(np.diff(heights)[0]) and np.diff(heights)[0] > copper / np.sqrt(3) * 1.01
    expected = result.substrate_surface_energy_j_per_m2 + result.film_surface_energy_j_per_m2
    assert result.interface_energy_j_per_m2 == pytest.approx(expected - result.work_of_adhesion_j_per_m2, abs=1e-9)


def test_work_of_adhesion_is_the_energy_of_pulling_apart():
    result = run_interface(
        crystals(bulk("Cu", a=3.59), bulk("Ag", a=4.06)), InterfaceSettings(**BOTH_111, **QUICK, relax_interface=False)
    )
    atoms = result.atoms.copy()
    atoms.calc = EMT()
    together = atoms.get_potential_energy()
    atoms.cell[2, 2] += 20.0
    atoms.positions[atoms.get_tags() == 1, 2] += 10.0
    apart = atoms.get_potential_energy()
    assert result.work_of_adhesion_j_per_m2 == pytest.approx(
        (apart - together) / result.area_a2 * J_M2_PER_EV_A2, abs=5e-3
    )  # to what EMT makes of a cell with other elements: its cutoff follows the largest
    assert result.curve["work_of_adhesion_j_per_m2"][-1] == pytest.approx(0.0, abs=5e-3)
    assert result.curve["work_of_adhesion_j_per_m2"].max() <= result.work_of_adhesion_j_per_m2 + 1e-6


def test_registry_has_the_symmetry_of_both_surfaces():
    """On (111) one place is on top and two are hollows; the three in between are equal by symmetry."""
    result = run_interface(
        crystals(bulk("Ni", a=3.5), bulk("Cu", a=3.6)),
        InterfaceSettings(**BOTH_111, **QUICK | {"registry": 3}, relax=False, relax_interface=False),
    )
    found = result.registry["work_of_adhesion_j_per_m2"]
    values, counts = np.unique(found.round(4), return_counts=True)
    assert len(found) == 9 and sorted(counts) == [1, 1, 1, 6]
    top, bridge, *hollows = values
    assert top < bridge < min(hollows) and hollows[1] - hollows[0] < 0.1 * (hollows[0] - bridge)
    separations = result.registry["separation_a"]
    assert separations[found.argmin()] == separations.max()
    assert abs(np.linalg.det(result.registry_vectors_a)) == pytest.approx(result.area_a2)


def test_shifts_by_either_lattice_change_nothing():
    lower, upper = surface_block(bulk("Cu", a=3.6), (0, 0, 1)), surface_block(bulk("Ag", a=4.08), (0, 0, 1))
    match = smallest_match(lower, upper, max_mismatch=0.02, max_area_a2=60.0)
    film = upper.copy()
    deformation = np.eye(3)
    deformation[:2, :2] = match.deformation
    film.set_cell(film.cell[:] @ deformation, scale_atoms=True)
    both = stack(lower, film, match, periods=(3, 3), vacuum_a=8.0)
    vectors = both.registry
    for lattice in (lower.cell[:2, :2], film.cell[:2, :2]):
        parts = lattice @ np.linalg.inv(vectors)
        assert parts == pytest.approx(np.rint(parts), abs=1e-6)
    energies = []
    for shift in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (0.3, 0.1)):
        atoms = both.at(np.array(shift), 2.3)
        assert separation_a(atoms, atoms) == pytest.approx(2.3)
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    assert energies[1:3] == pytest.approx([energies[0]] * 2, abs=1e-6) and abs(energies[3] - energies[0]) > 1e-3
    counts = [abs(np.linalg.det(multiples)) for multiples in (match.substrate, match.film)]
    assert counts == pytest.approx([5, 4])  # √5 of copper and 2 of silver differ by 1.3 %
    assert match.strains == pytest.approx(np.sqrt(5) * 3.6 / (2 * 4.08) - 1, abs=1e-6)
    assert abs(np.linalg.det(vectors)) == pytest.approx(abs(np.linalg.det(lower.cell[:2, :2])) / 4)


def test_strains_and_turn_of_a_match():
    turn = np.radians(20.0)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    match = Match(np.eye(2), np.eye(2), np.diag([1.01, 0.97]) @ rotation)
    assert match.strains == pytest.approx([-0.03, 0.01]) and match.turn_deg == pytest.approx(20.0)


def test_a_mirrored_film_is_no_match():
    """The mirror image of an oblique lattice has the same lengths and angle, but no rotation leads to it."""
    cell = np.array([[3.0, 0.0, 0.0], [1.0, 3.7, 0.0], [0.0, 0.0, 5.0]])
    substrate = bulk("Cu")
    substrate.set_cell(cell)
    film = substrate.copy()
    film.set_cell(cell * [-1, 1, 1])
    assert smallest_match(substrate, substrate, max_mismatch=0.01, max_area_a2=15).strains == pytest.approx(0, abs=1e-9)
    with pytest.raises(ConfigError, match="no cell of at most 15"):
        smallest_match(substrate, film, max_mismatch=0.01, max_area_a2=15.0)


def test_two_faces_that_differ_leave_no_interface_energy(caplog):
    ordered = bulk("NiCu", "rocksalt", a=4.9)
    with caplog.at_level(logging.WARNING):
        how = InterfaceSettings(**BOTH_111, **QUICK, relax=False, relax_interface=False)
        result = run_interface(crystals(ordered, ordered.copy()), how)
    assert result.interface_energy_j_per_m2 is None and result.film_surface_energy_j_per_m2 is None
    assert np.isfinite(result.work_of_adhesion_j_per_m2) and "two different faces" in caplog.text


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jarvis.analysis.interface.zur", None)
    with pytest.raises(ConfigError, match=r"pip install alignn-ff\[jarvis\]"):
        run_interface(crystals(bulk("Cu"), bulk("Cu")), InterfaceSettings(**QUICK, relax=False))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"film_miller": "12"}, "`film_miller` = '12'"),
        ({"substrate_miller": "111 100"}, "one plane was expected"),
        ({"pressure_gpa": 1.0}, "free faces"),
        ({"max_mismatch_percent": 30.0}, "at most 20"),
    ],
)
def test_bad_settings_are_refused(fields, message):
    with pytest.raises(ConfigError, match=message):
        InterfaceSettings(**fields)


@pytest.mark.parametrize(
    ("film", "fields", "message"),
    [
        (bulk("Ag"), {"max_mismatch_percent": 0.1}, "no cell of at most 150 Å² is common"),
        (bulk("Cu"), {"max_atoms": 5}, "interface has 8 atoms"),
        (bulk("Cu"), {"film_termination": 2}, "has 1 terminations"),
        (molecule("CO"), {}, "is not a crystal"),
    ],
)
def test_impossible_requests_are_refused(film, fields, message):
    with pytest.raises(ConfigError, match=message):
        run_interface(crystals(bulk("Cu"), film), InterfaceSettings(**QUICK | fields, relax=False))


def test_two_structures_are_needed():
    with pytest.raises(ConfigError, match="1 structures were given; two"):
        run_interface(crystals(fcc111("Cu", (1, 1, 3))))


def test_what_does_not_relax_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        how = InterfaceSettings(**QUICK, substrate_miller="110", film_miller="110", relax_steps=1)
        result = run_interface(crystals(bulk("Cu", a=3.6), bulk("Cu", a=3.6)), how)
    assert result.outcome == "not converged" and "did not converge" in caplog.text


def test_files_hold_the_result(tmp_path):
    how = InterfaceSettings(**QUICK | {"registry": 2}, relax=False, relax_interface=False)
    result = run_interface(crystals(bulk("Cu"), bulk("Cu")), how, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("interface.json", "interface.png", "interface.extxyz", "slabs.extxyz", "registry.csv", "adhesion.csv"),
        "relaxations.jsonl",
    }
    stored = json.loads((tmp_path / "interface.json").read_text())
    assert stored["work_of_adhesion_j_per_m2"] == result.work_of_adhesion_j_per_m2
    assert read(tmp_path / "interface.extxyz").get_tags().tolist() == result.atoms.get_tags().tolist()
    curve, colours, *_ = result.plot().axes
    assert len(curve.lines[0].get_xdata()) == len(result.curve["separation_a"]) and colours.collections

"""Sites are those of the textbook, energies those of a direct computation."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from ase import Atoms
from ase.build import add_adsorbate, bcc100, fcc100, fcc110, fcc111, hcp0001, molecule
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms
from ase.io import read
from ase.optimize import BFGS

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.adsorption import AdsorptionSettings, run_adsorption
from alignn_ff.workflows.adsorption_gas import gas
from alignn_ff.workflows.adsorption_sites import distinct_sites, upward


def slab(builder=fcc111, size=(2, 2, 3), **more):
    atoms = builder("Cu", size, vacuum=8.0, **({"a": 3.61} | more))
    atoms.calc = EMT()
    return atoms


def labels(atoms):
    return [site.label for site in distinct_sites(atoms, 0.7, 0.01)]


@pytest.mark.parametrize("size", [(1, 1, 3), (2, 2, 3), (3, 3, 3)])
def test_sites_of_close_packed_surfaces_whatever_the_cell(size):
    assert labels(slab(fcc111, size)) == ["ontop", "bridge", "hollow-3", "hollow-3"]  # fcc and hcp hollows differ
    assert labels(slab(fcc100, size)) == ["ontop", "bridge", "hollow-4"]


def test_a_cell_longer_one_way_tells_bridges_apart():
    """An adsorbate has its images nearer along the one bridge than along the other."""
    assert labels(slab(fcc100, (3, 2, 3))) == ["ontop", "bridge", "bridge", "hollow-4"]
    assert labels(slab(fcc111, (3, 2, 3))) == ["ontop", "bridge", "bridge", "bridge", "hollow-3", "hollow-3"]


def test_sites_of_open_surfaces():
    assert labels(slab(fcc110, (1, 1, 4))) == ["ontop", "bridge", "bridge", "hollow-4"]  # short and long bridge
    assert labels(slab(bcc100, (1, 1, 4), a=2.87)) == ["ontop", "bridge", "hollow-4"]
    assert labels(slab(hcp0001, (2, 2, 3), a=2.56, c=4.18)) == ["ontop", "bridge", "hollow-3", "hollow-3"]


def test_a_single_layer_has_one_kind_of_hollow():
    assert labels(slab(fcc111, (2, 2, 1))) == ["ontop", "bridge", "hollow-3"]


def test_sites_lie_where_ase_puts_them():
    atoms = slab()
    known = atoms.info["adsorbate_info"]["sites"]
    plane = np.array(atoms.info["adsorbate_info"]["cell"])
    step = np.array([np.linalg.norm(row) for row in plane])
    for site in distinct_sites(atoms, 0.7, 0.01):
        distance = {"ontop": 0.0, "bridge": 0.5 * step[0], "hollow": step[0] / np.sqrt(3)}[site.kind]
        assert site.distance_a == pytest.approx(distance, abs=1e-6) and len(site.atoms) <= 3
    assert {"ontop", "bridge", "fcc", "hcp"} == set(known)


@pytest.fixture(scope="module")
def oxygen():
    return run_adsorption(slab(), AdsorptionSettings(adsorbate="O", fmax=0.01))


def test_oxygen_on_copper_equals_a_direct_computation(oxygen):
    bare = slab()
    bare.set_constraint(FixAtoms(mask=bare.positions[:, 2] < bare.positions[:, 2].min() + 1.0))
    BFGS(bare, logfile=None).run(fmax=0.01)
    free = Atoms("O", calculator=EMT())
    energies = {}
    for site in ("ontop", "fcc", "hcp"):
        full = bare.copy()
        add_adsorbate(full, "O", 1.3, site)
        full.calc = EMT()
        BFGS(full, logfile=None).run(fmax=0.01)
        energies[site] = full.get_potential_energy() - bare.get_potential_energy() - free.get_potential_energy()
    found = {one.site: one.adsorption_energy_ev for one in oxygen.sites if one.stayed}
    hollows = sorted(one.adsorption_energy_ev for one in oxygen.sites if one.site == "hollow-3")
    assert found["ontop"] == pytest.approx(energies["ontop"], abs=2e-3)
    assert hollows == pytest.approx(sorted([energies["fcc"], energies["hcp"]]), abs=2e-3)
    assert oxygen.best_site == "hollow-3" and oxygen.best_adsorption_energy_ev == min(hollows)
    assert oxygen.outcome == "done"


def test_the_lower_half_stays_and_own_constraints_count(oxygen):
    frozen = oxygen.slab.constraints[0].index
    before = slab()
    assert len(frozen) == 4 and np.array_equal(oxygen.atoms.positions[frozen], before.positions[frozen])
    mine = slab()
    mine.set_constraint(FixAtoms(range(len(mine))))
    kept = run_adsorption(mine, AdsorptionSettings(adsorbate="O", site="ontop"))
    assert np.array_equal(kept.atoms.positions[: len(mine)], mine.positions)
    assert [one.site for one in kept.sites] == ["ontop"]


def test_half_a_molecule_as_reference(oxygen):
    pair = run_adsorption(slab(), AdsorptionSettings(adsorbate="O", reference="O2", site="ontop", fmax=0.01))
    free, share = gas("O", "O2")
    assert share == 0.5 and len(free) == 2
    one, other = pair.sites[0], oxygen.sites[0]
    shift = oxygen.gas_energy_ev - 0.5 * pair.gas_energy_ev
    assert one.adsorption_energy_ev == pytest.approx(other.adsorption_energy_ev + shift, abs=1e-3)


def test_molecules_stand_on_their_lowest_atom():
    start = AdsorptionSettings(adsorbate="CO", site="ontop", relax_steps=0)
    result = run_adsorption(slab(), start)
    carbon = next(atom for atom in result.atoms if atom.symbol == "C")
    top = result.atoms.positions[: len(result.slab), 2].max()
    assert carbon.z - top == pytest.approx(0.76 + 1.32, abs=1e-6)  # covalent radii of carbon and copper
    assert result.sites[0].height_a == pytest.approx(carbon.z - top)
    assert next(atom.z for atom in result.atoms if atom.symbol == "O") > carbon.z + 1.0
    assert result.outcome == "done"


def test_a_slab_upside_down_is_the_same_slab(oxygen):
    turned = slab()
    turned.rotate(90, "x", rotate_cell=True)
    assert upward(turned) == pytest.approx([0, -1, 0], abs=1e-9)
    result = run_adsorption(turned, AdsorptionSettings(adsorbate="O", site="ontop", fmax=0.01))
    assert result.sites[0].adsorption_energy_ev == pytest.approx(oxygen.sites[0].adsorption_energy_ev, abs=1e-3)


def test_what_slides_or_does_not_relax_is_told(caplog):
    with caplog.at_level(logging.WARNING):
        result = run_adsorption(slab(), AdsorptionSettings(adsorbate="O", site="bridge", relax_steps=1, fmax=1e-4))
    assert result.outcome == "not converged" and "it did not relax" in caplog.text


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adsorbate": "Unobtainium"}, "is no element and no molecule"),
        ({"adsorbate": "O", "reference": "H2O"}, "no multiple of the adsorbate"),
        ({"adsorbate": "CO", "reference": "CO2"}, "no multiple of the adsorbate"),
        ({"fixed_part": 1.5}, "at most 1"),
        ({"site": "holow"}, "did you mean `hollow`"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        AdsorptionSettings(**settings)


def test_what_is_no_slab_is_refused():
    gas_phase = molecule("CO")
    gas_phase.calc = EMT()
    with pytest.raises(ConfigError, match="is no slab"):
        run_adsorption(gas_phase)
    tight = slab()
    tight.center(vacuum=2.0, axis=2)
    tight.pbc = True
    with pytest.raises(ConfigError, match=r"4\.00 Å between the slab and its image"):
        run_adsorption(tight)


def test_files_hold_the_result(tmp_path):
    how = AdsorptionSettings(adsorbate="O", relax_steps=0)
    result = run_adsorption(slab(), how, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("adsorption.json", "adsorption.png", "adsorbed.extxyz", "slab.extxyz", "sites.csv", "relaxations.jsonl")
    }
    stored = json.loads((tmp_path / "adsorption.json").read_text())
    assert [site["site"] for site in stored["sites"]] == ["ontop", "bridge", "hollow-3", "hollow-3"]
    assert stored["best_adsorption_energy_ev"] == result.best_adsorption_energy_ev
    assert len(read(tmp_path / "adsorbed.extxyz", index=":")) == 4

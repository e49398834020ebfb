"""Formats that structures with labels come in, read as what they say: units and signs of ASE."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from alignn_ff.data.sources import Keys, read_samples
from alignn_ff.io import to_ase
from alignn_ff.units import GPA_PER_EV_A3


def labelled_frames() -> list[Atoms]:
    frames = []
    for seed in range(3):
        atoms = bulk("Cu", a=3.7, cubic=True)
        atoms.rattle(0.1, seed=seed)
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces(), "stress": atoms.get_stress()}
        atoms.calc = SinglePointCalculator(atoms, **results)
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("name", ["a.extxyz", "a.traj", "a.db", "a.json"])
def test_files_of_ase_tell_the_same(tmp_path, name):
    frames = labelled_frames()
    write(tmp_path / name, frames)
    for sample, atoms in zip(read_samples(tmp_path / name), frames, strict=True):
        assert np.allclose(sample.graph.positions, atoms.positions, atol=1e-7)
        assert float(sample.targets.energy) == pytest.approx(atoms.get_potential_energy(), abs=1e-7)
        assert np.allclose(sample.targets.forces, atoms.get_forces(), atol=1e-7)
        assert np.allclose(sample.targets.stress[0], atoms.get_stress(voigt=False), atol=1e-8)


@pytest.mark.parametrize("name", ["POSCAR-cu", "cu.vasp", "cu.cif", "cu.pdb", "cu.xyz"])
def test_files_of_structures_beside_an_id_prop_csv(tmp_path, name):
    atoms = molecule("H2O") if name.endswith(".xyz") else bulk("Cu", a=3.7, cubic=True)
    write(tmp_path / name, atoms, **({"format": "vasp"} if "POSCAR" in name else {}))
    (tmp_path / "id_prop.csv").write_text(f"{name},-1.5\n")
    (sample,) = read_samples(tmp_path)
    found = to_ase(sample.graph)
    assert sorted(found.symbols) == sorted(atoms.symbols) and (sample.graph.pbc == (not name.endswith(".xyz"))).all()
    expected, own = (np.sort(a.get_all_distances(mic=True), axis=None) for a in (atoms, found))
    assert np.allclose(own, expected, atol=2e-3)  # pdb has three digits
    assert float(sample.targets.energy) == pytest.approx(-1.5 * len(atoms))


VASPRUN = """<?xml version="1.0" encoding="ISO-8859-1"?>
<modeling>
 <kpoints>
  <varray name="kpointlist"><v> 0 0 0 </v></varray><varray name="weights"><v> 1 </v></varray>
 </kpoints>
 <atominfo>
  <atoms> 2 </atoms>
  <types> 1 </types>
  <array name="atoms">
   <set><rc><c>Cu</c><c>1</c></rc><rc><c>Cu</c><c>1</c></rc></set>
  </array>
 </atominfo>
 <structure name="initialpos">
  <crystal><varray name="basis"><v> 3 0 0 </v><v> 0 3 0 </v><v> 0 0 3 </v></varray></crystal>
  <varray name="positions"><v> 0 0 0 </v><v> 0.5 0.5 0.4 </v></varray>
 </structure>
 <calculation>
  <scstep>
   <energy><i name="e_fr_energy"> -7.1 </i><i name="e_wo_entrp"> -7.0 </i><i name="e_0_energy"> -7.05 </i></energy>
  </scstep>
  <structure>
   <crystal><varray name="basis"><v> 3 0 0 </v><v> 0 3 0 </v><v> 0 0 3 </v></varray></crystal>
   <varray name="positions"><v> 0 0 0 </v><v> 0.5 0.5 0.4 </v></varray>
  </structure>
  <varray name="forces"><v> 0 0 0.25 </v><v> 0 0 -0.25 </v></varray>
  <varray name="stress"><v> 10 1 2 </v><v> 1 20 3 </v><v> 2 3 30 </v></varray>
  <energy><i name="e_fr_energy"> -7.1 </i><i name="e_wo_entrp"> -7.0 </i><i name="e_0_energy"> -7.05 </i></energy>
 </calculation>
</modeling>
"""
"""One step of VASP: pressures in kbar, positive in compression, in its own order of shears."""


def test_a_run_of_vasp_has_its_stress_turned(tmp_path: Path):
    (tmp_path / "vasprun.xml").write_text(VASPRUN)
    (sample,) = read_samples(tmp_path / "vasprun.xml")
    assert float(sample.targets.energy) in (-7.0, -7.05, -7.1)
    assert sample.targets.forces[:, 2].tolist() == [0.25, -0.25]
    kbar = np.array([[10.0, 1.0, 2.0], [1.0, 20.0, 3.0], [2.0, 3.0, 30.0]])
    assert np.allclose(sample.targets.stress[0], -0.1 * kbar / GPA_PER_EV_A3, rtol=1e-5)
    assert float(sample.targets.energy) == read(tmp_path / "vasprun.xml").get_potential_energy()


def test_vasp_s_own_stress_in_another_file_is_said_by_its_unit(tmp_path: Path):
    atoms = bulk("Cu", a=3.7)
    atoms.info |= {"energy": -3.5, "virial_kbar": np.diag([10.0, 20.0, 30.0])}
    write(tmp_path / "a.extxyz", atoms)
    (sample,) = read_samples(tmp_path / "a.extxyz", Keys(stress="virial_kbar", stress_unit="kbar_vasp"))
    assert np.allclose(sample.targets.stress[0], np.diag([-1.0, -2.0, -3.0]) / GPA_PER_EV_A3, rtol=1e-9)

"""A job that was broken off goes on with the relaxations it had finished, and ends as the unbroken one."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk, fcc100
from ase.calculators.emt import EMT
from ase.constraints import FixAtoms

from alignn_ff import run_adsorption, run_defect, run_formation, run_interface, run_relax, run_surface, run_vacancy
from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.workflows.adsorption import AdsorptionSettings
from alignn_ff.workflows.defect import DefectSettings
from alignn_ff.workflows.formation import FormationSettings
from alignn_ff.workflows.interface_settings import InterfaceSettings
from alignn_ff.workflows.relax import RelaxSettings
from alignn_ff.workflows.relaxer import LEDGER, Relaxer, open_relaxer
from alignn_ff.workflows.surface_settings import SurfaceSettings
from alignn_ff.workflows.vacancy import VacancySettings


class Counting(EMT):
    """Counts its evaluations, and is interrupted at one of them."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.evaluations, self.stop_at = 0, stop_at

    def calculate(self, *args, **kwargs):
        self.evaluations += 1
        if self.evaluations == self.stop_at:
            raise KeyboardInterrupt
        super().calculate(*args, **kwargs)


def ordered():
    atoms = bulk("Cu", a=3.8, cubic=True)
    atoms.symbols[0] = "Au"
    return atoms


JOBS = {
    "vacancy": (run_vacancy, bulk("Cu", a=3.6), VacancySettings(supercell=(2, 2, 2), fmax=0.01)),
    "defect": (
        run_defect,
        bulk("Cu", a=3.6),
        DefectSettings(kind="substitution", elements="Ag", supercell=(2, 2, 2), fmax=0.01),
    ),
    "surface": (run_surface, bulk("Cu", a=3.6), SurfaceSettings(thickness_a=4.0, vacuum_a=6.0, check=False, fmax=0.01)),
    "adsorption": (run_adsorption, fcc100("Cu", (1, 1, 2), a=3.6, vacuum=5.0), AdsorptionSettings(fmax=0.05)),
    "formation": (run_formation, [ordered(), bulk("Au")], FormationSettings(fmax=0.05)),
    "interface": (
        run_interface,
        [bulk("Ni"), bulk("Cu")],
        InterfaceSettings(thickness_a=3.0, vacuum_a=6.0, registry=1, fmax=0.05),
    ),
}


def run(name, calculator, **how):
    job, start, settings = JOBS[name]
    copies = [atoms.copy() for atoms in start] if isinstance(start, list) else start.copy()
    for atoms in copies if isinstance(copies, list) else [copies]:
        atoms.calc = calculator
    return job(copies, settings, **how)


@pytest.mark.parametrize("name", JOBS)
def test_a_broken_job_goes_on(name, tmp_path):
    unbroken = Counting()
    expected = run(name, unbroken).to_dict()
    with pytest.raises(KeyboardInterrupt):
        run(name, Counting(stop_at=unbroken.evaluations - 3), folder=tmp_path / "broken")
    kept = (tmp_path / "broken" / LEDGER.file).read_text().count("\n") - 1
    rest = Counting()
    assert kept >= 1 and run(name, rest, folder=tmp_path / "broken", resume=True).to_dict() == expected
    assert rest.evaluations < unbroken.evaluations
    again = Counting()
    assert run(name, again, folder=tmp_path / "broken", resume=True).to_dict() == expected
    assert again.evaluations < rest.evaluations


def test_what_was_evaluated_before_the_break_is_not_evaluated_again(tmp_path):
    cells = [bulk("Cu", a=a) for a in (3.5, 3.6, 3.7, 3.8)]
    expected = [frame.calc.results for frame in Relaxer(Counting()).evaluate_each(cells)]
    start = bulk("Cu")
    start.calc = Counting(stop_at=3)
    with pytest.raises(KeyboardInterrupt), open_relaxer(start, tmp_path / "run", resume=False) as relax:
        list(relax.evaluate_each(cells))
    start.calc = Counting()
    with open_relaxer(start, tmp_path / "run", resume=True) as relax:
        frames = list(relax.evaluate_each(cells[::-1]))
    assert start.calc.evaluations == 2
    for frame, results in zip(frames[::-1], expected, strict=True):
        assert frame.calc.results["energy"] == results["energy"]
        assert np.array_equal(frame.calc.results["forces"], results["forces"])


def test_a_kept_relaxation_is_the_relaxation(tmp_path):
    atoms = fcc100("Cu", (1, 1, 3), a=3.6, vacuum=5.0)
    atoms.set_constraint(FixAtoms([0]))
    atoms.rattle(0.05, seed=1)
    atoms.calc = EMT()
    how = RelaxSettings(fmax=0.01, cell="none")
    for resume in (False, True):
        with open_relaxer(atoms, tmp_path, resume=resume) as relax:
            result = relax(atoms, how)
    fresh = run_relax(atoms, how)
    assert result.to_dict() == fresh.to_dict() and result.rows() == fresh.rows()
    for one, other in ((result.atoms, fresh.atoms), (result.initial, fresh.initial)):
        assert one == other and one.get_tags().tolist() == other.get_tags().tolist()
        assert [fix.todict() for fix in one.constraints] == [fix.todict() for fix in other.constraints]
        assert one.calc.results.keys() == other.calc.results.keys()
        assert np.array_equal(one.get_forces(apply_constraint=False), other.get_forces(apply_constraint=False))


def test_another_start_or_other_settings_are_relaxed_anew(tmp_path):
    atoms = bulk("Cu", a=3.7)
    atoms.calc = Counting()
    how = RelaxSettings(fmax=0.05)
    with open_relaxer(atoms, tmp_path, resume=False) as relax:
        relax(atoms, how)
    atoms.calc = Counting()
    with open_relaxer(atoms, tmp_path, resume=True) as relax:
        relax(atoms, how)
        assert atoms.calc.evaluations == 0
        relax(atoms, RelaxSettings(fmax=0.01))
        first = atoms.calc.evaluations
        atoms.rattle(0.01)
        relax(atoms, how)
        assert 0 < first < atoms.calc.evaluations


def test_a_torn_line_is_cut_off_and_a_damaged_one_refused(tmp_path):
    atoms = bulk("Cu", a=3.7)
    atoms.calc = EMT()
    with open_relaxer(atoms, tmp_path, resume=False) as relax:
        relax(atoms, RelaxSettings())
    path = tmp_path / LEDGER.file
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "12')
    with open_relaxer(atoms, tmp_path, resume=True) as relax:
        relax(atoms, RelaxSettings(fmax=0.02))
    assert path.read_bytes().startswith(whole) and len(path.read_bytes().splitlines()) == 3
    path.write_bytes(whole + b"{}\n")
    with pytest.raises(CheckpointError, match="is damaged"), open_relaxer(atoms, tmp_path, resume=True):
        pass


def test_relaxations_of_another_calculator_are_refused(tmp_path):
    atoms = bulk("Cu", a=3.7)
    atoms.calc = EMT()
    with open_relaxer(atoms, tmp_path, resume=False) as relax:
        relax(atoms, RelaxSettings())
    path = tmp_path / LEDGER.file
    first, *rest = path.read_text().splitlines(keepends=True)
    origin = json.loads(first)
    origin["calculator"]["sha256"] = "0"
    path.write_text("".join([json.dumps(origin) + "\n", *rest]))
    with pytest.raises(ConfigError, match="computed otherwise: calculator"), open_relaxer(atoms, tmp_path, resume=True):
        pass


def test_resume_needs_a_folder_with_something_to_go_on_from(tmp_path):
    with pytest.raises(ConfigError, match="resume needs the folder"):
        run("vacancy", EMT(), resume=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=LEDGER.file):
        run("vacancy", EMT(), folder=tmp_path, resume=True)


def test_a_relaxer_without_a_file_forgets():
    relax, atoms = Relaxer(Counting()), bulk("Cu", a=3.7)
    relax(atoms, RelaxSettings(fmax=0.05))
    once = relax.calculator.evaluations
    relax(atoms, RelaxSettings(fmax=0.05))
    assert relax.calculator.evaluations > once

"""The pure parts of the benchmarks: their tables, their measures, and how they judge a run."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.calculators.tersoff import Tersoff, TersoffParameters
from ase.data import chemical_symbols
from ase.formula import Formula
from ase.io import write

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import ConfigError, RunawayError
from alignn_ff.models import ops
from alignn_ff.pretrained import load_potential
from alignn_ff.training.core import core_of
from alignn_ff.training.metrics import Errors
from benchmarks import (
    crystals,
    equal_time,
    legacy_sound,
    md_step,
    mixed_batches,
    nvt_stability,
    phonon_batches,
    squeezed,
    teacher_student,
    two_lines,
)
from benchmarks.contenders import Setup, build, kind
from benchmarks.families import FAMILIES, families_of
from benchmarks.reference_crystals import choose_crystals, read_crystals
from benchmarks.walker import Walker, hire

CRYSTALS = read_crystals()
COPPER = CRYSTALS["Cu"]


def elements_of(names) -> set[str]:
    return {symbol for name in names for symbol in Formula(name).count()}


def test_every_element_belongs_to_one_family():
    listed = " ".join(FAMILIES.values()).split()
    assert sorted(listed) == sorted(chemical_symbols[1:104])
    assert families_of(["Na", "Cl"]) == {"alkali", "halogen"}


def test_forty_crystals_over_forty_elements():
    assert len(CRYSTALS) == 40
    assert len(elements_of(CRYSTALS)) >= 40


@pytest.mark.parametrize("crystal", CRYSTALS.values(), ids=lambda c: c.name)
def test_every_number_has_a_source_and_agrees_with_the_others(crystal):
    given = {"a": crystal.a, "bulk_modulus": crystal.bulk_modulus, "elastic": crystal.elastic}
    assert {name for name, value in given.items() if value is not None} == set(crystal.sources)
    atoms = crystal.atoms()
    assert atoms.cell.cellpar() == pytest.approx([crystal.a] * 3 + [90.0] * 3)
    assert nvt_stability.closest_pair(atoms) == pytest.approx(1.0, abs=0.25)
    if crystal.elastic:
        c11, c12, c44 = crystal.elastic
        assert (c11 + 2 * c12) / 3 == pytest.approx(crystal.bulk_modulus, rel=0.1)
        assert c11 > c12 and c44 > 0


def test_a_crystal_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"NaCl2.*NaCl"):
        choose_crystals(["NaCl2"])


def test_elastic_constants_of_tersoff_silicon_as_published():
    """Balamane, Halicioglu, Tiller, Phys. Rev. B 46, 2250 (1992), potential T3: atoms relaxed, C44 119 without."""
    parameters = TersoffParameters(
        A=1830.8, B=471.18, lambda1=2.4799, lambda2=1.7322, lambda3=0.0, beta=1.1e-6, n=0.78734, m=3.0, c=1.0039e5,
        d=16.217, h=-0.59825, gamma=1.0, R=2.85, D=0.15,
    )  # fmt: skip
    atoms = bulk("Si", a=5.432, cubic=True)
    atoms.calc = Tersoff({("Si", "Si", "Si"): parameters})
    assert list(crystals.elastic_constants(atoms).values()) == pytest.approx([142.5, 75.4, 69.0], rel=0.02)


def test_departure_counts_shape_and_shifts_but_not_size_or_place():
    ideal = CRYSTALS["NaCl"].atoms()
    moved = ideal.copy()
    moved.set_cell(1.1 * ideal.cell[:], scale_atoms=True)
    moved.rotate(30, "z", rotate_cell=True)
    moved.positions += (1.0, 2.0, 3.0)
    assert crystals.departure(moved, ideal) == pytest.approx(0.0, abs=1e-12)
    stretched = ideal.copy()
    stretched.set_cell(ideal.cell[:] * [[1.1], [1.0], [1.0]], scale_atoms=True)
    assert crystals.departure(stretched, ideal) == pytest.approx(1.1 ** (2 / 3) - 1)
    moved = ideal.copy()
    moved.positions[0, 0] += 0.8
    assert crystals.departure(moved, ideal) == pytest.approx(0.7 / (5.697 / 2))


def test_perturbation_is_the_same_for_everybody():
    first, again = crystals.perturbed(COPPER, 0), crystals.perturbed(COPPER, 0)
    assert first == again != crystals.perturbed(COPPER, 1)
    strain = crystals.departure(first, COPPER.atoms())
    assert 0.003 < strain < 0.1


def test_a_crystal_is_measured_and_compared():
    row = crystals.measure(COPPER, EMT(), seed=0)
    assert row["status"] == crystals.RELAXED
    assert row["a"] == pytest.approx(3.59, abs=0.01)  # of EMT
    assert row["a_error_percent"] == pytest.approx(100 * (row["a"] / COPPER.a - 1))
    assert (row["c11"] + 2 * row["c12"]) / 3 == pytest.approx(row["bulk_modulus"], rel=0.03)
    soft = replaced(row, crystal="K", bulk_modulus_pbe=3.6, bulk_modulus_error_percent=500.0)
    lost = {"crystal": "Ba", "status": "left its structure"}
    summary = crystals.summarise([row, soft, lost])
    assert summary["failed"] == {"Ba": "left its structure"}
    own = abs(row["bulk_modulus_error_percent"])
    assert summary["mae_percent"]["bulk_modulus"] == pytest.approx((own + 500) / 2)
    assert summary["mae_percent"]["bulk_modulus_stiff"] == pytest.approx(own)
    assert crystals.cells(row)[0] == f"{row['a']:.4f}" and crystals.cells(lost) == ["failed"]


def replaced(row, **changes):
    return {**row, **changes}


def test_supercells_of_the_dynamics_hold_fifty_to_a_hundred_atoms():
    chosen = choose_crystals(nvt_stability.CRYSTALS.split(","))
    assert len(chosen) == 20
    assert all(50 <= len(nvt_stability.supercell(crystal)) <= 100 for crystal in chosen)
    assert nvt_stability.time_step(CRYSTALS["LiF"].atoms()) == 1.0
    assert nvt_stability.time_step(CRYSTALS["Si"].atoms()) == 2.0


def test_runs_are_judged():
    sound = {"mean_temperature_k": 610.0, "closest_pair": 0.8, "energy_above_crystal_ev_per_atom": 0.08}
    assert nvt_stability.verdict(sound, 600.0) == nvt_stability.STABLE
    assert nvt_stability.verdict(replaced(sound, mean_temperature_k=900.0), 600.0).startswith("exploded")
    assert nvt_stability.verdict(replaced(sound, closest_pair=0.5), 600.0).startswith("collapsed")
    low = replaced(sound, energy_above_crystal_ev_per_atom=-0.2)
    assert nvt_stability.verdict(low, 600.0).startswith("collapsed")


def test_displacement_is_free_of_drift():
    start = bulk("Cu", cubic=True) * (3, 3, 2)
    frame = start.copy()
    signs = np.where(np.arange(len(start)) % 2, 1.0, -1.0)
    frame.positions[:, 0] += 0.1 * signs
    frame.positions += 5.0
    assert nvt_stability.lindemann(start, [frame, frame]) == pytest.approx(0.1 / (3.61 / 2**0.5))


def test_a_short_run_is_stable():
    task = nvt_stability.Task("ours:mlearn-six", CRYSTALS["Mo"], Setup(), 600.0, 0.1, 0)
    row = nvt_stability.run(task)
    assert row["status"] == nvt_stability.STABLE and row["picoseconds"] == pytest.approx(0.1)
    unknown = nvt_stability.run(replace(task, crystal=CRYSTALS["NaCl"]))
    assert unknown["status"].startswith("element unknown")


def test_twenty_crystals_of_two_lines_hold_forty_elements():
    names = [name for of_one in two_lines.CRYSTALS.values() for name in of_one]
    assert len(names) == 20 and len(elements_of(names)) >= 40


def test_contenders_are_named_and_misnamed():
    atoms = bulk("Si")
    atoms.calc = build("ours:mlearn-six", atoms, Setup(dtype="float64"))
    assert np.isfinite(atoms.get_potential_energy())
    with pytest.raises(ConfigError, match=r"teecher.*teacher"):
        kind("teecher")
    with pytest.raises(ConfigError, match="only ours"):
        kind("chgnet:mlearn-six")


def test_errors_are_tabulated_by_family_and_kind():
    empty = np.zeros((0, 2)), np.zeros(0, dtype=str)
    errors = Errors(
        energy=np.array([[0.0, 0.001], [0.0, -0.003]]),
        forces=np.array([[0.0, 0.1], [0.0, 0.3], [1.0, 1.0]]),
        stress=empty[0],
        energy_group=np.array(["rattle\tprototype", "volume\tprototype"]),
        forces_group=np.array(["rattle\tprototype"] * 2 + ["volume\tprototype"]),
        stress_group=empty[1],
        energy_element=np.array(["Cl-Na", "Cu"]),
        forces_element=np.array(["Na", "Cl", "Cu"]),
        stress_element=empty[1],
        **dict.fromkeys(("atomwise", "additional"), empty[0]),
        **{f"{name}_{by}": empty[1] for name in ("atomwise", "additional") for by in ("group", "element")},
    )
    found = {(r["quantity"], r["of"]): (r["mae"], r["count"]) for r in teacher_student.tabulate(errors)}
    assert found["energy", "all"] == pytest.approx((2.0, 2))
    assert found["energy", "alkali"] == found["energy", "halogen"] == pytest.approx((1.0, 1))
    assert found["forces", "alkali"] == pytest.approx((100.0, 1))
    assert found["forces", "rattle"] == pytest.approx((200.0, 2))
    assert found["energy", "prototype"] == pytest.approx((2.0, 2))
    assert not any(quantity == "stress" for quantity, _ in found)


def test_students_are_scored_on_the_held_out_part(tmp_path):
    frames = []
    for seed, symbol in enumerate(("Cu", "Ni", "Cu")):
        atoms = bulk(symbol, cubic=True)
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.get_stress()
        atoms.info = {"tag": "rattle" if seed else "volume", "source": "element"}
        frames.append(atoms)
    data, split, out = tmp_path / "frames.extxyz", tmp_path / "split.json", tmp_path / "made" / "scores.json"
    write(data, frames)
    split.write_text(json.dumps({"id_train": ["frames.extxyz@0"], "id_val": [], "id_test": ["frames.extxyz@2"]}))
    assert [s.group for s in teacher_student.held_out(data, None, "test")] == [
        "volume\telement",
        "rattle\telement",
        "rattle\telement",
    ]
    first, last = sorted((frames[0], frames[2]), key=lambda atoms: atoms.get_potential_energy())
    apart = (last.get_potential_energy() - first.get_potential_energy()) / 4
    for window, count in ((0.9 * apart, 2), (1.1 * apart, 3)):  # nickel is the lowest of its kind at any rate
        assert len(teacher_student.held_out(data, None, "test", window)) == count
    options = ["--data", str(data), "--split", str(split), "--device", "cpu", "--out", str(out)]
    teacher_student.main(["--model", "mlearn-six", *options])
    (student,) = json.loads(out.read_text())["students"]
    energy = next(r for r in student["rows"] if r["quantity"] == "energy" and r["by"] == "all")
    atoms = frames[2].copy()
    atoms.calc = build("ours:mlearn-six", atoms, Setup())
    expected = abs(atoms.get_potential_energy() - frames[2].get_potential_energy()) / len(atoms)
    assert energy["count"] == 1 and energy["mae"] == pytest.approx(1000 * expected, rel=1e-4)


def test_learning_curve_is_drawn_over_the_size_of_the_training_sets(tmp_path):
    rows = [
        {"quantity": quantity, "by": "all", "of": "all", "mae": 10.0, "unit": "", "count": 1}
        for quantity in teacher_student.QUANTITIES
    ]
    students = [teacher_student.Student("b", 2000, rows), teacher_student.Student("a", 1000, rows)]
    teacher_student.draw_learning_curve(students, tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 1000
    with pytest.raises(ConfigError, match="a does not tell"):
        teacher_student.draw_learning_curve([students[1]._replace(training=None)], tmp_path / "none.png")


def test_copper_of_the_legacy_benchmark_is_strained_and_labelled():
    one, again, *others = [*legacy_sound.cells(1), *legacy_sound.cells(6)]
    assert one == again and all(len(atoms) == 16 for atoms in others)
    assert np.ptp([atoms.get_volume() for atoms in others]) > 1.0
    energies = [atoms.get_potential_energy() for atoms in others]
    assert legacy_sound.zero_error(others) > 500 and np.ptp(energies) > 0.1
    moved = others[0].copy()
    moved.positions[3, 1] += 1e-4
    moved.calc = EMT()
    slope = (moved.get_potential_energy() - energies[0]) / 1e-4
    assert -slope == pytest.approx(others[0].get_forces()[3, 1], abs=1e-2)


def test_modes_are_compared_by_the_mean_over_seeds(tmp_path):
    errors = {"legacy": (80.0, 100.0), "legacy, published": (60.0, 60.0), "sound": (25.0, 35.0)}
    rows = [legacy_sound.Trained(mode, s, 1.0, e, 1.0) for mode, both in errors.items() for s, e in enumerate(both)]
    assert legacy_sound.summarise(rows) == {"legacy": 3.0, "legacy, published": 2.0}
    write(tmp_path / "cells.extxyz", legacy_sound.cells(10))
    steering = {"epochs": 1, "batch_size": 4, "learning_rate": 1e-3}
    trained = legacy_sound.train("sound", 0, tmp_path / "cells.extxyz", steering)
    assert 0.0 < trained.force_mae_mev_per_a < np.inf and trained.cpu_seconds > 0.0


@pytest.mark.parametrize("name", equal_time.MODELS)
def test_models_of_equal_time_differ_in_nothing_but_themselves(name):
    config = equal_time.config_of(name, "data.extxyz", 1, None)
    assert config.model["name"] == name.partition(",")[0] and config.learning_rate == equal_time.MODELS[name][1]
    assert (config.random_seed, config.split_seed, config.batch_size, config.val_ratio) == (
        1,
        0,
        2,
        0.1,
    ) and config.stratify_split
    assert equal_time.config_of(name, "data.extxyz", 1, 0.5).learning_rate == 0.5


def test_a_model_is_trained_for_its_seconds_and_no_longer(tmp_path, monkeypatch):
    monkeypatch.setattr(equal_time, "STRUCTURE", "si64")
    monkeypatch.setattr(equal_time, "STEPS", 2)
    frames = []
    for seed in range(10):
        frames.append(bulk("Si", cubic=True))
        frames[-1].rattle(0.2, seed=seed)
        frames[-1].calc = LennardJones(sigma=2.1, epsilon=0.5, rc=4.0, smooth=True)
        frames[-1].get_forces()
        frames[-1].get_stress()
    write(tmp_path / "si.extxyz", frames)
    short, longer = (
        equal_time.train(
            equal_time.config_of("alignn_smooth, 1 layer", str(tmp_path / "si.extxyz"), 0, None), "test", s, tmp_path
        )
        for s in (0.1, 0.8)
    )
    assert 0 < short.epochs < longer.epochs and short.parameters == longer.parameters > 10_000
    assert longer.force_mae_mev_per_a < short.force_mae_mev_per_a
    assert longer.md_step_s > 0.0


def test_a_model_is_squeezed_without_its_core_and_with_it():
    potential = load_potential("mlearn-six").potential
    bare = squeezed.without_core(potential)
    assert core_of(bare) is None and core_of(potential) is not None
    close, _, _, _, _, _, _, far = squeezed.squeezed("Si")["pair"]
    without, held = (AlignnFFCalculator(p, domain_check=False).evaluate([close, far]) for p in (bare, potential))
    assert held[0]["energy"] > without[0]["energy"] + 10.0
    assert held[1]["energy"] == without[1]["energy"]
    with pytest.raises(ConfigError, match="no core"):
        squeezed.without_core(bare)
    with pytest.raises(ConfigError, match="--elements"):
        squeezed.squeezed("O")


def test_contenders_walk_in_processes_of_their_own():
    args = md_step.parse(["--structure", "si216", "--threads", "1", "--warmup", "1"])
    walker = hire("ours", args)
    assert isinstance(walker, Walker) and walker.run_calls == 1
    walker.turn()
    (seconds,) = walker.seconds
    assert seconds > 0.0 < walker.cpu_seconds and 400.0 < walker.temperature < 800.0
    row = md_step.summarise("ours", walker, walker, 216)
    assert row["ratio_to_ours"] == 1.0 and row["atoms_steps_per_second"] == pytest.approx(216 / seconds)
    walker.process.kill()
    with pytest.raises(RunawayError, match="its process ended"):
        walker.turn()
    walker.dismiss()


def test_a_contender_that_cannot_take_part_says_why():
    args = md_step.parse(["--structure", "nacl216", "--threads", "1"])
    assert hire("ours:mlearn-six", args) == "element unknown"


def test_phonon_batches_evaluates_what_phonons_would_by_default():
    """Of copper, symmetry leaves one displacement; both ways of the benchmark agree on it."""
    calculator = AlignnFFCalculator("mlearn-six", device="cpu", domain_check=False)
    cells = phonon_batches.default_cells(bulk("Cu", a=3.63), calculator)
    assert len(cells) == 2 and len(cells[0]) == len(cells[1]) > 8
    row = phonon_batches.compare(cells, calculator, rounds=1)
    assert row["largest_difference_ev_per_a"] < 1e-6 and row["batched_s"] > 0


def test_mixed_batches_learn_the_same_from_either_kind_of_tables():
    """What the benchmark compares are two ways to one gradient, and its crystals leave most of a single table empty."""
    potential = AlignnFFCalculator("mlearn-six", device="cpu", dtype="float64", domain_check=False).potential
    known = [atoms for atoms in mixed_batches.crystals(96) if set(atoms.symbols) <= set(potential.elements)]
    (batch,) = mixed_batches.batches(known, potential.requires_grad_(True), size=96)
    assert mixed_batches.filled(batch) < 0.5
    gradients = []
    for spare in (ops._SPARE, math.inf):
        with patch.object(ops, "_SPARE", spare):
            tables = len(ops.slots(batch.edge_dst, len(batch.numbers)).tables)
            assert (tables == 1) == (spare == math.inf)
            mixed_batches.steps(potential, [batch])
        gradients.append({name: p.grad.clone() for name, p in potential.named_parameters() if p.grad is not None})
    assert gradients[0] and all(torch.allclose(one, gradients[1][name]) for name, one in gradients[0].items())

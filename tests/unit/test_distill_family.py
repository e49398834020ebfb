"""One family of the distillation: what is labelled, kept and said of it."""

from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from alignn_ff.distill.chemistry import make_palette
from alignn_ff.distill.duplicates import fingerprint
from alignn_ff.distill.family import make_family
from alignn_ff.distill.label import LabelError, label
from alignn_ff.distill.settings import DistillSettings
from alignn_ff.distill.start import Material

EMT_METALS = make_palette({"Cu": 1.0, "Ag": 1.0, "Au": 1.0})
CRYSTALS = DistillSettings(molecule_share=0, disordered_share=0, mixed_share=0)
GPA = 1.0 / 160.2176634


def with_emt(number: int, settings: DistillSettings = DistillSettings(), given=()):  # noqa: B008 (frozen)
    return make_family(number, Material(settings, EMT_METALS, given), partial(label, calculator=EMT()))


def same(first, second) -> bool:
    return len(first.frames) == len(second.frames) and all(
        a == b and a.info == b.info and np.array_equal(a.calc.results["forces"], b.calc.results["forces"])
        for a, b in zip(first.frames, second.frames, strict=True)
    )


def test_a_family_depends_on_its_number_and_the_seed_alone():
    calculator = EMT()
    teacher, material = partial(label, calculator=calculator), Material(DistillSettings(), EMT_METALS)
    once = [make_family(number, material, teacher) for number in range(4)]
    again = [make_family(number, material, teacher) for number in reversed(range(4))][::-1]
    assert all(same(a, b) for a, b in zip(once, again, strict=True))  # although the calculator has a history by then
    assert not same(once[0], once[1])
    assert not same(once[0], with_emt(0, DistillSettings(seed=1)))


def test_frames_hold_the_teachers_labels_of_what_they_show():
    for number in range(6):
        for frame in with_emt(number).frames:
            results = frame.calc.results
            check = Atoms(frame.numbers, positions=frame.positions, cell=frame.cell, pbc=frame.pbc, calculator=EMT())
            assert results["energy"] == pytest.approx(check.get_potential_energy(), abs=1e-7)
            assert results["forces"] == pytest.approx(check.get_forces(), abs=1e-7)
            assert ("stress" in results) == bool(frame.pbc.all())
            if frame.pbc.all():
                assert results["stress"] == pytest.approx(check.get_stress(), abs=1e-9)


def test_every_kind_of_frame_is_made():
    families = [with_emt(number, DistillSettings(md_share=0.2, md_steps=4, md_every=2)) for number in range(30)]
    frames = [frame for family in families for frame in family.frames]
    tags = Counter(frame.info["tag"] for frame in frames)
    assert set(tags) == {"volume", "relax", "rattle", "vacancy", "slab", "md", "molecule", "disordered"}
    for family in families:
        assert {frame.info["seed"] for frame in family.frames} <= {f"0-{family.number}"}
        assert len({frame.info["source"] for frame in family.frames}) <= 1
        assert not family.failures and len(family.frames) + family.rejected <= family.evaluations


@pytest.mark.parametrize("length", [3.0, 3.4, 4.0, 5.0])
def test_the_volume_scan_ends_near_zero_pressure(length):
    copper = bulk("Cu", a=length)
    family = with_emt(0, DistillSettings(volume_steps=6, relax_steps=3, perturbed=0), (("cu@0", copper),))
    pressures = [-frame.get_stress()[:3].mean() / GPA for frame in family.frames]
    relaxed = family.frames[-1]
    assert relaxed.info["tag"] == "relax" and abs(pressures[-1]) < 2.0 and abs(pressures[-1]) < abs(pressures[0])
    assert relaxed.get_volume() == pytest.approx(3.59**3 / 4, rel=0.04)  # EMT copper


def test_relaxed_crystals_are_squeezed_and_widened():
    settings = DistillSettings(vacancy_share=0, slab_share=0, md_share=0, squeeze_share=1, perturbed=20, max_stress=1e9)
    family = with_emt(0, settings, (("cu@0", bulk("Cu", a=3.59)),))
    lengths = np.cbrt([frame.get_volume() for frame in family.frames[-20:]]) / np.cbrt(3.59**3 / 4)
    assert {frame.info["tag"] for frame in family.frames[-20:]} == {"volume"}
    assert 0.8 < lengths.min() < 0.92 and 1.08 < lengths.max() < 1.2  # 15 % about the relaxed one, and some strain


def test_without_a_stress_there_is_one_volume():
    class NoStress(LennardJones):
        implemented_properties = ["energy", "forces"]  # noqa: RUF012

    teacher = partial(label, calculator=NoStress(sigma=2.3, rc=6.0))
    family = make_family(0, Material(CRYSTALS, EMT_METALS), teacher)
    tags = Counter(frame.info["tag"] for frame in family.frames)
    assert tags["volume"] == 1 and tags["relax"] == 2
    assert all("stress" not in frame.calc.results for frame in family.frames)


def test_dynamics_conserves_energy():
    """The kinetic energy drawn at the start turns into potential energy, on average half of it."""
    settings = DistillSettings(
        vacancy_share=0,
        slab_share=0,
        squeeze_share=0,
        md_share=1,
        perturbed=1,
        md_steps=40,
        md_every=1,
        max_temperature_k=300,
    )
    family = with_emt(0, settings, (("cu@0", bulk("Cu", a=3.59).repeat((2, 2, 3))),))
    md = [frame for frame in family.frames if frame.info["tag"] == "md"]
    relaxed = next(frame for frame in reversed(family.frames) if frame.info["tag"] == "relax")
    rise = np.array([frame.get_potential_energy() - relaxed.get_potential_energy() for frame in md])
    drawn = 1.5 * 8.617e-5 * 600.0 * (len(relaxed) - 1)  # twice 300 K
    assert len(md) == 40 and 0.3 * drawn < rise[10:].mean() < 0.7 * drawn and rise.max() < drawn


def test_frames_beyond_the_limits_are_left_out_and_counted():
    free, strict = (with_emt(3, DistillSettings(max_force=f, max_stress=s)) for f, s in ((1e9, 1e9), (0.5, 0.02)))
    assert free.rejected == 0 and strict.evaluations == free.evaluations
    assert strict.rejected == len(free.frames) - len(strict.frames) > 0
    assert all(abs(frame.get_forces()).max() <= 0.5 for frame in strict.frames)
    assert all(abs(frame.get_stress()).max() <= 0.02 for frame in strict.frames if frame.pbc.all())


class Moody(Calculator):
    """Fails, or answers with nonsense, at the n-th structure."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012

    def __init__(self, at: int, how: str) -> None:
        super().__init__()
        self.at, self.how, self.emt, self.count = at, how, EMT(), 0

    def calculate(self, atoms=None, properties=("energy",), system_changes=tuple(all_changes)) -> None:
        super().calculate(atoms, properties, system_changes)
        self.count += 1
        self.results = {name: self.emt.get_property(name, atoms) for name in self.implemented_properties}
        if self.count == self.at and self.how == "raise":
            raise RuntimeError("no\nconvergence")
        if self.count == self.at:
            self.results["forces"] = np.full((len(atoms), 3), np.nan)


@pytest.mark.parametrize(("how", "message"), [("raise", "RuntimeError: no convergence"), ("nan", "forces not finite")])
def test_a_failure_is_counted_and_the_rest_goes_on(how, message):
    given = (("cu@0", bulk("Cu", a=3.5)),)
    material = Material(DistillSettings(perturbed=3), EMT_METALS, given)
    whole = make_family(0, material, partial(label, calculator=EMT()))
    broken = make_family(0, material, partial(label, calculator=Moody(whole.evaluations - 1, how)))
    assert len(broken.frames) == len(whole.frames) - 1 and broken.evaluations == whole.evaluations
    (said,) = broken.failures
    assert message in said and "cu@0" in said and "\n" not in said


def test_a_family_that_fails_at_its_start_is_empty():
    family = make_family(0, Material(CRYSTALS, EMT_METALS), partial(label, calculator=Moody(1, "raise")))
    assert family.frames == () and family.evaluations == 1 and len(family.failures) == 1


def test_an_error_that_is_no_failure_of_the_teacher_is_not_swallowed():
    def broken(atoms):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        make_family(0, Material(CRYSTALS, EMT_METALS), broken)


def test_unknown_elements_are_a_failure():
    with pytest.raises(LabelError, match="No EMT-potential for Si"):
        label(bulk("Si"), EMT())


def test_fingerprints_see_through_the_way_a_structure_is_written():
    crystal = bulk("NaCl", "rocksalt", a=5.6)
    crystal.positions[1] += (0.05, 0.02, 0.1)
    turned = crystal.repeat((1, 2, 1))
    turned = turned[np.random.default_rng(0).permutation(len(turned))]
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    turned.positions += (0.3, 0.2, 0.1)
    assert fingerprint(turned) == fingerprint(crystal)
    mirrored = Atoms(crystal.symbols, positions=-crystal.positions, cell=-crystal.cell[:], pbc=True)
    assert fingerprint(mirrored) == fingerprint(crystal)


@pytest.mark.parametrize("change", ["volume", "element", "position", "pbc", "swap"])
def test_fingerprints_tell_structures_apart(change):
    crystal = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    other = crystal.copy()
    if change == "volume":
        other.set_cell(1.005 * other.cell[:], scale_atoms=True)
    elif change == "element":
        other.symbols[0] = "K"
    elif change == "position":
        other.positions[0] += (0.0, 0.0, 0.1)
    elif change == "pbc":
        other.pbc = (True, True, False)
    else:
        other.symbols[[0, 1]] = other.symbols[[1, 0]]
    assert fingerprint(other) != fingerprint(crystal)


def test_far_atoms_are_told_apart_by_density():
    """Without pairs in reach, two gases of different density are not one structure."""
    boxes = [Atoms("Cs", cell=[length] * 3, pbc=True) for length in (6.0, 7.0)]
    assert fingerprint(boxes[0]) != fingerprint(boxes[1])
    assert fingerprint(molecule("H2O")) != fingerprint(molecule("SH2"))

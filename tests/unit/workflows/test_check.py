"""The check passes what is sound and fails, by the right line, what is deliberately broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import ConfigError, StructureError
from alignn_ff.probes import Properties
from alignn_ff.workflows.check import CheckSettings, run_check
from alignn_ff.workflows.checks.bench import prepare, reference_crystal
from alignn_ff.workflows.checks.criteria import CRITERIA
from alignn_ff.workflows.checks.curves import sag, second_well
from alignn_ff.workflows.checks.derivatives import extrapolated
from alignn_ff.workflows.checks.dimers import dimers
from alignn_ff.workflows.checks.jumps import Path, largest_jumps

QUICK = CheckSettings(md_steps=60, dimer_reach_a=8.0)
STATIC = CheckSettings(dimers=False, volumes=False, dynamics=False)
DIMERS = CheckSettings(volumes=False, dynamics=False, dimer_reach_a=8.0)
DYNAMIC = CheckSettings(dimers=False, volumes=False, md_steps=200)

IMAGES = np.array([(a, b, c) for a in range(-2, 3) for b in range(-2, 3) for c in range(-2, 3)])


class Morse(Calculator):
    """A sound pair potential, smooth to its cutoff; the broken ones below each change one thing."""

    implemented_properties = ("energy", "forces", "stress")
    depth, width, bond, cutoff = 2.0, 1.4, 2.7, 5.5

    def pair(self, r):
        """Energy and slope of pairs at distances r."""
        s, x = np.exp(-self.width * (r - self.bond)), (r / self.cutoff) ** 2
        energy, slope = self.depth * (s * s - 2 * s), -2 * self.width * self.depth * (s * s - s)
        window = np.where(x < 1, (1 - x) ** 4, 0.0)
        fall = np.where(x < 1, -8 * (1 - x) ** 3 * r / self.cutoff**2, 0.0)
        return energy * window, slope * window + energy * fall

    def calculate(self, atoms=None, properties=("energy",), system_changes=()):
        super().calculate(atoms, properties, system_changes)
        images = IMAGES[~(IMAGES[:, ~atoms.pbc] != 0).any(axis=1)] @ atoms.cell.array
        places = atoms.get_positions(wrap=True)
        between = (places[None] - places[:, None])[:, :, None] + images  # i -> image of j
        squares = np.einsum("ijnk,ijnk->ijn", between, between)
        i, j, n = np.nonzero((squares > 1e-9) & (squares < self.cutoff**2))
        r, vectors = np.sqrt(squares[i, j, n]), between[i, j, n]
        energy, slope = self.pair(r)
        pulls = (slope / r)[:, None] * vectors
        forces = np.stack([np.bincount(i, pulls[:, k], len(atoms)) for k in range(3)], axis=1)
        self.results = {"energy": 0.5 * energy.sum(), "forces": forces}
        if atoms.cell.rank == 3:
            stress = 0.5 * vectors.T @ pulls / atoms.get_volume()
            self.results["stress"] = stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        self.spoil(atoms)

    def spoil(self, atoms):
        """Nothing, here."""


class WrongSign(Morse):
    def spoil(self, atoms):
        self.results["forces"] = -self.results["forces"]


class SmallStress(Morse):
    """The factor of a published model."""

    def spoil(self, atoms):
        self.results["stress"] = 0.05 * self.results["stress"]


class HardCutoff(Morse):
    def pair(self, r):
        s = np.exp(-self.width * (r - self.bond))
        return self.depth * (s * s - 2 * s), -2 * self.width * self.depth * (s * s - s)


class NoDerivative(Morse):
    """Forces that come from somewhere else than the energy: a pull that grows with the size of the force."""

    def spoil(self, atoms):
        forces = self.results["forces"]
        self.results["forces"] = forces * (1 + 0.3 * np.tanh(forces))


class MeanEnergy(Morse):
    def spoil(self, atoms):
        self.results = {name: value / (len(atoms) if name == "energy" else 1) for name, value in self.results.items()}


class Noise(Morse):
    rng = np.random.default_rng(0)

    def spoil(self, atoms):
        self.results["energy"] += 1e-2 * self.rng.normal()
        self.results["forces"] = self.results["forces"] + 1e-2 * self.rng.normal(size=(len(atoms), 3))


class Directional(Morse):
    """A field along x that looks at where atoms are."""

    def spoil(self, atoms):
        self.results["energy"] += 1e-2 * np.sin(atoms.positions[:, 0]).sum()
        self.results["forces"][:, 0] -= 1e-2 * np.cos(atoms.positions[:, 0])


class Numbered(Morse):
    def spoil(self, atoms):
        self.results["energy"] += 1e-2 * np.linalg.norm(atoms.get_distance(0, 1, mic=True))


class Hole(Morse):
    """Attraction below half a bond: the end of many a simulation."""

    def pair(self, r):
        energy, slope = super().pair(r)
        hole = -400.0 * np.exp(-((r - 1.2) ** 2) / 0.02)
        return energy + hole, slope - hole * (r - 1.2) / 0.01


class TwoWells(Morse):
    def pair(self, r):
        energy, slope = super().pair(r)
        well = -0.6 * np.exp(-((r - 4.2) ** 2) / 0.04)
        return energy + well, slope - well * (r - 4.2) / 0.02


class Undefined(Morse):
    def pair(self, r):
        with np.errstate(invalid="ignore"):
            return tuple(part * np.sqrt(r - 1.3) / np.sqrt(r - 1.3) for part in super().pair(r))


BROKEN = [
    (WrongSign, DYNAMIC, {"derivative_forces", "drift"}),
    (SmallStress, STATIC, {"derivative_stress"}),
    (HardCutoff, STATIC, {"walk_energy_jump", "walk_force_jump"}),
    (
        NoDerivative,
        CheckSettings(dimers=False, volumes=False),
        {"derivative_forces", "net_force", "rotation_forces", "drift"},
    ),
    (MeanEnergy, STATIC, {"supercell_energy", "derivative_forces", "derivative_stress"}),
    (Noise, STATIC, {"repetition_energy", "repetition_forces", "derivative_forces", "walk_energy_jump"}),
    (Directional, STATIC, {"translation_energy", "rotation_energy", "image_energy", "net_force"}),
    (Numbered, STATIC, {"permutation_energy"}),
    (Hole, DIMERS, {"dimer_sag"}),
    (TwoWells, DIMERS, {"dimer_second_well"}),
    (Undefined, DIMERS, {"dimer_finite"}),
]


def copper():
    return bulk("Cu", cubic=True, a=3.55)


def verdicts(result):
    return {line.criterion: line.verdict for line in result.lines}


def value_of(criterion, part):
    (found,) = [m for m in part.measurements if m.criterion == criterion]
    return found


def test_a_sound_potential_passes_every_line():
    result = run_check(Morse(), [copper()], QUICK)
    found = verdicts(result)
    assert result.outcome == "done" and set(found.values()) == {"pass", "skipped"}, result.rows()
    assert {name for name, verdict in found.items() if verdict == "skipped"} == {
        "batch_energy",
        "skin_energy",
        "precision_energy",
    }
    absent = {f"{name}_{what}" for name in ("batch", "skin", "precision") for what in ("forces", "stress")}
    assert set(found) == set(CRITERIA) - absent - {f"copies_{what}" for what in ("energy", "forces", "stress")}


@pytest.mark.parametrize(("broken", "settings", "expected"), BROKEN, ids=lambda value: getattr(value, "__name__", ""))
def test_a_broken_potential_fails_by_the_right_lines(broken, settings, expected):
    result = run_check(broken(), [copper()], settings)
    failed = {name for name, verdict in verdicts(result).items() if verdict == "fail"}
    assert result.outcome == "failed" and expected <= failed, (expected - failed, result.rows())


def test_what_is_not_broken_passes_beside_what_is():
    found = verdicts(run_check(SmallStress(), [copper()], STATIC))
    assert {name for name, verdict in found.items() if verdict not in ("pass", "skipped")} == {"derivative_stress"}


def test_jumps_are_located():
    energy = value_of("dimer_energy_jump", dimers(prepare(HardCutoff(), [copper()], QUICK), ("Cu", "Cu")))
    step = -HardCutoff().pair(np.array(HardCutoff.cutoff))[0]
    assert energy.value == pytest.approx(step, rel=1e-3) and energy.where == "at 5.5000 Å"


def test_lennard_jones_passes_where_it_is_smooth_and_fails_where_it_is_cut():
    argon = bulk("Ar", a=5.26, cubic=True)
    fields = {"sigma": 3.4, "epsilon": 0.5, "rc": 7.0}
    smooth = run_check(
        LennardJones(**fields, ro=5.0, smooth=True), [argon], CheckSettings(volumes=False, dynamics=False)
    )
    assert smooth.outcome == "done" and smooth.count("warn") == 0, smooth.rows()
    cut = dimers(prepare(LennardJones(**fields), [argon], QUICK), ("Ar", "Ar"))
    jump, slope = value_of("dimer_force_jump", cut), 24 * 0.5 / 3.4 * ((3.4 / 7) ** 7 - 2 * (3.4 / 7) ** 13)
    assert jump.verdict == "fail" and jump.where == "at 7.0000 Å" and jump.value == pytest.approx(slope, rel=1e-3)
    assert value_of("dimer_energy_jump", cut).verdict == "pass"  # ASE shifts the energy at the cutoff


def test_emt_passes_on_its_metals_and_on_molecules():
    metal = run_check(EMT(), [copper()], CheckSettings(md_steps=60))
    assert metal.outcome == "done" and metal.count("warn") == 0, metal.rows()
    water = run_check(EMT(), [molecule("H2O")], CheckSettings(dynamics=False, dimers=False))
    assert water.outcome == "done"
    assert {"copies_energy", "copies_forces"} <= set(verdicts(water))
    assert verdicts(water)["derivative_stress"] == verdicts(water)["volume_finite"] == "skipped"


def test_the_embedded_model_passes_in_every_way_it_can_be_run():
    result = run_check(AlignnFFCalculator("mlearn-six", device="cpu"), [bulk("Si", cubic=True)], STATIC)
    assert result.outcome == "done" and result.count("warn") == 0, result.rows()
    assert {f"{name}_energy" for name in ("batch", "skin", "precision")} <= set(verdicts(result))
    assert result.count("skipped") == 0


def test_small_crystals_are_repeated_and_the_given_ones_left_alone():
    one = bulk("Cu", a=3.55)
    before = one.copy()
    result = run_check(Morse(), [one], STATIC)
    assert len(result.structures_checked[0]) == 8
    assert one == before and one.calc is None


def test_reference_crystals_stand_in_where_there_are_no_structures():
    bench = prepare(EMT(), [], CheckSettings(elements="Cu, O"))
    assert [atoms.get_chemical_formula() for atoms in bench.structures.values()] == ["Cu8", "O8"]
    assert bench.pairs == [("Cu", "Cu"), ("Cu", "O"), ("O", "O")]
    assert reference_crystal("Fe").get_volume() == pytest.approx(2.87**3)
    assert len(reference_crystal("Ti")) == 2 and len(reference_crystal("Mn")) == 4


@pytest.mark.parametrize(
    ("structures", "fields", "error", "message"),
    [
        ([], {}, ConfigError, "does not say what it knows"),
        ([], {"elements": "Cu,X"}, ConfigError, "'X' is no element"),
        ([Atoms()], {}, StructureError, "structure 0 has no atoms"),
        ([Atoms("Cu", positions=[[np.nan, 0, 0]])], {}, StructureError, "not finite"),
    ],
)
def test_bad_input(structures, fields, error, message):
    with pytest.raises(error, match=message):
        run_check(EMT(), structures, CheckSettings(**fields))


def test_settings_that_nothing_reads_are_refused():
    with pytest.raises(ConfigError, match="dynamics is off"):
        CheckSettings(dynamics=False, md_steps=20)
    with pytest.raises(ConfigError, match="less than 90"):
        CheckSettings(volume_range_percent=95)


def test_what_is_saved_is_complete(tmp_path):
    result = run_check(Undefined(), [copper()], QUICK, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *("check.json", "check.png", "structures.extxyz", "measurements.csv"),
        *("walks.csv", "dimers.csv", "volumes.csv", "dynamics.csv"),
    }

    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    saved = json.loads((tmp_path / "check.json").read_text(), parse_constant=refuse)
    assert [line["criterion"] for line in saved["lines"]] == [line.criterion for line in result.lines]
    rows = (tmp_path / "measurements.csv").read_text().splitlines()
    assert rows[0] == "criterion,subject,value,where,verdict" and len(rows) == 1 + len(result.measurements)
    assert len({row.count(",") for row in rows}) == 1


def test_a_second_minimum_is_as_deep_as_its_lower_rim():
    x = np.linspace(-1, 3, 401)
    assert second_well(x**2) == 0.0
    double = x**2 * (x - 2) ** 2 + 0.1 * x  # minima near 0 and 2, a rim near 1
    rim, shallow = double[np.abs(x - 1) < 0.3].max(), double[x > 1].min()
    assert second_well(double) == pytest.approx(rim - shallow)
    assert second_well(double[::-1]) == second_well(double)
    assert second_well(np.exp(-x)) == 0.0  # the end of a curve is no minimum


def test_sag():
    assert sag(np.array([0.0, 1.0, 2.0])) == 0.0
    assert sag(np.array([0.0, 3.0, 1.0, 2.0, 5.0])) == 2.0


def test_derivatives_are_exact_without_and_good_with_noise():
    steps = 0.04 / 2.0 ** np.arange(5)
    clean = (np.exp(steps) - np.exp(-steps)) / (2 * steps)
    assert extrapolated(clean) == pytest.approx(1.0, abs=1e-12)
    rng = np.random.default_rng(1)
    noisy = [extrapolated(clean + 1e-5 * rng.normal(size=5) / steps) for _ in range(50)]
    assert np.abs(np.array(noisy) - 1.0).max() < 1e-2  # single differences at the smallest step are off by 4e-3


class Curve:
    """Stands for structures and calculator: what `largest_jumps` sees of a path is its places and their values."""

    def __init__(self, energy):
        self.energy = energy

    def __call__(self, places):
        return [Properties(float(self.energy(x)), np.array([[float(self.energy(x)), 0.0, 0.0]])) for x in places]

    def jumps(self, grid):
        path = Path(lambda place: place, grid, 1e-4, 1e-3)
        return largest_jumps(path, self(grid), self)


@pytest.mark.parametrize(("size", "place"), [(3e-4, 2.70003), (0.2, 2.70003), (0.2, 1.23457), (0.01, 1.6)])
def test_a_jump_on_a_steep_wall_or_beyond_is_found(size, place):
    energy, force = Curve(lambda x: np.exp(-6 * (x - 1)) * 50 + size * (x > place)).jumps(np.arange(0.5, 3.5, 0.02))
    relative = size / max(1.0, 50 * np.exp(-6 * (place - 1)) + size)  # from there on jumps count so
    assert energy.size == pytest.approx(relative, rel=0.03) == force.size
    assert energy.place == pytest.approx(place, abs=2e-5)


def test_a_smooth_curve_and_a_kink_have_no_jump():
    wall = Curve(lambda x: 100 * np.exp(-8 * (x - 0.5)) - 0.1 * np.exp(-(((x - 2) / 0.2) ** 2)))
    assert max(jump.size for jump in wall.jumps(np.arange(0.5, 3.5, 0.02))) < 3e-5
    assert max(jump.size for jump in Curve(lambda x: abs(x - 1.234)).jumps(np.arange(0.5, 3.5, 0.02))) < 1e-4

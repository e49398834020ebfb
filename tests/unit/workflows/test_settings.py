"""Settings refuse what they cannot honour, and say what would be right."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.eos import EOSSettings
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.relax import RelaxSettings
from alignn_ff.workflows.settings import build


@pytest.mark.parametrize(
    ("settings_type", "fields", "message"),
    [
        (RelaxSettings, {"fmax": 0.0}, "`fmax` = 0.0: more than 0 eV/Å was expected"),
        (RelaxSettings, {"fmax": float("nan")}, "a number was expected"),
        (RelaxSettings, {"steps": 2.5}, "a whole number was expected"),
        (RelaxSettings, {"steps": True}, "a whole number was expected"),
        (RelaxSettings, {"fix_symmetry": 1}, "true or false was expected"),
        (RelaxSettings, {"optimizer": "bfgs"}, "did you mean `BFGS`"),
        (RelaxSettings, {"cell_mask": (1, 1, 1)}, "6 values were expected"),
        (RelaxSettings, {"cell_mask": (0,) * 6}, "no strain component"),
        (RelaxSettings, {"cell_mask": (2,) * 6}, "true or false"),
        (RelaxSettings, {"cell": "none", "pressure_gpa": 1.0}, "`pressure_gpa` = 1.0 has no effect"),
        (RelaxSettings, {"hydrostatic": True, "constant_volume": True}, "leave nothing"),
        (RelaxSettings, {"hydrostatic": True, "cell_mask": (1, 1, 1, 0, 0, 0)}, "isotropic"),
        (RelaxSettings, {"constant_volume": True, "pressure_gpa": 1.0}, "follows from the volume"),
        (MDSettings, {"ensemble": "nvt-langevine"}, "did you mean `nvt-langevin`"),
        (MDSettings, {"ensemble": "nve", "friction_per_fs": 0.1}, "ensemble nve does not read it"),
        (MDSettings, {"ensemble": "nvt", "pressure_gpa": 1.0}, "ensemble nvt does not read it"),
        (MDSettings, {"ensemble": "nvt", "temperature_k": 0}, "more than 0 K"),
        (MDSettings, {"supercell": (2, 0, 2)}, "at least 1"),
        (MDSettings, {"velocities": "keep", "supercell": (2, 1, 1)}, "move all copies"),
        (MDSettings, {"steps": 10, "equilibration_steps": 10}, "leaves nothing"),
        (MDSettings, {"stages": "10@300", "equilibration_steps": 10}, "of steps = 10 leaves nothing"),
        (MDSettings, {"stages": "10@300", "steps": 20}, "the stages say how long"),
        (MDSettings, {"stages": "10@300", "temperature_end_k": 400.0}, "the stages say how long"),
        (MDSettings, {"ensemble": "nve", "stages": "10@300"}, "ensemble nve does not read it"),
        (MDSettings, {"ensemble": "nph", "temperature_end_k": 400.0}, "ensemble nph does not read it"),
        (MDSettings, {"ensemble": "npt", "cell_axes": (1, 1, 0)}, "ensemble npt does not read it"),
        (MDSettings, {"ensemble": "npt-axes", "cell_axes": (0, 0, 0)}, "no cell vector move"),
        (EOSSettings, {"points": 4}, "at least 5"),
        (EOSSettings, {"volume_range_percent": 60}, "less than 50"),
        (EOSSettings, {"relax": False, "fmax": 0.1}, "relax is off"),
        (EOSSettings, {"equation": "birch-murnaghan"}, "did you mean `birchmurnaghan`"),
    ],
)
def test_bad_values_are_refused_with_advice(settings_type, fields, message):
    with pytest.raises(ConfigError, match=message):
        settings_type(**fields)


def test_whole_numbers_serve_as_floats_and_lists_as_tuples():
    settings = MDSettings(temperature_k=500, supercell=[2, 2, 1])
    assert type(settings.temperature_k) is float
    assert settings.supercell == (2, 2, 1)
    assert RelaxSettings(cell_mask=[1, 1, 0, 0, 0, 1]).cell_mask == (True, True, False, False, False, True)


def test_settings_are_frozen():
    with pytest.raises(FrozenInstanceError):
        RelaxSettings().fmax = 1.0


def test_build_reads_texts_as_their_field():
    # YAML reads 1e-3 as a text
    settings = build(MDSettings, {"timestep_fs": "1e-3", "supercell": "2x3x4", "seed": "7"})
    assert (settings.timestep_fs, settings.supercell, settings.seed) == (1e-3, (2, 3, 4), 7)
    with pytest.raises(ConfigError, match="`seed` = 'x': a whole number"):
        build(MDSettings, {"seed": "x"})


def test_build_names_the_nearest_field():
    with pytest.raises(ConfigError, match=r"unknown field `timestep` \(did you mean `timestep_fs`"):
        build(MDSettings, {"timestep": 1.0})

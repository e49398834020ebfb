"""Figures say what the numbers say, and reach files whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alignn_ff.errors import DataError, OutputWriteError
from alignn_ff.reports.eos import eos_figure
from alignn_ff.reports.figure import save_figure
from alignn_ff.reports.learning_curve import learning_curve_figure
from alignn_ff.reports.parity import DENSE, error_text, parity_figure
from alignn_ff.reports.relax import relax_figure
from alignn_ff.reports.trajectory import trajectory_figure


def legend_texts(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_parity_states_errors_of_known_values():
    reference = np.array([0.0, 1.0, 2.0, np.nan])
    predicted = np.array([0.0, 1.3, 1.6, 9.0])
    (ax,) = parity_figure(reference, predicted, "Energy", "eV/atom").axes
    # errors 0, 0.3, -0.4: MAE 0.7/3, RMSE sqrt(0.25/3); the missing label counts for nothing
    assert legend_texts(ax) == ["MAE 0.233, RMSE 0.289 eV/atom"]
    assert ax.get_title(loc="left") == "3 values"
    assert ax.get_xlabel() == "Energy, reference (eV/atom)"
    assert ax.get_xlim() == ax.get_ylim()


def test_parity_groups_have_errors_of_their_own():
    (ax,) = parity_figure([0, 0, 0], [1, 1, 3], "Force", "eV/Å", groups=["C", "C", "Si"]).axes
    assert legend_texts(ax) == ["C: MAE 1, RMSE 1 eV/Å", "Si: MAE 3, RMSE 3 eV/Å"]


def test_parity_of_many_points_is_a_density_map_with_the_same_errors():
    rng = np.random.default_rng(0)
    x = rng.normal(size=DENSE)
    y = x + 0.1 * rng.normal(size=DENSE)
    ax, _colorbar = parity_figure(x, y, "Force", "eV/Å").axes
    assert legend_texts(ax) == [error_text(x, y, "eV/Å")]
    assert ax.collections[0].get_array().sum() == DENSE  # no point fell off the map


@pytest.mark.parametrize(
    ("reference", "predicted", "groups", "message"),
    [
        ([1.0, 2.0], [1.0], None, "one length"),
        ([1.0, 2.0], [1.0, 2.0], ["a"], "one length"),
        ([np.nan], [1.0], None, "no pair"),
    ],
)
def test_parity_refuses_what_it_cannot_compare(reference, predicted, groups, message):
    with pytest.raises(DataError, match=message):
        parity_figure(reference, predicted, "Energy", "eV", groups)


def test_learning_curve_draws_what_is_there_and_skips_gaps():
    history = [
        {"epoch": 1, "train_loss": 1.0, "valid_energy_mae_mev_per_atom": 30.0, "learning_rate": 1e-3},
        {"epoch": 2, "train_loss": 0.5, "valid_energy_mae_mev_per_atom": None, "learning_rate": 1e-3},
        {"epoch": 3, "train_loss": 0.4, "valid_energy_mae_mev_per_atom": 12.0, "learning_rate": 5e-4},
    ]
    axes = learning_curve_figure(history).axes
    assert [ax.get_ylabel() for ax in axes] == ["Loss", "Energy MAE (meV/atom)", "Learning rate"]
    assert axes[1].lines[0].get_xydata().tolist() == [[1, 30], [3, 12]]


def test_learning_curve_of_nothing_says_so():
    with pytest.raises(DataError, match="none of the 1 rows"):
        learning_curve_figure([{"epoch": 1, "wall_time": 3.0}])


def test_trajectory_panels_follow_the_columns():
    thermo = {
        name: np.array([1.0, 2.0, 3.0])
        for name in ("time_fs", "temperature_k", "potential_energy_ev", "total_energy_ev")
    }
    assert len(trajectory_figure(thermo, 4).axes) == 2
    bulk = thermo | {"pressure_gpa": np.ones(3), "volume_a3": np.ones(3)}
    assert [ax.get_ylabel() for ax in trajectory_figure(bulk, 4, pressure_gpa=1.0).axes] == [
        "Temperature (K)",
        "Energy change (meV/atom)",
        "Pressure (GPa)",
        "Volume (Å³)",
    ]
    energy = trajectory_figure(thermo, 4).axes[1]
    assert energy.lines[1].get_ydata().tolist() == [0.0, 250.0, 500.0]  # total, per atom, from the start


def test_relax_and_eos_figures_have_units_and_data():
    history = {
        "step": np.arange(3),
        "energy_ev": np.array([2.0, 1.0, 0.5]),
        "max_force_ev_per_a": np.array([1.0, 0.1, 0.0]),
    }
    energy, force = relax_figure(history, 1, fmax=0.01).axes
    assert energy.lines[0].get_ydata().tolist() == [1500.0, 500.0, 0.0]
    assert force.get_ylabel() == "Largest force (eV/Å)"
    volumes = np.linspace(9, 11, 5)
    (ax,) = eos_figure(volumes, (volumes - 10) ** 2, volumes, (volumes - 10) ** 2, minimum=(10.0, 0.0), title="t").axes
    assert ax.get_xlabel() == "Volume (Å³)"
    assert "$V_0$ = 10.00 Å³" in legend_texts(ax)


def test_save_figure_is_whole_or_not_at_all(tmp_path: Path):
    figure = parity_figure([0, 1], [0, 1], "Energy", "eV")
    path = save_figure(figure, tmp_path / "parity.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert [entry.name for entry in tmp_path.iterdir()] == ["parity.png"]
    with pytest.raises(OutputWriteError):
        save_figure(figure, tmp_path / "missing" / "parity.png")


def test_reports_leave_pyplot_alone():
    code = "import sys, alignn_ff.reports.parity as p; p.parity_figure([1], [1], 'E', 'eV'); "
    code += "sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Figures of elastic constants, phonons and expansion say what the numbers say."""

from __future__ import annotations

import numpy as np

from alignn_ff.reports.elastic import COMPONENTS, elastic_figure
from alignn_ff.reports.phonons import phonon_figure, pretty
from alignn_ff.reports.qha import qha_figure

BANDS = {
    "segment": np.array([0, 0, 1, 1]),
    "label": np.array(["GAMMA", "U", "K", "GAMMA"]),
    "distance_per_a": np.array([0.0, 0.2, 0.2, 0.5]),
    "frequency_1_thz": np.array([0.0, 1.0, 1.0, -0.1]),
    "frequency_2_thz": np.array([0.0, 2.0, 2.0, 0.0]),
    "gruneisen_1": np.array([np.nan, 2.0, 2.0, np.nan]),
}
DOS = {
    "frequency_thz": np.array([0.0, 1.0, 2.0]),
    "total_per_thz": np.array([0.0, 3.0, 0.0]),
    "Cu_per_thz": np.array([0.0, 2.0, 0.0]),
    "Au_per_thz": np.array([0.0, 1.0, 0.0]),
}
THERMAL = {
    "temperature_k": np.array([0.0, 10.0]),
    "free_energy_kj_per_mol": np.array([3.0, 2.0]),
    "entropy_j_per_k_mol": np.array([0.0, 1.0]),
    "heat_capacity_j_per_k_mol": np.array([0.0, 1.5]),
}


def test_a_panel_per_strain_with_both_kinds_of_ions():
    strain = np.array([-0.01, 0.01])
    rows = [(ions, name, e) for ions in ("clamped", "relaxed") for name in COMPONENTS for e in strain]
    columns = {f"stress_{name}_gpa": np.array([100.0 * e for _, _, e in rows]) for name in COMPONENTS}
    table = dict(zip(("ions", "direction", "strain"), map(np.array, zip(*rows, strict=True)), strict=True)) | columns
    axes = elastic_figure(table).axes
    assert [ax.get_xlabel() for ax in axes] == [f"Strain {name} (%)" for name in COMPONENTS]
    assert len(axes[0].lines) == 12 and axes[0].lines[0].get_xydata().tolist() == [[-1.0, -1.0], [1.0, 1.0]]
    assert [text.get_text() for text in axes[0].get_legend().get_texts()] == list(COMPONENTS)
    assert [line.get_markerfacecolor() for line in axes[0].lines[:2]] == ["none", axes[0].lines[1].get_color()]


def test_bands_break_where_the_path_jumps():
    bands, dos, thermal = phonon_figure(BANDS, DOS, THERMAL).axes
    assert [tick.get_text() for tick in bands.get_xticklabels()] == ["Γ", "U|K", "Γ"]
    assert bands.lines[0].get_xydata().tolist() == [[0.0, 0.0], [0.2, 1.0]]
    assert bands.get_ylabel() == "Frequency (THz)" and thermal.get_xlabel() == "Temperature (K)"
    assert [text.get_text() for text in dos.get_legend().get_texts()] == ["total", "Cu", "Au"]
    assert len(phonon_figure(BANDS, DOS, None).axes) == 2


def test_names_of_special_points():
    assert [pretty(name) for name in ("GAMMA", "X", "SIGMA_0", "H_2")] == ["Γ", "X", "Σ$_0$", "H$_2$"]


def test_expansion_is_drawn_in_parts_per_million():
    names = ("volume_a3", "thermal_expansion_per_k", "bulk_modulus_gpa", "heat_capacity_p_j_per_k_mol")
    table = {name: np.array([1.0, 2.0]) for name in (*names, "gruneisen_parameter")}
    axes = qha_figure({"temperature_k": np.array([0.0, 10.0]), **table}, BANDS).axes
    assert len(axes) == 6
    assert axes[1].lines[0].get_ydata().tolist() == [1e6, 2e6] and axes[1].get_ylabel().endswith("(10⁻⁶/K)")
    assert axes[5].get_ylabel() == "Mode Grüneisen parameter"

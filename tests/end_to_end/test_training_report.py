"""The report of a training: which structures are worst, and one page that needs nothing beside itself."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.io import read, write

from alignn_ff.checkpoint import load_checkpoint
from alignn_ff.io import to_ase
from alignn_ff.models.reference_energies import ReferenceEnergies
from alignn_ff.testing import predict
from alignn_ff.training import TrainConfig, train
from alignn_ff.training.prepare import prepare
from tests.end_to_end.test_training import SMALL_MODEL, emt_frames
from tests.unit.test_html_page import Reader

SPOILED = 7
"""A structure of the training part whose energy is wrong by an eV/atom; and the one before it has a wrong force."""


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reported")
    frames = emt_frames()
    frames[SPOILED].calc.results["energy"] += 1.0 * len(frames[SPOILED])
    frames[SPOILED - 1].calc.results["forces"][2, 1] += 30.0
    write(folder / "emt.extxyz", frames, format="extxyz")
    config = TrainConfig(
        data=(str(folder / "emt.extxyz"),), model=SMALL_MODEL, output_dir=str(folder / "run"), epochs=6, batch_size=8,
        learning_rate=0.01, loss={"force_weight": 1.0, "stress_weight": 0.1}, keep_data_order=True, device="cpu",
        save_energies=True, save_forces=True,
    )  # fmt: skip
    train(config)
    return config, Path(config.output_dir), Reader((Path(config.output_dir) / "report.html").read_text())


def lines(folder: Path, part: str) -> list[dict[str, str]]:
    with (folder / f"{part}_structures.csv").open() as file:
        return list(csv.DictReader(file))


def test_tables_of_energies_and_forces_hold_labels_beside_predictions(reported):
    config, folder, _ = reported
    potential = load_checkpoint(folder / "best_model.safetensors").potential
    data = prepare(config)
    for part, of in (("train", data.train), ("val", data.val), ("test", data.test)):
        energies, forces = ((folder / f"{what}.{part}.0").read_text().splitlines() for what in ("energies", "forces"))
        assert energies[0].split()[-3:] == ["#Ni", "#Cu", "structure"] and len(energies) == 1 + len(of)
        sample = of.samples[1]
        atoms = [fields for fields in map(str.split, forces[1:]) if fields[0] == sample.key]
        own = next(fields for fields in map(str.split, energies) if fields[-1] == sample.key)
        said = predict(potential, [to_ase(sample.graph)])
        numbers = sample.graph.numbers.tolist()
        assert (int(own[2]), int(own[7]), int(own[8])) == (len(numbers), numbers.count(28), numbers.count(29))
        assert float(own[0]) == pytest.approx(float(sample.targets.energy), abs=1e-7)
        assert float(own[1]) == pytest.approx(float(said.energy), abs=1e-4)
        assert float(own[5]) == pytest.approx((float(own[0]) - float(own[1])) / len(numbers), abs=1e-7)
        assert [int(fields[1]) for fields in atoms] == list(range(len(numbers)))
        found = np.array([fields[3:] for fields in atoms], float)
        assert np.allclose(found[:, :3], sample.targets.forces, atol=1e-8)
        assert np.allclose(found[:, 3:], said.forces, atol=1e-4)


def test_wrong_labels_head_the_lists_of_the_worst(reported):
    _, folder, page = reported
    texts = page.texts
    start = texts.index("Worst structures, training")
    names = [text for text in texts[start:] if re.fullmatch(r"emt\.extxyz@\d+", text)]
    by_energy = texts.index("Largest errors of the energy:", start)
    by_force = texts.index("Largest errors of the force on an atom, one component:", start)
    assert next(t for t in texts[by_energy:] if t in names) == f"emt.extxyz@{SPOILED}"
    assert next(t for t in texts[by_force:] if t in names) == f"emt.extxyz@{SPOILED - 1}"
    worst = max(lines(folder, "training"), key=lambda row: float(row["force_max_mev_per_a"]))
    assert worst["key"] == f"emt.extxyz@{SPOILED - 1}"
    assert float(worst["force_max_mev_per_a"]) == pytest.approx(30_000, rel=0.1)


def test_errors_of_structures_are_those_of_the_saved_model(reported):
    config, folder, _ = reported
    potential = load_checkpoint(folder / "best_model.safetensors").potential
    part = prepare(config).train
    rows = lines(folder, "training")
    assert [row["key"] for row in rows] == [sample.key for sample in part.samples]
    for row, sample in zip(rows, part.samples, strict=True):
        atoms: Atoms = to_ase(sample.graph)
        found = predict(potential, [atoms])
        error = 1000 * float(found.energy - sample.targets.energy) / len(atoms)
        if math.isfinite(error):
            assert float(row["energy_error_mev_per_atom"]) == pytest.approx(error, abs=0.01)
        else:
            assert row["energy_error_mev_per_atom"] == "nan"
        off = 1000 * (found.forces - sample.targets.forces).abs()
        known = off[torch.isfinite(sample.targets.forces)]
        assert int(row["force_components"]) == len(known)
        if len(known):
            assert float(row["force_max_mev_per_a"]) == pytest.approx(float(known.max()), abs=0.1)
            assert float(row["force_rmse_mev_per_a"]) == pytest.approx(float(known.square().mean().sqrt()), abs=0.1)
        assert row["formula"] == atoms.get_chemical_formula(mode="hill")


def test_means_over_structures_are_those_over_all_values(reported):
    """The summary of the page comes from lines of structures, the table of errors from all values."""
    _, folder, page = reported
    table = {row["quantity"]: row for row in json.loads((folder / "validation_errors.json").read_text())
             if row["by"] == "all"}  # fmt: skip
    rows = [[float(v) for v in list(row.values())[4:]] for row in lines(folder, "validation")]
    energy, components, mae, rmse = np.array(rows).T[[1, 2, 3, 4]]
    assert np.nanmean(np.abs(energy)) == pytest.approx(table["energy"]["mae"])
    assert np.nansum(components * mae) / components.sum() == pytest.approx(table["forces"]["mae"])
    assert (np.nansum(components * rmse**2) / components.sum()) ** 0.5 == pytest.approx(table["forces"]["rmse"])
    for quantity in ("energy", "forces", "stress"):
        assert f"{table[quantity]['mae']:.3g}" in page.texts


def test_the_page_says_all_there_is_and_fetches_nothing(reported):
    config, folder, page = reported
    sources = [value for _, name, value in page.attributes if name in ("src", "href")]
    assert len(sources) == 1 + 2 * 3 and all(source.startswith("data:image/png;base64,") for source in sources)
    text = " ".join(page.texts)
    checkpoint = load_checkpoint(folder / "best_model.safetensors")
    (energies,) = (m.energies for m in checkpoint.potential.modules() if isinstance(m, ReferenceEnergies))
    for said in (
        *(checkpoint.sha256, checkpoint.facts["data"]["files"]["emt.extxyz"], "loss.force_weight", torch.__version__),
        *(f"{energy:.6f}" for energy in energies),
        "a second",
        f"of {config.epochs}",
    ):
        assert said in text
    assert len(read(config.data[0], index=":")) == sum(
        len(lines(folder, p)) for p in ("training", "validation", "test")
    )


def test_a_committee_is_reported_as_a_whole_and_by_its_members(reported, tmp_path):
    config = reported[0].model_copy(update={"committee_size": 2, "epochs": 1, "output_dir": str(tmp_path / "run")})
    train(config)
    text = (tmp_path / "run" / "report.html").read_text()
    assert "mean of 2 members" in text and "Learning curves" not in text
    assert "Learning curves" in (tmp_path / "run" / "member_001" / "report.html").read_text()

"""A force field learns what a number told of each structure does to its energy and forces."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from alignn_ff import AlignnFFCalculator
from alignn_ff.errors import DataError
from alignn_ff.io import to_jarvis
from alignn_ff.pretrained import load_potential
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig, load_config, train

TINY = {
    "name": "alignn_atomwise_pure", "cutoff": 3.5, "alignn_layers": 0, "gcn_layers": 1, "hidden_features": 16,
    "embedding_features": 8, "edge_input_features": 24, "extra_features": 1,
}  # fmt: skip
FIELDS = {
    "model": TINY, "epochs": 25, "batch_size": 8, "learning_rate": 0.04, "n_train": 48, "n_val": 8, "n_test": 8,
    "ema_decay": 0.9, "device": "cpu", "zbl": False, "extra_features_key": "coupling",
}  # fmt: skip


def labelled(atoms: Atoms, coupling: float) -> Atoms:
    """EMT, times a coupling from 0.5 to 1.5, of which nothing but the told number knows."""
    atoms.calc = EMT()
    found = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    atoms.calc = SinglePointCalculator(atoms, **{name: coupling * value for name, value in found.items()})
    return atoms


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    frames = []
    for _ in range(64):
        atoms = bulk("Cu", cubic=True, a=3.6 * rng.uniform(0.97, 1.05))
        atoms.positions += rng.normal(0, 0.08, (4, 3))
        coupling = rng.uniform(0.5, 1.5)
        atoms.info["coupling"] = coupling
        frames.append(labelled(atoms, coupling))
    write(folder / "data.extxyz", frames)
    return folder


def run(folder: Path, output: Path, **changes: object) -> Path:
    fields = {**FIELDS, "data": str(folder / "data.extxyz"), "output_dir": str(output), **changes}
    return Path(train(parse(TrainConfig, fields, "test")).folder)


def labels(folder: Path) -> list[tuple[np.ndarray, Atoms]]:
    return [(atoms.get_forces(), atoms) for atoms in read(folder / "data.extxyz", ":")]


def errors(run: Path) -> dict[str, float]:
    table = json.loads((run / "test_errors.json").read_text())
    return {row["quantity"]: row["mae"] for row in table if row["by"] == "all"}


def test_a_told_number_is_learned_and_offered_to_ase(folder, tmp_path):
    told = run(folder, tmp_path / "told")
    potential = load_potential(str(told / "best_model.safetensors")).potential
    assert potential.extra_features == 1
    atoms = read(folder / "data.extxyz", "0")
    calculator, found, expected = AlignnFFCalculator(potential), [], []
    for coupling in (0.6, 1.4):
        expected.append(labelled(atoms, coupling).get_forces())
        atoms.info["extra_features"] = [coupling]
        found.append(calculator.get_forces(atoms))
    change = np.subtract(*expected)
    assert np.abs(np.subtract(*found) - change).mean() < 0.5 * np.abs(change).mean()
    unknowing = 1000 * np.abs([f - f / atoms.info["coupling"] for f, atoms in labels(folder)]).mean()
    assert errors(told)["forces"] < 0.5 * unknowing, "EMT itself, told nothing, errs so far"


def test_a_training_goes_on_with_what_it_was_told_of(folder, tmp_path):
    first = run(folder, tmp_path / "first", epochs=1)
    fields = {**FIELDS, "data": str(folder / "data.extxyz"), "output_dir": str(tmp_path / "on"), "epochs": 1}
    del fields["model"]
    fields |= {"start_from": str(first / "best_model.safetensors"), "use_lmdb": True}
    on = Path(train(parse(TrainConfig, fields, "test")).folder)
    assert json.loads((on / "config.json").read_text())["model"]["extra_features"] == 1
    states = [load_potential(str(each / "best_model.safetensors")).potential.state_dict() for each in (first, on)]
    mean = next(name for name in states[0] if name.endswith("extra_feature_embedding.mean"))
    assert states[0][mean] == states[1][mean] != 0.0, "constants of the first training stay"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extra_features_key": "extra_features"}, "has no extra features, and the model wants 1"),
        ({"model": {**TINY, "extra_features": 2}}, "has 1 extra features, and the model wants 2"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, changes, said):
    with pytest.raises(DataError, match=said):
        run(folder, tmp_path / "out", **changes)


def test_an_upstream_config_with_extra_features_runs_unchanged(folder, tmp_path, caplog):
    records = []
    for place, atoms in enumerate(read(folder / "data.extxyz", ":7")):
        forces, energy = atoms.get_forces().tolist(), atoms.get_potential_energy() / len(atoms)
        record = {"jid": f"a{place}", "atoms": to_jarvis(atoms), "total_energy": energy, "forces": forces}
        records.append({**record, "extra_features": [atoms.info["coupling"], 0.5 * place, -1.0]})
    (tmp_path / "id_prop.json").write_text(json.dumps(records))
    model = {
        "name": "alignn_atomwise", "alignn_layers": 1, "gcn_layers": 1, "atom_input_features": 92,
        "hidden_features": 8, "embedding_features": 8, "calculate_gradient": True, "extra_features": 3,
    }  # fmt: skip
    top = {
        "neighbor_strategy": "k-nearest", "atom_features": "cgcnn", "target": "total_energy", "cutoff": 3.5,
        "epochs": 1, "batch_size": 2, "n_train": 5, "n_val": 1, "n_test": 1, "criterion": "l1",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({**top, "output_dir": str(tmp_path / "out"), "model": model}))
    done = Path(train(load_config(tmp_path / "config.json")).folder)
    potential = load_potential(str(done / "best_model.safetensors")).potential
    assert potential.extra_features == 3 and "extra features 2 (counted from 0) are the same" in caplog.text
    pure = {**top, "neighbor_strategy": "pure_torch", "model": {**model, "name": "alignn_atomwise_pure"}}
    (tmp_path / "config.json").write_text(json.dumps(pure))
    with caplog.at_level("INFO", logger="alignn_ff"):
        assert load_config(tmp_path / "config.json").model["extra_features"] == 0
    assert "field `model.extra_features` changes nothing: upstream's plain-torch models ignore them" in caplog.text

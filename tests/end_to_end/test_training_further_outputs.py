"""Charges and values of a structure are learned beside energies and forces, and offered to ASE."""

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
from alignn_ff.errors import ConfigError, DataError
from alignn_ff.io import to_jarvis
from alignn_ff.pretrained import load_potential
from alignn_ff.schema import parse
from alignn_ff.training import TrainConfig, load_config, train

TINY = {
    "name": "alignn_smooth", "cutoff": 4.0, "hidden_features": 16, "density_channels": 4, "message_features": 8,
    "radial_functions": 4, "max_degree": 1, "body_order": 3, "atomwise_output_features": 1,
    "atomwise_target": "charges", "additional_output_features": 1, "additional_target": "ionicity",
}  # fmt: skip
FIELDS = {
    "data": "data.extxyz", "model": TINY, "epochs": 40, "batch_size": 8, "learning_rate": 0.02, "n_train": 40,
    "n_val": 8, "n_test": 8, "ema_decay": 0.9, "device": "cpu", "output_dir": "run", "atomwise_key": "charges",
    "additional_key": "ionicity", "loss": {"atomwise_weight": 1.0, "additional_output_weight": 1.0},
}  # fmt: skip


def charges_of(atoms: Atoms) -> np.ndarray:
    """What flows from Cu to Ni neighbours, less with distance, in e."""
    donates = np.where(atoms.numbers == 29, 0.5, -0.5)
    distances = atoms.get_all_distances(mic=True) + 1e9 * np.eye(len(atoms))
    return ((donates[:, None] - donates) * np.exp(-distances / 1.5)).sum(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Alloys of eight atoms: EMT's energies and forces, charges of a formula, without any in every eighth."""
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    frames = []
    for place in range(56):
        atoms = bulk("Cu", cubic=True, a=3.6) * (2, 1, 1)
        atoms.symbols[rng.permutation(8)[: rng.integers(1, 8)]] = "Ni"
        atoms.positions += rng.normal(0, 0.08, (8, 3))
        atoms.calc = EMT()
        results = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
        charges = charges_of(atoms)
        atoms.calc = SinglePointCalculator(atoms, **results, **({"charges": charges} if place % 8 else {}))
        atoms.info["ionicity"] = np.abs(charges).mean()
        frames.append(atoms)
    write(folder / "data.extxyz", frames)
    return folder


@pytest.fixture(scope="module")
def run(folder) -> Path:
    return Path(train(settings(folder)).folder)


def settings(folder: Path, **changes: object) -> TrainConfig:
    paths = {"data": str(folder / "data.extxyz"), "output_dir": str(folder / "run")}
    return parse(TrainConfig, {**FIELDS, **paths, **changes}, "test")


def rows(run: Path, name: str = "test_errors.json") -> dict[str, dict]:
    table = json.loads((run / name).read_text())
    return {row["quantity"]: row for row in table if row["by"] == "all"}


def test_charges_and_values_of_structures_are_learned_beside_energies(folder, run):
    errors = rows(run)
    frames = read(folder / "data.extxyz", ":")
    spread = np.std([charges_of(atoms) for atoms in frames])
    assert errors["atomwise"]["mae"] < 0.1 * spread
    assert errors["additional"]["r2"] > 0.8 and errors["forces"]["r2"] > 0.8
    validation = rows(run, "validation_errors.json")
    assert validation["atomwise"]["count"] == 6 * 8 and validation["additional"]["count"] == 8, "two have no charges"
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert history[-1]["valid_atomwise_mae"] < 0.3 * history[0]["valid_atomwise_mae"]
    assert history[-1]["train_atomwise_loss"] > 0.0 and "valid_additional_output_mae" in history[-1]
    assert "Other values of atoms" in (run / "report.html").read_text()


def test_the_trained_model_offers_charges(folder, run):
    unlabelled = read(folder / "data.extxyz", "0")
    expected = charges_of(unlabelled)
    unlabelled.calc = AlignnFFCalculator(run / "best_model.safetensors")
    assert np.abs(unlabelled.get_charges() - expected).max() < 0.5 * np.abs(expected).max()
    potential = load_potential(str(run / "best_model.safetensors")).potential
    assert (potential.atomwise_names, potential.additional_names) == (("charges",), ("ionicity",))


def test_energies_and_forces_are_learned_as_without_outputs_that_have_no_weight(folder, tmp_path, caplog):
    plain = {k: v for k, v in TINY.items() if not k.startswith(("atomwise", "additional"))}
    short = {"epochs": 2, "loss": {}}
    bare, more = (
        Path(train(settings(folder, **short, model=model, output_dir=str(tmp_path / name))).folder)
        for name, model in (("bare", plain), ("more", TINY))
    )
    assert "loss.atomwise_weight is 0: the model's atomwise outputs are not learned" in caplog.text
    atoms = read(folder / "data.extxyz", "3")
    one, other = (AlignnFFCalculator(run / "best_model.safetensors").evaluate([atoms])[0] for run in (bare, more))
    assert one["energy"] == other["energy"] and np.array_equal(one["forces"], other["forces"])


def test_a_training_goes_on_from_it_with_forces_of_a_half(folder, run, tmp_path):
    changes = {
        "start_from": str(run / "best_model.safetensors"), "epochs": 2, "force_fraction": 0.5, "learning_rate": 1e-4,
        "output_dir": str(tmp_path / "on"), "use_lmdb": True, "n_train": 16,
    }  # fmt: skip
    fields = {**FIELDS, "data": str(folder / "data.extxyz"), **changes}
    del fields["model"]
    on = Path(train(parse(TrainConfig, fields, "test")).folder)
    assert rows(on)["atomwise"]["mae"] < 2.0 * rows(run)["atomwise"]["mae"]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"model": {"name": "alignn_smooth"}}, ConfigError, "model.atomwise_output_features to how many"),
        ({"atomwise_key": "bader"}, DataError, r"weighs atomwise, but no training structure has any.*`atomwise_key`"),
        ({"atomwise_key": ["charges", "charges"]}, DataError, "has 2 atomwise values, and the model gives 1"),
    ],
)
def test_what_does_not_fit_is_refused(folder, tmp_path, changes, error, said):
    with pytest.raises(error, match=said):
        train(settings(folder, **changes, output_dir=str(tmp_path / "out")))


def test_an_upstream_config_with_further_outputs_runs_unchanged(folder, tmp_path):
    records = []
    for place, atoms in enumerate(read(folder / "data.extxyz", "1:8")):
        forces, energy = atoms.get_forces().tolist(), atoms.get_potential_energy() / len(atoms)
        record = {"jid": f"a{place}", "atoms": to_jarvis(atoms), "total_energy": energy, "forces": forces}
        records.append({**record, "atomwise": atoms.get_charges().tolist(), "additional_output": [0.1, 0.2]})
    (tmp_path / "id_prop.json").write_text(json.dumps(records))
    model = {
        "name": "alignn_atomwise_pure", "alignn_layers": 1, "gcn_layers": 1, "atom_input_features": 92,
        "hidden_features": 8, "embedding_features": 8, "calculate_gradient": True, "atomwise_output_features": 1,
        "atomwise_weight": 0.3, "additional_output_features": 2, "additional_output_weight": 0.2,
    }  # fmt: skip
    top = {
        "neighbor_strategy": "pure_torch", "atom_features": "cgcnn", "target": "total_energy", "cutoff": 3.5,
        "three_body_cutoff": 3.0, "max_neighbors": 12, "epochs": 1, "batch_size": 2, "n_train": 5, "n_val": 1,
        "n_test": 1, "criterion": "l1",
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps({**top, "output_dir": str(tmp_path / "out"), "model": model}))
    config = load_config(tmp_path / "config.json")
    assert (config.loss.atomwise_weight, config.loss.additional_output_weight) == (0.3, 0.2)
    errors = rows(Path(train(config).folder))
    assert errors["atomwise"]["count"] == 8 and errors["additional"]["count"] == 2

"""Training from labelled frames to a saved potential: learning, records, resuming, refusals."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from matplotlib.figure import Figure

from alignn_ff.checkpoint import file_sha256, load_checkpoint
from alignn_ff.errors import (
    CheckpointError,
    ConfigError,
    DataError,
    ModelNotFoundError,
    OutputExistsError,
    RunawayError,
    UnknownElementError,
)
from alignn_ff.io import to_ase
from alignn_ff.schema import parse
from alignn_ff.testing import predict
from alignn_ff.training import TrainConfig, loop, page, report, train
from alignn_ff.training.loss import LossConfig
from alignn_ff.training.prepare import prepare
from alignn_ff.training.warm_start import settled

SMALL_MODEL = {
    "name": "alignn_smooth",
    "cutoff": 4.0,
    "hidden_features": 12,
    "density_channels": 4,
    "message_features": 6,
    "radial_functions": 5,
    "max_degree": 2,
}

MORE_BATCHES_LATER = 3
"""A seed whose first epoch packs into fewer batches than most of the others."""

SCHEDULERS = ["onecycle", "cosine", "plateau", "none"]


def emt_frames(count: int = 40) -> list[Atoms]:
    """Rattled, strained copper, copper and alloys with EMT labels; some lack one or two of them."""
    rng = np.random.default_rng(0)
    frames = []
    for i in range(count):
        atoms = bulk("Cu", a=3.6, cubic=True)
        atoms.symbols[: i % 5] = "Ni"
        atoms.set_cell(atoms.cell @ (np.eye(3) + rng.normal(0, 0.02, (3, 3))), scale_atoms=True)
        atoms.positions += rng.normal(0, 0.08, atoms.positions.shape)
        atoms.calc = EMT()
        labels = {
            "energy": atoms.get_potential_energy(),
            "forces": atoms.get_forces(),
            "stress": atoms.get_stress(),
        }
        if i % 7 == 3:
            del labels["stress"]
        if i % 11 == 5:
            del labels["forces"]
        if i % 13 == 6:
            del labels["energy"]
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info["config_type"] = "alloy" if 0 < i % 5 < 4 else "pure"
        frames.append(atoms)
    return frames


@pytest.fixture(scope="module")
def frames(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("data") / "emt.extxyz"
    write(path, emt_frames(), format="extxyz")
    return path


@pytest.fixture
def config(frames, tmp_path, monkeypatch):
    """Settings of a quick run, without its figures; keywords replace them."""
    figures = ((loop, "learning_curve_figure"), (page, "learning_curve_figure"), (report, "parity_figure"))
    for module, name in figures:
        monkeypatch.setattr(module, name, lambda *_: Figure(figsize=(0.1, 0.1)))

    def make(output: str = "run", **changes: Any) -> TrainConfig:
        fields = {
            "data": str(frames),
            "model": SMALL_MODEL,
            "loss": {"force_weight": 1.0, "stress_weight": 0.1},
            "epochs": 3,
            "batch_size": 8,
            "learning_rate": 0.01,
            "ema_decay": 0.9,
            "n_train": 24,
            "n_val": 8,
            "n_test": 8,
            "device": "cpu",
            "output_dir": str(tmp_path / output),
        }
        return parse(TrainConfig, {**fields, **changes}, "test")

    return make


def weights(folder: Path | str, name: str = "current_model") -> dict[str, torch.Tensor]:
    return load_checkpoint(Path(folder) / f"{name}.safetensors").potential.state_dict()


def history(folder: Path | str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (Path(folder) / "history.jsonl").read_text().splitlines()]


def timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def learned(frames, tmp_path_factory):
    """One run long enough to learn something, for all that only look at it."""
    folder = tmp_path_factory.mktemp("learned") / "run"
    fields = {
        "data": (str(frames),),
        "model": SMALL_MODEL,
        "output_dir": str(folder),
        "epochs": 12,
        "batch_size": 8,
    }
    loss = {"force_weight": 1.0, "stress_weight": 0.1}
    config = TrainConfig(**fields, loss=loss, ema_decay=0.9, device="cpu")
    return config, train(config)


def test_loss_falls(learned):
    rows = history(learned[1].folder)
    assert rows[-1]["train_loss"] < 0.4 * rows[0]["train_loss"]
    assert rows[-1]["valid_loss"] < 0.6 * rows[0]["valid_loss"]
    assert rows[-1]["valid_force_mae_mev_per_a"] < 0.6 * rows[0]["valid_force_mae_mev_per_a"]


def test_outputs_are_all_there_and_nothing_else(learned):
    expected = {
        *("config.json", "ids_train_val_test.json", "history.jsonl", "history.csv", "resume.pt", "resume_before.pt"),
        *("best_model.safetensors", "current_model.safetensors", "learning_curve.png"),
        *("validation_errors.json", "test_errors.json", "report.html"),
        *(f"{part}_structures.csv" for part in ("training", "validation", "test")),
        *(
            f"{part}_parity_{quantity}_by_{by}.png"
            for part in ("validation", "test")
            for quantity in ("energy", "forces", "stress")
            for by in ("element", "group")
        ),
    }
    assert set(contents(Path(learned[1].folder))) == expected


def test_history_holds_one_row_an_epoch_in_both_forms(learned):
    config, result = learned
    rows = history(result.folder)
    assert [row["epoch"] for row in rows] == list(range(1, config.epochs + 1))
    assert all(math.isfinite(value) for row in rows for value in row.values())
    with (Path(result.folder) / "history.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in table] == rows
    seconds = [row["seconds"] for row in rows]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_best_model_is_the_one_of_the_lowest_validation_loss(learned):
    _, result = learned
    rows = history(result.folder)
    best = min(rows, key=lambda row: row["valid_loss"])
    assert result.finished and result.best == best
    facts = load_checkpoint(Path(result.folder) / "best_model.safetensors").facts
    assert facts["training"]["epoch"] == best["epoch"]
    assert facts["metrics"]["force_mae_mev_per_a"] == best["valid_force_mae_mev_per_a"]


def test_validation_errors_are_those_of_the_saved_model(learned):
    config, result = learned
    potential = load_checkpoint(Path(result.folder) / "best_model.safetensors").potential
    samples = prepare(config).val.samples
    errors = []
    for sample in samples:
        errors.append((predict(potential, [to_ase(sample.graph)]).forces - sample.targets.forces).flatten())
    errors = torch.cat(errors)
    mae = 1000 * float(errors[torch.isfinite(errors)].abs().mean())
    assert mae == pytest.approx(result.best["valid_force_mae_mev_per_a"], rel=1e-4)
    report = json.loads((Path(result.folder) / "validation_errors.json").read_text())
    row = next(r for r in report if r["quantity"] == "forces" and r["by"] == "all")
    assert mae == pytest.approx(row["mae"], rel=1e-4)
    assert row["count"] == int(torch.isfinite(errors).sum())


def test_checkpoint_states_where_it_comes_from(learned):
    config, result = learned
    facts = load_checkpoint(Path(result.folder) / "best_model.safetensors").facts
    assert facts["data"]["structures"] == {"train": 32, "val": 4, "test": 4}
    assert facts["data"]["atoms"]["train"] == 32 * 4
    assert len(facts["data"]["files"]["emt.extxyz"]) == 64
    assert facts["training"]["config"]["epochs"] == config.epochs


def test_split_in_the_folder_is_the_one_used(learned):
    config, result = learned
    ids = json.loads((Path(result.folder) / "ids_train_val_test.json").read_text())
    data = prepare(config)
    assert ids["id_train"] == [s.key for s in data.train.samples]
    assert ids["id_test"] == [s.key for s in data.test.samples]
    again = prepare(config.model_copy(update={"split_file": f"{result.folder}/ids_train_val_test.json"}))
    assert again.split == data.split


def test_same_seed_same_run(config):
    one, two, other = (train(config(name, random_seed=seed)) for name, seed in (("one", 5), ("two", 5), ("other", 6)))
    assert timeless(history(one.folder)) == timeless(history(two.folder)) != timeless(history(other.folder))
    assert all(torch.equal(a, b) for a, b in zip(*(weights(r.folder).values() for r in (one, two)), strict=True))


def interrupt_after(monkeypatch, *steps: int) -> None:
    """Ctrl-C once during each of these steps, counted over all runs of a test."""
    done = 0
    original = loop.step

    def step(run, indices):
        nonlocal done
        done += 1
        if done in steps:
            os.kill(os.getpid(), signal.SIGINT)
        return original(run, indices)

    monkeypatch.setattr(loop, "step", step)


@pytest.mark.parametrize("steering", [*({"scheduler": name} for name in SCHEDULERS), {"optimizer": "soap"}], ids=str)
@pytest.mark.parametrize("after", [(1,), (5,), (3,), (2, 4, 7)], ids=str)
def test_resumed_run_equals_an_unbroken_one_bit_for_bit(config, monkeypatch, steering, after):
    """Three batches an epoch: within the first, within the second, at an end, and three times over."""
    fields = {"plateau_patience": 0, **steering}
    unbroken = train(config("unbroken", **fields))
    with monkeypatch.context() as patch:
        interrupt_after(patch, *after)
        broken = train(config("broken", **fields))
        for _ in after:
            assert not broken.finished
            broken = train(config("broken", **fields), resume=True)
    assert broken.finished
    assert timeless(history(broken.folder)) == timeless(history(unbroken.folder))
    assert broken.best["epoch"] == unbroken.best["epoch"]
    for name in ("current_model", "best_model"):
        for key, value in weights(unbroken.folder, name).items():
            assert torch.equal(weights(broken.folder, name)[key], value), key
    assert set(contents(Path(broken.folder))) == set(contents(Path(unbroken.folder)))


def test_interrupted_run_says_so_and_leaves_a_usable_folder(config, monkeypatch, caplog):
    handler = signal.getsignal(signal.SIGINT)
    interrupt_after(monkeypatch, 4)
    with caplog.at_level(logging.WARNING):
        result = train(config())
    assert not result.finished
    assert "stopping after this step" in caplog.text
    assert signal.getsignal(signal.SIGINT) is handler
    assert len(history(result.folder)) == 1
    assert weights(result.folder)


def test_committee_is_the_mean_of_members_trained_on_one_split(config, frames):
    result = train(config(committee_size=2))
    folder = Path(result.folder)
    structures = emt_frames(4)
    committee = load_checkpoint(folder / "best_model.safetensors").potential
    members = [load_checkpoint(folder / f"member_{k:03d}" / "best_model.safetensors").potential for k in (0, 1)]
    forces = [predict(member, structures).forces for member in members]
    assert float((forces[0] - forces[1]).abs().max()) > 1e-3
    assert torch.allclose(predict(committee, structures).forces, (forces[0] + forces[1]) / 2, atol=1e-6)
    splits = [(folder / f"member_{k:03d}" / "ids_train_val_test.json").read_text() for k in (0, 1)]
    assert splits[0] == splits[1]
    table = json.loads((folder / "validation_errors.json").read_text())
    said = next(row["mae"] for row in table if row["quantity"] == "forces" and row["by"] == "all")
    assert said == pytest.approx(result.best["valid_force_mae_mev_per_a"], rel=1e-5)


def test_resumed_committee_equals_an_unbroken_one(config, monkeypatch):
    unbroken = train(config("unbroken", committee_size=2))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 11)  # in the second member: the first takes nine steps
        assert not train(config("broken", committee_size=2)).finished
    with pytest.raises(ConfigError, match="committee_size"):
        train(config("broken", committee_size=3), resume=True)
    broken = train(config("broken", committee_size=2), resume=True)
    assert broken.finished
    one, other = (weights(folder, "best_model") for folder in (unbroken.folder, broken.folder))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_training_goes_on_from_a_trained_model_for_some_of_its_elements(config, tmp_path):
    start = str(Path(train(config("start")).folder) / "best_model.safetensors")
    copper = [atoms for atoms in emt_frames() if set(atoms.symbols) == {"Cu"}]
    path = tmp_path / "copper.extxyz"
    write(path, copper, format="extxyz")
    fields = {"data": str(path), "start_from": start, "n_train": 6, "n_val": 2, "n_test": 0}
    settings = TrainConfig(**{k: v for k, v in config(**fields).model_dump().items() if k != "model"})
    begun = prepare(settled(settings)).potential
    assert begun.elements == ("Cu",)
    before = load_checkpoint(start).potential
    forces = [predict(potential, copper[:2]).forces for potential in (before, begun)]
    assert torch.allclose(*forces, atol=1e-6)  # nothing but the reference energies has changed yet
    result = train(settings, overwrite=True)
    trained = load_checkpoint(Path(result.folder) / "best_model.safetensors")
    assert trained.facts["started_from"] == {"model": "best_model.safetensors", "sha256": file_sha256(start)}
    assert trained.facts["training"]["config"]["model"]["hidden_features"] == SMALL_MODEL["hidden_features"]
    assert float((predict(trained.potential, copper[:2]).forces - forces[0]).abs().max()) > 1e-3


def test_a_started_model_gains_layers_and_width_that_learn(config):
    start = str(Path(train(config("start", epochs=1)).folder) / "best_model.safetensors")
    wider = {size: SMALL_MODEL[size] + 3 for size in ("hidden_features", "density_channels")}
    deeper = config(start_from=start, model={**SMALL_MODEL, "gcn_layers": 2, **wider}, epochs=1)
    begun = prepare(settled(deeper)).potential
    forces = [predict(potential, emt_frames()[:2]).forces for potential in (load_checkpoint(start).potential, begun)]
    assert torch.allclose(*forces, atol=1e-6)
    trained = load_checkpoint(Path(train(deeper).folder) / "best_model.safetensors").potential
    added = [
        {name: values for name, values in potential.state_dict().items() if "layers.1." in name}
        for potential in (begun, trained)
    ]
    assert len(added[0]) == len(added[1]) > 10
    steps = [name for name in added[0] if "angular.2" in name or "conv.out" in name]
    assert all(not added[0][name].any() and added[1][name].any() for name in steps)
    scales = [values for name, values in added[0].items() if name.endswith(".scale")]
    assert all(not torch.equal(scale, torch.ones_like(scale)) for scale in scales)  # set from the data, as of any layer


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"model": {**SMALL_MODEL, "cutoff": 4.5}}, "other values of cutoff"), ({"start_from": "no-such"}, "no-such")],
)
def test_a_start_that_does_not_fit_is_refused(config, frames, fields, message):
    start = str(Path(train(config("start", epochs=1)).folder) / "best_model.safetensors")
    with pytest.raises((ConfigError, ModelNotFoundError), match=message):
        train(config(**{"start_from": start, **fields}))


def test_second_interrupt_kills(config, monkeypatch):
    interrupt_after(monkeypatch, 1)
    original = loop.step

    def step(run, indices):
        original(run, indices)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(loop, "step", step)
    with pytest.raises(KeyboardInterrupt):
        train(config())


def test_existing_folder_is_refused_and_untouched(config):
    folder = Path(train(config(epochs=1)).folder)
    before = contents(folder)
    with pytest.raises(OutputExistsError, match="--overwrite"):
        train(config(epochs=1))
    assert contents(folder) == before
    again = train(config(epochs=2), overwrite=True)
    assert len(history(again.folder)) == 2


def test_overwriting_keeps_files_of_others(config, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    train(config(epochs=1), overwrite=True)
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "change", [{"learning_rate": 0.02}, {"random_seed": 9}, {"loss": {"force_weight": 7}}, {"batch_size": 4}]
)
def test_resuming_with_another_config_is_refused(config, monkeypatch, change):
    interrupt_after(monkeypatch, 2)
    folder = Path(train(config()).folder)
    before = contents(folder)
    with pytest.raises(ConfigError, match=f"other values of {next(iter(change))}"):
        train(config(**change), resume=True)
    assert contents(folder) == before


def test_resuming_where_nothing_was_begun_is_refused(config, tmp_path):
    with pytest.raises(CheckpointError, match="no run to resume"):
        train(config(), resume=True)


def test_resuming_a_finished_run_changes_nothing(config):
    first = train(config(epochs=2))
    before = timeless(history(first.folder))
    again = train(config(epochs=2), resume=True)
    assert again.finished and again.best == first.best
    assert timeless(history(again.folder)) == before


@pytest.mark.parametrize("patience", [1, 3])
def test_early_stopping(config, patience):
    """Steps that round to nothing: after the first epoch the validation loss never falls."""
    result = train(config(learning_rate=1e-30, scheduler="none", epochs=12, n_early_stopping=patience))
    assert result.finished and result.best["epoch"] == 1
    assert len(history(result.folder)) == 1 + patience


def test_given_reference_energies_are_honoured(config):
    given = {"Cu": -1.25, "Ni": 2.5, "Au": 9.0}
    result = train(config(epochs=1, reference_energies=given))
    potential = load_checkpoint(Path(result.folder) / "current_model.safetensors").potential
    energies = predict(potential, [Atoms("Cu"), Atoms("Ni")]).energy.tolist()
    assert energies == pytest.approx([-1.25, 2.5], abs=1e-6)


def test_reference_energy_of_an_element_left_out_is_an_error(config):
    with pytest.raises(ConfigError, match=r"`reference_energies` has no Ni"):
        train(config(reference_energies={"Cu": -3.0}))


def labelled_as(folder: Path, *names: str) -> str:
    """The frames with these labels alone."""
    stripped = []
    for atoms in emt_frames():
        atoms.calc = SinglePointCalculator(atoms, **{k: v for k, v in atoms.calc.results.items() if k in names})
        stripped.append(atoms)
    write(folder / "few.extxyz", stripped, format="extxyz")
    return str(folder / "few.extxyz")


@pytest.mark.parametrize("absent", ["forces", "stress"])
def test_weight_on_a_label_nobody_has_is_an_error(config, tmp_path, absent):
    path = labelled_as(tmp_path, *({"energy", "forces", "stress"} - {absent}))
    with pytest.raises(DataError, match=rf"the loss weighs {absent}, but no training structure has any"):
        train(config(data=path))


def test_forces_that_are_not_learned_are_told(config, caplog):
    with caplog.at_level(logging.WARNING):
        prepare(config(loss={"force_weight": 0.0}))
    assert "loss.force_weight is 0: the forces that structures are labelled with will not be learned" in caplog.text


def test_energies_alone_are_enough(config, tmp_path):
    path = labelled_as(tmp_path, "energy")
    rows = history(train(config(data=path, loss={"force_weight": 0.0})).folder)
    assert "valid_energy_mae_mev_per_atom" in rows[0] and "valid_force_mae_mev_per_a" not in rows[0]


def test_batches_of_single_structures_some_without_labels(config, tmp_path):
    frames = emt_frames(6)
    frames[2].calc = frames[4].calc = None
    write(tmp_path / "holes.extxyz", frames, format="extxyz")
    sizes = {"n_train": 6, "n_val": 0, "n_test": 0, "batch_size": 1}
    rows = history(train(config(data=str(tmp_path / "holes.extxyz"), **sizes)).folder)
    assert all(math.isfinite(row["train_loss"]) for row in rows)


@pytest.mark.parametrize("criterion", LossConfig.model_fields["criterion"].annotation.__args__)
def test_every_criterion_learns(config, criterion):
    loss = {"criterion": criterion, "force_weight": 1.0}
    rows = history(train(config(loss=loss, epochs=6, scheduler="none")).folder)
    assert rows[-1]["train_loss"] < 0.85 * rows[0]["train_loss"]


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_every_scheduler_moves_the_rate_its_way(config, scheduler):
    fields = {"scheduler": scheduler, "plateau_patience": 0, "epochs": 8}
    if scheduler == "plateau":
        fields["learning_rate"] = 1e-7  # the loss hardly falls, so the rate does
    rows = history(train(config(**fields)).folder)
    rates = [row["learning_rate"] for row in rows]
    peak = fields.get("learning_rate", 0.01)
    if scheduler == "none":
        assert rates == [peak] * 8
    elif scheduler == "onecycle":
        assert rates[0] < max(rates) <= peak and rates[-1] < 0.01 * peak
        assert 0 < rates.index(max(rates)) < 4
    elif scheduler == "cosine":
        assert rates == sorted(rates, reverse=True) and rates[-1] < 0.1 * peak
    else:
        assert rates == sorted(rates, reverse=True) and rates[-1] < 0.2 * peak


@pytest.mark.parametrize(("budget", "largest"), [({"batch_atoms": 12}, 3), ({"batch_edges": 300}, 5)])
def test_batches_sized_by_atoms_or_edges(config, monkeypatch, budget, largest):
    seen = []
    original = loop.step
    monkeypatch.setattr(loop, "step", lambda run, indices: seen.append(indices) or original(run, indices))
    train(config(epochs=2, **budget))
    assert sorted(i for indices in seen for i in indices) == sorted([*range(24)] * 2)
    assert 1 < max(len(indices) for indices in seen) <= largest


def test_batches_sized_by_atoms_may_make_more_steps_than_the_schedule_planned(config, monkeypatch, tmp_path):
    mixed = [atoms.repeat((1 + i % 3, 1, 1)) for i, atoms in enumerate(emt_frames(12))]
    for atoms in mixed:
        atoms.calc = SinglePointCalculator(atoms, energy=-float(len(atoms)))
    write(tmp_path / "mixed.extxyz", mixed, format="extxyz")
    steps = []
    original = loop._epoch
    monkeypatch.setattr(loop, "_epoch", lambda run, i: original(run, i) and (steps.append(run.position.batch) or True))
    fields = {
        "n_train": 12,
        "n_val": 0,
        "n_test": 0,
        "batch_atoms": 16,
        "loss": {"force_weight": 0},
        "epochs": 8,
    }
    result = train(config(data=str(tmp_path / "mixed.extxyz"), random_seed=MORE_BATCHES_LATER, **fields))
    assert result.finished
    assert sum(steps) > len(steps) * steps[0] + 1, "choose another seed: this one tests nothing"


def test_every_part_is_trained_on_once_an_epoch_in_another_order(config, monkeypatch):
    seen = []
    original = loop.step
    monkeypatch.setattr(loop, "step", lambda run, indices: seen.extend(indices) or original(run, indices))
    train(config(epochs=2))
    assert sorted(seen[:24]) == sorted(seen[24:]) == list(range(24)) and seen[:24] != seen[24:]


def test_without_validation_the_training_loss_decides(config):
    result = train(config(n_val=0, n_test=0, n_train=40, epochs=2))
    rows = history(result.folder)
    assert not any(key.startswith("valid_") for key in rows[0])
    assert result.best["epoch"] == min(rows, key=lambda row: row["train_loss"])["epoch"]


def test_validation_on_files_of_their_own(config, frames, tmp_path):
    write(tmp_path / "own.extxyz", emt_frames(5), format="extxyz")
    fields = {"validation_data": str(tmp_path / "own.extxyz"), "n_val": None, "n_train": None, "n_test": None}
    data = prepare(config(**fields))
    assert [s.key for s in data.val.samples] == [f"own.extxyz@{i}" for i in range(5)]
    assert len(data.train) + len(data.test) == 40, "no labelled structure may be dropped unsaid"


def test_element_never_seen_in_training_is_named(config, tmp_path):
    atoms = bulk("Au", cubic=True)
    atoms.calc = EMT()
    atoms.get_potential_energy()
    write(tmp_path / "gold.extxyz", [atoms], format="extxyz")
    with pytest.raises(UnknownElementError, match=r"val structure gold.extxyz@0 has Au"):
        train(config(validation_data=str(tmp_path / "gold.extxyz"), n_val=None))


@pytest.mark.parametrize("fields", [{"n_train": 40, "n_val": 5}, {"split_file": "nowhere.json"}])
def test_failing_before_the_first_step_leaves_no_half_written_folder(config, tmp_path, fields):
    with pytest.raises((ConfigError, DataError)):
        train(config(**fields))
    folder = tmp_path / "run"
    assert not folder.exists() or not list(folder.iterdir())


def test_stress_left_in_kbar_is_warned_of(config, tmp_path, caplog):
    frames = emt_frames()
    for atoms in frames:
        if "stress" in atoms.calc.results:
            atoms.calc.results["stress"] = atoms.calc.results["stress"] * 1602.18
    write(tmp_path / "kbar.extxyz", frames, format="extxyz")
    with caplog.at_level(logging.WARNING):
        prepare(config(data=str(tmp_path / "kbar.extxyz")))
    assert "stress_unit: kbar" in caplog.text
    assert "missing labels: energy from" in caplog.text


def test_averaged_weights_are_those_saved(config, monkeypatch):
    """With a long memory the average lags behind the weights that are stepped."""
    raw = {}
    original = loop._close_epoch

    def close(run):
        raw.update({k: v.clone() for k, v in run.data.potential.state_dict().items()})
        row = original(run)
        after = run.data.potential.state_dict()
        assert all(torch.equal(raw[k], after[k]) for k in raw), "training goes on with the stepped weights"
        return row

    monkeypatch.setattr(loop, "_close_epoch", close)
    result = train(config(epochs=1, ema_decay=0.999))
    saved = weights(result.folder)
    assert any(not torch.equal(saved[k], raw[k]) for k in raw)


def test_a_loss_that_is_not_finite_stops_the_run_with_a_reason(config):
    with pytest.raises(RunawayError, match=r"the loss is nan in epoch 1; .*emt.extxyz@\d.*learning_rate"):
        train(config(learning_rate=1e30, gradient_clip=None, scheduler="none", epochs=20))


@pytest.fixture
def complete(tmp_path) -> str:
    """Forty frames that lack no label."""
    path = tmp_path / "complete.extxyz"
    write(path, [a for a in emt_frames(62) if len(a.calc.results) == 3][:40], format="extxyz")
    return str(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"sampling_policy": "error_weighted"},
        {"sampling_policy": "energy_weighted"},
        {"force_fraction": 0.5, "force_resample_num_epochs": 2, "force_scale_unbiased": True},
    ],
    ids=lambda f: next(iter(f.values())),
)
def test_a_resumed_run_draws_what_an_unbroken_one_would(config, complete, monkeypatch, fields):
    unbroken = train(config("unbroken", data=complete, **fields))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4, 8)  # within the second and the third epoch
        assert not train(config("broken", data=complete, **fields)).finished
        assert not train(config("broken", data=complete, **fields), resume=True).finished
    broken = train(config("broken", data=complete, **fields), resume=True)
    assert timeless(history(broken.folder)) == timeless(history(unbroken.folder))
    one, other = weights(broken.folder), weights(unbroken.folder)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_structures_beyond_a_bound_are_named_and_counted(config, complete, caplog):
    frames = read(complete, ":")
    largest = [float(np.linalg.norm(atoms.get_forces(), axis=1).max()) for atoms in frames]
    bound = sorted(largest)[-3] + 1e-9
    with caplog.at_level(logging.WARNING):
        data = prepare(config(data=complete, max_forces=bound, n_test=6))
    assert "structures left out: 2 beyond max_forces" in caplog.text
    assert f"complete.extxyz@{largest.index(max(largest))}" in caplog.text
    assert data.facts["removed"] == {"max_forces": 2}
    assert not set(data.split.train) & {f"complete.extxyz@{i}" for i in range(40) if largest[i] > bound}


def test_a_kept_split_still_holds_where_structures_are_left_out(config, complete, tmp_path):
    whole = prepare(config(data=complete))
    path = tmp_path / "ids.json"
    path.write_text(json.dumps({f"id_{part}": keys for part, keys in whole.split._asdict().items()}))
    data = prepare(config(data=complete, split_file=str(path), max_forces=1.5))
    assert 0 < len(data.train) < 24 and set(data.split.train) < set(whole.split.train)


def test_a_run_begun_before_a_field_was_there_is_resumed_with_its_default(config, monkeypatch):
    interrupt_after(monkeypatch, 2)
    folder = Path(train(config()).folder)
    begun = json.loads((folder / "config.json").read_text())
    del begun["sampling_policy"]
    (folder / "config.json").write_text(json.dumps(begun))
    assert train(config(), resume=True).finished


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "lost"])
def test_a_damaged_resume_file_gives_way_to_the_one_before(config, monkeypatch, caplog, damage):
    unbroken = train(config("unbroken"))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 8)
        folder = Path(train(config("broken")).folder)
    state = folder / "resume.pt"
    content = bytearray(state.read_bytes())
    if damage == "lost":
        state.unlink()
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
        state.write_bytes(content)
    else:
        state.write_bytes(content[: {"cut": len(content) // 2, "emptied": 0}[damage]])
    with caplog.at_level(logging.WARNING):
        broken = train(config("broken"), resume=True)
    assert ("resume.pt is damaged" in caplog.text) == (damage != "lost")
    assert broken.finished and timeless(history(folder)) == timeless(history(unbroken.folder))
    assert all(torch.equal(value, weights(folder)[name]) for name, value in weights(unbroken.folder).items())


def test_where_no_state_can_be_read_the_models_remain(config, monkeypatch):
    interrupt_after(monkeypatch, 5)
    folder = Path(train(config()).folder)
    for name in ("resume.pt", "resume_before.pt"):
        (folder / name).write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"neither resume.pt nor resume_before.pt can be read.*start_from"):
        train(config(), resume=True)
    assert weights(folder)


def test_best_model_is_one_of_the_last_stage(config):
    """The second stage weighs energies so that its losses are larger than all before."""
    stages = [{"start_epoch": 3, "energy_weight": 500.0, "force_weight": 0.0}]
    result = train(config(loss_stages=stages, epochs=4))
    rows = history(result.folder)
    assert result.best["epoch"] >= 3
    assert min(r["valid_loss"] for r in rows[2:]) == result.best["valid_loss"] > max(r["valid_loss"] for r in rows[:2])
    assert rows[0]["train_force_loss"] > 0 and rows[3]["train_force_loss"] == 0


def test_early_stopping_waits_for_the_last_stage(config):
    fields = {"learning_rate": 1e-30, "scheduler": "none", "epochs": 9, "n_early_stopping": 1}
    result = train(config(**fields, loss_stages=[{"start_epoch": 4, "energy_weight": 2.0}]))
    assert len(history(result.folder)) == 5 and result.best["epoch"] == 4


def test_a_group_that_weighs_nothing_teaches_nothing(config, frames, tmp_path):
    """Labels of a group without weight may say what they like."""
    spoiled = emt_frames()
    for atoms in spoiled:
        if atoms.info["config_type"] == "pure" and "forces" in atoms.calc.results:
            atoms.calc.results["forces"] = 5.0 * atoms.calc.results["forces"]
    write(tmp_path / "emt.extxyz", spoiled, format="extxyz")
    loss = {"energy_weight": 0.0, "force_weight": 1.0}
    fields = {"epochs": 1, "group_weights": {"pure": 0.0}, "loss": loss, "reference_energies": {"Cu": 0.0, "Ni": 0.0}}
    start = str(Path(train(config("start", epochs=1)).folder) / "best_model.safetensors")
    found = []
    for name, data in (("sound", str(frames)), ("spoiled", str(tmp_path / "emt.extxyz"))):
        settings = config(name, data=data, **fields).model_dump()
        del settings["model"]
        found.append(weights(train(TrainConfig(**{**settings, "start_from": start})).folder))
    assert all(torch.equal(value, found[1][name]) for name, value in found[0].items())


def test_weights_of_structures_are_read_and_multiply_those_of_groups(config, tmp_path):
    frames = emt_frames()
    for i, atoms in enumerate(frames):
        if i % 2:
            atoms.info["share"] = 0.5
    write(tmp_path / "weighed.extxyz", frames, format="extxyz")
    fields = {"data": str(tmp_path / "weighed.extxyz"), "weight_key": "share", "group_weights": {"pure": 3.0}}
    for sample in prepare(config(**fields)).train.samples:
        odd = int(sample.key.partition("@")[2]) % 2
        assert sample.weight == (0.5 if odd else 1.0) * (3.0 if sample.group == "pure" else 1.0)
    frames[0].info["share"] = -1.0
    write(tmp_path / "weighed.extxyz", frames, format="extxyz")
    with pytest.raises(DataError, match=r"structure weighed.extxyz@0: its weight is -1.0"):
        prepare(config(**fields))


def test_frozen_modules_stay_and_the_others_learn(config):
    first = prepare(config(freeze=["embedding"])).potential.state_dict()
    result = train(config(epochs=1, freeze=["embedding"]))
    for name, value in weights(result.folder).items():
        if ".embedding." in name:
            assert torch.equal(value, first[name])
    assert any(not torch.equal(value, first[name]) for name, value in weights(result.folder).items())


@pytest.mark.parametrize(
    ("modules", "said"),
    [(["embeding"], "did you mean `embedding`"), (["layers", "everything"], "no module 'everything'")],
)
def test_modules_that_cannot_be_frozen(config, modules, said):
    with pytest.raises(ConfigError, match=said):
        prepare(config(freeze=modules))


def test_elements_the_model_does_not_know_are_learned_beside_those_it_knows(config, tmp_path):
    copper = [atoms for atoms in emt_frames() if set(atoms.symbols) == {"Cu"} and len(atoms.calc.results) == 3]
    write(tmp_path / "copper.extxyz", copper, format="extxyz")
    sizes = {"n_train": 4, "n_val": 1, "n_test": 0, "epochs": 1}
    first = train(config("start", data=str(tmp_path / "copper.extxyz"), **sizes))
    start = str(Path(first.folder) / "best_model.safetensors")
    fields = {k: v for k, v in config(start_from=start).model_dump().items() if k != "model"}
    with pytest.raises(ConfigError, match=r"does not know Ni.*fresh_elements"):
        prepare(settled(TrainConfig(**fields)))
    begun = prepare(settled(TrainConfig(**{**fields, "fresh_elements": True}))).potential
    assert set(begun.elements) == {"Ni", "Cu"}
    before, after = (predict(potential, copper[:2]).forces for potential in (load_checkpoint(start).potential, begun))
    assert torch.allclose(before, after, atol=1e-6), "copper is as it was"
    alloy = next(atoms for atoms in emt_frames() if len(set(atoms.symbols)) == 2)
    assert float(predict(begun, [alloy]).forces.abs().max()) > 1e-4

"""Property models: what is read off the atoms, what is read from files, what is refused, and that they learn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write

from alignn_ff import AlignnFFCalculator, load_potential, load_property, predict_property
from alignn_ff.checkpoint import save_checkpoint
from alignn_ff.data.properties import PropertyKeys, read_properties
from alignn_ff.errors import CheckpointError, ConfigError, DataError, StructureError, UnknownElementError
from alignn_ff.models import build, build_property
from alignn_ff.models.property import PropertyModel, Scores
from alignn_ff.probes import permuted, rotated, shifted
from alignn_ff.schema import parse
from alignn_ff.training import property_loop
from alignn_ff.training.property_config import PropertyTrainConfig, is_property, load_property_config
from alignn_ff.training.property_loop import train_property
from alignn_ff.training.property_loss import property_errors, property_loss, roc_auc
from tests.structures import ELEMENTS, SMALL, ZOO

SIZES = {
    "cutoff": 4.0, "three_body_cutoff": 3.2, "alignn_layers": 1, "gcn_layers": 1, "edge_input_features": 16,
    "triplet_input_features": 6, "embedding_features": 8, "hidden_features": 12,
}  # fmt: skip
NAMES = ("alignn", "alignn_atomwise_property")


def model(name: str = "alignn", **fields: Any) -> PropertyModel:
    """Random weights, and running statistics other than those of the start."""
    torch.manual_seed(3)
    found = build_property({"name": name, "elements": list(ELEMENTS), **SIZES, **fields}).to(torch.float64)
    with torch.no_grad():
        for key, tensor in found.state_dict().items():
            if "running" in key:
                tensor.copy_(0.5 + torch.rand_like(tensor))
    return found.eval()


def value(network: PropertyModel, *structures: Atoms) -> np.ndarray:
    return predict_property(network, structures, device="cpu")


# ---- physics


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", ["sound", "legacy"])
def test_a_batch_is_its_members(name, mode):
    network = model(name, mode=mode)
    structures = [make() for key, make in ZOO.items() if key != "large"]
    alone = np.concatenate([value(network, atoms) for atoms in structures])
    assert np.allclose(value(network, *structures), alone, rtol=0, atol=1e-12)
    assert np.ptp(alone) > 1e-3


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("structure", ["alloy", "slab", "free_molecule", "unwrapped"])
def test_a_property_is_that_of_the_structure_not_of_how_it_is_written(name, structure):
    network, atoms = model(name), SMALL[structure]()
    twins = [rotated(atoms).atoms, rotated(atoms, improper=True).atoms, permuted(atoms).atoms, shifted(atoms).atoms]
    expected = value(network, atoms)
    assert np.allclose(
        value(network, *twins, atoms * (2, 1, 1) if atoms.pbc[0] else atoms), expected, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize(("mode", "jumps"), [("sound", False), ("legacy", True)])
def test_sound_models_do_not_jump_at_their_cutoffs(mode, jumps):
    network = model(mode=mode)
    for cutoff in (4.0, 3.2):
        pair = [Atoms("CuNiCu", [[0, 0, 0], [cutoff + side, 0, 0], [1.0, 2.0, 0.0]]) for side in (-1e-9, 1e-9)]
        inside, outside = value(network, *pair)[:, 0]
        assert (abs(inside - outside) > 1e-8) == jumps


# ---- outputs


def test_links_keep_values_where_they_belong():
    crystals = [SMALL[name]() for name in ("alloy", "rock_salt", "slab")]
    assert (value(model(link="log"), *crystals) > 0).all()
    chances = value(model(link="logit"), *crystals)
    assert ((chances > 0) & (chances < 1)).all()
    assert np.allclose(value(model(classification=True, num_classes=3), *crystals).sum(1), 1.0)


def test_shift_and_scale_are_those_of_the_labels():
    plain, atoms = model(output_features=2), SMALL["alloy"]()
    moved = model(output_features=2, shift=[1.0, -2.0], scale=[3.0, 0.5])
    assert np.allclose(value(moved, atoms), value(plain, atoms) * [3.0, 0.5] + [1.0, -2.0])
    assert build_property(moved.config).config == moved.config


def test_extra_features_are_told_or_asked_for():
    network, crystals = model(extra_features=3), [SMALL["alloy"](), SMALL["slab"]()]
    told = np.array([[0.1, 0.2, 0.3], [0.5, 0.0, -1.0]])
    both = predict_property(network, crystals, extra_features=told, device="cpu")
    alone = predict_property(network, crystals[1:], extra_features=told[1:], device="cpu")
    other = predict_property(network, crystals[1:], extra_features=told[:1], device="cpu")
    assert np.allclose(both[1], alone[0], atol=1e-12) and not np.allclose(alone, other)
    crystals[1].info["extra_features"] = told[1].tolist()
    assert np.array_equal(predict_property(network, crystals[1:], device="cpu"), alone)
    with pytest.raises(StructureError, match=r"wants 3 extra features .* of structure 0 are None"):
        value(network, crystals[0])
    with pytest.raises(ConfigError, match=r"given an array of shape \(1, 2\); the model wants \(1, 3\)"):
        predict_property(network, crystals[:1], extra_features=told[:1, :2], device="cpu")


def test_unknown_elements_are_refused():
    with pytest.raises(UnknownElementError, match="has U"):
        value(model(), bulk("U", "fcc", a=4.0))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classification": True, "link": "log"}, "classification excludes"),
        ({"zero_inflated": True, "link": "log"}, "zero_inflated has a link of its own"),
        ({"extra_features": 2, "additional_output_features": 1}, "exclude each other"),
        ({"shift": [0.0], "link": "log"}, "shift and scale are for plain values"),
        ({"scale": [1.0, 2.0]}, "scale has 2 numbers; expected 1"),
        ({"hidden_featuers": 3}, "did you mean `hidden_features`"),
    ],
)
def test_contradictions_are_refused(fields, said):
    with pytest.raises(ConfigError, match=said):
        build_property({"name": "alignn", "elements": ["Cu"], **fields})


# ---- where a force field is needed


def test_a_property_model_is_no_force_field(tmp_path):
    path = tmp_path / "gap.safetensors"
    save_checkpoint(path, model(target="band gap", unit="eV"))
    for load in (load_potential, AlignnFFCalculator):
        with pytest.raises(CheckpointError, match=r"predicts band gap \(eV\); it is a property model"):
            load(path)
    assert load_property(path).model.predicts == "band gap (eV)"
    with pytest.raises(ConfigError, match="predicts band gap, a property of a whole structure"):
        build(model(target="band gap").config)


def test_a_force_field_is_no_property_model(tmp_path):
    save_checkpoint(tmp_path / "ff.safetensors", build({"name": "alignn_atomwise", "elements": ["Cu"], **SIZES}))
    with pytest.raises(CheckpointError, match=r"is a force field \(alignn_atomwise\)"):
        load_property(tmp_path / "ff.safetensors")


# ---- loss and errors


def test_likelihood_of_many_zeros_is_lowest_at_the_truth():
    labels = torch.tensor([[0.0], [0.0], [2.0], [4.0]], dtype=torch.float64)
    raw = torch.tensor([0.3, -0.2], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([raw], max_iter=50, line_search_fn="strong_wolfe")

    def step() -> torch.Tensor:
        optimizer.zero_grad()
        loss = property_loss(Scores(labels, raw.expand(4, 2)), labels, "zero_inflated", "mse", torch.ones(1))
        loss.backward()
        return loss

    optimizer.step(step)
    assert raw[0].sigmoid().item() == pytest.approx(0.5, abs=1e-4)
    assert raw[1].exp().item() == pytest.approx(3.0, abs=1e-3)  # the mean of those that are not zero


def test_losses_of_values_count_in_spreads():
    labels, found = torch.tensor([[1.0, 10.0]]), torch.tensor([[2.0, 30.0]])
    args = (Scores(found, found), labels, "values")
    assert float(property_loss(*args, "mse", torch.tensor([1.0, 10.0]))) == pytest.approx((1 + 4) / 2)
    assert float(property_loss(*args, "l1", torch.tensor([1.0, 10.0]))) == pytest.approx((1 + 2) / 2)
    assert float(property_loss(*args, "huber", torch.tensor([1.0, 10.0]))) == pytest.approx((0.5 + 1.5) / 2)
    each = torch.tensor([[0.5, 20.0]])  # of each structure and value
    assert float(property_loss(*args, "l1", each)) == pytest.approx((2 + 1) / 2)


def test_poisson_costs_what_its_likelihood_says():
    from scipy.stats import poisson

    counts, mean = np.array([0.0, 1.0, 4.0, 30.0]), np.array([0.5, 1.5, 3.0, 33.0])
    found = torch.tensor(mean)[:, None].requires_grad_()
    loss = property_loss(Scores(found, found), torch.tensor(counts)[:, None], "values", "poisson", torch.ones(1))
    assert loss.item() == pytest.approx(-poisson.logpmf(counts, mean).mean(), rel=1e-12)
    (slope,) = torch.autograd.grad(loss, found)
    assert slope[:, 0].numpy() == pytest.approx((1 - counts / mean) / 4)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"criterion": "poisson"}, "set model.link to log"),
        ({"criterion": "poisson", "model": {"classification": True}}, "set model.link to log, and no classes"),
        ({"criterion": "zig"}, "set model.zero_inflated"),
        ({"normalize_graph_level_loss": True, "model": {"zero_inflated": True}}, "a likelihood has none"),
    ],
)
def test_criteria_that_do_not_fit_the_model(tmp_path, fields, said):
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, **fields)


def test_area_under_the_curve_is_the_share_of_pairs_in_order():
    score, positive = np.array([0.1, 0.4, 0.35, 0.8, 0.4]), np.array([False, False, True, True, True])
    pairs = [(p > n) + 0.5 * (p == n) for p in score[positive] for n in score[~positive]]
    assert roc_auc(score, positive) == pytest.approx(np.mean(pairs))
    assert np.isnan(roc_auc(score, np.ones(5, bool)))


def test_errors_of_classes():
    chances = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3]])
    found = property_errors(chances, np.array([[0], [1], [1]]), "classes", np.array([0.3, 0.7]))
    assert found["accuracy"] == pytest.approx(2 / 3) and found["roc_auc"] == 1.0
    assert found["baseline_accuracy"] == pytest.approx(2 / 3)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.6, 0.3]).mean())


# ---- data


def compounds(count: int, seed: int = 0) -> list[tuple[Atoms, float]]:
    """Rock salt and CsCl compounds with a label that composition, structure and volume decide."""
    rng = np.random.default_rng(seed)
    strength = {"Li": 0.2, "Na": 0.1, "Cu": 0.6, "Ni": 0.7, "O": 1.5, "Cl": 1.2}
    found = []
    for _ in range(count):
        metal, other = rng.choice(["Li", "Na", "Cu", "Ni"]), rng.choice(["O", "Cl"])
        kind, a = rng.choice(["rocksalt", "cesiumchloride"]), 1.0 + 0.1 * rng.uniform(-1, 1)
        atoms = bulk(metal + other, kind, a=a * (4.6 if kind == "rocksalt" else 2.9))
        coordination = 0.5 if kind == "rocksalt" else 0.0
        label = -2.0 * (strength[other] - strength[metal]) - coordination + 40 * (a - 1) ** 2
        found.append((atoms, float(label)))
    return found


def write_json(path: Path, rows: list[tuple[Atoms, Any]], key: str = "target") -> Path:
    records = [
        {
            "jid": f"s{i}",
            "atoms": {
                "lattice_mat": atoms.cell.tolist(), "coords": atoms.get_scaled_positions().tolist(),
                "elements": atoms.get_chemical_symbols(), "cartesian": False,
            },
            key: label,
        }
        for i, (atoms, label) in enumerate(rows)
    ]  # fmt: skip
    (path / "id_prop.json").write_text(json.dumps(records))
    return path


def test_csv_json_and_ase_files_say_the_same(tmp_path):
    rows = compounds(3)
    for folder in ("csv", "json"):
        (tmp_path / folder).mkdir()
    lines = []
    for i, (atoms, label) in enumerate(rows):
        write(tmp_path / "csv" / f"POSCAR-s{i}.vasp", atoms)
        lines.append(f"POSCAR-s{i}.vasp,{label},{2 * label}")
        atoms.info["gap"] = [label, 2 * label]
    (tmp_path / "csv" / "id_prop.csv").write_text("\n".join([*lines, "POSCAR-s0.vasp,na", ""]))
    write(tmp_path / "all.extxyz", [atoms for atoms, _ in rows])
    write_json(tmp_path / "json", [*((a, [x, 2 * x]) for a, x in rows), (rows[0][0], "na")], "gap")
    keys = PropertyKeys("gap")
    found = [read_properties([tmp_path / name], keys) for name in ("csv", "json", "all.extxyz")]
    for one in found:
        assert len(one) == 3
        assert torch.allclose(torch.stack([r.values for r in one]), torch.stack([r.values for r in found[0]]))
        assert all(
            torch.allclose(a.sample.graph.cell, b.sample.graph.cell, atol=1e-6)
            for a, b in zip(one, found[0], strict=True)
        )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("id_prop.csv", "a.vasp\n", "line 1 is 'a.vasp'; expected a file name and a value"),
        ("id_prop.csv", "absent.vasp,1.0\n", "does not exist"),
        ("id_prop.json", "[", "not JSON"),
        ("id_prop.json", '[{"jid": 1}]', "record 1 has no `atoms`"),
    ],
)
def test_data_that_cannot_be_read(name, content, said, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        read_properties([tmp_path], PropertyKeys())


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([1.0, [1.0, 2.0]], "labels of 1 and 2 numbers"),
        (["na", None], "no structure has a label called 'target'"),
        ([1.0, "high"], "is no number"),
        ([1.0, float("inf")], "not finite"),
    ],
)
def test_labels_that_are_none(labels, said, tmp_path):
    rows = [(atoms, label) for (atoms, _), label in zip(compounds(2), labels, strict=True)]
    with pytest.raises(DataError, match=said):
        read_properties([write_json(tmp_path, rows)], PropertyKeys())


# ---- training


def settings(path: Path, **fields: Any) -> PropertyTrainConfig:
    model_fields = {"name": "alignn", **SIZES, **fields.pop("model", {})}
    plain = {
        "data": str(path), "epochs": 30, "batch_size": 8, "learning_rate": 0.02, "model": model_fields, "device": "cpu",
        "output_dir": str(path / "run"), "train_ratio": 0.7, "val_ratio": 0.15, "test_ratio": 0.15,
    }  # fmt: skip
    return parse(PropertyTrainConfig, {**plain, **fields}, "test")


def errors(path: Path, part: str = "test") -> dict[str, float]:
    return json.loads((path / "run" / f"{part}_errors.json").read_text())


def published(name: str, data: Path) -> PropertyTrainConfig:
    """A config of `configs/` on generated compounds, the network smaller and the learning quicker."""
    sizes = [f"model.{field}={value}" for field, value in SIZES.items() if "cutoff" not in field]
    fit = ["epochs=30", "batch_size=8", "learning_rate=0.02", "train_ratio=0.7", "val_ratio=0.15", "test_ratio=0.15"]
    place = [f"data={data}", f"output_dir={data / 'run'}", "device=cpu"]
    return load_property_config(Path(__file__).parents[2] / "configs" / f"{name}.yaml", [*sizes, *fit, *place])


def test_formation_energies_are_learnt(tmp_path):
    rows = write_json(tmp_path, compounds(60), "formation_energy_peratom")
    config = published("property_formation_energy", rows)
    result = train_property(config)
    found = errors(tmp_path)
    assert result.finished and 3 * found["mae"] < found["baseline_mae"]
    lines = (tmp_path / "run" / "prediction_results_test_set.csv").read_text().splitlines()
    assert lines[0] == "id,target,prediction" and len(lines) == 1 + 9
    name, label, prediction = lines[1].split(",")
    atoms = compounds(60)[int(name.removeprefix("s"))][0]
    again = predict_property(tmp_path / "run" / "best_model.safetensors", [atoms], device="cpu")
    assert float(again[0, 0]) == pytest.approx(float(prediction), abs=1e-5)
    assert float(label) == pytest.approx(compounds(60)[int(name.removeprefix("s"))][1])
    page = (tmp_path / "run" / "report.html").read_text()
    worst = max(lines[1:], key=lambda line: abs(float(line.split(",")[1]) - float(line.split(",")[2])))
    shown = page[page.index("Worst structures, test") :]
    assert shown[shown.index("<tbody>") :].index(f">{worst.split(',')[0]}<") < 40  # the first line of its table
    assert f"{found['mae']:.4g}" in page and page.count("data:image/png") == 3


def test_classes_and_several_values_are_learnt(tmp_path):
    rows = compounds(60, seed=1)
    gaps = [(atoms, 0.0 if set(atoms.symbols) & {"Cu", "Ni"} else 2.0) for atoms, _ in rows]
    train_property(published("property_metal", write_json(tmp_path, gaps, "optb88vdw_bandgap")))
    found = errors(tmp_path)
    assert 3 * (1 - found["accuracy"]) <= 1 - found["baseline_accuracy"] and found["roc_auc"] > 0.9
    several = [(atoms, [label, atoms.get_volume()]) for atoms, label in rows]
    train_property(published("property_moduli", write_json(tmp_path, several, "moduli")), overwrite=True)
    found = errors(tmp_path)
    assert 3 * found["mae"] < found["baseline_mae"]


def test_values_many_of_which_are_zero_are_learnt(tmp_path):
    rows = [(a, 0.0 if "Cl" in a.symbols else float(np.exp(-label))) for a, label in compounds(60, seed=3)]
    train_property(settings(write_json(tmp_path, rows), model={"zero_inflated": True}))
    found = errors(tmp_path)
    assert 3 * found["mae"] < found["baseline_mae"]
    zeros = [atoms for atoms, value in rows if not value][:8]
    said = predict_property(tmp_path / "run" / "best_model.safetensors", zeros, device="cpu")
    assert said.min() >= 0.0 and np.median(said) < 0.1 * found["baseline_mae"]


def test_counts_are_learnt(tmp_path):
    rows = [(atoms, round(np.exp(-label))) for atoms, label in compounds(48)]
    config = settings(write_json(tmp_path, rows), criterion="poisson", model={"link": "log"})
    train_property(config)
    found = errors(tmp_path)
    assert 3 * found["mae"] < found["baseline_mae"]
    write_json(tmp_path, [(atoms, count - 3) for atoms, count in rows])
    with pytest.raises(DataError, match="criterion poisson is for counts, 0 or more"):
        train_property(config, overwrite=True)


def test_errors_of_values_that_grow_count_by_their_atoms(tmp_path):
    """A batch of crystals of two atoms, before anything was learnt: half the cost."""
    data = write_json(tmp_path, compounds(12))
    costs = []
    for by_atoms in (False, True):
        config = settings(data, criterion="l1", normalize_graph_level_loss=by_atoms, epochs=1, batch_size=12)
        train_property(config, overwrite=by_atoms)
        costs.append(json.loads((tmp_path / "run" / "history.jsonl").read_text())["train_loss"])
    assert costs[1] == pytest.approx(costs[0] / 2, rel=1e-6)


def test_upstreams_example_of_a_force_field_without_forces_is_learnt(tmp_path):
    """The fields of sample_data/config_example.json of upstream's repository, smaller and with more epochs."""
    small = {"name": "alignn_atomwise", "atom_input_features": 92, **SIZES, "output_features": 2}
    for unused in ("cutoff", "three_body_cutoff"):
        small.pop(unused, None)
    model = {**small, "calculate_gradient": False, "gradwise_weight": 1.0, "energy_mult_natoms": False}
    top = {"dataset": "user_data", "target": "target", "id_tag": "jid", "atom_features": "cgcnn", "criterion": "mse"}
    graph = {"neighbor_strategy": "k-nearest", "cutoff": 8.0, "max_neighbors": 12, "use_canonize": True}
    fit = {
        "epochs": 30,
        "batch_size": 8,
        "learning_rate": 0.02,
        "train_ratio": 0.7,
        "val_ratio": 0.15,
        "test_ratio": 0.15,
    }
    ours = {"output_dir": str(tmp_path / "run"), "device": "cpu", "keep_data_order": False}
    (tmp_path / "config.json").write_text(json.dumps({**top, **graph, **fit, **ours, "model": model}))
    rows = compounds(60, seed=2)
    write_json(tmp_path, [(a, [x, a.get_volume()]) for a, x in rows])
    assert is_property(tmp_path / "config.json")
    train_property(load_property_config(tmp_path / "config.json"))
    found = errors(tmp_path)
    assert 3 * found["mae"] < found["baseline_mae"]


def test_a_resumed_run_is_one_never_interrupted(tmp_path, monkeypatch):
    path = write_json(tmp_path, compounds(12))
    whole = settings(path, epochs=3, output_dir=str(tmp_path / "whole"))
    train_property(whole)
    broken = settings(path, epochs=3)
    fit = property_loop._epoch

    def stop_in_the_second(run: Any, interrupt: Any) -> Any:
        interrupt.requested = run.progress.epoch == 1
        return fit(run, interrupt)

    with monkeypatch.context() as patch:
        patch.setattr(property_loop, "_epoch", stop_in_the_second)
        assert not train_property(broken).finished
    assert train_property(broken, resume=True).finished
    one, other = (load_property(tmp_path / n / "current_model.safetensors").model for n in ("whole", "run"))
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))
    with pytest.raises(ConfigError, match="other values of learning_rate"):
        train_property(settings(path, epochs=3, learning_rate=0.1), resume=True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": {"output_features": 2}}, "its label holds 1 numbers; the model has 2"),
        ({"model": {"classification": True}}, "expected a class from 0 to 1"),
        ({"model": {"link": "log"}}, "predicts positive values"),
        ({"model": {"link": "logit"}}, "predicts between 0 and 1 values"),
        ({"model": {"zero_inflated": True}}, "no negative values"),
        ({"classification_threshold": 99.0, "model": {"classification": True}}, "of one class"),
    ],
)
def test_labels_that_do_not_fit_the_model(fields, said, tmp_path):
    with pytest.raises(DataError, match=said):
        train_property(settings(write_json(tmp_path, compounds(12)), **fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"classification_threshold": 1.0}, "set model.classification to true"),
        ({"model": {"extra_features": 3}}, "extra_features and extra_features_key go together"),
        ({"model": {"additional_output_features": 3}}, "are for published models"),
        ({"ema_decay": 0.9}, "not the statistics of BatchNorm"),
        ({"model": {"name": "alignn_smooth"}}, "must be one of alignn, alignn_atomwise_property"),
        ({"epoch": 3}, "did you mean `epochs`"),
    ],
)
def test_configs_that_contradict_themselves(fields, said, tmp_path):
    with pytest.raises(ConfigError, match=said):
        settings(tmp_path, **fields)

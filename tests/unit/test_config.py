"""The training config: near misses, overrides, contradictions, each one clear paragraph."""

from __future__ import annotations

import json

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.training.config import TrainConfig, load_config, to_json
from alignn_ff.training.stages import begins_at, largest_weights, last_start, loss_at


def write(folder, text: str, name: str = "config.yaml"):
    (folder / name).write_text(text)
    return folder / name


def test_yaml_and_json_say_the_same(tmp_path):
    fields = {
        "data": ["a.xyz"],
        "epochs": 7,
        "loss": {"force_weight": 3.0},
        "model": {"name": "alignn_smooth", "cutoff": 4.5},
    }
    yaml = "data: a.xyz\nepochs: 7\nloss: {force_weight: 3}\nmodel:\n  name: alignn_smooth\n  cutoff: 4.5\n"
    assert load_config(write(tmp_path, yaml)) == load_config(write(tmp_path, json.dumps(fields), "config.json"))


def test_resolved_config_is_read_back_as_itself(tmp_path):
    config = load_config(write(tmp_path, "data: /a.xyz\nlearning_rate: 1e-3\nreference_energies: {Cu: -3.5}\n"))
    assert config.learning_rate == 1e-3
    assert load_config(write(tmp_path, to_json(config), "resolved.json")) == config
    assert set(json.loads(to_json(config))) == set(TrainConfig.model_fields)


def test_paths_are_taken_from_the_folder_of_the_file(tmp_path):
    text = "data: [a.xyz, /b.xyz]\nvalidation_data: c.xyz\nsplit_file: ids.json\n"
    config = load_config(write(tmp_path, text))
    assert config.data == (f"{tmp_path}/a.xyz", "/b.xyz")
    assert config.validation_data == (f"{tmp_path}/c.xyz",)
    assert config.split_file == f"{tmp_path}/ids.json"


def test_a_model_to_start_from_is_a_file_beside_the_config_or_a_name(tmp_path):
    (tmp_path / "before.safetensors").touch()
    for start, expected in (("before.safetensors", f"{tmp_path}/before.safetensors"), ("universal", "universal")):
        assert load_config(write(tmp_path, f"data: a.xyz\nstart_from: {start}\n")).start_from == expected


def test_overrides_stand_above_the_file(tmp_path):
    overrides = [
        "--loss.force_weight=10",
        "epochs=5",
        "--batch-size=2",
        "--model.cutoff=4.0",
        "--scheduler=none",
    ]
    config = load_config(write(tmp_path, "data: a.xyz\nepochs: 7\nbatch_size: 3\n"), overrides)
    assert config.loss.force_weight == 10.0
    assert (config.epochs, config.batch_size, config.scheduler) == (5, 2, "none")
    assert config.model["cutoff"] == 4.0


def test_overriding_a_field_of_the_model_keeps_the_model(tmp_path):
    config = load_config(write(tmp_path, "data: a.xyz\n"), ["--model.cutoff=4.0"])
    assert config.model["name"] == "alignn_smooth" and config.model["cutoff"] == 4.0
    assert config.model["hidden_features"] == 64, "defaults are written out: a rerun must not depend on later ones"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data: a\nbatchsize: 3", "unknown field `batchsize` (did you mean `batch_size`?)"),
        (
            "data: a\nloss: {force_wieght: 3}",
            "unknown field `loss.force_wieght` (did you mean `force_weight`?)",
        ),
        ("data: a\nmodel: {name: alignn_smooth, hiden_features: 3}", "did you mean `hidden_features`?"),
        ("data: a\nqqq: 3", "unknown field `qqq`; fields: data,"),
        ("epochs: 3", "field `data` is missing"),
        ("data: []", "`data` is empty"),
        ("data: a\nepochs: 0", "field `epochs` is 0"),
        ("data: a\nepochs: many", "field `epochs` is 'many'"),
        ("data: a\nlearning_rate: -1", "field `learning_rate` is -1"),
        ("data: a\nscheduler: triangle", "field `scheduler` is 'triangle'"),
        ("data: a\nloss: {criterion: l3}", "field `loss.criterion` is 'l3'"),
        ("data: a\ntrain_ratio: 0.8\nval_ratio: 0.2\ntest_ratio: 0.2", "add up to more than 1"),
        ("data: a\nloss: {energy_weight: 0, force_weight: 0}", "all loss weights are zero"),
        ("data: a\nmodel: {name: alignn_smoth}", "`name` must be one of alignn_"),
        ("data: a\nmodel: {name: zbl}", "`name` must be one of alignn_"),
        ("data: a\nmodel: {name: alignn_smooth, body_order: 4, max_degree: 1}", "max_degree of 2 or 3"),
        (
            "data: a\nmodel: {name: alignn_smooth, line_graph_layers: 1, line_graph_cutoff: 9}",
            "must not exceed cutoff",
        ),
        ("data: a\nmodel: smooth", "field `model` is 'smooth'"),
        ("data: 5", "field `data"),
        ("data: [1, 2]", "field `data"),
        ("data:", "field `data"),
        ("data: a\nloss_stages: [{start_epoch: 5}, {start_epoch: 3}]", "start in epochs [5, 3]; they must rise"),
        ("data: a\nepochs: 9\nloss_stages: [{start_epoch: 10}]", "end before epochs, 9"),
        ("data: a\nloss_stages: [{start_epoch: 1}]", "`loss_stages.0.start_epoch` is 1"),
        ("data: a\ngroup_weights: {bulk: -1}", "group_weights must be numbers, 0 or more"),
        ("data: a\nsampling_policy: eror_weighted", "field `sampling_policy` is 'eror_weighted'"),
        ("data: a\nforce_fraction: 1.5", "field `force_fraction` is 1.5"),
        ("data: a\nsplit_file: 5", "field `split_file` is 5"),
        ("data: a\nloss: 3", "field `loss` is 3"),
        ("data: a\n1: 2", "unknown field `1`"),
        ("- data", "holds a list"),
        ("", "holds a NoneType"),
        ("data: [a", "neither YAML nor JSON"),
    ],
)
def test_fault_is_one_clear_paragraph(tmp_path, text, said):
    with pytest.raises(ConfigError) as caught:
        load_config(write(tmp_path, text))
    message = str(caught.value)
    assert said in message and "config.yaml" in message
    assert "\n" not in message


def test_every_fault_is_named_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"`batch_size` is 0.*`epoch`.*`epochs`"):
        load_config(write(tmp_path, "data: a\nepoch: 3\nbatch_size: 0\n"))


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("--epochs", "has no `=`"),
        ("--epochs.x=3", "`epochs` is a single value"),
        ("--epcohs=3", "did you mean `epochs`?"),
        ("--model=[1", "--model"),
        ("--loss.force_weight=heavy", "`loss.force_weight` is 'heavy'"),
    ],
)
def test_override_that_makes_no_sense(tmp_path, override, said):
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        load_config(write(tmp_path, "data: a\nepochs: 7\n"), [override])


def test_absent_and_binary_files(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nowhere.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00data")
    with pytest.raises(ConfigError, match="neither YAML nor JSON"):
        load_config(tmp_path / "binary.yaml")


def test_config_cannot_change_once_made():
    config = TrainConfig(data=("a",))
    with pytest.raises(ValueError, match="frozen"):
        config.epochs = 3


def test_stages_change_the_weights_they_name_from_their_epoch_on():
    stages = ({"start_epoch": 3, "energy_weight": 9.0}, {"start_epoch": 5, "force_weight": 0.5, "stress_weight": 2.0})
    config = TrainConfig(data=("a",), epochs=6, loss={"energy_weight": 1.0, "force_weight": 4.0}, loss_stages=stages)
    seen = [(c.energy_weight, c.force_weight, c.stress_weight) for c in (loss_at(config, e) for e in range(6))]
    assert seen == [(1, 4, 0)] * 2 + [(9, 4, 0)] * 2 + [(9, 0.5, 2)] * 2
    assert [begins_at(config, e) for e in range(6)] == [False, False, True, False, True, False]
    assert last_start(config) == 4 and last_start(TrainConfig(data=("a",))) == 0
    assert largest_weights(config).model_dump(include={"energy_weight", "force_weight", "stress_weight"}) == {
        "energy_weight": 9.0,
        "force_weight": 4.0,
        "stress_weight": 2.0,
    }

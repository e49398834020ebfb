"""Published models that are not what they should be: each is refused in words, and nothing in them is run."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import molecule

from alignn_ff import testing
from alignn_ff.calculator import AlignnFFCalculator
from alignn_ff.checkpoint import file_sha256
from alignn_ff.errors import CheckpointError, ModelNotFoundError
from alignn_ff.models import build
from alignn_ff.pretrained import find, load_potential
from alignn_ff.pretrained.registry import USER_REGISTRY
from alignn_ff.pretrained.upstream import load_upstream
from alignn_ff.pretrained.verify import verify
from tests.model_server import write_registry
from tests.structures import SMALL

MODEL = {
    "name": "alignn_atomwise", "alignn_layers": 1, "gcn_layers": 1, "atom_input_features": 92,
    "edge_input_features": 8, "triplet_input_features": 4, "embedding_features": 4, "hidden_features": 6,
}  # fmt: skip
CONFIG: dict[str, Any] = {
    "atom_features": "cgcnn", "neighbor_strategy": "radius_graph", "cutoff": 5.0, "max_neighbors": 12,
    "use_canonize": True, "target": "bulk_modulus_kv",
}  # fmt: skip
SIZES = {k: v for k, v in MODEL.items() if k not in ("name", "atom_input_features")}


def weights() -> dict[str, torch.Tensor]:
    return dict(build({"name": "alignn_atomwise", "mode": "legacy", "elements": ["Cu"], **SIZES}).state_dict())


def folder(path: Path, model: dict[str, Any] | None = None, **top: Any) -> Path:
    config = {**CONFIG, "model": {**MODEL, **(model or {})}, **top}
    (path / "config.json").write_text(json.dumps(config))
    torch.save(weights(), path / "best_model.pt")
    return path


def test_the_sound_one_loads(tmp_path):
    assert load_potential(folder(tmp_path)).potential.elements[28] == "Cu"


class Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.target,))


@pytest.mark.parametrize("old_format", [True, False])
@pytest.mark.parametrize("wrap", [lambda b: b, lambda b: {"model": weights(), "extra": b}, lambda b: {"fc.bias": b}])
def test_code_in_the_weights_is_not_run(wrap, old_format, tmp_path):
    path, mark = folder(tmp_path), tmp_path / "exploded"
    bomb = wrap(Bomb(mark))
    torch.save(bomb, path / "best_model.pt", _use_new_zipfile_serialization=not old_format)
    with pytest.raises(CheckpointError, match="something else than weights"):
        load_potential(path)
    assert not mark.exists()
    torch.load(path / "best_model.pt", weights_only=False)
    assert mark.exists(), "the bomb is a dud: the test shows nothing"


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "something else"), (b"not weights", "something else"), (b"PK\x03\x04 torn", "something else")],
)
def test_damaged_weights(content, said, tmp_path):
    path = folder(tmp_path)
    (path / "best_model.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=said):
        load_potential(path)


def test_truncated_weights(tmp_path):
    path = folder(tmp_path)
    whole = (path / "best_model.pt").read_bytes()
    (path / "best_model.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CheckpointError, match="damaged"):
        load_potential(path)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"fc.bias": 3}, {"model": {"a": "b"}}])
def test_weights_that_are_no_state_dict(content, tmp_path):
    path = folder(tmp_path)
    torch.save(content, path / "best_model.pt")
    with pytest.raises(CheckpointError, match="expected a state dict"):
        load_potential(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not JSON"),
        ("[]", "describes no model"),
        ("{}", "describes no model"),
        ('{"model": {}}', "describes no model"),
        ('{"model": {"name": "alignn_atomwise"}}', "lacks atom_features, neighbor_strategy"),
    ],
)
def test_configs_that_describe_nothing(content, said, tmp_path):
    path = folder(tmp_path)
    (path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=said):
        load_potential(path)


@pytest.mark.parametrize("missing", ["config.json", "best_model.pt"])
def test_an_archive_without_one_of_the_two_files(missing, tmp_path):
    path = folder(tmp_path)
    (path / missing).unlink()
    with pytest.raises(CheckpointError, match=f"holds no {missing}"):
        load_potential(path)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in path.glob("*.*"):
            archive.write(file, f"out/{file.name}.txt" if file.suffix == ".zip" else f"out/{file.name}")
    with pytest.raises(CheckpointError, match=f"holds no {missing}"):
        load_potential(tmp_path / "model.zip")


def test_weights_without_a_config_beside_them(tmp_path):
    path = folder(tmp_path)
    (path / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"config\.json cannot be read"):
        load_potential(path / "best_model.pt")


def test_no_such_path_is_a_name_that_is_not_known(tmp_path):
    with pytest.raises(ModelNotFoundError, match="neither a file nor a known name"):
        load_potential(tmp_path / "absent")


@pytest.mark.parametrize(
    ("model", "top", "said"),
    [
        ({"hidden_features": 8}, {}, r"do not fit.*fc\.weight \(1, 6\) for \(1, 8\)|do not fit"),
        ({"gcn_layers": 2}, {}, "missing gcn_layers.1"),
        ({"alignn_layers": 0}, {}, "surplus alignn_layers.0"),
        ({"name": "alignn"}, {}, "`alignn` trained on 'bulk_modulus_kv' without forces: a property model"),
        ({"name": "densegcn"}, {}, "model `densegcn`; expected a force field"),
        ({"calculate_gradient": False}, {}, "'bulk_modulus_kv' without forces: a property model"),
        ({"gradwise_weight": 0.0}, {}, "a property model"),
        ({"output_features": 3}, {}, "`output_features` is 3"),
        ({"link": "log"}, {}, "`link` is 'log'"),
        ({"classification": True}, {}, "`classification` is True"),
        ({"extra_features": 6}, {}, "do not fit: missing extra_feature_embedding"),
        ({"name": "alignn_atomwise_pure_smooth", "mlp_first": False}, {}, "`mlp_first` is False"),
        ({"conv_type": "t_alignn"}, {}, "`conv_type` is 't_alignn'"),
        ({"atom_input_features": 1}, {}, "`cgcnn` and atom_input_features 1 do not fit"),
        ({}, {"atom_features": "cfid"}, "`cfid` and atom_input_features 92"),
        ({}, {"neighbor_strategy": "voronoi"}, "cannot be honoured.*neighbor_strategy"),
        ({}, {"neighbor_strategy": "k-nearest", "max_neighbors": None}, "k-nearest needs max_neighbors"),
    ],
)
def test_models_that_are_not_understood_are_refused_in_words(model, top, said, tmp_path):
    with pytest.raises(CheckpointError, match=said):
        load_upstream(folder(tmp_path, model, **top))


@pytest.mark.parametrize(
    ("model", "top", "expected"),
    [
        ({"lighten_edges": True, "backtracking": False}, {"compute_line_graph": False}, (True, True)),
        ({"lighten_edges": False, "backtracking": False}, {"compute_line_graph": False}, (False, False)),
        ({"lighten_edges": True, "backtracking": False}, {"compute_line_graph": True}, (False, True)),
        ({"lighten_edges": True}, {}, (False, True)),
    ],
)
def test_fields_of_a_branch_count_where_its_model_found_the_angles(model, top, expected, tmp_path, caplog):
    config = load_upstream(folder(tmp_path, model, **top)).potential.config
    network = config["terms"][0] if config["name"] == "sum" else config
    assert (network["lighten_edges"], network["backtracking"]) == expected
    assert ("periodic images count" in caplog.text) == (expected != (False, True))


def energy_of(path: Path, atoms: Atoms) -> float:
    return AlignnFFCalculator(path, dtype="float64").evaluate([atoms])[0]["energy"]


def test_ealignn_is_read_as_the_invariant_model_it_is(tmp_path, caplog):
    (tmp_path / "e").mkdir()
    (tmp_path / "plain").mkdir()
    fields = {"name": "ealignn_atomwise", "inner_cutoff": 4.0, "force_mult_natoms": True, "remove_torque": True}
    equivariant = folder(tmp_path / "e", fields)
    plain = folder(
        tmp_path / "plain", {"inner_cutoff": 4.0}, neighbor_strategy="torch_graph", cutoff=4.0, max_neighbors=None
    )
    (plain / "best_model.pt").write_bytes((equivariant / "best_model.pt").read_bytes())
    potential = load_upstream(equivariant).potential
    assert "integer lattice translations" in caplog.text
    assert potential.cutoff == 4.0 and potential.config == load_upstream(plain).potential.config
    assert energy_of(equivariant, SMALL["alloy"]()) == energy_of(plain, SMALL["alloy"]())
    testing.check_rotation(potential.to(torch.float64), SMALL["alloy"]())


def test_smooth_model_tells_its_penalty(tmp_path):
    name = "alignn_atomwise_pure_smooth"
    network = build({"name": name, "mode": "legacy", "elements": ["H", "O"], "cutoff": 5.0, **SIZES})
    path = folder(tmp_path, {"name": name}, neighbor_strategy="pure_torch", max_neighbors=None, three_body_cutoff=3.5)
    torch.save({"_species_table": torch.zeros(120, 92), **network.state_dict()}, path / "best_model.pt")
    water = molecule("H2O", vacuum=4.0)
    potential = load_upstream(path).potential.to(torch.float64)
    testing.check_forces(potential, water)
    bare = testing.predict(network.to(torch.float64), [water]).energy
    bonds = np.array([water.get_distance(0, 1), water.get_distance(0, 2)])
    assert float(testing.predict(potential, [water]).energy - bare) == pytest.approx(2 * 0.5 * (1 - bonds).sum())


def test_a_registry_may_name_a_published_archive(tmp_path, monkeypatch):
    path = folder(tmp_path)
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in ("config.json", "best_model.pt"):
            archive.write(path / file, f"somewhere/{file}")
    table = {"sha256": file_sha256(tmp_path / "model.zip"), "description": "mine", "file": "model.zip"}
    write_registry(tmp_path / "own.toml", mine=table)
    monkeypatch.setenv(USER_REGISTRY, str(tmp_path / "own.toml"))
    assert load_potential("mine").sha256 == load_potential(path).sha256
    assert verify(find("mine")).formula == "Fr4"

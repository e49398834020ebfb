"""One file holds everything; every other file is refused with its own reason."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from alignn_ff.checkpoint import FORMAT_VERSION, file_sha256, load_checkpoint, read_header, save_checkpoint
from alignn_ff.errors import AlignnFFError, CheckpointError, ConfigError
from alignn_ff.models import build
from alignn_ff.testing import check_saved
from tests.conftest import SMOOTH_CONFIGS, random_potential
from tests.structures import ELEMENTS, SMALL

FACTS = {"training": {"epoch": 3, "config": {"data": ["a.xyz"]}}, "licence": "MIT", "note": "Å ²"}


@pytest.fixture
def saved(tmp_path):
    save_checkpoint(tmp_path / "model.safetensors", random_potential(composed=True), FACTS)
    return tmp_path / "model.safetensors"


def rewrite(path, *, header=None, tensors=None, metadata=None) -> None:
    """The same file with something changed."""
    with safe_open(path, framework="pt") as file:
        old_header = json.loads(file.metadata()["alignn_ff"])
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    new_header = {**old_header, **(header or {})}
    new_header = {k: v for k, v in new_header.items() if v is not ...}
    new = {k: v for k, v in {**old, **(tensors or {})}.items() if v is not None}
    save_file(new, path, metadata=metadata if metadata is not None else {"alignn_ff": json.dumps(new_header)})


@pytest.mark.parametrize("config", SMOOTH_CONFIGS)
@pytest.mark.parametrize("composed", [True, False])
def test_round_trip_keeps_every_bit(config, composed, tmp_path):
    check_saved(random_potential(config, composed=composed), SMALL["rock_salt"](), tmp_path)


def test_float32_stays_float32(tmp_path):
    torch.manual_seed(0)
    potential = build({"name": "alignn_smooth", "elements": ["Cu"], "energy_scale": [0.7]})
    save_checkpoint(tmp_path / "m.safetensors", potential)
    again = load_checkpoint(tmp_path / "m.safetensors").potential
    assert again.dtype == torch.float32
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in potential.state_dict().items())


def test_everything_comes_back(saved):
    checkpoint = load_checkpoint(saved)
    potential = random_potential(composed=True)
    assert checkpoint.facts == FACTS
    assert checkpoint.sha256 == file_sha256(saved) and len(checkpoint.sha256) == 64
    assert checkpoint.potential.config == potential.config
    assert checkpoint.potential.dtype == torch.float64
    assert not checkpoint.potential.training
    assert checkpoint.potential.elements == ELEMENTS


def test_header_says_what_a_user_asks_of_a_file(saved):
    header = read_header(saved)
    assert header["format_version"] == FORMAT_VERSION
    assert header["elements"] == list(ELEMENTS)
    assert header["cutoff"] == random_potential(composed=True).cutoff
    assert header["dtype"] == "float64"
    assert header["units"]["energy"] == "eV"
    assert header["written_by"].startswith("alignn-ff ")


def test_no_pickle_inside(saved):
    content = saved.read_bytes()
    length = int.from_bytes(content[:8], "little")
    names = json.loads(content[8 : 8 + length])
    assert content[8:9] == b"{" and "__metadata__" in names
    assert b"PK\x03\x04" not in content[:8]


def test_absent_file(tmp_path):
    with pytest.raises(CheckpointError, match="no such model file"):
        load_checkpoint(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip file", b"just text " * 100, b"\xff" * 8 + b"{}", bytes(100)]
)
def test_another_kind_of_file(tmp_path, content):
    (tmp_path / "m.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a readable .safetensors model"):
        load_checkpoint(tmp_path / "m.safetensors")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(saved, kept):
    content = saved.read_bytes()
    saved.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(CheckpointError, match="may be truncated"):
        load_checkpoint(saved)


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}])
def test_safetensors_of_somebody_else(saved, metadata):
    rewrite(saved, metadata=metadata)
    with pytest.raises(CheckpointError, match="not written by alignn-ff"):
        load_checkpoint(saved)
    with pytest.raises(CheckpointError, match="not written by alignn-ff"):
        read_header(saved)


@pytest.mark.parametrize("version", [0, 2, 999, None, "1", ...])
def test_unknown_format_version(saved, version):
    rewrite(saved, header={"format_version": version})
    with pytest.raises(CheckpointError, match="reads version 1"):
        load_checkpoint(saved)


@pytest.mark.parametrize("key", ["config", "dtype", "facts"])
def test_missing_header_key(saved, key):
    rewrite(saved, header={key: ...})
    with pytest.raises(CheckpointError, match=f"lacks a valid {key}"):
        load_checkpoint(saved)


def test_unknown_precision(saved):
    rewrite(saved, header={"dtype": "float8"})
    with pytest.raises(CheckpointError, match="lacks a valid dtype"):
        load_checkpoint(saved)


@pytest.mark.parametrize("text", ["not json", "[1]", "3"])
def test_header_that_is_no_object(saved, text):
    rewrite(saved, metadata={"alignn_ff": text})
    with pytest.raises(CheckpointError, match="header"):
        load_checkpoint(saved)


def test_missing_weight(saved):
    name = next(iter(random_potential(composed=True).state_dict()))
    rewrite(saved, tensors={name: None})
    with pytest.raises(CheckpointError, match=f"missing .*{name}.*surplus none"):
        load_checkpoint(saved)


def test_surplus_weight(saved):
    rewrite(saved, tensors={"stranger": torch.zeros(3)})
    with pytest.raises(CheckpointError, match=r"missing none, surplus .*stranger"):
        load_checkpoint(saved)


def test_weight_of_another_shape(saved):
    name = next(iter(random_potential(composed=True).state_dict()))
    rewrite(saved, tensors={name: torch.zeros(99)})
    with pytest.raises(CheckpointError, match=f"{name}.*other shapes"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "config",
    [
        {"name": "alignn_rough"},
        {},
        {"name": "alignn_smooth"},
        {"name": "alignn_smooth", "elements": ["Cu"], "energy_scale": [1.0], "cutof": 3.0},
        {"name": "zbl", "elements": ["Cu"], "strength": 2.0},
        {"name": "sum"},
        {"name": "sum", "terms": [{"name": "zbl"}]},
    ],
)
def test_config_of_no_model(saved, config):
    with pytest.raises(ConfigError):
        build(config)
    rewrite(saved, header={"config": config})
    with pytest.raises(AlignnFFError):
        load_checkpoint(saved)


@pytest.mark.parametrize("element", ["Xx", "cu", ""])
def test_element_that_does_not_exist(element):
    with pytest.raises(ConfigError, match="element"):
        build({"name": "zbl", "elements": [element]})

"""Published force fields say of atoms and structures, beside energies, what upstream's code says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ase import Atoms

from alignn_ff import testing
from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.evaluate import Prediction
from alignn_ff.models import build
from alignn_ff.pretrained.archive import CONFIG, WEIGHTS
from alignn_ff.pretrained.publish import save_upstream
from alignn_ff.pretrained.publish_property import unused_layer
from alignn_ff.pretrained.upstream import load_upstream
from alignn_ff.units import GPA_PER_EV_A3
from tests.reference.property_weights import EXTRA, fill
from tests.reference.record_further_outputs import CASES, graph_of

FOLDER = Path(__file__).parent / "upstream"
RECORD = json.loads((FOLDER / "further_outputs.json").read_text())
STRUCTURES = json.loads((FOLDER / "record.json").read_text())["structures"]
THEIRS = ("atomwise_weight", "stresswise_weight", "use_penalty", "use_zbl", "atom_input_features")


def published(case: str, folder: Path, **model: Any) -> Path:
    """A folder as upstream's trainer leaves it, with formulaic weights."""
    fields, graph = {**CASES[case], **model}, graph_of(CASES[case])
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps({"target": "target", **graph, "model": fields}))
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # as upstream did
    try:
        own = {name: value for name, value in CASES[case].items() if name not in THEIRS}
        network = build({**graph, **own, "mode": "legacy", "elements": ["H"]})
    finally:
        torch.set_default_dtype(default)
    told = bool(CASES[case].get("extra_features"))  # upstream keeps the layer that those of extra features replace
    fill(network, ("_species_table",) if "pure" in network.name else ("fc.weight", "fc.bias") if told else ())
    state = dict(network.state_dict())
    torch.save(state | unused_layer(state, 1) if told else state, folder / WEIGHTS)
    return folder


def said(folder: Path, name: str) -> Prediction:
    atoms = Atoms(**STRUCTURES[name], pbc=True, info={"extra_features": EXTRA})
    return testing.predict(load_upstream(folder).potential, [atoms])


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_those_of_upstream(case, tmp_path):
    published(case, tmp_path)
    for name, expected in RECORD[case].items():
        found = said(tmp_path, name)
        per_atom = 1 if case == "smooth" else len(found.atom_energy)
        assert float(found.energy) == pytest.approx(expected["out"][0] * per_atom, abs=1e-9 * len(found.atom_energy))
        for output, value in (
            ("grad", found.forces), ("atomwise_pred", found.atomwise), ("additional", found.additional),
        ):  # fmt: skip
            assert (value is None) == (output not in expected)
            assert value is None or np.allclose(value.reshape(-1), expected[output], rtol=0, atol=1e-9), output
        assert np.allclose(GPA_PER_EV_A3 * found.stress.reshape(-1), expected["stresses"], rtol=0, atol=1e-7)
    assert np.ptp(RECORD[case]["mixture"]["atomwise_pred"]) > 1e-3, "the record tells atoms apart"


@pytest.mark.parametrize("case", CASES)
def test_both_ways_back_are_bit_equal(case, tmp_path):
    ours = load_upstream(published(case, tmp_path / "theirs")).potential
    save_upstream(tmp_path / "again", ours)
    save_checkpoint(tmp_path / "ours.safetensors", ours)
    fields = json.loads((tmp_path / "again" / CONFIG).read_text())["model"]
    assert fields["atomwise_output_features"] == CASES[case]["atomwise_output_features"] and fields["atomwise_weight"]
    for again in (load_upstream(tmp_path / "again"), load_checkpoint(tmp_path / "ours.safetensors")):
        assert again.potential.config == ours.config
        state = again.potential.state_dict()
        assert state.keys() == ours.state_dict().keys()
        assert all(torch.equal(value, state[name]) for name, value in ours.state_dict().items())


def test_values_of_atoms_whose_loss_had_no_weight_are_left_out_as_upstream_does(tmp_path):
    found = said(published("pure", tmp_path, atomwise_weight=0.0), "salt")
    assert found.atomwise is None
    assert np.allclose(found.additional.reshape(-1), RECORD["pure"]["salt"]["additional"], rtol=0, atol=1e-9)


def test_extra_features_that_upstream_ignores_are_ignored_and_told(tmp_path, caplog):
    found = said(published("pure", tmp_path, extra_features=4), "salt")
    assert float(found.energy) / 8 == pytest.approx(RECORD["pure"]["salt"]["out"][0], abs=1e-9)
    assert "extra_features were ignored" in caplog.text

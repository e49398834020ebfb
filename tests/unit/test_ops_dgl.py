"""DGL's operations against those in plain torch: same sums, same forces; and what happens where DGL is missing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
import torch

from alignn_ff import testing
from alignn_ff.evaluate import Want, evaluate
from alignn_ff.graph import concat
from alignn_ff.models import Potential, build, ops, ops_dgl
from tests.conftest import ATOMWISE_CONFIGS
from tests.structures import ELEMENTS, SMALL
from tests.unit.test_alignn_atomwise import SIZES

BAR = 1e-10
LISTS = {"uneven": [0, 0, 0, 1, 3, 3], "last nodes alone": [0, 1, 1], "none": []}


@pytest.fixture
def without_dgl(monkeypatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "dgl", None)
    ops_dgl.library.cache_clear()
    yield
    ops_dgl.library.cache_clear()


def twins(**fields) -> tuple[Potential, Potential]:
    """The same model by DGL and in plain torch."""
    config = {"elements": list(ELEMENTS), **SIZES, **fields}
    torch.manual_seed(3)
    plain = build({"name": "alignn_atomwise_pure", **config}).to(torch.float64)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.mul_(3.0 if weight.ndim == 2 else 1.0)
    by_dgl = build({"name": "alignn_atomwise", **config}).to(torch.float64)
    by_dgl.load_state_dict(plain.state_dict())
    return by_dgl, plain


@pytest.mark.parametrize("dst", LISTS.values(), ids=LISTS)
@pytest.mark.usefixtures("with_dgl")
def test_each_operation_and_its_gradients(dst):
    torch.manual_seed(0)
    nodes, index = 5, torch.tensor(dst, dtype=torch.int64)
    src = torch.randint(nodes, (len(dst),))
    one, other = (make(src, index, nodes, None) for make in (ops_dgl.link, ops.link))
    assert isinstance(one, ops_dgl.DglLinks) and isinstance(other, ops.TorchLinks)
    left, right = (torch.randn(nodes, 3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weights = torch.randn(len(dst), 3, dtype=torch.float64, requires_grad=True)
    for found, expected in zip(
        (one.meet(left, right), one.heard(left, weights), one.total(weights)),
        (other.meet(left, right), other.heard(left, weights), other.total(weights)),
        strict=True,
    ):
        assert torch.allclose(found, expected, rtol=0, atol=BAR)
    if dst:
        assert torch.autograd.gradgradcheck(lambda a, b: one.meet(a, b).square(), (left, right))
        assert torch.autograd.gradgradcheck(one.heard, (left, weights))
        assert torch.autograd.gradgradcheck(lambda w: one.total(w).square(), (weights,))


@pytest.mark.parametrize("mode", ["sound", "legacy"])
@pytest.mark.parametrize("config", ATOMWISE_CONFIGS)
@pytest.mark.usefixtures("with_dgl")
def test_energy_forces_and_stress_are_those_of_plain_torch(config, mode):
    by_dgl, plain = twins(mode=mode, **ATOMWISE_CONFIGS[config])
    structures = [make() for make in SMALL.values()]
    for one, other in zip(testing.predict(by_dgl, structures), testing.predict(plain, structures), strict=True):
        assert one is other is None or torch.allclose(one, other, rtol=0, atol=BAR, equal_nan=True)


@pytest.mark.usefixtures("with_dgl")
def test_gradients_of_a_loss_on_forces_are_those_of_plain_torch():
    """What training needs: derivatives of forces with respect to the weights."""
    found = []
    for potential in twins():
        graph = concat([testing.build_graph(potential, SMALL[name]()) for name in ("alloy", "slab")])
        prediction = evaluate(potential, graph, want=Want.TRAINING)
        assert prediction.forces is not None
        weights = list(potential.parameters())
        found.append(torch.autograd.grad(prediction.forces.square().sum(), weights, allow_unused=True))
    assert sum(gradient is not None for gradient in found[0]) > 50
    for one, other in zip(*found, strict=True):
        assert (one is None) == (other is None)
        assert one is None or torch.allclose(one, other, rtol=BAR, atol=BAR)


def test_without_dgl_plain_torch_does_it_and_it_is_said_once(without_dgl, caplog):
    by_dgl, plain = twins()
    atoms = [SMALL["alloy"]()]
    with caplog.at_level(logging.INFO, logger="alignn_ff"):
        found = [testing.predict(by_dgl, atoms).forces for _ in range(2)]
    assert torch.equal(found[0], testing.predict(plain, atoms).forces) and torch.equal(*found)
    said = [record.getMessage() for record in caplog.records if "DGL" in record.getMessage()]
    assert len(said) == 1 and "pip install alignn-ff[dgl]" in said[0]


@pytest.mark.usefixtures("without_dgl")
def test_the_pure_model_says_nothing_of_dgl(caplog):
    with caplog.at_level(logging.INFO, logger="alignn_ff"):
        testing.predict(twins()[1], [SMALL["alloy"]()])
    assert not caplog.records


@pytest.mark.usefixtures("with_dgl")
def test_dgl_is_imported_late_silently_and_writes_nothing_into_the_home(tmp_path):
    script = (
        "import sys, alignn_ff.models as m; from alignn_ff.models import ops_dgl; m.model_class('alignn_atomwise');"
        "assert 'dgl' not in sys.modules; assert ops_dgl.library() is sys.modules['dgl']"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DGLBACKEND"} | {"HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert not list(tmp_path.iterdir())

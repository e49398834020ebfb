"""Layers against the formulas they state."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from scipy.special import eval_legendre

from alignn_ff.models.layers.cutoff import polynomial_envelope
from alignn_ff.models.layers.density import Density, coupling
from alignn_ff.models.layers.gated_conv import GatedConvolution
from alignn_ff.models.layers.harmonics import degree_slices, spherical_harmonics
from alignn_ff.models.layers.line_graph import chebyshev
from alignn_ff.models.layers.mlp import Standardize
from alignn_ff.models.layers.radial import BesselBasis, BondBasis
from alignn_ff.models.ops import slots, spokes, to_table
from tests.tolerances import CLOSE, EXACT


def derivatives(function, at: float, orders: int) -> list[float]:
    """Value and derivatives by automatic differentiation."""
    x = torch.tensor(at, dtype=torch.float64, requires_grad=True)
    values, y = [], function(x)
    for _ in range(orders + 1):
        values.append(float(y.detach()))
        (y,) = torch.autograd.grad(y, x, create_graph=True)
    return values


def unit_vectors(count: int, seed: int = 0) -> torch.Tensor:
    vectors = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return vectors / vectors.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("exponent", [3, 6, 9])
def test_envelope_starts_at_one_and_ends_with_two_vanishing_derivatives(exponent):
    assert float(polynomial_envelope(torch.zeros(()), exponent)) == 1.0
    inside = derivatives(lambda u: polynomial_envelope(u, exponent), 1.0 - 1e-9, 3)
    assert max(abs(value) for value in inside[:2]) < EXACT
    assert abs(inside[2]) < 1e-6  # it falls like the third derivative, of order a hundred, times 1e-9
    assert abs(inside[3]) > 1.0
    assert derivatives(lambda u: polynomial_envelope(u, exponent), 1.0 + 1e-9, 2) == [0.0, 0.0, 0.0]


def test_envelope_is_the_published_polynomial_and_falls():
    u = np.linspace(0.0, 1.0, 50)
    p = 6
    expected = 1 - (p + 1) * (p + 2) / 2 * u**p + p * (p + 2) * u ** (p + 1) - p * (p + 1) / 2 * u ** (p + 2)
    found = polynomial_envelope(torch.from_numpy(u), p).numpy()
    assert np.allclose(found, expected, atol=EXACT)
    assert (np.diff(found) <= EXACT).all()


def test_bond_basis_sees_every_pair_of_elements_in_its_own_bond_length():
    basis = BondBasis([0.3, 0.7, 2.0], 5).double()
    reduced = torch.linspace(0.5, 2.5, 9, dtype=torch.float64)[:, None]
    light, heavy = torch.zeros(9, dtype=torch.int64), torch.full((9,), 2)
    near, far = basis(reduced * 0.6, light, light), basis(reduced * 2.3, light, heavy)
    assert torch.allclose(near, far, rtol=0, atol=1e-6)  # the radii are float32
    assert torch.equal(basis(reduced, light, heavy), basis(reduced, heavy, light))
    at_centers = basis(basis.center.double()[:, None] * 0.6, light[:5], light[:5])
    assert torch.allclose(at_centers.diagonal(), torch.ones(5, dtype=torch.float64), atol=1e-6)


def test_bessel_basis_is_the_published_formula_times_the_envelope():
    basis = BesselBasis(4.2, 7, 6).double()
    d = np.linspace(0.3, 4.5, 40)
    found, envelope = basis(torch.from_numpy(d)[:, None])
    f = polynomial_envelope(torch.from_numpy(d / 4.2)).numpy()
    expected = np.sqrt(2 / 4.2) * np.sin(np.arange(1, 8) * np.pi * d[:, None] / 4.2) / d[:, None] * f[:, None]
    assert np.allclose(found.numpy(), expected, atol=1e-6)  # frequencies pass through float32
    assert np.allclose(envelope.numpy()[:, 0], f, atol=EXACT)
    assert not found[d > 4.2].any()


def test_bessel_functions_are_orthonormal_without_the_envelope():
    """∫ j_k j_l d² dd = δ_kl, the reason for the prefactor."""
    d = torch.linspace(1e-6, 4.2, 20001, dtype=torch.float64)[:, None]
    basis = BesselBasis(4.2, 5, 6).double()
    found, envelope = basis(d[:-1])
    plain = found / envelope * d[:-1]
    assert torch.allclose(plain.T @ plain * (4.2 / 20000), torch.eye(5, dtype=torch.float64), atol=1e-4)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_obey_the_addition_theorem(degree):
    a, b = unit_vectors(200, 1), unit_vectors(200, 2)
    y_a, y_b = spherical_harmonics(a, degree), spherical_harmonics(b, degree)
    assert y_a.shape == (200, (degree + 1) ** 2)
    cosine = (a * b).sum(1).numpy()
    for l_, part in enumerate(degree_slices(degree)):
        assert np.allclose((y_a[:, part] * y_b[:, part]).sum(1), eval_legendre(l_, cosine), atol=EXACT)


def test_harmonics_are_orthogonal_on_the_sphere():
    """Else the addition theorem could hold for mixed components too."""
    points = unit_vectors(200_000, 3)
    y = spherical_harmonics(points, 3)
    norms = torch.cat([torch.full((2 * k + 1,), 1 / (2 * k + 1)) for k in range(4)]).double()
    assert torch.allclose(y.T @ y / len(points), torch.diag(norms), atol=0.01)


def test_chebyshev_is_that_of_numpy_and_has_derivatives_at_the_ends():
    x = torch.linspace(-1, 1, 21, dtype=torch.float64)[:, None]
    assert np.allclose(chebyshev(x, 8), np.polynomial.chebyshev.chebvander(x[:, 0].numpy(), 7), atol=EXACT)
    for end in (-1.0, 1.0):  # T_n'(1) = n², T_n'(-1) = (-1)^(n+1) n²
        at = torch.full((1, 1), end, dtype=torch.float64, requires_grad=True)
        slopes = [torch.autograd.grad(chebyshev(at, 8)[0, n], at)[0].item() for n in range(1, 8)]
        assert slopes == pytest.approx([end ** (n + 1) * n * n for n in range(1, 8)])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_chebyshev_gives_as_many_as_asked(count):
    assert chebyshev(torch.zeros(4, 1), count).shape == (4, count)


class Neighbourhoods:
    """Random edges into four atoms of which one has none, and a density layer in float64."""

    def __init__(self, body_order: int, degree: int = 3) -> None:
        torch.manual_seed(4)
        self.layer = Density(5, 6, 3, degree, body_order).double()
        self.degree = degree
        self.dst = torch.tensor([0, 0, 0, 0, 1, 1, 3, 3, 3])
        self.src = torch.tensor([1, 2, 3, 1, 0, 2, 0, 1, 1])
        self.unit = unit_vectors(9, 5)
        self.basis = torch.randn(9, 6, dtype=torch.float64)
        self.envelope = torch.rand(9, 1, dtype=torch.float64)
        self.nodes = torch.randn(4, 5, dtype=torch.float64)

    def invariants(self, unit: torch.Tensor) -> torch.Tensor:
        harmonics = spherical_harmonics(unit, self.degree)
        where = slots(self.dst, 4)
        return self.layer(self.nodes, spokes(self.src, self.basis, self.envelope, where), to_table(harmonics, where))


@pytest.mark.parametrize("body_order", [3, 4, 5])
def test_density_invariants_do_not_change_under_rotation_and_reflection(body_order):
    n = Neighbourhoods(body_order)
    before = n.invariants(n.unit)
    assert before.shape == (4, n.layer.outputs)
    assert before[0].abs().min() > 1e-6, "an invariant that is always zero tests nothing"
    for seed in range(4):
        turn = torch.from_numpy(Rotation.random(random_state=seed).as_matrix()) * (-1) ** seed
        assert torch.allclose(n.invariants(n.unit @ turn), before, atol=CLOSE)


def test_density_sums_are_those_over_pairs_of_edges():
    """Σ_m q s = Σ_{e,e'} radial_e radial_e' P_l(cos θ_ee'): the line graph's sum, written out."""
    n = Neighbourhoods(3)
    layer = n.layer
    weight = n.envelope * layer.element(n.nodes)[n.src] * layer.radial(n.basis)
    found = n.invariants(n.unit).reshape(4, n.degree + 1, 3)
    for atom in range(4):
        into = (n.dst == atom).nonzero()[:, 0].tolist()
        for degree in range(n.degree + 1):
            expected = torch.zeros(3, dtype=torch.float64)
            for one in into:
                for other in into:
                    legendre = eval_legendre(degree, float(n.unit[one] @ n.unit[other]))
                    left = weight[one] @ layer.mix_left[degree]
                    expected += left * (weight[other] @ layer.mix_right[degree]) * legendre
            assert torch.allclose(found[atom, degree], expected, atol=EXACT)


def test_coupled_densities_turn_like_densities():
    """(q⊗q) of rotated vectors has the same length for every l: it is a density again."""
    left, right, triple = coupling(3)
    parts = [slice(p.start - 1, p.stop - 1) for p in degree_slices(3)[1:]]

    def lengths(unit):
        q = spherical_harmonics(unit, 3).sum(0)
        square = triple @ (q[left] * q[right])
        return torch.stack([square[p].square().sum() for p in parts])

    points = unit_vectors(5, 6)
    turn = torch.from_numpy(Rotation.random(random_state=7).as_matrix())
    assert torch.allclose(lengths(points), lengths(points @ turn), atol=EXACT)
    assert lengths(points).min() > 1e-6


def test_coupling_is_exact_after_a_visit_to_float32():
    layer = Density(5, 6, 3, 3, 4)
    assert layer.triple.dtype == torch.float32
    assert torch.equal(layer.float().double().triple, coupling(3)[2])


def test_gated_convolution_is_its_formula():
    torch.manual_seed(8)
    conv = GatedConvolution(4, 3, 5, gate=True).double()
    nodes = torch.randn(3, 4, dtype=torch.float64)
    basis, envelope = torch.randn(4, 3, dtype=torch.float64), torch.rand(4, 1, dtype=torch.float64)
    src, dst = torch.tensor([1, 2, 0, 1]), torch.tensor([0, 0, 1, 2])
    heard = torch.zeros(3, 5, dtype=torch.float64)
    for e in range(4):
        gate = conv.gate_src(nodes[src[e]]) + conv.gate_dst(nodes[dst[e]]) + conv.gate_edge(basis[e])
        heard[dst[e]] += envelope[e] * gate.sigmoid() * conv.value(nodes[src[e]]) * conv.filter(basis[e])
    expected = torch.nn.functional.silu(conv.own(nodes) + conv.out(heard))
    assert torch.allclose(conv(nodes, spokes(src, basis, envelope, slots(dst, 3))), expected, atol=EXACT)


def test_standardize_takes_its_constants_once():
    layer = Standardize(3).double()
    values = torch.randn(50, 3, dtype=torch.float64) * torch.tensor([1.0, 20.0, 0.5]) + 7
    layer.observing = True
    seen = layer(values)
    layer.observing = False
    assert torch.allclose(seen.mean(0), torch.zeros(3).double(), atol=CLOSE)
    assert torch.allclose(seen.std(0), torch.ones(3).double(), atol=0.02)
    assert torch.equal(layer(values[:1]), seen[:1]), "a row depends on the others"


def test_standardize_does_not_blow_up_a_feature_that_never_varies():
    layer = Standardize(2).double()
    values = torch.stack([torch.randn(40), torch.full((40,), 3.0)], dim=1).double()
    layer.observing = True
    layer(values)
    assert float(layer.scale[1]) > 1e-4 * float(layer.scale[0])


@pytest.mark.parametrize("rows", [0, 1])
def test_standardize_learns_nothing_from_less_than_two_rows(rows):
    layer = Standardize(2)
    layer.observing = True
    layer(torch.ones(rows, 2))
    assert torch.equal(layer.scale, torch.ones(2)) and not layer.mean.any()

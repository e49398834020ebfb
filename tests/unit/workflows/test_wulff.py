"""Wulff shapes are the bodies of solid geometry."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.surface_slabs import cuts, distinct_planes, family, lattice_of, slab, unit_normals
from alignn_ff.workflows.wulff import part_of_area, wulff_shape

CUBIC = lattice_of(bulk("Cu", a=3.6), 0.01)


def body(**energies):
    """Shape of families such as h111=1.0, and the family of each facet."""
    normals = [unit_normals(CUBIC, tuple(int(digit) for digit in name[1:])) for name in energies]
    owners = np.repeat(np.arange(len(normals)), [len(part) for part in normals])
    return wulff_shape(np.concatenate(normals), np.array(list(energies.values()))[owners]), owners


def test_a_cube():
    shape, _ = body(h100=1.0)
    assert len(shape.corners) == 8 and np.allclose(np.abs(shape.corners), 1.0)
    assert shape.volume == pytest.approx(8.0) and shape.areas == pytest.approx(np.full(6, 4.0))
    assert shape.shape_factor == pytest.approx(6.0)


def test_the_truncated_octahedron_with_equal_edges():
    """Edge a: squares at a·√2 from the centre, hexagons at a·√6/2; volume 8√2 a³, area (6 + 12√3) a²."""
    edge = 0.7
    shape, owners = body(h100=edge * np.sqrt(2), h111=edge * np.sqrt(6) / 2)
    assert len(shape.corners) == 24
    assert shape.volume == pytest.approx(8 * np.sqrt(2) * edge**3)
    assert shape.areas.sum() == pytest.approx((6 + 12 * np.sqrt(3)) * edge**2)
    assert part_of_area(shape, owners, 2)[0] == pytest.approx(6 / (6 + 12 * np.sqrt(3)))
    assert sorted({len(facet) for facet in shape.facets}) == [4, 6]
    lengths = [
        np.linalg.norm(shape.corners[f[i]] - shape.corners[f[i - 1]]) for f in shape.facets for i in range(len(f))
    ]
    assert lengths == pytest.approx([edge] * len(lengths))


def test_a_rhombic_dodecahedron_and_what_does_not_appear():
    """{100} beyond √2 of {110} touches the body at most in corners."""
    shape, owners = body(h110=1.0, h100=1.5)
    assert len(shape.corners) == 14 and shape.volume == pytest.approx(16 / (2 * np.sqrt(2)), rel=1e-6)
    assert part_of_area(shape, owners, 2) == pytest.approx([1.0, 0.0])
    assert all(facet == () for facet, owner in zip(shape.facets, owners, strict=True) if owner == 1)


def test_equal_energies_have_the_symmetry_of_the_crystal():
    shape, _ = body(h100=1.0, h110=1.0, h111=1.0)
    for rotation in ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 1]]):
        turned = shape.corners @ np.array(rotation)
        nearest = np.linalg.norm(turned[:, None] - shape.corners[None], axis=2).min(axis=1)
        assert nearest.max() < 1e-9
    assert np.linalg.norm(shape.corners, axis=1).min() > 1.0
    assert 4 * np.pi / 3 < shape.volume < 1.2 * 4 * np.pi / 3


def test_the_weighted_energy_is_least_for_the_wulff_shape():
    """Any other body of the same facets, e.g. of other distances, costs more at its volume."""
    energies = {"h100": 1.3, "h110": 1.35, "h111": 1.1}
    shape, owners = body(**energies)
    gamma = np.array(list(energies.values()))[owners]
    cost = shape.areas @ gamma / shape.volume ** (2 / 3)
    for change in (0.9, 1.1):
        for name in energies:
            other, _ = body(**(energies | {name: energies[name] * change}))
            assert other.areas @ gamma / other.volume ** (2 / 3) > cost - 1e-9


def test_facets_that_do_not_enclose_a_body_are_refused():
    lattice = lattice_of(bulk("Mg"), 0.01)
    basal = unit_normals(lattice, (0, 0, 1))
    with pytest.raises(ConfigError, match="enclose"):
        wulff_shape(basal, np.ones(len(basal)))
    half = unit_normals(CUBIC, (1, 1, 1))
    with pytest.raises(ConfigError, match="enclose"):
        wulff_shape(half[half[:, 2] > 0], np.ones(4))
    with pytest.raises(ConfigError, match="not positive"):
        wulff_shape(half, np.full(8, -1.0))


def test_families_of_cubic_planes():
    assert distinct_planes(CUBIC, 1) == [(1, 0, 0), (1, 1, 0), (1, 1, 1)]
    assert set(distinct_planes(CUBIC, 2)) == {(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0), (2, 1, 1), (2, 2, 1)}
    assert [len(family(CUBIC, hkl)) for hkl in ((1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 0))] == [6, 12, 8, 24]


def test_families_of_hexagonal_planes():
    lattice = lattice_of(bulk("Mg"), 0.01)
    planes = distinct_planes(lattice, 1)
    assert len(family(lattice, (0, 0, 1))) == 2 and len(family(lattice, (1, 0, 0))) == 6
    assert {(1, 0, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (1, 1, 1)} == set(planes)


@pytest.mark.parametrize(
    ("atoms", "miller", "terminations", "symmetric"),
    [
        (bulk("Cu", a=3.6), (1, 1, 1), 1, [True]),
        (bulk("Si"), (1, 1, 1), 2, [True, True]),  # shuffle and glide
        (bulk("Si"), (1, 0, 0), 1, [True]),
        (bulk("NaCl", "rocksalt", a=5.64), (1, 0, 0), 1, [True]),
        (bulk("NaCl", "rocksalt", a=5.64), (1, 1, 1), 1, [False]),  # Na on one face, Cl on the other
        (bulk("ZnS", "zincblende", a=5.41), (1, 1, 0), 1, [True]),
        (bulk("Mg"), (1, 0, 0), 2, [True, True]),  # prism planes: short and long way to the next layer
        (bulk("Mg"), (0, 0, 1), 1, [True]),
    ],
)
def test_terminations_that_crystallography_knows(atoms, miller, terminations, symmetric):
    found = cuts(lattice_of(atoms, 0.01), miller)
    assert [cut.symmetric for cut in found] == symmetric and len(found) == terminations


@pytest.mark.parametrize(("miller", "area"), [((1, 1, 1), np.sqrt(3) / 4), ((1, 0, 0), 0.5), ((1, 1, 0), np.sqrt(0.5))])
def test_slabs_have_the_smallest_cell_and_the_density_of_the_crystal(miller, area):
    (cut,) = cuts(CUBIC, miller)
    atoms = slab(CUBIC, cut, thickness_a=10.0, vacuum_a=12.0)
    assert np.linalg.norm(np.cross(*atoms.cell[:2])) == pytest.approx(area * 3.6**2)
    assert len(atoms) * 3.6**3 / 4 == pytest.approx(area * 3.6**2 * len(atoms) * cut.period_a)
    heights = np.sort(atoms.positions[:, 2])
    assert np.diff(heights) == pytest.approx(np.full(len(atoms) - 1, cut.period_a))
    assert atoms.cell[2, 2] - np.ptp(heights) == pytest.approx(12.0) and abs(atoms.cell[2, :2]).max() < 1e-12
    distances = (atoms * (3, 3, 1)).get_all_distances(mic=True)
    inner = int(len(atoms) // 2)
    assert np.sort(distances[inner])[1:13] == pytest.approx(np.full(12, 3.6 / np.sqrt(2)))

"""What a family of structures begins with."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.distill.packing import random_molecule, random_packing
from alignn_ff.distill.palette import Palette, decorated, mixed, resized
from alignn_ff.distill.perturb import enlarged, rattled
from alignn_ff.distill.prototypes import build_prototype, fitting_prototypes
from alignn_ff.distill.settings import DistillSettings


class Material(NamedTuple):
    """All that families are made of; with the number of one, this decides what it will be.

    Attributes:
        settings: of the sampling.
        palette: elements to draw from.
        given: the user's structures, each with the name of its source.
    """

    settings: DistillSettings
    palette: Palette
    given: tuple[tuple[str, Atoms], ...] = ()


class Start(NamedTuple):
    """The first structure of a family: where it comes from, and which kind it is.

    `kind` is "crystal", "disordered" or, for what is not periodic in three directions, "open".
    """

    atoms: Atoms
    source: str
    kind: str


def begin(number: int, material: Material, rng: np.random.Generator) -> Start:
    """The start of family `number`: first come the given structures as they are, then random draws."""
    settings, palette, given = material
    if number < len(given):
        source, atoms = given[number]
        return Start(atoms, source, "crystal" if atoms.pbc.all() else "open")
    draw = rng.random()
    alike = bool(rng.random() < settings.alike_share)
    if draw < settings.molecule_share:
        return Start(random_molecule(palette, rng, alike=alike), "molecule", "open")
    draw -= settings.molecule_share
    if draw < settings.disordered_share:
        return Start(random_packing(palette, settings.max_atoms, rng), "disordered", "disordered")
    return _crystal(material, rng, alike=alike, mix=draw - settings.disordered_share < settings.mixed_share)


def _crystal(material: Material, rng: np.random.Generator, *, alike: bool, mix: bool) -> Start:
    """A prototype or a given crystal with new elements, resized for them and slightly rattled."""
    settings, palette, _ = material
    source, atoms = _model(material, rng)
    atoms = decorated(atoms, palette, rng, alike=alike)
    if mix:
        atoms = mixed(enlarged(atoms, 8, settings.max_atoms), palette, rng)
    return Start(rattled(resized(atoms, rng.uniform(0.92, 1.15)), 0.02, rng), source, "crystal")


def _model(material: Material, rng: np.random.Generator) -> tuple[str, Atoms]:
    """A prototype or a given crystal, small enough and with no more elements than the palette."""
    elements, largest = len(material.palette.symbols), material.settings.max_atoms
    names = fitting_prototypes(elements, largest)
    given = [
        (source, atoms)
        for source, atoms in material.given
        if atoms.pbc.all() and len(atoms) <= largest and len(set(atoms.symbols)) <= elements
    ]
    place = int(rng.integers(len(names) + len(given)))
    return (names[place], build_prototype(names[place])) if place < len(names) else given[place - len(names)]

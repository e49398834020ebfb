"""Crystals whose forms new compounds take: `prototypes.py GIVEN.extxyz OUTPUT.extxyz`, in an environment with pymatgen.

AFLOW prototypes of at most 14 atoms in their primitive cell, and of each family of perovskite and carbon crystals in
GIVEN the relaxed one.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path

import pymatgen.analysis.prototypes
from ase import Atoms
from ase.io import read, write
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor

from alignn_ff.pretrained import load_potential

LARGEST = 14
FORMS = ("perovskite", "carbon")


def aflow() -> list[Atoms]:
    folder = Path(pymatgen.analysis.prototypes.__file__).parent
    with gzip.open(next(folder.glob("aflow*"))) as file:
        structures = [Structure.from_dict(entry["snl"]).get_primitive_structure() for entry in json.load(file)]
    return [AseAtomsAdaptor.get_atoms(s) for s in structures if len(s) <= LARGEST and s.is_ordered]


def relaxed(given: str) -> list[Atoms]:
    frames = [a for a in read(given, index=":") if a.info["tag"] == "relaxed" and a.info["source"] in FORMS]
    first = {frame.info["seed"]: frame for frame in reversed(frames) if len(frame) <= LARGEST}
    return list(first.values())


def bare(atoms: Atoms) -> Atoms:
    return Atoms(atoms.symbols, positions=atoms.positions.round(6), cell=atoms.cell[:].round(6), pbc=True)


if __name__ == "__main__":
    known = set(load_potential("universal").potential.elements)
    crystals = [bare(atoms) for atoms in aflow() + relaxed(sys.argv[1]) if set(atoms.symbols) <= known]
    write(sys.argv[2], crystals)
    print(len(crystals), "crystals")

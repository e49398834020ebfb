"""Elements in their lattices and common compounds, for `alignn-ff distill --seeds`: `known_crystals.py OUTPUT`."""

from __future__ import annotations

import sys
from itertools import product

from ase import Atoms
from ase.io import write

from alignn_ff.distill.palette import resized
from alignn_ff.distill.prototypes import build_prototype
from alignn_ff.pretrained import load_potential

LATTICES = ("bcc", "fcc", "hcp")

AT_HOME = {
    "diamond": "C Si Ge Sn",
    "sc": "P As Sb Bi Se Te",
    "graphite": "C",
    "white-tin": "Sn",
    "arsenic": "P As Sb Bi",
    "dhcp": "La Ce Pr Nd",
    "black-phosphorus": "P",
}

# Prototype of alignn_ff.distill.prototypes: elements of its first / second / third site.
COMPOUNDS = {
    "rocksalt": (
        "Li Na K Rb Cs Ag / F Cl Br I H",
        "Mg Ca Sr Ba Cd Zn / O S Se Te",
        "Sc Y La Ti Zr Hf V Nb Ta Cr Mo W / C N",
        "Mn Fe Co Ni Eu Yb / O S Se",
        "Pb Sn Ge / S Se Te",
        "Sc Y La Ce Pr Nd Sm Gd Tb Dy Ho Er Lu Th U / N P As Sb",
    ),
    "zincblende": ("B Al Ga In / N P As Sb", "Be Mg Zn Cd Hg Mn / O S Se Te", "Si Ge / C", "Cu Ag / Cl Br I"),
    "wurtzite": ("B Al Ga In / N", "Be Mg Zn Cd / O S Se", "Si / C", "Ag / I"),
    "caesium-chloride": (
        "Cs Rb Tl / Cl Br I",
        "Ni Fe Co Ru Rh Ti / Al Ga",
        "Cu Ag Au / Zn Mg Be Y Sc",
        "Ti Zr Hf / Fe Co Ni Ru Os Pt",
    ),
    "nickel-arsenide": ("Fe Co Ni Cr Mn Ti V / S Se Te As Sb",),
    "boron-nitride": ("B / N",),
    "fluorite": ("Ca Sr Ba Cd Pb Mg / F Cl", "Ce Th U Zr Hf Pu / O", "Ni Co / Si", "Al Ga In / Au Pt"),
    "antifluorite": ("O S Se Te / Li Na K Rb", "C Si Ge Sn Pb / Mg Be"),
    "rutile": ("Ti Sn Mn V Ru Ir Cr Mo W Nb Re Os Ge Pb Si / O", "Mg Zn Ni Co Fe Mn / F"),
    "pyrite": ("Fe Co Ni Ru / S Se",),
    "cadmium-iodide": ("Ti Zr Hf Pt Sn / S Se Te", "Mg Ca Mn Fe Co Cd Pb / I Br Cl"),
    "molybdenite": ("Mo W Nb Ta / S Se Te",),
    "aluminium-boride": ("Mg Al Ti Zr Hf V Nb Ta Cr Sc Y / B",),
    "copper3-gold": (
        "Al Ga In Ge Sn Ti Pt Mn Zr Sc / Ni Pt Co Cu",
        "Sc Y Zr Yb Er Ti Li / Al",
        "Au Pt Pd / Cu Fe Cr Mn",
    ),
    "corundum": ("Al Cr Fe Ti V Ga In / O",),
    "cuprite": ("O / Cu Ag",),
    "calcium-boride": ("Ca Sr Ba La Y / B",),
    "perovskite": (
        "Sr Ba Ca Pb / Ti Zr Hf Sn / O",
        "K Na / Nb Ta / O",
        "La Y Bi / Al Mn Fe Co Cr Ga Ni Sc V Ti / O",
        "K Na Rb Cs / Mg Zn Mn Ca / F",
        "Cs Rb / Pb Sn Ge / Cl Br I",
        "N C / Al In Sn / Mn Ca",
    ),
    "heusler": ("Al Ga Si Ge Sn In / Mn Ti V Cr Fe / Co Ni Cu Fe",),
    "half-heusler": ("Ti Zr Hf / Sn Pb / Ni Pd Pt", "Ti Zr V Nb / Sb / Co Fe", "Li / As P / Zn Mg Cd"),
    "spinel": ("Mg Zn Fe Co Li / Al Cr Fe Mn Ga Ti / O S",),
    "layered-oxide": ("Co Ni Mn Ti Fe / Li Na / O",),
}


def decorated(prototype: str, elements: tuple[str, ...]) -> Atoms:
    """The prototype with these elements, its closest pair at the sum of the covalent radii."""
    atoms = build_prototype(prototype)
    new = dict(zip(dict.fromkeys(atoms.symbols), elements, strict=True))
    atoms.symbols = [new[symbol] for symbol in atoms.symbols]
    return resized(atoms, 1.0)


def combinations(sites: str) -> list[tuple[str, ...]]:
    chosen = product(*(site.split() for site in sites.split("/")))
    return [elements for elements in chosen if len(set(elements)) == len(elements)]


def known_crystals() -> list[Atoms]:
    symbols = load_potential("universal").potential.elements
    asked = [(lattice, (symbol,)) for symbol in symbols for lattice in LATTICES]
    asked += [(lattice, (symbol,)) for lattice, at_home in AT_HOME.items() for symbol in at_home.split()]
    asked += [
        (prototype, elements)
        for prototype, groups in COMPOUNDS.items()
        for sites in groups
        for elements in combinations(sites)
    ]
    return [decorated(prototype, elements) for prototype, elements in asked]


if __name__ == "__main__":
    crystals = known_crystals()
    write(sys.argv[1], crystals)
    print(len(crystals), "crystals")

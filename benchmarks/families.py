"""Families of the periodic table that errors are reported by."""

from __future__ import annotations

from collections.abc import Iterable

FAMILIES = {
    "alkali": "Li Na K Rb Cs Fr",
    "alkaline earth": "Be Mg Ca Sr Ba Ra",
    "3d transition": "Sc Ti V Cr Mn Fe Co Ni Cu Zn",
    "4d transition": "Y Zr Nb Mo Tc Ru Rh Pd Ag Cd",
    "5d transition": "Hf Ta W Re Os Ir Pt Au Hg",
    "lanthanide": "La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu",
    "actinide": "Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr",
    "main-group metal": "Al Ga In Sn Tl Pb Bi Po",
    "metalloid": "B Si Ge As Sb Te",
    "nonmetal": "H C N O P S Se",
    "halogen": "F Cl Br I At",
    "noble gas": "He Ne Ar Kr Xe Rn",
}
"""Symbols of each family; every element up to lawrencium stands in one."""

FAMILY_OF = {symbol: family for family, symbols in FAMILIES.items() for symbol in symbols.split()}


def families_of(symbols: Iterable[str]) -> set[str]:
    """Every family that one of the symbols belongs to."""
    return {FAMILY_OF[symbol] for symbol in symbols}

"""Common crystal structures, each as the compound that gave it its name."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import NamedTuple

from ase import Atoms
from ase.spacegroup import crystal

# name | space group (origin choice 1, hexagonal axes) | a [b] [c] in Å | element and one position of each orbit.
# Structure types: Mehl et al., The AFLOW Library of Crystallographic Prototypes, Comput. Mater. Sci. 136, S1 (2017).
# Parameters are rounded: a sampler moves them anyway.
_TABLE = """
fcc                | 225 | 3.61            | Cu 0 0 0
bcc                | 229 | 3.16            | W 0 0 0
sc                 | 221 | 3.35            | Po 0 0 0
hcp                | 194 | 3.21 5.21       | Mg 1/3 2/3 1/4
dhcp               | 194 | 3.77 12.16      | La 0 0 0, La 1/3 2/3 1/4
diamond            | 227 | 5.43            | Si 0 0 0
white-tin          | 141 | 5.83 3.18       | Sn 0 0 0
arsenic            | 166 | 3.76 10.55      | As 0 0 0.227
graphite           | 194 | 2.46 6.71       | C 0 0 1/4, C 1/3 2/3 1/4
black-phosphorus   | 64  | 3.31 10.48 4.38 | P 0 0.102 0.081
rocksalt           | 225 | 5.64            | Na 0 0 0, Cl 1/2 1/2 1/2
caesium-chloride   | 221 | 4.12            | Cs 0 0 0, Cl 1/2 1/2 1/2
zincblende         | 216 | 5.41            | Zn 0 0 0, S 1/4 1/4 1/4
wurtzite           | 186 | 3.82 6.26       | Zn 1/3 2/3 0, S 1/3 2/3 3/8
nickel-arsenide    | 194 | 3.62 5.03       | Ni 0 0 0, As 1/3 2/3 1/4
boron-nitride      | 194 | 2.50 6.66       | B 1/3 2/3 1/4, N 1/3 2/3 3/4
litharge           | 129 | 3.98 5.02       | O 0 0 0, Pb 0 1/2 0.237
iron-silicide      | 198 | 4.49            | Fe 0.137 0.137 0.137, Si 0.842 0.842 0.842
iron-boride        | 62  | 5.50 2.95 4.06  | Fe 0.18 1/4 0.125, B 0.036 1/4 0.61
chromium-boride    | 63  | 2.97 7.86 2.93  | Cr 0 0.146 1/4, B 0 0.44 1/4
copper-gold        | 123 | 2.80 3.67       | Cu 0 0 0, Au 1/2 1/2 1/2
fluorite           | 225 | 5.46            | Ca 0 0 0, F 1/4 1/4 1/4
antifluorite       | 225 | 5.55            | O 0 0 0, Na 1/4 1/4 1/4
rutile             | 136 | 4.59 2.96       | Ti 0 0 0, O 0.305 0.305 0
anatase            | 141 | 3.78 9.51       | Ti 0 0 0, O 0 0 0.208
pyrite             | 205 | 5.42            | Fe 0 0 0, S 0.385 0.385 0.385
quartz             | 154 | 4.91 5.40       | Si 0.4697 0 2/3, O 0.4135 0.2669 0.7858
cadmium-iodide     | 164 | 4.24 6.84       | Cd 0 0 0, I 1/3 2/3 1/4
cadmium-chloride   | 166 | 3.85 17.46      | Cd 0 0 0, Cl 0 0 0.252
molybdenite        | 194 | 3.16 12.30      | Mo 1/3 2/3 1/4, S 1/3 2/3 0.621
aluminium-boride   | 191 | 3.01 3.26       | Al 0 0 0, B 1/3 2/3 1/2
cuprite            | 224 | 4.27            | O 0 0 0, Cu 1/4 1/4 1/4
cubic-laves        | 227 | 7.04            | Mg 0 0 0, Cu 5/8 5/8 5/8
molybdenum-silicide| 139 | 3.20 7.85       | Mo 0 0 0, Si 0 0 1/3
copper3-gold       | 221 | 3.75            | Au 0 0 0, Cu 0 1/2 1/2
aluminium3-titanium| 139 | 3.84 8.58       | Ti 0 0 0, Al 0 0 1/2, Al 0 1/2 1/4
nickel3-tin        | 194 | 5.29 4.25       | Sn 1/3 2/3 1/4, Ni 0.833 0.666 1/4
iron3-aluminium    | 225 | 5.79            | Al 0 0 0, Fe 1/2 1/2 1/2, Fe 1/4 1/4 1/4
chromium3-silicon  | 223 | 4.56            | Si 0 0 0, Cr 1/4 0 1/2
rhenium-oxide      | 221 | 3.75            | Re 0 0 0, O 1/2 0 0
lithium-nitride    | 191 | 3.65 3.88       | N 0 0 0, Li 1/3 2/3 0, Li 0 0 1/2
lanthanum-chloride | 176 | 7.48 4.36       | La 1/3 2/3 1/4, Cl 0.387 0.301 1/4
calcium-copper5    | 191 | 5.09 4.09       | Ca 0 0 0, Cu 1/3 2/3 0, Cu 1/2 0 1/2
calcium-boride     | 221 | 4.15            | Ca 0 0 0, B 0.207 1/2 1/2
corundum           | 167 | 4.76 12.99      | Al 0 0 0.352, O 0.306 0 1/4
lanthanum-oxide    | 164 | 3.94 6.13       | La 1/3 2/3 0.245, O 0 0 0, O 1/3 2/3 0.645
half-heusler       | 216 | 5.93            | Ti 0 0 0, Sn 1/2 1/2 1/2, Ni 1/4 1/4 1/4
heusler            | 225 | 5.95            | Al 0 0 0, Mn 1/2 1/2 1/2, Cu 1/4 1/4 1/4
perovskite         | 221 | 3.905           | Sr 0 0 0, Ti 1/2 1/2 1/2, O 1/2 1/2 0
layered-oxide      | 166 | 2.82 14.05      | Co 0 0 0, Li 0 0 1/2, O 0 0 0.26
delafossite        | 166 | 3.03 17.15      | Cu 0 0 0, Fe 0 0 1/2, O 0 0 0.107
chalcopyrite       | 122 | 5.29 10.42      | Cu 0 0 0, Fe 0 0 1/2, S 0.257 1/4 1/8
spinel             | 227 | 8.08            | Mg 0 0 0, Al 5/8 5/8 5/8, O 0.3874 0.3874 0.3874
calcite            | 167 | 4.99 17.06      | Ca 0 0 0, C 0 0 1/4, O 0.257 0 1/4
thorium-chromium2  | 139 | 4.04 10.58      | Th 0 0 0, Cr 0 1/2 1/4, Si 0 0 0.374
layered-perovskite | 139 | 4.01 13.08      | Ni 0 0 0, K 0 0 0.352, F 0 1/2 0, F 0 0 0.151
matlockite         | 129 | 4.11 7.24       | F 0 0 0, Pb 0 1/2 0.206, Cl 0 1/2 0.65
max-phase          | 194 | 3.06 13.60      | Ti 1/3 2/3 0.084, Al 1/3 2/3 3/4, C 0 0 0
iron-pnictide      | 129 | 4.03 8.74       | O 0 0 0, Fe 0 0 1/2, La 0 1/2 0.142, As 0 1/2 0.651
elpasolite         | 225 | 8.12            | Al 0 0 0, Na 1/2 1/2 1/2, K 1/4 1/4 1/4, F 0.22 0 0
"""


class Prototype(NamedTuple):
    """One row of the table.

    Attributes:
        space_group: number in the International Tables.
        cell: lengths in Å that the symmetry leaves free: a, then b, then c.
        sites: element and fractional coordinates of one atom of each orbit.
    """

    space_group: int
    cell: tuple[float, ...]
    sites: tuple[tuple[str, tuple[float, float, float]], ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Its elements, each once, in the order of the table."""
        return tuple(dict.fromkeys(element for element, _ in self.sites))


def _parse(line: str) -> tuple[str, Prototype]:
    name, group, cell, sites = (part.strip() for part in line.split("|"))
    orbits = []
    for site in sites.split(","):
        element, *coordinates = site.split()
        x, y, z = (float(Fraction(c)) for c in coordinates)
        orbits.append((element, (x, y, z)))
    return name, Prototype(int(group), tuple(map(float, cell.split())), tuple(orbits))


PROTOTYPES: dict[str, Prototype] = dict(_parse(line) for line in _TABLE.strip().splitlines())
"""Name -> prototype."""


@cache
def _primitive(name: str) -> Atoms:
    prototype = PROTOTYPES[name]
    symbols, positions = zip(*prototype.sites, strict=True)
    atoms = crystal(
        symbols,
        positions,
        spacegroup=prototype.space_group,
        cellpar=_cell_parameters(prototype),
        primitive_cell=True,
    )
    return Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)


def build_prototype(name: str) -> Atoms:
    """Primitive cell of the compound that named the structure, at about its experimental size."""
    return _primitive(name).copy()


@cache
def fitting_prototypes(max_elements: int, max_atoms: int) -> tuple[str, ...]:
    """Names of those with at most so many elements, and atoms in the primitive cell."""
    return tuple(
        name
        for name, prototype in PROTOTYPES.items()
        if len(prototype.elements) <= max_elements and len(_primitive(name)) <= max_atoms
    )


def _cell_parameters(prototype: Prototype) -> list[float]:
    """a, b, c in Å and α, β, γ in degrees, from the crystal system of the space group."""
    gamma = 120.0 if 143 <= prototype.space_group <= 194 else 90.0
    match prototype.cell:
        case (a,):
            lengths = (a, a, a)
        case (a, c):
            lengths = (a, a, c)
        case (a, b, c):
            lengths = (a, b, c)
    return [*lengths, 90.0, 90.0, gamma]

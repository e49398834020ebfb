"""What published ALIGNN models are told of an element."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from alignn_ff.errors import ConfigError
from alignn_ff.models.base import SYMBOLS
from alignn_ff.models.elements import COVALENT_RADII, descriptors

# CGCNN's table, Z = 1..100, as distributed with jarvis-tools (Xie, Grossman, Phys. Rev. Lett. 120, 145301, 2018). A
# letter says which class of a property the element is in, a being the first; "-" none. The properties: group (a: the
# f block), period, electronegativity, covalent radius, valence electrons, first ionisation energy, electron affinity,
# block, atomic volume.
_CLASSES = (19, 7, 10, 10, 12, 10, 10, 4, 10)
_CGCNN = (
    "baeaagfae sa-abj-ag bbbeabfad cbddbeaaa nbecceeba obfcdfgba pbhcegcbe qbibfggbe rbjbghjbe sb-bhi-be "
    "bcbfabfaf cccfbd-ae ncdeccfbc ocdeddgbd pcedeffbe qcfdffhbe rchdggjbf sc-dhh-bg bdahaafai cdbgbceag "
    "ddcfccece edceddecd fddeedfcc gddefdfcb hddegd-cb iddehdecb jdddidfcb kdedjdgcb ldddkdgcb mddele-cc "
    "nddeccfbd odeeddgbd pdeeeefbd qdfefehbe rdhdgfjbf sd-ehg-bh beaiaafaj cebhbceah decgccecf eecfdcfce "
    "fedfedfcd geeffdfcc heeegdfcc ieeehdgcc jefeidgcc keeelefcc leeekdgcc medele-cd nedfccebe oeefddgbe "
    "peefeegbf qeeefehbf regegfjbg segehfebi bfajaafaj cfbhbbeah afbgbcfdf afbgbcfdf afbgbbfdf afbgbchdf "
    "af-gbc-d- afbgbc-df af-gbcfdg afbgbc-df af-gbcgdf afcgbcfdf afcgbc-df afcgbc-df afcgbcgde af-gbcedg "
    "dfbgcbece efcfddecd ffcfedecd gfdefdfcc hfdegdecc ifeehegcc jfeeiegcc kfeejehcc lffekehcc mfdelf-ce "
    "nfdfccfbe ofdfddfbf pfdfedfbf qfeffehbf rfefgeib- sf-fhf-b- bgaiaafa- cgbhbbeai agbhbbfdf agcgbc-df "
    "agcgbc-de agdgbc-dd agcgbc-df agcgbc-d- ag-gbc-df ag-gbc-df ag-gbc-d- ag-gbc-d- ag-gbc-d- ag-gbc-d-"
).split()

WIDTHS = {"cgcnn": sum(_CLASSES), "atomic_number": 1, "basic": 11, "cfid": 438, "learnt": 30}
"""Numbers an element is given, by the name of the features."""

_LAST = {"cgcnn": len(_CGCNN), "atomic_number": 103, "basic": 103, "cfid": 103, "learnt": len(COVALENT_RADII)}
"""Highest atomic number that has them."""

_FROM_JARVIS = ("basic", "cfid")


def known_elements(name: str) -> list[str]:
    """Symbols of the elements that have features called `name`.

    Raises:
        ConfigError: see `atom_features`.
    """
    there = torch.isfinite(atom_features(name)).all(1)
    return [SYMBOLS[number] for number in range(1, len(there)) if there[number]]


def atom_features(name: str) -> Tensor:
    """Features by atomic number, [1 + highest atomic number, F]; row 0 is no element, NaN where one has none.

    "cgcnn" are 92 classes of the periodic table, each in or out; "atomic_number" is Z itself. "basic" are 11 numbers
    (Z, column, row, electronegativity, radius, s, p, d and f valence electrons, first ionisation energy, electron
    affinity) and "cfid" 438 descriptors (Choudhary et al., Phys. Rev. Materials 2, 083801, 2018), both raw and from
    jarvis-tools. "learnt" is this package's own, the first values of a table that is trained: 30 numbers, close for
    elements of close chemistry (`elements.descriptors`).

    Raises:
        ConfigError: jarvis-tools is needed and not installed.
    """
    if name in _FROM_JARVIS:
        return _jarvis_table(name).to(torch.get_default_dtype())
    numbers = torch.arange(_LAST[name] + 1, dtype=torch.get_default_dtype())
    if name == "atomic_number":
        return numbers.unsqueeze(1)
    if name == "learnt":
        return torch.cat([torch.zeros(1, WIDTHS[name]), descriptors(range(1, _LAST[name] + 1))])
    table = torch.zeros(len(numbers), WIDTHS[name])
    for number, code in enumerate(_CGCNN, start=1):
        start = 0
        for letter, classes in zip(code, _CLASSES, strict=True):
            if letter != "-":
                table[number, start + ord(letter) - ord("a")] = 1.0
            start += classes
    return table


@cache
def _jarvis_table(name: str) -> Tensor:
    try:
        from jarvis.core.specie import get_node_attributes
    except ImportError as error:
        raise ConfigError(
            f"atom_features `{name}` are those of jarvis-tools, which cannot be imported ({error}). Install it: "
            "pip install alignn-ff[jarvis]"
        ) from error
    rows = [[0.0] * WIDTHS[name]]
    rows += [[float(x) for x in get_node_attributes(SYMBOLS[z], atom_features=name)] for z in range(1, _LAST[name] + 1)]
    return torch.tensor(rows, dtype=torch.float64)

"""What a potential was trained on, and what of a structure lies outside it.

Measured in time linear in the edges of a connected graph:

- closest pairs: the shortest distance of two elements, and each element's in units of the covalent radii;
- coordination: neighbours of an atom, of whatever element;
- volume: of a cell, in units of its atoms' covalent spheres; among structures of the same elements it is a strain.
"""

from alignn_ff.domain.extent import Domain, from_facts, measure
from alignn_ff.domain.findings import Finding, Limits, outside

__all__ = ["Domain", "Finding", "Limits", "from_facts", "measure", "outside"]

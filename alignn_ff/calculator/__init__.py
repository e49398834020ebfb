"""Potentials behind ASE's calculator interface."""

from alignn_ff.calculator.ase import AlignnFFCalculator
from alignn_ff.calculator.committee import CommitteeCalculator

__all__ = ["AlignnFFCalculator", "CommitteeCalculator"]

"""Potentials behind ASE's calculator interface."""

from alignn_ff.calculator.ase import AlignnFFCalculator

__all__ = ["AlignnFFCalculator"]

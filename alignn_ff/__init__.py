"""ALIGNN force fields: `atoms.calc = AlignnFFCalculator()` and the trainer behind it.

Importing the package loads nothing heavy: torch, ASE and matplotlib come with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from alignn_ff._version import __version__

_PUBLIC = {
    "AlignnFFCalculator": "alignn_ff.calculator.ase",
    "AtomGraph": "alignn_ff.graph",
    "CommitteeCalculator": "alignn_ff.calculator.committee",
    "evaluate": "alignn_ff.evaluate",
    "load_potential": "alignn_ff.pretrained",
    "run_adsorption": "alignn_ff.workflows.adsorption",
    "load_property": "alignn_ff.pretrained",
    "predict_property": "alignn_ff.calculator.properties",
    "run_analysis": "alignn_ff.workflows.analysis",
    "run_arrhenius": "alignn_ff.workflows.arrhenius",
    "run_benchmark": "alignn_ff.workflows.benchmark",
    "run_conductivity": "alignn_ff.workflows.conductivity",
    "run_defect": "alignn_ff.workflows.defect",
    "run_elastic": "alignn_ff.workflows.elastic",
    "run_eos": "alignn_ff.workflows.eos",
    "run_formation": "alignn_ff.workflows.formation",
    "run_interface": "alignn_ff.workflows.interface",
    "run_md": "alignn_ff.workflows.md",
    "run_neb": "alignn_ff.workflows.neb",
    "run_melt_quench": "alignn_ff.workflows.melt_quench",
    "run_phonons": "alignn_ff.workflows.phonons",
    "run_qha": "alignn_ff.workflows.qha",
    "run_relax": "alignn_ff.workflows.relax",
    "run_relax_many": "alignn_ff.workflows.relax",
    "run_surface": "alignn_ff.workflows.surface",
    "run_vacancy": "alignn_ff.workflows.vacancy",
    "train": "alignn_ff.training",
}

__all__ = [*sorted(_PUBLIC), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'alignn_ff' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    return __all__

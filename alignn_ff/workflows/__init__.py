"""Jobs people run with a potential: each is one function of `ase.Atoms` and settings, and one command.

A workflow is one file and one line here. Its command is generated from the settings that its function takes.
"""

from __future__ import annotations

WORKFLOWS = {
    "relax": "alignn_ff.workflows.relax:run_relax",
    "md": "alignn_ff.workflows.md:run_md",
    "analysis": "alignn_ff.workflows.analysis:run_analysis",
    "arrhenius": "alignn_ff.workflows.arrhenius:run_arrhenius",
    "melt-quench": "alignn_ff.workflows.melt_quench:run_melt_quench",
    "eos": "alignn_ff.workflows.eos:run_eos",
    "elastic": "alignn_ff.workflows.elastic:run_elastic",
    "phonons": "alignn_ff.workflows.phonons:run_phonons",
    "qha": "alignn_ff.workflows.qha:run_qha",
    "conductivity": "alignn_ff.workflows.conductivity:run_conductivity",
    "vacancy": "alignn_ff.workflows.vacancy:run_vacancy",
    "defect": "alignn_ff.workflows.defect:run_defect",
    "surface": "alignn_ff.workflows.surface:run_surface",
    "interface": "alignn_ff.workflows.interface:run_interface",
    "neb": "alignn_ff.workflows.neb:run_neb",
    "formation": "alignn_ff.workflows.formation:run_formation",
    "adsorption": "alignn_ff.workflows.adsorption:run_adsorption",
    "check": "alignn_ff.workflows.check:run_check",
    "benchmark": "alignn_ff.workflows.benchmark:run_benchmark",
}
"""Name -> "module:function"; the first line of the module's docstring is the help of the command."""

WALKS = {"relax": "alignn_ff.workflows.relax:relaxing"}
"""Name -> "module:function" of those that go in lockstep, in pieces: see `lockstep.Walk`."""

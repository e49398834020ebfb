"""A teacher for `alignn-ff distill`: the universal potential TensorNet-MatPES-PBE of matgl (BSD-3).

In an environment that holds alignn_ff:

    pip install torch-geometric pymatgen lightning e3nn torchdata boto3 huggingface_hub
    pip install --no-deps matgl==2.0.4
    alignn-ff distill --teacher examples/teacher_matgl.py:make --elements Na,Mg,Al,O:3,Cl:2 --families 2000 \
        --workers 4 --output distilled

matgl looks the model up by name and downloads it once; MATGL_TEACHER names another one, or a folder that holds one.
The labels are PBE as the teacher learnt it: see Kaplan et al., A Foundational Potential Energy Surface Dataset for
Materials, 2025, for its errors. Cite it, and name the teacher with whatever you distil.
"""

from __future__ import annotations

import os
from typing import Any

from ase.build import bulk
from ase.calculators.calculator import Calculator

MODEL = "TensorNet-MatPES-PBE-v2025.1-PES"

NACL_EV_PER_ATOM = -3.358
"""Energy of NaCl at 5.70 Å by the model above, run with matgl 2.0.4."""


def make() -> Calculator:
    """The teacher, after a look at a compound whose energy is known.

    Raises:
        RuntimeError: another energy; newer versions of matgl (2.2.1, 4.1.2) load the file and mistake the elements.
    """
    os.environ.setdefault("MATGL_BACKEND", "PYG")
    import matgl
    import torch

    name = os.environ.get("MATGL_TEACHER", MODEL)
    calculator = _calculator(matgl.load_model(name))
    calculator.provenance = {"model": os.path.basename(name)}  # kept in provenance.json
    salt = bulk("NaCl", "rocksalt", a=5.70)
    salt.calc = calculator
    energy = salt.get_potential_energy() / len(salt)
    if abs(energy - NACL_EV_PER_ATOM) > 0.01:
        raise RuntimeError(
            f"NaCl has {energy:.3f} eV/atom with matgl {matgl.__version__} and torch {torch.__version__}; "
            f"{NACL_EV_PER_ATOM} was expected. Install matgl 2.0.4, or change MODEL and the number together."
        )
    return calculator


def _calculator(potential: Any) -> Calculator:
    """matgl's calculator, with the energies of the atoms: they teach a student more than their sum does."""
    from matgl.ext._ase_pyg import PESCalculator

    last: dict[str, Any] = {}

    class Sharing(PESCalculator):
        implemented_properties = (*PESCalculator.implemented_properties, "energies")

        def calculate(self, atoms, properties=None, system_changes=None):
            super().calculate(atoms, properties, system_changes)
            kinds = [potential.model.element_types.index(symbol) for symbol in atoms.symbols]
            references = potential.element_refs.property_offset[kinds]
            shares = potential.data_std * last["output"].detach().reshape(-1) + references
            self.results["energies"] = shares.double().numpy()

    potential.model.final_layer.register_forward_hook(lambda _layer, _input, output: last.update(output=output))
    return Sharing(potential, stress_unit="eV/A3")

"""Structures and potentials that the benchmarks compare; each peer is imported only when it is built."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from alignn_ff.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

TEMPERATURE = 600.0  # K
RATTLE = 0.06  # Å per component; uncorrelated, this holds about the potential energy of Si at 600 K
SEED = 7
OURS = "ours"  # what ratios refer to
TEACHER_VERSION = "2.0.4"  # of matgl; newer ones read the file and give wrong energies for every compound
TEACHER_VARIABLE = "TEACHER_WEIGHTS"


@dataclass(frozen=True)
class Setup:
    """How contenders are built; each reads what concerns it.

    Attributes:
        model: of this package, name or file; None for the default.
        device: "cpu", "cuda", ...
        dtype: precision of this package's models; the others compute in float32.
        teacher: folder of the teacher's weights; None looks into the environment variable TEACHER_WEIGHTS.
    """

    model: str | None = None
    device: str = "cpu"
    dtype: str = "float32"
    teacher: str | None = None


def _bulk(name: str, crystal: str, a: float, repeat: int) -> Atoms:
    """`repeat`³ conventional cells; lattice constant `a` in Å."""
    from ase.build import bulk

    return bulk(name, crystal, a=a, cubic=True) * (repeat, repeat, repeat)


STRUCTURES: dict[str, Callable[[], Atoms]] = {
    "si64": lambda: _bulk("Si", "diamond", 5.43, 2),
    "si512": lambda: _bulk("Si", "diamond", 5.43, 4),
    "cu500": lambda: _bulk("Cu", "fcc", 3.61, 5),
    "si216": lambda: _bulk("Si", "diamond", 5.43, 3),
    "nacl216": lambda: _bulk("NaCl", "rocksalt", 5.64, 3),
}


def thermal(atoms: Atoms) -> Atoms:
    """A copy of `atoms` displaced and moving as at 600 K, the same for every contender."""
    import numpy as np
    from ase.md.velocitydistribution import Stationary, force_temperature

    atoms = atoms.copy()
    atoms.rattle(RATTLE, seed=SEED)
    noise = np.random.default_rng(SEED).standard_normal((len(atoms), 3))
    atoms.set_velocities(noise / np.sqrt(atoms.get_masses())[:, None])  # Maxwell's, up to the scale
    Stationary(atoms)
    force_temperature(atoms, TEMPERATURE)
    return atoms


def ours(atoms: Atoms, setup: Setup) -> Calculator:
    """This package, its default neighbour skin."""
    from alignn_ff.calculator.ase import AlignnFFCalculator

    return AlignnFFCalculator(setup.model, device=setup.device, dtype=setup.dtype)


def ours_no_skin(atoms: Atoms, setup: Setup) -> Calculator:
    """This package, a fresh neighbour list every step."""
    from alignn_ff.calculator.ase import AlignnFFCalculator

    return AlignnFFCalculator(setup.model, device=setup.device, dtype=setup.dtype, skin=0.0)


def alignn(atoms: Atoms, setup: Setup) -> Calculator:
    """Upstream, 2 + 2 layers of 64, 5 Å, 12 neighbours, angles within 3.5 Å (its default); random weights."""
    return _upstream(setup.device, three_body_cutoff=3.5)


def alignn_all_angles(atoms: Atoms, setup: Setup) -> Calculator:
    """Upstream, 2 + 2 layers of 64, 5 Å, 12 neighbours, angles of all edges; random weights."""
    return _upstream(setup.device, three_body_cutoff=None)


def _upstream(device: str, three_body_cutoff: float | None) -> Calculator:
    """Upstream's calculator, reading a random-weight model from a folder as it reads a trained one. Å."""
    import torch
    from alignn.ff.calculators import AlignnAtomwiseCalculator
    from alignn.models.alignn_atomwise_pure import ALIGNNAtomWisePure, ALIGNNAtomWisePureConfig

    config = {
        "neighbor_strategy": "pure_torch",
        "cutoff": 5.0,
        "three_body_cutoff": three_body_cutoff,
        "max_neighbors": 12,
        "atom_features": "cgcnn",
        "use_canonize": True,
        "model": {
            "name": "alignn_atomwise_pure",
            "alignn_layers": 2,
            "gcn_layers": 2,
            "atom_input_features": 92,
            "embedding_features": 64,
            "hidden_features": 64,
        },
    }
    torch.manual_seed(SEED)
    model = ALIGNNAtomWisePure(ALIGNNAtomWisePureConfig(**config["model"]))
    with TemporaryDirectory() as folder:
        torch.save(model.state_dict(), Path(folder) / "best_model.pt")
        (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return AlignnAtomwiseCalculator(path=folder, device=torch.device(device))


def mace(atoms: Atoms, setup: Setup) -> Calculator:
    """MACE 128x0e, 6 Å, 2 layers, l = 3, correlation 3, float32; random weights."""
    from mace.calculators import MACECalculator

    return MACECalculator(models=_mace_model(atoms, r_max=6.0), device=setup.device, default_dtype="float32")


def _mace_model(atoms: Atoms, r_max: float) -> Any:
    """The command line's default MACE for the elements of `atoms` alone (its cheapest case); `r_max` in Å."""
    import numpy as np
    import torch
    from e3nn import o3
    from mace.modules import ScaleShiftMACE, interaction_classes

    numbers = sorted({int(z) for z in atoms.numbers})
    block = interaction_classes["RealAgnosticResidualInteractionBlock"]
    torch.manual_seed(SEED)
    return ScaleShiftMACE(
        r_max=r_max,
        num_bessel=8,
        num_polynomial_cutoff=5,
        max_ell=3,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps("128x0e"),
        MLP_irreps=o3.Irreps("16x0e"),
        atomic_energies=np.zeros(len(numbers)),
        avg_num_neighbors=len(atoms) / atoms.cell.volume * 4 / 3 * np.pi * r_max**3,
        atomic_numbers=numbers,
        correlation=3,
        gate=torch.nn.functional.silu,
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )


def chgnet(atoms: Atoms, setup: Setup) -> Calculator:
    """CHGNet 0.3.0, its trained weights, 6 Å, angles within 3 Å."""
    from chgnet.model import CHGNet
    from chgnet.model.dynamics import CHGNetCalculator

    model = CHGNet.load(model_name="0.3.0", use_device=setup.device, verbose=False)
    return CHGNetCalculator(model, use_device=setup.device)


def teacher(atoms: Atoms, setup: Setup) -> Calculator:
    """TensorNet-MatPES-PBE v2025.1 (matgl 2.0.4), its published weights, 5 Å, on the CPU."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("MATGL_BACKEND", "PYG")
    import matgl

    weights = setup.teacher or os.environ.get(TEACHER_VARIABLE)
    if weights is None or not Path(weights).is_dir():
        raise ConfigError(
            f"the teacher's weights are not in {weights or 'any known folder'}. Give their folder with --teacher or "
            f"in the environment variable {TEACHER_VARIABLE}."
        )
    if metadata.version("matgl") != TEACHER_VERSION:
        raise ConfigError(
            f"matgl {metadata.version('matgl')} misreads the teacher (wrong energies of compounds); install "
            f"matgl=={TEACHER_VERSION}."
        )
    from matgl.ext.ase import PESCalculator

    return PESCalculator(matgl.load_model(weights), stress_unit="eV/A3")


CONTENDERS: dict[str, Callable[[Atoms, Setup], Calculator]] = {
    OURS: ours,
    "ours-skin0": ours_no_skin,
    "teacher": teacher,
    "chgnet": chgnet,
    "mace": mace,
    "alignn": alignn,
    "alignn-all-angles": alignn_all_angles,
}


def kind(contender: str) -> str:
    """The row of `CONTENDERS` that a contender, such as "ours:my_model.safetensors", belongs to.

    Raises:
        ConfigError: no such row, or a model given to one of another package.
    """
    name, _, model = contender.partition(":")
    if name not in CONTENDERS:
        raise ConfigError(
            f"contender {name!r} is unknown{did_you_mean(name, CONTENDERS)}; known are {', '.join(CONTENDERS)}."
        )
    if model and not name.startswith(OURS):
        raise ConfigError(f"contender {contender!r}: only ours can be given a model, as in ours:my_model.safetensors.")
    return name


def build(contender: str, atoms: Atoms, setup: Setup) -> Calculator:
    """The calculator of a contender: a row of `CONTENDERS`, ours also with a model behind a colon.

    Args:
        atoms: what will be computed; a potential with random weights is made for its elements.
    Raises:
        ConfigError: as in `kind`, or the teacher's weights are missing.
        ModuleNotFoundError: its package is not installed.
    """
    make = CONTENDERS[kind(contender)]
    with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # peers' deprecation notes; their errors still end the run
        return make(atoms, replace(setup, model=contender.partition(":")[2] or setup.model))

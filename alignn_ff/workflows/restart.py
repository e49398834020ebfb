"""The state of a molecular-dynamics run on disk, from which it goes on as if never broken off."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ase
import numpy as np
from ase import Atoms
from ase.io.jsonio import encode
from numpy.typing import NDArray

from alignn_ff.errors import CheckpointError, ConfigError
from alignn_ff.files import atomic_path, discard_drafts
from alignn_ff.io import EXTRA_FEATURES

if TYPE_CHECKING:
    from alignn_ff.workflows.md_settings import MDSettings

STATE = "restart.npz"
FORMAT = 1

Origin = Mapping[str, Any]
"""What makes a run that run: its settings, structure, calculator, and the ASE whose integrator steps it."""


class State(NamedTuple):
    """Everything that the steps to come depend on, besides the origin of the run."""

    step: int
    """The last one taken; -1 before the first was looked at."""
    arrays: Mapping[str, NDArray]
    """Positions, momenta, cell and results of that step, and the variables of the integrator."""
    random: Mapping[str, Any]
    """State of the random numbers."""
    sizes: Mapping[str, int]
    """Length of each growing file: bytes, or frames of one in HDF5."""
    seconds: float
    """Time spent so far."""


def origin_of(atoms: Atoms, settings: MDSettings) -> Origin:
    """The origin of a run of `atoms`, as JSON knows it."""
    return {
        "format": FORMAT,
        "ase": ase.__version__,
        "settings": json.loads(json.dumps(asdict(settings))),
        "structure": structure_digest(atoms),
        "calculator": calculator_identity(atoms.calc),
    }


def calculator_identity(calc: Any) -> dict[str, str | None]:
    """What tells one calculator from another: its class, and of a model the checksum of its weights and its dtype."""
    stated = getattr(calc, "provenance", {})
    return {
        "class": f"{type(calc).__module__}.{type(calc).__qualname__}",
        "sha256": stated.get("sha256"),
        "dtype": stated.get("dtype"),
    }


def write_state(folder: Path, origin: Origin, state: State) -> None:
    """`restart.npz` in `folder`, whole or not at all."""
    record = {"origin": origin, "random": state.random, **_plain(state)}
    with atomic_path(folder / STATE) as draft:
        np.savez(draft, record=np.array(json.dumps(record)), **state.arrays)  # type: ignore[arg-type]


def read_state(folder: Path, origin: Origin) -> State | None:
    """The state of the run in `folder`; None where nothing was begun there.

    Raises:
        CheckpointError: files, but no state to go on from; or a damaged one.
        ConfigError: the run there has another origin; the message says what differs.
    """
    path = folder / STATE
    discard_drafts(path)
    if not path.exists():
        if folder.is_dir() and any(folder.iterdir()):
            raise CheckpointError(
                f"{folder} holds files, but no {STATE} to go on from. Leave out --resume, or choose another folder."
            )
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        record = json.loads(str(arrays.pop("record")))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged ({error}). Start the run anew with --overwrite.") from error
    _require_same(record["origin"], origin, folder)
    return State(record["step"], arrays, record["random"], record["sizes"], record["seconds"])


def _plain(state: State) -> dict[str, Any]:
    return {"step": state.step, "sizes": dict(state.sizes), "seconds": state.seconds}


def structure_digest(atoms: Atoms) -> str:
    """SHA-256 of all that distinguishes one start from another, what calculators are told beside positions included."""
    parts = [atoms.numbers, atoms.positions, atoms.cell[:], atoms.pbc, atoms.get_momenta(), atoms.get_masses()]
    told = (atoms.get_initial_magnetic_moments(), atoms.get_initial_charges(), atoms.info.get(EXTRA_FEATURES, 0.0))
    parts += [np.append(place, value) for place, value in enumerate(told) if np.any(value)]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes())
    digest.update(encode([constraint.todict() for constraint in atoms.constraints]).encode())
    return digest.hexdigest()


def _require_same(then: Origin, now: Origin, folder: Path) -> None:
    for what in ("format", "ase", "structure", "calculator"):
        if then[what] != now[what]:
            seen = "" if what == "structure" else f" ({then[what]}, now {now[what]})"
            raise ConfigError(f"the run in {folder} has another {what}{seen}; go on with the one it was begun with.")
    changed = [
        f"{name} = {then['settings'].get(name)!r}, now {value!r}"
        for name, value in now["settings"].items()
        if then["settings"].get(name) != value
    ]
    if changed:
        raise ConfigError(
            f"the run in {folder} was begun with other settings: {'; '.join(changed)}. Go on with those it has, or "
            "start another run from its final.extxyz."
        )

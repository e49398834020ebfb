"""One deployable file: weights as safetensors, everything else as JSON in its header. No pickle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from alignn_ff._version import __version__
from alignn_ff.device import DTYPES
from alignn_ff.errors import CheckpointError
from alignn_ff.files import atomic_path
from alignn_ff.models import PROPERTY_MODELS, GraphModel, Potential, PropertyModel, build, build_property

FORMAT_VERSION = 1

_HEADER = "alignn_ff"
_UNITS = {"energy": "eV", "length": "Å", "stress": "eV/Å³, positive in tension"}


class Checkpoint(NamedTuple):
    """A potential and what is known of it.

    Attributes:
        potential: on the CPU, in evaluation mode, in the precision it was saved in.
        facts: free JSON: training data, settings, metrics, citation, licence.
        sha256: of the file.
    """

    potential: Potential
    facts: dict[str, Any]
    sha256: str


class PropertyCheckpoint(NamedTuple):
    """A property model and what is known of it; as `Checkpoint`."""

    model: PropertyModel
    facts: dict[str, Any]
    sha256: str


def save_checkpoint(path: str | Path, model: Potential | PropertyModel, facts: Mapping[str, Any] | None = None) -> None:
    """Write a potential or a property model with its `facts` (JSON-able), whole or not at all.

    Raises:
        OutputWriteError: full disk, no permission.
    """
    header = {
        "format_version": FORMAT_VERSION,
        "written_by": f"alignn-ff {__version__}",
        "config": model.config,
        "elements": list(model.elements),
        "cutoff": model.cutoff,
        "dtype": str(model.dtype).removeprefix("torch."),
        **_about(model),
        "facts": dict(facts or {}),
    }
    tensors = {name: t.detach().cpu().contiguous() for name, t in model.state_dict().items()}
    with atomic_path(path) as draft:
        try:
            save_file(tensors, draft, metadata={_HEADER: json.dumps(header)})
        except SafetensorError as error:  # how safetensors reports a failed write
            raise OSError(str(error)) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a potential that `save_checkpoint` wrote.

    Raises:
        CheckpointError: no such file, another kind of file, damaged, another format version, weights missing; or a
            property model.
    """
    return Checkpoint(*_load(Path(path), _potential))


def load_property_checkpoint(path: str | Path) -> PropertyCheckpoint:
    """Read a property model that `save_checkpoint` wrote.

    Raises:
        CheckpointError: see `load_checkpoint`; or a potential.
    """
    return PropertyCheckpoint(*_load(Path(path), _property))


def _load(path: Path, make: Callable[[dict[str, Any], Path], Any]) -> tuple[Any, dict[str, Any], str]:
    """Model, facts and checksum of a file."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such model file.")
    header, tensors = _read(path)
    version = header.get("format_version")
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{path}: has format version {version}; this alignn-ff {__version__} reads version {FORMAT_VERSION}. "
            "Update alignn-ff to read it."
        )
    absent = {"config", "dtype", "facts"} - set(header)
    if absent or header["dtype"] not in DTYPES:
        raise CheckpointError(
            f"{path}: its header lacks a valid {', '.join(sorted(absent)) or 'dtype'}; it is damaged."
        )
    model = make(header["config"], path).to(DTYPES[header["dtype"]]).eval()
    _load_weights(model, tensors, path)
    return model, header["facts"], file_sha256(path)


def _potential(config: dict[str, Any], path: Path) -> Potential:
    if config.get("name") in PROPERTY_MODELS:
        what = build_property(config).predicts
        raise CheckpointError(
            f"{path}: predicts {what}; it is a property model and has no forces. Where a force field is expected give "
            "one; this model is for `alignn-ff predict` and `alignn_ff.load_property`."
        )
    return build(config)


def _property(config: dict[str, Any], path: Path) -> PropertyModel:
    if config.get("name") not in PROPERTY_MODELS:
        raise CheckpointError(
            f"{path}: is a force field ({config.get('name')}); expected a property model. Give it to "
            "`AlignnFFCalculator` or `alignn_ff.load_potential`."
        )
    return build_property(config)


def _about(model: GraphModel) -> dict[str, Any]:
    """What the header says of a potential, or of a property model."""
    if isinstance(model, PropertyModel):
        return {"units": {"length": "Å", model.target: model.unit}}
    assert isinstance(model, Potential)
    field = model.receptive_field
    return {"receptive_field": field if math.isfinite(field) else None, "units": _UNITS}


def read_header(path: str | Path) -> dict[str, Any]:
    """The JSON header alone, without building the potential.

    Raises:
        CheckpointError: not a checkpoint of this package.
    """
    return _read(Path(path))[0]


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a readable .safetensors model ({error}). It may be truncated or another kind of file; "
            "copy or download it again."
        ) from error
    if _HEADER not in metadata:
        raise CheckpointError(
            f"{path}: a .safetensors file, but not written by alignn-ff (no `{_HEADER}` in its header)."
        )
    try:
        header = json.loads(metadata[_HEADER])
    except ValueError as error:
        raise CheckpointError(f"{path}: its header is not JSON ({error}); it is damaged.") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: its header holds a {type(header).__name__}, not fields; it is damaged.")
    return header, tensors


def _load_weights(model: GraphModel, tensors: dict[str, torch.Tensor], path: Path) -> None:
    wanted = model.state_dict()
    missing, surplus = sorted(set(wanted) - set(tensors)), sorted(set(tensors) - set(wanted))
    if missing or surplus:
        raise CheckpointError(
            f"{path}: weights do not fit the model its header describes: missing {missing or 'none'}, "
            f"surplus {surplus or 'none'}. The file is damaged or was edited."
        )
    wrong = [name for name in wanted if wanted[name].shape != tensors[name].shape]
    if wrong:
        raise CheckpointError(
            f"{path}: weights {wrong} have other shapes than the header's model; the file is damaged."
        )
    model.load_state_dict(tensors)

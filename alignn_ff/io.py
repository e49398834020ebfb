"""Front door: structures and labels as other packages hold them, and back."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Error as SqliteError
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from ase import Atoms
from ase.io import ParseError, iread, read
from ase.io.formats import UnknownFileTypeError
from torch import Tensor

import alignn_ff.h5md  # noqa: F401 (with it ASE reads that format, too)
from alignn_ff.errors import StructureError
from alignn_ff.graph import AtomGraph

_READ_ERRORS: tuple[type[Exception], ...] = (
    *(UnknownFileTypeError, ParseError, SqliteError),
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, AssertionError, RuntimeError, StopIteration, SyntaxError, ImportError),
)
"""What ASE's readers raise on a file that is not what its name says; most share no base class."""


ASE_VALUES = ("charges", "magmoms")
"""What ASE calls values of atoms beside their energies."""

EXTRA_FEATURES = "extra_features"
"""Entry of `Atoms.info`, and of upstream's records, with the numbers told of a structure beside its atoms."""

NO_VALUES = torch.zeros(0, 0, dtype=torch.float64)
"""Values of atoms or structures where none were asked for, or all are missing."""


class Targets(NamedTuple):
    """Labels apart from geometry; a missing label is NaN and masked by the loss.

    Attributes:
        energy: total, eV [G].
        forces: eV/Å [N, 3].
        stress: eV/Å³ [G, 3, 3], positive in tension.
        atom_energy: eV [N]; of labels that are themselves a potential's, which alone shares a total among atoms.
        atomwise: other values of atoms [N, A]: charges, magnetic moments; [0, 0] where there are none at all.
        additional: other values of structures [G, B]; [0, 0] likewise.
    """

    energy: Tensor
    forces: Tensor
    stress: Tensor
    atom_energy: Tensor
    atomwise: Tensor = NO_VALUES
    additional: Tensor = NO_VALUES


def join_targets(parts: Sequence[Targets]) -> Targets:
    """Labels of several graphs as those of one; values that some of them lack are NaN there."""
    plain = zip(*(part[:4] for part in parts), strict=True)
    atomwise = _stacked([part.atomwise for part in parts], [len(part.forces) for part in parts])
    additional = _stacked([part.additional for part in parts], [len(part.energy) for part in parts])
    energy, forces, stress, atom_energy = (torch.cat(labels) for labels in plain)
    return Targets(energy, forces, stress, atom_energy, atomwise, additional)


def _stacked(blocks: Sequence[Tensor], rows: Sequence[int]) -> Tensor:
    width = max(block.shape[1] for block in blocks)
    missing = (block.new_full((n, width), torch.nan) for block, n in zip(blocks, rows, strict=True))
    return torch.cat([block if block.numel() else none for block, none in zip(blocks, missing, strict=True)])


def read_frames(path: Path, index: str = ":") -> Atoms | list[Atoms]:
    """What ASE reads from a file at `index` (an `@` in the name is part of the name).

    Raises:
        StructureError: no file, empty, or no format that ASE knows.
    """
    with _readable(path) as source:
        return read(source, index=index, do_not_split_by_at_sign=True)


def each_frame(path: Path) -> Iterator[Atoms]:
    """All that `read_frames` reads, one after the other; of a file of many frames (extxyz, traj, db) one is held.

    Raises:
        StructureError: as `read_frames`, once the frame at fault is reached.
    """
    with _readable(path) as source:
        yield from iread(source, index=":", do_not_split_by_at_sign=True)


@contextmanager
def _readable(path: Path) -> Iterator[Path]:
    """The file for ASE to read; what goes wrong meanwhile is an error that says so."""
    if not path.exists():
        raise StructureError(f"{path} does not exist (looked in {path.absolute().parent}).")
    if path.is_file() and path.stat().st_size == 0:
        raise StructureError(f"{path} is empty.")
    try:
        with _unpacked(path) as source:
            yield source
    except _READ_ERRORS as error:
        reason = " ".join(f"{type(error).__name__}: {error}".rstrip(": ").split())
        raise StructureError(
            f"{path} cannot be read ({reason}). Any format of ase.io.read will do; the suffix or name says which."
        ) from error


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file itself, or a temporary copy unpacked: ASE steps back and forth, and each step back in a packed file
    unpacks it from its start."""
    unpackers: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    unpack = unpackers.get(path.suffix)
    if unpack is None:
        yield path
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.stem
        with unpack(path, "rb") as packed, copy.open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        yield copy


def from_ase(atoms: Atoms) -> AtomGraph:
    """A graph without edges; positions and cell as they are, unwrapped.

    Raises:
        StructureError: no atoms, non-finite positions or cell, or a periodic direction without a lattice vector.
    """
    check_structure(atoms)
    none = torch.zeros(0, dtype=torch.int64)
    return AtomGraph(
        numbers=torch.from_numpy(atoms.numbers.astype(np.int64)),
        positions=torch.from_numpy(atoms.positions.astype(np.float64)),
        cell=torch.from_numpy(atoms.cell.array.astype(np.float64)).unsqueeze(0),
        pbc=torch.from_numpy(np.array(atoms.pbc, dtype=bool)).unsqueeze(0),
        graph_index=torch.zeros(len(atoms), dtype=torch.int64),
        edge_src=none,
        edge_dst=none,
        edge_shift=torch.zeros((0, 3), dtype=torch.float64),
    )


def with_extra_features(graph: AtomGraph, atoms: Atoms, width: int, what: str = "the structure") -> AtomGraph:
    """The graph of `atoms` with their `info["extra_features"]`, for a model that wants `width` of them.

    A model that wants none is not told of any.

    Args:
        what: how errors call the structure.
    Raises:
        StructureError: there are none, other than `width`, or some that are no finite numbers.
    """
    if not width:
        return graph
    told = atoms.info.get(EXTRA_FEATURES)
    try:
        numbers = np.atleast_1d(np.asarray([] if told is None else told, dtype=np.float64))
    except (ValueError, TypeError):
        numbers = np.full(1, np.nan)
    if numbers.shape != (width,) or not np.isfinite(numbers).all():
        raise StructureError(
            f"the model wants {width} extra features beside the atoms, and those of {what} are {told!r}. Set "
            f"atoms.info[{EXTRA_FEATURES!r}] to {width} finite numbers, in the order and units of its training."
        )
    return graph._replace(extra_features=torch.from_numpy(numbers).unsqueeze(0))


def to_ase(graph: AtomGraph) -> Atoms:
    """The structure of a graph that holds one; extra features stand in its `info`."""
    told = graph.extra_features
    return Atoms(
        numbers=graph.numbers.cpu().numpy(),
        positions=graph.positions.cpu().numpy(),
        cell=graph.cell[0].cpu().numpy(),
        pbc=graph.pbc[0].cpu().numpy(),
        info={} if told is None else {EXTRA_FEATURES: told[0].cpu().numpy()},
    )


class JarvisStructure(Protocol):
    """What `jarvis.core.atoms.Atoms` offers, as far as it matters here."""

    def to_dict(self) -> Mapping[str, Any]: ...


def from_jarvis(structure: JarvisStructure | Mapping[str, Any]) -> Atoms:
    """ase.Atoms from the `Atoms` of jarvis-tools, or from the dictionary of its `to_dict`.

    Raises:
        StructureError: a key is missing or shapes disagree.
    """
    record = structure if isinstance(structure, Mapping) or not hasattr(structure, "to_dict") else structure.to_dict()
    if not isinstance(record, Mapping):
        raise StructureError(f"a jarvis structure is a {type(record).__name__}; expected a dictionary.")
    try:
        cell, coords, elements = record["lattice_mat"], record["coords"], record["elements"]
    except KeyError as error:
        raise StructureError(
            f"a jarvis structure has no {error}, only {', '.join(record)}; expected lattice_mat, coords, elements."
        ) from error
    if len(coords) != len(elements):
        raise StructureError(f"a jarvis structure has {len(coords)} coordinates for {len(elements)} elements.")
    place = "positions" if record.get("cartesian", False) else "scaled_positions"
    try:
        return Atoms(symbols=[str(e).strip() for e in elements], cell=cell, pbc=True, **{place: coords})
    except (ValueError, KeyError, TypeError) as error:
        raise StructureError(
            f"a jarvis structure has a wrong lattice_mat, coords or element ({type(error).__name__}: {error})."
        ) from error


def to_jarvis(atoms: Atoms) -> dict[str, Any]:
    """The dictionary from which `jarvis.core.atoms.Atoms.from_dict` makes a structure; positions Cartesian, Å.

    Raises:
        StructureError: not periodic in all directions, which jarvis-tools cannot say.
    """
    if not atoms.pbc.all():
        raise StructureError(
            f"pbc is {atoms.pbc.tolist()}, and structures of jarvis-tools are periodic in all directions. Put the "
            "atoms into a box with vacuum and set atoms.pbc = True."
        )
    return {
        "lattice_mat": atoms.cell.tolist(),
        "coords": atoms.positions.tolist(),
        "elements": atoms.get_chemical_symbols(),
        "cartesian": True,
        "abc": atoms.cell.lengths().tolist(),
        "angles": atoms.cell.angles().tolist(),
        "props": [""] * len(atoms),
    }


def check_structure(atoms: Atoms) -> None:
    """Say no to a structure no potential can evaluate.

    Raises:
        StructureError: no atoms, non-finite positions or cell, or a periodic direction without a lattice vector.
    """
    if len(atoms) == 0:
        raise StructureError("the structure has no atoms; at least one was expected.")
    bad = np.flatnonzero(~np.isfinite(atoms.positions).all(axis=1))
    if len(bad):
        raise StructureError(
            f"positions of atoms {', '.join(map(str, bad[:5]))} are not finite. A simulation may have blown up "
            "before: go back to its last good frame and use a shorter time step."
        )
    if not np.isfinite(atoms.cell.array).all():
        raise StructureError("the cell holds numbers that are not finite.")
    periodic = atoms.cell.array[np.asarray(atoms.pbc, dtype=bool)]
    if len(periodic) and np.linalg.matrix_rank(periodic, tol=1e-8) < len(periodic):
        raise StructureError(
            f"pbc is {atoms.pbc.tolist()} but the cell is {atoms.cell.array.tolist()}: every periodic direction needs "
            "a lattice vector of its own. Set atoms.cell, or atoms.pbc = False for a molecule."
        )


def voigt_to_matrix(voigt: np.ndarray) -> np.ndarray:
    """Symmetric [3, 3] from Voigt [6] in ASE's order xx yy zz yz xz xy."""
    xx, yy, zz, yz, xz, xy = voigt
    return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])


def matrix_to_voigt(matrix: np.ndarray) -> np.ndarray:
    """Voigt [6] in ASE's order xx yy zz yz xz xy from a symmetric [3, 3]."""
    return matrix[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]

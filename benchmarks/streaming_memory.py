"""Memory of a training on many structures that stay on disk: one pass over all of them, resident size over time.

    python -m benchmarks.streaming_memory --structures 200000 --steps 2000

Structures are clusters of a few metal atoms with EMT labels, made here; `benchmarks/README.md` says what is measured.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from alignn_ff.errors import ConfigError
from alignn_ff.progress import track
from benchmarks.command import end_well, write_json

TOGETHER = 1000
"""Clusters labelled in one go, too far apart to feel each other."""
TURNED = 40
"""Orientations of each cluster."""
CORNERS = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1]])
"""Where its atoms stand, in bond lengths."""
APART = 25.0  # Å; beyond the reach of EMT
ELEMENTS = ("Al", "Cu", "Ag", "Au", "Ni")
EVERY = 1.0  # s between two looks at the memory
HEADER = "Properties=species:S:1:pos:R:3:forces:R:3"


def clusters(count: int, rng: np.random.Generator) -> Iterator[str]:
    """Frames of an extxyz file: two to six atoms each, energy and forces by EMT.

    Each cluster that EMT labels is written in `TURNED` orientations, for which its labels turned with it are exact.
    """
    written = 0
    while written < count:
        owner, symbols, own, energies, forces = labelled(rng)
        for i in range(TOGETHER):
            mine = owner == i
            for turn in rotations(rng):
                if written == count:
                    return
                rows = np.hstack([own[mine] @ turn.T, forces[mine] @ turn.T])
                lines = [
                    f"{s} " + " ".join(f"{x:.8f}" for x in row) for s, row in zip(symbols[mine], rows, strict=True)
                ]
                yield "\n".join([str(len(lines)), f'{HEADER} energy={energies[i]:.8f} pbc="F F F"', *lines, ""])
                written += 1


def labelled(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Cluster of each atom [N], elements [N], positions in the cluster, Å [N, 3], energies, eV [n], forces [N, 3]."""
    from ase import Atoms
    from ase.calculators.emt import EMT

    sizes = rng.integers(2, 7, TOGETHER)
    owner = np.repeat(np.arange(TOGETHER), sizes)
    corner = np.concatenate([np.arange(n) for n in sizes])
    own = 2.7 * CORNERS[corner] + rng.normal(0, 0.15, (len(owner), 3))
    symbols = rng.choice(ELEMENTS, len(owner))
    side = int(np.ceil(TOGETHER ** (1 / 3)))
    place = APART * np.stack(np.unravel_index(owner, (side, side, side)), axis=1)
    together = Atoms(symbols, positions=own + place, calculator=EMT())
    return owner, symbols, own, np.bincount(owner, together.get_potential_energies()), together.get_forces()


def rotations(rng: np.random.Generator) -> np.ndarray:
    """Random orientations [TURNED, 3, 3]."""
    from scipy.spatial.transform import Rotation

    return Rotation.random(TURNED, random_state=rng).as_matrix()


def write_data(path: Path, count: int) -> None:
    """The frames in one file."""
    with path.open("w", encoding="utf-8") as file, track("labelling", count, show=sys.stderr.isatty()) as advance:
        for frame in clusters(count, np.random.default_rng(0)):
            file.write(frame)
            advance()


def config(folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """One epoch of as many steps as asked for."""
    return {
        "data": str(folder / "clusters.extxyz"),
        "use_lmdb": True,
        "num_workers": args.workers,
        "model": {"name": "alignn_smooth", "cutoff": 4.5, "hidden_features": 24, "density_channels": 6},
        "loss": {"force_weight": 1.0},
        "epochs": 1,
        "batch_size": max(1, round(0.8 * args.structures / args.steps)),
        "device": args.device,
        "output_dir": str(folder / "run"),
    }


def resident_mib(pid: int) -> dict[str, float]:
    """Resident memory of a process, and of those it started, MiB."""
    own = _status(pid, "VmRSS")
    task = Path(f"/proc/{pid}/task/{pid}/children")
    children = task.read_text().split() if task.is_file() else []
    return {"own": own, "workers": sum(_status(int(child), "RssAnon") for child in children)}


def _status(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((float(line.split()[1]) / 1024.0 for line in lines if line.startswith(field)), 0.0)


def watch(command: list[str]) -> list[dict[str, float]]:
    """Run a command; what it held, second by second."""
    started = time.perf_counter()
    seen = []
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            seen.append({"seconds": round(time.perf_counter() - started, 1), **resident_mib(process.pid)})
            time.sleep(EVERY)
    if process.returncode:
        raise ConfigError(f"the training ended with exit code {process.returncode}; see above.")
    return seen


def show(seen: list[dict[str, float]], facts: dict[str, Any]) -> None:
    """Prints the largest of each tenth of the time."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Resident memory, {facts['structures']:,} structures, {facts['steps']:,} steps")
    for heading in ("until, s", "training process, MiB", "its workers beyond that, MiB"):
        table.add_column(heading, justify="right")
    for part in np.array_split(np.arange(len(seen)), min(12, len(seen))):
        rows = [seen[i] for i in part]
        table.add_row(*(f"{max(row[key] for row in rows):.0f}" for key in ("seconds", "own", "workers")))
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    console.print(f"Largest: {facts['peak_mib']:.0f} MiB; data file {facts['data_mb']:.0f} MB.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--structures", type=int, default=200_000)
    parser.add_argument("--steps", type=int, default=2000, help="of the one epoch")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmarks/streaming_memory.json"))
    args = parser.parse_args()
    if not Path("/proc/self/status").is_file():
        raise ConfigError("resident memory is read from /proc, which only Linux has.")
    with TemporaryDirectory(dir=".", prefix=".streaming-") as name:
        folder = Path(name)
        write_data(folder / "clusters.extxyz", args.structures)
        (folder / "config.json").write_text(json.dumps(config(folder.resolve(), args)))
        command = [
            sys.executable,
            "-m",
            "alignn_ff.cli.main",
            "train",
            str(folder / "config.json"),
            "--no-progress-bar",
        ]
        facts = {**vars(args), "out": str(args.out), "data_mb": (folder / "clusters.extxyz").stat().st_size / 1e6}
        seen = watch(command)
    facts["peak_mib"] = max(row["own"] + row["workers"] for row in seen)
    show(seen, facts)
    write_json(args.out, {**facts, "seen": seen})


if __name__ == "__main__":
    end_well(main)

"""Memory of commands on data that stay on disk: four times the data, hardly more memory. Slow; pytest -m slow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.streaming_memory import write_data

pytestmark = pytest.mark.slow

FEW, MANY = 4000, 16000
TINY = {"name": "alignn_smooth", "cutoff": 3.5, "hidden_features": 4, "density_channels": 2, "message_features": 0,
        "radial_functions": 3, "max_degree": 0, "body_order": 3}  # fmt: skip
TINY_PROPERTY = {"name": "alignn", "cutoff": 3.5, "alignn_layers": 0, "gcn_layers": 1, "edge_input_features": 4,
                 "embedding_features": 4, "hidden_features": 4}  # fmt: skip
FIT = {"epochs": 1, "batch_size": 256, "learning_rate": 0.001, "test_ratio": 0.1}

CHILD = """
import resource, sys
from alignn_ff.data import cache
cache.IN_MEMORY_BYTES = float(sys.argv.pop(1))
from alignn_ff.cli.main import main
try:
    main()
except SystemExit as end:
    if end.code:
        raise
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_mib(in_memory_bytes: float, *command: str | Path) -> float:
    """Largest resident memory of a command, MiB; data files of more bytes stay on disk."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    said = subprocess.run(
        [sys.executable, "-c", CHILD, str(in_memory_bytes), *map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return float(said.stdout.split()[-1]) / 1024.0


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> dict[int, Path]:
    """Files of few and of many clusters with labels."""
    folder = tmp_path_factory.mktemp("data")
    found = {count: folder / f"{count}.extxyz" for count in (FEW, MANY)}
    for count, path in found.items():
        write_data(path, count)
    return found


def train_command(data: Path, folder: Path) -> list[str]:
    config = {"data": str(data), "model": TINY, "core": False, "output_dir": str(folder / "run"), **FIT}
    (folder / "config.json").write_text(json.dumps(config))
    return ["train", str(folder / "config.json"), "--no-progress-bar", "--overwrite"]


def property_command(data: Path, folder: Path) -> list[str]:
    """On the same structures, their energies as a property."""
    labelled = folder / data.name
    labelled.write_text(data.read_text().replace("energy=", "target="))
    config = {"data": str(labelled), "model": TINY_PROPERTY, "output_dir": str(folder / "run"), **FIT}
    (folder / "config.json").write_text(json.dumps(config))
    return ["train", str(folder / "config.json"), "--no-progress-bar", "--overwrite"]


def evaluate_command(data: Path, folder: Path) -> list[str]:
    model = folder / "model"
    if not model.is_dir():
        small = folder / "small.extxyz"
        write_data(small, 200)
        peak_mib(1e12, *train_command(small, folder))
        (folder / "run").rename(model)
    how = ["--out", str(folder / "found"), "--overwrite", "--batch-edges", "20000"]  # batches of one size in both cases
    return ["evaluate", str(model / "best_model.safetensors"), str(data), *how]


@pytest.mark.parametrize("command", [train_command, property_command, evaluate_command])
def test_memory_hardly_grows_with_data_on_disk(data, tmp_path, command):
    few = peak_mib(0.0, *command(data[FEW], tmp_path))
    many = peak_mib(0.0, *command(data[MANY], tmp_path))
    held = peak_mib(1e12, *command(data[MANY], tmp_path))
    print(f"{command.__name__}: {few:.0f} MiB, {many:.0f} MiB of four times the data, {held:.0f} MiB held in memory")
    assert many - few < 40.0
    assert held - many > 60.0  # or nothing would be gained

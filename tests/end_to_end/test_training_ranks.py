"""Several processes that train together against one that trains alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from alignn_ff.errors import ConfigError
from alignn_ff.training import train
from alignn_ff.training.config import to_json
from alignn_ff.training.ranks import deal
from tests.end_to_end.test_training import (  # noqa: F401 (fixtures among them)
    complete,
    config,
    contents,
    frames,
    history,
    interrupt_after,
    timeless,
    weights,
)

PATIENCE_S = 120
TOGETHER = {
    "dtype": "float64",
    "loss": {"criterion": "rmse", "force_weight": 1.0, "stress_weight": 0.1},
    "sampling_policy": "error_weighted",
    "force_fraction": 0.5,
    "force_scale_unbiased": True,
    "n_train": 25,  # the last batch is one structure, and leaves one process without any
    "n_val": 7,
    "n_test": 0,
}


def torchrun(processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """The command that the documentation names; what has not ended in time is killed with all it started."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = ["--nproc-per-node", str(processes), "--master-addr", "127.0.0.1", "--master-port", port]
    command = [sys.executable, "-m", "torch.distributed.run", *place]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    started = subprocess.Popen(
        [*command, "-m", "alignn_ff.cli", "train", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        out, error = started.communicate(timeout=PATIENCE_S)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, started.returncode, out, error)


def test_two_processes_go_on_where_one_stopped_as_that_one_would(config, complete, monkeypatch):  # noqa: F811
    unbroken = train(config("unbroken", data=complete, **TOGETHER))
    with monkeypatch.context() as patch:
        interrupt_after(patch, 6)  # within the second epoch
        settings = config("broken", data=complete, **TOGETHER, data_parallel=False)
        assert not train(settings).finished
    path = Path(settings.output_dir).parent / "config.json"
    path.write_text(to_json(settings))
    done = torchrun(2, str(path), "--resume", "--data_parallel=true")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Best epoch") == 1, "one of them talks"
    folder = Path(settings.output_dir)
    assert set(contents(folder)) == set(contents(Path(unbroken.folder))), "one of them writes"
    for own, theirs in zip(timeless(history(folder)), timeless(history(unbroken.folder)), strict=True):
        assert own == pytest.approx(theirs, rel=1e-6)
    for name in ("current_model", "best_model"):
        for key, value in weights(unbroken.folder, name).items():
            assert torch.allclose(weights(folder, name)[key], value, rtol=1e-7, atol=1e-9), key


def test_one_process_where_several_are_wanted_says_how_to_start_them(config):  # noqa: F811
    with pytest.raises(ConfigError, match=r"torchrun --nproc-per-node 2 -m alignn_ff.cli train"):
        train(config(data_parallel=True))


@pytest.mark.parametrize("hands", [1, 2, 3])
def test_shares_are_whole_in_order_and_about_equal(hands):
    items, sizes = [7, 3, 9, 3, 4], [10, 2, 8, 2, 4]
    shares = deal(items, sizes, hands)
    assert sorted(item for share in shares for item in share) == sorted(items)
    atoms = [sum(dict(zip(items, sizes, strict=True))[i] for i in share) for share in shares]
    assert max(atoms) - min(atoms) <= 2
    assert deal(items, sizes, 1) == [items]
    assert deal([5], [3], 2) == [[5], []]

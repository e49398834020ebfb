"""Files appear whole or not at all, also on a full disk."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from alignn_ff import files
from alignn_ff.checkpoint import load_checkpoint, save_checkpoint
from alignn_ff.data.dataset import Dataset
from alignn_ff.errors import OutputExistsError, OutputWriteError
from alignn_ff.files import atomic_path, output_folder, prepare_folder, write_text
from alignn_ff.reports.figure import panels, save_figure
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.optim import build_optim
from alignn_ff.training.record import Record
from alignn_ff.training.sampling import build_sampler
from tests.conftest import random_potential


@contextmanager
def full_disk(limit_bytes: int = 512) -> Iterator[None]:
    """No file grows beyond `limit_bytes`: writes fail as they do on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save_state(path: Path) -> None:
    config = TrainConfig(data=("x",), output_dir=str(path.parent))
    record = Record(path.parent, config)
    sampler = build_sampler(config, Dataset([], 5.0, None))
    record.save_state({}, random_potential(), build_optim(config, random_potential(), 1), sampler)


WRITERS = {
    "text.txt": lambda path: write_text(path, "new" * 1000),
    "model.safetensors": lambda path: save_checkpoint(path, random_potential()),
    "figure.png": lambda path: save_figure(panels(1)[0], path),
    "resume.pt": save_state,
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("existing", [True, False])
def test_full_disk_leaves_what_was_there_and_nothing_half_written(tmp_path, name, existing):
    if existing:
        (tmp_path / name).write_text("old")
    with full_disk(), pytest.raises(OutputWriteError, match=f"{name}.*nothing was left half-written"):
        WRITERS[name](tmp_path / name)
    assert names(tmp_path) == ([name] if existing else [])
    assert not existing or (tmp_path / name).read_text() == "old"
    WRITERS[name](tmp_path / name)  # the writer is sound where there is room
    assert (tmp_path / name).stat().st_size > 512


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(13, "Permission denied")])
def test_failing_rename_keeps_the_old_file(tmp_path, monkeypatch, error):
    write_text(tmp_path / "a.txt", "old")
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", lambda *_: (_ for _ in ()).throw(error))
        with pytest.raises(OutputWriteError, match=error.strerror):
            write_text(tmp_path / "a.txt", "new")
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_anything_that_breaks_the_writer_leaves_no_trace(tmp_path, error):
    with pytest.raises(error), atomic_path(tmp_path / "a.txt") as draft:
        draft.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(OutputWriteError, match=r"nowhere/a.txt: cannot be written"):
        write_text(tmp_path / "nowhere" / "a.txt", "text")


def test_written_file_is_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_saved_model_is_the_last_one_saved(tmp_path):
    for seed in (0, 1):
        save_checkpoint(tmp_path / "m.safetensors", random_potential(seed=seed))
    weights = load_checkpoint(tmp_path / "m.safetensors").potential.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in random_potential(seed=1).state_dict().items())
    assert names(tmp_path) == ["m.safetensors"]


def test_folder_is_made_or_taken_if_empty(tmp_path):
    assert prepare_folder(tmp_path / "a" / "b").is_dir()
    assert prepare_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_folder_with_files_is_refused_unless_reused(tmp_path):
    (tmp_path / "keep.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="--overwrite"):
        prepare_folder(tmp_path)
    prepare_folder(tmp_path, reuse=True)
    assert (tmp_path / "keep.txt").read_text() == "mine"


def test_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputExistsError, match="is a file"):
        prepare_folder(tmp_path / "out", reuse=True)


def test_folder_below_a_file_cannot_be_made(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(OutputWriteError, match="cannot be made"):
        prepare_folder(tmp_path / "out" / "deeper")


def test_folder_of_work_that_failed_before_writing_is_gone(tmp_path):
    with pytest.raises(ValueError), output_folder(tmp_path / "new"):
        raise ValueError
    assert not (tmp_path / "new").exists()


def test_folder_of_work_that_failed_later_keeps_what_was_written(tmp_path):
    with pytest.raises(ValueError), output_folder(tmp_path / "new") as folder:
        (folder / "half").write_text("done")
        raise ValueError
    assert (tmp_path / "new" / "half").read_text() == "done"


def test_folder_that_was_there_before_stays(tmp_path):
    with pytest.raises(ValueError), output_folder(tmp_path):
        raise ValueError
    assert tmp_path.exists()

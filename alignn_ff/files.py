"""Files that appear whole or not at all, and folders nobody overwrites by accident."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from alignn_ff.errors import ConfigError, OutputExistsError, OutputWriteError


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` that takes its name once the block ends well.

    Raises:
        OutputWriteError: the file could not be written; whatever stood at `path` before still stands.
    """
    path = Path(path)
    try:
        with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix, delete=False) as f:
            draft = Path(f.name)
    except OSError as error:
        raise OutputWriteError(f"{path}: cannot be written ({error.strerror}). Choose another folder.") from error
    try:
        yield draft
        draft.chmod(0o666 & ~_umask())  # a NamedTemporaryFile is private; a result is not
        os.replace(draft, path)
    except OSError as error:
        raise OutputWriteError(
            f"{path}: writing failed ({error.strerror or error}); nothing was left half-written. "
            "Free some space or choose another folder."
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def discard_drafts(path: str | Path) -> None:
    """Remove what processes killed within `atomic_path(path)` left beside it; nobody may be writing `path` now."""
    path = Path(path)
    for draft in path.parent.glob(f".{path.name}.*{path.suffix}"):
        draft.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path`, whole or not at all."""
    with atomic_path(path) as draft:
        draft.write_text(text, encoding="utf-8")


def prepare_folder(path: str | Path, *, reuse: bool = False) -> Path:
    """An output folder that is new or empty, unless the caller said that files in it may be replaced.

    Nothing is deleted here: whoever writes into a reused folder replaces the files it writes, and only those.

    Raises:
        OutputExistsError: the folder holds files and `reuse` was not given.
    """
    path = Path(path)
    if path.is_file():
        raise OutputExistsError(f"{path} is a file; an output folder was expected. Choose another name.")
    if path.is_dir() and any(path.iterdir()) and not reuse:
        raise OutputExistsError(
            f"output folder {path} exists and is not empty. Choose another one, or pass --overwrite to replace "
            "the files in it."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputWriteError(f"output folder {path} cannot be made ({error.strerror}).") from error
    return path


@contextmanager
def output_folder(path: str | Path, *, reuse: bool = False) -> Iterator[Path]:
    """A prepared folder; work that ends before it wrote anything leaves none behind.

    Raises:
        OutputExistsError: as in `prepare_folder`.
    """
    new = not Path(path).exists()
    folder = prepare_folder(path, reuse=reuse)
    try:
        yield folder
    finally:
        if new and not any(folder.iterdir()):
            folder.rmdir()


def read_fields(path: str | Path) -> dict[str, Any]:
    """Names and values from a YAML or JSON file.

    Raises:
        ConfigError: no such file, not YAML or JSON, or no mapping of names to values.
    """
    import yaml  # here: most who import this module read no configuration

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read ({error.strerror}).") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is neither YAML nor JSON: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"configuration {path} holds a {type(content).__name__}; expected fields and values.")
    return content


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current

"""Which models are known by name, and where their weights lie; nothing is downloaded or loaded here."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import PositiveInt, field_validator, model_validator

from alignn_ff.checkpoint import read_header
from alignn_ff.errors import ConfigError, ModelNotFoundError, did_you_mean
from alignn_ff.models.base import SYMBOLS
from alignn_ff.schema import Strict, parse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CACHE = "ALIGNN_FF_CACHE"
"""Environment variable: folder of the downloaded models."""
USER_REGISTRY = "ALIGNN_FF_REGISTRY"
"""Environment variable: a registry file of the user's own, read after that of the package."""

FIRST_USE = "first-use"
"""In place of a checksum: that of the first download counts from then on."""

_HERE = Path(__file__).parent
_PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class Fields(Strict):
    """One table of a registry file.

    Attributes:
        file: the weights: beside the registry file or, where there are `urls`, their name in the cache.
        sha256: of the weights, 64 hexadecimal digits; "first-use" (with `urls` only) where nobody published it.
        description: one line.
        card: the model card, Markdown, beside the registry file.
        urls: where the weights can be downloaded, tried in this order.
        size: of the weights, bytes.
        elements: that the model knows; told with `urls`, read from the weights otherwise.
        level_of_theory: that the training labels were computed with.
        licence: of the weights.
    """

    file: str
    sha256: str
    description: str
    card: str | None = None
    urls: tuple[str, ...] = ()
    size: PositiveInt | None = None
    elements: tuple[str, ...] = ()
    level_of_theory: str = ""
    licence: str = ""

    @field_validator("sha256")
    @classmethod
    def _is_checksum(cls, value: str) -> str:
        if value != FIRST_USE and not re.fullmatch("[0-9a-f]{64}", value):
            raise ValueError(f"expected 64 hexadecimal digits in lower case, or {FIRST_USE!r}")
        return value

    @field_validator("urls")
    @classmethod
    def _are_web_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith(("https://", "http://")) for url in value):
            raise ValueError("expected addresses that begin with https:// or http://")
        return value

    @field_validator("elements")
    @classmethod
    def _are_elements(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        check_symbols(value)
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Fields:
        if self.urls and not self.elements:
            raise ValueError("a model with `urls` must name its `elements`, for they are shown before any download")
        if self.urls and not _PLAIN_NAME.fullmatch(self.file):
            raise ValueError(f"`file` is {self.file!r}; with `urls` it names a file in the cache: no folders")
        if self.sha256 == FIRST_USE and not self.urls:
            raise ValueError(f"`sha256` is {FIRST_USE!r}, which is for models with `urls`; give the checksum")
        return self


class Entry(Fields):
    """One model known by name.

    Attributes:
        name: what users call it.
        folder: of the registry file that names it.
    """

    name: str
    folder: Path

    @property
    def path(self) -> Path:
        """Where the weights lie, or will lie once they are downloaded."""
        return cache_folder() / self.name / self.file if self.urls else self.folder / self.file

    @property
    def card_path(self) -> Path | None:
        """The model card, where there is one."""
        return None if self.card is None else self.folder / self.card

    @property
    def whereabouts(self) -> str:
        """`embedded` (in the package), `local` (beside a user's registry), `cached` or `not downloaded`."""
        if self.urls:
            return "cached" if self.path.is_file() else "not downloaded"
        return "embedded" if self.folder == _HERE else "local"


def entries() -> dict[str, Entry]:
    """Every model that is known by name: those of the package, whose first is the default, then the user's own.

    Raises:
        ConfigError: a registry file of the user's own that cannot be honoured.
    """
    ours = _read(_HERE / "registry.toml")
    own = os.environ.get(USER_REGISTRY)
    if not own:
        return ours
    added = _read(Path(own))
    taken = sorted(set(ours) & set(added))
    if taken:
        raise ConfigError(f"{own}: the package has models called {', '.join(taken)} already. Choose other names.")
    return ours | added


def default_model() -> str:
    """Name of the model that a calculator without arguments uses."""
    return next(iter(_read(_HERE / "registry.toml")))


def find(name: str) -> Entry:
    """The entry called `name`.

    Raises:
        ModelNotFoundError: no such name.
    """
    known = entries()
    if name not in known:
        raise ModelNotFoundError(
            f"no model is called {name!r}{did_you_mean(name, known)}. See `alignn-ff models list`."
        )
    return known[name]


def elements_of(entry: Entry) -> tuple[str, ...]:
    """Symbols of the elements that a model knows, without loading it."""
    return entry.elements or tuple(read_header(entry.path)["elements"])


def check_symbols(symbols: tuple[str, ...]) -> None:
    """Nothing but element symbols, or a ValueError."""
    strange = [symbol for symbol in symbols if symbol not in SYMBOLS[1:]]
    if strange:
        raise ValueError(f"{', '.join(map(repr, strange))}: no chemical element; expected symbols such as Fe")


def cache_folder() -> Path:
    """Folder of the downloaded models: `ALIGNN_FF_CACHE`, or where the system keeps caches (as `pooch.os_cache`)."""
    return Path(os.environ.get(CACHE) or platformdirs.user_cache_dir("alignn-ff")).expanduser()


def _read(path: Path) -> dict[str, Entry]:
    try:
        with path.open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"model registry {path} cannot be read ({error.strerror}). Check {USER_REGISTRY}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"model registry {path} is not TOML: {error}.") from error
    return {name: _entry(name, table, path) for name, table in tables.items()}


def _entry(name: str, table: Any, path: Path) -> Entry:
    where = f"model registry {path}, [{name}]"
    if not _PLAIN_NAME.fullmatch(name) or not isinstance(table, dict):
        raise ConfigError(
            f"{where}: expected a table whose name begins with a letter or digit and holds letters, digits and ._+- "
            "only."
        )
    fields = parse(Fields, table, where)
    return Entry(name=name, folder=path.parent, **dict(fields))

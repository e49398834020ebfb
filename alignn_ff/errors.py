"""Errors a user can meet. Each message says what was seen, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class AlignnFFError(Exception):
    """Base of every error raised on purpose; the command line prints it as one paragraph and exits with 2."""


class ConfigError(AlignnFFError):
    """A configuration that cannot be honoured: unknown field, bad value, contradiction."""


class DataError(AlignnFFError):
    """Training or evaluation data that cannot be used as it stands."""


class StructureError(AlignnFFError):
    """A structure no potential can evaluate: NaN positions, overlapping atoms, no atoms."""


class UnknownElementError(StructureError):
    """A structure holds an element the potential was not trained on."""


class CheckpointError(AlignnFFError):
    """A model file that is not one, is damaged, or comes from another format version."""


class ModelNotFoundError(AlignnFFError):
    """A model name that is neither in the registry nor a file."""


class DownloadError(AlignnFFError):
    """A model that is not on this machine and could not be brought here: no network, a refusal, a wrong checksum."""


class OutputExistsError(AlignnFFError):
    """An output file or folder that exists already and that nobody asked to overwrite."""


class OutputWriteError(AlignnFFError):
    """An output file that could not be written (full disk, no permission); nothing was left half-written."""


class RunawayError(AlignnFFError):
    """A simulation that left the regime of physics; the last good frame was kept."""


class CacheError(AlignnFFError):
    """A cache on disk that is none, is damaged, or was made from other data or with other settings."""


class CommitteeError(AlignnFFError):
    """Members of a committee whose training failed; the others were kept."""


class TeacherError(AlignnFFError):
    """A calculator that was to label structures and fails on most of them, or whose process died."""


class DomainWarning(UserWarning):
    """A structure unlike those that a model was trained on; it is evaluated all the same."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A bracketed question with the nearest of `known`, whatever its case, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.5)
    return f" (did you mean `{by_lower[near[0]]}`?)" if near else ""

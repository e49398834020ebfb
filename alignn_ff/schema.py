"""Strict configuration: unknown fields are refused with the nearest known name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from alignn_ff.errors import ConfigError, did_you_mean


class Strict(BaseModel):
    """A frozen set of fields; anything else is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, protected_namespaces=())


S = TypeVar("S", bound=Strict)


def parse(schema: type[S], fields: Mapping[str, Any], where: str) -> S:
    """`fields` as a checked `schema`.

    Args:
        where: what the message calls the source, a file name for instance.
    Raises:
        ConfigError: one paragraph naming every field at fault.
    """
    try:
        return schema(**{str(name): value for name, value in fields.items()})
    except ValidationError as error:
        faults = "; ".join(_fault(schema, e) for e in error.errors(include_url=False))
        raise ConfigError(f"{where}: {faults}.") from error


def _fault(schema: type[BaseModel], error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    place = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = list(_fields_at(schema, path[:-1]))
        return f"unknown field `{place}`{did_you_mean(path[-1], known) or '; fields: ' + ', '.join(known)}"
    if error["type"] == "missing":
        return f"field `{place}` is missing"
    message = error["msg"].removeprefix("Value error, ")
    return f"field `{place}` is {error['input']!r}: {message}" if place else message


def _fields_at(schema: type[BaseModel], path: list[str]) -> Iterable[str]:
    for part in path:
        field = schema.model_fields.get(part)
        inner = field.annotation if field else None
        if not (isinstance(inner, type) and issubclass(inner, BaseModel)):
            return schema.model_fields
        schema = inner
    return schema.model_fields

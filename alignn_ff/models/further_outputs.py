"""What a force field may be asked for beside its energies: values of each atom, and values of a structure."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator, model_validator

from alignn_ff.schema import Strict


class FurtherOutputs(Strict):
    """How many, and what they are; the numbers have the names of the public ALIGNN config."""

    atomwise_output_features: int = Field(default=0, ge=0, description="values of each atom beside its energy")
    atomwise_target: tuple[str, ...] = Field(
        default=(), description="what each of them is; charges and magmoms are offered to ASE under these names"
    )
    additional_output_features: int = Field(
        default=0, ge=0, description="values of a structure, intensive: means over its atoms"
    )
    additional_target: tuple[str, ...] = Field(default=(), description="what each of them is")

    @field_validator("atomwise_target", "additional_target", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _each_is_named(self) -> FurtherOutputs:
        for of in ("atomwise", "additional"):
            names, count = getattr(self, f"{of}_target"), getattr(self, f"{of}_output_features")
            if names and (len(names) != count or len(set(names)) != count):
                raise ValueError(
                    f"{of}_target is {', '.join(names)}; expected as many different names as "
                    f"{of}_output_features, {count}, or none at all"
                )
        return self


def output_names(c: FurtherOutputs) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What each value of an atom is, and each of a structure; numbered where they have no names."""
    atomwise = c.atomwise_target or _numbered("atomwise", c.atomwise_output_features)
    return atomwise, c.additional_target or _numbered("additional", c.additional_output_features)


def _numbered(of: str, count: int) -> tuple[str, ...]:
    return tuple(f"{of}_{place}" for place in range(count))

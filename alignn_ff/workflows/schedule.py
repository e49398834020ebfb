"""The temperature of a thermostat over the steps of a run: constant, a ramp, or stages one after the other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from alignn_ff.errors import ConfigError

STAGE = re.compile(r"(?P<steps>\d+)@(?P<start>\d+\.?\d*)(-(?P<end>\d+\.?\d*))?")
"""`1000@300` holds 300 K for 1000 steps, `5000@300-900` heats from 300 K to 900 K in 5000."""


class Stage(NamedTuple):
    """So many steps, over which the temperature runs linearly from the start to the end."""

    steps: int
    start_k: float
    end_k: float


@dataclass(frozen=True)
class Schedule:
    """Stages one after the other, at least one."""

    stages: tuple[Stage, ...]

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def temperatures_k(self) -> tuple[float, ...]:
        """Start and end of each stage in K."""
        return tuple(t for stage in self.stages for t in (stage.start_k, stage.end_k))

    @property
    def constant(self) -> bool:
        """Whether the temperature never changes."""
        return len(set(self.temperatures_k)) == 1

    def temperature_k(self, step: int) -> float:
        """Temperature in K at `step`, counted from 0; where two stages meet, the start of the second."""
        for stage in self.stages:
            if step < stage.steps:
                return stage.start_k + (stage.end_k - stage.start_k) * step / stage.steps
            step -= stage.steps
        return self.stages[-1].end_k


def parse_stages(text: str) -> Schedule:
    """Schedule from stages such as "1000@300, 5000@300-900": steps, an @, and one temperature in K or two.

    Raises:
        ConfigError: a stage of another form, of no steps or of no temperature above 0 K.
    """
    return Schedule(tuple(_stage(part.strip()) for part in text.split(",")))


def _stage(text: str) -> Stage:
    found = STAGE.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"stage {text!r}: STEPS@KELVIN or STEPS@KELVIN-KELVIN was expected, such as 1000@300 or 5000@300-900."
        )
    stage = Stage(int(found["steps"]), float(found["start"]), float(found["end"] or found["start"]))
    if min(stage) <= 0:
        raise ConfigError(f"stage {text!r}: at least one step and more than 0 K were expected.")
    return stage

"""Temperatures over time are those that were written down."""

from __future__ import annotations

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.md import MDSettings
from alignn_ff.workflows.schedule import parse_stages


def test_stages_follow_one_another():
    schedule = parse_stages("100@300, 200@300-900,50@900,10@500.5")
    assert schedule.steps == 360 and not schedule.constant
    steps = {0: 300, 99: 300, 100: 300, 150: 450, 200: 600, 300: 900, 349: 900, 350: 500.5, 360: 500.5}
    assert {step: schedule.temperature_k(step) for step in steps} == pytest.approx(steps)


def test_settings_make_a_schedule():
    assert MDSettings(steps=7, temperature_k=77).schedule.constant
    ramp = MDSettings(steps=10, temperature_k=100, temperature_end_k=50).schedule
    assert [ramp.temperature_k(step) for step in (0, 5, 10)] == [100, 75, 50]
    assert MDSettings(stages="3@1-2,4@5").schedule.steps == 7
    assert MDSettings(steps=0).schedule.temperature_k(0) == 300


@pytest.mark.parametrize("text", ["", "300", "100@", "@300", "1e3@300", "10@300-", "10@300-400-500", "10@-5", "1@2,"])
def test_other_forms_are_refused(text):
    with pytest.raises(ConfigError, match="STEPS@KELVIN"):
        parse_stages(text)


@pytest.mark.parametrize("text", ["0@300", "10@0", "10@300-0"])
def test_no_steps_and_no_heat_are_refused(text):
    with pytest.raises(ConfigError, match="at least one step and more than 0 K"):
        parse_stages(text)

"""Judge a potential: derivatives, invariances, smoothness, dimers, volumes, dynamics; a verdict per line.

alignn-ff check universal si.cif
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from ase import Atoms

from alignn_ff.errors import ConfigError, DomainWarning
from alignn_ff.progress import track
from alignn_ff.workflows.checks.bench import Bench, prepare
from alignn_ff.workflows.checks.criteria import Line, Measurement, Part, judged
from alignn_ff.workflows.checks.derivatives import derivatives
from alignn_ff.workflows.checks.dimers import dimers
from alignn_ff.workflows.checks.drift import drift
from alignn_ff.workflows.checks.equality import equality
from alignn_ff.workflows.checks.variants import variants
from alignn_ff.workflows.checks.volumes import volumes
from alignn_ff.workflows.checks.walks import walks
from alignn_ff.workflows.frames import append_line, growing_file
from alignn_ff.workflows.result import Outcome, Table, WorkflowResult
from alignn_ff.workflows.settings import reject_unused, setting, validate

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLUMNS = ("criterion", "subject", "value", "where", "verdict")


class Check(NamedTuple):
    """One row of the table of checks: run on every one of these subjects unless the setting `switch` is off."""

    run: Callable[[Bench, Any], Part]
    subjects: str = "structures"
    switch: str = ""
    reads: tuple[str, ...] = ()


CHECKS = {
    "equality": Check(equality),
    "derivatives": Check(derivatives),
    "walks": Check(walks),
    "variants": Check(variants),
    "dimers": Check(dimers, "pairs", "dimers", ("dimer_reach_a",)),
    "volumes": Check(volumes, switch="volumes", reads=("volume_range_percent",)),
    "dynamics": Check(drift, switch="dynamics", reads=("md_steps", "md_timestep_fs", "md_temperature_k")),
}
"""Name -> check. Another one is a file in `checks`, its criteria, and a line here."""


@dataclass(frozen=True)
class CheckSettings:
    """What to check; see `--help` of the command for each field."""

    elements: str | None = setting(
        None,
        "Elements whose pairs are pulled apart, such as Cu,Ni; by default those of the structures, or all that the "
        "model knows. Without structures their reference crystals are checked.",
    )
    rattle_a: float = setting(
        0.05, "Standard deviation of the random displacements that break symmetry.", unit="Å", above=0
    )
    seed: int = setting(0, "Seed of all random numbers.", at_least=0)
    dimers: bool = setting(True, "Check every pair of elements alone.")
    dimer_reach_a: float = setting(10.0, "Distance up to which.", unit="Å", above=3)
    volumes: bool = setting(True, "Check the energy over the volume.")
    volume_range_percent: float = setting(20.0, "Volumes from this far below to this far above.", unit="%", above=0)
    dynamics: bool = setting(True, "Check the drift of the energy in molecular dynamics (NVE).")
    md_steps: int = setting(400, "Steps of that run.", at_least=10)
    md_timestep_fs: float = setting(0.5, "Its time step.", unit="fs", above=0)
    md_temperature_k: float = setting(300.0, "Temperature of its start.", unit="K", above=0)

    def __post_init__(self) -> None:
        validate(self)
        if self.volume_range_percent >= 90:
            raise ConfigError(f"volume_range_percent = {self.volume_range_percent:g}: less than 90 was expected.")
        for check in CHECKS.values():
            if check.switch and not getattr(self, check.switch):
                reject_unused(self, check.reads, f"{check.switch} is off")


CHECK_DEFAULTS = CheckSettings()


@dataclass(frozen=True)
class CheckResult(WorkflowResult):
    """A verdict per line, and what it rests on.

    `measurements` holds every subject's value for every line, `curves` the curves of each check by subject.
    `structures_checked` are the structures as given, the small ones repeated; `atoms` is the first of them.
    """

    settings: CheckSettings
    lines: Sequence[Line]
    measurements: Sequence[Measurement]
    curves: Mapping[str, Mapping[str, Table]]
    structures_checked: Sequence[Atoms]

    name: ClassVar[str] = "check"
    only_tables: ClassVar[tuple[str, ...]] = ("measurements", "curves", "structures_checked")

    @property
    def outcome(self) -> Outcome:
        """Failed if any line failed; warnings pass."""
        return "failed" if self.count("fail") else "done"

    def count(self, verdict: str) -> int:
        """How many lines have this verdict."""
        return sum(line.verdict == verdict for line in self.lines)

    @property
    def total(self) -> str:
        """How many lines have each verdict, in words."""
        return ", ".join(f"{self.count(verdict)} {verdict}" for verdict in ("pass", "warn", "fail", "skipped"))

    def rows(self) -> list[tuple[str, str]]:
        """Each line, then the sum of them."""
        return [*((line.label, line.text) for line in self.lines), ("all together", self.total)]

    def structures(self) -> Mapping[str, Sequence[Atoms]]:
        """What was checked."""
        return {"structures": self.structures_checked}

    def tables(self) -> Mapping[str, Table]:
        """All measurements, and the curves of each check with the subject as first column."""
        columns = zip(*map(_row, self.measurements), strict=True)
        measurements = {name: np.array(column) for name, column in zip(COLUMNS, columns, strict=True)}
        return {"measurements": measurements} | {name: _stacked(curves) for name, curves in self.curves.items()}

    def plot(self) -> Figure:
        """Every value in units of its limit."""
        from alignn_ff.reports.check import verdict_figure

        return verdict_figure([(line.label, line.verdict, line.value, line.limit) for line in self.lines])

    def findings(self, folder: Path) -> list[str]:
        """The verdicts as a table, and figures."""
        from alignn_ff.reports.check import check_parts

        rows = [(line.verdict, line.label, line.numbers, line.worst, ", ".join(line.failed)) for line in self.lines]
        return check_parts(self.total, rows, (folder / f"{self.name}.png").read_bytes(), self.curves)


def run_check(
    calculator: Any,
    structures: Sequence[Atoms] = (),
    settings: CheckSettings = CHECK_DEFAULTS,
    *,
    folder: str | Path | None = None,
    progress: bool = False,
) -> CheckResult:
    """Ask an ASE calculator what every sound potential answers in a known way.

    Args:
        calculator: any of ASE; batches are used where it has a method `evaluate(list of Atoms)`.
        structures: to check it on, better near a minimum of the energy; they need no calculator and are left as they
            are. None: reference crystals of the elements.
        folder: where `measurements.csv` grows check by check and the result is saved; None writes nothing.
        progress: draw a bar on standard error.
    Raises:
        ConfigError: neither structures nor elements to check.
        StructureError: a structure without atoms, or with positions or a cell that are not finite.
    """
    bench = prepare(calculator, structures, settings)
    jobs = list(_jobs(bench))
    parts: list[tuple[str, Part]] = []
    with (
        warnings.catch_warnings(),
        growing_file(folder, "measurements.csv") as file,
        track("check", len(jobs), show=progress) as advance,
    ):
        warnings.simplefilter("ignore", DomainWarning)  # odd structures are the point of it
        append_line(file, COLUMNS)
        for name, subject in jobs:
            part = CHECKS[name].run(bench, subject)
            for measurement in part.measurements:
                append_line(file, _row(measurement))
            parts.append((name, part))
            advance(note=f"{name}, {subject if isinstance(subject, str) else '-'.join(subject)}")
    result = _result(bench, parts)
    if folder is not None:
        result.save(folder)
    return result


def _row(measurement: Measurement) -> tuple[Any, ...]:
    """Values of `COLUMNS`; a value that could not be had is NaN."""
    value = np.nan if measurement.value is None else measurement.value
    return (measurement.criterion, measurement.subject, value, measurement.where, measurement.verdict)


def _jobs(bench: Bench) -> Iterator[tuple[str, Any]]:
    for name, check in CHECKS.items():
        if not check.switch or getattr(bench.settings, check.switch):
            yield from ((name, subject) for subject in getattr(bench, check.subjects))


def _result(bench: Bench, parts: Sequence[tuple[str, Part]]) -> CheckResult:
    measurements = [measurement for _, part in parts for measurement in part.measurements]
    curves: dict[str, dict[str, Table]] = {}
    for name, part in parts:
        if part.curves:
            curves.setdefault(name, {}).update(part.curves)
    checked = list(bench.structures.values())
    return CheckResult(
        atoms=checked[0],
        settings=bench.settings,
        lines=judged(measurements),
        measurements=measurements,
        curves=curves,
        structures_checked=checked,
    )


def _stacked(curves: Mapping[str, Table]) -> Table:
    """Curves of one kind below each other, the subject as first column."""
    first = next(iter(curves.values()))
    subjects = [np.full(len(next(iter(curve.values()))), subject) for subject, curve in curves.items()]
    stacked = {name: np.concatenate([curve[name] for curve in curves.values()]) for name in first}
    return {"subject": np.concatenate(subjects), **stacked}

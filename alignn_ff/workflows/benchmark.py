"""Judge a potential by a table of materials: elastic constants, phonons, lattice constants beside their references.

alignn-ff benchmark examples/benchmark.toml --property relax,eos,elastic
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ase import Atoms

from alignn_ff.errors import ConfigError, RunawayError, StructureError, did_you_mean
from alignn_ff.progress import track
from alignn_ff.workflows.benchmark_errors import compare, statistics
from alignn_ff.workflows.benchmark_ledger import Ledger, Row, Status, open_rows
from alignn_ff.workflows.benchmark_materials import Material
from alignn_ff.workflows.benchmark_properties import PROPERTIES
from alignn_ff.workflows.benchmark_quantities import QUANTITIES
from alignn_ff.workflows.benchmark_result import BenchmarkResult
from alignn_ff.workflows.force_constants import HarmonicSettings
from alignn_ff.workflows.restart import calculator_identity, structure_digest
from alignn_ff.workflows.settings import setting

log = logging.getLogger(__name__)

WORKFLOW_LOGGER = "alignn_ff.workflows"

REFUSALS = (RunawayError, ConfigError, StructureError, RuntimeError, ValueError, ArithmeticError, LookupError)
"""How workflows, and calculators that do not know a material, fail on it. The rest of the table is computed."""


@dataclass(frozen=True)
class BenchmarkSettings(HarmonicSettings):
    """What to compare and how; see `--help` of the command for each field. Supercells are those of phonon."""

    properties: str | None = setting(
        None,
        f"Properties to compute, such as elastic,phonon,relax; of {', '.join(PROPERTIES)}. By default all that the "
        "table has references of.",
        alias="--property",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.chosen or ():
            if name not in PROPERTIES:
                raise ConfigError(
                    f"unknown property {name!r}{did_you_mean(name, PROPERTIES)}. Properties: {', '.join(PROPERTIES)}."
                )

    @property
    def chosen(self) -> tuple[str, ...] | None:
        """Names of the properties asked for; None where that is left to the table."""
        if self.properties is None:
            return None
        return tuple(dict.fromkeys(name.strip() for name in self.properties.split(",")))


BENCHMARK_DEFAULTS = BenchmarkSettings()


@dataclass(frozen=True)
class Job:
    """One property of one material."""

    material: Material
    property: str
    structure: str


def run_benchmark(
    materials: Sequence[Material],
    calculator: Any,
    settings: BenchmarkSettings = BENCHMARK_DEFAULTS,
    *,
    folder: str | Path | None = None,
    resume: bool = False,
    progress: bool = False,
) -> BenchmarkResult:
    """Compute what materials have references of with one ASE calculator, and compare.

    Args:
        materials: as `read_materials` reads them from a table; left as they are.
        calculator: any of ASE; elastic constants and lattice constants need its stress.
        folder: where `rows.jsonl` grows row by row and the result is saved; None writes nothing.
        resume: keep the rows in `folder` and compute only what is not there, or failed. The table may have changed:
            a row is known by its structure and property.
        progress: draw a bar on standard error.
    Returns:
        The result, also where rows failed or did not converge, or Ctrl-C came after the first of them.
    Raises:
        ConfigError: no reference of a property asked for, or rows to go on with that were computed otherwise.
        CheckpointError: damaged rows, or files but no rows to go on with.
    """
    jobs = _jobs(materials, settings)
    if resume and folder is None:
        raise ConfigError("resume needs the folder of the run.")
    settled = {name: value for name, value in asdict(settings).items() if name != "properties"}
    origin = {"calculator": calculator_identity(calculator), **settled}
    place = None if folder is None else Path(folder)
    with open_rows(place, origin, resume=resume) as ledger:
        rows = _rows(jobs, calculator, settings, ledger, progress)
    result = _result(materials, jobs, rows, settings)
    if folder is not None:
        result.save(folder)
    return result


def _jobs(materials: Sequence[Material], settings: BenchmarkSettings) -> list[Job]:
    """One for each property of each material that has a reference of it, property by property."""
    offered = [{QUANTITIES[name].property for name in material.references} for material in materials]
    known = set().union(*offered)
    chosen = tuple(name for name in PROPERTIES if name in known) if settings.chosen is None else settings.chosen
    absent = [name for name in chosen if name not in known]
    if absent or not chosen:
        raise ConfigError(
            f"the table has no reference of {', '.join(absent) or 'any property'}; it has some of "
            f"{', '.join(sorted(known)) or 'none'}."
        )
    if "relax" in chosen and not settings.relax:
        raise ConfigError("the property relax is to relax: choose others with `properties`, or let `relax` be on.")
    digests = [structure_digest(material.atoms) for material in materials]
    rows = list(zip(materials, offered, digests, strict=True))
    return [Job(one, name, digest) for name in chosen for one, has, digest in rows if name in has]


def _rows(
    jobs: Sequence[Job], calculator: Any, settings: BenchmarkSettings, ledger: Ledger, progress: bool
) -> list[Row]:
    """A row per job, kept or computed now; those so far if Ctrl-C comes after the first."""
    rows: list[Row] = []
    kept = sum(ledger.kept(job.structure, job.property) is not None for job in jobs)
    with track("benchmark", len(jobs), done=kept, show=progress) as advance:
        try:
            for job in jobs:
                row = ledger.kept(job.structure, job.property)
                if row is None:
                    row = _computed(job, calculator, settings)
                    ledger.add(row)
                    advance(note=f"{row.material}, {row.property}: {row.status}")
                rows.append(replace(row, material=job.material.name))  # it may have been renamed since
        except KeyboardInterrupt:
            if not rows:
                raise
            log.warning("interrupted after %d of %d rows; go on with --resume.", len(rows), len(jobs))
    return rows


def _computed(job: Job, calculator: Any, settings: BenchmarkSettings) -> Row:
    atoms = job.material.atoms.copy()
    atoms.calc = calculator
    began = time.perf_counter()
    status: Status
    with _noted() as notes:
        try:
            values, converged = PROPERTIES[job.property](atoms, settings)
            status, reason = ("done", "") if converged else ("not converged", "")
        except REFUSALS as error:
            values, status = {}, "failed"
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
    for note in notes:
        log.warning("%s, %s: %s", job.material.name, job.property, note)
    seconds = time.perf_counter() - began
    return Row(job.material.name, job.property, job.structure, status, reason, values, tuple(notes), seconds)


@contextmanager
def _noted() -> Iterator[list[str]]:
    """What workflows warn of within the block, which does not say of which material."""
    notes: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            notes.append(record.getMessage())

    handler, logger = Collector(logging.WARNING), logging.getLogger(WORKFLOW_LOGGER)
    before = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield notes
    finally:
        logger.propagate = before
        logger.removeHandler(handler)


def _result(
    materials: Sequence[Material], jobs: Sequence[Job], rows: Sequence[Row], settings: BenchmarkSettings
) -> BenchmarkResult:
    pairs = list(zip(jobs, rows, strict=False))  # an interrupted run has fewer rows
    comparisons = [one for job, row in pairs for one in compare(job.material, row)]
    starts: list[Atoms] = [material.atoms for material in materials]
    count = {status: sum(row.status == status for row in rows) for status in ("done", "not converged", "failed")}
    return BenchmarkResult(
        atoms=starts[0],
        settings=settings,
        starts=starts,
        measured=rows,
        comparisons=comparisons,
        errors=statistics(comparisons),
        materials=len(materials),
        rows_in_all=len(jobs),
        rows_done=count["done"],
        rows_not_converged=count["not converged"],
        rows_failed=count["failed"],
    )

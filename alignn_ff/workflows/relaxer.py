"""What a long job relaxes and evaluates, none of it twice: what an earlier run of it found is taken from its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import ase
from ase import Atoms
from ase.io.jsonio import decode, encode

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.batch import evaluate_each
from alignn_ff.workflows.frames import with_results, working_copy
from alignn_ff.workflows.ledger import Add, Kind, open_ledger
from alignn_ff.workflows.relax import RelaxResult, RelaxSettings, run_relax
from alignn_ff.workflows.restart import calculator_identity, structure_digest

FORMAT = 2
LEDGER = Kind("relaxations.jsonl", lambda line: (line["key"], line["found"]))


class Relaxer:
    """Relaxes with one calculator; with nothing to `add` to it forgets.

    A relaxation is known by its start and settings, so a job may go on with other settings of its own and finds those
    that are still the same. What Ctrl-C broke off in the midst is relaxed again from its start.
    """

    def __init__(self, calculator: Any, known: Mapping[str, str] | None = None, add: Add | None = None) -> None:
        self.calculator = calculator
        self._known, self._add = known or {}, add

    def __call__(self, atoms: Atoms, how: RelaxSettings) -> RelaxResult:
        """`atoms` relaxed as `how` says, their calculator being this one's.

        Raises:
            KeyboardInterrupt: it was interrupted: what follows would pass for the result of relaxed atoms.
            ConfigError, StructureError, RunawayError: as in `run_relax`.
        """
        start = atoms.copy()
        start.calc = self.calculator
        key = _key(start, how)
        if key in self._known:
            return _from_text(self._known[key], how)
        result = run_relax(start, how)
        if result.outcome == "interrupted":
            raise KeyboardInterrupt
        if self._add is not None:
            self._add({"key": key, "found": _as_text(result)})
        return result

    def evaluate_each(self, structures: Sequence[Atoms]) -> Iterator[Atoms]:
        """As `batch.evaluate_each` with this one's calculator; what is known is not computed again.

        Raises:
            RunawayError: an energy or a force is not finite.
        """
        keys = [_key(atoms, None) for atoms in structures]
        missing = [atoms for atoms, key in zip(structures, keys, strict=True) if key not in self._known]
        computed = evaluate_each(missing, self.calculator)
        for atoms, key in zip(structures, keys, strict=True):
            if key in self._known:
                yield with_results(atoms, _decoded(self._known[key]))
                continue
            frame = next(computed)
            if self._add is not None:
                self._add({"key": key, "found": encode(frame.calc.results)})
            yield frame


@contextmanager
def open_relaxer(atoms: Atoms, folder: str | Path | None, *, resume: bool) -> Iterator[Relaxer]:
    """A relaxer with the calculator of `atoms` that keeps what it relaxes in `folder`.

    Args:
        folder: None keeps nothing.
        resume: go on with what an earlier run of the job kept there, if it did.
    Raises:
        CheckpointError: a damaged file, or files but none to go on with.
        ConfigError: no calculator, another one than that of the earlier run, or nothing to resume from.
    """
    if resume and folder is None:
        raise ConfigError("resume needs the folder of the run.")
    calculator = working_copy(atoms).calc
    origin = {"format": FORMAT, "ase": ase.__version__, "calculator": calculator_identity(calculator)}
    with open_ledger(None if folder is None else Path(folder), LEDGER, origin, resume=resume) as (entries, add):
        yield Relaxer(calculator, dict(entries), add)


def _key(start: Atoms, how: RelaxSettings | None) -> str:
    """Of a relaxation; of an evaluation without `how`."""
    settings = None if how is None else asdict(how)
    text = json.dumps({"structure": structure_digest(start), "settings": settings})
    return hashlib.sha256(text.encode()).hexdigest()


def _as_text(result: RelaxResult) -> str:
    """The result but for its settings; numbers have all their digits."""
    found = {item.name: getattr(result, item.name) for item in fields(result) if item.name != "settings"}
    for name in ("atoms", "initial"):
        frame = found[name]
        bare = frame.copy()
        found[name] = {"atoms": bare, "results": dict(frame.calc.results)}
    return encode(found)


def _from_text(text: str, how: RelaxSettings) -> RelaxResult:
    found = _decoded(text)
    for name in ("atoms", "initial"):
        found[name] = with_results(found[name]["atoms"], found[name]["results"])
    return RelaxResult(settings=how, **found)


def _decoded(text: str) -> Any:
    return decode(text, always_array=False)

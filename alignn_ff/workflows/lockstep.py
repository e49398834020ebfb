"""Many walks of structures in lockstep: where several are about to be evaluated, one call evaluates them all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

from alignn_ff.errors import AlignnFFError
from alignn_ff.progress import track
from alignn_ff.workflows.batch import BATCH_ATOMS
from alignn_ff.workflows.result import WorkflowResult

Result = TypeVar("Result", bound=WorkflowResult)

Walk: TypeAlias = Generator[Atoms, None, Result]
"""A workflow in pieces: it halts with its structure before it asks anything of new positions, and ends with a result.
At its first halt the structure has its calculator; another one may be put in that place. Ctrl-C comes to it where it
halts: it ends with what it has, or raises `KeyboardInterrupt` where that is nothing."""

WALKS_AT_ONCE = 100
"""Each may hold a file open, and systems allow some hundreds. Atoms under way are bounded by `BATCH_ATOMS`."""


class Lending(Calculator):
    """Answers for one structure with what was computed beside others, and else computes it alone.

    Args:
        calculator: any with a method `evaluate(list of Atoms) -> list of results`.
    """

    def __init__(self, calculator: Any) -> None:
        super().__init__()
        self.implemented_properties = list(calculator.implemented_properties)
        self._source = calculator

    def lend(self, atoms: Atoms, results: dict[str, Any]) -> None:
        """Answer with `results` while the structure is as `atoms`, which this calculator keeps."""
        self.atoms, self.results = atoms, results

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Results of a structure for which nothing was lent, as a line search asks for them."""
        super().calculate(atoms, properties, system_changes)
        (self.results,) = self._source.evaluate([self.atoms])


class _Walker(Generic[Result]):
    """A walk under way and, once it halted, its structure, which borrows from `calculator` where there is one."""

    def __init__(self, walk: Walk[Result], calculator: Any) -> None:
        self._walk = walk
        self._lending = None if calculator is None else Lending(calculator)
        self.atoms = Atoms()

    @property
    def borrower(self) -> Lending | None:
        """Its calculator, if that would have to compute now."""
        asks = self._lending is not None and len(self.atoms) > 0 and self._lending.check_state(self.atoms)
        return self._lending if asks else None

    def go_on(self) -> Result | AlignnFFError | None:
        """Walk to the next halt; what the walk ended with, if it did."""
        try:
            self.atoms = next(self._walk)
        except StopIteration as end:
            return end.value
        except AlignnFFError as error:
            return error
        if self._lending is not None:
            self.atoms.calc = self._lending
        return None

    def interrupt(self) -> Result | AlignnFFError | None:
        """What the walk ends with when Ctrl-C reaches it where it halted; None where that is nothing."""
        try:
            self._walk.throw(KeyboardInterrupt)
        except StopIteration as end:
            return end.value
        except AlignnFFError as error:
            return error
        except KeyboardInterrupt:
            pass  # it had nothing to keep
        return None


def shared_calculator(structures: Sequence[Atoms]) -> Any:
    """The calculator that all structures have, if it is one and evaluates many at once; else None."""
    first, *others = [atoms.calc for atoms in structures] or [None]
    return first if hasattr(first, "evaluate") and all(calc is first for calc in others) else None


def alone(walk: Walk[Result]) -> Result:
    """What the walk ends with; its structure is evaluated by its own calculator, where the walk asks for it."""
    while True:
        try:
            next(walk)
        except StopIteration as end:
            return end.value


def in_lockstep(
    walks: Sequence[Walk[Result]], calculator: Any, *, what: str = "", progress: bool = False
) -> Iterator[tuple[int, Result | AlignnFFError]]:
    """Place and ending of each walk as it ends: a result, or why there is none, which keeps no other from its way.

    After a Ctrl-C those under way end with what they have, and those that have nothing, or were not begun, are not
    among the endings.

    Args:
        calculator: evaluates the structures of all by its method `evaluate`; None where each has a calculator of its
            own, and the walks are gone one after the other.
        what: said in front of the bar of progress, which counts endings; none is drawn without a calculator.
    """
    waiting = deque(enumerate(walks))
    under_way: dict[int, _Walker[Result]] = {}
    with track(what, len(walks), show=progress and calculator is not None) as advance:
        try:
            while waiting or under_way:
                _lend(under_way.values(), calculator)
                yield from _endings(under_way, list(under_way), advance)
                while waiting and _room(under_way.values(), calculator):
                    place, walk = waiting.popleft()
                    under_way[place] = _Walker(walk, calculator)
                    yield from _endings(under_way, [place], advance)
        except KeyboardInterrupt:
            for place, walker in under_way.items():
                ending = walker.interrupt()
                if ending is not None:
                    yield place, ending


def _lend(walkers: Collection[_Walker[Result]], calculator: Any) -> None:
    """Evaluate all structures of walkers that changed, and lend each its results."""
    asking = [(lending, walker.atoms.copy()) for walker in walkers if (lending := walker.borrower) is not None]
    if not asking:
        return
    try:
        found = calculator.evaluate([atoms for _, atoms in asking])
    except AlignnFFError:
        return  # one is at fault, and says so in its turn, when each computes its own
    for (lending, atoms), results in zip(asking, found, strict=True):
        lending.lend(atoms, results)


def _endings(
    under_way: dict[int, _Walker[Result]], places: Sequence[int], advance: Callable[..., None]
) -> Iterator[tuple[int, Result | AlignnFFError]]:
    """Walkers at `places` go on to their next halt; those that ended are under way no more."""
    for place in places:
        ending = under_way[place].go_on()
        if ending is not None:
            del under_way[place]
            yield place, ending
            if isinstance(ending, WorkflowResult) and ending.outcome == "interrupted":
                raise KeyboardInterrupt
        advance(int(ending is not None), note=f"{len(under_way)} at once")


def _room(walkers: Collection[_Walker[Result]], calculator: Any) -> bool:
    """Whether one more may begin."""
    if calculator is None:
        return not walkers
    return len(walkers) < WALKS_AT_ONCE and sum(len(walker.atoms) for walker in walkers) < BATCH_ATOMS

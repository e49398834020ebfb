"""Says, once a kind, that a structure lies outside what the model was trained on."""

from __future__ import annotations

import warnings

from ase import Atoms

from alignn_ff.domain import Domain, Finding, Limits, outside
from alignn_ff.errors import DomainWarning
from alignn_ff.graph import AtomGraph

_LONGEST_PAUSE = 50


class DomainGuard:
    """Looks at what a calculator evaluates and warns of every kind of finding once.

    Along a trajectory it looks when the neighbour list was rebuilt, which is when atoms have moved, and at every 50th
    evaluation besides, for cells that swell without a rebuild: that costs less than half a hundredth of the time
    (docs/adr/003-domain-guard.md), where looking every time would cost several.

    Args:
        domain: of the model.
        model: how the warning calls it.
    """

    def __init__(self, domain: Domain, model: str) -> None:
        self.limits = Limits(domain)
        self._model = model
        self._said: set[str] = set()
        self._pause = 0

    def follow(self, graph: AtomGraph, *, rebuilt: bool) -> None:
        """Look at the next structure of a trajectory, if it is time to."""
        self._pause += 1
        if rebuilt or self._pause >= _LONGEST_PAUSE:
            self._pause = 0
            self.check(graph)

    def check(self, graph: AtomGraph, first: int | None = None) -> None:
        """Look at every structure of `graph`.

        Args:
            first: number of the first one; where given, each is called by its number and its formula, as those who
                evaluate many at once may not count them as the caller did.
        """
        news: dict[str, str] = {}
        for finding in outside(self.limits, graph):
            if finding.kind not in self._said:
                number = None if first is None else first + finding.structure
                where = "" if number is None else f" of structure {number}, {_formula(graph, finding)}"
                news.setdefault(finding.kind, f"{finding.kind}{where}: {finding.message}")
        self._said |= set(news)
        if news:
            warnings.warn(
                f"outside what model {self._model} was trained on. {'. '.join(news.values())}. Results may be far off: "
                "check the structure and its units, compare with a reference calculation, or train on such structures. "
                "This is said once; domain_check=False silences it.",
                DomainWarning,
                stacklevel=3,
            )


def _formula(graph: AtomGraph, finding: Finding) -> str:
    numbers = graph.numbers[graph.graph_index == finding.structure]
    return Atoms(numbers.cpu().numpy()).get_chemical_formula()

"""What the vacancy workflow gives back: a formation energy per site, and the series of supercells behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from alignn_ff.workflows.defect_result import Formation, SeriesResult
from alignn_ff.workflows.result import quantity

if TYPE_CHECKING:
    from alignn_ff.workflows.vacancy import VacancySettings


@dataclass(frozen=True, kw_only=True)
class Vacancy(Formation):
    """The vacancy of one site."""

    element: str
    reservoir_energy_ev: float = quantity("energy of the atom in its reservoir", "eV", ".4f")
    reservoir: str = quantity("reservoir")


@dataclass(frozen=True, kw_only=True)
class VacancyResult(SeriesResult):
    """Vacancies of a crystal."""

    settings: VacancySettings
    vacancies: tuple[Vacancy, ...]

    name: ClassVar[str] = "vacancy"
    stem: ClassVar[str] = "vacancies"

    @property
    def formations(self) -> Sequence[Formation]:
        """Each of them."""
        return self.vacancies

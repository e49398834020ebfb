"""Which surfaces meet in an interface, and how it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.crystal import CrystalSettings
from alignn_ff.workflows.settings import reject_unused, setting
from alignn_ff.workflows.surface_settings import miller_indices


@dataclass(frozen=True)
class InterfaceSettings(CrystalSettings):
    """Two surfaces and their common cell; see `--help` of the command for each field."""

    fmax: float = setting(1e-3, "Its criterion, as in the command relax.", unit="eV/Å", above=0)
    substrate_miller: str = setting("001", "Plane of the substrate, of its conventional cell, e.g. 111 or 1-10.")
    film_miller: str = setting("001", "Plane of the film, of its conventional cell.")
    substrate_termination: int = setting(1, "Which of the terminations that symmetry tells apart.", at_least=1)
    film_termination: int = setting(1, "Which of those of the film.", at_least=1)
    max_mismatch_percent: float = setting(5.0, "Most strain of the film in any direction.", unit="%", above=0)
    max_area_a2: float = setting(150.0, "Largest common cell.", unit="Å²", above=0)
    thickness_a: float = setting(12.0, "Substrate and film are at least this thick, each.", unit="Å", above=0)
    vacuum_a: float = setting(15.0, "Vacuum between the film and the image of the substrate.", unit="Å", above=0)
    registry: int = setting(
        6, "Places of the film that are tried along both vectors by which its shift repeats.", at_least=1
    )
    reach_a: float = setting(6.0, "The curve of adhesion reaches this far beyond its minimum.", unit="Å", above=0)
    relax_interface: bool = setting(
        True, "Relax the atoms of the best place and of the slabs; without it only the unrelaxed energies."
    )
    max_atoms: int = setting(400, "Refuse an interface of more atoms.", at_least=2)

    def __post_init__(self) -> None:
        super().__post_init__()
        reject_unused(self, ("pressure_gpa",), "the slabs have free faces, where there is no pressure")
        for name in ("substrate_miller", "film_miller"):
            if len(miller_indices(getattr(self, name), name)) > 1:
                raise ConfigError(f"`{name}` = {getattr(self, name)!r}: one plane was expected.")
        if self.max_mismatch_percent > 20:
            raise ConfigError(
                f"`max_mismatch_percent` = {self.max_mismatch_percent:g}: at most 20 was expected, beyond which a film "
                "is another crystal."
            )

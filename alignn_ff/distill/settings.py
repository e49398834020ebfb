"""What a distillation samples."""

from __future__ import annotations

from dataclasses import dataclass

from alignn_ff.errors import ConfigError
from alignn_ff.workflows.settings import setting, validate


@dataclass(frozen=True)
class DistillSettings:
    """How structures are sampled; see `alignn-ff distill --help` for each field."""

    seed: int = setting(0, "Seed of all random numbers.", at_least=0)
    max_atoms: int = setting(24, "Largest structure that is made; given structures may be larger.", at_least=2)
    molecule_share: float = setting(0.05, "Share of families that are molecules or pairs of atoms.", at_least=0)
    disordered_share: float = setting(0.07, "Share of families that are random packings.", at_least=0)
    mixed_share: float = setting(0.10, "Share of families that are crystals with a mixed sublattice.", at_least=0)
    alike_share: float = setting(
        0.5, "Share of crystals and molecules whose elements resemble those that gave them their name.", at_least=0
    )
    volume_steps: int = setting(3, "Steps at most from the starting volume towards zero pressure.", at_least=0)
    relax_steps: int = setting(2, "Steps downhill, atoms and cell.", at_least=0)
    perturbed: int = setting(2, "Perturbations of each relaxed crystal.", at_least=0)
    vacancy_share: float = setting(0.1, "Share of perturbations that take an atom out.", at_least=0)
    slab_share: float = setting(0.15, "Share of perturbations that cut a surface.", at_least=0)
    squeeze_share: float = setting(
        0.1, "Share of perturbations that squeeze or widen the crystal, by 15 % of its length at most.", at_least=0
    )
    md_share: float = setting(
        0.03, "Share of perturbations that run molecular dynamics; the rest strains and rattles.", at_least=0
    )
    md_steps: int = setting(20, "Time steps of a run.", at_least=1)
    md_every: int = setting(5, "Steps between its snapshots.", at_least=1)
    max_temperature_k: float = setting(2000.0, "Hottest run; the coldest is at 300 K.", unit="K", at_least=300)
    max_force: float = setting(30.0, "Frames with a larger force are left out.", unit="eV/Å", above=0)
    max_stress: float = setting(0.8, "Frames with a larger stress are left out.", unit="eV/Å³", above=0)

    def __post_init__(self) -> None:
        validate(self)
        for names in (
            ("molecule_share", "disordered_share", "mixed_share"),
            ("vacancy_share", "slab_share", "squeeze_share", "md_share"),
            ("alike_share",),
        ):
            if sum(getattr(self, name) for name in names) > 1 + 1e-9:
                raise ConfigError(f"{' + '.join(names)} is more than 1. Lower them.")
        if self.md_every > self.md_steps:
            raise ConfigError(f"md_every = {self.md_every} is more than md_steps = {self.md_steps}: no frame is kept.")

"""One family: structures that come from one start, each labelled as soon as it is made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from ase import Atoms, units

from alignn_ff.distill.harvest import Family, Harvest, Teacher
from alignn_ff.distill.label import Labels
from alignn_ff.distill.perturb import downhill, enlarged, rattled, slab, strained, stretched, with_vacancy
from alignn_ff.distill.start import Material, begin
from alignn_ff.workflows.velocities import draw_momenta

_GUESS_EV_A3 = 1.35
"""Slope of a crystal's tension with the logarithm of its length where two volumes have not shown it yet: three times
the bulk modulus, here that of aluminium."""

_LARGEST_STEP = 0.1
"""Largest change of the logarithm of the length in one step of a volume scan."""

_LARGEST_SQUEEZE = 0.15
"""Largest relative change of length of a relaxed crystal that is squeezed or widened."""

_CLOSE_ENOUGH = 0.012
"""A step of the volume scan below this change of length is not worth a frame."""


def make_family(number: int, material: Material, teacher: Teacher) -> Family:
    """Sample and label family `number`; the same frames whenever and wherever it is called.

    Args:
        teacher: labels of a structure; raises LabelError.
    """
    settings = material.settings
    rng = np.random.default_rng([settings.seed, number])
    start = begin(number, material, rng)
    harvest = Harvest(teacher, settings, {"source": start.source, "seed": f"{settings.seed}-{number}"})
    _ROUTES[start.kind](start.atoms, harvest, rng)
    return harvest.family(number)


def _crystal(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> None:
    """Scan the volume towards zero pressure, relax a little, perturb."""
    settings = harvest.settings
    found = _scan_volume(atoms, harvest, rng)
    if found is None:
        return
    last, labels, slope = found
    relaxed = _relax(last, labels, harvest, "relax", slope)
    for _ in range(settings.perturbed):
        _perturb(relaxed, harvest, rng)


def _disordered(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> None:
    found = harvest.add(atoms, "disordered")
    if found is not None:
        _relax(*found, harvest, "disordered")


def _open(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> None:
    tag = "slab" if atoms.pbc.any() else "molecule"
    found = harvest.add(atoms, tag)
    if found is not None:
        relaxed = _relax(*found, harvest, tag)
        harvest.add(rattled(relaxed, _log_uniform(0.01, 0.15, rng), rng), tag)


_ROUTES: dict[str, Callable[[Atoms, Harvest, np.random.Generator], None]] = {
    "crystal": _crystal,
    "disordered": _disordered,
    "open": _open,
}


def _scan_volume(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> tuple[Atoms, Labels, float] | None:
    """Label `atoms`, then at volumes towards zero pressure, by secants.

    Each further volume is also strained and rattled a little, so that it teaches more than a pressure. Without a
    stress the first frame is the last.

    Returns:
        the last frame that was labelled, and the slope of its tension (eV/Å³) with the logarithm of its length.
    """
    found = harvest.add(atoms, "volume")
    slope: float | None = None
    for _ in range(harvest.settings.volume_steps):
        if found is None or found[1].stress is None:
            break
        tension = _tension(found[1])
        step = _volume_step(tension, slope)
        if abs(step) < _CLOSE_ENOUGH:
            break
        following = rattled(strained(stretched(found[0], np.exp(step)), 0.01, rng), 0.03, rng)
        further = harvest.add(following, "volume")
        if further is None:
            break
        slope = (_tension(further[1]) - tension) / step
        found = further
    return None if found is None else (*found, _stable(slope))


def _tension(labels: Labels) -> float:
    """Mean normal stress, eV/Å³: minus the pressure."""
    return 0.0 if labels.stress is None else float(labels.stress[:3].mean())


def _volume_step(tension: float, slope: float | None) -> float:
    """Change of the logarithm of the length that should bring the tension to zero, 0.1 at most.

    At the first volume the slope is a guess and the step no smaller than 0.04: near zero tension a crystal may be
    soft, or so far apart that it hardly holds together. Where tension falls with length, it is beyond its largest.
    """
    if slope is not None and slope <= 0.0 < tension:
        return -_LARGEST_STEP
    step = float(np.clip(-tension / _stable(slope), -_LARGEST_STEP, _LARGEST_STEP))
    return step if slope is not None else float(np.copysign(max(abs(step), 0.04), step))


def _stable(slope: float | None) -> float:
    """The slope kept to what crystals have at rest, bulk moduli of 5 to 500 GPa; a guess where it shows none."""
    return _GUESS_EV_A3 if slope is None or slope <= 0.0 else float(np.clip(slope, 0.1, 9.0))


def _relax(atoms: Atoms, labels: Labels, harvest: Harvest, tag: str, slope: float = _GUESS_EV_A3) -> Atoms:
    """The structure after some steps downhill, each of them labelled."""
    for _ in range(harvest.settings.relax_steps):
        found = harvest.add(downhill(atoms, labels.forces, labels.stress, slope), tag)
        if found is None:
            break
        atoms, labels = found
    return atoms


def _perturb(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> None:
    """One perturbation: vacancy, slab, another volume, dynamics, or strain and rattle."""
    settings = harvest.settings
    draw = rng.random()
    before_squeeze = settings.vacancy_share + settings.slab_share
    before_md = before_squeeze + settings.squeeze_share
    if draw < settings.vacancy_share:
        large = enlarged(atoms, 6, settings.max_atoms)
        if len(large) > 1:
            harvest.add(rattled(with_vacancy(large, rng), 0.05, rng), "vacancy")
    elif draw < before_squeeze:
        harvest.add(rattled(slab(atoms, settings.max_atoms, rng), 0.04, rng), "slab")
    elif draw < before_md:
        factor = rng.uniform(1.0 - _LARGEST_SQUEEZE, 1.0 + _LARGEST_SQUEEZE)
        harvest.add(rattled(strained(stretched(atoms, factor), 0.01, rng), 0.03, rng), "volume")
    elif draw < before_md + settings.md_share:
        _run_dynamics(enlarged(atoms, 6, settings.max_atoms), harvest, rng)
    else:
        large = enlarged(atoms, int(rng.integers(1, 9)), settings.max_atoms)
        harvest.add(rattled(strained(large, 0.03, rng), _log_uniform(0.02, 0.25, rng), rng), "rattle")


def _run_dynamics(atoms: Atoms, harvest: Harvest, rng: np.random.Generator) -> None:
    """Velocity Verlet at constant energy from random velocities; every so many steps a frame is kept.

    The time step is 2 fs, 1 fs where there is hydrogen.
    """
    settings = harvest.settings
    # half of the kinetic energy will turn into potential energy
    draw_momenta(atoms, 2.0 * rng.uniform(300.0, settings.max_temperature_k), rng)
    time_step = (1.0 if "H" in atoms.symbols else 2.0) * units.fs
    momenta, masses = atoms.get_momenta(), atoms.get_masses()[:, None]
    found = harvest.add(atoms, "md", keep=False)
    for step in range(1, settings.md_steps + 1):
        if found is None:
            return
        place, labels = found
        momenta = momenta + 0.5 * time_step * labels.forces
        place.positions += time_step * momenta / masses
        found = harvest.add(place, "md", keep=step % settings.md_every == 0)
        if found is not None:
            momenta = momenta + 0.5 * time_step * found[1].forces


def _log_uniform(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))

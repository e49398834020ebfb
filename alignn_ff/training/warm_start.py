"""Training that goes on from a trained potential, with data of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alignn_ff.data.dataset import Budget, Dataset, elements_of
from alignn_ff.data.sources import Sample
from alignn_ff.errors import ConfigError
from alignn_ff.evaluate import Want, evaluate
from alignn_ff.models import Core, Potential, build
from alignn_ff.models.alignn_network import AlignnNetwork
from alignn_ff.models.alignn_smooth import GROWING, AlignnSmooth
from alignn_ff.models.base import SYMBOLS
from alignn_ff.pretrained import load_potential
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.core import core_of
from alignn_ff.training.references import least_squares_energies


def settled(config: TrainConfig) -> TrainConfig:
    """The config with `model` as it will be: that of the potential started from, where there is one.

    `model` may ask for more layers and wider ones than that has: see `AlignnSmooth.grown`.

    Raises:
        ModelNotFoundError, CheckpointError, ConfigError: see `started_network`.
    """
    if config.start_from is None:
        return config
    network = _network(config.start_from)
    there = {"name": network.name, **network.settings.model_dump()}
    if "model" not in config.model_fields_set:
        return config.model_copy(update={"model": there})
    if isinstance(network, AlignnSmooth):
        there |= {size: max(config.model.get(size, 0), there[size]) for size in GROWING if there[size]}
    other = [key for key, value in config.model.items() if there.get(key) != value]
    if other:
        raise ConfigError(
            f"start_from: {config.start_from} was trained with other values of {', '.join(other)} than `model` asks "
            f"for. Leave `model` out, or give it the same values; only {', '.join(GROWING)} of alignn_smooth may be "
            "more."
        )
    return config.model_copy(update={"model": there})


def started_network(
    start: str, elements: Sequence[str], fresh_scales: Sequence[float] | None = None
) -> AlignnSmooth | AlignnNetwork:
    """The network of the model `start` for `elements` alone, with its weights.

    Args:
        fresh_scales: energy scale of each element, eV, for those that the model does not know; None to refuse them.
    Raises:
        ModelNotFoundError, CheckpointError: no such model.
        ConfigError: it holds no single network, or lacks an element.
    """
    network = _network(start)
    absent = [e for e in elements if e not in network.elements]
    if absent and fresh_scales is not None:
        return _extended(network, elements, fresh_scales)
    if absent:
        raise ConfigError(
            f"start_from: {start} does not know {' '.join(absent)}, which the data hold; it knows "
            f"{' '.join(network.elements)}. Leave those structures out, or let them be learned: fresh_elements: true."
        )
    return network.restricted(elements)


def large_enough(network: AlignnSmooth | AlignnNetwork, config: TrainConfig) -> AlignnSmooth | AlignnNetwork:
    """A started network with the layers and widths that the settled config asks for."""
    if not isinstance(network, AlignnSmooth):
        return network
    more = {size: config.model[size] for size in GROWING if config.model[size] > getattr(network.settings, size)}
    return network.grown(**more) if more else network


def started_core(start: str | None) -> Core | None:
    """The core of the model `start`; None where there is no such model, or no core in it."""
    return None if start is None else core_of(load_potential(start).potential)


def origin(start: str) -> dict[str, str]:
    """Name and SHA-256 of the model started from, for the facts of the new one."""
    return {"model": Path(start).name, "sha256": load_potential(start).sha256}


def residual_energies(potential: Potential, samples: Sequence[Sample]) -> list[float]:
    """Energy per atom of each element, eV, that fits best what a potential leaves of the total energies."""
    data = Dataset(samples, **potential.wants)
    rest: list[float] = []
    for batch in data.batches(Budget(structures=1024, edges=50_000)):  # in the order of the samples
        graph, targets = data.batch(batch)
        rest += (targets.energy - evaluate(potential, graph, want=Want.ENERGY).energy).tolist()
    return least_squares_energies(samples, potential.elements, energies=rest)


def refitted_energies(potential: Potential, samples: Sequence[Sample], replay: Sequence[Sample]) -> list[float]:
    """As `residual_energies` of `samples`; those of elements that they lack are fitted to `replay`."""
    energies = residual_energies(potential, samples)
    present = {SYMBOLS[int(z)] for z in elements_of(samples)}
    if present == set(potential.elements):
        return energies
    others = residual_energies(potential, replay)
    pairs = zip(potential.elements, energies, others, strict=True)
    return [own if element in present else other for element, own, other in pairs]


def _extended(
    network: AlignnSmooth | AlignnNetwork, elements: Sequence[str], scales: Sequence[float]
) -> AlignnSmooth | AlignnNetwork:
    """The network for all of `elements`: its weights for those it knows, first weights for the others."""
    known = [e for e in elements if e in network.elements]
    if not known:
        raise ConfigError(f"start_from: the model knows none of {' '.join(elements)}; train from scratch.")
    rows = [place for place, element in enumerate(elements) if element in network.elements]
    settings = network.settings.model_dump()
    found = build({"name": network.name, **settings, "elements": list(elements), "energy_scale": list(scales)})
    state, trained = found.to(network.dtype).state_dict(), network.restricted(known).state_dict()
    for name, values in trained.items():
        if values.shape == state[name].shape:
            state[name] = values
        else:  # one row an element
            state[name][rows] = values
    found.load_state_dict(state)
    return found  # type: ignore[return-value]


def _network(start: str) -> AlignnSmooth | AlignnNetwork:
    parts = load_potential(start).potential.modules()
    networks = [part for part in parts if isinstance(part, AlignnSmooth | AlignnNetwork)]
    if len(networks) != 1:
        raise ConfigError(f"start_from: {start} holds no single network to go on with.")
    return networks[0]

"""Where the structures and graphs of a training are kept: in memory, or on disk where they are too large for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alignn_ff.data.cache import GraphRule, Storage, is_streamed, stored_graphs, stored_samples
from alignn_ff.data.dataset import Dataset
from alignn_ff.data.records import Records
from alignn_ff.data.sources import Keys, Sample, read_all
from alignn_ff.data.streamed import StreamedSamples
from alignn_ff.errors import ConfigError
from alignn_ff.models import Potential
from alignn_ff.training.config import TrainConfig


def storage_of(config: TrainConfig, progress: bool = False) -> Storage:
    """What a config says of data on disk; `data` and `validation_data` go the same way.

    Raises:
        ConfigError: data on disk are asked for beside `replay_data`.
    """
    folder = None if config.cache_dir is None else Path(config.cache_dir)
    storage = Storage(
        config.use_lmdb, folder, Path(config.output_dir), config.read_existing, config.cache_limit_gb, progress
    )
    if config.replay_data:
        if config.use_lmdb:
            raise ConfigError("replay_data are learned beside data in memory alone; set use_lmdb to false.")
        return storage._replace(on_disk=False)
    return storage._replace(on_disk=is_streamed((*config.data, *config.validation_data), storage))


def training_samples(files: Sequence[str], keys: Keys, storage: Storage, name: str) -> Sequence[Sample]:
    """Samples of some files, in memory or on disk under `name`.

    Raises:
        DataError, CacheError, OutputWriteError: see `stored_samples`.
    """
    return stored_samples(files, keys, storage, name) if storage.on_disk else read_all(files, keys)


def datasets(
    parts: Sequence[Sequence[Sample]], potential: Potential, memory_mb: float, storage: Storage
) -> list[Dataset]:
    """The parts connected as `potential` needs them; of what is on disk graphs are kept there too, where they fit.

    Raises:
        CacheError, OutputWriteError: see `stored_graphs`.
    """
    graphs: dict[Path, Records | None] = {}
    found = []
    for part in parts:
        edges = None
        if isinstance(part, StreamedSamples):
            path = part.records.path
            if path not in graphs:
                graphs[path] = stored_graphs(part, GraphRule(**potential.wants), storage)
            edges = graphs[path]
        found.append(Dataset(part, **potential.wants, memory_mb=memory_mb, edges=edges))
    return found

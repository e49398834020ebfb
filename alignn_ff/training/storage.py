"""Where the structures and graphs of a training are kept: in memory, or on disk where they are too large for it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from alignn_ff.data.cache import GraphRule, Reader, Storage, is_streamed, stored_graphs, stored_samples
from alignn_ff.data.dataset import Dataset
from alignn_ff.data.loading import Loading
from alignn_ff.data.properties import PropertyKeys
from alignn_ff.data.records import Records
from alignn_ff.data.sources import Keys, Sample, each_of_all
from alignn_ff.data.streamed import StreamedSamples
from alignn_ff.device import choose_device
from alignn_ff.errors import ConfigError
from alignn_ff.models import GraphModel
from alignn_ff.training.config import TrainConfig
from alignn_ff.training.property_config import PropertyTrainConfig

log = logging.getLogger(__name__)


def storage_of(config: TrainConfig | PropertyTrainConfig, progress: bool = False) -> Storage:
    """What a config says of data on disk; `data` and `validation_data` go the same way.

    Raises:
        ConfigError: data on disk are asked for beside `replay_data`.
    """
    folder = None if config.cache_dir is None else Path(config.cache_dir)
    storage = Storage(
        config.use_lmdb, folder, Path(config.output_dir), config.read_existing, config.cache_limit_gb, progress
    )
    if isinstance(config, TrainConfig) and config.replay_data:
        if config.use_lmdb:
            raise ConfigError("replay_data are learned beside data in memory alone; set use_lmdb to false.")
        return storage._replace(on_disk=False)
    return storage._replace(on_disk=is_streamed((*config.data, *config.validation_data), storage))


def loading_of(config: TrainConfig | PropertyTrainConfig) -> Loading:
    """Who makes the batches of a training, and in which memory."""
    pinned = config.pin_memory and choose_device(config.device).type == "cuda"
    if config.pin_memory and not pinned:
        log.info("pin_memory changes nothing where no GPU trains")
    return Loading(config.num_workers, config.prefetch_factor, pinned)


def training_samples(
    files: Sequence[str | Path], keys: Keys | PropertyKeys, storage: Storage, name: str, each: Reader = each_of_all
) -> Sequence[Sample]:
    """Samples of some files, in memory or on disk under `name`; arguments as of `stored_samples`.

    Raises:
        DataError, CacheError, OutputWriteError: see `stored_samples`.
    """
    return stored_samples(files, keys, storage, name, each) if storage.on_disk else list(each(files, keys))


def datasets(parts: Sequence[Sequence[Sample]], model: GraphModel, memory_mb: float, storage: Storage) -> list[Dataset]:
    """The parts connected as `model` needs them; of what is on disk graphs are kept there too, where they fit.

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
                graphs[path] = stored_graphs(part, GraphRule(**model.wants), storage)
            edges = graphs[path]
        found.append(Dataset(part, **model.wants, memory_mb=memory_mb, edges=edges))
    return found

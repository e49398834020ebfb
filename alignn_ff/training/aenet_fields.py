"""Names that aenet's PyTorch trainer gives to what a config says here, for those who come from there.

Source: the public documentation of `TorchTrainingConfig` and `TorchCommitteeConfig` of aenet-python.
"""

from __future__ import annotations

from collections.abc import Iterable

from alignn_ff.errors import ConfigError

SAME_HERE = (
    *("force_fraction", "force_sampling", "force_resample_num_epochs", "force_min_structures_per_epoch"),
    *("force_scale_unbiased", "sampling_policy", "max_energy", "max_forces", "split_seed", "device"),
    *("num_workers", "prefetch_factor", "save_energies", "save_forces"),
)
"""Fields of one name and one meaning there and here."""

_KEPT = "edges are kept between epochs; graph_cache_mb bounds their memory"
OTHERWISE_HERE: dict[str, str] = {
    "iterations": "write epochs",
    "method": "write optimizer (adamw, soap, sgd), learning_rate (mu, lr), batch_size, weight_decay and momentum",
    "testpercent": "write val_ratio, its hundredth part, and test_ratio: 0",
    "seed": "write random_seed",
    "precision": "write dtype: float32 or float64",
    "memory_mode": "batches are made where they are used; write device",
    "force_weight": "write loss: {criterion: rmse, energy_weight: 1 - alpha, force_weight: alpha}",
    "atomic_energies": "write reference_energies",
    "normalize_features": "inner features are always standardised by the training set",
    "normalize_energy": "energies are always learned less reference_energies, on the scale of the forces",
    "feature_stats": "inner features are always standardised by the training set",
    "E_shift": "write reference_energies, one for each element",
    "E_scaling": "the scale is that of the forces of each element",
    **dict.fromkeys(("cache_features", "cache_feature_max_entries", "cache_neighbors"), _KEPT),
    **dict.fromkeys(("cache_neighbor_max_entries", "cache_force_triplets", "cache_force_triplet_max_entries"), _KEPT),
    **dict.fromkeys(("cache_scope", "cache_warmup"), _KEPT),
    "cache_persist_dir": "write use_lmdb: true and cache_dir",
    "persistent_workers": "the processes of num_workers live as long as the run",
    "show_progress": "give --no-progress-bar on the command line",
    "show_batch_progress": "the bar counts epochs; --no-progress-bar leaves it out",
    "timing": "the seconds of every epoch are in the history",
    "checkpoint_dir": "write output_dir",
    "checkpoint_interval": "the state to resume from is written each epoch",
    "max_checkpoints": "the last state and the one before are kept",
    "save_best": "best_model.safetensors is always written",
    "use_scheduler": "write scheduler: plateau, or another",
    "scheduler_patience": "write plateau_patience",
    "scheduler_factor": "plateau halves the rate",
    "scheduler_min_lr": "plateau halves the rate as often as it must; n_early_stopping ends the run",
    "num_members": "write committee_size",
    "base_seed": "write random_seed; the seeds of members count up from it",
    "member_seeds": "write random_seed; the seeds of members count up from it",
    "max_parallel": "write committee_parallel",
    "devices": "write device; members in parallel take the GPUs in turn",
}
"""Field there: what to write here, or why there is nothing to write."""


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Say what a field of aenet is called here.

    Args:
        known: fields of the config, which mean what they mean here.
    Raises:
        ConfigError: names the first field that is aenet's alone.
    """
    for name in names:
        if name in OTHERWISE_HERE and name not in set(known):
            raise ConfigError(f"field `{name}` is one of aenet's trainer; here {OTHERWISE_HERE[name]}.")

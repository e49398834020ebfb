"""Every field of aenet's trainer: it means here what it means there, or it is refused with what to write instead."""

from __future__ import annotations

import pytest

from alignn_ff.errors import ConfigError
from alignn_ff.training.aenet_fields import OTHERWISE_HERE, SAME_HERE
from alignn_ff.training.config import TrainConfig, load_config

AENET = """
iterations method testpercent seed split_seed device precision memory_mode force_weight force_fraction force_sampling
force_resample_num_epochs force_min_structures_per_epoch force_scale_unbiased sampling_policy max_energy max_forces
atomic_energies normalize_features normalize_energy feature_stats E_shift E_scaling cache_features
cache_feature_max_entries cache_neighbors cache_neighbor_max_entries cache_force_triplets
cache_force_triplet_max_entries cache_scope cache_warmup cache_persist_dir num_workers prefetch_factor
persistent_workers show_progress show_batch_progress timing save_energies save_forces checkpoint_dir
checkpoint_interval max_checkpoints save_best use_scheduler scheduler_patience scheduler_factor scheduler_min_lr
num_members base_seed member_seeds max_parallel devices output_dir
""".split()
"""Of `TorchTrainingConfig` and `TorchCommitteeConfig`."""


@pytest.mark.parametrize("name", AENET)
def test_each_field_is_one_of_ours_or_refused_with_what_to_write(tmp_path, name):
    path = tmp_path / "config.yaml"
    path.write_text("data: a.extxyz\n")
    if name in TrainConfig.model_fields:  # walked through in test_every_field
        assert name in SAME_HERE or name in OTHERWISE_HERE or name == "output_dir"
        return
    with pytest.raises(ConfigError, match=rf"field `{name}` is one of aenet's trainer; here \w+"):
        load_config(path, [f"--{name.replace('_', '-')}=1"])


def test_what_is_to_be_written_is_a_field():
    for advice in OTHERWISE_HERE.values():
        if advice.startswith("write "):
            assert advice.split()[1].rstrip(":,;") in TrainConfig.model_fields, advice
    assert set(SAME_HERE) <= set(TrainConfig.model_fields)

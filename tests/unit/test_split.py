"""Splits: how many go where, the same again from the same seed, kept in a file."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from alignn_ff.data.split import Shares, Split, load_split, make_split, save_split
from alignn_ff.errors import ConfigError, DataError

KEYS = [f"data@{i}" for i in range(20)]


def sizes(split: Split) -> tuple[int, int, int]:
    return len(split.train), len(split.val), len(split.test)


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        (Shares(), (16, 2, 2)),
        (Shares(train_ratio=0.5, val_ratio=0.25, test_ratio=0.25), (10, 5, 5)),
        (Shares(train_ratio=0.5, val_ratio=0.25, test_ratio=0.0), (10, 5, 0)),
        (Shares(train_ratio=0.7, val_ratio=0.2, test_ratio=0.1), (14, 4, 2)),
        (Shares(n_train=3, n_val=4, n_test=5), (3, 4, 5)),
        (Shares(n_train=18), (16, 2, 2)),
        (Shares(n_val=0, n_test=0, n_train=20), (20, 0, 0)),
    ],
)
def test_counts_and_ratios(shares, expected):
    if shares == Shares(n_train=18):
        with pytest.raises(ConfigError):
            make_split(KEYS, shares, seed=1)
        return
    assert sizes(make_split(KEYS, shares, seed=1)) == expected


@pytest.mark.parametrize("n", [3, 7, 11, 19, 100])
def test_ratios_that_add_to_one_leave_nothing_over(n):
    keys = [str(i) for i in range(n)]
    split = make_split(keys, Shares(train_ratio=0.6, val_ratio=0.2, test_ratio=0.2), seed=5)
    assert sorted(split.train + split.val + split.test) == sorted(keys)


def test_parts_share_nothing():
    split = make_split(KEYS, Shares(n_train=8, n_val=6, n_test=6), seed=2)
    assert len(set(split.train) | set(split.val) | set(split.test)) == 20


def test_same_seed_same_split():
    one, again, other = (make_split(KEYS, Shares(), seed=seed) for seed in (7, 7, 8))
    assert one == again != other


def test_without_shuffling_the_order_stays():
    split = make_split(KEYS, Shares(n_train=3, n_val=2, n_test=2), seed=1, shuffle=False)
    assert split == Split(tuple(KEYS[:3]), tuple(KEYS[3:5]), tuple(KEYS[-2:]))


@pytest.mark.parametrize(
    "shares",
    [
        Shares(n_train=21),
        Shares(n_train=15, n_val=5, n_test=5),
        Shares(n_val=10, n_test=10),
        Shares(train_ratio=0.01, val_ratio=0.0, test_ratio=0.0),
    ],
)
def test_impossible_split_says_the_numbers(shares):
    with pytest.raises(ConfigError, match=r"asks for \d+ training.*there are 20"):
        make_split(KEYS, shares, seed=1)


def test_file_round_trip(tmp_path):
    split = make_split(KEYS, Shares(), seed=3)
    save_split(split, tmp_path / "ids.json")
    assert load_split(tmp_path / "ids.json", KEYS) == split
    assert set(json.loads((tmp_path / "ids.json").read_text())) == {"id_train", "id_val", "id_test"}


def test_split_of_other_data_is_refused(tmp_path):
    save_split(make_split(KEYS, Shares(), seed=3), tmp_path / "ids.json")
    with pytest.raises(DataError, match="names 1 structures that the data do not hold"):
        load_split(tmp_path / "ids.json", KEYS[1:])


@pytest.mark.parametrize("content", ["", "[1, 2]", "{}", '{"id_train": ["data@1"]}', '{"id_train": 3}'])
def test_file_of_another_kind_is_refused(tmp_path, content):
    (tmp_path / "ids.json").write_text(content)
    with pytest.raises(DataError, match="not a split file"):
        load_split(tmp_path / "ids.json", KEYS)


def test_split_that_trains_on_what_it_tests_is_refused(tmp_path):
    save_split(Split(("data@1", "data@2"), ("data@2",), ()), tmp_path / "ids.json")
    with pytest.raises(DataError, match="data@2"):
        load_split(tmp_path / "ids.json", KEYS)


def test_absent_file_is_refused(tmp_path):
    with pytest.raises(DataError, match="not a split file"):
        load_split(tmp_path / "ids.json", KEYS)


def test_families_stay_together():
    families = [f"seed {i // 3}" for i in range(60)]
    keys = [f"data@{i}" for i in range(60)]
    split = make_split(keys, Shares(), seed=4, families=families)
    of = dict(zip(keys, families, strict=True))
    parts = [{of[key] for key in part} for part in split]
    assert sum(map(len, parts)) == len(set(families))
    assert sizes(split) == (48, 6, 6)


def test_single_samples_split_as_if_there_were_no_families():
    assert make_split(KEYS, Shares(), seed=3, families=KEYS) == make_split(KEYS, Shares(), seed=3)


def test_one_family_cannot_be_split():
    with pytest.raises(ConfigError, match="famil"):
        make_split(KEYS, Shares(), seed=3, families=["one"] * len(KEYS))


def test_stratified_parts_are_made_up_as_the_whole():
    groups = ["melt" if i % 5 < 2 else "crystal" if i % 5 < 4 else "surface" for i in range(len(KEYS))]
    of = dict(zip(KEYS, groups, strict=True))
    for seed in range(5):
        split = make_split(KEYS, Shares(), seed=seed, groups=groups)
        assert sorted(split.train + split.val + split.test) == sorted(KEYS)
        for part in split:
            counts = Counter(of[key] for key in part)
            for group, count in Counter(groups).items():
                assert abs(counts[group] - count * len(part) / len(KEYS)) <= 1
    assert make_split(KEYS, Shares(), seed=0, groups=groups) != make_split(KEYS, Shares(), seed=1, groups=groups)


def test_a_family_stays_together_in_a_stratified_split():
    families, groups = [f"seed {i // 3}" for i in range(60)], ["a" if i < 30 else "b" for i in range(60)]
    keys = [str(i) for i in range(60)]
    split = make_split(keys, Shares(), seed=2, families=families, groups=groups)
    for part in split:
        assert all(sum(families[int(key)] == families[int(other)] for other in part) == 3 for key in part)

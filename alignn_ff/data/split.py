"""A seeded split into training, validation and test, kept in a file."""

from __future__ import annotations

import json
import random
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from alignn_ff.errors import ConfigError, DataError
from alignn_ff.files import write_text


class Split(NamedTuple):
    """Keys of the samples of each part."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


class Shares(NamedTuple):
    """How much goes where: counts where given, else ratios of the whole."""

    n_train: int | None = None
    n_val: int | None = None
    n_test: int | None = None
    train_ratio: float = 0.8
    val_ratio: float = 0.1
    test_ratio: float = 0.1

    def beside_validation_data(self) -> Shares:
        """Where validation data stand apart, what would have been held back is trained on, unless a count was asked."""
        if self.n_val is not None:
            return self
        return self._replace(train_ratio=self.train_ratio + self.val_ratio, val_ratio=0.0)


def make_split(
    keys: Sequence[str],
    shares: Shares,
    *,
    seed: int,
    shuffle: bool = True,
    families: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
) -> Split:
    """Part `keys` at random (or in the order given): first the training part, last the test part.

    Args:
        keys: of the samples.
        shares: how much goes where.
        families: of each key; a family is never parted, so parts come as near to their shares as whole families
            allow, validation last.
        groups: of each key (a family is of its first key's); each gives every part its share, so that a part of a few
            structures is made up as the whole is (a stratified split).
    Raises:
        ConfigError: more asked for than there is, or nothing left for one of the parts.
    """
    n = len(keys)
    n_val, n_test = (_count(n, c, r) for c, r in ((shares.n_val, shares.val_ratio), (shares.n_test, shares.test_ratio)))
    whole = (
        shares.train_ratio + shares.val_ratio + shares.test_ratio > 1 - 1e-9 and shares.n_val is None is shares.n_test
    )
    n_train = (
        shares.n_train if shares.n_train is not None else (n - n_val - n_test if whole else int(shares.train_ratio * n))
    )
    if n_train < 1 or n_train + n_val + n_test > n:
        raise ConfigError(
            f"the split asks for {n_train} training, {n_val} validation and {n_test} test structures; there are {n}. "
            "Lower n_train, n_val, n_test or their ratios."
        )
    members: dict[str, list[str]] = {}
    for key, family in zip(keys, keys if families is None else families, strict=True):
        members.setdefault(family, []).append(key)
    order = list(members)
    if shuffle:
        random.Random(seed).shuffle(order)
    if groups is not None:
        group_of = dict(zip(keys, groups, strict=True))
        order = _spread(order, {family: group_of[first] for family, (first, *_) in members.items()})
    queue = deque(members[family] for family in order)
    train, test = _take(queue.popleft, queue, n_train), _take(queue.pop, queue, n_test)[::-1]
    split = Split(train, _take(queue.popleft, queue, n_val), test)
    for part, asked in zip(Split._fields, (n_train, n_val, n_test), strict=True):
        if asked and not getattr(split, part):
            raise ConfigError(
                f"the {len(order)} families of the data are too large or too few to leave any for the {part} part. "
                "Lower the shares of the others, or choose another split_group_key."
            )
    return split


def _take(draw: Callable[[], list[str]], queue: deque[list[str]], wanted: int) -> tuple[str, ...]:
    """Keys of whole families, drawn from the queue until they are as many as wanted."""
    taken: list[str] = []
    while queue and len(taken) < wanted:
        taken += draw()
    return tuple(taken)


def _spread(order: Sequence[str], group_of: Mapping[str, str]) -> list[str]:
    """The same in an order in which every stretch holds its share of each group."""
    sizes, seen, places = Counter(group_of[family] for family in order), Counter[str](), {}
    for family in order:
        group = group_of[family]
        places[family] = (seen[group] + 0.5) / sizes[group]
        seen[group] += 1
    return sorted(order, key=places.__getitem__)


def save_split(split: Split, path: str | Path) -> None:
    """Write the keys of each part as JSON (upstream's file name is `ids_train_val_test.json`)."""
    ids = {f"id_{part}": list(keys) for part, keys in split._asdict().items()}
    write_text(path, json.dumps(ids, indent=1))


def load_split(path: str | Path, keys: Sequence[str]) -> Split:
    """The split kept in a file, checked against the samples there are.

    Raises:
        DataError: unreadable, or it names samples that the data do not hold.
    """
    try:
        ids = json.loads(Path(path).read_text(encoding="utf-8"))
        split = Split(*(tuple(ids[f"id_{part}"]) for part in Split._fields))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: not a split file ({error}); expected JSON with id_train, id_val, id_test.") from error
    lost = (set(split.train) | set(split.val) | set(split.test)) - set(keys)
    if lost:
        raise DataError(
            f"{path}: names {len(lost)} structures that the data do not hold, {sorted(lost)[0]} for one. "
            "It belongs to other data."
        )
    twice = [key for key, times in Counter(split.train + split.val + split.test).items() if times > 1]
    if twice:
        raise DataError(f"{path}: names {twice[0]} more than once; parts of a split share nothing.")
    return split


def _count(n: int, count: int | None, ratio: float) -> int:
    return count if count is not None else int(ratio * n)

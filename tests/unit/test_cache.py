"""Data on disk: exact, tied to what they were made from, bounded, and gone when nobody asked to keep them."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from alignn_ff.data import records as records_module
from alignn_ff.data.cache import IN_MEMORY_BYTES, GraphRule, Storage, is_streamed, stored_graphs, stored_samples
from alignn_ff.data.dataset import Budget, Dataset
from alignn_ff.data.packing import pack_edges, pack_sample, unpack_sample, with_edges
from alignn_ff.data.records import Records, write_records
from alignn_ff.data.sources import DEFAULT_KEYS, Keys, Sample, read_samples
from alignn_ff.data.streamed import StreamedSamples, weighed
from alignn_ff.errors import CacheError, DataError, OutputWriteError
from alignn_ff.graph import Topology
from alignn_ff.io import Targets, from_ase
from alignn_ff.neighbors import connect
from tests.structures import SMALL

RULE = GraphRule(4.0, 3.0, Topology())


def frames(count: int = 12) -> list[Atoms]:
    rng = np.random.default_rng(3)
    found = []
    for i in range(count):
        atoms = bulk(("Cu", "Ni", "Al")[i % 3], "fcc", a=3.8, cubic=i % 2 == 0)
        atoms.rattle(0.05, seed=i)
        labels = {"energy": rng.normal(), "forces": rng.normal(size=(len(atoms), 3)), "stress": rng.normal(size=6)}
        for name in list(labels)[: i % 4][1:]:
            del labels[name]
        atoms.calc = SinglePointCalculator(atoms, **labels)
        atoms.info |= {"config_type": f"kind {i % 3}", "seed": i // 2, "trust": 0.5 + i}
        found.append(atoms)
    return found


@pytest.fixture
def data(tmp_path) -> Path:
    write(tmp_path / "data.extxyz", frames(), format="extxyz")
    return tmp_path / "data.extxyz"


def storage(tmp_path: Path, **changes) -> Storage:
    return Storage(True, tmp_path / "cache", tmp_path / "run", False, 1.0)._replace(**changes)


def assert_same(one: Sample, other: Sample) -> None:
    assert one[2:] == other[2:]
    for a, b in zip((*one.graph[:8], *one.targets), (*other.graph[:8], *other.targets), strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        assert torch.equal(torch.isnan(a), torch.isnan(b))
        assert torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("absent", [(), ("forces",), ("stress", "atom_energy"), ("energy", "forces", "stress")])
def test_a_packed_sample_comes_back_bit_for_bit(name, absent):
    graph = from_ase(SMALL[name]())
    n = len(graph.numbers)
    labels = {"energy": (1,), "forces": (n, 3), "stress": (1, 3, 3), "atom_energy": (n,)}
    targets = Targets(
        *(
            torch.full(shape, torch.nan, dtype=torch.float64) if key in absent else torch.randn(shape).double()
            for key, shape in labels.items()
        )
    )
    sample = Sample(graph, targets, "müller.xyz@7", "kind", "kin", 0.25)
    assert_same(unpack_sample(pack_sample(sample)), sample)


def test_a_label_that_is_missing_in_part_keeps_the_other_part():
    sample = read_one(forces=np.array([[1.0, np.nan, 3.0]]))
    assert_same(unpack_sample(pack_sample(sample)), sample)


def read_one(**labels: np.ndarray) -> Sample:
    graph = from_ase(bulk("Cu"))
    nothing = torch.full((1,), torch.nan, dtype=torch.float64)
    stress = torch.full((1, 3, 3), torch.nan, dtype=torch.float64)
    return Sample(graph, Targets(nothing, torch.from_numpy(labels["forces"]), stress, nothing), "one", "all")


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("angle_cutoff", [None, 3.0])
def test_packed_edges_come_back_bit_for_bit(name, angle_cutoff):
    atoms = SMALL[name]()
    atoms.positions += 400.0 * atoms.cell[0]  # far from the first cell: translations beyond one byte
    atoms.positions[0] -= 900.0 * atoms.cell[0]
    graph = from_ase(atoms)
    expected = connect(graph, 5.0, angle_cutoff=angle_cutoff)
    found = with_edges(graph, pack_edges(expected))
    for a, b in zip(found, expected, strict=True):
        assert (a is None and b is None) or (a.dtype == b.dtype and torch.equal(a, b))


def test_samples_on_disk_are_those_in_memory(data, tmp_path):
    keys = Keys(family="seed", weight="trust")
    held, stored = read_samples(data, keys), stored_samples([data], keys, storage(tmp_path), "data")
    assert len(stored) == len(held)
    for one, other in zip(stored, held, strict=True):
        assert_same(one, other)
    some = stored.select([7, 2, 2])
    assert [s.key for s in some] == some.outline.key == [held[i].key for i in (7, 2, 2)]
    assert_same(some[0], held[7])
    assert [s.key for s in stored[3:5]] == [held[3].key, held[4].key]
    doubled = weighed(stored, {"kind 1": 2.0})
    assert [s.weight for s in doubled] == [s.weight for s in weighed(held, {"kind 1": 2.0})]
    assert doubled[1].weight == 2.0 * held[1].weight and doubled[0].weight == held[0].weight


@pytest.mark.parametrize("limit_gb", [1.0, 0.0])
def test_batches_from_disk_are_those_from_memory(data, tmp_path, limit_gb):
    place = storage(tmp_path, limit_gb=limit_gb)
    stored = stored_samples([data], DEFAULT_KEYS, place, "data")
    graphs = stored_graphs(stored, RULE, place)
    assert (graphs is None) == (limit_gb == 0.0)
    chosen = [9, 0, 5, 11]
    ours = Dataset(stored.select(chosen), **RULE._asdict(), edges=graphs)
    theirs = Dataset([read_samples(data)[i] for i in chosen], **RULE._asdict())
    for budget in (Budget(3), Budget(9, atoms=5), Budget(9, edges=60)):
        assert ours.batches(budget) == theirs.batches(budget)
    one, other = ours.batch([2, 0, 3]), theirs.batch([2, 0, 3])
    for a, b in zip((*one.graph, *one.targets), (*other.graph, *other.targets), strict=True):
        assert a is b is None or torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))


def test_graphs_are_not_searched_for_twice(data, tmp_path, monkeypatch):
    from alignn_ff.data import cache, dataset

    place = storage(tmp_path)
    stored = stored_samples([data], DEFAULT_KEYS, place, "data")
    graphs = stored_graphs(stored, RULE, place)
    calls = []
    for module in (cache, dataset):
        monkeypatch.setattr(module, "connect", lambda *a, **k: calls.append(1) or connect(*a, **k))
    for edges, searches in ((graphs, 0), (None, 1)):
        Dataset(stored, **RULE._asdict(), edges=edges).graph(4)
        assert len(calls) == searches


def test_a_cache_that_fits_is_read_and_another_replaced_or_refused(data, tmp_path):
    place, keep = storage(tmp_path), storage(tmp_path, keep=True)
    path = stored_samples([data], DEFAULT_KEYS, place, "data").records.path
    made = path.stat().st_mtime_ns
    for again in (place, keep):
        assert len(stored_samples([data], DEFAULT_KEYS, again, "data")) == 12
    assert path.stat().st_mtime_ns == made
    write(data, frames(5), format="extxyz")
    with pytest.raises(CacheError, match=r"files.*size.*there.*asked for.*read_existing: false"):
        stored_samples([data], DEFAULT_KEYS, keep, "data")
    assert len(stored_samples([data], DEFAULT_KEYS, place, "data")) == 5


def test_data_of_the_same_size_and_name_are_told_apart(data, tmp_path):
    stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data")
    text = data.read_text()
    data.write_text(text.replace("0.5", "0.6", 1))
    assert data.stat().st_size == len(text.encode())
    with pytest.raises(CacheError, match="sha256"):
        stored_samples([data], DEFAULT_KEYS, storage(tmp_path, keep=True), "data")


@pytest.mark.parametrize(
    ("keys", "said"), [(Keys(energy="energies"), "labels.energy"), (Keys(stress_unit="gpa"), "labels.stress_unit")]
)
def test_a_cache_of_other_labels_is_refused(data, tmp_path, keys, said):
    stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data")
    with pytest.raises(CacheError, match=said):
        stored_samples([data], keys, storage(tmp_path, keep=True), "data")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (RULE._replace(cutoff=4.5), "cutoff is 4.0 there, 4.5 asked for"),
        (RULE._replace(angle_cutoff=None), "angle_cutoff is 3.0 there, None asked for"),
        (RULE._replace(topology=Topology("nearest", "shared", (("max_neighbors", 12),))), "topology"),
    ],
)
def test_graphs_of_other_settings_are_refused(data, tmp_path, rule, said):
    place = storage(tmp_path)
    stored = stored_samples([data], DEFAULT_KEYS, place, "data")
    stored_graphs(stored, RULE, place)
    with pytest.raises(CacheError, match=said):
        stored_graphs(stored, rule, place._replace(keep=True))


@pytest.mark.parametrize("version", [("PACKING", 99), ("__version__", "0.0.1")])
def test_a_cache_of_another_version_is_refused(data, tmp_path, monkeypatch, version):
    from alignn_ff.data import cache

    stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data")
    monkeypatch.setattr(cache, *version)
    with pytest.raises(CacheError, match=r"there, .* asked for"):
        stored_samples([data], DEFAULT_KEYS, storage(tmp_path, keep=True), "data")


@pytest.mark.parametrize("keep", [False, True])
def test_a_file_that_is_no_cache_is_never_overwritten(data, tmp_path, keep):
    place = storage(tmp_path, keep=keep)
    place.folder.mkdir()
    foreign = place.folder / "data_structures.lmdb"
    foreign.write_bytes(b"somebody's work")
    with pytest.raises(CacheError, match="no cache"):
        stored_samples([data], DEFAULT_KEYS, place, "data")
    assert foreign.read_bytes() == b"somebody's work"


def test_an_lmdb_file_of_something_else_is_told(tmp_path):
    import lmdb

    environment = lmdb.open(str(tmp_path / "other.lmdb"), subdir=False, lock=False)
    with environment, environment.begin(write=True) as transaction:
        transaction.put(b"0", b"graph")
    with pytest.raises(CacheError, match="something else"):
        Records(tmp_path / "other.lmdb")


def test_a_cache_cut_short_is_told(data, tmp_path):
    path = stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data").records.path
    whole = path.read_bytes()
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(CacheError, match=r"cut short|damaged"):
        stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data")


def test_graphs_beyond_their_bound_are_not_kept(data, tmp_path, caplog, monkeypatch):
    from alignn_ff.data import cache

    place = storage(tmp_path, limit_gb=1e-6)
    stored = stored_samples([data], DEFAULT_KEYS, place, "data")
    for expected_from in (200, 1):  # refused by the estimate; let through by an estimate that is far too low
        if expected_from == 1:
            monkeypatch.setattr(
                cache, "pack_edges", lambda graph, seen=[]: seen.append(1) or b"." * (1, 400)[len(seen) > 1]
            )
        monkeypatch.setattr(cache, "_ESTIMATED_FROM", expected_from)
        caplog.clear()
        assert stored_graphs(stored, RULE, place) is None
        assert "more than cache_limit_gb" in caplog.text
        assert not list(place.folder.glob("*graphs*.lmdb"))


def test_a_failed_or_interrupted_writing_leaves_what_was_there(data, tmp_path):
    path = tmp_path / "records.lmdb"
    write_records(path, {"from": "before"}, [b"old"], limit=1e9, notes={})

    def failing():
        yield b"new"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_records(path, {"from": "now"}, failing(), limit=1e9, notes={})
    assert list(Records(path)) == [b"old"]
    assert [p.name for p in tmp_path.glob("*records*")] == ["records.lmdb"]


def test_without_a_cache_dir_nothing_is_left(data, tmp_path):
    place = storage(tmp_path, folder=None)
    stored = stored_samples([data], DEFAULT_KEYS, place, "data")
    (scratch,) = tmp_path.glob(".run.cache-*")
    part = stored.select([0, 3])
    del stored
    assert scratch.is_dir() and len(part[1].graph.numbers)
    del part
    assert not scratch.exists()
    with pytest.raises(DataError):
        stored_samples([data], Keys(energy="nothing"), place, "data")
    assert not list(tmp_path.glob(".run.cache-*"))


def test_a_folder_that_cannot_be_written_is_told(data, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputWriteError, match="cache_dir"):
        stored_samples([data], DEFAULT_KEYS, storage(tmp_path, folder=tmp_path / "file" / "cache"), "data")


def test_a_file_read_on_is_still_the_same_and_one_replaced_is_told(tmp_path, monkeypatch):
    path = tmp_path / "records.lmdb"
    write_records(path, {}, [bytes([i]) * 100 for i in range(50)], limit=1e9, notes={})
    monkeypatch.setattr(records_module, "_READ_BEFORE_REOPENING", 1000)
    records, other = Records(path), Records(path)
    assert [r[0] for r in records] == [r[0] for r in other] == list(range(50))
    copy = pickle.loads(pickle.dumps(records))
    assert copy[7] == records[7] and len(copy) == 50
    write_records(path, {}, [b"other"], limit=1e9, notes={})
    with pytest.raises(CacheError, match="replaced while it was read"):
        list(records)


def test_size_of_the_data_decides_unless_told(data, tmp_path):
    free = storage(tmp_path, on_disk=None)
    assert not is_streamed([data], free)
    with data.open("r+b") as file:
        file.truncate(IN_MEMORY_BYTES // 2 + 1)
    assert not is_streamed([data], free) and is_streamed([data, data], free)
    assert is_streamed([], free._replace(on_disk=True)) and not is_streamed([data, data], free._replace(on_disk=False))


def test_a_part_of_streamed_samples_is_a_sequence_like_a_list(data, tmp_path):
    stored = stored_samples([data], DEFAULT_KEYS, storage(tmp_path), "data")
    assert isinstance(stored[2:4], StreamedSamples)
    with pytest.raises(IndexError):
        stored[len(stored)]
    assert stored[-1].key == stored[len(stored) - 1].key

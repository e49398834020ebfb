"""Batches made ahead by other processes are those made here, in the same order; nothing is left running."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time

import pytest
import torch

from alignn_ff.data.dataset import Dataset
from alignn_ff.data.loading import Loader, Loading
from tests.graphs import alike
from tests.structures import SMALL
from tests.unit.test_dataset import data  # noqa: F401 (a fixture)

CPU = torch.device("cpu")
PLAN = [[3, 0], [5], [2, 7, 1], [4, 4], [9, 8, 6]]


def assert_same(one, other) -> None:
    assert alike((*one.graph, *one.targets), (*other.graph, *other.targets))


@pytest.fixture
def loader(data):  # noqa: F811
    made = Loader(data, Loading(num_workers=2))
    yield made
    made.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_those_of_the_data_set_in_the_order_of_the_plan(data, workers):  # noqa: F811
    before = torch.get_rng_state()
    loader = Loader(data, Loading(workers, prefetch_factor=1))
    for plan in (PLAN, PLAN[::-1]):  # another epoch by the same workers
        loader.plan(plan)
        for indices in plan:
            assert_same(loader.batch(indices, CPU), data.batch(indices))
    loader.close()
    assert torch.equal(torch.get_rng_state(), before)
    assert not multiprocessing.active_children()


def test_what_was_not_planned_is_made_all_the_same(data, loader):  # noqa: F811
    assert_same(loader.batch([1, 2], CPU), data.batch([1, 2]))
    loader.plan(PLAN)
    for indices in ([3, 0], [0], [5], [2, 7, 1], [2, 7, 1]):
        assert_same(loader.batch(indices, CPU), data.batch(indices))
    loader.plan(PLAN)  # though the plan before was not gone through
    for indices in PLAN:
        assert_same(loader.batch(indices, CPU), data.batch(indices))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_workers_outlive_a_signal_to_all_processes(data, loader, number):  # noqa: F811
    loader.plan(PLAN)
    loader.batch(PLAN[0], CPU)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, number)
    for indices in PLAN[1:]:
        assert_same(loader.batch(indices, CPU), data.batch(indices))


def test_an_error_in_a_worker_reaches_the_one_that_asks(data, loader):  # noqa: F811
    loader.plan([[0], [10_000]])
    loader.batch([0], CPU)
    with pytest.raises(IndexError):
        loader.batch([10_000], CPU)


def test_workers_share_the_memory_for_edges(data):  # noqa: F811
    limited = Dataset(data.samples, 4.0, 3.0, memory_mb=0.1)
    limited.share_memory(4)
    for i in range(len(SMALL)):
        limited.graph(i)
    assert 0 < sum(t.nbytes for graph in limited._kept.values() for t in graph if t is not None) <= 0.025e6


def test_workers_end_with_the_process_they_work_for(data):  # noqa: F811
    def work(pipe) -> None:
        loader = Loader(data, Loading(2))
        loader.plan(PLAN)
        loader.batch(PLAN[0], CPU)
        pipe.send([child.pid for child in multiprocessing.active_children()])
        time.sleep(60)

    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=work, args=(there,))
    process.daemon = False
    process.start()
    workers = here.recv()
    assert len(workers) == 2
    process.kill()
    process.join()
    for _ in range(150):
        if not any(is_alive(worker) for worker in workers):
            return
        time.sleep(0.1)
    pytest.fail("workers go on without the process that started them")


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

"""Stratified permutations, standardisation in bounded memory, and what fits."""

import tracemalloc

import numpy as np
import pytest

from kerastickets.data.arrays import check_examples_fit, moments, shuffled
from kerastickets.errors import DataError
from kerastickets.foundations import memory
from kerastickets.foundations.tree import generator


def class_by_class(labels, *key):
    """The same permutation as the definition says it, one class after another."""
    order = generator("split", *key).permutation(len(labels))
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return order[np.argsort(place[order], kind="stable")]


def test_all_classes_at_once_give_the_permutation_of_one_after_another():
    random = np.random.default_rng(0)
    for trial in range(100):
        labels = random.integers(-3, random.integers(-2, 50), random.integers(0, 300))
        for kind in (labels, labels > 2, np.zeros(len(labels)), np.arange(len(labels))):
            assert shuffled(kind, "toy", trial).tolist() == class_by_class(kind, "toy", trial).tolist()


def test_moments_need_one_block_of_float64():
    x = np.random.default_rng(0).integers(0, 256, (64, 128, 128, 1)).astype(np.uint8)
    tracemalloc.start()
    mean, std = moments(x, (0, 1, 2))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose((mean, std), (x.mean((0, 1, 2)), x.std((0, 1, 2))), rtol=1e-12)
    assert most < 8.5 * x.size


@pytest.mark.parametrize(
    ("count", "shape", "itemsize", "needed"),
    [
        (10_000, (10,), 1, 100_000 * (1 + 5)),  # bytes, and float32 with its check
        (10_000, (10,), 8, 100_000 * (8 + 8)),  # float64, and its shuffled copy
        (100, (10,), 1, 1000 * (1 + 8)),  # bytes, and one block of float64
        (8192, (), 4, 8192 * (4 + 5)),
        (10**30, (10**30, 10**30), 1, 10**90 * 6),
    ],
)
def test_how_much_examples_need(count, shape, itemsize, needed, monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: needed)
    check_examples_fit("The set", count, shape, itemsize)
    monkeypatch.setattr(memory, "free_memory", lambda: needed - 1)
    with pytest.raises(DataError, match="The set must fit into the memory of this machine"):
        check_examples_fit("The set", count, shape, itemsize)
